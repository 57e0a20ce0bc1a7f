"""Businesses and their guidelines in the admin."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from prosa import conf
from prosa.business.models import Business, Guideline
from prosa.business.pages import register


class GuidelineForm(ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """The owner's words, in a field as large as they need."""

    class Meta:
        model = Guideline
        fields = ("text",)
        widgets = {
            "text": UnfoldAdminTextareaWidget(
                attrs={
                    "class": "prosa-editor",
                    "rows": 22,
                    "data-count": _("{characters} characters · about {tokens} tokens"),
                    "spellcheck": "true",
                }
            )
        }

    class Media:
        js = (forms.Script("prosa/editor.js", defer=True),)


class BusinessForm(ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """A business, with a time zone that exists."""

    class Meta:
        model = Business
        fields = "__all__"  # noqa: DJ007 -- the admin's fieldsets choose

    def clean_timezone(self) -> str:
        """An IANA name."""
        name: str = self.cleaned_data["timezone"].strip()
        if name not in available_timezones():
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


class GuidelineInline(StackedInline):  # type: ignore[misc]  # unfold is untyped
    """One text per business; who changed it last, and when."""

    model = Guideline
    form = GuidelineForm
    max_num = 1
    min_num = 1
    extra = 0
    can_delete = False
    hide_title = True
    fields = ("text", "state")
    readonly_fields = ("state",)

    @admin.display(description=_("version"))
    def state(self, guideline: Guideline) -> str:
        """Which version is in force since when, and by whom."""
        if not guideline.pk:
            return str(_("Not written yet."))
        who = guideline.updated_by.get_username() if guideline.updated_by else "—"
        return str(_("Version %(version)s, %(when)s, by %(who)s. Applied to the very next reply.")) % {
            "version": guideline.version,
            "when": date_format(timezone.localtime(guideline.updated_at), "SHORT_DATETIME_FORMAT"),
            "who": who,
        }


@register(Business)
class BusinessAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """A company, how it answers and what its assistant must obey."""

    form = BusinessForm
    list_display = ("name", "shown_active", "locale", "shown_model", "created_at")
    list_filter = ("active", "locale")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (GuidelineInline,)
    warn_unsaved_form = True
    fieldsets = (
        (None, {"fields": (("name", "slug"), ("locale", "timezone"), "active")}),
        (
            _("Model"),
            {
                "fields": ("model", "fallback_models", ("request_deadline_s", "turn_deadline_s"), "history_tokens"),
                "classes": ("collapse",),
            },
        ),
        (
            _("Timing"),
            {
                "fields": (("quiet_ms", "max_quiet_ms"), ("reopen_hours", "max_age_hours"), "wait_notice_minutes"),
                "classes": ("collapse",),
            },
        ),
    )

    @display(description=_("state"), label={True: "success", False: "warning"})  # type: ignore[untyped-decorator]
    def shown_active(self, business: Business) -> tuple[bool, str]:
        """Answering or only storing."""
        return business.active, str(_("answering") if business.active else _("paused"))

    @admin.display(description=_("model"), ordering="model")
    def shown_model(self, business: Business) -> str:
        """The model it names, else where the name comes from."""
        return business.model or "PROSA_MODEL"

    def has_delete_permission(self, request: HttpRequest, obj: Business | None = None) -> bool:
        """Only what nobody has written to; otherwise pause it: conversations are records."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and obj is not None and not obj.conversations.exists()

    def save_formset(
        self,
        request: HttpRequest,
        form: ModelForm[Business],
        formset: BaseModelFormSet[Any, Any],
        change: bool,  # noqa: FBT001 -- Django's signature
    ) -> None:
        """Note who wrote the guidelines."""
        for guideline in formset.save(commit=False):
            if isinstance(guideline, Guideline):
                guideline.updated_by_id = request.user.pk
            guideline.save()
        formset.save_m2m()
