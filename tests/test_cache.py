"""Two levels, bounded, shared, and never a condition."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo

from prosa import cache, conf, postgres
from prosa.breaker import Breaker
from prosa.knowledge.embedding import TABLE
from prosa.postgres.connections import Pool, pool


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except ConnectionRefusedError:
            assert server.poll() is None
            time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(60)


@pytest.fixture
async def connections(transactional_db: None) -> AsyncIterator[Pool]:
    dsn = make_conninfo(postgres.dsn(conf.settings()), dbname=django_connection.settings_dict["NAME"])
    async with pool(dsn, high=3) as opened:
        yield opened


# ── memory ──


def test_the_bound_is_kept_and_the_least_used_goes_first():
    memory = cache.Memory(3 * (1 + 100 + cache.PER_ENTRY), 60)
    for key in "abc":
        memory.put(key, bytes(100))
    assert memory.get("a") == bytes(100)
    memory.put("d", bytes(100))
    assert [memory.get(key) is not None for key in "abcd"] == [True, False, True, True]
    memory.put("a", bytes(300))
    assert memory.get("a") == bytes(300)
    assert memory.size <= 3 * (1 + 100 + cache.PER_ENTRY)
    memory.put("huge", bytes(10_000))
    assert memory.get("huge") is None
    assert memory.get("a") is not None
    for key in ("a", "b", "c", "d"):
        memory.forget(key)
    assert memory.size == 0


def test_what_is_too_old_is_gone_and_weighs_nothing():
    clock = Clock()
    memory = cache.Memory(10_000, 60, clock)
    memory.put("a", b"1")
    clock.now += 59.9
    assert memory.get("a") == b"1"
    clock.now += 0.2
    assert memory.get("a") is None
    assert memory.size == 0


# ── the shared level, on each of its servers ──


@pytest.fixture(params=["redis", "postgresql"])
async def level(request: pytest.FixtureRequest, redis_url: str, connections: Pool) -> AsyncIterator[cache.Shared]:
    if request.param == "redis":
        level = cache.shared(f"test-{time.time_ns()}", redis_url, connections, TABLE)
        assert isinstance(level, cache.InRedis)
    else:
        level = cache.shared("test", "", connections, TABLE)
        assert isinstance(level, cache.InTable)
    yield level
    await level.close()


def on(level: cache.Shared | None, breaker: Breaker | None = None) -> cache.Cache:
    return cache.Cache(cache.Memory(100_000, 60), level, ttl=60, breaker=breaker)


async def test_another_process_finds_what_one_kept(level: cache.Shared):
    value = bytes(range(256)) * 10
    await on(level).put({"a": value, "b": b""})
    other = on(level)
    assert await other.get(["a", "b", "c", "a"]) == {"a": value, "b": b""}
    # From now on it is in memory: the shared level is asked no more.
    assert other.memory.get("a") == value
    await on(level).put({"a": b"new"})
    assert await on(level).get(["a"]) == {"a": b"new"}
    await other.forget(["a"])
    assert await other.get(["a"]) == {}
    assert await on(level).get(["a", "b"]) == {"b": b""}


async def test_the_shared_level_lets_go_in_time(level: cache.Shared):
    await level.put({"old": b"1"}, 0.001)
    await level.put({"young": b"2"}, 60)
    while "old" in await level.get(["old", "young"]):
        pass
    assert await level.get(["old", "young"]) == {"young": b"2"}


async def test_a_table_is_swept(connections: Pool):
    level = cache.InTable(connections, TABLE)
    await level.put({"old": b"1", "older": b"1"}, -5)
    await level.put({"young": b"2"}, 60)
    assert await level.sweep(1) == 1
    assert await level.sweep() == 1
    assert await level.sweep() == 0
    assert await level.get(["young"]) == {"young": b"2"}


def test_without_redis_and_table_there_is_memory_alone():
    assert cache.shared("x", "") is None


class Broken(cache.Shared):
    asked = 0

    async def get(self, keys):
        self.asked += 1
        raise ConnectionError("no")

    put = forget = get


async def test_a_broken_shared_level_is_passed_by_and_rests(caplog: pytest.LogCaptureFixture):
    clock, broken = Clock(), Broken()

    async def put(values, ttl):
        await broken.get([])

    broken.put = put
    both = on(broken, Breaker(failures=2, open_seconds=20, clock=clock))
    await both.put({"a": b"1"})
    assert await both.get(["a", "b"]) == {"a": b"1"}
    for _ in range(5):
        assert await both.get(["b"]) == {}
    assert broken.asked == 2
    assert "ConnectionError" in caplog.text
    clock.now += 21
    await both.get(["b"])
    assert broken.asked == 3


async def test_a_redis_that_is_gone_is_passed_by():
    both = on(cache.InRedis("redis://127.0.0.1:9/0", "x:"))
    await both.put({"a": b"1"})
    assert await both.get(["a", "b"]) == {"a": b"1"}
    await both.forget(["a"])
    assert await both.get(["a"]) == {}
    assert both.shared is not None
    await both.shared.close()
