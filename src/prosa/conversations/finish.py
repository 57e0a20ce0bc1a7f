"""The end of a turn: whether anything is said is decided here, in one transaction, under the conversation's lock.

A person may have taken over, or the customer may have written on, while the model thought.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prosa import sql, telemetry
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import OutboundMessage, Reply, TurnResult, Usage
from prosa.conversations import calling, intents, ownership, spent
from prosa.conversations.begin import MOST_WAITING, Context, Waiting
from prosa.conversations.cases import asking
from prosa.conversations.dispatch import RELEASED, Claim, Release
from prosa.conversations.guidelines import casting
from prosa.conversations.media import voicing
from prosa.conversations.models import State
from prosa.conversations.states import Move
from prosa.conversations.traces import tracing
from prosa.conversations.words import words
from prosa.costs import gate, ledger
from prosa.postgres.connections import Connection, Pool, fetch_one
from prosa.sql import Texts

log = logging.getLogger(__name__)
queries = sql.load(__file__, "finish.sql")

MOST_SUPERSEDED = 3
"""A customer who never stops typing still gets an answer: after this many dropped drafts the next one is sent."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What became of a turn. ``newer``: something newer waits."""

    outcome: str
    turn_id: int
    bubble_id: int | None
    newer: bool = False


class Finish:
    """Ends turns. ``wake`` is called when something is to be delivered."""

    def __init__(self, pool: Pool, inboxes: Inboxes, wake: Callable[[], None]) -> None:
        self._pool, self._inboxes, self._wake = pool, inboxes, wake

    async def answer(
        self, claim: Claim, context: Context, result: TurnResult | None, stages: dict[str, float]
    ) -> Release:
        """Say what the agent proposed, unless it may no longer be said; None = it was interrupted."""
        begun = time.perf_counter()
        bubbles = self._compose(context, result) if result is not None else []
        stages = {**stages, **(result.stages if result else {}), "total_ms": (begun - context.clock) * 1000}
        written = None
        if result is not None and _plain(context, result):
            outcome = _judge(context, claim, result, state=State.BOT, epoch=context.epoch, newer=False)
            async with self._pool.connection() as connection:
                row = await fetch_one(
                    connection, queries.finish, _columns(claim, context, result, outcome, bubbles, stages)
                )
            written = _Written(outcome, row[0], row[2]) if row is not None else None
        if written is None:
            async with self._pool.connection() as connection, connection.transaction():
                written = await self._weigh(connection, claim, context, result, bubbles, stages)
        if written is None:
            return RELEASED
        if bubbles and written.outcome == "answered":
            self._wake()
        told = result.usage if result is not None else Usage()
        model = result.model if result is not None else ""
        telemetry.note(
            turn=written.turn_id, business=context.business_id, inbox=context.inbox_id, message=written.bubble_id,
            outcome=written.outcome, model=model, input_tokens=told.input_tokens,
            output_tokens=told.output_tokens, requests=told.requests, cost=told.cost, guidelines=context.turn.guideline_version,
        )  # fmt: skip
        if log.isEnabledFor(logging.INFO):
            log.info(
                "turn",
                extra={
                    "conversation": context.conversation_id, "turn": written.turn_id, "outcome": written.outcome, "model": model,
                    "finish_ms": round((time.perf_counter() - begun) * 1000, 1), **{key: round(value, 1) for key, value in stages.items()},
                },
            )  # fmt: skip
        if written.outcome == "superseded":
            return Release(again_in=None if written.newer else 0.0, superseded=True)
        return RELEASED

    async def _weigh(
        self,
        connection: Connection,
        claim: Claim,
        context: Context,
        result: TurnResult | None,
        bubbles: Sequence[OutboundMessage],
        stages: dict[str, float],
    ) -> _Written | None:
        """Decide under the lock, and write that down with everything else the turn asks for; None = no longer ours."""
        held = await fetch_one(connection, queries.hold, _held(claim, context))
        if held is None or not held[2]:
            log.warning(
                "Conversation %d was given to another worker meanwhile; this answer is dropped.",
                context.conversation_id,
            )
            await _charge(connection, context)
            return None
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
        columns = _columns(claim, context, result, outcome, bubbles, stages) | {"held": True, "epoch": epoch}
        row = await fetch_one(connection, queries.finish, columns)
        if row is None:
            return None
        station = _left(context, result, outcome)
        if any(value is not None for value in station.values()):
            told = {"conversation_id": context.conversation_id, "business_id": context.business_id}
            await connection.execute(queries.station, told | station, prepare=True)
        await intents.carry_out(connection, context, result, outcome, row[0], row[2])
        return _Written(outcome, row[0], row[2], newer=held[3])

    def _compose(self, context: Context, result: TurnResult) -> list[OutboundMessage]:
        inbox = self._inboxes.get(context.inbox_id)
        if inbox is None:
            return []
        provider = base.provider(inbox.kind)
        bubbles = [bubble for reply in result.replies for bubble in provider.compose(reply)]
        return voicing.spoken(bubbles) if context.turn.spoken and result.model else bubbles

    async def charge(self, context: Context) -> None:
        """Book what models did for a turn that comes to nothing: what was paid for counts."""
        if context.spent:
            async with self._pool.connection() as connection, connection.transaction():
                await _charge(connection, context)

    async def keep_company(self, claim: Claim, context: Context) -> Release:
        """While people have not come yet: no model, one honest notice every so often; the messages stay unanswered."""
        due = context.wait_notice_at is None or context.turn.now - context.wait_notice_at >= context.wait_notice_every
        if not due:
            return Release()
        told = await calling.truth(self._pool, context.conversation_id, context.locale, awaited=True)
        result = TurnResult((Reply(f"{words(context.locale)['still_waiting']} {told}".strip()),), model="")
        bubbles = self._compose(context, result)
        async with self._pool.connection() as connection, connection.transaction():
            held = await fetch_one(connection, queries.hold, _held(claim, context))
            if held is None or not held[2] or held[1] != context.epoch:
                return RELEASED if held is None or not held[2] else Release()
            columns = _columns(claim, context, result, "notice", bubbles, {}) | {"held": True}
            await fetch_one(connection, queries.finish, columns)
            await connection.execute(queries.noticed, {"conversation_id": context.conversation_id})
        self._wake()
        return RELEASED

    async def settle(self, context: Context, messages: Sequence[Waiting], reason: str) -> None:
        """Messages nobody needs to answer any more; the timeline says why."""
        async with self._pool.connection() as connection:
            await calling.settle(connection, context.conversation_id, [each.id for each in messages], reason)


async def _charge(connection: Connection, context: Context) -> None:
    day = context.standing.day
    await spent.book(connection, context.business_id, context.conversation_id, day, context.spent)


def _judge(context: Context, claim: Claim, result: TurnResult | None, *, state: str, epoch: int, newer: bool) -> str:
    """What becomes of a proposal, under the lock."""
    if state != State.BOT or epoch != context.epoch:
        return "withheld"
    if result is None:
        return "superseded"
    if newer and not result.wrote and claim.superseded < MOST_SUPERSEDED:
        return "superseded"
    return "answered" if result.replies or result.handoff else "silent"


def _plain(context: Context, result: TurnResult) -> bool:
    """Whether the answer is all there is to write, so that one statement can check and write it."""
    # What _judge would say after the lock is asked for in that statement; whatever it does not find goes the long way.
    usual = result.handoff is None and context.verdict.step is gate.Step.NORMAL
    stays = all(value is None for value in _left(context, result, "answered").values())
    return usual and stays and intents.nothing(context, result)


def _left(context: Context, result: TurnResult | None, outcome: str) -> dict[str, Any]:
    """What the conversation remembers from this answer on: who has it, and in which language; None = as it was."""
    return {
        **casting.left(context.cast, result, outcome),
        "language": context.language if outcome == "answered" else None,
    }


def _held(claim: Claim, context: Context) -> dict[str, Any]:
    return {
        "conversation_id": context.conversation_id,
        "dispatch_id": claim.id,
        "owner": claim.owner,
        "claim": claim.claim,
    }


def _columns(
    claim: Claim,
    context: Context,
    result: TurnResult | None,
    outcome: str,
    bubbles: Sequence[OutboundMessage],
    stages: dict[str, float],
) -> dict[str, Any]:
    """What ``finish`` writes, as for a plain answer."""
    said = bubbles if outcome in ("answered", "notice") else []
    settles = outcome in ("answered", "silent")
    return {
        **record(context, result, outcome, bubbles, stages),
        **_held(claim, context),
        "held": False,
        "regardless": (result is not None and result.wrote) or claim.superseded >= MOST_SUPERSEDED,
        "inbox_id": context.inbox_id,
        "author": "system" if result is not None and result.model == "" else "bot",
        "epoch": context.epoch,
        "kinds": Texts([bubble.kind for bubble in said]),
        "texts": Texts([bubble.text for bubble in said]),
        "payloads": Texts([sql.jsonb(bubble.payload) if bubble.payload else None for bubble in said]),
        "answers": [each.id for each in context.waiting] if settles else [],
        "release": outcome != "superseded",
        "more": settles and (len(context.waiting) >= MOST_WAITING or asking.left(context, result, outcome)),
    }


def record(
    context: Context,
    result: TurnResult | None,
    outcome: str,
    bubbles: Sequence[OutboundMessage],
    stages: dict[str, float],
) -> dict[str, Any]:
    """The row of a turn, and what goes to the ledger."""
    used = spent.entries(context.spent, result)
    asked = [entry.usage for entry in used if entry.purpose == "turn"]
    return {
        "conversation_id": context.conversation_id,
        "business_id": context.business_id,
        "outcome": outcome,
        "started_at": context.started,
        "model": result.model[:200] if result else "",
        "input_tokens": sum(usage.input_tokens for usage in asked),
        "output_tokens": sum(usage.output_tokens for usage in asked),
        "requests": sum(usage.requests for usage in asked),
        "cost": result.usage.cost if result is not None else None,
        "day": context.standing.day,
        "used": ledger.packed(used),
        "guideline_version": context.turn.guideline_version,
        "stages": json.dumps({key: round(value, 2) for key, value in stages.items()}),
        "trace": sql.jsonb(
            {
                **(result.trace if result else {}),
                "budget": gate.trace(context.verdict, context.standing),
                "rules": casting.rules(context.cast, result) if context.cast else [],
                **tracing.decided(context, result, outcome),
            }
        ),
        "draft": "" if outcome == "answered" else sql.clean("\n\n".join(bubble.text for bubble in bubbles)).decode(),
        "error": sql.clean(result.error if result else "").decode(),
    }
