"""Businesses and their guidelines in the admin."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.db import connection
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from prosa import conf
from prosa.business import hours, opening
from prosa.business.editing import GuidelineAdmin, state
from prosa.business.models import Business, Guideline
from prosa.business.pages import register
from prosa.business.people_pages import MembershipAdmin, TeamAdmin
from prosa.business.specialists import SpecialistAdmin
from prosa.business.usual_words import UsualWords

__all__ = ["BusinessAdmin", "GuidelineAdmin", "MembershipAdmin", "SpecialistAdmin", "TeamAdmin"]


def _in_database(zone: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %s)", [zone])
        return bool(cursor.fetchone()[0])


class BusinessForm(ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """A business, with a time zone that exists and hours that can be read."""

    handoff_without = UsualWords()
    hours_mon = opening.HoursField(0)
    hours_tue = opening.HoursField(1)
    hours_wed = opening.HoursField(2)
    hours_thu = opening.HoursField(3)
    hours_fri = opening.HoursField(4)
    hours_sat = opening.HoursField(5)
    hours_sun = opening.HoursField(6)

    class Meta:
        model = Business
        fields = "__all__"  # noqa: DJ007 -- the admin's fieldsets choose

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for day, name in zip(hours.DAYS, opening.FIELDS, strict=True):
            if name in self.fields:
                self.fields[name].initial = (self.instance.hours or {}).get(day, "")

    def clean_timezone(self) -> str:
        """An IANA name that Python and the database know: days are counted in both."""
        name: str = self.cleaned_data["timezone"].strip()
        if name not in available_timezones() or not _in_database(name):
            raise forms.ValidationError(
                _("There is no time zone of this name. Write it as in America/Sao_Paulo or America/Bogota.")
            )
        return name

    def clean_model(self) -> str:
        """Empty, or a name the agents can make a model of: anything else would be found out only by customers."""
        return self._named(self.cleaned_data["model"])

    def clean_fallback_models(self) -> str:
        """The same for each, in order."""
        return ", ".join(filter(None, map(self._named, self.cleaned_data["fallback_models"].split(","))))

    def _named(self, name: str) -> str:
        name = name.strip()
        if name and not conf.names_model(name):
            raise forms.ValidationError(
                _("“%(name)s” is not the name of a model. Write provider:model with one of %(providers)s, or offline."),
                params={"name": name, "providers": ", ".join(conf.MODEL_PROVIDERS)},
            )
        return name


@register(Business)
class BusinessAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """A company, how it answers and what its assistant must obey."""

    form = BusinessForm
    list_display = ("name", "shown_active", "locale", "shown_model", "created_at")
    list_filter = ("active", "locale")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("shown_guidelines",)
    inlines = (opening.HolidayInline,)
    warn_unsaved_form = True
    fieldsets = (
        (None, {"fields": (("name", "slug"), ("locale", "timezone"), "active", "shown_guidelines")}),
        (
            _("Model"),
            {
                "fields": ("model", "fallback_models", ("request_deadline_s", "turn_deadline_s"), "history_tokens"),
                "classes": ("collapse",),
            },
        ),
        (
            _("Care"),
            {"fields": ("strict_topics",), "classes": ("collapse",)},
        ),
        (
            _("Voice"),
            {"fields": (("voice_replies", "voice"), "voice_words"), "classes": ("collapse",)},
        ),
        (
            _("Timing"),
            {
                "fields": (("quiet_ms", "max_quiet_ms"), ("reopen_hours", "max_age_hours"), "wait_notice_minutes"),
                "classes": ("collapse",),
            },
        ),
        (
            _("Opening hours"),
            {
                "fields": opening.FIELDS,
                "classes": ("collapse",),
                "description": _(
                    "When people are there to answer. Outside of them customers are told when somebody is there again; the assistant always answers. Without any hours: always open. Days that differ are at the bottom of the page."
                ),
            },
        ),
        (
            _("Handing over to people"),
            {
                "fields": (
                    ("handoff_words", "handoff_text"),
                    "handoff_without",
                    ("failures_before_handoff", "take_minutes"),
                    ("handback_minutes", "tell_handback"),
                    "case_minutes",
                ),
                "classes": ("collapse",),
            },
        ),
        (
            _("Memory"),
            {"fields": (("session_length", "session_unit"), "reset_words"), "classes": ("collapse",)},
        ),
        (
            _("Customers"),
            {"fields": ("link_customers",), "classes": ("collapse",)},
        ),
    )

    @display(description=_("state"), label={True: "success", False: "warning"})  # type: ignore[untyped-decorator]
    def shown_active(self, business: Business) -> tuple[bool, str]:
        """Answering or only storing."""
        return business.active, str(_("answering") if business.active else _("paused"))

    @admin.display(description=_("model"), ordering="model")
    def shown_model(self, business: Business) -> str:
        """The model it names, else where the name comes from."""
        return business.model or gettext("of the installation")

    def has_delete_permission(self, request: HttpRequest, obj: Business | None = None) -> bool:
        """Only what nobody has written to; otherwise pause it: conversations are records."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and obj is not None and not obj.conversations.exists()

    @admin.display(description=_("guidelines"))
    def shown_guidelines(self, business: Business) -> str:
        """Which version is in force, and the way to its page."""
        guideline = (
            Guideline.objects.filter(business=business).select_related("updated_by").first() if business.pk else None
        )
        if guideline is None:
            return str(_("Save the business to write them."))
        address = reverse("admin:prosa_business_guideline_change", args=[guideline.pk])
        return format_html(
            '<a class="prosa-link" href="{}">{}</a><br>{}', address, gettext("Open the guidelines"), state(guideline)
        )

    def save_model(self, request: HttpRequest, obj: Business, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """A business has guidelines from the first moment, if only an empty page; and the hours its form holds."""
        obj.hours = opening.week(form.cleaned_data)
        super().save_model(request, obj, form, change)
        Guideline.objects.get_or_create(business=obj, defaults={"updated_by_id": request.user.pk})
