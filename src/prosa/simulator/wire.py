"""Plain ASGI for the doubles: a request read whole, a response, and how to hang up without one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any, Final
from urllib.parse import parse_qsl

from prosa.errors import BadInput, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 110 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. ``headers`` have lower-case names; ``origin`` is scheme and host as the caller wrote them."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    client: str = ""
    origin: str = ""

    def json(self) -> Any:
        """The body as JSON.

        :raises BadInput: it is not.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise BadInput("The body is not JSON.\nSend application/json.") from None

    def params(self) -> dict[str, str]:
        """The query's parameters, the last of each name."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """A urlencoded body's fields."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def bearer(self) -> str:
        """The bearer token, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def basic(self) -> tuple[str, str]:
        """User and password of basic authentication, empty when absent or malformed."""
        scheme, _, packed = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        try:
            user, _, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``hang_up``: close the connection instead, as if the cable broke. ``chunks``: a body that comes in pieces."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    hang_up: bool = False
    chunks: AsyncIterator[bytes] | None = None


HANG_UP: Final = Response(hang_up=True)
Handler = Callable[[Request], Awaitable[Response]]


def json_response(data: Any, status: int = 200, **headers: str) -> Response:
    """``data`` as JSON; keyword names become header names (``_`` → ``-``)."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, json.dumps(data).encode(), "application/json; charset=UTF-8", named)


async def serve(scope: Scope, receive: Receive, send: Send, handler: Handler) -> None:
    """Read the request, ask the handler, send its answer."""
    try:
        request = await _read(scope, receive)
        response = await handler(request)
    except TooLarge as error:
        response = json_response({"error": str(error).splitlines()[0]}, 413)
    except BadInput as error:
        response = json_response({"error": str(error)}, 400)
    if response.hang_up:
        await _hang_up(send)
        return
    headers = [(b"content-type", response.content_type.encode())]
    headers += [(name.encode(), value.encode()) for name, value in response.headers]
    if response.chunks is not None:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
        return
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _read(scope: Scope, receive: Receive) -> Request:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInput("The caller hung up before the whole body had come.\nSend it again.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise TooLarge(f"The body is larger than {MAX_BODY} bytes.")
        chunks.append(chunk)
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        body=b"".join(chunks),
        client=(scope.get("client") or ("", 0))[0],
        origin=f"{scope.get('scheme', 'http')}://{headers.get('host', '127.0.0.1')}",
    )


async def _hang_up(send: Send) -> None:
    """Close the connection with no answer.

    ASGI has no word for it, so we take uvicorn's transport when we can reach it; elsewhere we promise a body and
    never send it, which ends the connection too.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart form."""

    name: str
    data: bytes
    filename: str = ""
    content_type: str = ""


def multipart(request: Request) -> dict[str, Part]:
    """The fields of a multipart/form-data body by name.

    :raises BadInput: it is not one.
    """
    declared = message_from_bytes(
        b"Content-Type: " + request.headers.get("content-type", "").encode("latin-1") + b"\r\n\r\n"
    )
    boundary = declared.get_param("boundary")
    if declared.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise BadInput("The body is not multipart/form-data.\nSend a form with a file.")
    parts: dict[str, Part] = {}
    for chunk in (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode("latin-1"))[1:]:
        if chunk.startswith(b"--"):
            break
        head, _, data = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        described = message_from_bytes(head + b"\r\n\r\n")
        name = described.get_param("name", header="content-disposition")
        if isinstance(name, str):
            filename = described.get_filename("") or ""
            content_type = described.get_content_type() if "content-type" in described else ""
            parts[name] = Part(name, data, filename, content_type)
    return parts
