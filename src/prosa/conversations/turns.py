"""One turn: read what waits, let the agent think with no transaction open, write the answer in one.

``run_turn`` is the handler of the lane ``turns``. Whether anything is said is decided in ``finish``, under the
conversation's lock: a person may have taken over, or the customer may have written on, while the model thought.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import psycopg

from prosa import telemetry
from prosa.agents import offline, runner
from prosa.channels.inboxes import Inboxes
from prosa.contracts import Handoff, InboxConfig, Reply, Turn, TurnResult
from prosa.conversations import calling, presence
from prosa.conversations.acts import pending, proving
from prosa.conversations.acts.executions import Ledger, NotOurs
from prosa.conversations.begin import Context, begin
from prosa.conversations.cases import asking
from prosa.conversations.dispatch import Claim, Dispatcher, Release
from prosa.conversations.finish import MOST_SUPERSEDED, Finish
from prosa.conversations.guidelines import meaning
from prosa.conversations.lanes import Lane
from prosa.conversations.media import hearing
from prosa.conversations.models import State
from prosa.conversations.words import words
from prosa.costs import gate
from prosa.http import Client
from prosa.postgres.connections import Pool

GRACE_S = 15.0
"""Beyond the business's deadline for an answer, in which the agent must have given up by itself."""

Think = Callable[[Turn], Awaitable[TurnResult]]


class Turns:
    """The handler of the lane, with what it needs. ``think`` is the agent; tests and benchmarks may give another."""

    def __init__(self, pool: Pool, inboxes: Inboxes, client: Client, think: Think = runner.run) -> None:
        self._pool, self._inboxes, self._client, self._think = pool, inboxes, client, think
        self.dispatcher: Dispatcher | None = None
        self._finish = Finish(pool, inboxes, self._wake)

    async def run_turn(self, claim: Claim) -> Release:
        """Answer what waits in one conversation."""
        with telemetry.span("begin"):
            context = await begin(self._pool, self._inboxes, claim.conversation_id)
        if context is None or not context.active or not (context.waiting or asking.due(context)):
            return Release()
        inbox = self._inboxes.get(context.inbox_id)
        if inbox is None:
            return Release(again_in=60, error="The inbox is not in service: see `prosa doctor`.")
        if context.blocked:
            await self._finish.settle(context, context.waiting, "blocked")
            return Release()
        if context.state == State.AWAITING_AGENT:
            return await self._finish.keep_company(claim, context)
        if context.state != State.BOT:
            return Release()
        old = [each for each in context.waiting if context.turn.now - each.line.at > context.max_age]
        if old and len(old) == len(context.waiting) and not asking.due(context):
            ids = [each.id for each in old]
            await calling.summon(self._pool, context.conversation_id, "too_old", said="still_waiting", too_old=ids)
            return Release()
        if old:
            await self._finish.settle(context, old, "too_old")
            context = replace(context, waiting=tuple(each for each in context.waiting if each not in old))
            context = replace(
                context,
                turn=replace(
                    context.turn, question=tuple(each.line for each in context.waiting if each.id > context.talk.reset)
                ),
            )
        if context.hold is not None:
            return Release(again_in=context.hold)
        begun = time.perf_counter()
        try:
            with telemetry.span("think"):
                context = await self._act(claim, await meaning.weighed(self._pool, context))
                result = await calling.considered(self._pool, context, await self._answer(claim, context, inbox))
        except NotOurs:  # a person, or another worker, has it now
            result = None
        except Exception:
            await self._finish.charge(context)
            raise
        stages = {"queue_ms": claim.waited * 1000, "begin_ms": (begun - context.clock) * 1000}
        with telemetry.span("finish"):
            return await self._finish.answer(claim, context, result, stages)

    async def _act(self, claim: Claim, context: Context) -> Context:
        """What may be done in this turn; and first, what the customer has just confirmed.

        :raises NotOurs: somebody else has the conversation.
        """
        messages = [each.id for each in context.waiting]
        ledger = Ledger(self._pool, claim, context.conversation_id, context.business_id, context.epoch, messages)
        if not context.waiting:
            return replace(context, turn=asking.alone(context.turn))
        turn = replace(context.turn, execute=ledger.execute, confirms=True)
        if context.caller is not None:
            turn = proving.offered(turn, context.caller, self._pool, context.to)
        context = replace(context, turn=turn)
        if not context.untold or context.called:
            return context
        settled = await pending.settle(ledger, context)
        return replace(context, turn=settled.turn, settled=settled)

    def _wake(self) -> None:
        if self.dispatcher is not None:
            self.dispatcher.wake()

    async def _answer(self, claim: Claim, context: Context, inbox: InboxConfig) -> TurnResult | None:
        """The agent's proposal; None when news arrived first."""
        if not context.waiting:
            return await answered(context, partial(self._ask, claim, context))
        async with presence.typing(self._client, inbox, context.to, context.waiting[-1].provider_id):
            return await answered(context, partial(self._ask, claim, context))

    async def _ask(self, claim: Claim, context: Context) -> TurnResult | None:
        news = asyncio.Event()

        def interrupt() -> None:
            news.set()
            thinking.cancel()

        turn = context.turn
        if (dispatcher := self.dispatcher) is not None and claim.superseded < MOST_SUPERSEDED and not turn.deeds:
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

    async def bury(self, conversation_id: int, lane: Lane) -> None:
        """A dead letter in a conversation: people must see it, and the customer hears that they were called."""
        if lane is Lane.TURNS:
            with contextlib.suppress(psycopg.Error):
                await calling.summon(self._pool, conversation_id, "turn_failed", said="over_budget")


async def answered(context: Context, ask: Callable[[], Awaitable[TurnResult | None]]) -> TurnResult | None:
    """What is said to what waits: a fixed sentence where one will do, else what ``ask`` gets from the agent.

    None when the asking was interrupted. A trial of guidelines (``trying``) goes the same way.
    """
    if context.called:
        return TurnResult(
            (Reply(context.turn.words["handed_off"]),),
            model="",
            handoff=Handoff("button" if context.pressed else "keyword"),
        )
    afresh = Reply(words(context.locale)["forgotten" if context.talk.forget else "afresh"])
    if context.talk.reset and not context.turn.question:
        return offline.deeds(context.turn) or TurnResult((afresh,), model="")
    if context.settled is not None and context.settled.result is not None:
        return context.settled.result
    if (over := asking.given_up(context)) is not None:
        return over
    if context.verdict.step is gate.Step.HANDOFF and (context.waiting or not asking.due(context)):
        return offline.deeds(context.turn) or _over_budget(context)
    if hearing.unheard_only(context.turn.question):
        return TurnResult((Reply(words(context.locale)["unheard"]),), model="")
    result = await ask()
    result = hearing.owned_up(context.turn, asking.told(context, result), words(context.locale)) if result else None
    if result and context.talk.reset:
        result = replace(result, replies=(afresh, *result.replies))
    # With no model to ask, a question that no approved answer fits is a person's; offering one would only delay it.
    saved = context.verdict.step is gate.Step.APPROVED_ONLY
    if saved and result and result.trace.get("offline") == "unknown":
        return replace(_over_budget(context), trace=result.trace)
    return result


def _over_budget(context: Context) -> TurnResult:
    """Pass the conversation to people because nothing may be spent on it, and say so. Costs nothing."""
    return TurnResult((Reply(words(context.locale)["over_budget"]),), model="", handoff=Handoff("budget"))
