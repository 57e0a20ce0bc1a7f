"""Prosa's pages in the admin are drawn by django-unfold; a host project may do without both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.apps import apps
from django.contrib import admin
from django.db.models import Model

Page = TypeVar("Page", bound="type[admin.ModelAdmin[Any]]")


def register(model: type[Model]) -> Callable[[Page], Page]:
    """``admin.register``, but only where ``unfold`` is installed: without its templates the pages cannot be shown."""

    def leave_out(page: Page) -> Page:
        return page

    return admin.register(model) if apps.is_installed("unfold") else leave_out  # type: ignore[return-value]  # stubs narrow it to the model
