"""Django's users and groups in the admin's clothes. Imported by ``urls``, after every admin module."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm


class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold is untyped
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Permissions given together."""


for model, its_admin in ((User, StaffAdmin), (Group, RoleAdmin)):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, its_admin)
