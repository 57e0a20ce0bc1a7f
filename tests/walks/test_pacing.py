"""The provider's pace, kept by all workers together (FACTS 1.9: one message per six seconds and person, bursts of 45)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.walks import payloads
from tests.walks.house import House, says

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.errors import SlowDown

BEA = "5511987650002"


def booked(house: House) -> Any:
    """Up to when the pair's messages are booked."""
    return house.one("select pace_at from prosa_conversations_conversation order by id limit 1")


def clock(house: House) -> Any:
    """The database's."""
    return house.one("select now()")


async def test_each_message_books_six_seconds_of_the_pair(house: House):
    async def two(_turn):
        return says("um", "dois")

    house.mind.answer = two
    await house.work()
    before = clock(house)
    await house.post(payloads.said("oi", "p1"))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert before <= booked(house) - timedelta(seconds=12) <= clock(house)


async def test_the_46th_message_of_a_burst_waits(house: House):
    await house.work()
    await house.post(payloads.said("oi", "p2"))
    await house.until(lambda: len(house.carrier.sent) == 1)
    await house.quiet()
    # The 46th is one too many as long as the first six seconds of the pair are not over: here that lasts ten minutes.
    house.do("update prosa_conversations_conversation set pace_at = now() + interval '864 seconds'")
    await house.post(payloads.said("mais uma", "p3"))
    due = "select run_at from prosa_conversations_dispatch where lane = 2 and owner is null and run_at > now() + interval '60 s'"
    await house.until(lambda: house.rows(due))
    assert abs(booked(house) - timedelta(seconds=44 * 6) - house.one(due)) < timedelta(seconds=30)
    assert len(house.carrier.sent) == 1
    house.do("update prosa_conversations_conversation set pace_at = pace_at - interval '600 seconds'")
    house.hurry(lane=2)
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
    assert booked(house) - clock(house) > timedelta(seconds=44 * 6)
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
    slowed = (
        "select 1 from prosa_conversations_pace, prosa_conversations_message"
        " where direction = 'out' and booked_until > created_at + interval '1 s'"
    )
    await house.until(lambda: house.rows(slowed))
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
    seconds = float(
        house.one(
            "select extract(epoch from booked_until - (select min(created_at) from prosa_conversations_message where direction = 'out')) from prosa_conversations_pace"
        )
    )
    assert seconds >= len(people) / 20 - 0.2
