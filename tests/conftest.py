"""The surroundings of every test: a PostgreSQL of its own (unless ``DATABASE_URL`` names one) and settings of its own.

Set before Django reads its settings, hence here and not in ``pyproject.toml``. With pytest-xdist the controller starts
the server and the workers inherit its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TextIO

import django
import pytest
from django.db import connection
from django.test import TransactionTestCase

from prosa.postgres.embedded import Cluster

_started: list[Cluster] = []


def _surroundings() -> None:
    # The settings of whoever runs the tests are not the tests'.
    for name in [
        name
        for name in os.environ
        if name.startswith(("PROSA_", "WHATSAPP_", "TWILIO_", "OPENAI_", "GEMINI_", "GOOGLE_", "ANTHROPIC_"))
    ]:
        del os.environ[name]
    # Short, because socket paths are; passable, because as root the server is another user.
    folder = Path(tempfile.mkdtemp(prefix="prosa-", dir="/tmp"))
    folder.chmod(0o755)
    if not os.environ.get("DATABASE_URL"):
        cluster = Cluster(folder / "postgres", {"fsync": "off", "full_page_writes": "off"})
        cluster.start()
        _started.append(cluster)
        os.environ["DATABASE_URL"] = cluster.dsn
    os.environ["PROSA_DATA_DIR"] = str(folder)
    os.environ["PROSA_SECRET_KEY"] = "only-for-tests-only-for-tests-only-for-tests"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "prosa.server.settings")


_surroundings()
django.setup()


def pytest_unconfigure() -> None:
    for cluster in _started:
        cluster.stop()
    shutil.rmtree(os.environ["PROSA_DATA_DIR"], ignore_errors=True)
    while _stderr:
        _stderr.pop().close()


# ── what hangs is ended ──

TEARDOWN_S = 120.0
"""How long the teardown of a test may take, and a test after its timeout should have ended it."""

_stderr: list[TextIO] = []


def pytest_configure() -> None:
    # The real one, past pytest's capture, which is not yet at work here.
    _stderr.append(os.fdopen(os.dup((sys.__stderr__ or sys.stderr).fileno()), "w"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A timeout is an exception in the main thread; a task of the event loop may swallow it."""
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker and marker.args else item.config.getini("timeout") or 0)
    with _watched(item, seconds - 2, seconds + TEARDOWN_S) if seconds else contextlib.nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """pytest-timeout stops counting once a test has failed: its teardown would hang for ever."""
    with _watched(item, TEARDOWN_S, TEARDOWN_S + 1):
        return (yield)


@contextlib.contextmanager
def _watched(item: pytest.Item, tell_after: float, end_after: float) -> Iterator[None]:
    """Tell where everything stands after so many seconds, and end the process after so many. With xdist the others go on."""
    over = threading.Event()

    def watch() -> None:
        if over.wait(tell_after):
            return
        _tell_stacks(f"{item.nodeid} takes longer than {tell_after:.0f} s.")
        if not over.wait(end_after - tell_after):
            _stderr[0].write(f"\n{item.nodeid} does not end; this process does.\n")
            _stderr[0].flush()
            for cluster in _started:
                cluster.stop()
            os._exit(1)

    threading.Thread(target=watch, name="prosa tests watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _tell_stacks(title: str) -> None:
    out = _stderr[0]
    out.write(f"\n{title} All threads and tasks:\n")
    out.flush()
    faulthandler.dump_traceback(file=out)
    loops: list[Any] = [each for each in gc.get_objects() if issubclass(type(each), asyncio.AbstractEventLoop)]
    for task in [task for loop in loops for task in asyncio.all_tasks(loop)]:
        task.print_stack(limit=6, file=out)
    out.flush()


# ── nothing is left out where it counts ──


def _left_out(config: pytest.Config) -> list[str]:
    """With CI=true: each test that was skipped or expected to fail, and why. Elsewhere, and in xdist's workers, nothing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI", "").lower() not in {"1", "true"}:
        return []
    reports = reporter.stats.get("skipped", []) + reporter.stats.get("xfailed", [])
    return sorted(f"{report.nodeid}: {_reason(report)}" for report in reports)


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return getattr(report, "wasxfail", "") or "no reason given"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _left_out(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = _left_out(terminalreporter.config)
    if left_out:
        terminalreporter.section("LEFT OUT", red=True, bold=True)
        terminalreporter.write_line("With CI=true every test must run. Install what these need, or delete them:")
        for line in left_out:
            terminalreporter.write_line(f"  {line}")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: object) -> Iterator[None]:
    """As pytest-django's, but connections that async tests left in other threads do not hold the database back at the end.

    Nor do they while the tests run: whoever waits for a lock, as the emptying of tables does, is told so at last.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for name, limit in {"lock_timeout": "60s", "idle_in_transaction_session_timeout": "45s"}.items():
            cursor.execute(f"alter database \"{connection.settings_dict['NAME']}\" set {name} = '{limit}'")
    with django_db_blocker.unblock():
        connection.close()
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )


_EMPTY = """
DO $empty$
DECLARE
    name text;
    filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;  -- neither triggers nor references: everything goes
    FOREACH name IN ARRAY string_to_array('{names}', ' ') LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO filled;
        IF filled THEN EXECUTE format('DELETE FROM %I', name); END IF;
    END LOOP;
END $empty$
"""
_KEPT = {"django_content_type", "auth_permission"}
_flush = TransactionTestCase._fixture_teardown


def _fixture_teardown(case: TransactionTestCase) -> None:
    """As Django's flush, which truncates every table and then makes all content types and permissions anew: a second each."""
    with connection.cursor() as cursor:
        cursor.execute("select usesuper from pg_user where usename = current_user")
        if cursor.fetchone() != (True,):
            _flush(case)
            return
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        cursor.execute(_EMPTY.format(names=" ".join(sorted(set(names) - _KEPT))))


TransactionTestCase._fixture_teardown = _fixture_teardown


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole walks come first: begun last, each would be waited for while the other processes have nothing to do."""
    long = {item.path for item in items if item.get_closest_marker("walk")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data dir with a short path that every OS user can pass."""
    folder = Path(tempfile.mkdtemp(prefix="prosa-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    Cluster(folder / "postgres").stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A stopped cluster with Prosa's tables. Making one takes ten times as long as copying it, so the run makes one."""
    base = tmp_path_factory.getbasetemp()
    made = (base if worker_id == "master" else base.parent) / "migrated"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            folder = Path(tempfile.mkdtemp(prefix="prosa-", dir="/tmp"))  # where every OS user may go
            folder.chmod(0o755)
            kept = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PROSA_", "DATABASE_", "DJANGO_"))
            }
            try:
                subprocess.run(
                    [sys.executable, "-m", "prosa", "manage", "migrate", "--verbosity", "0"],
                    env={**kept, "PROSA_DATA_DIR": str(folder)}, check=True, timeout=500,
                )  # fmt: skip
            finally:
                Cluster(folder / "postgres").stop()
            subprocess.run(["mv", folder / "postgres", made], check=True)
            shutil.rmtree(folder)
    return made


@pytest.fixture
def street_dir(data_dir: Path, migrated: Path) -> Path:
    """``data_dir`` with the tables made, for a ``Street``."""
    subprocess.run(["cp", "-a", migrated, data_dir / "postgres"], check=True)
    return data_dir


@pytest.fixture
def installed_dir(data_dir: Path, migrated: Path) -> Path:
    """``data_dir`` with the tables made, for an ``Installation``."""
    (data_dir / "var").mkdir()
    subprocess.run(["cp", "-a", migrated, data_dir / "var" / "postgres"], check=True)
    return data_dir
