"""Taking over and giving back. Everything that changes who answers comes through :func:`move`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, transaction
from django.db import connection as django_connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from prosa import plugins, queue, sql
from prosa.channels import inboxes
from prosa.contracts import Identity, IdentityChange, InboxConfig, Listener, Notice, Takeover
from prosa.conversations import summaries
from prosa.conversations.states import FREES, SETTLES, Move, arrows
from prosa.errors import NotAllowed
from prosa.postgres.connections import Connection, fetch_one
from prosa.sql import Texts

queries = sql.load(__file__, "ownership.sql")
people = sql.load(__file__, "inbound.sql")

Introduce = Callable[[Connection, Iterable[tuple[InboxConfig, Sequence[Identity], str]]], Awaitable[None]]

NOBODY = 0
"""As ``assignee`` or ``team``: take it away from whoever has it."""


LONGEST_SNOOZE_S = 366 * 86400.0
"""Nobody means to put a conversation aside for longer."""


REFUSED = {
    Move.HAND_OFF: gettext_noop("This conversation cannot be passed to people in the state it is in."),
    Move.ASSIGN: gettext_noop("This conversation cannot be assigned in the state it is in."),
    Move.TAKE: gettext_noop("This conversation cannot be taken in the state it is in."),
    Move.REPLY: gettext_noop("Nothing can be written in this conversation in the state it is in."),
    Move.SNOOZE: gettext_noop("This conversation cannot be put aside in the state it is in."),
    Move.WAKE: gettext_noop("This conversation is not put aside."),
    Move.GIVE_BACK: gettext_noop("This conversation cannot be given back to the assistant in the state it is in."),
    Move.RESOLVE: gettext_noop("This conversation cannot be resolved in the state it is in."),
    Move.REOPEN: gettext_noop("This conversation cannot be re-opened in the state it is in."),
}
"""What a person reads when a move does not apply."""
ANY = gettext_noop("This cannot be done in the state the conversation is in.")


class Overtaken(NotAllowed):
    """Somebody else changed who answers since the mover looked. ``assignee`` is the membership that has it now, if one has."""

    def __init__(self, message: str, assignee: int | None) -> None:
        super().__init__(message)
        self.assignee = assignee


class Unread(NotAllowed):
    """The customer wrote since the mover looked, and the move would put that out of sight."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a move led. ``before`` is the state it came from."""

    state: str
    epoch: int
    before: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One move somebody wants to make.

    ``actor``: ``user:<id>``, bot, system or owner_phone. ``assignee`` (a membership) and ``team`` are ids, None to leave them
    as they are, :data:`NOBODY` to empty them. ``known_epoch`` is the epoch the mover had before their eyes; None asks for no
    such proof, and none is asked of ``mover``, the membership that moves, while the conversation is theirs: nobody else moved it.
    ``known_inbound`` is the newest message they had before their eyes. ``snooze`` is in seconds. ``quiet``: where the state stays, nothing changes for the bot either: what it has
    said may still leave (the rota names whom the customer waits for).
    """

    event: Move
    actor: str
    data: dict[str, Any] = field(default_factory=dict)
    assignee: int | None = None
    team: int | None = None
    known_epoch: int | None = None
    known_inbound: int | None = None
    mover: int | None = None
    snooze: float | None = None
    quiet: bool = False

    def parameters(self, conversation_id: int) -> dict[str, Any]:
        """As ``ownership.sql`` wants them."""
        table = arrows(self.event)
        free = NOBODY if self.event in FREES else None
        return {
            "conversation_id": conversation_id,
            "froms": table.froms,
            "tos": table.tos,
            "event": self.event.line,
            "actor": self.actor,
            "data": json.dumps(self.data),
            "settles": self.event in SETTLES,
            "assignee": free if self.assignee is None else self.assignee,
            "team": free if self.team is None else self.team,
            "known_epoch": self.known_epoch,
            "known_inbound": self.known_inbound,
            "mover": self.mover,
            "snooze": None if self.snooze is None else min(self.snooze, LONGEST_SNOOZE_S),
            "quiet": self.quiet,
        }


def tell(conversation_id: int, kind: str, actor: str, **data: Any) -> None:
    """Write down what happened without changing who answers (``escalated``), in Django's transaction, and tell who listens."""
    with transaction.atomic(), django_connection.cursor() as cursor:
        cursor.execute(
            queries.told.decode(),
            {"conversation_id": conversation_id, "kind": kind, "actor": actor, "data": json.dumps(data)},
        )
        for listener in _listeners():
            if kind in listener.kinds:
                queue.defer_once(listener.chore, f"{listener.name}:{conversation_id}", conversation_id=conversation_id)


async def told(connection: Connection, conversation_id: int, kind: str) -> None:
    """Tell who listens of something that was written down in the caller's transaction, under the conversation's lock."""
    for listener in _listeners():
        if kind in listener.kinds:
            await queue.defer_within(
                connection, listener.chore, f"{listener.name}:{conversation_id}", conversation_id=conversation_id
            )


@lru_cache(maxsize=1)
def _listeners() -> tuple[Listener, ...]:
    found = itertools.chain.from_iterable(plugins.manager().hook.listeners())
    return (Listener(frozenset({str(Move.HAND_OFF)}), summaries.tell_handoff, "handoff"), *found)


async def carry_out(connection: Connection, conversation_id: int, wish: Wish) -> Moved | None:
    """Make one move in the caller's transaction, and tell whoever listens.

    :returns: None when the move does not apply in the state the conversation is in, or another was faster.
    """
    async with connection.pipeline():
        await connection.execute(queries.hold, {"conversation_id": conversation_id})
        row = await fetch_one(connection, queries.move, wish.parameters(conversation_id))
    if row is None or not row[0]:
        return None
    for listener in _listeners():  # every way to people comes through here
        if str(wish.event) in listener.kinds:
            await queue.defer_within(
                connection, listener.chore, f"{listener.name}:{conversation_id}", conversation_id=conversation_id
            )
    return Moved(row[1], row[2], row[4])


async def move(
    connection: Connection, conversation_id: int, event: Move, actor: str, **data: Any
) -> tuple[str, int] | None:
    """:func:`carry_out` a plain move; the new state and epoch."""
    moved = await carry_out(connection, conversation_id, Wish(event, actor, data))
    return (moved.state, moved.epoch) if moved else None


def act(conversation_id: int, wish: Wish) -> Moved:
    """Make one move for a person, in Django's transaction.

    :raises Overtaken: somebody was faster (only with ``known_epoch``).
    :raises Unread: the customer was (only with ``known_inbound``).
    :raises NotAllowed: the move does not apply in the state the conversation is in, or there is no such conversation.
    """
    with transaction.atomic(), django_connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(queries.hold.decode(), {"conversation_id": conversation_id})
                cursor.execute(queries.move.decode(), wish.parameters(conversation_id))
                row = cursor.fetchone()
        except IntegrityError:
            raise NotAllowed(
                _("This conversation cannot be re-opened: the customer has a newer one.\nGo on in that one.")
            ) from None
        if row is None or not row[0]:
            if row is not None and row[5]:
                raise Overtaken(
                    _("The conversation changed hands a moment ago.\nLook who has it before you go on."), row[3]
                )
            if row is not None and row[6]:
                raise Unread(_("The customer wrote a moment ago.\nRead it before you go on."))
            raise NotAllowed(
                _(REFUSED.get(wish.event, ANY))
                + "\n"
                + _("Reload the page; somebody may have changed it a moment ago.")
            )
        for listener in _listeners():
            if str(wish.event) in listener.kinds:
                queue.defer_once(listener.chore, f"{listener.name}:{conversation_id}", conversation_id=conversation_id)
        return Moved(row[1], row[2], row[4])


def take(conversation_id: int, actor: str, member: int | None = None, known_epoch: int | None = None) -> None:
    """A person takes the conversation; the bot is silent from now on. ``member``: as whose it is written down.

    :raises NotAllowed: it is resolved, or does not exist; :class:`Overtaken` when another was faster.
    """
    act(conversation_id, Wish(Move.TAKE, actor, assignee=member or NOBODY, known_epoch=known_epoch))


def give_back(conversation_id: int, actor: str) -> None:
    """The bot answers again, beginning with what the customer wrote last if nobody replied to it. The one move back: whoever
    had the conversation, the team it waited for and its snooze are gone.

    :raises NotAllowed: the bot has it already, or it is resolved.
    """
    act(conversation_id, Wish(Move.GIVE_BACK, actor))


def resolve(conversation_id: int, actor: str) -> None:
    """The matter is settled.

    :raises NotAllowed: it was resolved before.
    """
    act(conversation_id, Wish(Move.RESOLVE, actor))


# ── what providers report ─────────────────────────────────────────────────────────────────────────


async def hear(
    connection: Connection,
    inbox: InboxConfig,
    report: Takeover | IdentityChange | Notice,
    event_id: int | None,
    introduce: Introduce,
) -> None:
    """Write down something rare a webhook held, in the caller's transaction."""
    match report:
        case Takeover():
            await _person_wrote(connection, inbox, report, event_id, introduce)
        case IdentityChange():
            if report.old and report.new:
                await connection.execute(
                    people.link,
                    {
                        "business_id": inbox.business_id,
                        "old": [identity.key for identity in report.old],
                        "keys": Texts([identity.key for identity in report.new]),
                        "addresses": Texts([identity.address or identity.value for identity in report.new]),
                    },
                )
        case Notice():
            if report.level == "error":
                await connection.execute(inboxes.queries.trouble, {"inbox_id": inbox.id, "text": report.text})


async def _person_wrote(
    connection: Connection, inbox: InboxConfig, takeover: Takeover, event_id: int | None, introduce: Introduce
) -> None:
    """A message from the owner's own phone: it joins the conversation, and the conversation is theirs."""
    if not takeover.recipients:
        return
    await introduce(connection, [(inbox, takeover.recipients, takeover.recipient_name)])
    row = await fetch_one(
        connection,
        queries.owner_message,
        {
            "event_id": event_id,
            "kind": takeover.kind,
            "text": sql.clean(takeover.text).decode(),
            "payload": sql.clean(json.dumps(takeover.payload)).decode() if takeover.payload else None,
            "provider_id": takeover.provider_id,
            "sent_at": takeover.sent_at.timestamp(),
            "inbox_id": inbox.id,
            "business_id": inbox.business_id,
            "key": takeover.recipients[0].key,
        },
    )
    if row is None:  # our own message echoed back, or a webhook delivered twice
        return
    message_id, conversation_id = row
    for attachment in takeover.attachments:
        await connection.execute(queries.owner_file, {"message_id": message_id, **asdict(attachment)})
    if takeover.attachments:
        await connection.execute(queries.wake_media, {"conversation_id": conversation_id})
    await move(connection, conversation_id, Move.REPLY, "owner_phone", message=message_id)
