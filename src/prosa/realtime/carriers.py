"""How news travels: PostgreSQL tells every process, or one process hears PostgreSQL and Redis tells the others.

What is published is always PostgreSQL's ``NOTIFY``, in the transaction of what it tells of; Redis only spreads it
(docs/decisions/0009-redis-spreads-what-postgresql-tells.md). So no publishing can fail for Redis' sake.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from prosa.postgres.connections import Listener

if TYPE_CHECKING:  # 0.1 s to import, and most installations use none
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

CHANNEL = "prosa_realtime"
"""PostgreSQL's; the hot path's SQL writes to it directly."""

Hear = Callable[[str], None]
"""Called with ``topic:number,…``, in the event loop; must be quick."""
Refresh = Callable[[], None]
"""Called whenever something may have been missed."""


class Carrier(ABC):
    """Brings news to one event loop."""

    @abstractmethod
    async def run(self, hear: Hear, refresh: Refresh) -> None:
        """Until cancelled, whatever fails meanwhile. ``refresh`` is called once at the beginning."""


class Notify(Carrier):
    """A connection of this event loop that listens."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def run(self, hear: Hear, refresh: Refresh) -> None:
        """As :meth:`Carrier.run`."""

        async def connected(_connection: object) -> None:
            refresh()

        await Listener(
            self._dsn, [CHANNEL], lambda _channel, payload: hear(payload), connected, name="prosa realtime"
        ).run()


LEASE_S = 3.0
"""How long nobody relays after the process that did was killed; then another does, and everybody looks again."""
RENEW_S = 1.0
AWAY_S = 5.0
"""How often Redis is tried again while PostgreSQL is listened to directly."""
ANSWER_S = 2.0
MISSED = "*"
"""What is spread when something may have been missed."""
FREE = "-"
"""What is spread by who stops relaying."""

_RENEW = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
)
_LEAVE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class InRedis(Carrier):
    """A channel of the Redis at ``url``. Of all who follow it, one relays; while Redis is away each listens itself.

    ``name`` keeps apart the installations that one Redis serves; see :func:`name_of`.
    """

    def __init__(self, url: str, dsn: str, name: str) -> None:
        self._url, self._dsn = url, dsn
        self._channel, self._lease = f"prosa:realtime:{name}", f"prosa:realtime:{name}:relay"
        self._token = secrets.token_hex(8)
        self._free = asyncio.Event()

    async def run(self, hear: Hear, refresh: Refresh) -> None:
        """As :meth:`Carrier.run`."""
        from redis.exceptions import RedisError

        while True:
            client = self._client()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read(client, hear, refresh))
                    group.create_task(self._relay(client))
            except* (RedisError, OSError, TimeoutError) as errors:
                log.warning(
                    "Redis does not carry realtime news (%s). Listening to PostgreSQL meanwhile.",
                    type(errors.exceptions[0]).__name__,
                )
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()
            await self._meanwhile(hear, refresh)

    def _client(self) -> Redis:
        from redis.asyncio import Redis

        return Redis.from_url(
            self._url, decode_responses=True, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S
        )

    async def _meanwhile(self, hear: Hear, refresh: Refresh) -> None:
        """Listen to PostgreSQL until Redis answers again."""
        from redis.exceptions import RedisError

        listening = asyncio.create_task(Notify(self._dsn).run(hear, refresh))
        try:
            while True:
                client = self._client()
                try:
                    await client.get(self._lease)
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(AWAY_S)
                else:
                    return
                finally:
                    with contextlib.suppress(RedisError, OSError):
                        await client.aclose()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _read(self, client: Redis, hear: Hear, refresh: Refresh) -> None:
        async with client.pubsub() as channel:
            await channel.subscribe(self._channel)
            while True:
                # A look with a limit: a connection that died unsaid is found by the lease's commands, which share its fate.
                told = await channel.get_message(timeout=RENEW_S)
                kind, text = (told["type"], told["data"]) if told else ("", "")
                if kind == "subscribe" or text == MISSED:
                    refresh()
                elif kind == "message" and text == FREE:
                    self._free.set()
                elif kind == "message":
                    hear(text)

    async def _relay(self, client: Redis) -> None:
        while True:
            if await client.set(self._lease, self._token, nx=True, px=round(LEASE_S * 1000)):
                await self._spread(client)
            self._free.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._free.wait()

    async def _spread(self, client: Redis) -> None:
        """Relay for as long as the lease is ours."""
        news: asyncio.Queue[str] = asyncio.Queue()

        async def connected(_connection: object) -> None:
            news.put_nowait(MISSED)

        async def tell() -> None:
            while True:
                await client.publish(self._channel, await news.get())

        listener = Listener(
            self._dsn, [CHANNEL], lambda _channel, payload: news.put_nowait(payload), connected, name="prosa realtime"
        )
        tasks = [asyncio.create_task(listener.run()), asyncio.create_task(tell())]
        try:
            while not tasks[1].done():
                await asyncio.wait([tasks[1]], timeout=RENEW_S)
                if not await self._evaluate(client, _RENEW, self._token, str(round(LEASE_S * 1000))):
                    return
            tasks[1].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.shield(self._leave(client))

    async def _leave(self, client: Redis) -> None:
        from redis.exceptions import RedisError

        with contextlib.suppress(RedisError, OSError, TimeoutError):
            if await self._evaluate(client, _LEAVE, self._token):
                await client.publish(self._channel, FREE)

    async def _evaluate(self, client: Redis, script: str, *values: str) -> Any:
        untyped: Any = client
        return await untyped.eval(script, 1, self._lease, *values)


def name_of(dsn: str, secret: str) -> str:
    """What an installation's news are called in a Redis that others may use as well."""
    parts = conninfo_to_dict(dsn)
    known = "\n".join(str(parts.get(each) or "") for each in ("host", "port", "dbname", "options"))
    return hashlib.sha256(f"{secret}\n{known}".encode()).hexdigest()[:20]
