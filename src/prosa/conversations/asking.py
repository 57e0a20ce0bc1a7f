"""Asking and waiting: a program's message goes in like any other, and its answer is waited for where it was asked.

Waiting costs no connection: the conversation's topic (``realtime``) wakes, one short look tells.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from prosa import realtime, sql
from prosa.contracts import Identity, InboundMessage, InboxConfig, Json
from prosa.conversations.entrance import Entrance
from prosa.conversations.inbound import Arrival
from prosa.conversations.models import State
from prosa.conversations.receiver import Unavailable
from prosa.conversations.traces import tracing
from prosa.conversations.traces.trace import Trace
from prosa.errors import NotAllowed
from prosa.postgres.connections import fetch_all, fetch_one

queries = sql.load(__file__, "asking.sql")

ANSWERED, WAITING, WITH_AGENT = "answered", "waiting", "with_agent"
UNSAID = frozenset({"withdrawn", "failed"})


@dataclass(frozen=True, slots=True)
class Said:
    """One bubble of an answer; ``payload`` is what its kind needs beyond text (``options``…)."""

    id: int
    author: str
    kind: str
    text: str
    payload: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a message stands. ``settled``: looking again soon will not show more (people may still write later)."""

    conversation_id: int
    message_id: int
    status: str
    settled: bool
    replies: tuple[Said, ...] = ()
    turn_id: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that was stored, and where."""

    message_id: int
    conversation_id: int


async def ask(
    door: Entrance, inbox: InboxConfig, user_id: str, text: str, key: str, body: bytes, *, signed: bool = False
) -> Asked:
    """Store a customer's message and let it be answered.

    ``signed``: the business's site has signed that this is its user. ``key`` makes it the same message when it is sent again; empty = always a new one. ``body`` is kept as it came.

    :raises NotAllowed: the key was used before for something else.
    :raises Unavailable: it could not be stored; nothing of it was.
    """
    # Hashed: a key may be longer than the column, and it may be a secret of the caller's.
    provider_id = f"key:{hashlib.sha256(key.encode()).hexdigest()}" if key else f"rest:{secrets.token_urlsafe(18)}"
    fingerprint = hashlib.sha256(json.dumps([user_id, text]).encode()).hexdigest()
    if key and (known := await _asked(door, inbox, provider_id, fingerprint)):
        return known
    message = InboundMessage(
        provider_id=provider_id,
        routing_key="",
        senders=(Identity("user", user_id), *((Identity("signed", user_id),) if signed else ())),
        kind="text",
        text=text,
        sent_at=datetime.now(UTC),
        payload={"request": fingerprint},
    )
    await door.accept(Arrival("rest", body, "application/json", inbox, messages=[(inbox, message)]))
    stored = await _asked(door, inbox, provider_id, fingerprint)
    if stored is None:  # the database refused the content; it is kept as a failed event for people to look at
        raise Unavailable
    return stored


async def _asked(door: Entrance, inbox: InboxConfig, provider_id: str, fingerprint: str) -> Asked | None:
    async with door.connection() as connection:
        row = await fetch_one(connection, queries.asked, {"inbox_id": inbox.id, "provider_id": provider_id})
    if row is None:
        return None
    message_id, conversation_id, before = row
    if before != fingerprint:
        raise NotAllowed("This Idempotency-Key was used for another message.\nTake a new key for each message.")
    return Asked(message_id, conversation_id)


async def look(door: Entrance, inbox: InboxConfig, message_id: int) -> Answer | None:
    """Where a message of this inbox stands now; None when it has no such message."""
    async with door.connection() as connection:
        rows = await fetch_all(connection, queries.answer, {"inbox_id": inbox.id, "message_id": message_id})
    if not rows:
        return None
    conversation_id, turn_id, pending, state = rows[0][:4]
    bubbles = [row[4:] for row in rows if row[4] is not None]
    replies = tuple(
        Said(pk, author, kind, text, payload or {})
        for pk, author, kind, text, payload, status in bubbles
        if status not in UNSAID
    )
    if any(status == "queued" for *_, status in bubbles):
        return Answer(conversation_id, message_id, WAITING, settled=False)
    with_people = {State.AGENT_ACTIVE: WITH_AGENT, State.AWAITING_AGENT: WAITING}.get(state)
    if turn_id is not None:
        status = ANSWERED if replies or with_people is None else with_people
        return Answer(conversation_id, message_id, status, settled=True, replies=replies, turn_id=turn_id)
    if with_people is not None:
        return Answer(conversation_id, message_id, with_people, settled=True, replies=replies)
    # Not pending and without a turn: it needs no answer of the bot (a person wrote, the contact is blocked).
    return Answer(conversation_id, message_id, WAITING if pending else ANSWERED, settled=not pending, replies=replies)


async def explain(door: Entrance, inbox: InboxConfig, turn_id: int) -> Trace | None:
    """Why a reply of this inbox is what it is; None when it has no such turn."""
    async with door.connection() as connection:
        row = await fetch_one(connection, queries.turn, {"inbox_id": inbox.id, "turn_id": turn_id})
    if row is None:
        return None
    turn, cost, started_at, finished_at, messages, remembered = row
    return tracing.read(
        {**turn, "cost": cost, "started_at": started_at, "finished_at": finished_at},
        (messages or [])[: 2 * tracing.MOST_ROWS],
        {int(pk): text for pk, text in (remembered or {}).items()},
    )


async def wait(door: Entrance, inbox: InboxConfig, asked: Asked, seconds: float) -> Answer | None:
    """The answer to a message as soon as it is settled, or where it stands after so many seconds.

    :returns: None when the inbox has no such message.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    async with realtime.subscribe(f"conversation:{asked.conversation_id}") as changes:
        while True:
            found = await look(door, inbox, asked.message_id)
            if found is None or found.settled:
                return found
            try:
                async with asyncio.timeout_at(deadline):
                    await changes.news()
            except TimeoutError:  # what was settled in silence (a blocked contact) is seen now
                return await look(door, inbox, asked.message_id) if seconds else found
