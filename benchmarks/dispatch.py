"""How fast work is claimed, how soon it starts, and how soon it starts again when a worker is killed.

Rates: ``Dispatcher`` with a handler that does nothing drains a backlog; the peer drains as many rows one by one with
SKIP LOCKED. Starts: webhooks go through the real ``Receiver`` of this process to a worker process; measured from the
return of the commit to the first line of the handler (``idle``), from the end of a handler to the start of the next
one for a message that came meanwhile (``followup``), and from ``kill -9`` of the worker that holds a conversation to
the handler's start in the other one (``restart``, the slowest of all rounds).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from _installation import Installation, fresh
from _report import Report, console, median, percentile
from _webhooks import body
from peers import skip_locked

TARGETS = {
    "claims_vs_skip_locked": (">=", 5.0),
    "rate_100k_vs_10k": (">=", 0.8),
    "idle_start_p95_ms": ("<=", 10.0),
    "followup_start_p95_ms": ("<=", 20.0),
    "restart_ms": ("<=", 1000.0),
}
SMALL, LARGE = 10_000, 100_000
SLOTS = 500
HANDLER_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _django()
        uvloop.run(_be_worker(options.worker))
        return
    with fresh() as here:
        os.environ.clear()
        os.environ.update(here.environment)
        _django()
        report = Report("dispatch", TARGETS)
        uvloop.run(_measure(here, report, options))
        report.show(as_json=options.json)


def _django() -> None:
    from prosa.cli import boot

    boot.django()


async def _measure(here: Installation, report: Report, options: argparse.Namespace) -> None:
    await _rates(here, report, options.rounds)
    here.sql("UPDATE prosa_business_business SET quiet_ms = 0, max_quiet_ms = 0")
    async with _door(here) as send:
        async with _worker(here, HANDLER_S) as worker:
            idle, followup = await _starts(send, worker, options.samples)
        restarts = await _restarts(here, send, max(options.rounds, 5))
    for name, values in (("idle_start", idle), ("followup_start", followup)):
        report.figures[f"{name}_p50_ms"] = median(values)
        report.figures[f"{name}_p95_ms"] = percentile(values, 0.95)
    report.figures["restart_ms"] = max(restarts)
    report.figures["restart_median_ms"] = median(restarts)


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────


async def _rates(here: Installation, report: Report, rounds: int) -> None:
    here.sql("CREATE DATABASE peers")
    peers = here.dsn.replace("/postgres?", "/peers?")
    here.sql((Path(__file__).parent / "peers" / "schema.sql").read_text(), peers)
    _seed(here, LARGE)
    ours: dict[int, list[float]] = {SMALL: [], LARGE: []}
    one_by_one: list[float] = []
    for turn in range(rounds):
        for size in (SMALL, LARGE):
            _wait(here, size)
            ours[size].append(size / await _drain(here.dsn, size))
        # Fewer, because it is slow; its rate does not depend on the number.
        with psycopg.connect(peers, autocommit=True) as connection:
            connection.execute("INSERT INTO job (conversation_id) SELECT generate_series(1, %s)", (SMALL // 2,))
        one_by_one.append(SMALL // 2 / await skip_locked.drain(peers))
        console.print(
            f"round {turn + 1}  10k {ours[SMALL][-1]:.0f} /s  100k {ours[LARGE][-1]:.0f} /s  one by one {one_by_one[-1]:.0f} /s"
        )
    report.ratios["claims_vs_skip_locked"] = median(ours[SMALL]) / median(one_by_one)
    report.ratios["rate_100k_vs_10k"] = median(ours[LARGE]) / median(ours[SMALL])
    report.figures["claims_10k_per_s"] = median(ours[SMALL])
    report.figures["claims_100k_per_s"] = median(ours[LARGE])
    report.figures["skip_locked_per_s"] = median(one_by_one)


def _seed(here: Installation, count: int) -> None:
    """Contacts, each with a conversation and a row in the lane of turns."""
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO prosa_contacts_contact (business_id) SELECT min(id) FROM prosa_business_business, generate_series(1, %s) n GROUP BY n",
            (count,),
        )
        connection.execute(
            "INSERT INTO prosa_conversations_conversation (business_id, inbox_id, contact_id)"
            " SELECT c.business_id, (SELECT min(id) FROM prosa_channels_inbox), c.id FROM prosa_contacts_contact c"
        )
        connection.execute(
            "INSERT INTO prosa_conversations_dispatch (conversation_id, lane) SELECT id, 1 FROM prosa_conversations_conversation ORDER BY id"
        )


def _wait(here: Installation, count: int) -> None:
    """Give ``count`` conversations work, one after the other by a microsecond."""
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE prosa_conversations_dispatch d SET run_at = now() - interval '1 minute' + x.n * interval '1 microsecond'"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM prosa_conversations_dispatch ORDER BY id LIMIT %s) x WHERE d.id = x.id",
            (count,),
        )


async def _drain(dsn: str, count: int) -> float:
    """Seconds from the first claim to the last release."""
    from prosa.conversations.dispatch import Claim, Dispatcher, Release
    from prosa.conversations.lanes import Lane

    begun: list[float] = []

    async def nothing(_claim: Claim) -> Release:
        if not begun:
            begun.append(time.perf_counter())
        return Release()

    dispatcher = Dispatcher(dsn, {Lane.TURNS: nothing}, {Lane.TURNS: SLOTS})
    running = asyncio.create_task(dispatcher.run())
    while dispatcher.counters.released < count:
        await asyncio.sleep(0.002)
    took = time.perf_counter() - begun[0]
    await dispatcher.drain(5)
    await running
    return took


# ── starts ────────────────────────────────────────────────────────────────────────────────────────


class _Worker:
    """A worker process; its handler says when it started and ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def next(self, what: str, conversation: int | None = None) -> tuple[float, int]:
        """The moment (monotonic, shared by all processes) of the next event of this kind, and its conversation."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if what in said and conversation in (None, said["conversation"]):
                return said[what], said["conversation"]
        raise SystemExit("A worker process ended.")


@asynccontextmanager
async def _worker(here: Installation, seconds: float) -> AsyncIterator[_Worker]:
    command = [sys.executable, __file__, "--worker", str(seconds)]
    with (here.folder / "worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    worker = _Worker(process)
    try:
        await worker.next("ready")
        yield worker
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _be_worker(seconds: float) -> None:
    from prosa.conversations.dispatch import Claim, Dispatcher, Release
    from prosa.conversations.lanes import Lane

    def say(what: str, conversation: int) -> None:
        sys.stdout.write(json.dumps({what: time.monotonic(), "conversation": conversation}) + "\n")
        sys.stdout.flush()

    async def handle(claim: Claim) -> Release:
        say("started", claim.conversation_id)
        await asyncio.sleep(seconds)
        say("ended", claim.conversation_id)
        return Release()

    from prosa import conf, postgres

    dispatcher = Dispatcher(postgres.dsn(conf.settings()), {Lane.TURNS: handle}, {Lane.TURNS: 100})
    running = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(1)
    say("ready", 0)
    await running


@asynccontextmanager
async def _door(here: Installation) -> AsyncIterator[Any]:
    """``send(number, contact)``: a webhook through ``Receiver``; gives the moment its commit returned."""
    from prosa.channels import base
    from prosa.channels.inboxes import Inboxes
    from prosa.contracts import WebhookRequest
    from prosa.conversations.inbound import read
    from prosa.conversations.receiver import Receiver
    from prosa.postgres.connections import connect

    known = Inboxes()
    async with await connect(here.dsn) as connection:
        await known.load(connection)
    provider = base.provider("whatsapp_cloud")
    inbox = known.of_kind("whatsapp_cloud")[0]
    receiver = Receiver(here.dsn)
    await receiver.start()

    async def send(number: int, contact: int) -> float:
        content = body(number * 10_000 + contact, contacts=10_000)
        await receiver.accept(read(provider, inbox, known, WebhookRequest("POST", "/webhook", b"", {}, content)))
        return time.monotonic()

    yield send
    await receiver.stop()


async def _starts(send: Any, worker: _Worker, samples: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the start of a lone message, and of one that came while its conversation was being worked on."""
    idle, followup = [], []
    for number in range(samples):
        await asyncio.sleep(random.uniform(0.005, 0.05))
        committed = await send(2 * number + 1, number % 50)
        started, conversation = await worker.next("started")
        # The worker may hear of the commit before the one who made it does.
        idle.append(max(0.0, started - committed) * 1000)
        await send(2 * number + 2, number % 50)
        ended, _ = await worker.next("ended", conversation)
        again, _ = await worker.next("started", conversation)
        followup.append((again - ended) * 1000)
        await worker.next("ended", conversation)
    return idle, followup


async def _restarts(here: Installation, send: Any, rounds: int) -> list[float]:
    """Milliseconds from the death of the worker that holds a conversation to its start in the other one."""
    found = []
    for turn in range(rounds):
        async with _worker(here, 3600) as first, _worker(here, 3600) as second:
            waiting = {worker: asyncio.create_task(worker.next("started")) for worker in (first, second)}
            await send(10_000 + turn, 100 + turn)
            await asyncio.wait(waiting.values(), return_when=asyncio.FIRST_COMPLETED)
            holder, other = (first, second) if waiting[first].done() else (second, first)
            await asyncio.sleep(random.uniform(0.1, 0.6))
            killed = time.monotonic()
            holder.process.kill()
            started, _ = await waiting[other]
            found.append((started - killed) * 1000)
            console.print(f"restart {turn + 1}: {found[-1]:.0f} ms")
    return found


if __name__ == "__main__":
    main()
