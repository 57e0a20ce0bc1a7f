"""The second step of signing in: a code of an app on the phone (TOTP, RFC 6238), or one of ten recovery codes.

django-otp checks the codes, refuses a used one, and makes every wrong one cost twice the wait of the one before. Recovery
codes are kept as hashes. Until the code is given, the session shows nothing (``access.SECOND_STEP``).
"""

from __future__ import annotations

import re
import secrets
from base64 import b32encode
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import segno
from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from prosa.desk import audit
from prosa.desk.access import SECOND_STEP, Seat, desk
from prosa.desk.frame import done, show

CODES = 10
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without what looks alike. Ten of them are 49 bits; the wait after wrong ones does the rest."""
DEVICE = "Prosa"


def has_second_step(user_ids: Iterable[int]) -> set[int]:
    """Which of these users have a second step."""
    return set(TOTPDevice.objects.filter(user_id__in=list(user_ids), confirmed=True).values_list("user_id", flat=True))


# ── codes ──


def _hashes(user: Any, code: str) -> list[str]:
    """What is stored of a recovery code, by the current and earlier secret keys. 16 hex digits: the column holds no more."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac(f"prosa.recovery.{user.pk}", code, secret=key).hexdigest()[:16] for key in keys]


def new_codes(user: Any) -> list[str]:
    """Ten new recovery codes; the old ones are good no more. Shown once: only their hashes are kept."""
    codes = ["".join(secrets.choice(ALPHABET) for _each in range(10)) for _each in range(CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user, name=DEVICE).delete()
        device = StaticDevice.objects.create(user=user, name=DEVICE)
        for code in codes:
            device.token_set.create(token=_hashes(user, code)[0])
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def codes_left(user: Any) -> int:
    """How many recovery codes a user has not used."""
    device = StaticDevice.objects.filter(user=user, name=DEVICE).first()
    return device.token_set.count() if device else 0


def check(user: Any, given: str, request: HttpRequest | None = None) -> str:
    """Check a code of the app, or a recovery code. Returns why it is refused; empty: it is good, and used up."""
    code = re.sub(r"[\s-]", "", given).lower()
    recovery = not code.isdecimal()
    with transaction.atomic():
        device: Any = (
            (StaticDevice.objects.filter(user=user, name=DEVICE) if recovery else TOTPDevice.objects.filter(user=user, confirmed=True))
            .select_for_update()
            .first()
        )  # fmt: skip
        if device is None or not code:
            return _("This code is not right.")
        if wait := _wait(device):
            return wait
        if recovery:
            hashes = _hashes(user, code)
            code = device.token_set.filter(token__in=hashes).values_list("token", flat=True).first() or hashes[0]
        if device.verify_token(code):
            if recovery:
                audit.record_everywhere("recovery_used", user, request=request)
            return ""
        audit.record_everywhere("second_step_failed", user, request=request)
        return _("This code is not right.")


def _wait(device: Any) -> str:
    allowed, why = device.verify_is_allowed()
    if allowed:
        return ""
    left = (
        max(1, round((why["locked_until"] - timezone.now()).total_seconds())) if why and "locked_until" in why else 60
    )
    said: str = ngettext(
        "Too many wrong codes. Wait %(n)d second, then try again.",
        "Too many wrong codes. Wait %(n)d seconds, then try again.",
        left,
    ) % {"n": left}
    return said


# ── signing in ──


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@never_cache
def second(request: HttpRequest) -> HttpResponse:
    """The page between the password and the desk. ``next``: where to go after it."""
    user: Any = request.user
    if not user.is_authenticated:
        return HttpResponseRedirect(reverse("desk:login"))
    onward = request.POST.get("next", request.GET.get("next", ""))
    if not url_has_allowed_host_and_scheme(onward, {request.get_host()}, require_https=request.is_secure()):
        onward = reverse("desk:dashboard")
    if SECOND_STEP not in request.session:
        return HttpResponseRedirect(onward)
    problem = ""
    if request.method == "POST":
        with transaction.atomic():
            problem = check(user, request.POST.get("code", "")[:40], request)
            if not problem:
                audit.record_everywhere("signed_in", user, request=request)
        if not problem:
            del request.session[SECOND_STEP]
            return HttpResponseRedirect(onward)
    context = {"problem": problem, "next": onward}
    return render(request, "desk/second.html", context, status=422 if problem else 200)


# ── one's own second step ──


class PasswordForm(forms.Form):
    """One's password, once more: an open browser is not enough to change how one signs in."""

    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_password(self) -> str:
        """The right one. Wrong ones are counted by django-axes, as at the sign-in page."""
        given: str = self.cleaned_data["password"]
        user: Any = self.request.user
        if authenticate(self.request, username=user.get_username(), password=given) is None:
            raise forms.ValidationError(_("This is not your password."))
        return given


def _pending(user: Any) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user=user, confirmed=False, name=DEVICE).first()


@require_GET
@desk()
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Whether it is on; while it is being set up, what the app must be told."""
    return _page(request, seat)


def _page(request: HttpRequest, seat: Seat, status: int = 200, **context: Any) -> HttpResponse:
    user = seat.member.user
    on = bool(has_second_step([user.pk]))
    pending = None if on else _pending(user)
    if pending is not None:
        label = f"otpauth://totp/Prosa:{quote(user.get_username(), safe='')}?secret={_secret(pending)}&issuer=Prosa"
        context |= {
            "qr": segno.make(label, micro=False, error="m").svg_data_uri(border=3, light="#fff", dark="#14211e"),
            "secret": " ".join(re.findall(".{1,4}", _secret(pending))),
        }
    context = {"on": on, "pending": pending, "left": codes_left(user), "form": PasswordForm(request)} | context
    return show(request, seat, "desk/two_step.html", "two-step", context, status=status)


def _secret(device: TOTPDevice) -> str:
    return b32encode(device.bin_key).decode().rstrip("=")


@sensitive_post_parameters("password")
@require_POST
@desk()
def begin(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Make a secret for the app. It counts only once a code of it was given."""
    form = PasswordForm(request, request.POST)
    if not form.is_valid():
        return _page(request, seat, 422, form=form)
    user = seat.member.user
    if not has_second_step([user.pk]):
        TOTPDevice.objects.filter(user=user, confirmed=False, name=DEVICE).delete()
        TOTPDevice.objects.create(user=user, confirmed=False, name=DEVICE)
    return HttpResponseRedirect(reverse("desk:two-step"))


@require_POST
@desk()
def confirm(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The first code of the app: from now on it is asked for. Other browsers are signed out: they never gave one."""
    from prosa.desk import sessions

    user = seat.member.user
    code = re.sub(r"\s", "", request.POST.get("code", ""))[:12]
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False, name=DEVICE).first()
        if device is None:
            return HttpResponseRedirect(reverse("desk:two-step"))
        problem = _wait(device)
        if not problem and not device.verify_token(code):
            problem = _("This code is not right. Is the clock of your phone?")
        if not problem:
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            codes = new_codes(user)
            sessions.end_others(user, request.session.session_key)
            audit.record_everywhere("second_step_on", user, request=request)
    if problem:
        return _page(request, seat, 422, problem=problem)
    return _page(request, seat, codes=codes)


@sensitive_post_parameters("password")
@require_POST
@desk()
def renew(request: HttpRequest, seat: Seat) -> HttpResponse:
    """New recovery codes."""
    form = PasswordForm(request, request.POST)
    user = seat.member.user
    if not has_second_step([user.pk]):
        return HttpResponseRedirect(reverse("desk:two-step"))
    if not form.is_valid():
        return _page(request, seat, 422, form=form)
    with transaction.atomic():
        codes = new_codes(user)
        audit.record_everywhere("recovery_renewed", user, request=request)
    return _page(request, seat, codes=codes)


@sensitive_post_parameters("password")
@require_POST
@desk()
def off(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The password alone is enough again; also gives up a setup that was begun."""
    user = seat.member.user
    if not has_second_step([user.pk]):
        TOTPDevice.objects.filter(user=user, confirmed=False, name=DEVICE).delete()
        return HttpResponseRedirect(reverse("desk:two-step"))
    form = PasswordForm(request, request.POST)
    if not form.is_valid():
        return _page(request, seat, 422, form=form)
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).delete()
        StaticDevice.objects.filter(user=user, name=DEVICE).delete()
        audit.record_everywhere("second_step_off", user, request=request)
    return done(request, _("Two-step sign-in is off."), "two-step")
