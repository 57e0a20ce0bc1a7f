"""A cache in two levels: the process's memory, then one that all processes share.

Values are bytes, keys texts. Memory is bounded in bytes and drops what was used longest ago. The shared level is Redis when
``REDIS_URL`` is set, else a PostgreSQL table that the caller names, else none. A cache is a help and never a condition:
when the shared level fails, its keys count as absent and the failure is logged, at most once per rest of its breaker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql as words

from prosa import sql
from prosa.breaker import Breaker
from prosa.postgres.connections import Pool

if TYPE_CHECKING:  # 0.1 s to import, and most installations use none
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

PER_ENTRY = 200
"""Bytes an entry is counted beside its key and value: Python's objects and the place in the order."""

SHARED_SECONDS = 1.0
"""A shared level slower than this is passed by: what it saves is not worth the wait."""


class Memory:
    """The first level: least recently used goes first. Not thread-safe; dict operations alone never tear it.

    ``bound`` and :attr:`size` are bytes, ``ttl`` seconds.
    """

    def __init__(self, bound: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._bound, self._ttl, self._clock = bound, ttl, clock
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self.size = 0

    def get(self, key: str) -> bytes | None:
        """The value, unless it is absent or too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: str, value: bytes) -> None:
        """Keep it, and let go of the oldest until all fits. A value bigger than the bound is not kept."""
        self.forget(key)
        if _weight(key, value) > self._bound:
            return
        self._entries[key] = (value, self._clock() + self._ttl)
        self.size += _weight(key, value)
        while self.size > self._bound:
            oldest, (dropped, _) = self._entries.popitem(last=False)
            self.size -= _weight(oldest, dropped)

    def forget(self, key: str) -> None:
        """Drop it if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _weight(key, entry[0])


def _weight(key: str, value: bytes) -> int:
    return len(key) + len(value) + PER_ENTRY


class Shared(ABC):
    """The second level. What goes wrong is raised; :class:`Cache` takes it as absence."""

    @abstractmethod
    async def get(self, keys: list[str]) -> dict[str, bytes]:
        """The values that are there and young enough."""

    @abstractmethod
    async def put(self, values: Mapping[str, bytes], ttl: float) -> None:
        """Keep them for ``ttl`` seconds."""

    @abstractmethod
    async def forget(self, keys: list[str]) -> None:
        """Drop those that are there."""

    async def close(self) -> None:
        """Let go of the running event loop's connections."""


class InRedis(Shared):
    """Keys below ``prefix`` in the Redis at ``url``; one client per event loop."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self._prefix = url, prefix
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()

    def _client(self) -> Redis:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            from redis.asyncio import Redis

            client = Redis.from_url(
                self._url,
                socket_connect_timeout=SHARED_SECONDS,
                socket_timeout=SHARED_SECONDS,
                health_check_interval=30,
            )
            self._clients[loop] = client
        return client

    async def get(self, keys: list[str]) -> dict[str, bytes]:
        """As :meth:`Shared.get`."""
        found = await self._client().mget([self._prefix + key for key in keys])
        return {key: value for key, value in zip(keys, found, strict=True) if isinstance(value, bytes)}

    async def put(self, values: Mapping[str, bytes], ttl: float) -> None:
        """As :meth:`Shared.put`."""
        async with self._client().pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                pipeline.set(self._prefix + key, value, px=max(1, round(ttl * 1000)))
            await pipeline.execute()

    async def forget(self, keys: list[str]) -> None:
        """As :meth:`Shared.forget`."""
        await self._client().delete(*(self._prefix + key for key in keys))

    async def close(self) -> None:
        """As :meth:`Shared.close`."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


class InTable(Shared):
    """A table with the columns ``key text primary key, value bytea, expires_at timestamptz``.

    The caller owns the table and its pool, and calls :meth:`sweep` now and then.
    """

    def __init__(self, pool: Pool, table: str) -> None:
        self._pool = pool
        name = words.Identifier(table)
        self._get = words.SQL("SELECT key, value FROM {} WHERE key = ANY(%s) AND expires_at > now()").format(name)
        # Sorted, so that two processes that keep the same texts do not lock each other's rows crosswise.
        self._put = words.SQL(
            "INSERT INTO {} (key, value, expires_at)"
            " SELECT k, v, now() + make_interval(secs => %s) FROM unnest(%s, %s) AS given (k, v) ORDER BY k"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
        ).format(name)
        self._forget = words.SQL("DELETE FROM {} WHERE key = ANY(%s)").format(name)
        self._sweep = words.SQL(
            "DELETE FROM {0} WHERE key IN (SELECT key FROM {0} WHERE expires_at <= now() LIMIT %s)"
        ).format(name)

    async def get(self, keys: list[str]) -> dict[str, bytes]:
        """As :meth:`Shared.get`."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(self._get, [sql.Texts(keys)])
            return {key: bytes(value) for key, value in await cursor.fetchall()}

    async def put(self, values: Mapping[str, bytes], ttl: float) -> None:
        """As :meth:`Shared.put`."""
        async with self._pool.connection() as connection:
            await connection.execute(self._put, [float(ttl), sql.Texts(list(values)), sql.Blobs(list(values.values()))])

    async def forget(self, keys: list[str]) -> None:
        """As :meth:`Shared.forget`."""
        async with self._pool.connection() as connection:
            await connection.execute(self._forget, [sql.Texts(keys)])

    async def sweep(self, most: int = 10_000) -> int:
        """Delete what is too old, at most so many rows; how many there were."""
        async with self._pool.connection() as connection:
            return (await connection.execute(self._sweep, [most])).rowcount


class Cache:
    """Memory before a shared level. ``ttl`` is in seconds and holds for both."""

    def __init__(self, memory: Memory, shared: Shared | None, *, ttl: float, breaker: Breaker | None = None) -> None:
        self.memory, self.shared, self._ttl = memory, shared, ttl
        self._breaker = breaker or Breaker(failures=3)

    async def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The values known on either level; what the shared one knew is in memory afterwards."""
        asked = list(dict.fromkeys(keys))
        found = {key: value for key in asked if (value := self.memory.get(key)) is not None}
        absent = [key for key in asked if key not in found]
        if absent and self.shared is not None:
            shared = self.shared
            for key, value in (await self._ask(lambda: shared.get(absent)) or {}).items():
                self.memory.put(key, value)
                found[key] = value
        return found

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keep them on both levels."""
        for key, value in values.items():
            self.memory.put(key, value)
        if values and self.shared is not None:
            shared = self.shared
            await self._ask(lambda: shared.put(values, self._ttl))

    async def forget(self, keys: Iterable[str]) -> None:
        """Drop them here and on the shared level; other processes' memory keeps them until they are too old."""
        gone = list(dict.fromkeys(keys))
        for key in gone:
            self.memory.forget(key)
        if gone and self.shared is not None:
            shared = self.shared
            await self._ask(lambda: shared.forget(gone))

    async def _ask(self, question: Callable[[], Any]) -> Any:
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(SHARED_SECONDS * 2):
                answer = await question()
        except (psycopg.Error, OSError, TimeoutError) as error:
            self._failed(error)
        except Exception as error:
            if not _of_redis_or_pool(error):
                raise
            self._failed(error)
        else:
            self._breaker.succeeded()
            return answer
        finally:
            self._breaker.abandoned()
        return None

    def _failed(self, error: Exception) -> None:
        self._breaker.failed()
        log.warning("The shared cache does not work (%s). Going on without it.", type(error).__name__)


def _of_redis_or_pool(error: Exception) -> bool:
    # By their names, because importing redis for its errors costs every process that uses none.
    return type(error).__module__.partition(".")[0] in {"redis", "psycopg_pool"}


def shared(name: str, redis_url: str, pool: Pool | None = None, table: str = "") -> Shared | None:
    """The shared level that is to be had: Redis, else the table, else none. ``name`` keeps apart what one Redis holds."""
    if redis_url:
        return InRedis(redis_url, f"prosa:{name}:")
    return InTable(pool, table) if pool is not None and table else None
