"""The pages and headers everyone gets."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.handlers.asgi import ASGIHandler
from django.db import DatabaseError, connection
from django.test import AsyncClient, Client

from prosa.postgres import readiness
from prosa.server import health

CSS = Path(finders.find("prosa/server/page.css")).read_bytes()


def test_the_root_leads_to_the_admin(client: Client):
    answer = client.get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_the_simulator_is_absent_outside_development(client: Client):
    assert client.get("/simulator/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/nothing/", "/healthz", "/static/prosa/server/page.css"])
def test_safe_headers_everywhere(client: Client, path: str):
    answer = client.get(path)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("unsafe-eval" in policy) == path.startswith("/admin/")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.get("X-Frame-Options", "DENY") == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
def test_unknown_addresses_get_a_friendly_page(client: Client):
    answer = client.get("/nothing/", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.content.decode()


def test_an_unknown_host_is_told_what_to_set_and_fills_no_log(client: Client):
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert not logging.getLogger("django.security.DisallowedHost").isEnabledFor(logging.ERROR)
    assert "PROSA_ALLOWED_HOSTS" in answer.content.decode()


async def test_static_files_need_no_thread(async_client: AsyncClient):
    answer = await async_client.get("/static/prosa/server/page.css")
    assert answer.status_code == 200
    assert answer["Content-Type"] == 'text/css; charset="utf-8"'
    assert not answer.streaming
    again = await async_client.get(
        "/static/prosa/server/page.css", headers={"if-modified-since": answer["Last-Modified"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert answer.content == CSS


def test_no_middleware_forces_async_views_into_threads():
    handler = ASGIHandler()
    from django.conf import settings
    from django.utils.module_loading import import_string

    assert handler is not None
    assert [name for name in settings.MIDDLEWARE if not getattr(import_string(name), "async_capable", False)] == []


def test_healthz_asks_nothing(client: Client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db(transaction=True)
class TestReadyz:
    def test_without_a_worker(self, client: Client):
        # The connections of workers of other tests are closed; the server may still be about to notice.
        end = time.monotonic() + 60
        while (answer := client.get("/readyz")).json()["workers"] and time.monotonic() < end:
            time.sleep(0.05)
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "unready", "database": "ok", "migrations": "ok", "workers": 0},
        )

    def test_with_a_worker(self, client: Client):
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s, 5)", [readiness.WORKER_LOCK_CLASS])
        try:
            answer = client.get("/readyz")
        finally:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock_all()")
        assert (answer.status_code, answer.json()["status"], answer.json()["workers"]) == (200, "ok", 1)

    def test_with_a_migration_to_apply(self, client: Client, monkeypatch):
        monkeypatch.setattr(readiness, "_known", lambda: frozenset({"prosa_business.9999_tomorrow"}))
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["migrations"]) == (503, "1 to apply")

    def test_without_a_database(self, client: Client, monkeypatch):
        def away():
            raise DatabaseError

        monkeypatch.setattr(health, "unapplied", away)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["database"]) == (503, "unreachable")


@pytest.mark.django_db
def test_after_too_many_wrong_passwords_the_door_says_how_long(client: Client, settings: Any):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        answer = client.post("/admin/login/", {"username": "ana", "password": "wrong"}, HTTP_ACCEPT_LANGUAGE="pt-br")
    assert (answer.status_code, answer["Retry-After"]) == (429, "900")
    assert "Aguarde 15 minutos" in answer.content.decode()
    assert "prosa/tokens.css" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["pt-br", "es"])
def test_what_unfold_says_is_translated(admin_client: Client, admin_user: User, language: str):
    for path, sentence in [
        ("/admin/prosa_conversations/conversation/", "Filters"),
        (f"/admin/auth/user/{admin_user.pk}/change/", "Raw passwords"),
    ]:
        page = admin_client.get(path, headers={"accept-language": language})
        assert page.status_code == 200
        assert sentence not in page.content.decode()
        assert sentence in admin_client.get(path, headers={"accept-language": "en"}).content.decode()
