"""Promise 3: one turn at a time per conversation, replies in order, across workers."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import pytest
from tests.walks.house import Gate, House, says
from tests.walks.payloads import said

from prosa.contracts import Turn
from prosa.conversations import dispatch


async def test_two_workers_never_think_about_one_conversation_together(house: House):
    thinking: Counter[str] = Counter()
    most: list[int] = []

    async def slow(turn: Turn) -> Any:
        who = turn.question[0].text.split("-")[0]
        thinking[who] += 1
        most.append(thinking[who])
        try:
            await asyncio.sleep(0.05)
        finally:
            thinking[who] -= 1
        return says(*[line.text for line in turn.question])

    house.mind.answer = slow
    await house.work(5)
    await house.work(5)
    await house.enter()

    async def customer(index: int) -> None:
        for part in range(6):
            assert (
                await house.post(said(f"{index}-{part}", f"{index}-{part}", f"55119000{index:05d}"), door=part % 2)
                == 200
            )
            await asyncio.sleep(0.05)

    await asyncio.gather(*[customer(index) for index in range(12)])
    await house.until(lambda: len(house.carrier.sent) == 72)
    await house.quiet()
    assert max(most) == 1
    order = defaultdict(list)
    for phone, text, _ in house.carrier.sent:
        order[phone].append(text)
    assert all(texts == sorted(texts) for texts in order.values())
    assert len({text for _, text, _ in house.carrier.sent}) == 72


async def test_bubbles_keep_their_order_when_one_must_wait(house: House):
    from prosa.errors import SlowDown

    async def slower() -> None:
        raise SlowDown("Too fast.", retry_after=0.1)

    async def many(_turn: Turn) -> Any:
        return says("um", "dois", "três", "quatro")

    house.mind.answer = many
    house.carrier.next += [slower, slower]
    await house.work()
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: len(house.carrier.sent) == 4)
    assert house.carrier.texts() == ["um", "dois", "três", "quatro"]


async def test_a_worker_taken_for_dead_writes_nothing_and_starts_over(house: House, monkeypatch: pytest.MonkeyPatch):
    """It hung, others took its work; when it wakes up its answer is dropped."""
    monkeypatch.setattr(dispatch, "BEAT_S", 3600.0)
    gate = Gate()

    async def stubborn(_turn: Turn) -> Any:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            await gate.open.wait()
        return says("from the dead")

    house.mind.answer = stubborn
    first = await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    owner = first.dispatcher._session.owner
    house.mind.answer = house.mind.echo
    await house.work()

    def silent() -> bool:
        house.do("update prosa_conversations_worker set beat_at = now() - interval '31 s' where owner = %s", owner)
        return bool(house.carrier.sent)

    await house.until(silent)
    gate.open.set()
    await house.quiet()
    assert house.carrier.texts() == ["eco: oi"]
    assert house.outcomes() == ["answered"]


async def test_a_worker_taken_for_dead_enrols_again(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch, "BEAT_S", 0.1)
    worker = await house.work()
    owner = worker.dispatcher._session.owner
    house.do("delete from prosa_conversations_worker where owner = %s", owner)
    await house.until(lambda: worker.dispatcher._session is not None and worker.dispatcher._session.owner != owner)
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    assert house.one("select count(*) from prosa_conversations_worker") == 1


async def test_a_living_worker_is_not_reaped_while_it_enrols(house: House):
    """Its lock is there before its row is."""
    workers = [await house.work() for _ in range(4)]
    owners = {worker.dispatcher._session.owner for worker in workers}
    await asyncio.sleep(0.7)
    assert {row[0] for row in house.rows("select owner from prosa_conversations_worker")} == owners
    assert {worker.dispatcher._session.owner for worker in workers} == owners


async def test_a_slow_lane_holds_no_other_back(house: House):
    """Every place for turns is taken; deliveries and media go on."""
    gate = Gate()

    async def first_slow(turn: Turn) -> Any:
        if turn.question[0].text != "já":
            await gate.wait()
        return says("pronto")

    house.mind.answer = first_slow
    await house.work(1)
    await house.post(said("já", "0", "5511900000000"))
    await house.until(lambda: len(house.carrier.sent) == 1)
    await house.post(said("a", "1", "5511900000001"))
    await gate.reached.wait()
    await house.post(said("b", "2", "5511900000002"))
    house.do(
        "insert into prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status, epoch)"
        " select id, business_id, inbox_id, 'out', 'agent', 'de uma pessoa', 'queued', epoch from prosa_conversations_conversation order by id limit 1"
    )
    house.do("update prosa_conversations_dispatch set run_at = now() where lane = 2")
    await house.until(lambda: "de uma pessoa" in str(house.carrier.sent))
    assert not gate.open.is_set()
    gate.open.set()
    await house.until(lambda: len(house.carrier.sent) == 4)


async def test_work_that_comes_while_a_turn_ends_is_not_forgotten(house: House):
    """Messages at every possible moment of the turn before them."""
    await house.work()
    for index in range(40):
        await house.post(said(f"m{index}", str(index)))
        await asyncio.sleep(0.002 * (index % 20))
    await house.until(lambda: house.pending() == 0)
    await house.quiet()
    answered = [part for text in house.carrier.texts() for part in text.removeprefix("eco: ").split(" | ")]
    assert answered == [f"m{index}" for index in range(40)]
