"""Natural group commit: whatever arrived while the last batch was being committed becomes the next batch.

No timer, so a lone webhook does not wait. What a batch refuses is tried again webhook by webhook on another connection,
so that one bad row never fails its neighbours.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
from typing import Any

import psycopg

from prosa import conf
from prosa.conversations.inbound import Arrival, store, store_alone
from prosa.errors import TemporaryError
from prosa.postgres.connections import Connection, connect

log = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_BATCH_BYTES = 8 * conf.MEGABYTE
MAX_WAITING = 4096
CONNECTION_LIFE_S = 300.0
PATIENCE_S = 3.0
"""How long requests wait for PostgreSQL to come back before they are told to send again. A restart takes less, and
Twilio does not repeat what was answered 503 (FACTS 2.5)."""


class Unavailable(TemporaryError):
    """PostgreSQL cannot take the message now; the provider should send it again."""


class Receiver:
    """Takes arrivals from concurrent requests and commits them in batches. One per process and event loop."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: collections.deque[Arrival] = collections.deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._apart = asyncio.Semaphore(2)
        self._down_since: float | None = None

    async def start(self) -> None:
        """Begin flushing."""
        # One is enough: half of the requests are read while the other half is stored. With two, one of them gets all of
        # them and the other nothing, and both wait for each other (measured: up to a quarter slower).
        self._spawn(self._flush())

    async def stop(self) -> None:
        """Commit what waits (at most a few seconds), then stop."""
        deadline = asyncio.get_running_loop().time() + 5
        while self._waiting and self._down_since is None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, arrival: Arrival) -> None:
        """Return once the arrival is committed.

        :raises Unavailable: it could not be stored; nothing of it was.
        """
        if self._gave_up() or len(self._waiting) >= MAX_WAITING:
            raise Unavailable
        done = arrival.done = asyncio.get_running_loop().create_future()
        self._waiting.append(arrival)
        self._wake.set()
        await done

    def _gave_up(self) -> bool:
        return self._down_since is not None and asyncio.get_running_loop().time() - self._down_since > PATIENCE_S

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection = await connect(self._dsn, "prosa door", lock_timeout="200ms", statement_timeout="15s")
            except (psycopg.Error, OSError):
                self._down_since = self._down_since or loop.time()
                if self._gave_up():
                    self._fail(Unavailable())
                await asyncio.sleep(0.1)
                continue
            self._down_since = None
            born = loop.time()
            try:
                # A plan cached while the tables were small stays with its connection: hence a connection's short life.
                while not connection.closed and loop.time() - born < CONNECTION_LIFE_S:
                    if not self._waiting:
                        self._wake.clear()
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(30):
                                await self._wake.wait()
                        continue
                    await asyncio.sleep(0)
                    await self._commit(connection, self._batch())
            finally:
                with contextlib.suppress(psycopg.Error, OSError):
                    await connection.close()

    def _batch(self) -> list[Arrival]:
        batch: list[Arrival] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            arrival = self._waiting.popleft()
            batch.append(arrival)
            size += len(arrival.body)
        return batch

    async def _commit(self, connection: Connection, batch: list[Arrival]) -> None:
        try:
            await store(connection, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, this loop goes on and the webhooks are tried one by one
            if connection.closed or connection.broken:
                self._once_more(batch)
            else:
                log.warning(
                    "A batch of %d webhooks was refused (%s); storing them one by one.",
                    len(batch),
                    type(error).__name__,
                )
                self._spawn(self._one_by_one(batch))
        except BaseException:
            self._finish(batch, Unavailable())
            raise
        else:
            self._finish(batch, None)

    def _once_more(self, batch: list[Arrival]) -> None:
        """The connection broke, perhaps after the commit: on another one, messages that are there are not doubled."""
        self._finish([arrival for arrival in batch if arrival.tried], Unavailable())
        again = [arrival for arrival in batch if not arrival.tried]
        for arrival in again:
            arrival.tried = True
        self._waiting.extendleft(reversed(again))

    async def _one_by_one(self, batch: list[Arrival]) -> None:
        try:
            async with self._apart:
                connection = await connect(self._dsn, "prosa door apart", lock_timeout="10s", statement_timeout="15s")
                async with connection:
                    for arrival in batch:
                        try:
                            await store_alone(connection, arrival)
                        except psycopg.Error as error:
                            if connection.closed or connection.broken:
                                raise
                            log.warning("A webhook must be sent again: %s.", type(error).__name__)
                            self._finish([arrival], Unavailable())
                        else:
                            self._finish([arrival], None)
        except (psycopg.Error, OSError):
            log.warning("PostgreSQL went away while webhooks were stored one by one.")
        finally:
            self._finish(batch, Unavailable())

    def _fail(self, error: Exception) -> None:
        self._finish(list(self._waiting), error)
        self._waiting.clear()

    @staticmethod
    def _finish(batch: list[Arrival], error: Exception | None) -> None:
        for arrival in batch:
            if arrival.done is not None and not arrival.done.done():
                if error is None:
                    arrival.done.set_result(None)
                else:
                    arrival.done.set_exception(error)
