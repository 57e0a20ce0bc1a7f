"""Approved answers in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from prosa.business.pages import register
from prosa.knowledge.models import ApprovedAnswer


@register(ApprovedAnswer)
class ApprovedAnswerAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """What may be said word by word, also when no model can be reached."""

    list_display = ("question", "shown_answer", "business", "active", "updated_at")
    list_editable = ("active",)
    list_filter = ("business", "active")
    list_select_related = ("business",)
    search_fields = ("question", "answer")
    ordering = ("business", "question")
    fields = ("business", "question", "answer", "active", ("valid_from", "valid_to"), "updated_at")
    readonly_fields = ("updated_at",)
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 8})}}

    @admin.display(description=_("answer"))
    def shown_answer(self, answer: ApprovedAnswer) -> str:
        """Its beginning."""
        return answer.answer if len(answer.answer) <= 100 else f"{answer.answer[:100].rstrip()}…"
