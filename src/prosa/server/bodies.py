"""How much may be sent to the pages: little by strangers, whole files by whoever is signed in.

Django reads a request's whole body, to disk when it is large, before anybody asks who sent it. Here it is refused (413) by its
announced length, or while it is read, before that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection

from prosa import conf
from prosa.conversations.replying import MOST_BYTES
from prosa.desk.access import SECOND_STEP

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STRANGERS = conf.MEGABYTE
"""Bytes anybody may send to a page; Django keeps as much in memory."""
ELSEWHERE = 4 * conf.MEGABYTE
"""To what is no page: webhooks, the REST API; they have limits of their own."""
UPLOADS = {"/agent/": max(MOST_BYTES.values()) + conf.MEGABYTE, "/admin/": 1024 * conf.MEGABYTE}
"""Beginning of the path → bytes whoever is signed in may send there: one file of a message; fifty of knowledge."""
REFUSAL = b"This is larger than what may be sent here. Sign in first, or send less at once.\n"


class Bounded:
    """An ASGI app around Django's."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        limit = Limit(scope)
        if await limit.passed(_announced(scope)):
            await _refuse(send)
            return
        size, over, begun = 0, False, False

        async def read() -> MutableMapping[str, Any]:
            nonlocal size, over
            message = await receive()
            size += len(message.get("body", b""))
            if not over and await limit.passed(size):
                over = True
            # Django lets go of a body whose sender left.
            return {"type": "http.disconnect"} if over else message

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            if over and not begun:
                return
            begun = True
            await send(message)

        await self._app(scope, read, answer)
        if over and not begun:
            await _refuse(send)


class Limit:
    """What one request may hold. Who sends it is looked up once, and only when it holds more than strangers may send."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        path: str = scope["path"]
        self._upload = next((most for beginning, most in UPLOADS.items() if path.startswith(beginning)), 0)
        self._most = STRANGERS if self._upload else ELSEWHERE
        self._asked = not self._upload
        if path.startswith("/simulator/") and conf.settings().development:
            self._most = max(MOST_BYTES.values())  # the phone in the browser, which nobody signs in to

    async def passed(self, size: int) -> bool:
        """Is this more than may be sent?"""
        if size > self._most and not self._asked:
            self._asked = True
            if await sync_to_async(_signed_in)(_session_key(self._scope)):
                self._most = self._upload
        return size > self._most


def _announced(scope: Scope) -> int:
    given = next((value for name, value in scope["headers"] if name == b"content-length"), b"").lstrip(b"0")
    return int(given[:18]) if given.isdigit() else 0


def _session_key(scope: Scope) -> str:
    cookies: SimpleCookie = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                return ""
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found is not None else ""


def _signed_in(key: str) -> bool:
    """Does a session belong to somebody who has given all that is asked for?"""
    if not key.isalnum():
        return False
    try:
        session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        return "_auth_user_id" in session and SECOND_STEP not in session
    finally:
        connection.close()  # no request of Django's ends here that would


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(REFUSAL)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})
