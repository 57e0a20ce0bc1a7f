"""From what was spent and what may be to how the next answer is made. Pure: the table of its test is its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from prosa.contracts import Json, Turn

SHORTER = 4
"""A short context holds this part of the usual budget for history: the newest quarter."""


class Step(StrEnum):
    """How an answer is made, from best to last. Each step includes the savings of those before it."""

    NORMAL = "normal"
    CHEAPER = "cheaper"
    """Another, cheaper model."""
    SHORT = "short"
    """Also with less of what was said before."""
    APPROVED_ONLY = "approved_only"
    """No model: approved answers, and a person where none fits."""
    HANDOFF = "handoff"
    """No model: a person at once."""


ORDER = tuple(Step)
FREE = frozenset({Step.APPROVED_ONLY, Step.HANDOFF})
"""The steps that may cost nothing any more."""


@dataclass(frozen=True, slots=True)
class Limit:
    """US dollars. From ``soft`` on we save, at ``hard`` nothing is left; None is no limit."""

    soft: Decimal | None = None
    hard: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a business, and where asked a conversation, has spent; with its limits.

    ``day`` is the business's own. ``turn_spent`` is the dearest answer of the conversation. ``unpriced`` counts the
    day's requests whose price nobody knows: they are in none of the sums.
    """

    day: date
    day_spent: Decimal = Decimal(0)
    unpriced: int = 0
    conversation_spent: Decimal = Decimal(0)
    turn_spent: Decimal = Decimal(0)
    per_day: Limit = Limit()
    per_conversation: Limit = Limit()
    per_turn: Limit = Limit()
    cheap_model: str = ""
    at_limit: str = "approved"
    request_tokens: int = 0
    answer_tokens: int = 0
    exhausted: frozenset[str] = frozenset()
    """Models whose quota of requests is used up, for the day or for this minute."""

    @property
    def left(self) -> Decimal | None:
        """What the next answer may cost: the least any hard limit leaves; None without one."""
        limits = (
            (self.per_day.hard, self.day_spent),
            (self.per_conversation.hard, self.conversation_spent),
            (self.per_turn.hard, Decimal(0)),
        )
        return min((max(hard - spent, Decimal(0)) for hard, spent in limits if hard is not None), default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step, and which limit asks for it: ``day``, ``conversation`` or ``turn``; empty when none does."""

    step: Step = Step.NORMAL
    scope: str = ""
    spent: Decimal = Decimal(0)


def read(row: Mapping[str, Any], conversation: Sequence[Decimal | None] | None = None) -> Standing:
    """What ``prosa_costs_standing`` gave, with a conversation's (sum, dearest answer) when those were read."""

    def limit(scope: str) -> Limit:
        soft, hard = row[f"{scope}_soft"], row[f"{scope}_hard"]
        return Limit(Decimal(soft) if soft is not None else None, Decimal(hard) if hard is not None else None)

    spent, dearest = conversation or (None, None)
    return Standing(
        day=date.fromisoformat(row["day"]),
        day_spent=Decimal(row["spent"]),
        unpriced=row["unpriced"],
        conversation_spent=spent or Decimal(0),
        turn_spent=dearest or Decimal(0),
        per_day=limit("day"),
        per_conversation=limit("conversation"),
        per_turn=limit("turn"),
        cheap_model=row["cheap_model"],
        at_limit=row["at_limit"],
        request_tokens=row.get("request_tokens") or 0,
        answer_tokens=row.get("answer_tokens") or 0,
        exhausted=frozenset(row.get("exhausted") or ()),
    )


def judge(standing: Standing) -> Verdict:
    """The furthest step any limit asks for; of equals the day's, then the conversation's."""
    last = Step.HANDOFF if standing.at_limit == "handoff" else Step.APPROVED_ONLY
    asked = [
        Verdict(_step(standing.day_spent, standing.per_day, last), "day", standing.day_spent),
        Verdict(
            _step(standing.conversation_spent, standing.per_conversation, last),
            "conversation",
            standing.conversation_spent,
        ),
        # One dear answer is a reason to make the next ones cheaper, not to stop answering.
        Verdict(_single(standing.turn_spent, standing.per_turn), "turn", standing.turn_spent),
    ]
    verdict = max(asked, key=lambda each: ORDER.index(each.step))
    return verdict if verdict.step is not Step.NORMAL else Verdict()


def _step(spent: Decimal, limit: Limit, last: Step) -> Step:
    """The first half of the way from soft to hard saves on the model, the second also on the context."""
    if limit.hard is not None and spent >= limit.hard:
        return last
    if limit.soft is None or spent < limit.soft:
        return Step.NORMAL
    if limit.hard is not None and spent * 2 >= limit.soft + limit.hard:
        return Step.SHORT
    return Step.CHEAPER


def _single(dearest: Decimal, limit: Limit) -> Step:
    if limit.hard is not None and dearest >= limit.hard:
        return Step.SHORT
    return Step.CHEAPER if limit.soft is not None and dearest >= limit.soft else Step.NORMAL


def apply(turn: Turn, verdict: Verdict, standing: Standing) -> Turn:
    """The turn as this step makes it, with what it may use. ``handoff`` asks no agent; its turn is as ``approved_only``'s."""
    turn = replace(
        turn, allowance=standing.left, request_tokens=standing.request_tokens, answer_tokens=standing.answer_tokens
    )
    if verdict.step is Step.NORMAL:
        return _within_quotas(turn, standing)
    if verdict.step in (Step.APPROVED_ONLY, Step.HANDOFF):
        return replace(turn, model="offline", fallback_models=())
    if cheap := cheaper(
        turn.model, turn.fallback_models, standing.cheap_model
    ):  # falling back to the dear one would spend what is being saved
        others = tuple(name for name in turn.fallback_models if name not in (cheap, turn.model))
        turn = replace(turn, model=cheap, fallback_models=others)
    if verdict.step is Step.SHORT:
        turn = replace(turn, history_tokens=turn.history_tokens // SHORTER)
    return _within_quotas(turn, standing)


def cheaper(model: str, fallback_models: Sequence[str], cheap_model: str) -> str:
    """The model that answers where money is saved: the budget's, else the first other one; empty when there is none."""
    return cheap_model or next((name for name in fallback_models if name != model), "")


def _within_quotas(turn: Turn, standing: Standing) -> Turn:
    """The chain of models without those whose quota is used up. Where none is left, no model is asked."""
    gone = standing.exhausted
    if not gone:
        return turn
    chain = [name for name in (turn.model, *turn.fallback_models) if name not in gone]
    own = tuple(replace(each, model="") if each.model in gone else each for each in turn.specialists)
    first, *others = chain or ["offline"]
    return replace(turn, model=first, fallback_models=tuple(others), specialists=own)


def trace(verdict: Verdict, standing: Standing) -> Json:
    """For the turn's record."""
    told: Json = {"step": str(verdict.step), "day_spent": str(standing.day_spent)}
    if verdict.scope:
        told |= {"limit": verdict.scope, "spent": str(verdict.spent)}
    if standing.unpriced:
        told["unpriced_requests"] = standing.unpriced
    if standing.exhausted:
        told["exhausted"] = sorted(standing.exhausted)
    return told
