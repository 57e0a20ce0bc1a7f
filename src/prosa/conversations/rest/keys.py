"""Who calls the REST API: keys, how long they are believed, and how often they may ask."""

from __future__ import annotations

import hmac
import ipaddress
import time
from dataclasses import dataclass

from django.http import HttpRequest

from prosa import conf
from prosa.channels.models import ApiKey
from prosa.contracts import InboxConfig
from prosa.conversations.asking import queries
from prosa.conversations.entrance import Entrance
from prosa.conversations.rest.problems import Problem
from prosa.errors import SlowDown
from prosa.postgres.connections import fetch_one

BELIEVED_S = 5.0
"""A revoked key works this long in a process that has just seen it."""
MOST_REMEMBERED = 4096
KIND = "rest"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "via"})
"""Headers proxies and tunnels add, in lower case. Some of them rewrite ``Host`` to the address they call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that may use one inbox."""

    inbox: InboxConfig
    name: str
    """What its pace is counted by; never the key."""


_known: dict[str, tuple[float, int, int]] = {}
_paces: dict[str, float] = {}


def unauthorized() -> Problem:
    """No key, or one that is not valid (any more): callers are not told which."""
    return Problem(
        401,
        "A valid API key is needed.",
        "Send it as 'Authorization: Bearer prosa_…'. Make one with `prosa apikey new`, or in the admin at the inbox.",
        headers={"WWW-Authenticate": 'Bearer realm="prosa"'},
    )


def presented(request: HttpRequest) -> str:
    """The key a request shows, in ``Authorization: Bearer`` or ``X-API-Key``; empty when it shows none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip()


async def caller(door: Entrance, key: str) -> Caller:
    """Whom a key belongs to, in one query at most.

    :raises Problem: 401 when it is unknown or revoked, 403 when its inbox is not in service.
    """
    if not key.startswith("prosa_") or len(key) > 200:
        raise unauthorized()
    digest = ApiKey.fingerprint(key)
    until, key_id, inbox_id = _known.get(digest, (0.0, 0, 0))
    if until < time.monotonic():
        async with door.connection() as connection:
            row = await fetch_one(connection, queries.key, {"digest": digest})
        if row is None or not hmac.compare_digest(row[2], digest):
            _known.pop(digest, None)
            raise unauthorized()
        key_id, inbox_id = row[0], row[1]
        if len(_known) >= MOST_REMEMBERED:
            _known.clear()
        _known[digest] = (time.monotonic() + BELIEVED_S, key_id, inbox_id)
    inbox = door.inboxes.get(inbox_id)
    if inbox is None or not inbox.active or inbox.kind != KIND:
        raise Problem(
            403,
            "This key's inbox is not in service.",
            "Switch the inbox on in the admin; it must be of the kind REST API.",
        )
    return Caller(inbox, f"key:{key_id}")


def neighbour(request: HttpRequest, door: Entrance, slug: str = "") -> Caller:
    """The developer at this machine, who needs no key: only in development, from loopback, under a loopback name.

    A tunnel or proxy comes from loopback too, but under its public name or with headers of its own.

    :raises Problem: 401 for everybody else, 404 when there is no REST inbox (of that name).
    """
    host = request.headers.get("Host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if (
        not conf.settings().development
        or name not in LOOPBACK_NAMES
        or not FORWARDED.isdisjoint(header.lower() for header in request.headers)
        or not _loopback(request.META.get("REMOTE_ADDR", ""))
    ):
        raise unauthorized()
    inboxes = door.inboxes.of_kind(KIND)
    inbox = next((each for each in inboxes if not slug or each.slug == slug), None)
    if inbox is None:
        raise Problem(404, "There is no such REST inbox.", "Make one in the admin: Inboxes, kind REST API.")
    return Caller(inbox, "neighbour")


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def pace(who: Caller) -> None:
    """Count one request of a caller, in this process: ``api_rate`` a second on average, two seconds' worth at once.

    :raises SlowDown: with the seconds to wait.
    """
    rate = conf.settings().api_rate
    if rate <= 0:
        return
    now = time.monotonic()
    due = max(_paces.get(who.name, 0.0), now) + 1 / rate
    if due - now > max(2.0, 1 / rate):
        raise SlowDown(retry_after=due - now - 2.0)
    if len(_paces) >= MOST_REMEMBERED:
        _paces.clear()
    _paces[who.name] = due


def forget() -> None:
    """Believe no key any more and count from zero (tests)."""
    _known.clear()
    _paces.clear()
