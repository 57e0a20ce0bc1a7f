"""One turn: read what waits, let the agent think with no transaction open, write the answer in one.

``run_turn`` is the handler of the lane ``turns``. Whether anything is said is decided in ``_finish``, under the
conversation's lock: a person may have taken over, or the customer may have written on, while the model thought.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from prosa import conf, sql
from prosa.agents import runner
from prosa.business import guidance
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import (
    ApprovedAnswer,
    Handoff,
    Identity,
    InboxConfig,
    Line,
    OutboundMessage,
    Passage,
    Reply,
    Turn,
    TurnResult,
)
from prosa.conversations import ownership, presence
from prosa.conversations.dispatch import RELEASED, Claim, Dispatcher, Release
from prosa.conversations.handoff import asks_for_person
from prosa.conversations.models import Lane, State
from prosa.conversations.states import Move
from prosa.conversations.words import words
from prosa.costs import gate, ledger
from prosa.http import Client
from prosa.knowledge import search
from prosa.postgres.connections import Connection, Pool, fetch_all, fetch_one
from prosa.sql import Texts

log = logging.getLogger(__name__)
queries = sql.load(__file__, "turns.sql")

HISTORY_LINES = 60
MOST_WAITING = 1000
"""Unanswered messages one turn takes up; what is beyond them gets the next one."""
MOST_SUPERSEDED = 3
"""A customer who never stops typing still gets an answer: after this many dropped drafts the next one is sent."""
CARRIED_OUT = frozenset({"bring_in_person", "send_options"})
"""Of an agent's proposals, those that ``_finish`` acts on."""
MOST_PASSAGES = 6
"""Passages of the business's knowledge one search gives the agent."""
GRACE_S = 15.0
"""Beyond the business's deadline for an answer, in which the agent must have given up by itself."""

Think = Callable[[Turn], Awaitable[TurnResult]]


@dataclass(frozen=True, slots=True)
class _Waiting:
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
    waiting: tuple[_Waiting, ...]
    turn: Turn
    standing: gate.Standing
    verdict: gate.Verdict
    started: datetime
    clock: float = field(default_factory=time.perf_counter)
    weighed: tuple[guidance.Choice, ...] = ()
    """Every conditional guideline, with why it was told or left out."""


class Turns:
    """The handler of the lane, with what it needs. ``think`` is the agent; tests and benchmarks may give another."""

    def __init__(self, pool: Pool, inboxes: Inboxes, client: Client, think: Think = runner.run) -> None:
        self._pool, self._inboxes, self._client, self._think = pool, inboxes, client, think
        self.dispatcher: Dispatcher | None = None

    async def run_turn(self, claim: Claim) -> Release:
        """Answer what waits in one conversation."""
        context = await self._begin(claim.conversation_id)
        if context is None or not context.waiting or not context.active:
            return Release()
        inbox = self._inboxes.get(context.inbox_id)
        if inbox is None:
            return Release(again_in=60, error="The inbox is not in service: see `prosa doctor`.")
        if context.blocked:
            await self._settle(context, context.waiting, "blocked")
            return Release()
        if context.state == State.AWAITING_AGENT:
            return await self._keep_company(claim, context)
        if context.state != State.BOT:
            return Release()
        old = [each for each in context.waiting if context.turn.now - each.line.at > context.max_age]
        if old:
            await self._settle(context, old, "too_old")
            context = replace(context, waiting=tuple(each for each in context.waiting if each not in old))
            if not context.waiting:
                return Release()
            context = replace(
                context, turn=replace(context.turn, question=tuple(each.line for each in context.waiting))
            )
        begun = time.perf_counter()
        result = await self._answer(claim, context, inbox)
        stages = {"queue_ms": claim.waited * 1000, "begin_ms": (begun - context.clock) * 1000}
        return await self._finish(claim, context, result, stages)

    # ── begin ──

    async def _begin(self, conversation_id: int) -> Context | None:
        started, clock = datetime.now(UTC), time.perf_counter()
        async with self._pool.connection() as connection:
            row = await fetch_one(connection, queries.context, {"conversation_id": conversation_id})
            if row is None:
                return None
            lines = await fetch_all(
                connection,
                queries.lines,
                {"conversation_id": conversation_id, "history": HISTORY_LINES, "most": MOST_WAITING},
            )
        (state, epoch, business_id, inbox_id, wait_notice_at, customer, blocked, business, locale, timezone, active, model, fallbacks,
         request_deadline, turn_deadline, history_tokens, max_age_hours, wait_minutes, guidelines, rules, version, identities, spending, talked, informed) = row  # fmt: skip
        waiting = sorted(
            (
                _Waiting(row[0], Line(row[1], row[3] or f"[{row[2]}]", row[4], row[0]), row[6] or "")
                for row in lines
                if row[5]
            ),
            key=lambda each: (each.line.at, each.id),
        )
        history = sorted(
            (Line(row[1], row[3], row[4], row[0]) for row in lines if not row[5]), key=lambda line: line.id
        )
        inbox = self._inboxes.get(inbox_id)
        settings = conf.settings()
        standing = gate.read(spending, talked)
        verdict = gate.judge(standing)
        now = datetime.now(ZoneInfo(timezone))
        weighed = guidance.choose(rules, now, inbox.kind if inbox else "")
        turn = Turn(
            business_name=business,
            locale=locale,
            channel=inbox.kind if inbox else "",
            question=tuple(each.line for each in waiting),
            now=now,
            history=tuple(history),
            guidelines=guidance.compose(guidelines, weighed),
            guideline_version=version,
            customer_name=customer,
            model=model or settings.model,
            fallback_models=tuple(part.strip() for part in fallbacks.split(",") if part.strip())
            or settings.fallback_models,
            history_tokens=history_tokens,
            request_deadline=float(request_deadline),
            turn_deadline=float(turn_deadline),
            words=words(locale),
            approved=self._approved(business_id),
            passages=self._passages(business_id) if informed else None,
            proposals=CARRIED_OUT,
        )
        return Context(
            conversation_id, business_id, inbox_id, state, epoch, active, blocked, locale, timedelta(hours=max_age_hours),
            timedelta(minutes=wait_minutes), wait_notice_at, identify(identities or ()), tuple(waiting), gate.apply(turn, verdict, standing),
            standing, verdict, started, clock, weighed,
        )  # fmt: skip

    def _approved(self, business_id: int) -> Callable[[str], Awaitable[Sequence[ApprovedAnswer]]]:
        async def look_up(text: str) -> Sequence[ApprovedAnswer]:
            async with self._pool.connection() as connection:
                return await search.approved(connection, business_id, text, 3)

        return look_up

    def _passages(self, business_id: int) -> Callable[[str], Awaitable[Sequence[Passage]]]:
        async def look_up(text: str) -> Sequence[Passage]:
            async with self._pool.connection() as connection:
                return await search.passages(connection, business_id, text, MOST_PASSAGES)

        return look_up

    # ── think ──

    async def _answer(self, claim: Claim, context: Context, inbox: InboxConfig) -> TurnResult | None:
        """The agent's proposal; None when news arrived first."""
        async with presence.typing(self._client, inbox, context.to, context.waiting[-1].provider_id):
            if any(asks_for_person(each.line.text) for each in context.waiting):
                return TurnResult((Reply(words(context.locale)["handed_off"]),), model="", handoff=Handoff("keyword"))
            if context.verdict.step is gate.Step.HANDOFF:
                return _over_budget(context)
            result = await self._ask(claim, context)
            # With no model to ask, a question that no approved answer fits is a person's; offering one would only delay it.
            saved = context.verdict.step is gate.Step.APPROVED_ONLY
            return _over_budget(context) if saved and result and result.trace.get("offline") == "unknown" else result

    async def _ask(self, claim: Claim, context: Context) -> TurnResult | None:
        news = asyncio.Event()

        def interrupt() -> None:
            news.set()
            thinking.cancel()

        turn = context.turn
        if (dispatcher := self.dispatcher) is not None and claim.superseded < MOST_SUPERSEDED:
            dispatcher.on_news(claim, interrupt)
            turn = replace(turn, before_write=lambda: dispatcher.on_news(claim, None))
        thinking = asyncio.ensure_future(self._think(turn))
        try:
            async with asyncio.timeout(context.turn.turn_deadline + GRACE_S):
                return await thinking
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            if not news.is_set():  # else a cancellation that leaked out of the agent would be repeated for ever
                raise RuntimeError("The agent's work was cancelled from within.") from None
            return None
        finally:
            thinking.cancel()
            if self.dispatcher is not None:
                self.dispatcher.on_news(claim, None)

    # ── finish ──

    async def _finish(
        self, claim: Claim, context: Context, result: TurnResult | None, stages: dict[str, float]
    ) -> Release:
        begun = time.perf_counter()
        bubbles = self._compose(context, result) if result is not None else []
        async with self._pool.connection() as connection, connection.transaction():
            held = await fetch_one(
                connection,
                queries.hold,
                {
                    "conversation_id": context.conversation_id,
                    "dispatch_id": claim.id,
                    "owner": claim.owner,
                    "claim": claim.claim,
                },
            )
            if held is None or not held[2]:
                log.warning(
                    "Conversation %d was given to another worker meanwhile; this answer is dropped.",
                    context.conversation_id,
                )
                return RELEASED
            outcome = _judge(context, claim, result, state=held[0], epoch=held[1], newer=held[3])
            epoch = context.epoch
            if result is not None and outcome == "answered" and result.handoff is not None:
                moved = await ownership.move(
                    connection,
                    context.conversation_id,
                    Move.HAND_OFF,
                    "bot",
                    reason=result.handoff.reason,
                    team=result.handoff.team,
                )
                epoch = moved[1] if moved else epoch
                await connection.execute(queries.noticed, {"conversation_id": context.conversation_id})
            if context.verdict.step is not gate.Step.NORMAL:
                await ledger.notice(connection, context.business_id, context.standing.day, context.verdict)
            said = bubbles if outcome == "answered" else []
            stages = {
                **stages,
                **(result.stages if result else {}),
                "total_ms": (time.perf_counter() - context.clock) * 1000,
            }
            row = await fetch_one(
                connection,
                queries.finish,
                {
                    **_record(context, result, outcome, bubbles, stages),
                    "dispatch_id": claim.id,
                    "inbox_id": context.inbox_id,
                    "author": "system" if result is not None and result.model == "" else "bot",
                    "epoch": epoch,
                    **_columns(said),
                    "answers": [each.id for each in context.waiting] if outcome in ("answered", "silent") else [],
                    "release": outcome != "superseded",
                    "more": outcome in ("answered", "silent") and len(context.waiting) >= MOST_WAITING,
                },
            )
        if self.dispatcher is not None and said:
            self.dispatcher.wake()
        log.info(
            "turn",
            extra={
                "conversation": context.conversation_id, "turn": row[0] if row else None, "outcome": outcome, "model": result.model if result else "",
                "finish_ms": round((time.perf_counter() - begun) * 1000, 1), **{key: round(value, 1) for key, value in stages.items()},
            },
        )  # fmt: skip
        if outcome == "superseded":
            return Release(again_in=None if held[3] else 0.0, superseded=True)
        return RELEASED

    def _compose(self, context: Context, result: TurnResult) -> list[OutboundMessage]:
        inbox = self._inboxes.get(context.inbox_id)
        if inbox is None:
            return []
        provider = base.provider(inbox.kind)
        return [bubble for reply in result.replies for bubble in provider.compose(reply)]

    async def _keep_company(self, claim: Claim, context: Context) -> Release:
        """While people have not come yet: no model, one honest notice every so often; the messages stay unanswered."""
        due = context.wait_notice_at is None or context.turn.now - context.wait_notice_at >= context.wait_notice_every
        if not due:
            return Release()
        result = TurnResult((Reply(words(context.locale)["still_waiting"]),), model="")
        bubbles = self._compose(context, result)
        async with self._pool.connection() as connection, connection.transaction():
            held = await fetch_one(
                connection,
                queries.hold,
                {
                    "conversation_id": context.conversation_id,
                    "dispatch_id": claim.id,
                    "owner": claim.owner,
                    "claim": claim.claim,
                },
            )
            if held is None or not held[2] or held[1] != context.epoch:
                return RELEASED if held is None or not held[2] else Release()
            await fetch_one(
                connection,
                queries.finish,
                {
                    **_record(context, result, "notice", bubbles, {}),
                    "dispatch_id": claim.id, "inbox_id": context.inbox_id, "author": "system", "epoch": context.epoch,
                    **_columns(bubbles), "answers": [], "release": True, "more": False,
                },
            )  # fmt: skip
            await connection.execute(queries.noticed, {"conversation_id": context.conversation_id})
        if self.dispatcher is not None:
            self.dispatcher.wake()
        return RELEASED

    async def _settle(self, context: Context, messages: Sequence[_Waiting], reason: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                queries.settle,
                {
                    "conversation_id": context.conversation_id,
                    "business_id": context.business_id,
                    "ids": [each.id for each in messages],
                    "reason": reason,
                },
                prepare=True,
            )

    async def bury(self, conversation_id: int, lane: Lane) -> None:
        """A dead letter in a conversation: people must see it, for the customer waits."""
        if lane is Lane.TURNS:
            with contextlib.suppress(psycopg.Error):
                async with self._pool.connection() as connection, connection.transaction():
                    await ownership.move(connection, conversation_id, Move.HAND_OFF, "system", reason="turn_failed")


def _judge(context: Context, claim: Claim, result: TurnResult | None, *, state: str, epoch: int, newer: bool) -> str:
    """What becomes of a proposal, under the lock."""
    if state != State.BOT or epoch != context.epoch:
        return "withheld"
    if result is None:
        return "superseded"
    if newer and not result.wrote and claim.superseded < MOST_SUPERSEDED:
        return "superseded"
    return "answered" if result.replies or result.handoff else "silent"


def _over_budget(context: Context) -> TurnResult:
    """Pass the conversation to people because nothing may be spent on it, and say so. Costs nothing."""
    return TurnResult((Reply(words(context.locale)["over_budget"]),), model="", handoff=Handoff("budget"))


def _columns(bubbles: Sequence[OutboundMessage]) -> dict[str, Any]:
    return {
        "kinds": Texts([bubble.kind for bubble in bubbles]),
        "texts": Texts([bubble.text for bubble in bubbles]),
        "payloads": Texts([sql.jsonb(bubble.payload) if bubble.payload else None for bubble in bubbles]),
    }


def _record(
    context: Context,
    result: TurnResult | None,
    outcome: str,
    bubbles: Sequence[OutboundMessage],
    stages: dict[str, float],
) -> dict[str, Any]:
    usage = result.usage if result is not None else None
    return {
        "conversation_id": context.conversation_id,
        "business_id": context.business_id,
        "outcome": outcome,
        "started_at": context.started,
        "model": result.model[:200] if result else "",
        "input_tokens": usage.input_tokens if usage else 0,
        "output_tokens": usage.output_tokens if usage else 0,
        "requests": usage.requests if usage else 0,
        "cost": usage.cost if usage else None,
        "day": context.standing.day,
        "used": ledger.packed([ledger.Entry(result.model, result.usage)]) if result else None,
        "guideline_version": context.turn.guideline_version,
        "stages": json.dumps({key: round(value, 2) for key, value in stages.items()}),
        "trace": sql.jsonb(
            {
                **(result.trace if result else {}),
                "budget": gate.trace(context.verdict, context.standing),
                "rules": [choice.trace() for choice in context.weighed],
            }
        ),
        "draft": "" if outcome == "answered" else sql.clean("\n\n".join(bubble.text for bubble in bubbles)).decode(),
        "error": sql.clean(result.error if result else "").decode(),
    }


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
