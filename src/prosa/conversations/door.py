"""The webhook door: a small ASGI app in front of Django, for everything below ``/webhook``.

It verifies on raw bytes, parses, and answers 200 only after ``inbound`` has committed. Django costs more than all of
this together (research/performance.md, section 1), so it is not asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import psycopg

from prosa import conf, realtime
from prosa.agents import llm
from prosa.channels import base, inboxes
from prosa.channels.inboxes import Inboxes
from prosa.contracts import InboxConfig, WebhookRequest
from prosa.conversations.inbound import Arrival, read
from prosa.conversations.receiver import Receiver, Unavailable
from prosa.knowledge import fusion
from prosa.postgres import connections, shared
from prosa.postgres.connections import Connection, Listener, Pool, connect

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Accept = Callable[[Arrival], Awaitable[None]]

log = logging.getLogger(__name__)

MAX_BODY = 4 * conf.MEGABYTE
BODY_TIMEOUT_S = 30.0
POOL_TIMEOUT_S = 2.0
PREFIX = "/webhook"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is told."""

    status: int
    body: bytes
    content_type: str = TEXT
    retry_after: int = 0


NOT_FOUND = Answer(404, b"There is no such inbox. Copy the webhook address from the inbox's page in the admin.")
REFUSED = Answer(403, b"The signature does not fit this inbox's secret.")
TOO_LARGE = Answer(413, b"A webhook may hold 4 MB at most.")
NOT_VERIFIED = Answer(403, b"The verify token is not this inbox's. Copy it from the inbox's page in the admin.")
WRONG_METHOD = Answer(405, b"Webhooks are sent by POST, and verified by GET.")
NOT_NOW = Answer(503, b"The database cannot be reached. Send it again.", retry_after=5)
TOO_SLOW = Answer(408, b"The body did not arrive in time.")


async def answer(request: WebhookRequest, known: Inboxes, accept: Accept) -> Answer:
    """The whole of the door but the wire: find the inbox, verify, read, accept."""
    parts = [part for part in request.path.removeprefix(PREFIX).split("/") if part]
    if len(parts) > 2:
        return NOT_FOUND
    if request.method == "GET":
        return _handshake(request, known, parts)
    if request.method != "POST":
        return WRONG_METHOD
    found = _provider(request, parts)
    candidates = _candidates(known, found, parts)
    if found is None or not candidates:
        return NOT_FOUND if parts else REFUSED
    inbox = next((each for each in candidates if found.verify(each, request)), None)
    if inbox is None:
        return REFUSED
    try:
        await accept(read(found, inbox, known, request))
    except Unavailable:
        return NOT_NOW
    return Answer(200, found.ok_body, found.ok_type)


def address(path: str, asked: str, query: str, scheme: str, host: str) -> str:
    """The URL a provider signed: ``path`` below PROSA_PUBLIC_URL; without that setting, what was asked for of this host."""
    public = conf.settings().public_url
    return (public + path if public else f"{scheme}://{host}{asked}") + (f"?{query}" if query else "")


def _provider(request: WebhookRequest, parts: list[str]) -> base.Provider | None:
    if parts:
        return base.registered().get(parts[0])
    return next((each for each in base.registered().values() if each.claims(request)), None)


def _candidates(known: Inboxes, found: base.Provider | None, parts: list[str]) -> list[InboxConfig]:
    if found is None:
        return []
    if len(parts) == 2:
        named = known.named(found.kind, parts[1])
        return [named] if named is not None and named.active else []
    return known.of_kind(found.kind)


def _handshake(request: WebhookRequest, known: Inboxes, parts: list[str]) -> Answer:
    kinds = [parts[0]] if parts else list(base.registered())
    query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
    asked = False
    for kind in kinds:
        found = base.registered().get(kind)
        for inbox in _candidates(known, found, [kind, *parts[1:]]):
            asked = True
            challenge = found.handshake(inbox, query) if found else None
            if challenge is not None:
                return Answer(200, challenge.encode())
    return NOT_VERIFIED if asked else NOT_FOUND


_open: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Door] = weakref.WeakKeyDictionary()


def current() -> Door | None:
    """The door that runs in this event loop, if one does."""
    return _open.get(asyncio.get_running_loop())


class Door:
    """The ASGI app: ``Door(get_asgi_application())``. It follows the server's lifespan.

    ``prefix`` is where a host project includes ``prosa.urls``, for example ``/prosa``. Until it has started, and for ever
    under a server without lifespan (Daphne), everything goes to Django, whose view does the same at a higher price.
    """

    def __init__(self, app: App, dsn: str | None = None, *, prefix: str = "") -> None:
        self._app = app
        self._dsn = dsn
        self._root = prefix.rstrip("/") + PREFIX
        self.inboxes = Inboxes()
        self._receiver: Receiver | None = None
        self._pool: Pool | None = None
        self._stale = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self) -> None:
        """Begin receiving. Waits a moment for the database, then serves 503 until it is there."""
        dsn = self._dsn or shared.dsn()
        self._receiver = Receiver(dsn)
        await self._receiver.start()
        # Opened lazily: a door nobody asks by REST keeps no connection for it.
        self._pool = connections.pool(dsn, name="prosa api", low=0, high=8)
        await self._pool.open(wait=False)
        _open[asyncio.get_running_loop()] = self
        listener = Listener(dsn, [inboxes.CHANNEL], self._changed, self._reload, name="prosa door listen")
        self._tasks = [asyncio.create_task(listener.run()), asyncio.create_task(self._keep_fresh(dsn))]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(listener.connected.wait(), 10)

    async def shutdown(self) -> None:
        """Commit what was taken in, then stop."""
        _open.pop(asyncio.get_running_loop(), None)
        if self._receiver is not None:
            await self._receiver.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await realtime.close()
        await fusion.close()
        await llm.close()  # what the copilot asked
        if self._pool is not None:
            await self._pool.close()

    def _changed(self, _channel: str, _payload: str) -> None:
        self._stale.set()

    async def _reload(self, connection: Connection) -> None:
        await self.inboxes.load(connection)
        if self._pool is not None:  # the listener lost its connection: those that lie idle are lost as well
            await self._pool.check()

    async def _keep_fresh(self, dsn: str) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                async with await connect(dsn, "prosa door inboxes") as connection:
                    await self.inboxes.load(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("Inboxes could not be read again (%s); trying once more.", type(error).__name__)
                await asyncio.sleep(1)
                self._stale.set()

    async def accept(self, arrival: Arrival) -> None:
        """Commit an arrival together with whatever else is waiting (also used by the REST API).

        :raises Unavailable: the database cannot take it now.
        """
        if self._receiver is None or not self.inboxes.loaded:
            raise Unavailable
        await self._receiver.accept(arrival)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a short look (also used by the REST API).

        :raises Unavailable: there is none to be had.
        """
        if self._pool is None:
            raise Unavailable
        try:
            async with self._pool.connection(timeout=POOL_TIMEOUT_S) as connection:
                yield connection
        except (psycopg.OperationalError, OSError) as error:  # PoolTimeout is an OperationalError
            raise Unavailable from error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "http" and self._receiver is not None:
            path: str = scope["path"]
            if path.startswith(self._root) and (len(path) == len(self._root) or path[len(self._root)] == "/"):
                await _respond(send, await self._handle(scope, receive))
                return
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.startup()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _handle(self, scope: Scope, receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get("content-length", "").lstrip("0")
        if length.isdecimal() and (len(length) > 9 or int(length) > MAX_BODY):
            return TOO_LARGE
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    body = await _rest(body, receive)
            except TimeoutError:
                return TOO_SLOW
        if len(body) > MAX_BODY:
            return TOO_LARGE
        if not self.inboxes.loaded:
            return NOT_NOW
        query: bytes = scope["query_string"]
        path = PREFIX + scope["path"][len(self._root) :]
        url = address(
            path, scope["path"], query.decode("latin-1"), scope.get("scheme", "http"), headers.get("host", "")
        )
        request = WebhookRequest(scope["method"], path, query, headers, body, url)
        return await answer(request, self.inboxes, self.accept)


async def _rest(body: bytes, receive: Receive) -> bytes:
    parts, size, more = [body], len(body), True
    while more and size <= MAX_BODY:
        message = await receive()
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _respond(send: Send, told: Answer) -> None:
    headers = [
        (b"content-type", told.content_type.encode()),
        (b"content-length", str(len(told.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if told.retry_after:
        headers.append((b"retry-after", str(told.retry_after).encode()))
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": told.body})
