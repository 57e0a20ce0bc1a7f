"""The outbound client: what it refuses, what it concludes, what it never says."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.addresses import is_public
from prosa.errors import NotAllowed, TemporaryError, TooLarge, UnknownOutcome
from prosa.http import REST, Client
from prosa.testing import StubServer


@asynccontextmanager
async def speaking(says):
    """A bare TCP server that says these bytes to whoever asks; None: nothing until the other side gives up."""
    done = []

    async def handle(reader, writer):
        over = asyncio.Event()
        done.append(over)
        await reader.read(10)
        if says is None:
            await reader.read()
        else:
            writer.write(says)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()
    for over in done:
        await over.wait()


@pytest.fixture
async def server():
    async with StubServer() as running:
        yield running


@pytest.fixture
async def client(server):
    async with Client(allow=[server.url]) as opened:
        yield opened


async def test_an_answer_is_an_answer_whatever_its_status(client, server):
    server.answers(200, {"a": 1}, {"X-Thing": "yes"}).answers(500, b"<html>").answers(302, b"", {"Location": "/x"})
    first = await client.request("POST", f"{server.url}/a", json={"b": "ç"}, headers={"X-Mine": "1"}, params={"q": "1"})
    assert (first.status, first.ok, first.json(), first.headers["x-thing"]) == (200, True, {"a": 1}, "yes")
    asked = server.requests[0]
    assert (asked.json(), asked.headers["x-mine"], asked.query) == ({"b": "ç"}, "1", {"q": "1"})
    assert asked.headers["content-type"] == "application/json"
    second = await client.request("GET", f"{server.url}/b")
    assert (second.status, second.ok, second.json()) == (500, False, {})
    assert (await client.request("GET", f"{server.url}/c")).status == 302


async def test_forms_and_passwords(client, server):
    server.answers(200)
    await client.request("POST", server.url, data={"Body": "1+1=2 & é"}, auth=("AC1", "töken"))
    assert server.requests[0].form() == {"Body": "1+1=2 & é"}
    assert server.requests[0].headers["authorization"] == "Basic QUMxOnTDtmtlbg=="


@pytest.mark.parametrize("body", [b"[1]", b"null", b"{", b"", b'"x"'])
async def test_json_that_is_no_object_is_empty(client, server, body):
    server.answers(200, body)
    assert (await client.request("GET", server.url)).json() == {}


# ── what may have happened ──


async def test_a_writing_request_that_was_cut_off_is_unknown(client, server):
    server.hangs_up()
    with pytest.raises(UnknownOutcome):
        await client.request("POST", server.url, json={})


async def test_a_reading_one_may_be_repeated(client, server):
    server.hangs_up().hangs_up().hangs_up()  # the library itself repeats a reading request on a reused connection
    with pytest.raises(TemporaryError):
        await client.request("GET", server.url)


async def test_silence_after_the_request_left_is_unknown():
    async with speaking(None) as url, Client(allow=[url]) as client:
        with pytest.raises(UnknownOutcome):
            await client.request("POST", url, json={}, timeout=0.2)
        with pytest.raises(TemporaryError):
            await client.request("GET", url, timeout=0.2)


async def test_half_an_answer_is_unknown():
    async with speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as url, Client(allow=[url]) as client:
        with pytest.raises(UnknownOutcome):
            await client.request("POST", url, json={})
        with pytest.raises(TemporaryError):
            await client.request("GET", url)


async def test_nonsense_instead_of_http_is_unknown():
    async with speaking(b"hello there\r\n\r\n") as url, Client(allow=[url]) as client:
        with pytest.raises(UnknownOutcome):
            await client.request("POST", url, json={})


def nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_refused_connection_never_left():
    url = nobody_listens()
    async with Client(allow=[url]) as client:
        with pytest.raises(TemporaryError):
            await client.request("POST", url, json={})


async def test_an_unknown_name_never_left(monkeypatch):
    async def unknown(*_args, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    async with Client() as client:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        with pytest.raises(TemporaryError):
            await client.request("POST", "https://nowhere.invalid/", json={})


async def test_a_host_that_cannot_be_reached_rests_for_a_moment():
    now = [100.0]
    url = nobody_listens()
    async with Client(allow=[url], clock=lambda: now[0]) as client:
        for _ in range(5):
            with pytest.raises(TemporaryError, match="No connection"):
                await client.request("POST", url)
        with pytest.raises(TemporaryError, match="rests") as resting:
            await client.request("POST", url)
        assert resting.value.retry_after == REST
        now[0] += REST
        probe = asyncio.create_task(client.request("POST", url))
        await asyncio.sleep(0)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        with pytest.raises(
            TemporaryError, match="No connection"
        ):  # one is let through, also after one that was given up
            await client.request("POST", url)
        with pytest.raises(TemporaryError, match="rests"):
            await client.request("POST", url)


# ── sizes ──


async def test_answers_and_files_have_a_limit(client, server):
    server.answers(200, b"x" * 100).answers(200, b"x" * 100).answers(200, b"x" * 100)
    with pytest.raises(TooLarge):
        await client.request("GET", server.url, limit=99)
    assert len((await client.request("GET", server.url, limit=100)).body) == 100
    stream = await client.stream(server.url, limit=99)
    assert stream.size == 100
    with pytest.raises(TooLarge):
        [chunk async for chunk in stream.chunks]


async def test_an_unannounced_size_is_counted():
    async with speaking(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000) as url, Client(allow=[url]) as client:
        with pytest.raises(TooLarge):
            await client.request("GET", url, limit=100_000)
        stream = await client.stream(url, limit=100_000)
        assert stream.size == -1
        with pytest.raises(TooLarge):
            [chunk async for chunk in stream.chunks]
        abandoned = await client.stream(url, limit=100_000)
        await abandoned.close()


# ── private addresses ──


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False),  # noqa: S104 -- judged, not bound
        ("240.0.0.1", False), ("198.18.0.1", False), ("192.0.2.1", False),
        ("2606:4700::1111", True), ("::1", False), ("::", False), ("fe80::1", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("::127.0.0.1", False), ("2002:7f00:1::", False),
        ("2002:a00:1::", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False), ("64:ff9b::808:808", True),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False), ("2001:db8::1", False), ("fec0::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


@given(number=st.integers(0, 2**32 - 1))
def test_an_ipv4_address_in_ipv6_clothes_is_the_same_address(number):
    inner = ipaddress.IPv4Address(number)
    for outer in (f"::ffff:{inner}", f"64:ff9b::{inner}"):
        assert is_public(ipaddress.ip_address(outer)) is is_public(inner)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/", "http://[fe80::1%25eth0]/", "http://localhost/", "http://2130706433/", "http://0x7f000001/",
        "http://0177.0.0.1/", "http://127.1/", "ftp://files.example/", "file:///etc/passwd", "gopher://x/", "//no.scheme/", "", "http://",
        "http://user:pw@127.0.0.1/", "http://x:99999/", "http://127.0.0.1:5432/", "http://①②⑦.0.0.1/", "http://127。0。0。1/", "http://１２７.0.0.1/",
    ],
)  # fmt: skip
async def test_private_and_strange_addresses_are_refused(url):
    async with Client() as client:
        with pytest.raises(NotAllowed):
            await client.request("GET", url)
        with pytest.raises(NotAllowed):
            await client.stream(url, limit=10)


async def test_a_name_that_points_inside_is_refused(monkeypatch, server):
    port = int(server.url.rpartition(":")[2])

    async def inside(host, asked_port, **_more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", asked_port))]

    async with Client() as client:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", inside)
        with pytest.raises(NotAllowed):
            await client.request("GET", f"http://innocent.example:{port}/")
    assert server.requests == []


async def test_only_the_named_port_of_a_private_host_may_be_called(client, server):
    async with StubServer() as other:
        with pytest.raises(NotAllowed):
            await client.request("GET", other.url)
        assert other.requests == []


async def test_a_host_named_in_the_settings_may_be_private(monkeypatch, server):
    from prosa import conf

    monkeypatch.setattr(conf, "settings", lambda: conf.Settings(whatsapp_graph_url=server.url, secret_key="x" * 40))
    server.answers(200)
    async with Client() as client:
        assert (await client.request("GET", server.url)).ok


@pytest.mark.parametrize("development", [True, False])
async def test_our_own_simulator_may_be_called_in_development_only(monkeypatch, server, development):
    from prosa import conf

    port = int(server.url.rpartition(":")[2])
    monkeypatch.setattr(
        conf, "settings", lambda: conf.Settings(development=development, port=port, secret_key="x" * 40)
    )
    server.answers(200)
    async with Client() as client:
        if development:
            assert (await client.request("GET", server.url)).ok
        else:
            with pytest.raises(NotAllowed):
                await client.request("GET", server.url)


# ── redirects ──


async def test_files_are_followed_but_credentials_stay(client, server):
    async with StubServer() as cdn, Client(allow=[server.url, cdn.url]) as both:
        server.answers(302, b"", {"Location": "/next"}).answers(307, b"", {"Location": f"{cdn.url}/file"})
        cdn.answers(200, b"the file")
        stream = await both.stream(f"{server.url}/first", auth=("AC1", "token"), headers={"X-Mine": "1"}, limit=100)
        assert b"".join([chunk async for chunk in stream.chunks]) == b"the file"
        assert ["authorization" in asked.headers for asked in server.requests] == [True, True]
        assert "authorization" not in cdn.requests[0].headers
        assert cdn.requests[0].headers["x-mine"] == "1"


async def test_credentials_given_away_once_do_not_come_back(server):
    async with StubServer() as cdn, Client(allow=[server.url, cdn.url]) as both:
        server.answers(302, b"", {"Location": f"{cdn.url}/there"})
        cdn.answers(302, b"", {"Location": f"{server.url}/back"})
        server.answers(200, b"x")
        stream = await both.stream(server.url, headers={"Authorization": "Bearer t"}, limit=10)
        await stream.close()
        assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/", "http://169.254.169.254/", "file:///etc/passwd", "http://localhost/"]
)
async def test_a_redirect_inside_is_refused(client, server, target):
    server.answers(302, b"", {"Location": target})
    with pytest.raises(NotAllowed):
        await client.stream(server.url, limit=100)


async def test_redirects_end(client, server):
    for _ in range(4):
        server.answers(302, b"", {"Location": "/again"})
    with pytest.raises(NotAllowed):
        await client.stream(server.url, limit=100)
    assert len(server.requests) == 4


# ── discretion ──


async def test_logs_tell_no_secrets(client, server, caplog):
    server.answers(200, b"answer-body").hangs_up()
    with caplog.at_level(logging.DEBUG):
        await client.request(
            "POST",
            f"{server.url}/path",
            params={"appsecret_proof": "s3cret"},
            json={"text": "private words"},
            auth=("AC1", "token-x"),
        )
        with pytest.raises(UnknownOutcome) as caught:
            await client.request(
                "POST", f"{server.url}/path", params={"appsecret_proof": "s3cret"}, json={"text": "private words"}
            )
    ours = [record.getMessage() for record in caplog.records if record.name == "prosa.http"]
    assert ours
    assert "/path" in ours[0]
    for secret in ("s3cret", "private words", "token-x", "answer-body"):
        assert secret not in " ".join(ours)
        assert secret not in str(caught.value)


async def test_a_token_with_a_line_break_is_refused_without_showing_it(client, server):
    with pytest.raises(NotAllowed) as caught:
        await client.request("GET", server.url, headers={"Authorization": "Bearer secret\r\nX-Evil: 1"})
    assert "secret" not in str(caught.value)
    assert server.requests == []


def test_the_client_serves_one_loop_after_another():
    client = Client()

    async def once():
        async with StubServer() as server:
            client._allowed = Client(allow=[server.url])._allowed
            server.answers(200)
            ok = (await client.request("GET", server.url)).ok
            await client.close()
            return ok

    assert asyncio.run(once())
    assert asyncio.run(once())
