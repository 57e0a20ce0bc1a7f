"""What changed is heard, in every loop, by whoever follows it, and never piles up; whoever carries it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.db import transaction

from prosa import conf, realtime
from prosa.postgres import shared
from prosa.realtime import carriers, publish, subscribe

REDIS = shutil.which("redis-server")


async def heard(reader: realtime.Subscription) -> set[str]:
    return await asyncio.wait_for(reader.news(), 60)


async def lose_postgresql() -> None:
    async with await psycopg.AsyncConnection.connect(shared.dsn(), autocommit=True) as other:
        await other.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'prosa realtime' and datname = current_database()")  # fmt: skip


class TestCarrier:
    """PostgreSQL alone."""

    @pytest.fixture(autouse=True)
    async def listening(self, surroundings: Any) -> AsyncIterator[None]:
        """Begins connected and with nothing new."""
        await self.warm()
        yield
        await realtime.close()

    async def warm(self) -> None:
        async with subscribe("warm") as reader:
            await reader.news()  # the first connection wakes everybody

    async def test_followers_of_a_topic_hear_of_it_and_others_do_not(self):
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

    async def test_a_slow_reader_keeps_one_piece_of_news_per_topic(self):
        async with subscribe("conversation:1", "conversation:2") as slow, subscribe("conversation:3") as last:
            for _ in range(500):
                await sync_to_async(publish)("conversation", 1)
            await sync_to_async(publish)("conversation", 2)
            await sync_to_async(publish)("conversation", 3)
            await heard(last)
            assert await heard(slow) == {"conversation:1", "conversation:2"}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slow.news(), 0.05)

    async def test_what_is_rolled_back_is_not_heard(self):
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

    async def test_after_a_lost_connection_everybody_looks_again(self):
        async with subscribe("conversation:1") as one, subscribe("conversation:2") as two:
            await lose_postgresql()
            assert await heard(one) == {"conversation:1"}
            assert await heard(two) == {"conversation:2"}
            await sync_to_async(publish)("conversation", 2)
            assert await heard(two) == {"conversation:2"}

    async def test_who_leaves_is_forgotten(self):
        async with subscribe("conversation:1"):
            pass
        # Other loops, of tests before this one, may not have been collected yet.
        assert realtime._hubs[asyncio.get_running_loop()]._readers == {}

    async def test_it_can_be_iterated(self):
        async with subscribe("conversation:1") as reader:
            await sync_to_async(publish)("conversation", 1)
            async for topics in reader:
                assert topics == {"conversation:1"}
                break

    async def test_many_are_told_by_one(self):
        async with realtime.follow("conversation") as every, subscribe("conversation:7") as one:
            await sync_to_async(publish)("conversation", 7)
            assert await asyncio.wait_for(every.numbers(), 60) == {7}
            assert await heard(one) == {"conversation:7"}


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    if REDIS is None:
        pytest.skip("redis-server is not installed")
    server = Redis()
    server.start()
    yield server
    server.stop()


class Redis:
    """A server on a port of its own, which can go away and come back."""

    def __init__(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._server = subprocess.Popen(
            [str(REDIS), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                assert self._server.poll() is None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(60)


async def until_told(reader: realtime.Subscription, pk: int) -> None:
    """Publish until it comes: nobody may relay for a moment."""
    for _ in range(600):
        await sync_to_async(publish)("conversation", pk)
        try:
            await asyncio.wait_for(reader.news(), 0.1)
        except TimeoutError:
            continue
        return
    raise AssertionError("Nothing was heard within a minute.")


class TestRedis(TestCarrier):
    """One loop hears PostgreSQL, Redis tells the rest."""

    @pytest.fixture(autouse=True)
    async def listening(
        self, surroundings: pytest.MonkeyPatch, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[None]:
        surroundings.setenv("REDIS_URL", redis.url)
        conf.settings.cache_clear()
        monkeypatch.setattr(carriers, "AWAY_S", 0.05)
        await self.warm()
        yield
        await realtime.close()
        redis.stop()
        redis.start()

    async def warm(self) -> None:
        async with subscribe("warm") as reader:
            await reader.news()  # subscribed,
            await reader.news()  # and somebody relays

    async def test_one_relays_and_another_takes_over(self):
        dsn, url = shared.dsn(), conf.settings().redis_url
        told: list[str] = []
        other = carriers.InRedis(url, dsn, carriers.name_of(dsn, str(django_settings.SECRET_KEY)))
        there = asyncio.Event()
        second = asyncio.create_task(other.run(told.append, there.set))
        await asyncio.wait_for(there.wait(), 60)
        async with subscribe("conversation:1") as one:
            await sync_to_async(publish)("conversation", 1)
            await heard(one)
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as looker:
                counted = await looker.execute("select count(*) from pg_stat_activity where application_name = 'prosa realtime' and datname = current_database()")  # fmt: skip
                assert await counted.fetchone() == (1,)
        while told != ["conversation:1"]:
            await asyncio.sleep(0.01)
        there.clear()
        await realtime.close()  # who relayed leaves
        await asyncio.wait_for(there.wait(), 60)
        await sync_to_async(publish)("conversation", 2)
        while told[-1] != "conversation:2":
            await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    async def test_without_redis_postgresql_is_heard_directly_and_nothing_fails(self, redis: Redis):
        async with subscribe("conversation:1") as one:
            redis.stop()
            assert await heard(one) == {"conversation:1"}  # something may have been missed
            await until_told(one, 1)
            redis.start()
            assert await heard(one) == {"conversation:1"}
            await until_told(one, 1)
