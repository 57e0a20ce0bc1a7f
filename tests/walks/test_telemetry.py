"""A message walks through the house under measurement: every stage is a span, and none says what was said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings
from tests.walks.house import House, elsewhere
from tests.walks.payloads import said

from prosa import conf, telemetry
from prosa.agents import runner
from prosa.business.models import Business
from prosa.knowledge import index
from prosa.simulator import fake_llm

SAID = "qual o prazo de troca da minha blusa violeta?"
KNOWN = index.Piece("A troca pode ser pedida em até 30 dias depois da entrega.", "Prazos")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The double on loopback: it searches what the business knows, then says it."""
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        yield "openai-chat:gpt-4.1-mini"
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.start(SimpleSpanProcessor(exporter))
    # Somebody in the same process lets pydantic-ai tell everything, to whoever listens to us.
    Agent.instrument_all(InstrumentationSettings(tracer_provider=telemetry._provider, include_content=True))
    yield exporter
    Agent.instrument_all(False)
    telemetry.stop()


async def test_a_turn_is_measured_and_nothing_is_told(
    house: House, business: Business, model: str, spans: InMemorySpanExporter
):
    house.mind.answer = runner.run
    await elsewhere(index.store, business.pk, [index.Entry("trocas.md", "Trocas e devoluções", (KNOWN,), "pt")])
    house.do("update prosa_business_business set model = %s", model)
    await house.work()
    await house.post(said(SAID, "1"))
    await house.until(house.carrier.texts)
    await house.quiet()
    await house.until(lambda: any(span.name == "delivery" for span in spans.get_finished_spans()))
    found = spans.get_finished_spans()
    names = [span.name for span in found]
    assert {"turn", "begin", "think", "model", "tool", "finish", "delivery", "send"} == set(names)
    assert names.count("model") == 2
    turn = next(span for span in found if span.name == "turn")
    told = dict(turn.attributes or {})
    assert told["prosa.conversation"] == house.conversation()
    assert told["prosa.turn"] == house.one("select id from prosa_conversations_turn")
    assert (told["prosa.outcome"], told["gen_ai.request.model"]) == ("answered", model)
    assert told["gen_ai.usage.input_tokens"] > 0
    inside = {span.name for span in found if span.parent and span.parent.span_id == turn.context.span_id}
    assert inside == {"begin", "think", "finish"}
    delivery = next(
        dict(span.attributes or {}) for span in found if span.name == "delivery" and len(span.attributes or {}) > 1
    )
    assert delivery["prosa.outcome"] == "sent"
    assert delivery["prosa.message"] == told["prosa.message"], "where the turn and its delivery meet"
    written = "\n".join(span.to_json() for span in found).lower()
    (answer,) = house.carrier.texts()
    for text in (SAID, answer, KNOWN.text, "Trocas e devoluções", "Seja gentil"):
        for word in {word.strip("?.,—:").lower() for word in text.split() if len(word) > 4}:
            assert word not in written
