"""Voice notes written down: the second half of the lane ``media``, and what a turn knows of a message's files.

A transcript becomes the message's text, so that people, models and the search read it like any other; the attachment
keeps its own copy. It wakes a turn that waits for it and nothing else: a message that was answered without it is not
answered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.core.files.storage import default_storage
from django.utils.translation import gettext_noop

from prosa import conf, sql
from prosa.agents import speech
from prosa.agents.speech import Transcript
from prosa.contracts import File, Json, Line, Reply, Turn, TurnResult
from prosa.conversations import spent
from prosa.costs import gate, ledger
from prosa.errors import ConfigurationError, PermanentError, TooLarge
from prosa.knowledge import reading
from prosa.postgres.connections import Pool, fetch_one

log = logging.getLogger(__name__)
queries = sql.load(__file__, "hearing.sql")

LOOK_AGAIN_S: Final = 0.5
"""A waiting turn looks again this often, should nobody have woken it."""
DOCUMENT_S: Final = 10.0
"""Seconds a customer's document may take to be read."""
UNHEARD_NOTE: Final = "[a voice note that could not be heard; ask kindly to have it written]"
"""What stands for it in what a model reads. Ours, hence in brackets."""

_REASONS: Final = {
    "empty": gettext_noop("The voice note is empty."),
    "large": gettext_noop("The voice note is too large to be written down."),
    "long": gettext_noop("The voice note is too long to be written down."),
    "format": gettext_noop("The transcription model does not take this format."),
    "damaged": gettext_noop("The voice note is damaged."),
    "silence": gettext_noop("No words can be heard in it."),
    "refused": gettext_noop("The transcription model refused to write it down."),
}
_OFF: Final = gettext_noop("No transcription model is set (PROSA_TRANSCRIPTION_MODEL).")
_NO_BUDGET: Final = gettext_noop("The business's budget is used up, so it was not written down.")


def wanted(kind: str) -> str:
    """The attachment's ``hearing`` once its file is stored."""
    if kind != "audio":
        return ""
    return "waiting" if conf.settings().transcription_model else "unheard"


def unwanted(hearing: str) -> str:
    """Why a stored voice note is not written down, for people to read; empty when it will be."""
    return _OFF if hearing == "unheard" else ""


class Hearing:
    """Writes down the voice notes of one business after another, within its budget."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write_down(self, attachment_id: int, conversation_id: int, file: str, mime_type: str) -> None:
        """Transcribe one stored voice note, book what it cost, store the words.

        :raises TemporaryError: not now; the lane comes again.
        """
        async with self._pool.connection() as connection:
            row = await fetch_one(connection, queries.standing, {"conversation_id": conversation_id})
        if row is None:
            return
        business_id, locale, standing = row[0], row[1], gate.read(row[2], row[3])
        if gate.judge(standing).step in (gate.Step.APPROVED_ONLY, gate.Step.HANDOFF):
            await self._unheard(attachment_id, _NO_BUDGET)
            return
        model = conf.settings().transcription_model
        try:
            heard = await self._heard(file, mime_type, locale, model)
        except (ConfigurationError, PermanentError, OSError) as error:
            log.warning("A voice note could not be written down (%s).", type(error).__name__)
            await self._unheard(attachment_id, str(error) or type(error).__name__)
            return
        entry = ledger.Entry(model, heard.usage, "transcription")
        async with self._pool.connection() as connection, connection.transaction():
            await spent.book(connection, business_id, conversation_id, standing.day, [entry])
            if heard.text:
                await connection.execute(
                    queries.heard, {"id": attachment_id, "transcript": sql.clean(heard.text).decode()}, prepare=True
                )
            else:
                reason = _REASONS.get(heard.reason, "Nothing could be heard.")
                await connection.execute(queries.unheard, {"id": attachment_id, "error": reason}, prepare=True)

    async def _heard(self, file: str, mime_type: str, locale: str, model: str) -> Transcript:
        settings = conf.settings()
        data = await _bytes(file, speech.MAX_BYTES)
        return await speech.transcribe(data, mime_type, locale, model=model, deadline=settings.transcription_deadline)

    async def _unheard(self, attachment_id: int, reason: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                queries.unheard, {"id": attachment_id, "error": sql.clean(reason[:2000]).decode()}, prepare=True
            )

    async def wake(self, conversation_id: int) -> None:
        """Let a turn that waits for files go on, when none is missing any more."""
        async with self._pool.connection() as connection:
            await connection.execute(queries.wake, {"conversation_id": conversation_id}, prepare=True)


async def _bytes(name: str, most: int) -> bytes:
    def read() -> bytes:
        with default_storage.open(name, "rb") as stream:
            data: bytes = stream.read(most + 1)
        return data

    data = await asyncio.to_thread(read)
    if len(data) > most:
        raise TooLarge("The voice note is too large to be written down.")
    return data


# ── what a turn knows of files ──


@dataclass(frozen=True, slots=True)
class Arrived:
    """The files of one waiting message. ``missing``: seconds since it arrived while one is not ready, else None."""

    files: tuple[File, ...] = ()
    voice: bool = False
    unheard: bool = False
    missing: float | None = None


def arrived(rows: Sequence[Mapping[str, Any]] | None, age: float | None) -> Arrived:
    """From the rows that ``begin`` read with a message, and the message's age in seconds."""
    if not rows:
        return Arrived()
    unready = any(row["status"] == "waiting" or row["hearing"] == "waiting" for row in rows)
    sounds = [row for row in rows if row["kind"] == "audio"]
    return Arrived(
        files=tuple(
            File(_path(row["file"]), row["mime"], row["size"], row["kind"], row["name"])
            for row in rows
            if row["status"] == "stored" and row["kind"] != "audio" and row["file"]
        ),
        voice=bool(sounds),
        unheard=bool(sounds) and not any(row["hearing"] == "heard" for row in sounds),
        missing=age if unready else None,
    )


def line(plain: Line, files: Arrived) -> Line:
    """A waiting message as the agent reads it."""
    if not (files.voice or files.files):
        return plain
    text = UNHEARD_NOTE if files.unheard else plain.text
    return Line(plain.author, text, plain.at, plain.id, voice=files.voice and not files.unheard, files=files.files)


def hold(missing: Sequence[float | None]) -> float | None:
    """Seconds a turn should still wait for files; None = go on."""
    limit = conf.settings().media_wait
    left = [limit - age for age in missing if age is not None and age < limit]
    return min(LOOK_AGAIN_S, *left) if left else None


def unheard_only(question: Sequence[Line]) -> bool:
    """Whether all that waits is voice notes that could not be heard."""
    return bool(question) and all(each.text == UNHEARD_NOTE for each in question)


def owned_up(turn: Turn, result: TurnResult, words: Mapping[str, str]) -> TurnResult:
    """An answer made without a model says itself what it could not hear or see; a model was told to."""
    if result.model != "offline" or result.handoff is not None or not result.replies:
        return result
    unheard = any(each.text == UNHEARD_NOTE for each in turn.question)
    unseen = any(each.files for each in turn.question)
    if not (unheard or unseen):
        return result
    said = words["unheard" if unheard else "unseen"]
    asked = [each for each in turn.question if each.text != UNHEARD_NOTE and not _described(each.text)]
    trace: Json = {**result.trace, "unread": "voice note" if unheard else "file"}
    if not asked:
        return TurnResult((Reply(said),), model=result.model, usage=result.usage, trace=trace, stages=result.stages)
    first, *others = result.replies
    replies = (Reply(f"{first.text}\n\n{said}", first.options), *others)
    return TurnResult(
        replies, model=result.model, usage=result.usage, error=result.error, trace=trace, stages=result.stages,
        facts=result.facts, sources=result.sources, resolved=result.resolved, wrote=result.wrote,
    )  # fmt: skip


def document_text(data: bytes) -> str:
    """The text of a customer's PDF, read where it can harm nobody else. Blocks. Raises what the reader raises."""
    return reading.text(data, "document.pdf", "application/pdf", longest_s=DOCUMENT_S)


def _described(text: str) -> bool:
    """Whether a text is only the provider's description of a file (``[image]``)."""
    return text.startswith("[") and text.endswith("]") and "\n" not in text


def _path(name: str) -> Path:
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:  # a storage that is no folder: the file counts as not here
        return Path("/nonexistent") / name
