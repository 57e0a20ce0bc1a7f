"""For the tests of Prosa and of its plug-ins: what every channel must keep, and a server to speak to.

Needs ``pytest``, ``pytest-asyncio`` and ``hypothesis``, which Prosa itself does not install.
"""
# ruff: noqa: D102, S101 -- a test's name says what it checks, by asserting it

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prosa.channels.base import Provider
from prosa.contracts import (
    Identity,
    InboxConfig,
    Json,
    Option,
    OutboundMessage,
    Parsed,
    Reply,
    Sent,
    ToolOffer,
    WebhookRequest,
)
from prosa.conversations.acts import offers
from prosa.errors import BadInput, PermanentError, ProsaError, SlowDown, TemporaryError, UnknownOutcome
from prosa.http import Client

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
"""Any JSON value."""


# ── the other side ────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """A request the stub saw."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class StubServer:
    """A server on loopback that gives the answers it was told, in order, and remembers what it was asked.

    Use as ``async with StubServer() as server``. Without an answer left it says 500.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._answers: deque[tuple[int, bytes, Mapping[str, str], bool]] = deque()
        self._runner: web.AppRunner | None = None
        self.url = ""

    def answers(self, status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Self:
        """The next answer; ``body`` is bytes or something to write as JSON."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self._answers.append((status, raw, headers or {}, False))
        return self

    def hangs_up(self) -> Self:
        """The next request is read to its end, then the connection is cut."""
        self._answers.append((0, b"", {}, True))
        return self

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.method, request.path, dict(request.query), headers, body))
        status, raw, extra, cut = self._answers.popleft() if self._answers else (500, b"nothing to say", {}, False)
        if cut and request.transport is not None:
            request.transport.abort()
            await asyncio.sleep(0)
        return web.Response(status=status or 500, body=raw, headers=dict(extra))


# ── what every channel keeps ──────────────────────────────────────────────────────────────────────


class ChannelContract:
    """Inherit, name your provider, and your channel is held to what Prosa relies on.

    Give: ``provider``, ``credentials``, ``message`` (a webhook with one text message), :meth:`sign`, ``api_credential``
    (the credential that points it at another server), ``accepted`` (its API's answer to a send) and ``failures``.
    """

    provider: ClassVar[Provider]
    credentials: ClassVar[Mapping[str, str]]
    message: ClassVar[bytes]
    content_type: ClassVar[str] = "application/json"
    limit: ClassVar[int]
    """Longest text of one bubble."""
    api_credential: ClassVar[str]
    accepted: ClassVar[Json]
    failures: ClassVar[Sequence[tuple[int, Any, type[ProsaError]]]]
    """Status and body of the API's refusals, and the error each must become."""
    previous_secret: ClassVar[str] = ""
    """The credential that holds the secret being rotated out, when the channel has one."""

    def sign(self, body: bytes, secret: str | None = None) -> WebhookRequest:
        """``body`` as this provider would deliver it, signed with ``secret`` (by default the inbox's own)."""
        raise NotImplementedError

    def inbox(self, **credentials: str) -> InboxConfig:
        """An inbox with :attr:`credentials`, some of them changed."""
        given = {**self.credentials, **credentials}
        route = self.provider.routing_key(given)
        return InboxConfig(1, 1, self.provider.kind, "shop", route, given, verify_token="verify-me")  # noqa: S106 -- fictional

    def bubble(self, text: str = "Hello") -> OutboundMessage:
        """A text to a customer with a phone."""
        return OutboundMessage("text", text, to=(Identity("phone", "12025550143", "12025550143"),), tracker="prosa:1")

    @pytest.fixture
    async def server(self) -> AsyncIterator[StubServer]:
        """The provider's API."""
        async with StubServer() as server:
            yield server

    @pytest.fixture
    async def client(self, server: StubServer) -> AsyncIterator[Client]:
        """A client that may call the stub."""
        async with Client(allow=[server.url]) as client:
            yield client

    async def deliver(self, client: Client, server: StubServer, message: OutboundMessage | None = None) -> Sent:
        """Send through the stub."""
        inbox = self.inbox(**{self.api_credential: server.url})
        return await self.provider.send(client, inbox, message or self.bubble())

    # signatures

    def test_a_signed_webhook_is_accepted(self) -> None:
        assert self.provider.verify(self.inbox(), self.sign(self.message))
        assert self.provider.claims(self.sign(self.message))

    def test_a_changed_body_is_refused(self) -> None:
        request = self.sign(self.message)
        assert not self.provider.verify(self.inbox(), dataclasses.replace(request, body=request.body + b" "))

    def test_a_webhook_without_signature_is_refused(self) -> None:
        request = dataclasses.replace(self.sign(self.message), headers={"content-type": self.content_type})
        assert not self.provider.verify(self.inbox(), request)
        assert not self.provider.claims(request)

    def test_another_secret_is_refused(self) -> None:
        assert not self.provider.verify(self.inbox(), self.sign(self.message, "somebody-else's-secret"))

    def test_an_inbox_without_secret_accepts_nothing(self) -> None:
        bare = dataclasses.replace(self.inbox(), credentials={})
        assert not self.provider.verify(bare, self.sign(self.message, ""))
        assert not self.provider.verify(bare, self.sign(self.message))

    def test_the_previous_secret_is_accepted_while_it_is_rotated(self) -> None:
        if not self.previous_secret:
            pytest.skip("This channel has no rotating secret.")
        inbox = self.inbox(**{self.previous_secret: "the-old-secret"})
        assert self.provider.verify(inbox, self.sign(self.message, "the-old-secret"))
        assert self.provider.verify(inbox, self.sign(self.message))

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors], max_examples=50)
    @given(header=st.text(), body=st.binary(max_size=200))
    def test_any_header_is_judged_without_an_error(self, header: str, body: bytes) -> None:
        signed = self.sign(self.message)
        headers = {name: header if "signature" in name else value for name, value in signed.headers.items()}
        assert not self.provider.verify(self.inbox(), dataclasses.replace(signed, headers=headers, body=body))

    # reading

    def test_the_message_is_read(self) -> None:
        (message,) = self.provider.parse(self.message, self.content_type).messages
        assert message.provider_id
        assert message.senders
        assert message.kind == "text"
        assert message.text
        assert message.wakes
        assert message.routing_key == self.provider.routing_key(self.credentials)
        assert message.sent_at.tzinfo is not None

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(body=st.binary(max_size=300))
    def test_any_bytes_are_read_or_bad_input(self, body: bytes) -> None:
        self.read(body)

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(value=JSON)
    def test_any_json_is_read_or_bad_input(self, value: Any) -> None:
        self.read(json.dumps(value).encode())

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors], max_examples=200)
    @given(data=st.data())
    def test_a_webhook_broken_anywhere_is_read_or_bad_input(self, data: st.DataObject) -> None:
        for body in self.broken(data):
            self.read(body)

    def broken(self, data: st.DataObject) -> Iterator[bytes]:
        """Webhooks that are almost right. By default: the message cut off, and one value in its JSON replaced."""
        yield self.message[: data.draw(st.integers(0, len(self.message)))]
        if self.content_type == "application/json":
            yield json.dumps(replaced(json.loads(self.message), data)).encode()

    def read(self, body: bytes) -> Parsed:
        """Parse; anything but BadInput fails the test, and so does what our database would refuse."""
        try:
            parsed = self.provider.parse(body, self.content_type)
        except BadInput:
            return Parsed()
        said = [(one.provider_id, one.text, one.payload) for one in parsed.messages]
        said += [(one.provider_id, one.text, one.payload) for one in parsed.takeovers]
        for provider_id, text, payload in said:
            assert 0 < len(provider_id) <= 250
            assert "\x00" not in text
            text.encode()
            assert b"\\u0000" not in orjson.dumps(payload)
        for one in parsed.messages:
            assert one.senders
            assert all(identity.value and len(identity.key) <= 200 for identity in one.senders)
        return parsed

    # composing

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors], max_examples=50)
    @given(text=st.text(max_size=200), times=st.integers(1, 60), count=st.integers(0, 12))
    def test_bubbles_keep_the_limits(self, text: str, times: int, count: int) -> None:
        options = tuple(Option(f"o{index}", f"Choice number {index}" * (1 + index % 2)) for index in range(count))
        bubbles = self.provider.compose(Reply(text * times, options))
        assert all(len(bubble.text) <= self.limit for bubble in bubbles)
        assert all(bubble.text for bubble in bubbles)
        if count:
            assert bubbles

    def test_a_short_answer_is_one_bubble(self) -> None:
        (bubble,) = self.provider.compose(Reply("We open at nine."))
        assert (bubble.kind, bubble.text) == ("text", "We open at nine.")

    # sending

    async def test_a_send_has_the_providers_id(self, client: Client, server: StubServer) -> None:
        server.answers(200, self.accepted)
        assert (await self.deliver(client, server)).provider_id
        assert len(server.requests) == 1

    async def test_refusals_become_our_errors(self, client: Client, server: StubServer) -> None:
        for status, body, expected in self.failures:
            server.answers(status, body)
            with pytest.raises(expected) as caught:
                await self.deliver(client, server)
            assert caught.type is expected, body
            assert "\n" in str(caught.value)
        assert len(server.requests) == len(self.failures)

    async def test_a_send_that_was_cut_off_has_an_unknown_outcome(self, client: Client, server: StubServer) -> None:
        server.hangs_up()
        with pytest.raises(UnknownOutcome):
            await self.deliver(client, server)
        assert len(server.requests) == 1

    async def test_a_send_that_never_left_may_be_repeated(self, client: Client, server: StubServer) -> None:
        await server.__aexit__()
        with pytest.raises(TemporaryError):
            await self.deliver(client, server)

    async def test_a_broken_server_leaves_the_outcome_unknown(self, client: Client, server: StubServer) -> None:
        server.answers(503, b"<html>Service Unavailable</html>")
        with pytest.raises(UnknownOutcome):
            await self.deliver(client, server)

    async def test_a_server_that_asks_for_patience_gets_it(self, client: Client, server: StubServer) -> None:
        server.answers(429, b"slow down", {"Retry-After": "7"})
        with pytest.raises(SlowDown) as caught:
            await self.deliver(client, server)
        assert caught.value.retry_after == 7.0

    async def test_success_without_an_id_is_an_unknown_outcome(self, client: Client, server: StubServer) -> None:
        server.answers(200, {})
        with pytest.raises(UnknownOutcome):
            await self.deliver(client, server)

    async def test_nobody_to_send_to_is_permanent(self, client: Client, server: StubServer) -> None:
        with pytest.raises(PermanentError):
            await self.deliver(client, server, OutboundMessage("text", "Hello", to=(Identity("username", "@someone"),)))
        assert server.requests == []

    async def test_the_tracker_travels(self, client: Client, server: StubServer) -> None:
        server.answers(200, self.accepted)
        await self.deliver(client, server)
        assert (b"prosa:1" in server.requests[0].body) is self.provider.tracks

    async def test_no_secret_is_in_an_error_or_a_repr(self, client: Client, server: StubServer) -> None:
        inbox = self.inbox(**{self.api_credential: server.url})
        secrets = [
            inbox.credentials[one.name]
            for one in self.provider.credentials
            if one.secret and one.name in inbox.credentials
        ]
        assert secrets
        server.answers(400, {"error": {"code": 1}})
        with pytest.raises(ProsaError) as caught:
            await self.deliver(client, server)
        shown = f"{inbox!r} {caught.value!r} {caught.value}"
        assert not [secret for secret in secrets if secret in shown]


def check_tool(offer: ToolOffer) -> None:
    """Whether a plug-in's tool would be offered.

    :raises AssertionError: what is wrong with it, as ``prosa doctor`` would say it.
    """
    problem = offers.problem(offer)
    assert not problem, f"{offer.name}: {problem}"


def replaced(value: Any, data: st.DataObject) -> Any:
    """``value`` with one of the values inside it exchanged for any other JSON value."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: replaced(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], replaced(value[index], data), *value[index + 1 :]]
    return data.draw(
        st.sampled_from(
            (
                None,
                True,
                0,
                -1,
                1e300,
                "",
                "x" * 300,
                [],
                {},
                [None],
                [{}],
                {"id": {}},
                "\x00",
                "\ud83d",
                "1e999",
                10**30,
            )
        )
    )
