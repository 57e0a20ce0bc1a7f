"""What a plug-in's reading tool found is kept as long as the plug-in says, for whom it may be kept, and no longer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from prosa.contracts import Caller, Json, Passage, ToolContext, ToolOffer, ToolResult, Turn
from prosa.conversations.acts import readings

ANA = Caller(1, 10, 100, "rest")
TURN = Turn("Loja", "pt-br", "rest", (), datetime.now(UTC))


class Stock:
    """A tool that counts how often it was really asked."""

    def __init__(self, **fields: Any) -> None:
        self.asked: list[Json] = []
        self.error = False
        self.offer = ToolOffer("stock", "Stock.", {"type": "object"}, lambda _: self.run, **({"fresh_s": 60} | fields))

    async def run(self, context: ToolContext, given: Json) -> ToolResult:
        self.asked.append(given)
        return ToolResult(f"{len(self.asked)} in stock", (Passage(1, "Stock", "", "…", 1.0),), error=self.error)

    async def ask(self, caller: Caller = ANA, **given: Any) -> ToolResult:
        return await readings.remembering(self.offer, caller, self.run)(ToolContext(TURN, "1"), given)


@pytest.fixture(autouse=True)
def nothing_kept():
    readings._kept.cache_clear()
    yield
    readings._kept.cache_clear()


async def test_the_same_question_is_asked_once_with_its_sources():
    stock = Stock()
    first, second = await stock.ask(size="M", colour="blue"), await stock.ask(colour="blue", size="M")
    assert (first, len(stock.asked)) == (second, 1)
    assert (await stock.ask(size="L")).text == "2 in stock"


async def test_what_is_too_old_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    stock = Stock()
    await stock.ask()
    later = readings.time.time() + 61
    monkeypatch.setattr(readings.time, "time", lambda: later)
    await stock.ask()
    assert len(stock.asked) == 2


@pytest.mark.parametrize("field", ["business_id", "contact_id"])
async def test_nobody_reads_what_was_read_for_another(field: str):
    stock = Stock()
    await stock.ask()
    await stock.ask(replace(ANA, **{field: 999}))
    assert len(stock.asked) == 2


async def test_what_was_read_for_somebody_proved_is_not_told_to_the_unproved():
    stock, proved = Stock(), ToolContext(replace(TURN, identity="verified"), "1")
    await readings.remembering(stock.offer, ANA, stock.run)(proved, {})
    await stock.ask()
    assert len(stock.asked) == 2


async def test_what_is_common_is_common_within_the_business():
    stock = Stock(common=True)
    await stock.ask()
    await stock.ask(replace(ANA, contact_id=999))
    assert len(stock.asked) == 1
    await stock.ask(replace(ANA, business_id=999))
    assert len(stock.asked) == 2


async def test_without_a_wish_nothing_is_kept_and_failures_never_are():
    asked_anew = Stock(fresh_s=0)
    failing = Stock()
    failing.error = True
    for stock in (asked_anew, failing):
        await stock.ask()
        await stock.ask()
        assert len(stock.asked) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_write_of_the_customer_ends_what_was_read_for_them(fails: bool):
    stock, others = Stock(), replace(ANA, contact_id=999)
    await stock.ask()
    await stock.ask(others)

    async def change(context: ToolContext, given: Json) -> ToolResult:
        if fails:
            raise OSError
        return ToolResult("done")

    offer = ToolOffer("change", "Change.", {"type": "object"}, lambda _: change, risk="write")
    await asyncio.gather(readings.remembering(offer, ANA, change)(ToolContext(TURN, "2"), {}), return_exceptions=True)
    await stock.ask()
    await stock.ask(others)
    assert len(stock.asked) == 3
