"""How fast a signed WhatsApp webhook becomes committed rows, beside a ceiling and three peers.

Ours is ``prosa web`` as users run it: the whole of ``receive`` (raw event, contact, identities, conversation, message,
dispatch row) from a fresh install. All servers, PostgreSQL and the load generator share the machine, take turns within
each round, and commit synchronously. Ratios compare medians over the rounds; read absolute rates as weak.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import psycopg

import _machine
from _installation import APP_SECRET, Installation, fresh, serving
from _report import Report, console, median
from _webhooks import Load, press, write

HERE = Path(__file__).parent
TARGETS = {
    "rps_vs_single_insert": (">=", 1.5),
    "cpu_vs_single_insert": ("<=", 0.7),
    "rps_vs_flask": (">=", 30.0),
    "rps_vs_fastapi": (">=", 20.0),
    "p50_idle_vs_single_insert": ("<=", 1.8),
}
CONNECTIONS = 64
BIN = Path(sys.executable).parent


class Servers:
    """The contestants. Each is started anew for its part of a round."""

    def __init__(self, here: Installation, port: int) -> None:
        self.here, self.port = here, port
        here.sql("CREATE DATABASE peers")
        peers = here.dsn.replace("/postgres?", "/peers?")
        here.sql((HERE / "peers" / "schema.sql").read_text(), peers)
        self._environment = {
            "PEER_SECRET": APP_SECRET,
            "PEER_DSN": peers,
            "PEER_SQLALCHEMY": peers.replace("postgresql://", "postgresql+psycopg://", 1),
            "PYTHONPATH": str(HERE / "peers"),
        }

    def start(self, name: str) -> AbstractContextManager[int]:
        """Run one until the context ends; gives its process id."""
        process: Popen[bytes] = getattr(self, f"_{name}")()
        return serving(process, f"http://127.0.0.1:{self.port}/webhook")

    def _uvicorn(self, app: str) -> Popen[bytes]:
        options = [
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
            "--backlog",
            "2048",
        ]
        return self.here.spawn(
            [sys.executable, "-m", "uvicorn", *options, "--port", str(self.port), app], "peer", self._environment
        )

    def _prosa(self) -> Popen[bytes]:
        return self.here.prosa("web", "--port", str(self.port))

    def _bare_asgi(self) -> Popen[bytes]:
        return self._uvicorn("bare_asgi:app")

    def _single_insert(self) -> Popen[bytes]:
        return self._uvicorn("single_insert:app")

    def _fastapi(self) -> Popen[bytes]:
        return self._uvicorn("fastapi_naive:app")

    def _flask(self) -> Popen[bytes]:
        command = [
            str(BIN / "gunicorn"),
            "-w",
            "2",
            "-b",
            f"127.0.0.1:{self.port}",
            "--log-level",
            "warning",
            "flask_tutorial:app",
        ]
        return self.here.spawn(command, "peer", self._environment)


def main() -> None:
    options = _options()
    contestants = (
        ["prosa", "single_insert", "bare_asgi", "flask", "fastapi"] if not options.only else options.only.split(",")
    )
    loads: dict[str, list[Load]] = defaultdict(list)
    idle: dict[str, list[float]] = defaultdict(list)
    cost: dict[str, list[float]] = defaultdict(list)
    with fresh() as here:
        servers = Servers(here, options.port)
        url = f"http://127.0.0.1:{options.port}/webhook"
        files = _bodies(here, options.bodies)
        for turn in range(options.rounds):
            # Every second round the other way round, so that nobody always follows the same neighbour.
            for name in contestants if turn % 2 == 0 else reversed(contestants):
                warm, full, lone = files(turn)
                repeat = name == "bare_asgi"  # it does not look at them
                with servers.start(name) as server:
                    press(url, warm, connections=CONNECTIONS, seconds=1, repeat=repeat)
                    before = _machine.cpu_s(server, here.postmaster)
                    load = press(url, full, connections=CONNECTIONS, seconds=options.seconds, repeat=repeat)
                    cpu = (_machine.cpu_s(server, here.postmaster) - before) / load.requests * 1e6
                    loads[name].append(load)
                    cost[name].append(cpu)
                    if name in ("prosa", "single_insert"):
                        idle[name].append(press(url, lone, connections=1, seconds=2).p50)
                console.print(
                    f"round {turn + 1}  {name:<14} {load.rate:8.0f} /s  {cpu:6.0f} µs CPU  p50 {load.p50:.1f} ms  p99 {load.p99:.1f} ms  alone {idle[name][-1] if idle[name] else 0:.2f} ms"
                )
        if "prosa" in contestants:
            _check(here, loads["prosa"])
        _show(loads, cost, idle, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--bodies", type=int, default=80_000, help="different messages per round")
    parser.add_argument("--port", type=int, default=8701)
    parser.add_argument("--only", default="", help="some of the contestants, comma-separated")
    return parser.parse_args()


def _bodies(here: Installation, count: int) -> Callable[[int], tuple[Path, Path, Path]]:
    """Files of messages no server has seen, three for each round: to warm up, for the load, for the lone connection."""

    def of(turn: int) -> tuple[Path, Path, Path]:
        folder = here.folder / f"bodies-{turn}"
        paths = folder / "warm", folder / "full", folder / "lone"
        if not folder.exists():
            folder.mkdir()
            first = turn * count * 3
            for number, path in enumerate(paths):
                write(path, first + number * count, count if path.name == "full" else count // 3)
        return paths

    return of


def _check(here: Installation, loads: list[Load]) -> None:
    """Every request that was counted is a row: a fast server that loses messages has no place in a table."""
    with psycopg.connect(here.dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM prosa_conversations_webhookevent), (SELECT count(*) FROM prosa_conversations_message),"
            " (SELECT count(*) FROM prosa_conversations_conversation), (SELECT count(*) FROM prosa_conversations_dispatch),"
            " (SELECT setting FROM pg_settings WHERE name = 'synchronous_commit')"
        ).fetchone()
    assert row is not None
    events, messages, conversations, waiting, durable = row
    if (
        messages < sum(load.requests for load in loads)
        or events < messages
        or conversations != waiting
        or durable != "on"
    ):
        raise SystemExit(f"The rows do not add up: {row} for {loads}.")
    console.print(
        f"{messages} messages of {conversations} conversations are in the database, synchronous_commit {durable}."
    )


def _show(
    loads: dict[str, list[Load]], cost: dict[str, list[float]], idle: dict[str, list[float]], *, as_json: bool
) -> None:
    report = Report("ingest", TARGETS)
    rate = {name: median([load.rate for load in runs]) for name, runs in loads.items()}
    for peer in ("single_insert", "bare_asgi", "flask", "fastapi"):
        if peer in rate and "prosa" in rate:
            report.ratios[f"rps_vs_{peer}"] = rate["prosa"] / rate[peer]
    if "single_insert" in rate and "prosa" in rate:
        report.ratios["cpu_vs_single_insert"] = median(cost["prosa"]) / median(cost["single_insert"])
        report.ratios["p50_idle_vs_single_insert"] = median(idle["prosa"]) / median(idle["single_insert"])
    for name, runs in loads.items():
        report.figures[f"{name}_rps"] = rate[name]
        report.figures[f"{name}_cpu_us"] = median(cost[name])
        report.figures[f"{name}_p50_ms"] = median([load.p50 for load in runs])
        report.figures[f"{name}_p99_ms"] = median([load.p99 for load in runs])
    for name, values in idle.items():
        if values:
            report.figures[f"{name}_p50_idle_ms"] = median(values)
    report.show(as_json=as_json)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
