"""The surroundings of every test: a PostgreSQL of its own (unless ``DATABASE_URL`` names one) and settings of its own.

Set before Django reads its settings, hence here and not in ``pyproject.toml``. With pytest-xdist the controller starts
the server and the workers inherit its address.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

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


def pytest_unconfigure() -> None:
    for cluster in _started:
        cluster.stop()
    shutil.rmtree(os.environ["PROSA_DATA_DIR"], ignore_errors=True)


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty data dir with a short path that every OS user can pass."""
    folder = Path(tempfile.mkdtemp(prefix="prosa-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    Cluster(folder / "postgres").stop()
    shutil.rmtree(folder, ignore_errors=True)
