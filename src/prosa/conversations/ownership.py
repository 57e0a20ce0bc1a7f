"""Taking over and giving back. Everything that changes who answers comes through :func:`move`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from django.db import connection as django_connection
from django.db import transaction

from prosa import queue, sql
from prosa.channels import inboxes
from prosa.contracts import Identity, IdentityChange, InboxConfig, Notice, Takeover
from prosa.conversations import summaries
from prosa.conversations.states import SETTLES, Move, arrows
from prosa.errors import NotAllowed
from prosa.postgres.connections import Connection, fetch_one
from prosa.sql import Texts

queries = sql.load(__file__, "ownership.sql")
people = sql.load(__file__, "inbound.sql")

Introduce = Callable[[Connection, Iterable[tuple[InboxConfig, Sequence[Identity], str]]], Awaitable[None]]


def _parameters(conversation_id: int, event: Move, actor: str, data: dict[str, Any]) -> dict[str, Any]:
    table = arrows(event)
    return {
        "conversation_id": conversation_id,
        "froms": table.froms,
        "tos": table.tos,
        "event": str(event),
        "actor": actor,
        "data": json.dumps(data),
        "settles": event in SETTLES,
    }


async def move(
    connection: Connection, conversation_id: int, event: Move, actor: str, **data: Any
) -> tuple[str, int] | None:
    """Carry out one move in the caller's transaction (or alone).

    :returns: the new state and epoch, or None when the event does not apply in the state the conversation is in.
    """
    row = await fetch_one(connection, queries.move, _parameters(conversation_id, event, actor, data))
    if row is not None and event is Move.HAND_OFF:  # every way to people comes through here
        await queue.defer_within(
            connection, summaries.tell_handoff, f"handoff:{conversation_id}", conversation_id=conversation_id
        )
    return (row[0], row[1]) if row else None


def _move(conversation_id: int, event: Move, actor: str, **data: Any) -> None:
    with transaction.atomic(), django_connection.cursor() as cursor:
        cursor.execute(queries.move.decode(), _parameters(conversation_id, event, actor, data))
        if cursor.fetchone() is None:
            raise NotAllowed(
                f"Conversation {conversation_id} cannot be {event.value.replace('_', ' ')} in the state it is in.\n"
                "Reload the page; somebody may have changed it a moment ago."
            )


def take(conversation_id: int, actor: str) -> None:
    """A person takes the conversation; the bot is silent from now on.

    :raises NotAllowed: it is resolved, or does not exist.
    """
    _move(conversation_id, Move.TAKE, actor)


def give_back(conversation_id: int, actor: str) -> None:
    """The bot answers again, beginning with what the customer wrote last if nobody replied to it.

    :raises NotAllowed: the bot has it already, or it is resolved.
    """
    _move(conversation_id, Move.GIVE_BACK, actor)


def resolve(conversation_id: int, actor: str) -> None:
    """The matter is settled.

    :raises NotAllowed: it was resolved before.
    """
    _move(conversation_id, Move.RESOLVE, actor)


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
