"""The surroundings of every test: a PostgreSQL of its own (unless ``DATABASE_URL`` names one) and settings of its own.

Set before Django reads its settings, hence here and not in ``pyproject.toml``. With pytest-xdist the controller starts
the server and the workers inherit its address.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from django.db import connection

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
    """As pytest-django's, but connections that async tests left in other threads do not hold the database back at the end."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data dir with a short path that every OS user can pass."""
    folder = Path(tempfile.mkdtemp(prefix="prosa-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    Cluster(folder / "postgres").stop()
    shutil.rmtree(folder, ignore_errors=True)
