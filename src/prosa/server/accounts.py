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
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm


class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold is untyped
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Permissions given together."""


def locked_out(request: HttpRequest, _response: HttpResponse | None = None, _credentials: Any = None) -> HttpResponse:
    """What django-axes shows after too many wrong passwords: 429, in the look of the sign-in page."""
    pause = get_cool_off(request)
    seconds = int(pause.total_seconds()) if pause else 0
    context = {**admin.site.each_context(request), "title": _("Sign-in is paused"), "minutes": -(-seconds // 60)}
    response = render(request, "prosa/locked_out.html", context, status=429)
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response


for model, its_admin in ((User, StaffAdmin), (Group, RoleAdmin)):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, its_admin)
