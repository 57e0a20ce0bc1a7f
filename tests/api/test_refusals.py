"""What is refused, how it is said, and that a stranger's input is never an error of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from tests.api.conftest import World

from prosa import conf
from prosa.channels.models import ApiKey, Inbox
from prosa.conversations import asking, door
from prosa.conversations.models import Message
from prosa.conversations.receiver import Unavailable
from prosa.conversations.rest import keys
from prosa.postgres import shared

URL = "/api/v1/messages"


def is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body, which must be an RFC 9457 problem of this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    assert told["detail"]
    return told


async def post(web: World, body: bytes, **headers: str) -> httpx.Response:
    """A raw body with a valid key."""
    given = {"authorization": f"Bearer {web.key}", "content-type": "application/json", "prefer": "wait=0"} | headers
    return await web.client.post(URL, content=body, headers=given)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer prosa_wrong"}, {"authorization": "Basic eDp5"}, {"x-api-key": "prosa_" + "x" * 5000}, {"x-api-key": "ç"}],
)  # fmt: skip
@pytest.mark.parametrize("path", [URL, "/seller/bot/"])
async def test_without_a_valid_key_nobody_is_let_in(web: World, headers: dict[str, str], path: str):
    raw = {name: value.encode() for name, value in headers.items()}
    response = await web.client.post(path, json={"user_id": "a", "text": "b"}, headers=raw)
    is_problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert await Message.objects.acount() == 0


async def test_a_revoked_key_ends(web: World):
    assert (await web.ask(headers={"prefer": "wait=0"})).status_code == 202
    await ApiKey.objects.aupdate(revoked_at="2026-01-01T00:00Z")
    keys.forget()
    is_problem(await web.ask(), 401)


async def test_a_key_is_looked_up_once_in_a_few_seconds(web: World, monkeypatch: pytest.MonkeyPatch):
    await web.look(1)
    monkeypatch.setattr(asking, "look", _nothing)
    running = door.current()
    assert running is not None
    monkeypatch.setattr(running, "connection", _no_connection)
    is_problem(await web.look(1), 404)


async def _nothing(*_: object) -> None:
    return None


def _no_connection() -> None:
    raise AssertionError("the database was asked")


async def test_an_inbox_that_is_switched_off_takes_nothing(web: World):
    await Inbox.objects.aupdate(active=False)
    async with asyncio.timeout(60):
        while (response := await web.ask(headers={"prefer": "wait=0"})).status_code == 202:
            await asyncio.sleep(0.05)
    is_problem(response, 403)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{"),
        (400, b"\xff\xfe"),
        (400, b'{"user_id": "\\ud83d", "text": "x"}'),
        (400, b"[" * 200_000),
        (400, b'{"user_id": NaN, "text": "x"}'),
        (422, b"[]"),
        (422, b"null"),
        (422, b"17"),
        (422, b"{}"),
        (422, b'{"user_id": "a"}'),
        (422, b'{"text": "a"}'),
        (422, b'{"user_id": "a", "text": " \\n "}'),
        (422, b'{"user_id": "a", "text": 5}'),
        (422, b'{"user_id": true, "text": "x"}'),
        (422, b'{"user_id": 1.5, "text": "x"}'),
        (422, b'{"user_id": null, "text": "x"}'),
        (422, b'{"user_id": {"a": 1}, "text": "x"}'),
        (422, b'{"user_id": "a\\u0000b", "text": "x"}'),
        (422, b'{"user_id": "  ", "text": "x"}'),
        (422, json.dumps({"user_id": "a" * 151, "text": "x"}).encode()),
        (422, json.dumps({"user_id": "a", "text": "x" * 20_001}).encode()),
        (422, b'{"user_id": "a", "text": null}'),
        (422, b'{"user_id": -1, "text": "x"}'),
        (422, b'{"user_id": 100000000000000000000, "text": "x"}'),
        (422, b'{"user_id": "a", "text": "x", "attachments": [{"url": "https://example.com/a.png"}]}'),
        (404, b'{"user_id": "a", "text": "x", "inbox": "other"}'),
        (413, b'{"user_id": "a", "text": "' + b"x" * 1_100_000 + b'"}'),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else str(value),
)
async def test_a_wrong_body_is_told_what_is_wrong(web: World, status: int, body: bytes):
    is_problem(await post(web, body), status)
    assert await Message.objects.acount() == 0


@pytest.mark.parametrize("body", [b"[]", b'[{"user_id": "a", "text": "b"}]', b"null", b'"text"'])
async def test_what_is_no_object_is_told_so(web: World, body: bytes):
    told = is_problem(await post(web, body), 422)
    assert told["detail"] == "body: a JSON object is expected. Correct it and send it again."


async def test_fields_are_named(web: World):
    told = is_problem(await post(web, b'{"user_id": [], "text": 1}'), 422)
    assert {error["loc"][0] for error in told["errors"]} == {"user_id", "text"}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "é"]
)
async def test_only_json_is_read(web: World, kind: str):
    given = {"authorization": f"Bearer {web.key}".encode(), "content-type": kind.encode()}
    is_problem(await web.client.post(URL, content=b'{"user_id": "a", "text": "b"}', headers=given), 415)


async def test_characters_a_database_refuses_are_taken(web: World):
    response = await post(web, json.dumps({"user_id": 'a"\\é🎉', "text": "nul \x00 and 🎉"}).encode())
    assert response.status_code == 202
    message = await Message.objects.aget()
    assert message.text == "nul \ufffd and 🎉"


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["user_id", "text", "msg", "inbox", "attachments"]), inner), max_leaves=8).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_body_is_a_question_or_a_problem(body: bytes):
    from prosa.conversations.rest.bodies import Question, read
    from prosa.conversations.rest.problems import Problem

    told = None
    try:
        read(Question, body, "{}")
    except Problem as problem:
        told = problem.status
    assert told in {None, 400, 422}


async def test_other_addresses_and_methods_are_said_to_be_so(web: World):
    is_problem(await web.client.get("/api/v1/nowhere"), 404)
    is_problem(await web.client.get("/api/v1/"), 404)
    for method, path, allowed in [
        ("GET", URL, "POST"),
        ("PATCH", URL, "POST"),
        ("POST", f"{URL}/1", "GET"),
        ("DELETE", "/seller/bot/", "POST"),
    ]:
        response = await web.client.request(method, path, headers={"x-api-key": web.key})
        assert method in is_problem(response, 405)["detail"]
        assert response.headers["allow"] == allowed
    is_problem(await web.look(10**30), 404)
    is_problem(await web.look(1), 404)


async def test_too_long_an_idempotency_key(web: World):
    is_problem(await post(web, b'{"user_id": "a", "text": "b"}', **{"idempotency-key": "k" * 300}), 422)


async def test_a_caller_who_asks_too_often_is_told_when_to_come_back(web: World, surroundings: pytest.MonkeyPatch):
    surroundings.setenv("PROSA_API_RATE", "1")
    conf.settings.cache_clear()
    responses = [await web.look(1) for _ in range(4)]
    assert [response.status_code for response in responses[:2]] == [404, 404]
    is_problem(responses[-1], 429)
    assert int(responses[-1].headers["retry-after"]) >= 1


@pytest.fixture
def database_away(surroundings: Any) -> Iterator[Callable[[bool], None]]:
    """Shut the database to everybody (True), or open it again."""
    name = connection.settings_dict["NAME"]
    where = make_conninfo(shared.dsn(), dbname="postgres")

    def shut(away: bool) -> None:
        with psycopg.connect(where, autocommit=True) as other:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {not away}')
            if away:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'prosa%%'",
                    [name],
                )

    yield shut
    shut(away=False)


async def test_without_database_the_program_is_asked_to_come_again(web: World, database_away: Callable[[bool], None]):
    headers = {"idempotency-key": "k", "prefer": "wait=0"}
    database_away(True)
    response = await web.ask(headers=headers)
    is_problem(response, 503)
    assert response.headers["retry-after"]
    database_away(False)
    async with asyncio.timeout(60):
        while (response := await web.ask(headers=headers)).status_code == 503:
            await asyncio.sleep(0.05)
    assert response.status_code == 202
    assert await Message.objects.acount() == 1


async def test_a_database_that_goes_away_while_we_look(web: World, monkeypatch: pytest.MonkeyPatch):
    async def gone(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(asking, "look", gone)
    is_problem(await web.look(1), 503)


# ── the open alias ──


@pytest.fixture
async def developer(web: World, surroundings: pytest.MonkeyPatch) -> World:
    surroundings.setenv("PROSA_DEVELOPMENT", "1")
    conf.settings.cache_clear()
    return web


async def seller(
    world: World, host: str = "localhost:8000", address: str = "127.0.0.1", path: str = "/seller/bot/", **more: str
) -> httpx.Response:
    """The alias without a key, from an address, under a name."""
    from prosa.server.asgi import application

    transport = httpx.ASGITransport(application, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        body = {"user_id": "dev", "msg": "oi"}
        return await client.post(path, json=body, headers={"host": host, "prefer": "wait=0"} | more)


@pytest.mark.parametrize(
    ("host", "address"), [("localhost:8000", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("[::1]:8000", "::1")]
)
async def test_a_developer_needs_no_key(developer: World, host: str, address: str):
    response = await seller(developer, host, address)
    assert response.status_code == 202, response.text
    poll = response.json()["poll"]
    assert (await developer.client.get(poll, headers={"host": "localhost"})).status_code == 202


@pytest.mark.parametrize(
    ("host", "address"),
    [("bot.localhost", "127.0.0.1"), ("localhost", "203.0.113.9"), ("localhost", "")],
)
async def test_nobody_else_gets_in_without_a_key(developer: World, host: str, address: str):
    is_problem(await seller(developer, host, address), 401)


async def test_a_tunnel_that_rewrites_the_host_is_not_the_developer(developer: World):
    is_problem(await seller(developer, **{"x-forwarded-for": "203.0.113.9"}), 401)


async def test_the_api_itself_stays_closed_in_development(developer: World):
    is_problem(await seller(developer, path=URL), 401)


async def test_in_production_the_alias_needs_a_key(web: World):
    is_problem(await seller(web), 401)


async def test_without_a_rest_inbox_the_developer_is_told(developer: World):
    await Inbox.objects.aupdate(active=False)
    async with asyncio.timeout(60):
        while (response := await seller(developer)).status_code == 202:
            await asyncio.sleep(0.05)
    is_problem(response, 404)
