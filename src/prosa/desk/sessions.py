"""Where people are signed in: a row per session, so that they can see and end their sessions.

Heard by Django's signals, so that signing in at the admin counts too. Every session gets a row, also that of somebody who
works for no business: they may work for one tomorrow, and that session must be found then. Of a host project's customers
nothing else is kept, and the row goes with the session.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.http import HttpRequest

from prosa.business.people import Membership
from prosa.desk import audit
from prosa.desk.access import SECOND_STEP
from prosa.desk.models import SignedIn
from prosa.desk.second_factor import has_second_step

MOST_BROWSER = 200
MOST_KEY = 40
"""Longer keys are no keys: sessions that live in signed cookies cannot be listed, nor ended."""


def _store(key: str) -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def concerns(user: Any) -> bool:
    """Does this user work with Prosa?"""
    return bool(getattr(user, "is_superuser", False)) or Membership.objects.filter(user=user, left_at=None).exists()


def begun(request: HttpRequest, user: Any, **_: Any) -> None:
    """Somebody gave their password. Whoever has a second step owes its code from now on."""
    if has_second_step([user.pk]):
        request.session[SECOND_STEP] = True
    with transaction.atomic():
        listed(request, user, known=concerns(user))
        if SECOND_STEP not in request.session:
            audit.record_everywhere("signed_in", user, request=request)


def listed(request: HttpRequest, user: Any, *, known: bool) -> None:
    """Keep the row of this session. ``known``: with browser and address, which its owner is shown."""
    if request.session.session_key is None:  # it took the place of somebody else's
        request.session.save()
    key = request.session.session_key or ""
    if not 0 < len(key) <= MOST_KEY:
        return
    browser = request.META.get("HTTP_USER_AGENT", "").replace("\x00", "")[:MOST_BROWSER] if known else ""
    address = audit.address_of(request) if known else None
    SignedIn.objects.update_or_create(session_key=key, defaults={"user": user, "browser": browser, "address": address})


def ended(request: HttpRequest, **_: Any) -> None:
    """Somebody signed out."""
    if request.session.session_key:
        SignedIn.objects.filter(session_key=request.session.session_key).delete()


def listen() -> None:
    """Hear of signing in and out."""
    user_logged_in.connect(begun, dispatch_uid="prosa.desk.sessions")
    user_logged_out.connect(ended, dispatch_uid="prosa.desk.sessions")


def of(user: Any) -> list[SignedIn]:
    """Where a user is signed in, newest first; rows of sessions that are over are forgotten."""
    rows = list(SignedIn.objects.filter(user=user))
    living = [each for each in rows if _store(each.session_key).exists(each.session_key)]
    gone = {each.pk for each in rows} - {each.pk for each in living}
    if gone:
        SignedIn.objects.filter(pk__in=gone).delete()
    return living


def end_others(user: Any, kept: str | None) -> int:
    """End a user's sessions but the one of key ``kept``. How many were ended."""
    others = SignedIn.objects.filter(user=user).exclude(session_key=kept or "")
    keys = list(others.values_list("session_key", flat=True))
    for key in keys:
        _store(key).delete(key)
    others.filter(session_key__in=keys).delete()
    return len(keys)


def renamed(before: str | None, after: str | None) -> None:
    """A session goes on under another key."""
    if before and after:
        SignedIn.objects.filter(session_key=before).update(session_key=after)


def browser(agent: str) -> str:
    """``Firefox · Windows`` from what a browser calls itself; as it stands when it is none we know."""
    name = next((shown for mark, shown in _BROWSERS if mark in agent), "")
    system = next((shown for mark, shown in _SYSTEMS if mark in agent), "")
    return " · ".join(filter(None, (name, system))) or agent[:60]


_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"), ("Linux", "Linux"),
)  # fmt: skip
