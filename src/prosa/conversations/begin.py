"""The beginning of a turn: everything it will know is read in one short look, so that no transaction is open while it thinks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prosa import conf, sql
from prosa.business.zones import zone_named
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import ApprovedAnswer, Caller, Identity, Line, Passage, Turn
from prosa.conversations import casting, hearing, pending, proving, sessions, topics, voicing
from prosa.conversations.words import words
from prosa.costs import gate, ledger
from prosa.knowledge import fusion, search
from prosa.postgres.connections import Connection, Pool, fetch_all, fetch_one

queries = sql.load(__file__, "begin.sql")

HISTORY_LINES = sessions.MOST_LINES
MOST_WAITING = 1000
"""Unanswered messages one turn takes up; what is beyond them gets the next one."""
CARRIED_OUT = frozenset({"bring_in_person", "send_options", "remember", "resolve"})
"""Of an agent's proposals, those that ``finish`` acts on."""
MOST_PASSAGES = 6
"""Passages of the business's knowledge one search gives the agent."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unanswered message."""

    id: int
    line: Line
    provider_id: str


@dataclass(frozen=True, slots=True)
class Context:
    """Everything ``begin`` read: the conversation as it was, and the turn for the agent."""

    conversation_id: int
    business_id: int
    inbox_id: int
    state: str
    epoch: int
    active: bool
    blocked: bool
    locale: str
    max_age: timedelta
    wait_notice_every: timedelta
    wait_notice_at: datetime | None
    to: tuple[Identity, ...]
    waiting: tuple[Waiting, ...]
    turn: Turn
    standing: gate.Standing
    verdict: gate.Verdict
    started: datetime
    clock: float = field(default_factory=time.perf_counter)
    cast: casting.Cast | None = None
    """Which specialist answers, and every conditional guideline with why it was told or left out."""
    hold: float | None = None
    """Seconds to wait for files of these messages; None = go on."""
    spent: list[ledger.Entry] = field(default_factory=list)
    """What models did for this turn so far, also when its draft is dropped."""
    talk: sessions.Talk = field(default_factory=sessions.Talk)
    caller: Caller | None = None
    untold: bool = False
    """Whether an action waits for the customer's yes, or was settled and not told yet."""
    notes: fusion.Notes = field(default_factory=fusion.Notes)
    """What its searches told beside what they found."""
    settled: pending.Settled | None = None
    """What of the past the turn reads, and what is to be done about it."""


async def begin(pool: Pool, inboxes: Inboxes, conversation_id: int, held: Connection | None = None) -> Context | None:
    """The conversation as it is now; None when there is none. Read on ``held``, when that is given: see ``trying``."""
    started, clock = datetime.now(UTC), time.perf_counter()
    async with pool.connection() if held is None else contextlib.nullcontext(held) as connection:
        row = await fetch_one(connection, queries.context, {"conversation_id": conversation_id})
        if row is None:
            return None
        (state, epoch, business_id, inbox_id, wait_notice_at, customer, blocked, business, locale, timezone, active, model, fallbacks,
         request_deadline, turn_deadline, history_tokens, max_age_hours, wait_minutes, guidelines, rules, version, identities, spending, talked, informed, voice, strict_topics,
         specialist, contact_id, team, memory, untold, proved) = row  # fmt: skip
        kept = sessions.read(memory)
        lines = await fetch_all(
            connection,
            queries.lines,
            {
                "conversation_id": conversation_id,
                "history": HISTORY_LINES,
                "most": MOST_WAITING,
                "after": kept.after,
            },
        )
    files = {row[0]: hearing.arrived(row[7], row[8]) for row in lines if row[5]}
    waiting = sorted(
        (
            Waiting(
                row[0],
                hearing.line(Line(row[1], row[3] or f"[{row[2]}]", row[4], row[0]), files[row[0]]),
                row[6] or "",
            )
            for row in lines
            if row[5]
        ),
        key=lambda each: (each.line.at, each.id),
    )
    history = sorted(
        (
            Line(row[1], row[3], row[4], row[0], voice=row[2] == "audio" and row[1] == "customer")
            for row in lines
            if not row[5]
        ),
        key=lambda line: line.id,
    )
    inbox = inboxes.get(inbox_id)
    settings = conf.settings()
    standing = gate.read(spending, talked)
    verdict = gate.judge(standing)
    now = datetime.now(zone_named(timezone))
    known_as = identify(identities or ())
    provider = base.registered().get(inbox.kind) if inbox else None
    by_channel = provider is not None and provider.proves_number
    spent: list[ledger.Entry] = []
    notes = fusion.Notes(spent)
    talk = sessions.talk(
        kept, history, [each.line for each in waiting], locale=locale, unknown=words(locale)["unknown"], allowed=history_tokens,
        models=(model or settings.model, *filter(None, map(str.strip, fallbacks.split(",")))), told=guidelines,
    )  # fmt: skip
    turn = Turn(
        business_name=business,
        locale=locale,
        channel=inbox.kind if inbox else "",
        question=talk.question,
        now=now,
        history=talk.history,
        summary=talk.summary,
        facts=talk.facts,
        guidelines=guidelines,
        guideline_version=version,
        customer_name=customer,
        model=model or settings.model,
        fallback_models=tuple(part.strip() for part in fallbacks.split(",") if part.strip())
        or settings.fallback_models,
        history_tokens=history_tokens,
        request_deadline=float(request_deadline),
        turn_deadline=float(turn_deadline),
        words=words(locale),
        approved=_approved(pool, business_id),
        passages=_passages(pool, business_id, notes, free=verdict.step in gate.FREE) if informed else None,
        proposals=CARRIED_OUT,
        identity=proving.level(known_as, proved, by_channel=by_channel),
        customer_number=proving.number(known_as) if by_channel else "",
        document_text=hearing.document_text,
        spoken=voicing.wanted(voice, [each.line for each in waiting], inbox, verdict.step),
        strict=topics.strict(strict_topics),
        spent=lambda name, usage: spent.append(ledger.Entry(name, usage)),
    )
    caller = Caller(business_id, conversation_id, contact_id, turn.channel, turn.identity, turn.customer_number, locale)
    normal = verdict.step is gate.Step.NORMAL
    cast = casting.cast(
        turn, caller, team or (), "" if talk.fresh else specialist, rules, own_models=normal, fresh=talk.fresh
    )
    return Context(
        conversation_id, business_id, inbox_id, state, epoch, active, blocked, locale, timedelta(hours=max_age_hours),
        timedelta(minutes=wait_minutes), wait_notice_at, known_as, tuple(waiting), gate.apply(cast.turn, verdict, standing),
        standing, verdict, started, clock, cast, spent=spent,
        hold=hearing.hold([each.missing for each in files.values()]), talk=talk, caller=caller, untold=untold, notes=notes,
    )  # fmt: skip


def _approved(pool: Pool, business_id: int) -> Callable[[str], Awaitable[Sequence[ApprovedAnswer]]]:
    async def look_up(text: str) -> Sequence[ApprovedAnswer]:
        async with pool.connection() as connection:
            return await search.approved(connection, business_id, text, 3)

    return look_up


def _passages(
    pool: Pool, business_id: int, notes: fusion.Notes, *, free: bool
) -> Callable[[str], Awaitable[Sequence[Passage]]]:
    async def look_up(text: str) -> Sequence[Passage]:
        return await fusion.passages(pool, business_id, text, MOST_PASSAGES, free=free, notes=notes)

    return look_up


async def address(connection: Connection, conversation_id: int) -> tuple[Identity, ...]:
    """Every identity of the person in a conversation, oldest first."""
    return identify(await fetch_all(connection, queries.address, {"conversation_id": conversation_id}))


def identify(rows: Sequence[Sequence[str]]) -> tuple[Identity, ...]:
    """Rows of (key, address) as identities."""
    found = []
    for key, wire in rows:
        kind, _, value = key.partition(":")
        found.append(Identity(kind, value, wire))
    return tuple(found)
