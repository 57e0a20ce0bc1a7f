"""Load while web, workers and PostgreSQL are killed -9 at random: what is lost, said twice, or said out of order?

Real processes: one ``prosa web``, two ``prosa worker``, the embedded PostgreSQL. This process is the world outside:
customers who, like Meta, repeat a webhook until it is answered 200; the simulator's Graph API, which sometimes accepts
a message and drops the connection, sends statuses twice, and repeats them until they are taken; the model, which says
back the marks of the questions it was asked. A mark that never arrives was lost; one in two bubbles was answered twice;
marks of one customer must arrive in their order. Unreconciled are
sends of which Prosa still does not know the fate at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any

import aiohttp
import psycopg
import uvicorn
import uvloop

from _installation import APP_SECRET, NUMBER_ID, Installation, end, fresh
from _report import Report, console
from _webhooks import body, signature

TARGETS = {
    "lost": ("<=", 0.0),
    "answered_twice": ("<=", 0.0),
    "sent_twice": ("<=", 0.0),
    "out_of_order": ("<=", 0.0),
    "unreconciled": ("<=", 0.0),
}
WEB_PORT, WORLD_PORT = 8711, 8712
MARK = re.compile(r"c\d+-m\d+")
PATIENCE_S = 240.0
"""An ambiguous send whose status never came is repeated after two minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--contacts", type=int, default=100)
    parser.add_argument("--rate", type=float, default=15, help="messages a second, all customers together")
    parser.add_argument("--kill-every", type=float, default=4, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    random.seed(options.seed)
    world = f"http://127.0.0.1:{WORLD_PORT}"
    settings = {
        "PROSA_MODEL": "openai-chat:stub-late-300ms",
        "OPENAI_BASE_URL": f"{world}/simulator/openai/v1",
        "OPENAI_API_KEY": "none",
        "WHATSAPP_GRAPH_URL": f"{world}/simulator/graph",
        "PROSA_PORT": str(WEB_PORT),
    }
    with fresh(**settings) as here:
        os.environ.clear()
        os.environ.update(here.environment)
        here.sql("UPDATE prosa_business_business SET quiet_ms = 100, max_quiet_ms = 1000, failures_before_handoff = 0")
        report = Report("crash", TARGETS)
        report.figures |= uvloop.run(_run(here, options)) | {"seed": options.seed}
        report.show(as_json=options.json)


async def _run(here: Installation, options: argparse.Namespace) -> dict[str, float]:
    outside = Outside()
    serving = asyncio.create_task(outside.serve())
    house = House(here)
    house.start()
    watching = asyncio.create_task(house.watch_ambiguous())
    try:
        await house.wait_for_web()
        ends = time.monotonic() + options.seconds
        killing = asyncio.create_task(house.kill_at_random(options.kill_every, ends))
        await asyncio.gather(*(outside.customer(number, options, ends) for number in range(options.contacts)))
        await killing
        house.start()
        asked = sum(len(marks) for marks in outside.asked.values())
        console.print(
            f"{asked} messages taken, {sum(house.kills.values())} kills ({dict(house.kills)}); waiting for the last answers"
        )
        quiet = time.monotonic()
        while (outside.missing() or house.open()) and time.monotonic() - quiet < PATIENCE_S:
            await asyncio.sleep(1)
        console.print(f"all done after {time.monotonic() - quiet:.0f} s")
        await asyncio.sleep(3)
        return outside.verdict() | {
            "messages": asked, "bubbles": len(outside.accepted), "repeated_webhooks": outside.repeated, **{f"kills_{name}": count for name, count in house.kills.items()},
            "dropped_after_accepting": outside.dropped, "seen_unconfirmed": len(house.ambiguous), "unreconciled": house.unreconciled(), "other_exits": house.exits,
        }  # fmt: skip
    finally:
        watching.cancel()
        await asyncio.to_thread(house.stop)
        outside.server.should_exit = True
        await serving


# ── the house ─────────────────────────────────────────────────────────────────────────────────────


class House:
    """Prosa's processes, started again whenever they end."""

    COMMANDS = {"web": ("web",), "worker 1": ("worker",), "worker 2": ("worker",)}

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()
        self.exits = 0
        self.ambiguous: set[int] = set()

    def start(self) -> None:
        """Start what does not run."""
        with suppress(Exception):
            self._here.cluster.start()
        for name, command in self.COMMANDS.items():
            process = self._running.get(name)
            if process is None or process.poll() is not None:
                self.exits += process is not None and process.returncode != -signal.SIGKILL
                self._running[name] = self._here.prosa(*command)

    def stop(self) -> None:
        for process in self._running.values():
            end(process)

    async def wait_for_web(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{WEB_PORT}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.2)

    async def kill_at_random(self, every: float, ends: float) -> None:
        """A process a few seconds, without warning; what ended is started again a moment later."""
        while time.monotonic() < ends:
            await asyncio.sleep(random.expovariate(1 / every))
            victim = random.choice([*self.COMMANDS, "PostgreSQL"])
            with suppress(OSError, ValueError):
                os.kill(self._here.postmaster if victim == "PostgreSQL" else self._running[victim].pid, signal.SIGKILL)
                self.kills["postgres" if victim == "PostgreSQL" else victim.split()[0]] += 1
            await asyncio.sleep(random.uniform(0.1, 1.5))
            await asyncio.to_thread(self.start)

    async def watch_ambiguous(self) -> None:
        """Note every message Prosa was ever unsure about."""
        while True:
            self.ambiguous.update(await asyncio.to_thread(self._ids, "status = 'unconfirmed'"))
            await asyncio.sleep(0.25)

    def open(self) -> int:
        """How many of our messages have not left yet, or nobody knows."""
        return len(self._ids("status IN ('queued', 'sending', 'unconfirmed')"))

    def unreconciled(self) -> int:
        """Messages given up without knowing what became of them."""
        return len(self._ids("status = 'unconfirmed' OR error_code = 'unknown_outcome'"))

    def _ids(self, condition: str) -> set[int]:
        try:
            with psycopg.connect(self._here.dsn, connect_timeout=3) as connection:
                return {
                    row[0]
                    for row in connection.execute(
                        f"SELECT id FROM prosa_conversations_message WHERE direction = 'out' AND ({condition})"
                    )
                }
        except psycopg.Error:
            return set()


# ── outside ───────────────────────────────────────────────────────────────────────────────────────


class Outside:
    """Customers, Meta and the model."""

    def __init__(self) -> None:
        from prosa.simulator import app as simulator
        from prosa.simulator.fake_llm import control
        from prosa.simulator.world import Bubble, Line, Thread, World

        accepted: list[tuple[str, str]] = []

        class Recording(World):
            def put(self, thread: Thread, bubble: Bubble) -> Bubble:
                if bubble.id not in thread.bubbles:
                    accepted.append((bubble.tracker, bubble.text))
                return super().put(thread, bubble)

        self.accepted = accepted
        """(tracker, text) of everything Graph took from us, in its order."""
        world = Recording(pace=0.05)
        line = Line(
            "whatsapp_cloud",
            NUMBER_ID,
            "main",
            token="benchmark-token",
            secret=APP_SECRET,
            webhook_url=f"http://127.0.0.1:{WORLD_PORT}/meta",
        )
        world.add_line(line)
        world.mischief.add("drop", times=None, rate=0.05, target="graph")
        world.mischief.add("duplicate", times=None, rate=0.05, target="graph")
        control.say = lambda asked: " ".join(["eco", *MARK.findall(asked.question)])
        self._doubles = simulator.make(world)
        self._draw, self.dropped = world.mischief.draw_send, 0
        world.mischief.draw_send = self._counted  # type: ignore[method-assign]
        self._inbox: set[asyncio.Task[None]] = set()
        self.asked: dict[int, list[str]] = defaultdict(list)
        self.repeated = 0
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                host="127.0.0.1",
                port=WORLD_PORT,
                log_level="warning",
                access_log=False,
                lifespan="off",
                interface="asgi3",
            )
        )
        # The benchmark's own signals stay with it.
        self.server.capture_signals = suppress  # type: ignore[method-assign,assignment]

    def _counted(self, target: str) -> Any:
        plan = self._draw(target)
        self.dropped += "drop" in plan
        return plan

    async def serve(self) -> None:
        await self.server.serve()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/meta":
            await self._doubles(scope, receive, send)
            return
        content, more = b"", True
        while more:
            message = await receive()
            content += message.get("body", b"")
            more = message.get("more_body", False)
        task = asyncio.create_task(self._insist(content))
        self._inbox.add(task)
        task.add_done_callback(self._inbox.discard)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _insist(self, content: bytes) -> None:
        """Post a webhook until it is taken, as Meta does."""
        headers = {"X-Hub-Signature-256": signature(content), "Content-Type": "application/json"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with session.post(
                        f"http://127.0.0.1:{WEB_PORT}/webhook", data=content, headers=headers
                    ) as answer:
                        if answer.status == 200:
                            return
                self.repeated += 1
                await asyncio.sleep(random.uniform(0.1, 1))

    async def customer(self, number: int, options: argparse.Namespace, ends: float) -> None:
        """Write now and then, the next message only when the one before was taken."""
        message = 0
        while True:
            await asyncio.sleep(random.expovariate(options.rate / options.contacts))
            if time.monotonic() > ends:
                return
            mark = f"c{number}-m{message}"
            content = body(
                message * options.contacts + number, contacts=options.contacts, text=f"Pergunta {mark}, por favor"
            )
            await self._insist(content)
            if random.random() < 0.05:
                await self._insist(content)
            self.asked[number].append(mark)
            message += 1

    def missing(self) -> set[str]:
        answered = {mark for _, text in self.accepted for mark in MARK.findall(text)}
        return {mark for marks in self.asked.values() for mark in marks} - answered

    def verdict(self) -> dict[str, float]:
        said = [mark for _, text in self.accepted for mark in set(MARK.findall(text))]
        trackers = Counter(tracker for tracker, _ in self.accepted)
        disordered = 0
        for number, marks in self.asked.items():
            first = list(
                dict.fromkeys(
                    mark for _, text in self.accepted for mark in MARK.findall(text) if mark.startswith(f"c{number}-")
                )
            )
            expected = [mark for mark in marks if mark in first]
            disordered += sum(one != other for one, other in zip(first, expected, strict=False))
        twice = [mark for mark, count in Counter(said).items() if count > 1]
        if twice or self.missing():
            console.print(f"twice {twice[:20]}, lost {sorted(self.missing())[:20]}")
        return {
            "lost": len(self.missing()),
            "answered_twice": len(twice),
            "sent_twice": sum(count - 1 for count in trackers.values()),
            "out_of_order": disordered,
        }


if __name__ == "__main__":
    main()
