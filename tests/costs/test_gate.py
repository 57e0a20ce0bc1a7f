"""From money to step: the whole rule as a table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from prosa.contracts import Turn
from prosa.costs.gate import Limit, Standing, Step, Verdict, apply, judge, read

TODAY = date(2026, 11, 21)


def limit(soft: str | None, hard: str | None) -> Limit:
    return Limit(Decimal(soft) if soft else None, Decimal(hard) if hard else None)


@pytest.mark.parametrize(
    ("spent", "soft", "hard", "step"),
    [
        ("0", None, None, "normal"),
        ("999", None, None, "normal"),
        ("0.9999", "1", "3", "normal"),
        ("1", "1", "3", "cheaper"),
        ("1.9999", "1", "3", "cheaper"),
        ("2", "1", "3", "short"),
        ("2.9999", "1", "3", "short"),
        ("3", "1", "3", "approved_only"),
        ("50", "1", "3", "approved_only"),
        ("2.9999", None, "3", "normal"),
        ("3", None, "3", "approved_only"),
        ("50", "1", None, "cheaper"),
        ("0", None, "0", "approved_only"),
        ("2", "2", "2", "approved_only"),
    ],
)
@pytest.mark.parametrize("scope", ["day", "conversation"])
def test_what_a_limit_asks_for(spent: str, soft: str | None, hard: str | None, step: str, scope: str):
    standing = Standing(TODAY, **{f"{scope}_spent": Decimal(spent), f"per_{scope}": limit(soft, hard)})  # type: ignore[arg-type]
    verdict = judge(standing)
    assert verdict == (Verdict() if step == "normal" else Verdict(Step(step), scope, Decimal(spent)))


@pytest.mark.parametrize(
    ("dearest", "step"),
    [("0.009", "normal"), ("0.01", "cheaper"), ("0.049", "cheaper"), ("0.05", "short"), ("9", "short")],
)
def test_one_dear_answer_makes_the_next_ones_cheaper_and_stops_none(dearest: str, step: str):
    standing = Standing(TODAY, turn_spent=Decimal(dearest), per_turn=limit("0.01", "0.05"), at_limit="handoff")
    assert judge(standing).step == step


def test_the_furthest_step_wins_and_names_its_limit():
    standing = Standing(
        TODAY,
        day_spent=Decimal(1),
        per_day=limit("1", "9"),
        conversation_spent=Decimal(3),
        per_conversation=limit("1", "3"),
    )
    assert judge(standing) == Verdict(Step.APPROVED_ONLY, "conversation", Decimal(3))


def test_a_business_may_want_a_person_at_once():
    standing = Standing(TODAY, day_spent=Decimal(3), per_day=limit("1", "3"), at_limit="handoff")
    assert judge(standing).step is Step.HANDOFF


def asked(**more: object) -> Turn:
    given: dict[str, object] = {
        "business_name": "Loja", "locale": "pt-br", "channel": "rest", "question": (), "now": datetime.now(UTC),
        "model": "openai:dear", "fallback_models": ("openai:small", "google:small"), "history_tokens": 6000,
    }  # fmt: skip
    return Turn(**given | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "cheap", "model", "fallbacks", "history"),
    [
        ("normal", "x:tiny", "openai:dear", ("openai:small", "google:small"), 6000),
        ("cheaper", "", "openai:small", ("google:small",), 6000),
        ("cheaper", "x:tiny", "x:tiny", ("openai:small", "google:small"), 6000),
        ("short", "", "openai:small", ("google:small",), 1500),
        ("approved_only", "", "offline", (), 6000),
        ("handoff", "", "offline", (), 6000),
    ],
)
def test_what_a_step_does_to_a_turn(step: str, cheap: str, model: str, fallbacks: tuple[str, ...], history: int):
    turn = apply(asked(), Verdict(Step(step)), Standing(TODAY, cheap_model=cheap))
    assert (turn.model, turn.fallback_models, turn.history_tokens) == (model, fallbacks, history)


def test_without_a_cheaper_model_the_dear_one_goes_on_with_less_context():
    turn = apply(asked(fallback_models=()), Verdict(Step.SHORT), Standing(TODAY))
    assert (turn.model, turn.fallback_models, turn.history_tokens) == ("openai:dear", (), 1500)


def test_money_is_read_exactly():
    row = {
        "day": "2026-11-21", "spent": "0.10000001", "unpriced": 2, "cheap_model": "", "at_limit": "approved",
        "day_soft": "0.1", "day_hard": None, "conversation_soft": None, "conversation_hard": None, "turn_soft": None, "turn_hard": None,
    }  # fmt: skip
    standing = read(row, [Decimal("0.3"), None])
    assert standing.day_spent == Decimal("0.10000001")
    assert standing.per_day == Limit(Decimal("0.1"), None)
    assert (standing.conversation_spent, standing.turn_spent, standing.unpriced) == (Decimal("0.3"), Decimal(0), 2)


def test_an_answer_may_cost_the_least_that_any_limit_leaves():
    assert apply(asked(), Verdict(), Standing(TODAY)).allowance is None
    standing = Standing(
        TODAY,
        day_spent=Decimal("0.7"),
        conversation_spent=Decimal("0.1"),
        per_day=limit(None, "1"),
        per_conversation=limit(None, "0.3"),
        per_turn=limit(None, "0.5"),
        request_tokens=4000,
        answer_tokens=300,
    )
    turn = apply(asked(), judge(standing), standing)
    assert (turn.allowance, turn.request_tokens, turn.answer_tokens) == (Decimal("0.2"), 4000, 300)
    assert Standing(TODAY, day_spent=Decimal(2), per_day=limit(None, "1")).left == 0
