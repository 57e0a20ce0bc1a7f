"""What says the same in other words reaches the customer when an embedding model is set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.walks.house import House, elsewhere
from tests.walks.payloads import said

from prosa import conf
from prosa.agents import runner
from prosa.business.models import Business
from prosa.knowledge import filling, fusion, index

PIECES = (
    index.Piece("Screen replacement takes about one hour and costs 89 dollars.", "Phone repair"),
    index.Piece("Free parking for guests is available behind the building.", "Parking"),
    index.Piece("Gift cards never expire and cannot be exchanged for cash.", "Gift cards"),
)


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PROSA_EMBEDDING_MODEL", "local:all-minilm-l6-v2")
    monkeypatch.setattr(fusion, "DEADLINE", 60)  # a busy machine's embedder is slow; that is not what is looked at
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.mark.usefixtures("minilm")
async def test_a_turn_is_answered_from_what_vectors_found_and_its_trace_tells(house: House, business: Business):
    house.mind.answer = runner.run
    await elsewhere(index.store, business.pk, [index.Entry("shop.md", "Our shop", PIECES, "en")])
    await filling.catch_up(business_id=business.pk)
    await house.work()
    await house.post(said("how much is a screen replacement, and how long?", "1"))
    await house.until(house.carrier.texts)
    (answer,) = house.carrier.texts()
    assert "89 dollars" in answer
    await house.quiet()
    (passage, *_) = house.one("SELECT trace FROM prosa_conversations_turn")["passages"]
    assert set(passage["legs"]) == {"words", "vectors"}
    assert passage["score"] > passage["legs"]["words"]
    await fusion.close()
