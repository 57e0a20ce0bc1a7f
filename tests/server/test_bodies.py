"""A stranger's body never reaches the disk; a signed-in person's file does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from prosa import conf
from prosa.desk.access import SECOND_STEP
from prosa.server import bodies
from prosa.server.bodies import ELSEWHERE, STRANGERS, UPLOADS, Bounded

PIECE = b"x" * (conf.MEGABYTE // 2)
FILE = UPLOADS["/agent/"]


class Django:
    """It reads everything, then answers; a sender who left is answered nothing."""

    def __init__(self) -> None:
        self.read = 0

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.read += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def post(
    path: str, size: int, *, announced: bool, cookie: str = "", method: str = "POST"
) -> tuple[int, int, int]:
    """The status, how much Django was given, and how much was taken from the wire."""
    django, left, taken, said = Django(), size, 0, []

    async def receive() -> dict[str, Any]:
        nonlocal left, taken
        piece = PIECE[:left]
        left -= len(piece)
        taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": left > 0}

    async def send(message: Any) -> None:
        said.append(message)

    headers = [(b"content-length", str(size).encode())] if announced else []
    headers += [(b"cookie", f"prosa_session={cookie}".encode())] if cookie else []
    await Bounded(django)({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    assert [each["type"] for each in said] == ["http.response.start", "http.response.body"]
    return said[0]["status"], django.read, taken


@pytest.fixture
def session(transactional_db: None) -> Callable[..., str]:
    def make(**values: Any) -> str:
        store = SessionStore()
        store.update({"_auth_user_id": str(User.objects.create(username="bia").pk)} | values)
        store.save()
        return str(store.session_key)

    return make


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/agent/login", STRANGERS),
        ("/agent/c/1/reply", STRANGERS),
        ("/admin/login/", STRANGERS),
        ("/api/v1/x", ELSEWHERE),
    ],
)
async def test_a_stranger_is_refused_before_anything_is_kept(path: str, most: int, announced: bool):
    assert await post(path, most, announced=announced) == (200, most, most)
    status, read, taken = await post(path, 40 * conf.MEGABYTE, announced=announced)
    assert status == 413
    assert read <= most
    assert taken <= (0 if announced else most + len(PIECE))


@pytest.mark.parametrize(("development", "status"), [(True, 200), (False, 413)])
async def test_the_simulators_phone_sends_files_where_there_is_one(
    development: bool, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conf, "settings", lambda: SimpleNamespace(development=development))
    assert (await post("/simulator/send", 9 * conf.MEGABYTE, announced=True))[0] == status


@pytest.mark.parametrize("cookie", ["x", "a.b", "';--", "\x00", "0" * 5000, "ç"])
async def test_a_made_up_session_opens_nothing(cookie: str, transactional_db: None):
    assert (await post("/agent/c/1/reply", 2 * STRANGERS, announced=True, cookie=cookie))[0] == 413


async def test_whoever_is_signed_in_sends_a_file_and_no_more(
    session: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    from asgiref.sync import sync_to_async

    key = await sync_to_async(session)()
    size = 3 * conf.MEGABYTE
    monkeypatch.setattr(bodies, "UPLOADS", {"/agent/": size})
    for announced in (True, False):
        assert await post("/agent/c/1/reply", size, announced=announced, cookie=key) == (200, size, size)
        assert (await post("/agent/c/1/reply", size + 1, announced=announced, cookie=key))[0] == 413
    assert FILE > 100 * conf.MEGABYTE


async def test_whoever_owes_the_second_step_is_a_stranger(session: Callable[..., str]):
    from asgiref.sync import sync_to_async

    key = await sync_to_async(session)(**{SECOND_STEP: True})
    assert (await post("/agent/c/1/reply", 2 * STRANGERS, announced=True, cookie=key))[0] == 413
