"""Specialists share a conversation: chosen by the first words, kept, and passed on inside one message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.walks import payloads
from tests.walks.house import House
from tests.walks.payloads import said

from prosa import conf, plugins
from prosa.agents import runner
from prosa.business.models import Business, Guideline, Specialist
from prosa.contracts import Caller, Json, ToolContext, ToolOffer, ToolResult, Turn, TurnResult
from prosa.conversations.acts import offers
from prosa.hookspecs import hookimpl
from prosa.simulator import fake_llm

RULES = [
    {"number": 1, "when": "perguntarem de preço", "then": "cite o catálogo", "specialists": ["sales"]},
    {"number": 2, "when": "algo quebrar", "then": "peça uma foto", "specialists": ["support"]},
]


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_llm.Control]:
    """The model's double on loopback."""
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        yield fake_llm.control
        fake_llm.control.reset()
    monkeypatch.undo()
    conf.settings.cache_clear()


class Orders:
    """A plug-in: the orders of two businesses, each with a customer."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []

    @hookimpl
    def tools(self) -> list[ToolOffer]:
        schema: Json = {"type": "object", "properties": {}, "additionalProperties": False}
        return [ToolOffer("order_status", "Where the order is.", schema, self.make, specialists=("support",))]

    def make(self, caller: Caller) -> Any:
        self.callers.append(caller)

        async def run(_: ToolContext, __: Json) -> ToolResult:
            return ToolResult(f"Pedido do contato {caller.contact_id}: saiu na segunda.")

        return run


@pytest.fixture
def orders() -> Iterator[Orders]:
    made = Orders()
    plugins.manager().register(made, "orders")
    offers.offered.cache_clear()
    yield made
    plugins.manager().unregister(made)
    offers.offered.cache_clear()


@pytest.fixture
def two(business: Business) -> Business:
    """Sales first, then support."""
    Business.objects.filter(pk=business.pk).update(model="openai-chat:stub")
    guideline = Guideline.objects.get(business=business)
    guideline.rules = RULES
    guideline.save()
    Specialist.objects.create(business=business, name="sales", position=1)
    Specialist.objects.create(business=business, name="support", position=2, instructions="Conserte com calma.")
    Specialist.objects.create(business=business, name="scheduling", position=3, active=False)
    return business


@pytest.fixture
async def talk(house: House, two: Business, llm: fake_llm.Control) -> AsyncIterator[House]:
    house.mind.answer = runner.run
    await house.work()
    yield house
    await runner.close()


async def ask(house: House, number: int, text: str) -> None:
    assert await house.post(said(text, f"m{number}")) == 200
    await house.until(lambda: len(house.outcomes()) == number)
    await house.quiet()


def station(house: House) -> str:
    return house.one("select specialist from prosa_conversations_conversation")


def traces(house: House) -> list[Json]:
    return [row[0] for row in house.rows("select trace from prosa_conversations_turn order by id")]


async def test_the_first_words_choose_for_free_and_the_choice_stays(talk: House, llm: fake_llm.Control):
    await ask(talk, 1, "bom dia")
    assert station(talk) == ""  # a greeting says nothing about who should answer
    assert traces(talk)[0]["specialist"] == {"name": "sales"}
    await ask(talk, 2, "meu pedido veio quebrado")
    assert station(talk) == "support"
    await ask(talk, 3, "quanto custa um novo?")
    assert station(talk) == "support"
    assert [trace["specialist"]["name"] for trace in traces(talk)] == ["sales", "support", "support"]
    assert len(llm.requests) == 3  # one question to the model for each answer
    assert [turn.specialist for turn in talk.mind.turns] == ["sales", "support", "support"]


async def test_passing_on_happens_inside_one_message_and_stays(talk: House, llm: fake_llm.Control, orders: Orders):
    llm.call(("transfer_to_specialist", {"name": "support", "reason": "chegou com defeito"}))
    await ask(talk, 1, "quanto custa consertar?")
    assert len(llm.requests) == 2
    assert talk.outcomes() == ["answered"]
    assert len(talk.carrier.texts()) == 1
    assert station(talk) == "support"
    assert talk.events("passed_on") == [{"from": "sales", "to": "support", "reason": "chegou com defeito"}]
    (trace,) = traces(talk)
    assert trace["specialist"]["name"] == "support"
    assert {rule["rule"]: rule["reason"] for rule in trace["rules"]} == {1: "specialist", 2: "fits"}
    first, second = (request.body for request in llm.requests)
    assert "cite o catálogo" in first["messages"][0]["content"]
    assert "peça uma foto" in second["messages"][0]["content"]
    assert "Conserte com calma." in second["messages"][0]["content"]
    assert "order_status" not in {each["function"]["name"] for each in first["tools"]}
    assert "order_status" in {each["function"]["name"] for each in second["tools"]}
    llm.call(("order_status", {}))
    await ask(talk, 2, "e o pedido?")
    contact = talk.one("select contact_id from prosa_conversations_conversation")
    assert len(llm.requests) == 4
    assert traces(talk)[1]["tools"][0]["result"] == f"Pedido do contato {contact}: saiu na segunda."
    known = talk.rows("select business_id, id, contact_id from prosa_conversations_conversation")
    assert [(one.business_id, one.conversation_id, one.contact_id) for one in orders.callers] == known * 2
    assert {(one.channel, one.identity) for one in orders.callers} == {("whatsapp_cloud", "number")}
    assert {one.number[-8:] for one in orders.callers} == {payloads.ANA[-8:]}
    assert len(talk.events("passed_on")) == 1


async def test_an_answer_that_is_not_sent_passes_nothing_on(talk: House, llm: fake_llm.Control):
    llm.call(("transfer_to_specialist", {"name": "support", "reason": "chegou com defeito"}))

    async def while_a_person_takes_over(turn: Turn) -> TurnResult:
        result = await runner.run(turn)
        talk.do("update prosa_conversations_conversation set state = 'agent_active', epoch = epoch + 1")
        return result

    talk.mind.answer = while_a_person_takes_over
    await ask(talk, 1, "quanto custa consertar?")
    assert talk.outcomes() == ["withheld"]
    assert station(talk) == ""
    assert talk.events("passed_on") == []


async def test_with_one_specialist_nothing_is_divided(talk: House, llm: fake_llm.Control, orders: Orders):
    talk.do("update prosa_business_specialist set active = (name = 'support')")
    await ask(talk, 1, "quanto custa consertar?")
    (request,) = llm.requests
    system = request.body["messages"][0]["content"]
    assert "Conserte com calma." in system
    assert "olleague" not in system
    names = {each["function"]["name"] for each in request.body["tools"]}
    assert "transfer_to_specialist" not in names
    assert "order_status" in names
    assert station(talk) == ""


async def test_analytics_is_on_no_channel_of_customers(talk: House, llm: fake_llm.Control):
    llm.call(("transfer_to_specialist", {"name": "analytics", "reason": "curioso"}))
    await ask(talk, 1, "quantas conversas vocês tiveram ontem?")
    told = str([request.body for request in llm.requests])
    assert "report_" not in told
    assert station(talk) == "sales"
    assert talk.events("passed_on") == []


async def test_a_specialist_that_is_switched_off_answers_no_more(talk: House, llm: fake_llm.Control):
    await ask(talk, 1, "meu pedido veio quebrado")
    talk.do("update prosa_business_specialist set active = true where name = 'scheduling'")
    talk.do("update prosa_business_specialist set active = false where name = 'support'")
    await ask(talk, 2, "quero agendar")
    assert [trace["specialist"]["name"] for trace in traces(talk)] == ["support", "scheduling"]
    assert station(talk) == "scheduling"


@pytest.mark.parametrize("word", ["/limpar", "/reset"])
async def test_who_starts_afresh_starts_with_nobody(talk: House, word: str):
    await ask(talk, 1, "meu pedido veio quebrado")
    assert station(talk) == "support"
    await ask(talk, 2, word)
    assert station(talk) == ""
    await ask(talk, 3, "quanto custa o creme?")
    assert [turn.specialist for turn in talk.mind.turns] == ["support", "sales"]  # "/limpar" asked no agent
    assert station(talk) == "sales"


async def test_a_new_talk_chooses_anew(talk: House):
    talk.do("update prosa_business_business set session_length = 2, session_unit = 'days'")
    await ask(talk, 1, "meu pedido veio quebrado")
    await ask(talk, 2, "e agora?")
    assert station(talk) == "support"
    talk.do("update prosa_conversations_message set sent_at = sent_at - interval '3 days'")
    await ask(talk, 3, "oi")
    assert station(talk) == ""
    talk.do("update prosa_conversations_message set sent_at = sent_at - interval '3 days'")
    await ask(talk, 4, "quanto custa o creme?")
    assert [turn.specialist for turn in talk.mind.turns][2:] == ["sales", "sales"]
    assert station(talk) == "sales"
