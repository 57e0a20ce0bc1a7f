"""What one turn may use: money, tokens in, tokens out. Over the real wire of the doubles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from tests.agents.test_tools import tool

from prosa.agents import runner
from prosa.contracts import ApprovedAnswer, Turn, Usage
from prosa.simulator.fake_llm import Control

Make = Callable[..., Turn]
PRICED = "google:gemini-2.5-flash"
CALL = ("order_status", {"order": "77"})


async def answered(text: str) -> Sequence[ApprovedAnswer]:
    return [ApprovedAnswer(1, "Qual o prazo?", "Sete dias úteis.", 0.9)]


async def test_each_answer_of_a_model_is_heard_under_its_name(models: Control, turn: Make) -> None:
    heard: list[tuple[str, Usage]] = []
    models.call(CALL)
    models.next("", "empty")
    result = await runner.run(
        turn(
            model=PRICED,
            fallback_models=("openai-chat:stub",),
            tools=(tool(),),
            spent=lambda name, used: heard.append((name, used)),
        )
    )
    assert [name for name, _ in heard] == [PRICED, PRICED, "openai-chat:stub"]
    assert sum(used.input_tokens for _, used in heard) == result.usage.input_tokens
    assert result.model == "openai-chat:stub"


async def test_half_of_the_allowance_ends_the_use_of_tools(models: Control, turn: Make) -> None:
    models.call(CALL)
    first = (await runner.run(turn(model=PRICED, tools=(tool(),), max_requests=1))).usage.cost
    assert first
    models.requests.clear()
    models.call(CALL)
    models.call(CALL)
    result = await runner.run(turn(model=PRICED, tools=(tool(),), allowance=first * Decimal("1.9")))
    assert "NONE" in str(models.requests[1].body["toolConfig"])
    assert [made["ok"] for made in result.trace["tools"]] == [True, False], "it called again, though told not to"


async def test_all_of_the_allowance_ends_the_asking_of_models(models: Control, turn: Make) -> None:
    models.call(CALL)
    result = await runner.run(
        turn(
            model=PRICED,
            fallback_models=("openai-chat:stub",),
            tools=(tool(),),
            allowance=Decimal("0.0000001"),
            approved=answered,
        )
    )
    assert (len(models.requests), result.model) == (1, "offline")
    assert result.replies[0].text == "Sete dias úteis."


@pytest.mark.parametrize("model", ["openai-chat:stub", "openai:stub", PRICED])
async def test_history_gives_way_to_a_requests_limit_and_rules_never(models: Control, turn: Make, model: str) -> None:
    history = [("customer" if number % 2 else "bot", f"linha {number} " + "palavra " * 60) for number in range(40)]
    rules = "- Regra da casa. " * 200
    whole = await runner.run(turn(model=model, history=history, guidelines=rules, history_tokens=100_000))
    short = await runner.run(
        turn(
            model=model,
            history=history,
            guidelines=rules,
            history_tokens=100_000,
            request_tokens=4000,
            answer_tokens=123,
        )
    )
    assert (whole.trace["history"]["dropped"], short.trace["history"]["kept"] < 40) == (0, True)
    body = str(models.requests[-1].body)
    assert rules.strip() in body
    assert "123" in body


async def test_a_request_that_has_become_too_long_is_the_last_with_tools(models: Control, turn: Make) -> None:
    models.call(CALL)
    models.call(CALL)
    result = await runner.run(turn(tools=(tool(),), request_tokens=10))
    assert models.requests[1].body["tool_choice"] == "none"
    assert [made["ok"] for made in result.trace["tools"]] == [True, False]
