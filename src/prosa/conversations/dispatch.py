"""Who works on what: the conversation's row is the queue (see ``dispatch.sql``).

A worker session has a number. It holds an advisory lock on that number for as long as its listening connection lives,
so a killed worker's rows are free again within half a second, and it beats, so a hung one's are after half a minute.
What a worker writes is fenced by (owner, claim). Work comes in lanes that do not hold each other back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection as django_connection

from prosa import sql
from prosa.conversations.lanes import Lane
from prosa.postgres.connections import Connection, Listener, connect
from prosa.sql import Flags, Floats, Ints, Longs, Texts

log = logging.getLogger(__name__)
queries = sql.load(__file__, "dispatch.sql")

CHANNEL = "prosa_dispatch"
LAST_ATTEMPT = 8
BEAT_S = 5.0
SILENCE_S = 30.0
REAP_S = 0.5
IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One conversation's work in one lane, ours until released. ``waited`` is seconds since it could have started."""

    id: int
    conversation_id: int
    lane: Lane
    owner: int
    claim: int
    attempts: int
    superseded: int
    waited: float


@dataclass(frozen=True, slots=True)
class Release:
    """How a claim ended. ``again_in``: seconds until it should run again, None = done. ``error`` set = it failed."""

    again_in: float | None = None
    error: str = ""
    superseded: bool = False


RELEASED = Release(again_in=-1)
"""The handler released the row in its own transaction."""

Handler = Callable[[Claim], Awaitable[Release]]


def backoff(attempt: int) -> float:
    """Seconds before try ``attempt + 1``: 1, 2, 4… up to five minutes, a quarter more or less so that herds part."""
    return min(2.0 ** (attempt - 1), 300.0) * random.uniform(0.75, 1.25)  # noqa: S311


@dataclass(slots=True, eq=False)
class _Running:
    claim: Claim
    task: asyncio.Task[None]
    interrupt: Callable[[], None] | None = None


@dataclass(slots=True)
class Counters:
    """What a dispatcher did since it began."""

    claimed: int = 0
    released: int = 0
    failed: int = 0
    dead: int = 0


@dataclass(slots=True)
class _Session:
    """One enrolment; ends when the listening connection is lost or somebody declared us dead."""

    owner: int
    running: dict[int, _Running] = field(default_factory=dict)


class Dispatcher:
    """Claims work for its handlers and releases it, in batches. One per worker process and event loop."""

    def __init__(
        self,
        dsn: str,
        handlers: Mapping[Lane, Handler],
        slots: Mapping[Lane, int],
        on_dead: Callable[[int, Lane], Awaitable[None]] | None = None,
    ) -> None:
        self._dsn = dsn
        self._handlers = dict(handlers)
        self._slots = dict(slots)
        self._on_dead = on_dead
        self._session: _Session | None = None
        self._owner: int | None = None
        self._ended: list[tuple[Claim, Release]] = []
        self._wake = asyncio.Event()
        self._release_now = asyncio.Event()
        self._draining = False
        self._background: set[asyncio.Task[Any]] = set()
        self._listener = Listener(dsn, [CHANNEL], self._heard, self._enrol, self._lost, name="prosa worker listen")
        self.counters = Counters()

    # ── life ──

    async def run(self) -> None:
        """Work until cancelled or drained; survives a restart of PostgreSQL."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (
                    self._listener.run(),
                    self._keep(self._claiming),
                    self._keep(self._releasing),
                    self._keep(self._reaping),
                )
            ]
            try:
                await self._drained()
            finally:
                for task in tasks:
                    task.cancel()
        await self._leave()

    async def drain(self, seconds: float) -> None:
        """Claim nothing more; wait for what runs, at most ``seconds``; then give the rest back to other workers."""
        self._draining = True
        deadline = asyncio.get_running_loop().time() + seconds
        while (self._running() or self._ended) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for running in self._running():
            running.task.cancel()
        self._release_now.set()

    async def _drained(self) -> None:
        while not (self._draining and not self._running() and not self._ended):
            await asyncio.sleep(0.05 if self._draining else 0.5)

    async def _leave(self) -> None:
        if self._owner is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                async with await connect(self._dsn, "prosa worker leave") as connection:
                    await connection.execute(queries.leave, {"owner": self._owner})

    async def _enrol(self, connection: Connection) -> None:
        row = await (await connection.execute(queries.number)).fetchone()
        if row is None:  # pragma: no cover - nextval answers with a row
            return
        await connection.execute(queries.lock, {"owner": row[0]})
        await connection.execute(
            queries.enrol, {"owner": row[0], "host": socket.gethostname()[:200], "pid": os.getpid()}
        )
        await connection.execute(queries.orphans)
        self._owner = row[0]
        self._session = _Session(row[0])
        self._wake.set()

    def _lost(self) -> None:
        """The lock is gone, and with it our claims: whoever has them now must not meet us."""
        session, self._session = self._session, None
        for running in list(session.running.values()) if session else ():
            running.task.cancel()
        self._ended.clear()

    async def _keep(self, loop: Callable[[Connection], Awaitable[None]]) -> None:
        """Run a loop on a connection of its own, again and again."""
        while True:
            try:
                async with await connect(self._dsn, "prosa worker") as connection:
                    await loop(connection)
            except (psycopg.OperationalError, OSError) as error:
                log.warning("The database is away (%s); trying again.", type(error).__name__)
                await asyncio.sleep(0.5)

    # ── claiming ──

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def _heard(self, _channel: str, payload: str) -> None:
        """Conversations named in a notification have news while we work on them: their turns may be interrupted."""
        if payload and self._session is not None:
            ids = {int(part) for part in payload.split(",") if part.isdigit()}
            for running in list(self._session.running.values()):
                if running.interrupt is not None and running.claim.conversation_id in ids:
                    running.interrupt()
        self._wake.set()

    def _running(self) -> list[_Running]:
        return list(self._session.running.values()) if self._session else []

    def _free(self) -> tuple[list[int], list[int]]:
        busy = dict.fromkeys(self._slots, 0)
        for running in self._running():
            busy[running.claim.lane] += 1
        free = {lane: slots - busy[lane] for lane, slots in self._slots.items() if slots > busy[lane]}
        return [int(lane) for lane in free], list(free.values())

    async def _claiming(self, connection: Connection) -> None:
        while True:
            self._wake.clear()
            session = self._session
            lanes, free = self._free()
            rows: Sequence[Any] = ()
            if session is not None and lanes and not self._draining:
                cursor = await connection.execute(
                    queries.claim, {"owner": session.owner, "lanes": lanes, "free": free}, prepare=True
                )
                rows = await cursor.fetchall()
                for dispatch_id, conversation_id, lane, claim, attempts, superseded, waited in rows:
                    self._start(
                        session,
                        Claim(
                            dispatch_id, conversation_id, Lane(lane), session.owner, claim, attempts, superseded, waited
                        ),
                    )
            if rows:
                await asyncio.sleep(0)
                continue
            wait = IDLE_S
            if session is not None and lanes:
                due = await (await connection.execute(queries.next_due, {"lanes": lanes}, prepare=True)).fetchone()
                if due and due[0] is not None:
                    wait = min(max(due[0], 0.001), IDLE_S)
            # Not wait_for: before Python 3.12 it forgets a cancellation that comes with the event, and this went on for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    def _start(self, session: _Session, claim: Claim) -> None:
        self.counters.claimed += 1
        task = asyncio.create_task(self._work(session, claim))
        session.running[claim.id] = _Running(claim, task)

    def on_news(self, claim: Claim, interrupt: Callable[[], None] | None) -> None:
        """Call ``interrupt`` when the conversation gets news while this claim runs; None takes it back."""
        if self._session is not None and (running := self._session.running.get(claim.id)):
            running.interrupt = interrupt

    async def _work(self, session: _Session, claim: Claim) -> None:
        try:
            release = await self._handlers[claim.lane](claim)
        except asyncio.CancelledError:
            release = Release(again_in=0)
            if session is not self._session:
                return
        except Exception as error:
            log.exception("Work on conversation %d (%s) failed.", claim.conversation_id, claim.lane.name.lower())
            self.counters.failed += 1
            release = Release(again_in=backoff(claim.attempts), error=f"{type(error).__name__}: {error}"[:2000])
        finally:
            session.running.pop(claim.id, None)
        if release is RELEASED:
            self.counters.released += 1
            self._wake.set()
        else:
            self._ended.append((claim, release))
            self._release_now.set()

    # ── releasing ──

    async def _releasing(self, connection: Connection) -> None:
        while True:
            await self._release_now.wait()
            self._release_now.clear()
            await asyncio.sleep(0)
            ended, self._ended = self._ended, []
            if not ended or self._session is None:
                continue
            try:
                cursor = await connection.execute(
                    queries.release,
                    {
                        "owner": self._session.owner,
                        "last": LAST_ATTEMPT,
                        "ids": Longs([claim.id for claim, _ in ended]),
                        "claims": Ints([claim.claim for claim, _ in ended]),
                        "delays": Floats([release.again_in for _, release in ended]),
                        "failed": Flags([bool(release.error) for _, release in ended]),
                        "superseded": Flags([release.superseded for _, release in ended]),
                        "errors": Texts([release.error for _, release in ended]),
                    },
                    prepare=True,
                )
            except psycopg.OperationalError:
                self._ended = ended + self._ended
                self._release_now.set()
                raise
            for _, conversation_id, lane, dead in await cursor.fetchall():
                self.counters.released += 1
                if dead:
                    self._bury(conversation_id, Lane(lane))
            self._wake.set()

    def _bury(self, conversation_id: int, lane: Lane) -> None:
        self.counters.dead += 1
        log.error(
            "Work on conversation %d (%s) failed %d times and is a dead letter now.",
            conversation_id,
            lane.name.lower(),
            LAST_ATTEMPT,
        )
        if self._on_dead is not None:
            task = asyncio.ensure_future(self._on_dead(conversation_id, lane))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    # ── the others ──

    async def _reaping(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        beat_at = 0.0
        while True:
            session = self._session
            if session is not None:
                if loop.time() - beat_at >= BEAT_S:
                    beat_at = loop.time()
                    cursor = await connection.execute(queries.beat, {"owner": session.owner}, prepare=True)
                    if cursor.rowcount == 0 and session is self._session:
                        log.error("Other workers took this one for dead; it starts over.")
                        await self._listener.reconnect()
                        continue
                cursor = await connection.execute(
                    queries.reap, {"owner": session.owner, "silence": SILENCE_S, "last": LAST_ATTEMPT}, prepare=True
                )
                for conversation_id, lane, dead, _ in await cursor.fetchall():
                    if dead:
                        self._bury(conversation_id, Lane(lane))
                    self._wake.set()
            await asyncio.sleep(REAP_S)


def revive(dispatch_ids: Sequence[int]) -> int:
    """Give dead letters another life, from the first attempt.

    :returns: how many were dead.
    """
    with django_connection.cursor() as cursor:
        cursor.execute(queries.revive.decode(), {"ids": list(dispatch_ids)})
        row = cursor.fetchone()
    return int(row[0]) if row else 0
