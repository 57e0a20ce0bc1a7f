"""Prices, and each business's budget with what was spent of it, in the admin."""

from __future__ import annotations

import csv
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from prosa.business.models import Business
from prosa.business.pages import register
from prosa.costs import counting, gate, spending
from prosa.costs.models import BY_PERSON, FROM_CATALOGUE, Budget, ModelPrice, ModelQuota

LEVELS = {"calm": "success", "warning": "warning", "danger": "danger"}


@register(ModelPrice)
class ModelPriceAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """What a million tokens costs. A price entered here goes before the catalogue's, from the next answer on."""

    list_display = ("pattern", "input", "output", "cached", "valid_from", "shown_source")
    list_filter = ("source",)
    search_fields = ("pattern",)
    ordering = ("pattern", "-valid_from")
    fields = ("pattern", ("input", "output"), "cached", "valid_from", "told_source", "updated_at", "updated_by")
    readonly_fields = ("told_source", "updated_at", "updated_by")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Valid from today."""
        return {"valid_from": timezone.localdate(), **super().get_changeform_initial_data(request)}

    @display(description=_("source"), label={FROM_CATALOGUE: "info", BY_PERSON: "success"})  # type: ignore[untyped-decorator]
    def shown_source(self, price: ModelPrice) -> tuple[str, str]:
        """Catalogue or person."""
        return price.source, str(price.get_source_display())

    @admin.display(description=_("source"))
    def told_source(self, price: ModelPrice) -> str:
        """The same in the form, where there is no place for a badge."""
        return str(price.get_source_display())

    def save_model(
        self,
        request: HttpRequest,
        obj: ModelPrice,
        form: ModelForm[ModelPrice],
        change: bool,  # noqa: FBT001 -- Django's signature
    ) -> None:
        """What a person saved is a person's: the catalogue leaves it alone from now on."""
        obj.source, obj.updated_by_id = BY_PERSON, request.user.pk
        super().save_model(request, obj, form, change)


@register(ModelQuota)
class ModelQuotaAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """How many requests a model may get, and has got."""

    list_display = ("model", "shown_day", "shown_minute")
    search_fields = ("model",)
    ordering = ("model",)
    fields = ("model", ("per_day", "per_minute"))

    @display(description=_("today"), label=LEVELS)  # type: ignore[untyped-decorator]
    def shown_day(self, quota: ModelQuota) -> tuple[str, str]:
        """Requests today, of how many."""
        return _told(quota, "day")

    @display(description=_("this minute"), label=LEVELS)  # type: ignore[untyped-decorator]
    def shown_minute(self, quota: ModelQuota) -> tuple[str, str]:
        """Requests in this minute, of how many."""
        return _told(quota, "minute")


def _told(quota: ModelQuota, span: str) -> tuple[str, str]:
    found = [each for each in counting.requests() if each.model == quota.model and each.span == span]
    return (found[0].level, f"{found[0].count} / {found[0].most}") if found else ("calm", "—")


@register(Budget)
class BudgetAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """What a business spent, what it may spend, and how its answers are made now."""

    list_display = ("business", "shown_step", "shown_today", "day_hard")
    list_select_related = ("business",)
    ordering = ("business__name",)
    change_form_outer_before_template = "prosa/admin/budget.html"
    fieldsets = (
        (
            _("Limits"),
            {
                "fields": (
                    ("day_soft", "day_hard"),
                    ("conversation_soft", "conversation_hard"),
                    ("turn_soft", "turn_hard"),
                    ("request_tokens", "answer_tokens"),
                    "cheap_model",
                    "at_limit",
                    "whatsapp_month",
                ),
                "description": _(
                    "In US dollars; an empty field is no limit. From “save from” on, answers come from the cheaper model, from half-way to “at most” also with a shorter context. At “at most” no model is asked."
                ),
            },
        ),
    )

    class Media:
        css = {"all": ("prosa/costs.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every business has one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Budget | None = None) -> bool:
        """Empty its limits instead."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        """One for each business; those that never had limits have none."""
        missing = Business.objects.filter(budget=None)
        Budget.objects.bulk_create([Budget(business=business) for business in missing], ignore_conflicts=True)
        rows: QuerySet[Budget] = super().get_queryset(request).select_related("business")
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The one there is, where there is only one."""
        if request.method == "GET" and not request.GET and self.has_view_permission(request):
            only = list(self.get_queryset(request).values_list("pk", flat=True)[:2])
            if len(only) == 1:
                return HttpResponseRedirect(reverse("admin:prosa_costs_budget_change", args=only))
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With what was spent above the limits."""
        budget = self.get_object(request, object_id)
        if budget is not None and self.has_view_permission(request, budget):
            may_price = request.user.has_perm("prosa_costs.add_modelprice")
            extra_context = {"spending": spending.page(budget), "may_price": may_price, **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Adds the ledger as a table for spreadsheets."""
        view = self.admin_site.admin_view(self.usage_view)
        return [path("<int:budget_id>/usage.csv", view, name="prosa_costs_budget_usage"), *super().get_urls()]

    def usage_view(self, request: HttpRequest, budget_id: int) -> HttpResponse:
        """What each model did on each day, as CSV."""
        budget = self.get_object(request, str(budget_id))
        if budget is None:
            raise Http404
        if not self.has_view_permission(request, budget):
            raise PermissionDenied
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="usage-{budget.business.slug}.csv"'
        response["Cache-Control"] = "no-store"
        # A model's name comes from settings; a spreadsheet must not take it for a formula all the same.
        cells = ([f"'{cell}" if str(cell).startswith(("=", "+", "-", "@")) else cell for cell in row] for row in spending.usage(budget.business_id))  # fmt: skip
        csv.writer(response).writerows(cells)
        return response

    @display(description=_("now"), label=LEVELS)  # type: ignore[untyped-decorator]
    def shown_step(self, budget: Budget) -> tuple[str, str]:
        """How its next answer would be made."""
        verdict = gate.judge(spending.standing(budget.business_id))
        return spending.level(verdict), spending.words(verdict.step, cheaper=spending.cheaper(budget))[0]

    @admin.display(description=_("today (US$)"))
    def shown_today(self, budget: Budget) -> str:
        """What the business spent today."""
        return spending.money(spending.standing(budget.business_id).day_spent)
