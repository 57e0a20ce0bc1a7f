"""The beginning of a turn: everything it will know is read in one short look, so that no transaction is open while it thinks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from prosa import conf, sql
from prosa.agents.proposals import ASK
from prosa.business.zones import zone_named
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import ApprovedAnswer, Caller, Identity, Line, Passage, Turn
from prosa.conversations import calling, linking, sessions, tongue
from prosa.conversations.acts import pending, proving
from prosa.conversations.cases import asking
from prosa.conversations.guidelines import casting, topics
from prosa.conversations.handoff import BUTTON, asks_for_person
from prosa.conversations.media import hearing, voicing
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
    unspoken: str = ""
    """Why an answer that was to be spoken is written; empty when it is spoken, or nobody asked for it."""
    called: bool = False
    """Whether the customer asks for a person in so many words, or with our button."""
    pressed: bool = False
    """Whether with the button."""
    calls: calling.Rules = field(default_factory=calling.Rules)
    """When the business calls people, and what it says then."""
    settled: pending.Settled | None = None
    """What of the past the turn reads, and what is to be done about it."""
    case: asking.Standing | None = None
    """The question to people that is open, or whose answer the customer has not heard."""
    language: str | None = None
    """The language the customer is spoken to in from this answer on, empty for the business's; None = as it was."""


class Found(NamedTuple):
    """The columns of the query ``context``, in its order."""

    state: str
    epoch: int
    business_id: int
    inbox_id: int
    wait_notice_at: datetime | None
    customer: str
    blocked: bool
    business: str
    locale: str
    timezone: str
    active: bool
    model: str
    fallback_models: str
    request_deadline: int
    turn_deadline: int
    history_tokens: int
    max_age_hours: int
    wait_notice_minutes: int
    guidelines: str
    rules: list[Any]
    guideline_version: int
    identities: list[list[str]] | None
    standing: dict[str, Any]
    conversation_spent: Sequence[Decimal | None] | None
    informed: bool
    """Whether there are passages to search."""
    answers: bool
    """Whether there are approved answers to look up."""
    voice: list[str]
    strict_topics: str
    specialist: str
    contact_id: int
    team: list[list[Any]] | None
    memory: dict[str, Any]
    untold: bool
    proved: list[str] | None
    state_at: datetime
    calling: list[str]
    teams: list[list[str]] | None
    asks: bool
    """Whether there are people to put a question to, and the business wants it."""
    case: list[Any] | None
    language: str


class _Lines(NamedTuple):
    """What was said. ``missing`` of each waiting message's files (``hearing.arrived``); ``typed``: the customer's own words that
    wait; ``called`` and ``pressed`` as in ``Context``."""

    waiting: list[Waiting]
    history: list[Line]
    missing: list[float | None]
    typed: list[str]
    called: bool
    pressed: bool


async def begin(pool: Pool, inboxes: Inboxes, conversation_id: int, held: Connection | None = None) -> Context | None:
    """The conversation as it is now; None when there is none. Read on ``held``, when that is given: see ``trying``."""
    started, clock = datetime.now(UTC), time.perf_counter()
    async with pool.connection() if held is None else contextlib.nullcontext(held) as connection:
        row = await fetch_one(connection, queries.context, {"conversation_id": conversation_id})
        if row is None:
            return None
        found = Found._make(row)
        kept = sessions.read(found.memory)
        lines = await fetch_all(
            connection,
            queries.lines,
            {
                "conversation_id": conversation_id,
                "history": HISTORY_LINES,
                "most": MOST_WAITING,
                "after": kept.after,
                "since": found.state_at,
            },
        )
    rules = calling.Rules(found.calling[0], found.calling[1], int(found.calling[2]), found.calling[3])
    waiting, history, missing, typed, called, pressed = _read(lines, rules)
    asked = [each.line for each in waiting]
    inbox = inboxes.get(found.inbox_id)
    settings = conf.settings()
    first = not any(line.author == "customer" for line in history)
    spoken = tongue.heard(typed, found.language, found.locale, first=first)
    locale = tongue.locale(spoken, found.locale)
    fixed = calling.worded(locale, found.locale, rules.text)
    model = found.model or settings.model
    fallbacks = tuple(part.strip() for part in found.fallback_models.split(",") if part.strip())
    standing = gate.read(found.standing, found.conversation_spent)
    verdict = gate.judge(standing)
    zone = zone_named(found.timezone)
    now = datetime.now(zone)
    case = asking.read(found.case, zone)
    known_as = identify(found.identities or ())
    provider = base.registered().get(inbox.kind) if inbox else None
    by_channel = provider is not None and provider.proves_number
    spent: list[ledger.Entry] = []
    notes = fusion.Notes(spent)
    talk = sessions.talk(
        kept, history, asked, locale=locale, unknown=fixed["unknown"], allowed=found.history_tokens,
        models=(model, *fallbacks), told=found.guidelines,
    )  # fmt: skip
    aloud = voicing.wanted(found.voice, asked, inbox, verdict.step)
    turn = Turn(
        business_name=found.business,
        locale=locale,
        channel=inbox.kind if inbox else "",
        question=talk.question,
        now=now,
        history=talk.history,
        summary=talk.summary,
        facts=talk.facts,
        guidelines=found.guidelines,
        guideline_version=found.guideline_version,
        customer_name=found.customer,
        model=model,
        fallback_models=fallbacks or settings.fallback_models,
        history_tokens=found.history_tokens,
        request_deadline=float(found.request_deadline),
        turn_deadline=float(found.turn_deadline),
        words=fixed,
        approved=_approved(pool, found.business_id) if found.answers else None,
        passages=_passages(pool, found.business_id, notes, free=verdict.step in gate.FREE) if found.informed else None,
        proposals=CARRIED_OUT | {ASK} if found.asks and not (case and case.due) else CARRIED_OUT,
        asked=asking.asked(case),
        teams=tuple((name, about) for name, about in found.teams or ()),
        identity=proving.level(known_as, found.proved, by_channel=by_channel),
        customer_number=proving.number(known_as) if by_channel else "",
        document_text=hearing.document_text,
        spoken=aloud == voicing.SPEAK,
        strict=topics.strict(found.strict_topics),
        spent=lambda name, usage: spent.append(ledger.Entry(name, usage)),
    )
    caller = Caller(
        found.business_id, conversation_id, found.contact_id, turn.channel, turn.identity, turn.customer_number, locale,
        linking.for_tools(pool, found.business_id, found.contact_id),
    )  # fmt: skip
    normal = verdict.step is gate.Step.NORMAL
    current = "" if talk.fresh else found.specialist
    cast = casting.cast(turn, caller, found.team or (), current, found.rules, own_models=normal, fresh=talk.fresh)
    return Context(
        conversation_id=conversation_id,
        business_id=found.business_id,
        inbox_id=found.inbox_id,
        state=found.state,
        epoch=found.epoch,
        active=found.active,
        blocked=found.blocked,
        locale=locale,
        max_age=timedelta(hours=found.max_age_hours),
        wait_notice_every=timedelta(minutes=found.wait_notice_minutes),
        wait_notice_at=found.wait_notice_at,
        to=known_as,
        waiting=tuple(waiting),
        turn=gate.apply(cast.turn, verdict, standing),
        standing=standing,
        verdict=verdict,
        started=started,
        clock=clock,
        cast=cast,
        hold=hearing.hold(missing),
        spent=spent,
        talk=talk,
        caller=caller,
        untold=found.untold,
        notes=notes,
        unspoken="" if aloud == voicing.SPEAK else aloud,
        called=called or pressed,
        pressed=pressed,
        calls=rules,
        case=case,
        language=spoken if spoken != found.language else None,
    )


def _read(lines: Sequence[Sequence[Any]], rules: calling.Rules) -> _Lines:
    """The rows of the query ``lines``."""
    waiting: list[Waiting] = []
    history: list[Line] = []
    missing: list[float | None] = []
    typed: list[str] = []
    called = pressed = False
    for message_id, author, kind, text, at, pending_, provider_id, files, age, new, button in lines:
        if pending_:
            arrived = hearing.arrived(files, age)
            missing.append(arrived.missing)
            line = hearing.line(Line(author, text or f"[{kind}]", at, message_id), arrived)
            waiting.append(Waiting(message_id, line, provider_id or ""))
            # What was written before the conversation came (back) to the bot calls nobody again.
            called = called or (new and asks_for_person(line.text, rules.words, rules.without))
            pressed = pressed or (new and button == BUTTON)
            if not button:  # what stands on a button is in our language, not theirs
                typed.append(line.text)
        else:
            history.append(Line(author, text, at, message_id, voice=kind == "audio" and author == "customer"))
    waiting.sort(key=lambda each: (each.line.at, each.id))
    history.sort(key=lambda line: line.id)
    return _Lines(waiting, history, missing, typed, called, pressed)


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


def identify(rows: Sequence[Sequence[str]]) -> tuple[Identity, ...]:
    """Rows of (key, address) as identities."""
    found = []
    for key, wire in rows:
        kind, _, value = key.partition(":")
        found.append(Identity(kind, value, wire))
    return tuple(found)
