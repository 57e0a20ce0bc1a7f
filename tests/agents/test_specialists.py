"""Passing a conversation on: within one message, once, and never back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prosa.agents import guidelines, runner, specialists
from prosa.contracts import Json, Specialist, Tool, ToolContext, ToolResult, Transfer, Turn
from prosa.simulator.fake_llm import Control

Make = Callable[..., Turn]


def tool(name: str, result: str = "ok") -> Tool:
    async def run(_: ToolContext, __: Json) -> ToolResult:
        return ToolResult(result)

    return Tool(name, f"About {name}.", {"type": "object", "properties": {}}, run)


SALES = Specialist("sales", "buying", "Sell gently.", "- Vendas com Pix.", (tool("price_list"),))
SUPPORT = Specialist("support", "problems", "Repair patiently.", "- Trocas em 30 dias.", (tool("order_status", "Order 7 left on Monday."),))  # fmt: skip


def shared(turn: Make, question: str, **more: object) -> Turn:
    made = turn(question, specialists=(SALES, SUPPORT), tools=(tool("opening_hours"),), **more)
    return specialists.played(made, SALES)


def offered(control: Control, number: int) -> set[str]:
    return {each["function"]["name"] for each in control.requests[number].body["tools"]}


def system(control: Control, number: int) -> str:
    return control.requests[number].body["messages"][0]["content"]


async def test_a_plain_answer_asks_the_model_once(models: Control, turn: Make) -> None:
    result = await runner.run(shared(turn, "Vocês têm vendas com Pix?"))
    assert len(models.requests) == 1
    assert result.transfer is None
    assert result.trace["specialist"] == {"name": "sales"}
    assert "Sell gently." in system(models, 0)
    assert "- support: problems" in system(models, 0)
    assert "Repair patiently." not in system(models, 0)
    assert {"price_list", "opening_hours", "transfer_to_specialist"} <= offered(models, 0)
    assert "order_status" not in offered(models, 0)


async def test_a_transfer_continues_in_the_same_message_as_the_other(models: Control, turn: Make) -> None:
    models.call(("transfer_to_specialist", {"name": "support", "reason": "a broken jar"}))
    result = await runner.run(shared(turn, "Como são as trocas?"))
    assert len(models.requests) == 2
    assert result.transfer == Transfer("sales", "support", "a broken jar")
    assert result.trace["specialist"] == {"name": "support", "from": "sales", "reason": "a broken jar"}
    assert "Trocas em 30 dias." in result.replies[0].text
    assert "Repair patiently." in system(models, 1)
    assert "Sell gently." not in system(models, 1)
    assert "Vendas com Pix" not in system(models, 1)
    assert {"order_status", "opening_hours"} <= offered(models, 1)
    assert {"price_list", "transfer_to_specialist"} & offered(models, 1) == set()


async def test_it_never_goes_back_in_the_same_message(models: Control, turn: Make) -> None:
    models.call(
        ("transfer_to_specialist", {"name": "support", "reason": "one"}),
        ("transfer_to_specialist", {"name": "support", "reason": "two"}),
    )
    models.call(("transfer_to_specialist", {"name": "sales", "reason": "back"}))
    result = await runner.run(shared(turn, "Como são as trocas?"))
    assert result.transfer == Transfer("sales", "support", "one")
    assert [each["ok"] for each in result.trace["tools"]] == [True, True, False]
    assert result.trace["specialist"]["name"] == "support"


async def test_a_name_nobody_has_is_refused(models: Control, turn: Make) -> None:
    models.call(("transfer_to_specialist", {"name": "analytics", "reason": "curious"}))
    result = await runner.run(shared(turn, "Quanto vocês venderam?"))
    assert result.transfer is None
    assert result.trace["tools"][0]["ok"] is False


async def test_the_other_answers_with_its_own_model(models: Control, turn: Make) -> None:
    doctor = Specialist("support", "problems", "Repair.", "- Trocas em 30 dias.", model="openai-chat:stub-2")
    made = turn("Como são as trocas?", specialists=(SALES, doctor))
    models.call(("transfer_to_specialist", {"name": "support", "reason": "theirs"}))
    result = await runner.run(specialists.played(made, SALES))
    assert [request.body["model"] for request in models.requests] == ["stub", "stub-2"]
    assert result.model == "openai-chat:stub-2"


async def test_a_fallback_model_keeps_the_specialist(models: Control, turn: Make) -> None:
    models.next("", "500")
    models.call(("transfer_to_specialist", {"name": "support", "reason": "theirs"}))
    result = await runner.run(shared(turn, "Como são as trocas?", fallback_models=("openai-chat:stub-3",)))
    assert result.model == "openai-chat:stub-3"
    assert result.transfer == Transfer("sales", "support", "theirs")
    assert "Repair patiently." in system(models, 2)


def test_alone_nothing_is_said_of_specialists(turn: Make) -> None:
    told = guidelines.instructions(turn())
    assert "Your part" not in told
    assert "olleague" not in told
    assert specialists.TRANSFER not in told


def test_a_member_is_no_customer(turn: Make) -> None:
    told = guidelines.instructions(turn(audience="member", role=specialists.ANALYST.instructions))
    assert "You answer customers" not in told
    assert "report" in told


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Quero AGENDAR um horário", "scheduling"),
        ("meu pedido veio quebrado!", "support"),
        ("Quanto custa o sabonete?", "sales"),
        ("bom dia", ""),
        ("Recomprara", ""),
        ("Necesito una cita", "scheduling"),
        ("I want a refund", "support"),
    ],
)
def test_first_words_choose_without_a_model(text: str, name: str) -> None:
    assert specialists.triage(text, tuple(specialists.ROLES.values())) == name


def test_own_words_win_over_the_houses() -> None:
    made = specialists.complete(Specialist("sales", "", "Só velas.", keywords=()))
    assert made.instructions == "Só velas."
    assert made.about == specialists.ROLES["sales"].about
    assert made.keywords
    assert specialists.complete(Specialist("vets", "pets", "Heal.")) == Specialist("vets", "pets", "Heal.")


def test_analytics_is_no_role_for_customers() -> None:
    assert specialists.ANALYTICS not in specialists.ROLES
