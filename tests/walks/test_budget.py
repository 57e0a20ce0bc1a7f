"""A budget runs out: the next answer is made more cheaply, step by step, and at last a person is brought in."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from tests.walks.house import House, says
from tests.walks.payloads import said

from prosa.agents import runner
from prosa.business.models import Business
from prosa.contracts import Turn, TurnResult, Usage
from prosa.conversations.words import in_line, words
from prosa.costs.models import Budget
from prosa.knowledge.models import ApprovedAnswer

BIA = "5511987650002"
DEAR, CHEAP = "openai-chat:dear", "openai-chat:small"


@pytest.fixture
def budget(business: Business) -> Budget:
    """A dollar a day, saving from forty cents on."""
    Business.objects.filter(pk=business.pk).update(model=DEAR, fallback_models=CHEAP)
    ApprovedAnswer.objects.create(business=business, question="Vocês entregam?", answer="Entregamos às terças.")
    return Budget.objects.create(business=business, day_soft=Decimal("0.4"), day_hard=Decimal(1))


async def twenty_cents(turn: Turn) -> TurnResult:
    """The model's double. Without a model the real agent answers."""
    if turn.model == "offline":
        return await runner.run(turn)
    usage = Usage(input_tokens=1000, output_tokens=100, requests=1, cost=Decimal("0.2"))
    return says(f"por {turn.model}", usage=usage)


async def ask(house: House, number: int, text: str) -> None:
    assert await house.post(said(text, f"question{number}")) == 200
    await house.until(lambda: len(house.outcomes()) == number)
    await house.quiet()


def _passed_on() -> str:
    return f"{words('pt-br')['over_budget']}\n\n{in_line('pt-br', 0, None)}"


def steps(house: House) -> list[str]:
    return [row[0] for row in house.rows("select trace->'budget'->>'step' from prosa_conversations_turn order by id")]


async def test_an_exhausted_budget_degrades_step_by_step(house: House, budget: Budget):
    house.mind.answer = twenty_cents
    await house.work()
    for number in range(1, 6):
        await ask(house, number, f"pergunta {number}")
    await ask(house, 6, "vocês entregam?")
    await ask(house, 7, "qual a cor do telhado?")
    assert steps(house) == ["normal", "normal", "cheaper", "cheaper", "short", "approved_only", "approved_only"]
    assert [turn.model for turn in house.mind.turns] == [DEAR, DEAR, CHEAP, CHEAP, CHEAP, "offline", "offline"]
    assert [turn.history_tokens for turn in house.mind.turns] == [6000, 6000, 6000, 6000, 1500, 6000, 6000]
    assert house.carrier.texts()[-2:] == ["Entregamos às terças.", _passed_on()]
    assert house.state() == "awaiting_agent"
    assert [event["reason"] for event in house.events("handed_off")] == ["budget"]
    assert house.rows("select step, scope, spent from prosa_costs_budgetnotice order by id") == [
        ("cheaper", "day", Decimal("0.4")),
        ("short", "day", Decimal("0.8")),
        ("approved_only", "day", Decimal(1)),
    ]
    assert house.rows("select model, requests, input_tokens, output_tokens, cost, unpriced_requests from prosa_costs_usageday") == [
        ("stub", 5, 5000, 500, Decimal(1), 0)
    ]  # fmt: skip
    assert house.one("select sum(cost) from prosa_conversations_turn") == Decimal(1)


async def test_what_a_turn_cost_that_failed_counts(house: House, budget: Budget):
    async def fails_once(turn: Turn) -> TurnResult:
        assert turn.spent is not None
        turn.spent(DEAR, Usage(input_tokens=1000, output_tokens=100, requests=1, cost=Decimal("0.2")))
        if len(house.mind.turns) == 1:
            raise ValueError("a plug-in's mistake")
        return says("Entregamos.", usage=Usage(input_tokens=1000, output_tokens=100, requests=1, cost=Decimal("0.2")))

    house.mind.answer = fails_once
    await house.work()
    await ask(house, 1, "vocês entregam?")
    assert house.carrier.texts() == ["Entregamos."]
    assert house.one("select sum(cost) from prosa_costs_usageday") == Decimal("0.4")


async def test_a_person_at_once_when_the_business_wants_that(house: House, budget: Budget):
    house.do("update prosa_costs_budget set at_limit = 'handoff', day_soft = null, day_hard = 0.2")
    house.mind.answer = twenty_cents
    await house.work()
    await ask(house, 1, "pergunta")
    await ask(house, 2, "vocês entregam?")
    assert steps(house) == ["normal", "handoff"]
    assert len(house.mind.turns) == 1
    assert house.carrier.texts()[-1] == _passed_on()
    assert house.state() == "awaiting_agent"
    assert house.one("select requests from prosa_conversations_turn order by id desc limit 1") == 0


async def test_a_conversation_has_a_budget_of_its_own(house: House, budget: Budget):
    house.do("update prosa_costs_budget set day_soft = null, day_hard = null, conversation_hard = 0.2")
    house.mind.answer = twenty_cents
    await house.work()
    await ask(house, 1, "pergunta")
    await ask(house, 2, "vocês entregam?")
    assert steps(house) == ["normal", "approved_only"]
    assert await house.post(said("pergunta", "question3", phone=BIA)) == 200
    await house.until(lambda: len(house.outcomes()) == 3)
    assert steps(house)[-1] == "normal"


async def test_a_price_nobody_knows_is_counted_as_unknown(house: House, budget: Budget):
    async def unknown(turn: Turn) -> TurnResult:
        return says("oi", usage=Usage(input_tokens=10, output_tokens=1, requests=1))

    house.mind.answer = unknown
    await house.work()
    await ask(house, 1, "pergunta")
    assert house.rows("select cost, unpriced_requests from prosa_costs_usageday") == [(None, 1)]
    assert house.one("select cost from prosa_conversations_turn") is None
    house.do(
        "insert into prosa_costs_modelprice (pattern, input, output, valid_from, source, updated_at) values ('st*', 1000, 0, current_date, 'person', now())"
    )
    await ask(house, 2, "pergunta")
    assert house.rows("select cost, unpriced_requests from prosa_costs_usageday") == [(Decimal("0.01"), 1)]
    assert house.one("select cost from prosa_conversations_turn order by id desc limit 1") == Decimal("0.01")


async def test_a_dropped_draft_was_paid_for_and_counts(house: House, budget: Budget):
    begun = asyncio.Event()

    async def slow(turn: Turn) -> TurnResult:
        assert turn.spent is not None
        turn.spent(turn.model, Usage(input_tokens=700, output_tokens=70, requests=1, cost=Decimal("0.1")))
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return says("pronto", usage=Usage(input_tokens=700, output_tokens=70, requests=1, cost=Decimal("0.1")))

    house.mind.answer = slow
    await house.work()
    assert await house.post(said("uma pergunta", "first")) == 200
    await asyncio.wait_for(begun.wait(), 30)
    assert await house.post(said("outra coisa", "second")) == 200
    await house.until(lambda: house.outcomes() == ["superseded", "answered"])
    assert house.rows("select requests, cost from prosa_conversations_turn order by id") == [
        (1, Decimal("0.1")),
        (1, Decimal("0.1")),
    ]
    assert house.rows("select model, requests, cost from prosa_costs_usageday") == [(DEAR, 2, Decimal("0.2"))]
