"""What a command does before its own work: reach the database, wake Django, tie itself to its parent.

As a program (``python -m prosa.cli.boot``) it is the first child of ``prosa up``: it prepares everything and tells the
parent by JSON lines on standard output, ``{"step": text}`` and at the end ``{"ready": {…}}``. The parent stays small by
never importing Django itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prosa.errors import ConfigurationError
from prosa.postgres.embedded import make_folder

if TYPE_CHECKING:
    from prosa import conf

PARENT = "PROSA_PARENT_PID"
PR_SET_PDEATHSIG = 1  # prctl(2)
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared, not bound

STANDALONE = "prosa.server.settings"

Report = Callable[[str], Any]


def hosted() -> bool:
    """Is Prosa a part of somebody else's Django project? Then database, accounts and migrations are the project's affair."""
    return os.environ.get("DJANGO_SETTINGS_MODULE", STANDALONE) != STANDALONE


def database(report: Report) -> None:
    """Make the standalone's database answer.

    :raises ConfigurationError: it does not; the message says why.
    """
    if hosted():
        return
    from prosa import conf, postgres

    settings = conf.settings()
    if settings.embedded:
        report("Starting PostgreSQL…" if (settings.data_dir / "postgres").exists() else "Making the database…")
    if not postgres.ready(postgres.dsn(settings)):
        raise ConfigurationError(
            f"The database {_where(settings.database_url)} does not answer.\nCheck DATABASE_URL, and that PostgreSQL runs and lets this user in."
        )


def _where(url: str) -> str:
    """A database URL without its password."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.path.lstrip('/') or 'postgres'} on {parts.hostname or 'the local socket'}"


def django() -> None:
    """Load the settings and apps of the standalone server, or those of a host project.

    :raises ConfigurationError: a setting is missing or wrong.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", STANDALONE)
    import django

    django.setup()


def end_with_parent() -> None:
    """When ``prosa up`` started this process, end when it is gone, also if it was killed."""
    parent = os.environ.get(PARENT)
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()
    if os.getppid() != int(parent):
        # It died before we asked to be told.
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(2)
    os.kill(os.getpid(), signal.SIGTERM)


def free_port(host: str, port: int) -> None:
    """Make sure that nobody listens there.

    :raises ConfigurationError: somebody does, or the interface is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise ConfigurationError(
                f"Port {shown} cannot be used: {error.strerror}.\nChoose another one: prosa up --port {port + 1 if port < 65535 else 8000}"
            ) from None


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data dir's lock: a second ``up`` would lose PostgreSQL when the first one stops.

    :raises ConfigurationError: another ``prosa up`` holds it.
    """
    make_folder(data_dir)
    with (data_dir / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigurationError(
                f"Prosa already runs from {data_dir} (process {file.read().strip() or 'unknown'}).\nStop it, or choose another folder: prosa up --data-dir …"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def loopback(host: str) -> bool:
    """Can only this machine reach a server bound to ``host``?"""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(*, demo: bool) -> None:
    """Prepare everything for ``prosa up``."""
    from prosa import conf

    settings = conf.load()
    with only_one(settings.data_dir):
        _prepare(settings, demo=demo)


def _prepare(settings: conf.Settings, *, demo: bool) -> None:
    from prosa import conf

    free_port(settings.host, settings.port)
    local = loopback(settings.host)
    if local:
        os.environ.setdefault("PROSA_DEVELOPMENT", "1")
        conf.settings.cache_clear()

    def step(text: str) -> None:
        _say(step=text)

    database(step)
    step("Loading…")
    django()
    from prosa.cli.setup import setup

    made = setup(step, demo=demo and local)
    _say(
        ready={
            **asdict(made),
            "host": settings.host,
            "port": settings.port,
            "data_dir": str(settings.data_dir),
            "embedded": settings.embedded,
            "development": conf.settings().development,
            "model": settings.model,
            "public_url": settings.public_url,
        }
    )


if __name__ == "__main__":
    end_with_parent()
    try:
        main(demo="--no-demo" not in sys.argv)
    except ConfigurationError as error:
        sys.stderr.write(f"prosa: {error}\n")
        sys.exit(2)
