"""A fresh installation of Prosa in a folder of its own, with its own embedded PostgreSQL, made the way users make it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from prosa.postgres.embedded import Cluster

ROOT = Path(__file__).resolve().parents[1]
APP_SECRET = "benchmark-app-secret-0123456789"
NUMBER_ID = "106500000000001"
FOREIGN = (
    "PROSA_",
    "WHATSAPP_",
    "TWILIO_",
    "OPENAI_",
    "DATABASE_",
    "REDIS_",
    "DJANGO_",
    "GEMINI_",
    "GOOGLE_",
    "ANTHROPIC_",
)


class Installation:
    """``environment`` is what its processes run with; ``dsn`` its database."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.cluster = Cluster(folder / "postgres")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)} | {
            "PROSA_DATA_DIR": str(folder),
            "PROSA_LOG_LEVEL": "WARNING",
            "WHATSAPP_TOKEN": "benchmark-token",
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER_ID,
            "WHATSAPP_APP_SECRET": APP_SECRET,
            **settings,
        }
        self.dsn = self.cluster.dsn

    @property
    def postmaster(self) -> int:
        """The process id of its PostgreSQL."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    def prosa(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start ``prosa ARGUMENTS``; its output goes to ``<folder>/<command>.log``."""
        return self.spawn([sys.executable, "-m", "prosa", *arguments], arguments[0], environment, **options)

    def spawn(
        self, command: list[str], name: str, environment: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start any program in the environment of the installation."""
        with (self.folder / f"{name}.log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
            return subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, **(environment or {})}, **streams
            )  # type: ignore[call-overload]

    def sql(self, statement: str, dsn: str = "") -> None:
        """Run one statement."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def fresh(**settings: str) -> Iterator[Installation]:
    """A new installation, set up; gone afterwards."""
    # Not below a private home: as root, PostgreSQL runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="prosa-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    here = Installation(folder, **settings)
    try:
        setup = here.prosa("setup", "--no-demo")
        if setup.wait():
            raise SystemExit(f"prosa setup failed:\n{(folder / 'setup.log').read_text()}")
        yield here
    finally:
        here.cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(process: subprocess.Popen[bytes], url: str, patience_s: float = 30.0) -> Iterator[int]:
    """Wait until ``url`` answers anything at all; end the process afterwards. Gives its id."""
    try:
        deadline = time.monotonic() + patience_s
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{process.args} does not serve {url}.")
            try:
                urllib.request.urlopen(url, timeout=5).close()
            except urllib.error.HTTPError:
                pass
            except OSError:
                time.sleep(0.05)
                continue
            break
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience_s: float = 32.0) -> None:
    """SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
