"""The specialists of a business in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from prosa.business.models import Specialist
from prosa.business.pages import register


@register(Specialist)
class SpecialistAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Who shares the conversations, in which order, and how each works. In force from the very next reply."""

    list_display = ("shown_name", "business", "active", "position", "shown_words", "shown_model")
    list_display_links = ("shown_name",)
    list_filter = ("business", "active")
    list_select_related = ("business",)
    list_editable = ("active", "position")
    search_fields = ("name", "about")
    ordering = ("business__name", "position", "id")
    warn_unsaved_form = True
    fieldsets = (
        (
            None,
            {
                "fields": (("business", "name"), ("active", "position")),
                "description": _(
                    "With two or more active, one answers until it passes the conversation on. With one, or none, nothing is divided."
                ),
            },
        ),
        (_("In its own words"), {"fields": ("about", "instructions", "keywords", "model")}),
    )

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Keywords are a line or three, not a page."""
        made = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("instructions", "keywords"):
            made.widget.attrs["rows"] = {"instructions": 8, "keywords": 3}[db_field.name]
        return made

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """What is changed in the list says what it is, also to who hears the page."""
        made = super().get_changelist_formset(request, **kwargs)
        for name in self.list_editable:
            field = made.form.base_fields[name]
            field.widget.attrs["aria-label"] = field.label
        return made

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, specialist: Specialist) -> str:
        """The name, as guidelines and tools call it."""
        return specialist.name

    @admin.display(description=_("instructions"))
    def shown_words(self, specialist: Specialist) -> str:
        """Whether the business wrote its own."""
        return str(_("its own") if specialist.instructions.strip() else _("the usual ones"))

    @admin.display(description=_("model"))
    def shown_model(self, specialist: Specialist) -> str:
        """Its own, or a dash."""
        return specialist.model or "—"
