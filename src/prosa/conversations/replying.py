"""What a person of the business writes to a customer. It takes the conversation (unless it was written long before it left), and
leaves by the same door as the bot's.

Permission is the caller's to check (``desk/actions``); the rules of the channel are checked here, before anything is kept,
because a message that can never arrive must not be typed into the void.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO
from uuid import uuid4

from django.core.files import File
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa.business.people import Membership
from prosa.channels import base
from prosa.contracts import OutboundMessage
from prosa.conversations import ownership
from prosa.conversations.models import Attachment, Conversation, Message, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.errors import BadInput, NotAllowed, TooLarge, WindowClosed

MOST_CHARACTERS = 4096
"""What WhatsApp takes in one message (FACTS 1.4); a person splits better than we could."""
MOST_CAPTION = 1024
MOST_BYTES = {"image": 5 * 2**20, "audio": 16 * 2**20, "video": 16 * 2**20, "document": 100 * 2**20}
"""Meta's limits per kind of file (FACTS 1.5)."""
LATER = "scheduled:"
"""How the key of a message begins that was written long before it left. It answers nothing that was asked meanwhile: the clocks,
the notices and what is learned from people pass it over."""
SENDABLE = {
    "image/jpeg": "image", "image/png": "image",
    "audio/ogg": "audio", "audio/mpeg": "audio", "audio/mp4": "audio", "audio/aac": "audio", "audio/amr": "audio",
    "video/mp4": "video", "video/3gpp": "video",
}  # fmt: skip
"""How a type travels; every other file is a document."""


@dataclass(slots=True)
class Kept:
    """A file in the storage, by its ``name`` there; ``sent`` once a message carries it."""

    name: str
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file to send. ``name`` is what the person called it; ``voice`` when it was recorded in the desk."""

    name: str
    content: IO[bytes]
    size: int
    mime_type: str = ""
    voice: bool = False
    kept: Kept | None = None
    """Where it is stored already; see :func:`keeping`."""

    @property
    def type(self) -> str:
        """Without parameters; guessed from the name where nobody said it."""
        given = self.mime_type.partition(";")[0].strip().lower()
        return given or mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def kind(self) -> str:
        """image, audio, video or document."""
        return SENDABLE.get(self.type, "document")


def window_left(conversation: Conversation) -> timedelta | None:
    """How long free text may still be sent; None where the channel knows no window, zero or less when it is closed."""
    window = base.provider(conversation.inbox.kind).window
    if window is None:
        return None
    if conversation.last_inbound_at is None:
        return timedelta(0)
    return conversation.last_inbound_at + window - timezone.now()


def reply(
    conversation: Conversation,
    member: Membership,
    text: str,
    *,
    enclosure: Enclosure | None = None,
    reply_to: str = "",
    key: str | None = None,
    known_epoch: int | None = None,
    written_before: bool = False,
) -> int:
    """Write to the customer as ``member``, who has the conversation from now on. Returns the message's id.

    With the ``key`` of a message that is there already, nothing is sent again and its id is returned. ``written_before``: it was
    written long ago and leaves only now. Its writer may not be there, and what the customer asks they have not seen: it answers
    nothing, and whoever has the conversation (the bot, too) keeps it.

    :raises BadInput: nothing to say, or more than the channel takes (:class:`TooLarge`).
    :raises WindowClosed: the customer wrote too long ago; a template may be sent instead.
    :raises NotAllowed: it is resolved, or the contact blocked; :class:`~ownership.Overtaken` when somebody else has
        taken it since (only with ``known_epoch``).
    """
    text = text.strip()
    if not text and enclosure is None:
        raise BadInput(_("There is nothing to send.\nWrite something or choose a file."))
    most = MOST_CAPTION if enclosure else MOST_CHARACTERS
    if len(text) > most:
        raise TooLarge(
            _("The message has %(count)d characters; %(most)d are allowed.\nSend it in two.")
            % {"count": len(text), "most": most}
        )
    if enclosure is not None:
        _fits(enclosure)
    left = window_left(conversation)
    if left is not None and left <= timedelta(0):
        raise WindowClosed(
            _(
                "The customer wrote more than 24 hours ago, so only a template may be sent.\nChoose one, or wait until they write."
            )
        )
    out = OutboundMessage(enclosure.kind if enclosure else "text", text, reply_to=reply_to)
    with keeping(conversation, enclosure) as enclosed, transaction.atomic():
        message_id, before = _put(conversation, member, out, key, known_epoch, written_before=written_before)
        if enclosed is not None and enclosed.kept is not None and not before:
            Attachment.objects.create(
                message_id=message_id,
                kind=enclosed.kind,
                mime_type=enclosed.mime_type or enclosed.type,
                filename=enclosed.name[:255],
                size=enclosed.size,
                voice=enclosed.voice,
                status="stored",
                file=enclosed.kept.name,
            )
            enclosed.kept.sent = True
    return message_id


@contextmanager
def keeping(conversation: Conversation, enclosure: Enclosure | None) -> Iterator[Enclosure | None]:
    """Store a file before the transaction that sends it: a large one takes its time, and all who write in the conversation,
    the customer first, would wait for it. What is not sent in the end is deleted again.

    :raises BadInput: it is empty, or more than the channel takes (:class:`TooLarge`).
    """
    if enclosure is None or enclosure.kept is not None:
        yield enclosure
        return
    _fits(enclosure)
    storage = Attachment().file.storage
    kept = Kept(storage.save(f"out/{conversation.business_id}/{uuid4().hex}", File(enclosure.content)))
    try:
        yield replace(enclosure, kept=kept)
    except BaseException:
        kept.sent = False
        raise
    finally:
        if not kept.sent:
            storage.delete(kept.name)


def _fits(enclosure: Enclosure) -> None:
    if not enclosure.size:
        raise BadInput(_("The file is empty.\nChoose another."))
    if enclosure.size > MOST_BYTES[enclosure.kind]:
        raise TooLarge(_("The file is larger than this channel takes.\nSend a smaller one, or a link."))


def send_template(
    conversation: Conversation,
    member: Membership,
    template: OutboundMessage,
    *,
    key: str | None = None,
    known_epoch: int | None = None,
) -> int:
    """Send a filled-in template (see ``Provider.fill``), for which there is no window. Returns the message's id.

    :raises NotAllowed: as for :func:`reply`; also when the contact asked not to be written to.
    """
    if conversation.contact.opted_out_at is not None:
        raise NotAllowed(_("This customer asked to receive no more messages.\nWait until they write."))
    with transaction.atomic():
        message_id, _before = _put(conversation, member, template, key, known_epoch)
    return message_id


def _put(
    conversation: Conversation,
    member: Membership,
    message: OutboundMessage,
    key: str | None,
    known_epoch: int | None,
    *,
    written_before: bool = False,
) -> tuple[int, bool]:
    """The id of the message, and whether it was there before. Call it in a transaction."""
    # The lock that taking over holds too, so that two presses of one button meet here.
    held = Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)
    if key and (before := Message.objects.filter(conversation=conversation, key=key).first()) is not None:
        return before.pk, True
    if conversation.contact.blocked_at is not None:
        raise NotAllowed(_("This contact is blocked.\nUnblock them to write."))
    if written_before:
        if held.state == State.RESOLVED:
            raise NotAllowed(_("The conversation was resolved before its time came."))
    else:
        wish = Wish(Move.REPLY, f"user:{member.user_id}", assignee=member.pk, known_epoch=known_epoch, mover=member.pk)
        ownership.act(conversation.pk, wish)
    return _keep(conversation, member, message, key), False


def _keep(conversation: Conversation, member: Membership, message: OutboundMessage, key: str | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            ownership.queries.person_message.decode(),
            {
                "conversation_id": conversation.pk,
                "kind": message.kind,
                "text": message.text,
                "payload": json.dumps(message.payload) if message.payload else None,
                "reply_to": message.reply_to,
                "sender": member.pk,
                "key": key,
            },
        )
        row = cursor.fetchone()
    return int(row[0])
