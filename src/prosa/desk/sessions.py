"""Where people are signed in: a row per session, so that they can see and end their sessions.

Heard by Django's signals, so that signing in at the admin counts too. Every session gets a row, also that of somebody who
works for no business: they may work for one tomorrow, and that session must be found then. Of a host project's customers
nothing else is kept, and the row goes with the session.
"""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from prosa.business.people import Membership
from prosa.desk import audit
from prosa.desk.access import SECOND_STEP
from prosa.desk.models import SignedIn
from prosa.desk.second_factor import has_second_step

IN_DATABASE = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")
"""Session engines whose sessions can be looked for."""
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
    user: Any = getattr(request, "user", None)
    if user is not None and user.is_authenticated and SECOND_STEP not in request.session:
        audit.record_everywhere("signed_out", user, request=request)
    if request.session.session_key:
        SignedIn.objects.filter(session_key=request.session.session_key).delete()


def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Somebody gave a wrong password for an account that works here. While sign-in is paused, tries are only counted."""
    if getattr(request, "axes_locked_out", False):
        return
    users = get_user_model()
    name = credentials.get(users.USERNAME_FIELD) or credentials.get("username")
    if isinstance(name, str) and "\x00" not in name:
        user = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()  # noqa: SLF001  the documented way to a custom user model's manager
        if user is not None:
            audit.record_everywhere("password_failed", user, request=request)


def listen() -> None:
    """Hear of signing in and out."""
    user_login_failed.connect(failed, dispatch_uid="prosa.desk.sessions")
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


def end(user: Any, row_id: int) -> bool:
    """End one of a user's sessions. False: there is none of this number."""
    row = SignedIn.objects.filter(user=user, pk=row_id).first()
    if row is None:
        return False
    _store(row.session_key).delete(row.session_key)
    row.delete()
    return True


def forget() -> None:
    """Delete the rows of sessions that are over."""
    rows = SignedIn.objects.all()
    if settings.SESSION_ENGINE in IN_DATABASE:
        living = Session.objects.filter(expire_date__gt=timezone.now())
        rows.exclude(session_key__in=living.values("session_key")).delete()
    else:
        rows.filter(created_at__lt=timezone.now() - timedelta(seconds=2 * settings.SESSION_COOKIE_AGE)).delete()


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
