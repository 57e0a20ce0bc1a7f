"""A real ``prosa up`` in a child process, for the walks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE_S = 200.0
"""How long a promise may take on a machine that does other things too; waiting ends when it is kept."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    """What a fresh shell would have: nothing of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROSA_", "DATABASE_", "DJANGO_", "COV_"))
    }
    return {**kept, **more}


def prosa(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prosa", *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


class Installation:
    """Its output is in ``out`` and ``err`` of the data dir's parent; ``stop`` is Ctrl-C."""

    def __init__(self, folder: Path, port: int | None = None, *options: str, **more: str) -> None:
        self.folder, self.port = folder, port or free_port()
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prosa", "up", "--port", str(self.port), "--data-dir", str(folder / "var"), *options],
                cwd=folder, env=environment(**more), stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.until(lambda: "Ctrl-C stops everything" in self.said(), "the welcome")

    def said(self) -> str:
        return self.out.read_text()

    def until(self, condition, what: str, seconds: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            code = self.process.poll()
            if (code is not None and code != -signal.SIGKILL) or time.monotonic() > deadline:
                raise AssertionError(f"waited for {what}\n{self.said()}\n{self.err.read_text()[-4000:]}")
            time.sleep(0.1)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def children(self) -> dict[str, int]:
        """Web and worker, by name."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == self.process.pid
                ):
                    found[(entry / "cmdline").read_bytes().split(b"\0")[3].decode()] = int(entry.name)
            except (OSError, IndexError):
                continue
        return found

    def postmaster(self) -> int | None:
        path = self.folder / "var" / "postgres" / "postmaster.pid"
        return int(path.read_text().split()[0]) if path.exists() else None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)

    def readiness(self) -> dict[str, object]:
        return json.loads(self.get("/readyz")[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
