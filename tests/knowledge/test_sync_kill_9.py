"""A synchronisation outlives ``kill -9``: who comes next goes on where it was, nothing is done twice, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection

from prosa.business.models import Business
from prosa.knowledge import runs
from prosa.knowledge.models import Chunk, Document, Item, Source

pytestmark = [pytest.mark.walk, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

PAGES = 240
WAIT_S = 200.0


def environment() -> dict[str, str]:
    """This process's, on the tests' database."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{quote(connection.settings_dict['NAME'])}")
    return {**os.environ, "DATABASE_URL": url.geturl()}


def until(kept: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not kept():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_synchronisation_is_finished_by_the_next(tmp_path: Path):
    business = Business.objects.create(name="Shop", slug="shop")
    for number in range(PAGES):
        (tmp_path / f"p{number}.md").write_text(f"# Página {number}\n\nO frete número {number} custa R$ {number},90.\n")
    source = Source.objects.create(
        business=business, kind="folder", name="pages", config={"path": str(tmp_path)}, allowed=str(tmp_path)
    )
    command = [sys.executable, "-m", "prosa", "knowledge", "sync", "pages"]
    first = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: Source.objects.get(pk=source.pk).done > 0)
        assert runs.busy(source.pk)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    until(lambda: not runs.busy(source.pk))
    source.refresh_from_db()
    assert source.status == Source.Status.RUNNING
    assert 0 < source.done < PAGES
    kept = dict(Chunk.objects.values_list("document__external_id", "pk"))
    assert len(kept) == source.done == Item.objects.filter(done=1).count()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    source.refresh_from_db()
    # The killed run was finished; then what the second command asked for was done, and found nothing changed.
    assert (source.status, source.run, source.unchanged, source.added) == (Source.Status.DONE, 2, PAGES, 0)
    assert Document.objects.count() == Chunk.objects.count() == PAGES
    after = dict(Chunk.objects.values_list("document__external_id", "pk"))
    assert {name: after[name] for name in kept} == kept
