"""What a Django project is told before Prosa would fail in it, and that its own settings are respected."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

from prosa import apps
from prosa.conversations.door import Door
from prosa.postgres.connections import connect


def ids() -> set[str | None]:
    return {message.id for message in apps.examine()}


def test_the_standalone_has_everything():
    assert ids() == set()


@pytest.mark.parametrize("name", apps.APPS)
def test_a_missing_app_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    known = apps.apps.is_installed
    monkeypatch.setattr(apps, "apps", SimpleNamespace(is_installed=lambda each: each != name and known(each)))
    (found,) = apps.examine()
    assert found.id == "prosa.E001"
    assert f" {name} in" in found.msg


def test_another_database_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apps, "connection", SimpleNamespace(vendor="sqlite"))
    assert ids() == {"prosa.E002"}


def test_times_without_zone_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "USE_TZ", False)
    assert ids() == {"prosa.E003"}


async def test_what_the_database_options_ask_for_stays():
    dsn = make_conninfo(os.environ["DATABASE_URL"], options="-c search_path=feira")
    async with await connect(dsn, lock_timeout="7s") as connection:
        shown = [
            (await (await connection.execute(f"show {name}")).fetchone())[0] for name in ("search_path", "lock_timeout")
        ]  # type: ignore[index]
    assert shown == ["feira", "7s"]


async def test_a_door_that_never_started_leaves_webhooks_to_django():
    asked = []

    async def django(scope, receive, send):
        asked.append(scope["path"])

    async def nothing(*_: object):
        raise AssertionError

    await Door(django)({"type": "http", "path": "/webhook/whatsapp_cloud/main/"}, nothing, nothing)
    assert asked == ["/webhook/whatsapp_cloud/main/"]
