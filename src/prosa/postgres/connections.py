"""Connections of the hot path: a pool without Django, and unpooled ones that listen.

All are psycopg 3, autocommit, and know the column types of ``prosa.sql``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from prosa import sql

log = logging.getLogger(__name__)

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

# Every query here finds its rows by an index. On a fresh installation the planner cannot know that: its first plans are
# made for empty tables and kept until statistics come, while the tables grow (measured: a batch of 48 new contacts went
# from 11 to 85 ms within a few thousand). Planning with the values at hand gains nothing either.
# A page that is not in PostgreSQL's own memory is mostly in the system's, from where it is fetched quicker than PostgreSQL 18 has
# one of its reading processes fetch it, above all while other processes want the cores (fused search: p95 59 ms, and 35 so).
PLANNER = (
    "SELECT set_config('enable_seqscan', 'off', false), set_config('random_page_cost', '1.1', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('effective_io_concurrency', '0', false)"
)


async def _prepare(connection: Connection) -> None:
    await connection.set_autocommit(True)
    await connection.execute(PLANNER)
    connection.prepare_threshold = 1
    sql.register(connection)


async def connect(dsn: str, name: str = "prosa", **options: str) -> Connection:
    """One connection. ``options`` are PostgreSQL settings (``lock_timeout="200ms"``)."""
    settings = " ".join(f"-c {key}={value}" for key, value in options.items())
    # What the DSN itself asks for (a host project's search_path) stays.
    given = str(conninfo_to_dict(dsn).get("options") or "")
    extra: dict[str, Any] = {"options": f"{given} {settings}".strip()} if settings else {}
    connection = await AsyncConnection.connect(dsn, autocommit=True, application_name=name, connect_timeout=5, **extra)
    try:
        await _prepare(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def pool(dsn: str, *, name: str = "prosa", low: int = 1, high: int = 10) -> Pool:
    """A pool, not yet open. Connections are replaced every ten minutes: plans cached while tables were small grow costly."""
    return AsyncConnectionPool(
        dsn,
        min_size=low,
        max_size=high,
        open=False,
        configure=_prepare,
        kwargs={"autocommit": True, "application_name": name, "connect_timeout": 5},
        max_lifetime=600,
        timeout=10,
        reconnect_timeout=5,
        check=None,
    )


class Listener:
    """Keeps one connection that listens; calls back for each notification; reconnects for as long as it runs.

    ``on_notify(channel, payload)`` runs in the event loop and must be quick. ``on_connect(connection)`` runs after every
    (re)connection, before listening: what was missed meanwhile must be looked up there or right after.
    """

    def __init__(
        self,
        dsn: str,
        channels: Iterable[str],
        on_notify: Callable[[str, str], None],
        on_connect: Callable[[Connection], Awaitable[None]] | None = None,
        on_lost: Callable[[], None] | None = None,
        name: str = "prosa listen",
    ) -> None:
        self._dsn, self._name = dsn, name
        self._channels = tuple(channels)
        self._on_notify, self._on_connect, self._on_lost = on_notify, on_connect, on_lost
        self._reading: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    async def reconnect(self) -> None:
        """Give up the connection, and with it everything held by it, and make another."""
        # Closing it here would take the socket from under whoever waits for it to be readable.
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                connection = await connect(self._dsn, self._name)
            except (psycopg.OperationalError, OSError) as error:
                log.warning("Cannot reach PostgreSQL to listen: %s", _first_line(error))
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._reading = asyncio.create_task(self._read(connection))
            try:
                await asyncio.wait({self._reading})
                if not self._reading.cancelled():
                    self._reading.result()
            except psycopg.OperationalError as error:
                log.warning("The listening connection was lost: %s", _first_line(error))
            except Exception:
                log.exception("Listening failed; trying again.")
                await asyncio.sleep(RECONNECT_S[-1])
            finally:
                self._reading.cancel()
                await asyncio.wait({self._reading})
                self.connected.clear()
                if self._on_lost is not None:
                    self._on_lost()
                with contextlib.suppress(Exception):
                    await connection.close()

    async def _read(self, connection: Connection) -> None:
        for channel in self._channels:
            await connection.execute(f'LISTEN "{channel}"')
        if self._on_connect is not None:
            await self._on_connect(connection)
        self.connected.set()
        async for notify in connection.notifies():
            self._on_notify(notify.channel, notify.payload)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


async def fetch_one(connection: Connection, query: bytes, parameters: dict[str, Any]) -> TupleRow | None:
    """Run a prepared query and return its first row."""
    cursor = await connection.execute(query, parameters, prepare=True)
    return await cursor.fetchone()


async def fetch_all(connection: Connection, query: bytes, parameters: dict[str, Any]) -> list[TupleRow]:
    """Run a prepared query and return all rows."""
    cursor = await connection.execute(query, parameters, prepare=True)
    return await cursor.fetchall()
