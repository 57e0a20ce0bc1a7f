"""Replies spoken as voice notes: when, how one is made, and how it becomes text again when it cannot be sent.

The words stay the message's text, for people, models and the search. The note is made just before it leaves, within
``PROSA_SPEECH_DEADLINE``; the same words in the same voice are made once per business and kept in the file storage.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.core.files.storage import default_storage
from django.utils import timezone

from prosa import conf, sql
from prosa.agents import speech
from prosa.agents.aloud import aloud
from prosa.business.models import VOICE_ALIKE, VOICE_NEVER
from prosa.channels import base
from prosa.contracts import Attachment, InboxConfig, Line, OutboundMessage, Usage
from prosa.conversations import models, spent
from prosa.conversations.handoff import fold
from prosa.conversations.media import kept
from prosa.costs import gate, ledger
from prosa.errors import PermanentError, ProsaError
from prosa.postgres.connections import Pool, fetch_one
from prosa.queue import periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "voicing.sql")

SPEAK: Final = "speak"
"""In a bubble's payload: its text is to be spoken."""
NO_ADDRESS: Final = "no_address"
"""The provider would have to fetch the voice note, and no public address is set."""
LONGEST: Final = 900
"""Characters of a reply that is still spoken, about a minute. Longer ones are easier to read."""

_NOTE = r"(?:audios?|notas? de voz|mensage(?:m|ns) de voz|mensajes? de voz|voice (?:notes?|messages?|memos?)|por voz|by voice)"
_VERB = (
    r"(?:mand[ae]|mandar|mandarme|mandame|mandeme|envi[ae]|enviar|enviarme|enviame|envieme|respond[ae]|responder|respondeme|respondame|"
    r"contest[ae]|contestame|fal[ae]|explic[ae]|explicar|grav[ae]|gravar|graba|grabame|send|reply|answer|respond|record|explain)"
)
_ASKS = re.compile(
    rf"(?<!\w){_VERB}(?:\s+\w+){{0,5}}?\s+{_NOTE}(?!\w)|pode ser (?:em|por) audio|puede ser (?:en|por) audio"
)
_NOT_THEM = re.compile(
    r"(?<!\w)(?:nao|no|not|don't|dont|nunca|never|vou|posso|quero|consigo|voy a|puedo|quiero|i|i'll|i will|can i|may i)\s+(?:me\s+|te\s+)?$"
)
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)


def asked_for(text: str, own_words: str = "") -> bool:
    """Does a message ask for a voice note? ``own_words``: the business's expressions, one a line."""
    folded = fold(text)
    if any(
        word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", folded) for word in map(fold, own_words.splitlines())
    ):
        return True
    return any(_NOT_THEM.search(folded[: found.start()]) is None for found in _ASKS.finditer(folded))


def wanted(voice: Sequence[str], question: Sequence[Line], inbox: InboxConfig | None, step: gate.Step) -> str:
    """Whether the answer to ``question`` is to be spoken: :data:`SPEAK`, :data:`NO_ADDRESS` (it would be), or empty.

    ``voice`` is as ``begin.Context`` says. Saving businesses write.
    """
    when, _, own_words = voice
    if when == VOICE_NEVER or inbox is None or step is not gate.Step.NORMAL or not conf.settings().speech_model:
        return ""
    if not base.provider(inbox.kind).voice_notes:
        return ""
    alike = when == VOICE_ALIKE and any(line.voice for line in question)
    if not (alike or any(asked_for(line.text, own_words) for line in question)):
        return ""
    return NO_ADDRESS if lacks_address(inbox) else SPEAK


def lacks_address(inbox: InboxConfig) -> bool:
    """Whether a voice note could be sent here, were it not that the provider must fetch it and no public address is set."""
    provider = base.provider(inbox.kind)
    return provider.voice_notes and provider.fetches_files and not inbox.public_url


def spoken(bubbles: Sequence[OutboundMessage]) -> list[OutboundMessage]:
    """An answer as a voice note when it is one short text without anything to tap on; else as it is."""
    if len(bubbles) != 1 or (only := bubbles[0]).kind != "text" or only.payload:
        return list(bubbles)
    if len(only.text) > LONGEST or _LINK.search(only.text):
        return list(bubbles)
    return [replace(only, kind="audio", payload={SPEAK: True})]


def is_spoken(message: OutboundMessage) -> bool:
    """Whether a bubble is one of ours to speak."""
    return message.kind == "audio" and SPEAK in message.payload


class Voicing:
    """Makes voice notes of bubbles that are to be spoken."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare(self, message_id: int, conversation_id: int, message: OutboundMessage) -> OutboundMessage:
        """The bubble with its voice note, or as text when none could be made in time. Safe to repeat."""
        if message.media_path:
            there = await asyncio.to_thread(Path(message.media_path).exists)
            if there:
                return message
        try:
            async with asyncio.timeout(conf.settings().speech_deadline):
                file = await self._note(conversation_id, message.text)
        except (ProsaError, TimeoutError, OSError) as error:
            log.warning("A reply could not be spoken and goes out as text (%s).", type(error).__name__)
            return await self.as_text(message_id, message)
        async with self._pool.connection() as connection:
            await connection.execute(
                queries.attach,
                {"message_id": message_id, "file": file, "mime_type": speech.VOICE_NOTE, "transcript": message.text},
                prepare=True,
            )
        attachment = Attachment("audio", mime_type=speech.VOICE_NOTE, voice=True)
        return replace(message, attachment=attachment, media_path=default_storage.path(file))

    async def as_text(self, message_id: int, message: OutboundMessage) -> OutboundMessage:
        """From now on the bubble is text, and waits to be sent."""
        async with self._pool.connection() as connection:
            await connection.execute(queries.as_text, {"message_id": message_id}, prepare=True)
        return replace(message, kind="text", payload={}, attachment=None, media_path="")

    async def _note(self, conversation_id: int, text: str) -> str:
        """The stored file that says ``text`` in the business's voice."""
        async with self._pool.connection() as connection:
            row = await fetch_one(connection, queries.standing, {"conversation_id": conversation_id})
        if row is None:
            raise PermanentError("The conversation is gone.\nNothing is spoken.")
        business_id, locale, voice, standing = row[0], row[1], row[2], gate.read(row[3], row[4])
        model = conf.settings().speech_model
        said = aloud(text, locale)
        name = f"{business_id}/spoken/{speech.cache_key(said, voice, locale, model=model)}.ogg"
        if await asyncio.to_thread(default_storage.exists, name):
            return name
        note = await speech.speak(said, voice, locale, model=model, deadline=conf.settings().speech_deadline)
        # OpenAI does not tell what speech cost: a character counts as a token, its price is a person's to enter.
        used = ledger.Entry(model, note.usage or Usage(input_tokens=len(said), requests=1), "speech")
        async with self._pool.connection() as connection:
            await spent.book(connection, business_id, conversation_id, standing.day, [used])
        return await asyncio.to_thread(kept.keep, name, io.BytesIO(note.data))


@periodic("41 3 * * *")
def forget_spoken() -> None:
    """Delete voice notes of ours that nobody used for ``PROSA_SPEECH_RETENTION_DAYS``. Their words stay with the message."""
    limit = timezone.now() - timedelta(days=conf.settings().speech_retention_days)
    ours = models.Attachment.objects.filter(
        message__direction="out", voice=True, status="stored", file__contains="/spoken/"
    )
    recent = ours.filter(message__created_at__gte=limit).values("file")
    for name in (
        ours.filter(message__created_at__lt=limit).exclude(file__in=recent).values_list("file", flat=True).distinct()
    ):
        for each in (name, f"{name}.mp3"):
            default_storage.delete(each)
        ours.filter(file=name).update(status="expired", file="")
    kept.forget_parts()
