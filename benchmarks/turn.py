"""What a turn costs beside the model: CPU, latency, memory.

A turn is everything a worker does for one question on the REST channel: claim, read twenty messages of history, ask
the model, write, deliver. There are no approved answers, so none are looked up. The model is ``simulator.fake_llm``, which answers after 300 ms
(30 s for memory). ``worker_cpu_vs_bare``: the same process also runs a bare pydantic-ai ``Agent`` with the same
messages, in turns. ``pg_cpu_ms`` includes taking the question in. Overhead is from the question's commit to the
answer's, less the 300 ms, at half the saturated rate. Memory is that of a real ``prosa worker`` and ``prosa up``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import uvloop

import _machine
import _turns
from _installation import Installation, end, fresh, serving
from _report import Report, console, median, percentile

TARGETS = {
    "worker_cpu_vs_bare": ("<=", 1.6),
    "pg_cpu_ms": ("<=", 2.0),
    "overhead_p50_ms": ("<=", 30.0),
    "overhead_p99_ms": ("<=", 200.0),
    "mb_per_1000_turns": ("<=", 150.0),
    "idle_mb": ("<=", 450.0),
}
STUB_PORT, UP_PORT = 8705, 8706
MODEL_S = 0.3
CONCURRENCY = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=600, help="in one burst")
    parser.add_argument("--seconds", type=float, default=15, help="at half the saturated rate")
    parser.add_argument("--only", default="cpu,memory,idle")
    parser.add_argument("--lab", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lab:
        _lab()
        return
    parts = options.only.split(",")
    report = Report("turn", TARGETS)
    model = {
        "PROSA_MODEL": f"openai-chat:stub-late-{MODEL_S * 1000:.0f}ms",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{STUB_PORT}/v1",
        "OPENAI_API_KEY": "none",
    }
    with fresh(**model) as here:
        stub = here.spawn([sys.executable, "-m", "prosa.simulator.fake_llm", "--port", str(STUB_PORT)], "stub")
        with serving(stub, f"http://127.0.0.1:{STUB_PORT}/v1/models"):
            os.environ.clear()
            os.environ.update(here.environment)
            _django()
            here.sql(
                "UPDATE prosa_business_business SET quiet_ms = 0, max_quiet_ms = 0, locale = 'pt-br', failures_before_handoff = 0"
            )
            _turns.seed(here, max(options.turns, CONCURRENCY))
            if "cpu" in parts:
                uvloop.run(_cpu(here, report, options))
            if "memory" in parts:
                uvloop.run(_memory(here, report))
    if "idle" in parts:
        with fresh() as here:
            report.figures["idle_mb"] = _idle(here)
    report.show(as_json=options.json)


def _django() -> None:
    from prosa.cli import boot

    boot.django()


# ── CPU and latency ───────────────────────────────────────────────────────────────────────────────


class _Lab:
    """The process under measurement: a worker that also makes bare runs when asked."""

    def __init__(self, here: Installation) -> None:
        self.process = here.spawn(
            [sys.executable, __file__, "--lab"], "lab", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    async def tell(self, command: str) -> float:
        """Send a line, get a number."""

        def exchange() -> str:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            return self.process.stdout.readline()

        said = await asyncio.to_thread(exchange)
        if not said:
            raise SystemExit(f"The worker under measurement ended at {command!r}.")
        return float(said)


async def _cpu(here: Installation, report: Report, options: argparse.Namespace) -> None:
    lab = _Lab(here)
    try:
        await lab.tell("ready")
        async with _turns.customers(here) as them:
            await _burst(them, 100)
            await lab.tell("bare 100")
            worker, bare, mind, postgres, rates = [], [], [], [], []
            for turn in range(options.rounds):
                _turns.forget(here)
                cpu, pg = await lab.tell("cpu"), _machine.cpu_s(here.postmaster)
                took = await _burst(them, options.turns)
                worker.append((await lab.tell("cpu") - cpu) / options.turns * 1000)
                postgres.append((_machine.cpu_s(here.postmaster) - pg) / options.turns * 1000)
                rates.append(options.turns / (took - MODEL_S))
                for kind, found in (("bare", bare), ("mind", mind)) if turn % 2 else (("mind", mind), ("bare", bare)):
                    found.append(await lab.tell(f"{kind} {options.turns}") / options.turns * 1000)
                console.print(
                    f"round {turn + 1}  turn {worker[-1]:.2f} ms + PostgreSQL {postgres[-1]:.2f} ms  {rates[-1]:.0f} /s  mind alone {mind[-1]:.2f} ms  bare {bare[-1]:.2f} ms"
                )
            report.ratios["worker_cpu_vs_bare"] = median(worker) / median(bare)
            report.ratios["mind_cpu_vs_bare"] = median(mind) / median(bare)
            report.figures |= {
                "worker_cpu_ms": median(worker), "pg_cpu_ms": median(postgres), "bare_cpu_ms": median(bare), "mind_cpu_ms": median(mind), "saturated_per_s": median(rates),
            }  # fmt: skip
            _turns.forget(here)
            overhead = await _half(them, median(rates) / 2, options.seconds)
            report.figures |= {
                "overhead_p50_ms": median(overhead),
                "overhead_p99_ms": percentile(overhead, 0.99),
                "half_rate_per_s": median(rates) / 2,
            }
    finally:
        lab.process.stdin.close()
        end(lab.process)


async def _burst(them: _turns.Customers, count: int) -> float:
    """Ask everywhere at once. Seconds until all is answered and delivered."""
    started = time.perf_counter()
    await asyncio.gather(*(them.ask(which) for which in range(count)))
    await them.all_answered()
    return time.perf_counter() - started


async def _half(them: _turns.Customers, rate: float, seconds: float) -> list[float]:
    """Milliseconds beyond the model's time, of questions that come at random moments."""
    them.took.clear()
    asking = []
    ends = time.perf_counter() + seconds
    due, which = time.perf_counter(), 0
    while due < ends:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asking.append(asyncio.create_task(them.ask(which % len(them.conversations))))
        which += 1
        due += random.expovariate(rate)
    await asyncio.gather(*asking)
    await them.all_answered()
    if len(them.took) < len(asking) * 0.99:
        raise SystemExit(
            f"{len(asking)} questions, {len(them.took)} answers: some were asked before the last was answered."
        )
    return [(took - MODEL_S) * 1000 for took in them.took]


def _lab() -> None:
    _django()
    gc.collect()
    gc.freeze()
    uvloop.run(_work())


async def _work() -> None:
    from prosa.postgres import shared
    from prosa.worker import Worker

    worker = Worker(shared.dsn(), CONCURRENCY)
    working = asyncio.create_task(worker.run(chores=False))
    bare, mind = await _minds()
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        command, _, count = line.partition(" ")
        before = _spent()
        if command == "ready":
            await asyncio.sleep(1)
        if command in ("bare", "mind"):
            await asyncio.gather(*((bare if command == "bare" else mind)() for _ in range(int(count))))
        sys.stdout.write(f"{_spent() if command == 'cpu' else _spent() - before}\n")
        sys.stdout.flush()
    await worker.drain()
    await working


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _minds() -> tuple[Any, Any]:
    """A bare pydantic-ai run, and our agent without database, both over the messages the worker's turns send."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from prosa import conf
    from prosa.agents import guidelines, memory, runner
    from prosa.contracts import Line, Turn

    settings = conf.settings()
    now = datetime.now(UTC)
    lines = tuple(
        Line("bot" if number % 2 else "customer", _turns.SAID[number % 2], now, number)
        for number in range(_turns.HISTORY)
    )
    turn = Turn(
        "Prosa",
        "pt-br",
        "rest",
        (Line("customer", _turns.QUESTION, now, 99),),
        now,
        history=lines,
        guidelines=_turns.GUIDELINES,
        customer_name="Cliente 1",
        model=settings.model,
    )
    remembered = memory.recall(turn.history, turn.history_tokens)
    assert len(remembered.lines) == _turns.HISTORY
    told = guidelines.instructions(turn)
    *history, question = guidelines.messages(turn, remembered, told)
    name = settings.model.partition(":")[2]
    agent = Agent(
        OpenAIChatModel(name, provider=OpenAIProvider(base_url=settings.openai_base_url, api_key="none")),
        instructions=told,
    )

    async def bare() -> None:
        result = await agent.run(question.parts[0].content, message_history=history)
        assert result.output

    async def mind() -> None:
        result = await runner.run(turn)
        assert result.model == settings.model, result

    return bare, mind


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


async def _memory(here: Installation, report: Report) -> None:
    """A real worker with a thousand turns waiting for a model that takes 30 s."""
    _turns.forget(here)
    worker = here.prosa("worker", "--concurrency", str(CONCURRENCY + 100))
    try:
        async with _turns.customers(here) as them:
            await _burst(them, 50)
            await asyncio.sleep(3)
            idle = _machine.pss_mb([worker.pid])
            here.sql(
                "UPDATE prosa_business_business SET model = 'openai-chat:stub-late-30s', request_deadline_s = 100, turn_deadline_s = 120"
            )
            _turns.forget(here)
            await asyncio.gather(*(them.ask(which) for which in range(CONCURRENCY)))
            peak, flying = 0.0, 0
            ends = time.monotonic() + 28
            while time.monotonic() < ends and len(them.asked) == CONCURRENCY:
                await asyncio.sleep(1)
                peak = max(peak, _machine.pss_mb([worker.pid]))
                flying = max(flying, _owned(here))
            console.print(f"{flying} turns in flight: {idle:.0f} MB idle, {peak:.0f} MB at most")
            if flying < CONCURRENCY:
                raise SystemExit(f"Only {flying} turns were in flight.")
            await them.all_answered()
        report.figures |= {"mb_per_1000_turns": (peak - idle) * 1000 / flying, "worker_idle_mb": idle}
    finally:
        here.sql("UPDATE prosa_business_business SET model = ''")
        end(worker)


def _owned(here: Installation) -> int:
    import psycopg

    with psycopg.connect(here.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM prosa_conversations_dispatch WHERE lane = 1 AND owner IS NOT NULL"
        ).fetchone()
    return row[0] if row else 0


def _idle(here: Installation) -> float:
    """MB of the whole system half a minute after ``prosa up``."""
    up = here.prosa("up", "--port", str(UP_PORT))
    with serving(up, f"http://127.0.0.1:{UP_PORT}/healthz"):
        for path in ("/simulator/", "/admin/login/"):
            with suppress(OSError):
                subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{UP_PORT}{path}"], check=False)
        time.sleep(30)
        parts = {"supervisor, web, worker": _machine.tree(up.pid), "PostgreSQL": _machine.tree(here.postmaster)}
        sizes = {name: _machine.pss_mb(pids) for name, pids in parts.items()}
    console.print("  ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))
    return sum(sizes.values())


if __name__ == "__main__":
    main()
