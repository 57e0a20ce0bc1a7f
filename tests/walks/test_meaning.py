"""Where not all conditional rules fit, the nearest by words and meaning are told; what that costs is the turn's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.utils import timezone
from tests.walks.house import House, elsewhere, says
from tests.walks.payloads import said

from prosa import cache, conf
from prosa.agents import runner
from prosa.business.guidance import Rule
from prosa.business.models import Business
from prosa.contracts import Json, Turn, TurnResult, Usage
from prosa.conversations import learning
from prosa.conversations.guidelines import meaning
from prosa.costs.models import ModelPrice
from prosa.knowledge import filling, fusion, index
from prosa.simulator import fake_llm

OPENAI = "openai:text-embedding-3-small"
PETS = "the customer asks whether pets are allowed"
TOPICS = ("shipping", "an invoice", "a refund", "warranty terms", "opening hours", "payment methods", "a discount", "wholesale", "a broken part", "job offers")  # fmt: skip


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    def use(name: str, **more: str) -> None:
        for variable, value in {"PROSA_EMBEDDING_MODEL": name, **more}.items():
            monkeypatch.setenv(variable, value)
        conf.settings.cache_clear()

    # What a slow machine needs is not what is tested here.
    monkeypatch.setattr(meaning, "DEADLINE", 60.0)
    monkeypatch.setattr(fusion, "DEADLINE", 60.0)
    monkeypatch.setattr(meaning, "_units", cache.Memory(1_000_000, 600.0))
    yield use
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
def remote(embedder: Callable[..., None]) -> Iterator[fake_llm.Control]:
    with fake_llm.running() as address:
        embedder(OPENAI, OPENAI_API_KEY="sk-x", OPENAI_BASE_URL=f"{address}/v1")
        fake_llm.control.requests.clear()
        yield fake_llm.control


async def rule(business: Business, size: int = 40) -> None:
    guideline = business.guideline
    guideline.text = ""
    guideline.rules = [
        *(Rule(10 + number, f"the customer asks about {topic}", "answer calmly " * size).row() for number, topic in enumerate(TOPICS)),
        Rule(1, PETS, "say that dogs may come in").row(),
    ]  # fmt: skip
    await guideline.asave()
    # Where no model is asked nobody reads rules, and nothing is weighed.
    await Business.objects.filter(pk=business.pk).aupdate(model="openai-chat:stub")


async def paid(_turn: Turn) -> TurnResult:
    return says("ok", usage=Usage(input_tokens=10, output_tokens=1, requests=1, cost=Decimal("0.5")))


async def ask(house: House, number: int, text: str) -> Json:
    await house.post(said(text, f"question{number}"))
    await house.until(lambda: len(house.outcomes()) == number)
    await house.quiet()
    trace: Json = house.one("select trace from prosa_conversations_turn order by id desc limit 1")
    return trace


def embedded(remote: fake_llm.Control) -> list[int]:
    return [len(request.body["input"]) for request in remote.requests if "embeddings" in request.path]


async def test_a_rule_that_says_the_same_in_other_words_is_told(
    house: House, business: Business, embedder: Callable[..., None]
):
    embedder("local:all-minilm-l6-v2")
    await rule(business)
    await house.work()
    trace = await ask(house, 1, "hello there, may I come in with my little dog?")
    assert trace["ranking"] == {"by": "words and meaning", "model": "local:all-minilm-l6-v2"}
    told = {row["rule"]: row for row in trace["rules"]}
    assert told[1]["reason"] == "meaning"
    assert told[1]["words"] == 0 < told[1]["meaning"]
    assert trace["rules"][0]["rule"] == 1
    assert "dogs may come in" in house.mind.turns[0].guidelines
    # A language the model does not serve is left to the words, and no chance decides.
    trace = await ask(house, 2, "olá, posso levar o meu cachorro aí na loja?")
    assert trace["ranking"]["why"] == "language"
    await fusion.close()


async def test_rules_are_embedded_once_and_questions_cost_their_turn(
    house: House, business: Business, remote: fake_llm.Control
):
    await ModelPrice.objects.acreate(pattern=OPENAI, input=Decimal(1000), valid_from=timezone.now().date())
    await rule(business)
    house.mind.answer = paid
    await house.work()
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert trace["ranking"] == {"by": "words and meaning", "model": OPENAI}
    assert sorted(embedded(remote)) == [1, len(TOPICS) + 1]
    await ask(house, 2, "and what about big dogs, may they come too?")
    assert sorted(embedded(remote)) == [1, 1, len(TOPICS) + 1]
    await ask(house, 3, "and what about big dogs, may they come too?")
    assert len(embedded(remote)) == 3
    costs = [row[0] for row in house.rows("select cost from prosa_conversations_turn order by id")]
    assert costs[0] > Decimal("0.5") < costs[1]
    assert costs[2] == Decimal("0.5")
    assert house.rows("select requests from prosa_conversations_turn") == [(1,)] * 3
    rules = costs[0] + costs[1] + costs[2] - Decimal("1.5")
    booked = house.one("select sum(cost) from prosa_costs_usageday where purpose = 'embedding'")
    assert booked > rules > 0  # the rules' own vectors are the business's, not a conversation's
    await fusion.close()


async def test_a_question_is_embedded_once_for_rules_and_knowledge(
    house: House, business: Business, remote: fake_llm.Control
):
    pieces = (index.Piece("Dogs and cats may come into the shop on a lead.", "Pets"),)
    await elsewhere(index.store, business.pk, [index.Entry("shop.md", "Our shop", pieces, "en")])
    await filling.catch_up(business_id=business.pk)
    await rule(business)

    async def searching(turn: Turn) -> TurnResult:
        assert turn.passages is not None
        await turn.passages(turn.question[-1].text)
        return says("ok")

    house.mind.answer = searching
    remote.requests.clear()
    await house.work()
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert trace["ranking"]["by"] == "words and meaning"
    assert sorted(embedded(remote)) == [1, len(TOPICS) + 1]
    await fusion.close()


async def test_nothing_is_embedded_when_all_rules_fit(house: House, business: Business, remote: fake_llm.Control):
    await rule(business, size=1)
    await house.work()
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert {row["reason"] for row in trace["rules"]} == {"fits"}
    assert "ranking" not in trace
    assert embedded(remote) == []
    await fusion.close()


async def test_an_embedder_that_fails_leaves_words_and_the_trace_says_so(
    house: House, business: Business, remote: fake_llm.Control
):
    await rule(business)
    await house.work()
    remote.next("401", "401")
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert trace["ranking"] == {"by": "words", "model": OPENAI, "why": "failed"}
    assert next(row for row in trace["rules"] if row["rule"] == 1)["reason"] == "words"
    assert house.carrier.texts()
    await fusion.close()


async def test_a_slow_embedder_is_not_waited_for(
    house: House, business: Business, remote: fake_llm.Control, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(meaning, "DEADLINE", 0.01)
    await rule(business)
    await house.work()
    remote.next("late-300ms", "late-300ms")
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert trace["ranking"]["why"] == "slow"
    await fusion.close()


async def test_without_an_embedder_words_choose(house: House, business: Business):
    await rule(business)
    await house.work()
    trace = await ask(house, 1, "are pets allowed in your shop?")
    assert trace["ranking"] == {"by": "words", "why": "no_model"}


async def test_a_search_by_words_alone_and_a_near_miss_are_noted(
    house: House, business: Business, remote: fake_llm.Control
):
    pieces = (index.Piece("Gift cards never expire and cannot be exchanged for cash.", "Gift cards"),)
    await elsewhere(index.store, business.pk, [index.Entry("shop.md", "Our shop", pieces, "en")])
    await filling.catch_up(business_id=business.pk)
    house.mind.answer = runner.run
    await house.work()
    trace = await ask(house, 1, "how long do cash machines and printers and lamps and desks last?")
    near = trace["search"]["near"]
    assert not trace.get("passages")
    assert near["title"] == "Our shop"
    assert set(near["legs"]) == {"words", "vectors"}
    # What learning lists is this near miss, not another search's by words.
    await learning.learn()
    listed = house.one("select near from prosa_knowledge_gap")
    assert (listed["title"], listed["score"]) == (near["title"], round(near["score"], 3))
    remote.next("401")
    trace = await ask(house, 2, "do gift cards expire, please?")
    assert trace["search"] == {"by_words": "failed"}
    assert trace["passages"]
    await fusion.close()
