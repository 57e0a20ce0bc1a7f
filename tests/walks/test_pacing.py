"""The provider's pace, kept by all workers together (FACTS 1.9: one message per six seconds and person, bursts of 45)."""

from __future__ import annotations

import pytest
from tests.walks import payloads
from tests.walks.house import House, says

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.errors import SlowDown

BEA = "5511987650002"


def seconds_ahead(house: House) -> float:
    """How far the pair's messages are booked ahead of the clock."""
    return float(
        house.one(
            "select extract(epoch from pace_at - now()) from prosa_conversations_conversation order by id limit 1"
        )
    )


async def test_each_message_books_six_seconds_of_the_pair(house: House):
    async def two(_turn):
        return says("um", "dois")

    house.mind.answer = two
    await house.work()
    await house.post(payloads.said("oi", "p1"))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert 9 < seconds_ahead(house) <= 12


async def test_the_46th_message_of_a_burst_waits(house: House):
    await house.work()
    await house.post(payloads.said("oi", "p2"))
    await house.until(lambda: len(house.carrier.sent) == 1)
    await house.quiet()
    house.do("update prosa_conversations_conversation set pace_at = now() + interval '265 seconds'")
    await house.post(payloads.said("mais uma", "p3"))
    waits = "select extract(epoch from run_at - now()) from prosa_conversations_dispatch where lane = 2 and owner is null and run_at > now() + interval '0.1 s'"
    await house.until(lambda: house.rows(waits))
    assert 0 < float(house.one(waits)) <= 1
    assert len(house.carrier.sent) == 1
    await house.until(lambda: len(house.carrier.sent) == 2)


async def test_the_provider_slowing_a_pair_slows_nobody_else(house: House):
    async def too_fast() -> None:
        raise SlowDown("One person gets too much.", code="131056", pair=True, retry_after=60)

    house.carrier.next = [too_fast]
    await house.work()
    await house.post(payloads.said("oi", "p4"))
    await house.until(
        lambda: house.rows(
            "select 1 from prosa_conversations_message where error_code = '131056' and status = 'queued'"
        )
    )
    assert seconds_ahead(house) > 44 * 6
    await house.post(payloads.said("olá", "p5", BEA))
    await house.until(lambda: house.carrier.texts(BEA))
    assert house.carrier.texts() == []


async def test_the_provider_slowing_the_number_slows_every_worker(house: House):
    async def too_fast() -> None:
        raise SlowDown("The number sends too much.", code="130429", retry_after=1)

    house.carrier.next = [too_fast]
    await house.work()
    await house.work()
    await house.post(payloads.said("oi", "p6"))
    await house.until(lambda: house.rows("select 1 from prosa_conversations_pace where booked_until > now()"))
    await house.post(payloads.said("olá", "p7", BEA))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert {text for _, text, _ in house.carrier.sent} == {"eco: oi", "eco: olá"}


async def test_a_number_has_a_rate_of_its_own(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(WhatsAppCloud, "number_rate", 20.0)
    await house.work()
    people = [f"55119876501{number:02d}" for number in range(12)]
    for person in people:
        await house.post(payloads.said("oi", f"p{person}", person))
    await house.until(lambda: len(house.carrier.sent) == len(people))
    booked = float(
        house.one(
            "select extract(epoch from booked_until - (select min(created_at) from prosa_conversations_message where direction = 'out')) from prosa_conversations_pace"
        )
    )
    assert booked >= len(people) / 20 - 0.2
