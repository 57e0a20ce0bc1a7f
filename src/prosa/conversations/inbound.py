"""What comes in: from a verified webhook to rows, many webhooks a statement.

What cannot be parsed, routed or stored is kept as bytes with the reason. When to write is ``receiver``'s to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import psycopg

from prosa import sql
from prosa.channels.inboxes import Inboxes
from prosa.contracts import (
    Identity,
    IdentityChange,
    InboundMessage,
    InboxConfig,
    Notice,
    Parsed,
    Receipt,
    Takeover,
    WebhookRequest,
)
from prosa.conversations import ownership
from prosa.conversations.states import Move, arrows
from prosa.errors import BadInput
from prosa.postgres.connections import Connection, fetch_one
from prosa.sql import Blobs, Flags, Floats, Ints, Longs, Texts

log = logging.getLogger(__name__)
queries = sql.load(__file__, "inbound.sql")

STATUS_RANK = ["withdrawn", "queued", "sending", "unconfirmed", "sent", "failed", "delivered", "read", "played"]
"""Outbound statuses from weakest to strongest. A receipt moves a message only to the right: ``delivered`` corrects
``failed`` (it did arrive), a late ``sent`` changes nothing."""

TRACKER = "prosa:"
"""Prefix of the opaque string that travels with a send; the message's id follows."""

Report = Takeover | IdentityChange | Notice


@dataclass(slots=True, eq=False)
class Arrival:
    """One webhook on its way to the database. ``event_id`` is set when it is stored already (replay)."""

    kind: str
    body: bytes
    content_type: str
    inbox: InboxConfig | None
    outcome: str = "ok"
    error: str = ""
    event_id: int | None = None
    messages: list[tuple[InboxConfig, InboundMessage]] = field(default_factory=list)
    receipts: list[tuple[InboxConfig, Receipt]] = field(default_factory=list)
    others: list[tuple[InboxConfig, Report]] = field(default_factory=list)
    """Takeovers, identity changes and notices: rare, written one by one."""
    done: asyncio.Future[None] | None = None
    tried: bool = False

    @property
    def plain(self) -> bool:
        """Nothing but messages: one statement stores it."""
        return not self.receipts and not self.others


class Reader(Protocol):
    """What reading a webhook needs of a provider."""

    @property
    def kind(self) -> str:
        """As in ``base.Provider``."""

    def parse(self, body: bytes, content_type: str = "") -> Parsed:
        """As in ``base.Provider``."""

    def verify(self, inbox: InboxConfig, request: WebhookRequest) -> bool:
        """As in ``base.Provider``."""


def read(provider: Reader, inbox: InboxConfig, known: Inboxes, request: WebhookRequest) -> Arrival:
    """Parse a verified request and route each part by its own key, among inboxes the same secret signs for.

    Never raises for what the body holds: the outcome says what could not be parsed or routed.
    """
    content_type = request.headers.get("content-type", "")
    arrival = Arrival(provider.kind, request.body, content_type, inbox)
    parsed = _parse(provider, arrival)
    routes: dict[str, InboxConfig | None] = {"": inbox, inbox.routing_key: inbox}

    def route(key: str) -> InboxConfig | None:
        if key not in routes:
            found = known.routed(provider.kind, key)
            routes[key] = found if found is not None and provider.verify(found, request) else None
        target = routes[key]
        if target is None:
            arrival.outcome, arrival.error = "unrouted", f"No inbox of ours has the routing key {key!r}."
        return target

    for message in parsed.messages:
        if (target := route(message.routing_key)) and message.senders:
            arrival.messages.append((target, message))
    for receipt in parsed.receipts:
        if target := route(receipt.routing_key):
            arrival.receipts.append((target, receipt))
    others: tuple[Report, ...] = (*parsed.changes, *parsed.takeovers, *parsed.notices)
    for other in others:
        if target := route(other.routing_key):
            arrival.others.append((target, other))
    return arrival


def _parse(provider: Reader, arrival: Arrival) -> Parsed:
    try:
        parsed = provider.parse(arrival.body, arrival.content_type)
    except BadInput as error:
        arrival.outcome, arrival.error = "unparsed", str(error)
        return Parsed()
    except Exception as error:
        log.exception("The %s parser failed; the webhook is kept.", provider.kind)
        arrival.outcome, arrival.error = "unparsed", f"{type(error).__name__} in the parser"
        return Parsed()
    if parsed.strange:
        arrival.outcome, arrival.error = "strange", "; ".join(parsed.strange)[:2000]
    return parsed


# ── columns of the statements ─────────────────────────────────────────────────────────────────────


def _receive(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    rows = []
    seen: set[tuple[int, str]] = set()
    for ordinal, arrival in enumerate(arrivals, 1):
        for inbox, message in arrival.messages:
            identity = (inbox.id, message.provider_id)
            if identity in seen:  # the same message twice in one batch: the constraint sees only what is committed
                continue
            seen.add(identity)
            senders = message.senders
            rows.append(
                (
                    ordinal,
                    inbox.business_id,
                    inbox.id,
                    senders[0].key,
                    senders[1].key if len(senders) > 1 else None,
                    message.provider_id,
                    message.kind,
                    message.text,
                    sql.jsonb(message.payload) if message.payload else None,
                    message.reply_to,
                    message.sent_at.timestamp(),
                    message.wakes,
                    inbox.quiet_ms,
                    inbox.max_quiet_ms,
                    sql.jsonb([asdict(each) for each in message.attachments]) if message.attachments else None,
                )
            )
    m: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 15
    return {
        "e_id": Longs([a.event_id for a in arrivals]),
        "e_inbox": Longs([a.inbox.id if a.inbox else None for a in arrivals]),
        "e_kind": Texts([a.kind for a in arrivals]),
        "e_body": Blobs([a.body for a in arrivals]),
        "e_type": Texts([a.content_type[:120] for a in arrivals]),
        "e_outcome": Texts([a.outcome for a in arrivals]),
        "e_error": Texts([a.error for a in arrivals]),
        "e_receipts": Flags([bool(a.receipts) for a in arrivals]),
        "m_event": Ints(m[0]), "m_business": Longs(m[1]), "m_inbox": Longs(m[2]), "m_key1": Texts(m[3]), "m_key2": Texts(m[4]),
        "m_provider_id": Texts(m[5]), "m_kind": Texts(m[6]), "m_text": Texts(m[7]), "m_payload": Texts(m[8]), "m_reply_to": Texts(m[9]),
        "m_sent_at": Floats(m[10]), "m_wakes": Flags(m[11]), "m_quiet": Ints(m[12]), "m_max_quiet": Ints(m[13]), "m_files": Texts(m[14]),
    }  # fmt: skip


def _receipts(arrivals: Iterable[Arrival]) -> dict[str, Any]:
    found = [pair for arrival in arrivals for pair in arrival.receipts]
    return {
        "ranks": STATUS_RANK,
        "r_inbox": Longs([inbox.id for inbox, _ in found]),
        "r_provider_id": Texts([receipt.provider_id for _, receipt in found]),
        "r_message": Longs([_tracked(receipt.tracker) for _, receipt in found]),
        "r_status": Texts([receipt.status for _, receipt in found]),
        "r_at": Floats([receipt.at.timestamp() for _, receipt in found]),
        "r_error_code": Texts([receipt.error_code[:40] for _, receipt in found]),
        "r_error": Texts([receipt.error_text for _, receipt in found]),
        "r_pricing": Texts([sql.jsonb(receipt.pricing) if receipt.pricing else None for _, receipt in found]),
    }


def _tracked(tracker: str) -> int | None:
    digits = tracker.removeprefix(TRACKER)
    return (
        int(digits)
        if tracker.startswith(TRACKER) and digits.isascii() and digits.isdigit() and len(digits) < 19
        else None
    )


Person = tuple[InboxConfig, Sequence[Identity], str]


async def introduce(connection: Connection, people: Iterable[Person]) -> None:
    """Make sure each person is a contact with all these identities and has an open conversation on the inbox.

    Runs in the caller's transaction; the advisory locks it takes are held until that ends.
    """
    persons: dict[tuple[int, str], Person] = {}
    known_as: dict[tuple[int, str], tuple[int, str]] = {}
    rooms: dict[tuple[int, str], InboxConfig] = {}
    for inbox, identities, name in people:
        # Who shares one identity with somebody of this batch is the same person.
        names = [(inbox.business_id, identity.key) for identity in identities]
        met = dict.fromkeys(known_as[key] for key in names if key in known_as)
        same = [persons.pop(one) for one in met] + [(inbox, identities, name)]
        first = next(iter(met), names[0])
        everything = tuple(dict.fromkeys(identity for _, theirs, _ in same for identity in theirs))
        persons[first] = (inbox, everything, next((called for _, _, called in same if called), ""))
        known_as.update({(inbox.business_id, identity.key): first for identity in everything})
        rooms[inbox.id, identities[0].key] = inbox
    keys = [
        (person, rank, inbox.business_id, identity.key, identity.address or identity.value)
        for person, (inbox, identities, _) in enumerate(persons.values(), 1)
        for rank, identity in enumerate(identities)
    ]
    person, rank, business, key_column, address = zip(*keys, strict=True)
    k_business, k_key = Longs(business), Texts(key_column)
    reopening = arrows(Move.CUSTOMER_WROTE)
    async with connection.pipeline():
        await connection.execute(queries.lock_people, {"k_business": k_business, "k_key": k_key})
        await connection.execute(
            queries.introduce,
            {
                "k_person": Ints(person), "k_rank": Ints(rank), "k_business": k_business, "k_key": k_key, "k_address": Texts(address),
                "p_business": Longs([inbox.business_id for inbox, _, _ in persons.values()]),
                "p_name": Texts([name for _, _, name in persons.values()]),
            },
        )  # fmt: skip
        await connection.execute(
            queries.converse,
            {
                "c_business": Longs([inbox.business_id for inbox in rooms.values()]),
                "c_inbox": Longs([inbox.id for inbox in rooms.values()]),
                "c_key": Texts([key for _, key in rooms]),
                "c_reopen": Ints([inbox.reopen_s for inbox in rooms.values()]),
                "froms": Texts(reopening.froms),
                "tos": Texts(reopening.tos),
            },
        )


async def _store_messages(connection: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Store; returns those left out because they hold a stranger's message."""
    row = await fetch_one(connection, queries.receive, _receive(arrivals))
    return [arrivals[ordinal - 1] for ordinal in row[0]] if row and row[0] else []


async def _store_strangers(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    async with connection.transaction():
        people = [(inbox, message.senders, message.sender_name) for a in arrivals for inbox, message in a.messages]
        await introduce(connection, people)
        if await _store_messages(connection, arrivals):
            raise psycopg.errors.SerializationFailure("A conversation ended while its contact was being introduced.")


async def store(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    """Write webhooks and all they hold. Either a webhook is stored whole or an error is raised."""
    plain = [arrival for arrival in arrivals if arrival.plain]
    if plain and (strangers := await _store_messages(connection, plain)):
        await _store_strangers(connection, strangers)
    rest = [arrival for arrival in arrivals if not arrival.plain]
    if not rest:
        return
    async with connection.transaction():
        if strangers := await _store_messages(connection, rest):
            await _store_strangers(connection, strangers)
        await connection.execute(queries.receipts, _receipts(rest), prepare=True)
        for arrival in rest:
            for inbox, other in arrival.others:
                await ownership.hear(connection, inbox, other, arrival.event_id, introduce)


CONFLICTS = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation)
"""Somebody else was faster; the next try sees what they did."""


def _in_trouble(error: Exception) -> bool:
    """Is it the database's own trouble (a lock, space, a missing migration), which another content would meet too?"""
    limits = psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex
    refused = psycopg.DataError, psycopg.IntegrityError, *limits
    return isinstance(error, psycopg.Error) and not isinstance(error, refused)


async def store_alone(connection: Connection, arrival: Arrival) -> None:
    """Store one webhook; when its content is refused, its bytes and the reason.

    :raises psycopg.Error: the database is in trouble; nothing was stored.
    """
    for _ in range(3):
        try:
            await store(connection, [arrival])
        except CONFLICTS:
            continue
        except Exception as error:
            if connection.closed or connection.broken or _in_trouble(error):
                raise
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            log.exception("A %s webhook could not be stored; its bytes are kept.", arrival.kind)
            arrival.outcome, arrival.error = "failed", reason
            if arrival.event_id is None:
                await connection.execute(
                    queries.store,
                    {
                        "inbox_id": arrival.inbox.id if arrival.inbox else None,
                        "kind": arrival.kind,
                        "body": arrival.body,
                        "content_type": arrival.content_type[:120].replace("\x00", ""),
                        "outcome": "failed",
                        "error": reason,
                    },
                )
            return
        else:
            return
    raise psycopg.errors.SerializationFailure("The webhook met the same conflict three times.")
