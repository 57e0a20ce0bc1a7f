"""``prosa up``: prepare, then keep web and worker alive until told to stop; then stop PostgreSQL too.

This process imports neither Django nor pydantic: it lives as long as the installation and should weigh little. The
children sit in sessions of their own, so that Ctrl-C reaches only this process, and end when it is gone
(``boot.end_with_parent``).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from prosa.cli.boot import EVERYWHERE, PARENT, loopback, only_one
from prosa.errors import ConfigurationError
from prosa.postgres.embedded import Cluster

DRAIN_S = 30.0
HOPELESS = 3
"""So many failures of a child before the first welcome, and starting it again is no use."""
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
HEALTHY_AFTER_S = 60.0
"""A child that lived this long starts again with the shortest delay."""


def up(*, demo: bool, double: bool = False) -> int:
    """Run everything in the foreground. Returns the exit code.

    ``double``: the simulator's double stands in for the models, so that all of it can be tried with no key.

    :raises ConfigurationError: something must be put right first; the message says what.
    """
    console = Console(stderr=False, highlight=False)
    signals = Signals()
    environment = {**os.environ, PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    ready, code = _prepare(console, signals, environment, demo=demo)
    if ready is None:
        return code
    with only_one(Path(ready["data_dir"])):
        if loopback(ready["host"]):
            environment.setdefault("PROSA_DEVELOPMENT", "1")
        if double:
            environment |= _double(ready)
        children = [Child("web", environment), Child("worker", environment)]
        try:
            code = _keep_alive(console, children, signals, ready)
        finally:
            _stop(console, children, signals, ready)
    return code


def _double(ready: dict[str, Any]) -> dict[str, str]:
    """What makes the children ask the simulator's double instead of a model.

    :raises ConfigurationError: a model is set already, or the simulator does not run here.
    """
    if ready["model"] != "offline":
        raise ConfigurationError(
            f"PROSA_MODEL is {ready['model']}, and --double would stand in its place.\nLeave out the one or the other."
        )
    if not loopback(ready["host"]):
        raise ConfigurationError(
            "The double answers this machine only, and Prosa listens to others.\nUse --double with --host 127.0.0.1."
        )
    ready["model"] = "double"
    return {
        "PROSA_MODEL": "openai-chat:double",
        "PROSA_TRANSCRIPTION_MODEL": "openai:double",
        "PROSA_SPEECH_MODEL": "openai:double",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ready['port']}/simulator/openai/v1",
        "OPENAI_API_KEY": "none",
    }


@dataclass
class Signals:
    """SIGINT, SIGTERM and SIGHUP ask to stop; SIGCHLD only wakes."""

    asked: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.settimeout(0)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda which, _frame: self.asked.append(which))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, seconds: float | None, *others: IO[bytes]) -> list[Any]:
        """Sleep until a signal comes, one of ``others`` can be read, or ``seconds`` have passed; returns those readable."""
        watched: list[Any] = [self._ear, *others]
        readable, _, _ = select.select(watched, [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)
        return [each for each in readable if each is not self._ear]


@dataclass
class Child:
    """``prosa NAME``, started again with growing delays when it ends."""

    name: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    due: float = 0.0

    def start(self) -> None:
        """Start it now."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", "prosa", self.name],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ended(self) -> int | None:
        """Its exit code, once, when it has ended since the last look; plans the next start."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        if time.monotonic() - self.started > HEALTHY_AFTER_S:
            self.failures = 0
        self.due = time.monotonic() + BACKOFF_S[min(self.failures, len(BACKOFF_S) - 1)]
        self.failures += 1
        return code


def _prepare(
    console: Console, signals: Signals, environment: dict[str, str], *, demo: bool
) -> tuple[dict[str, Any] | None, int]:
    """Run ``boot`` as a child and show its steps. What it made ready, or None and the exit code."""
    command = [sys.executable, "-m", "prosa.cli.boot", *([] if demo else ["--no-demo"])]
    ready: dict[str, Any] | None = None
    with subprocess.Popen(  # noqa: S603  ourselves
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None  # noqa: S101  it is a pipe
        with _progress(console) as show:
            for line in _lines(child.stdout, signals):
                said = json.loads(line)
                if "step" in said:
                    show(said["step"])
                ready = said.get("ready", ready)
        if signals.asked:
            child.terminate()
            return None, 130
        code = child.wait()
    return (ready, 0) if code == 0 else (None, code if code > 0 else 1)


def _lines(pipe: IO[bytes], signals: Signals) -> Iterator[bytes]:
    """Whole lines of a pipe until its end or until a signal asks to stop."""
    rest = b""
    while not signals.asked:
        if not signals.wait(None, pipe):
            continue
        piece = os.read(pipe.fileno(), 65536)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """A spinner on a terminal, plain lines elsewhere."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield console.print
        return
    with console.status("Starting Prosa…") as status:
        yield status.update


def _answers(ready: dict[str, Any]) -> bool:
    """Does the web process answer?"""
    host = "localhost" if ready["host"] in EVERYWHERE else ready["host"]
    connection = http.client.HTTPConnection(host, ready["port"], timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _welcome(console: Console, ready: dict[str, Any]) -> None:
    host = "localhost" if ready["host"] in EVERYWHERE else ready["host"]
    root = f"http://{f'[{host}]' if ':' in host else host}:{ready['port']}"
    lines = [("Prosa is running", f"{root}/")]
    if ready["development"]:
        lines.append(("Phone (simulator)", f"{root}/simulator/"))
    lines.append(("Admin", f"{root}/admin/"))
    lines += [(f"Webhook, {name}", url) for name, url in ready["webhooks"]]
    console.print()
    for name, value in lines:
        console.print(f"  [bold]{name:<28}[/bold] {value}", soft_wrap=True)
    if ready["password"]:
        console.print(
            f"  [bold]{'Administrator':<28}[/bold] {ready['admin']}   password [bold]{ready['password']}[/bold]  (shown only this once)",
            soft_wrap=True,
        )
    else:
        console.print(f"  [bold]{'Administrator':<28}[/bold] {ready['admin']}", soft_wrap=True)
    if ready["model"] == "offline":
        console.print(
            "  No model is set: approved answers and documents word by word. Set PROSA_MODEL and its key to change that, or try --double.",
            soft_wrap=True,
        )
    elif ready["model"] == "double":
        console.print(
            "  The model is a double: it thinks little, hears what it wants and speaks silence, but all the rest is real.",
            soft_wrap=True,
        )
    console.print("  Ctrl-C stops everything.\n")


def _keep_alive(console: Console, children: list[Child], signals: Signals, ready: dict[str, Any]) -> int:
    """Until a signal asks to stop (0), or the web process has failed too often to have ever answered (1)."""
    welcomed = False
    database = Cluster(Path(ready["data_dir"]) / "postgres") if ready["embedded"] else None
    while not signals.asked:
        if database is not None and not database.alive():
            console.print("PostgreSQL ended. Starting it again; nothing that was committed is lost.")
            database.start()
        now = time.monotonic()
        for child in children:
            code = child.ended()
            if code is not None:
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                if not welcomed and child.failures >= HOPELESS:
                    console.print(f"The {child.name} process does not start ({how}). What it said is above.")
                    return 1
                console.print(f"The {child.name} process ended ({how}). Starting it again in {child.due - now:.1f} s.")
            if child.process is None and child.due <= now:
                child.start()
        if not welcomed and _answers(ready):
            welcomed = True
            _welcome(console, ready)
        waits = [child.due - now for child in children if child.process is None]
        if not welcomed:
            waits.append(0.2)
        elif database is not None:
            # It is nobody's child (so that it outlives whoever started it), and no signal tells of its end.
            waits.append(1.0)
        # A signal that arrives between the look and the wait has already written to the pipe.
        signals.wait(max(min(waits), 0.01) if waits else None)
    return 0


def _stop(console: Console, children: list[Child], signals: Signals, ready: dict[str, Any]) -> None:
    living = [child.process for child in children if child.process is not None and child.process.poll() is None]
    console.print("Stopping: finishing what is under way. (Ctrl-C once more to hurry.)")
    for process in living:
        process.terminate()
    asked, deadline = len(signals.asked), time.monotonic() + DRAIN_S
    while (
        any(process.poll() is None for process in living)
        and time.monotonic() < deadline
        and len(signals.asked) <= asked
    ):
        signals.wait(min(deadline - time.monotonic(), 0.5))
    for process in living:
        if process.poll() is None:
            process.kill()
        process.wait()
    if ready["embedded"]:
        Cluster(Path(ready["data_dir"]) / "postgres").stop()
    console.print("Stopped.")
