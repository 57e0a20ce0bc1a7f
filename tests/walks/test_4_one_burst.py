"""Promise 4: fragments are one question, one burst gets one answer; and each way others break this."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.walks.house import Gate, House, elsewhere, says
from tests.walks.payloads import ANA, change, said, text, written

from prosa.business.models import Business
from prosa.contracts import Turn
from prosa.conversations import finish


def waits(quiet_ms: int, max_quiet_ms: int) -> None:
    for business in Business.objects.all():
        business.quiet_ms, business.max_quiet_ms = quiet_ms, max_quiet_ms
        business.save()
        for inbox in business.inboxes.all():
            inbox.save()


async def patient(house: House, quiet_ms: int, max_quiet_ms: int) -> None:
    """Give the business another quiet period."""
    await elsewhere(waits, quiet_ms, max_quiet_ms)
    await house.until(lambda: house.doors[0].inboxes.named("whatsapp_cloud", "loja").quiet_ms == quiet_ms)  # type: ignore[union-attr]


async def test_not_a_fixed_window_from_the_first_message(house: House):
    """Each fragment restarts the quiet period; three of them spread over more than one period are one question."""
    await patient(house, 60_000, 120_000)
    await house.work()
    waits = (
        "select extract(epoch from run_at - (select max(created_at) from prosa_conversations_message))"
        " from prosa_conversations_dispatch where lane = 1"
    )
    for number, words in enumerate(["oi", "queria saber", "o preço"]):
        await house.post(said(words, str(number)))
        assert 55 < house.one(waits) <= 60
    assert house.mind.turns == []
    house.hurry(lane=1)  # the minute is over
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.mind.asked() == [["oi", "queria saber", "o preço"]]


async def test_who_never_stops_typing_is_answered_at_the_longest_wait(house: House):
    await patient(house, 60_000, 700)  # a minute of quiet never comes
    await house.work()
    typing = True

    async def type_on() -> None:
        number = 0
        while typing:
            await house.post(said(f"p{number}", str(number)))
            number += 1
            await asyncio.sleep(0.1)

    customer = asyncio.create_task(type_on())
    await house.until(lambda: house.carrier.sent, 50)
    typing = False
    await customer
    assert house.mind.turns


async def test_not_the_last_message_only(house: House):
    await house.work()
    await house.post(written([text("quanto custa", "1"), text("a bolsa", "2"), text("azul?", "3")]))
    await house.until(lambda: house.carrier.sent)
    assert house.mind.asked() == [["quanto custa", "a bolsa", "azul?"]]


async def test_equal_texts_are_not_one_message(house: House):
    await house.work()
    await house.post(written([text("?", "1"), text("?", "2"), text("?", "3")]))
    await house.until(lambda: house.carrier.sent)
    assert house.mind.asked() == [["?", "?", "?"]]
    await house.quiet()
    await house.post(said("?", "4"))
    await house.until(lambda: len(house.carrier.sent) == 2)


async def test_the_eleventh_is_not_dropped(house: House):
    await house.work()
    await asyncio.gather(*[house.post(said(f"m{number}", str(number))) for number in range(25)])
    await house.until(lambda: house.pending() == 0)
    await house.quiet()
    assert sorted(line for asked in house.mind.asked() for line in asked) == sorted(
        f"m{number}" for number in range(25)
    )


async def test_not_cancelled_in_mid_send(house: House):
    """A message that comes while the answer leaves cuts none of its bubbles."""
    gate = Gate()

    async def three(turn: Turn) -> Any:
        return says("um", "dois", "três") if turn.question[0].text == "oi" else says("depois")

    house.mind.answer = three
    house.carrier.next.append(gate.wait)
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    await house.post(said("e mais isto", "2"))
    await house.until(lambda: len(house.sends()) == 4)
    gate.open.set()
    await house.until(lambda: len(house.carrier.sent) == 4)
    assert house.carrier.texts() == ["um", "dois", "três", "depois"]


async def test_imported_and_quiet_things_start_no_turn(house: House):
    """History, reactions, group messages and what another agent handles are stored or noted, never answered."""
    await house.work()
    old = {
        "history": [
            {"metadata": {"phase": 0}, "threads": [{"id": ANA, "messages": [text("de 2023", "h1", at=1.68e9)]}]}
        ]
    }
    assert await house.post(change(old, field="history")) == 200
    assert await house.post(change({"messages": [text("de outro agente", "s1")]}, field="standby")) == 200
    assert (
        await house.post(
            change(
                {
                    "messages": [
                        {**text("", "r1"), "type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}}
                    ]
                }
            )
        )
        == 200
    )
    assert await house.post(change({"messages": [{**text("no grupo", "g1"), "group_id": "G1"}]})) == 200
    assert house.pending() == 0
    assert house.rows("select 1 from prosa_conversations_dispatch where run_at is not null") == []
    await house.quiet()
    assert house.mind.turns == []
    assert house.carrier.sent == []


async def test_news_during_generation_cancels_the_draft(house: House):
    """The model is stopped before it is done; both messages get one answer."""
    cancelled: list[str] = []
    reached = asyncio.Event()

    async def slow(turn: Turn) -> Any:
        if len(turn.question) == 1:
            reached.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(turn.question[0].text)
                raise
        return await house.mind.echo(turn)

    house.mind.answer = slow
    await house.work()
    await house.post(said("oi", "1"))
    await reached.wait()
    await house.post(said("quanto custa?", "2"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert cancelled == ["oi"]
    assert house.carrier.texts() == ["eco: oi | quanto custa?"]
    assert house.outcomes() == ["superseded", "answered"]


async def test_after_a_write_the_answer_stands_and_the_news_is_answered_next(house: House):
    gate = Gate()

    async def booked(turn: Turn) -> Any:
        if len(house.mind.turns) == 1:
            waiting = asyncio.ensure_future(gate.wait())
            while not waiting.done():  # a runner does not let itself be cancelled once it has written
                try:
                    await asyncio.shield(waiting)
                except asyncio.CancelledError:
                    continue
            return says("agendado", wrote=True)
        return await house.mind.echo(turn)

    house.mind.answer = booked
    await house.work()
    await house.post(said("agende às 10", "1"))
    await gate.reached.wait()
    await house.post(said("obrigada", "2"))
    await asyncio.sleep(0.1)
    gate.open.set()
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert house.carrier.texts() == ["agendado", "eco: obrigada"]
    assert house.outcomes() == ["answered", "answered"]


async def test_a_draft_is_dropped_only_so_often(house: House):
    """Whoever keeps writing while the model thinks is answered after a few drafts."""

    async def slow(turn: Turn) -> Any:
        await asyncio.sleep(0.25)
        return await house.mind.echo(turn)

    house.mind.answer = slow
    await house.work()
    typing = True

    async def type_on() -> None:
        number = 0
        while typing:
            await house.post(said(f"p{number}", str(number)))
            number += 1
            await asyncio.sleep(0.1)

    customer = asyncio.create_task(type_on())
    await house.until(lambda: house.carrier.sent)
    typing = False
    await customer
    await house.until(lambda: house.pending() == 0)
    outcomes = house.outcomes()
    assert outcomes.index("answered") <= finish.MOST_SUPERSEDED


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_never_half_the_bubbles_of_a_dropped_answer(house: House, moment: str):
    gate = Gate()

    async def three(turn: Turn) -> Any:
        if len(turn.question) == 1:
            await gate.wait()
        return says(*[f"{len(turn.question)}:{part}" for part in "abc"])

    house.mind.answer = three
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    if moment == "after":
        gate.open.set()
    await house.post(said("mais", "2"))
    gate.open.set()
    await house.until(lambda: house.pending() == 0)
    await house.quiet()
    texts = house.carrier.texts()
    assert texts in (["2:a", "2:b", "2:c"], ["1:a", "1:b", "1:c", "1:a", "1:b", "1:c"])
