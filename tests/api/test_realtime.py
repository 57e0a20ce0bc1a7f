"""What changed is heard, in every loop, by whoever follows it, and never piles up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from prosa import realtime
from prosa.postgres import shared
from prosa.realtime import publish, subscribe


@pytest.fixture(autouse=True)
async def listening(surroundings: Any) -> AsyncIterator[None]:
    """Begins connected and with nothing new."""
    async with subscribe("warm") as reader:
        await reader.news()  # the first connection wakes everybody
    yield
    await realtime.close()


async def heard(reader: realtime.Subscription) -> set[str]:
    return await asyncio.wait_for(reader.news(), 60)


async def test_followers_of_a_topic_hear_of_it_and_others_do_not():
    async with (
        subscribe("conversation:1") as one,
        subscribe("conversation:2") as two,
        subscribe("conversation") as every,
    ):
        await sync_to_async(publish)("conversation", 1)
        assert await heard(one) == {"conversation:1"}
        assert await heard(every) == {"conversation"}
        await sync_to_async(publish)("conversation", 2)
        assert await heard(two) == {"conversation:2"}


async def test_a_slow_reader_keeps_one_piece_of_news_per_topic():
    async with subscribe("conversation:1", "conversation:2") as slow, subscribe("conversation:3") as last:
        for _ in range(500):
            await sync_to_async(publish)("conversation", 1)
        await sync_to_async(publish)("conversation", 2)
        await sync_to_async(publish)("conversation", 3)
        await heard(last)
        assert await heard(slow) == {"conversation:1", "conversation:2"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.news(), 0.05)


async def test_what_is_rolled_back_is_not_heard():
    def half() -> None:
        with transaction.atomic():
            publish("conversation", 1)
            transaction.set_rollback(True)

    async with subscribe("conversation") as reader, subscribe("other") as after:
        await sync_to_async(half)()
        await sync_to_async(publish)("other", 1)
        await heard(after)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.news(), 0.05)


async def test_after_a_lost_connection_everybody_looks_again():
    async with subscribe("conversation:1") as one, subscribe("conversation:2") as two:
        async with await psycopg.AsyncConnection.connect(shared.dsn(), autocommit=True) as other:
            await other.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'prosa realtime' and datname = current_database()")  # fmt: skip
        assert await heard(one) == {"conversation:1"}
        assert await heard(two) == {"conversation:2"}
        await sync_to_async(publish)("conversation", 2)
        assert await heard(two) == {"conversation:2"}


async def test_who_leaves_is_forgotten():
    async with subscribe("conversation:1"):
        pass
    # Other loops, of tests before this one, may not have been collected yet.
    assert realtime._hubs[asyncio.get_running_loop()]._readers == {}


async def test_it_can_be_iterated():
    async with subscribe("conversation:1") as reader:
        await sync_to_async(publish)("conversation", 1)
        async for topics in reader:
            assert topics == {"conversation:1"}
            break
