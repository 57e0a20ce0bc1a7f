"""One worker process: the three lanes of ``conversations/dispatch``, and the chores of ``queue``."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import signal

import psycopg

from prosa import conf, queue, telemetry
from prosa.agents import llm, runner
from prosa.channels import inboxes
from prosa.channels.inboxes import Inboxes
from prosa.conversations.dispatch import Claim, Dispatcher, Handler, Release
from prosa.conversations.lanes import Lane
from prosa.conversations.media.fetching import MediaLane
from prosa.conversations.outbox import Outbox
from prosa.conversations.turns import Turns
from prosa.errors import ConfigurationError
from prosa.http import Client
from prosa.knowledge import fusion
from prosa.postgres import connections, shared
from prosa.postgres.connections import Connection, Listener

log = logging.getLogger(__name__)

DRAIN_S = 28.0
POOL_SIZE = 6
"""More keep PostgreSQL no busier: with 12 a turn cost it a quarter more, for each connection warms up its own caches."""


class Worker:
    """Everything a worker process runs, in one event loop."""

    def __init__(self, dsn: str, concurrency: int) -> None:
        self.inboxes = Inboxes()
        self.pool = connections.pool(dsn, name="prosa worker pool", low=2, high=POOL_SIZE)
        self.client = Client()
        self.turns = Turns(self.pool, self.inboxes, self.client)
        self._media = MediaLane(self.pool, self.inboxes, self.client)
        outbox = Outbox(self.pool, self.inboxes, self.client)
        self.dispatcher = Dispatcher(
            dsn,
            {
                Lane.TURNS: _measured("turn", self.turns.run_turn),
                Lane.DELIVERIES: _measured("delivery", outbox.deliver),
                Lane.MEDIA: self._media.fetch,
            },
            {Lane.TURNS: concurrency, Lane.DELIVERIES: max(concurrency // 2, 10), Lane.MEDIA: 10},
            on_dead=self._bury,
        )
        self.turns.dispatcher = self.dispatcher
        self._stale = asyncio.Event()
        self._listener = Listener(
            dsn,
            [inboxes.CHANNEL],
            lambda _channel, _payload: self._stale.set(),
            self._load,
            name="prosa worker inboxes",
        )

    async def run(self, *, chores: bool = True) -> None:
        """Work until cancelled or :meth:`drain` has ended it."""
        # With the pool not yet able to connect (PostgreSQL restarting) work begins when it is.
        await self.pool.open(wait=False)
        tasks = [asyncio.create_task(self._listener.run()), asyncio.create_task(self._keep_fresh())]
        if chores:
            tasks.append(asyncio.create_task(queue.run_worker()))
        _warm_up()
        telemetry.start()
        try:
            await self._listener.connected.wait()
            await self.dispatcher.run()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.client.close()
            await fusion.close()
            await self.pool.close()
            await runner.close()
            await asyncio.to_thread(telemetry.stop)

    async def drain(self) -> None:
        """Take nothing new, finish what runs."""
        await self.dispatcher.drain(DRAIN_S)

    async def _load(self, connection: Connection) -> None:
        await self.inboxes.load(connection)
        # After a restart of PostgreSQL the pool is full of dead connections; one conversation could meet them all in turn.
        await self.pool.check()

    async def _keep_fresh(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                async with self.pool.connection() as connection:
                    await self.inboxes.load(connection)
            except psycopg.Error as error:
                log.warning("Inboxes could not be read again (%s); trying once more.", type(error).__name__)
                await asyncio.sleep(1)
                self._stale.set()

    async def _bury(self, conversation_id: int, lane: Lane) -> None:
        if lane is Lane.MEDIA:
            await self._media.give_up(conversation_id)
        else:
            await self.turns.bury(conversation_id, lane)


def _measured(name: str, handle: Handler) -> Handler:
    """The handler of a lane, as a span."""

    async def measured(claim: Claim) -> Release:
        with telemetry.span(name, conversation=claim.conversation_id):
            return await handle(claim)

    return measured


def _warm_up() -> None:
    """Load the default model's SDK now: the first customer should not wait half a second for it."""
    name = conf.settings().model
    if name != "offline":
        with contextlib.suppress(ConfigurationError):  # each turn's record and `prosa doctor` say what is missing
            llm.find(name)


async def _main(concurrency: int) -> int:
    worker = Worker(shared.dsn(), concurrency)
    running = asyncio.create_task(worker.run())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        stopping.cancel()
        if not running.cancelled():
            running.result()
        log.error("The worker ended although nobody told it to.")
        return 1
    if not running.done():
        log.info("Draining: nothing new is taken, at most %d s for what runs.", int(DRAIN_S))
        await worker.drain()
        # A worker that never reached the database has nothing to finish and nobody to tell.
        await asyncio.wait({running}, timeout=2)
    stopping.cancel()
    running.cancel()
    await asyncio.wait({running})
    if not running.cancelled():
        running.result()
    return 0


def run(concurrency: int) -> int:
    """Be a worker until SIGTERM or SIGINT; blocking. Returns the exit code."""
    import uvloop

    faulthandler.enable()  # whatever ends the process says where
    # What is alive now stays alive: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):
        return uvloop.run(_main(concurrency))
    return 0
