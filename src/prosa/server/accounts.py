"""Django's users and groups in the admin's clothes. Imported by ``urls``, after every admin module."""

from __future__ import annotations

from typing import Any

from axes.helpers import get_cool_off
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

MOST_NAME = 255


class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold is untyped
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Permissions given together."""


def said_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Whom somebody says they are, as django-axes counts wrong passwords: cut to what its table keeps, and without NUL."""
    given = (credentials or {}).get("username") or request.POST.get("username")
    return str(given).replace("\x00", "")[:MOST_NAME] if given else None


def locked_out(request: HttpRequest, _response: HttpResponse | None = None, _credentials: Any = None) -> HttpResponse:
    """What django-axes shows after too many wrong passwords: 429, in the look of the sign-in page, the desk's or the admin's."""
    pause = get_cool_off(request)
    seconds = int(pause.total_seconds()) if pause else 0
    minutes = -(-seconds // 60)
    if request.path_info.startswith("/agent/"):
        response = render(request, "desk/locked.html", {"minutes": minutes}, status=429)
    else:
        context = {**admin.site.each_context(request), "title": _("Sign-in is paused"), "minutes": minutes}
        response = render(request, "prosa/locked_out.html", context, status=429)
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response


class SecondStepAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Whose phone is asked for a code. Deleting a row helps somebody who lost phone and recovery codes; secrets are not shown."""

    list_display = ("user", "confirmed", "created_at", "last_used_at")
    fields = readonly_fields = ("user", "confirmed", "created_at", "last_used_at")
    search_fields = (f"user__{User.USERNAME_FIELD}",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People set it up themselves."""
        return False


if admin.site.is_registered(StaticDevice):
    admin.site.unregister(StaticDevice)
for model, its_admin in ((User, StaffAdmin), (Group, RoleAdmin), (TOTPDevice, SecondStepAdmin)):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, its_admin)
