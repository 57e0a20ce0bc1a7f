"""Members and teams in the admin, for whoever runs the installation. The businesses' own people use the desk's settings."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from prosa.business.pages import register
from prosa.business.people import Membership, Team


@register(Membership)
class MembershipAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Who works where. Whoever leaves keeps the row: what they wrote stays theirs."""

    list_display = ("user", "business", "role", "available", "capacity", "seen_at", "left_at")
    list_filter = ("business", "role", "available")
    list_select_related = ("user", "business")
    search_fields = (f"user__{get_user_model().USERNAME_FIELD}",)
    raw_id_fields = ("user",)  # a host project's admin of users may not be searchable
    ordering = ("business__name", "id")
    fields = ("business", "user", "role", "available", "capacity", "left_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People leave; they are not deleted."""
        return False


@register(Team)
class TeamAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Who shares conversations."""

    list_display = ("name", "business", "about", "fallback")
    list_filter = ("business",)
    list_select_related = ("business",)
    search_fields = ("name", "about")
    ordering = ("business__name", "name")
    filter_horizontal = ("members",)
