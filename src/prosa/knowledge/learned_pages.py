"""Unanswered questions and suggested answers in the admin: a person's word, one click away."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from prosa.business.pages import register
from prosa.errors import ProsaError
from prosa.knowledge import gaps, suggestions
from prosa.knowledge.learned import Gap, Suggestion


class WaitingFilter(admin.SimpleListFilter):
    """What waits for a person, unless everything is asked for."""

    title = _("status")
    parameter_name = "status"
    waiting = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Every status, and all together."""
        return [*model_admin.model.Status.choices, ("all", _("all"))]

    def choices(self, changelist: Any) -> Any:
        """Without "all" twice."""
        yield from list(super().choices(changelist))[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The waiting ones by default."""
        value = self.value() or self.waiting
        return queryset if value == "all" else queryset.filter(status=value)


class OpenFilter(WaitingFilter):
    """Gaps that are open."""

    waiting = Gap.Status.OPEN.value


class UndecidedFilter(WaitingFilter):
    """Suggestions that wait."""

    waiting = Suggestion.Status.WAITING.value


def conversation_link(conversation_id: int | None) -> str:
    """A link to a conversation's page."""
    if conversation_id is None:
        return "—"
    address = reverse("admin:prosa_conversations_conversation_change", args=[conversation_id])
    return format_html('<a class="prosa-link" href="{}">#{}</a>', address, conversation_id)


def _button(address: str, label: str) -> str:
    return format_html('<a class="prosa-link" href="{}">{}</a>', address, label)


@register(Gap)
class GapAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Questions nobody had written an answer to, the newest first."""

    list_display = ("question", "count", "shown_near", "last_at", "business", "shown_conversation", "shown_next")
    list_display_links = None
    list_filter = (OpenFilter, "business")
    list_select_related = ("business", "answer")
    search_fields = ("question",)
    ordering = ("-last_at",)
    actions = ("dismiss",)
    list_before_template = "prosa/admin/gaps.html"
    show_full_result_count = False

    class Media:
        css = {"all": ("prosa/knowledge.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Customers ask them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Gap | None = None) -> bool:
        """Dismissed is enough: deleted, it would be listed anew."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what the page is for when it is empty."""
        extra_context = {"nothing": not Gap.objects.exists(), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A gap is read in the list, where what can be done about it stands."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:prosa_knowledge_gap_changelist") + "?status=all")

    @admin.display(description=_("nearest"))
    def shown_near(self, gap: Gap) -> str:
        """What came nearest, and how near."""
        if not gap.near:
            return gettext("nothing")
        where = ", ".join(filter(None, (gap.near.get("title", ""), gap.near.get("section", ""))))
        return format_html(
            '<span title="{}">{}</span> <span class="prosa-muted">{}</span>',
            gap.near.get("text", ""), where[:80], f"{float(gap.near.get('score', 0)):.2f}",
        )  # fmt: skip

    @admin.display(description=_("conversation"))
    def shown_conversation(self, gap: Gap) -> str:
        """Where it was asked last."""
        return conversation_link(gap.conversation_id)

    @admin.display(description=_("next"))
    def shown_next(self, gap: Gap) -> str:
        """Write its answer; or the answer it has."""
        if gap.answer is not None:
            return _button(
                reverse("admin:prosa_knowledge_approvedanswer_change", args=[gap.answer.pk]), gettext("the answer")
            )
        address = reverse("admin:prosa_knowledge_approvedanswer_add")
        return _button(f"{address}?{urlencode({'gap': gap.pk})}", gettext("Write an answer"))

    @admin.action(description=_("Dismiss"), permissions=["change"])
    def dismiss(self, request: HttpRequest, rows: QuerySet[Gap]) -> None:
        """Nobody needs to answer them."""
        chosen = list(rows)
        for gap in chosen:
            gaps.settle(gap, request.user if request.user.is_authenticated else None)
        text = ngettext("%d question was dismissed.", "%d questions were dismissed.", len(chosen)) % len(chosen)
        self.message_user(request, text)


@register(Suggestion)
class SuggestionAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Answers people gave, to be approved, edited or refused."""

    list_display = ("question", "shown_answer", "shown_kind", "answered_at", "business", "shown_conversation")
    list_filter = (UndecidedFilter, "kind", "business")
    list_select_related = ("business",)
    search_fields = ("question", "answer")
    ordering = ("-answered_at",)
    actions = ("approve_all", "refuse_all")
    list_before_template = "prosa/admin/suggestions.html"
    change_form_outer_before_template = "prosa/admin/suggestion.html"
    fields = ("question", "answer", "shown_status", "shown_conversation")
    readonly_fields = ("shown_status", "shown_conversation")
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 8})}}
    show_full_result_count = False

    class Media:
        css = {"all": ("prosa/knowledge.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People's answers make them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suggestion | None = None) -> bool:
        """Refused is enough."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Suggestion | None = None) -> bool:
        """Until somebody decided."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.status == Suggestion.Status.WAITING)

    def get_urls(self) -> list[URLPattern]:
        """Adds the two decisions."""
        own = path(
            "<int:pk>/decide/<str:decision>/",
            self.admin_site.admin_view(self.decide_view),
            name="prosa_knowledge_suggestion_decide",
        )
        return [own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what the page is for when it is empty."""
        extra_context = {"nothing": not Suggestion.objects.exists(), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the decisions, and what it would replace."""
        found = self.get_object(request, object_id)
        if found is not None and self.has_view_permission(request, found):
            extra_context = {
                "suggestion": found,
                "may_decide": self.has_change_permission(request, found),
                **(extra_context or {}),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    def decide_view(self, request: HttpRequest, pk: int, decision: str) -> HttpResponse:
        """Approve or refuse."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not super().has_change_permission(request):
            raise PermissionDenied
        suggestion = get_object_or_404(Suggestion, pk=pk)
        done = self._decide(request, [suggestion], approve=decision == "approve")
        back = "changelist" if done else "change"
        return HttpResponseRedirect(
            reverse(f"admin:prosa_knowledge_suggestion_{back}", args=[] if done else [suggestion.pk])
        )

    @admin.action(description=_("Approve"), permissions=["change"])
    def approve_all(self, request: HttpRequest, rows: QuerySet[Suggestion]) -> None:
        """All that are chosen."""
        self._decide(request, list(rows), approve=True)

    @admin.action(description=_("Refuse"), permissions=["change"])
    def refuse_all(self, request: HttpRequest, rows: QuerySet[Suggestion]) -> None:
        """All that are chosen."""
        self._decide(request, list(rows), approve=False)

    def _decide(self, request: HttpRequest, rows: list[Suggestion], *, approve: bool) -> int:
        user = request.user if request.user.is_authenticated else None
        done = 0
        for each in rows:
            try:
                if approve:
                    suggestions.approve(each, user)
                else:
                    suggestions.refuse(each, user)
            except ProsaError as error:
                messages.error(request, f"{each.question[:60]}: {error}")
            else:
                done += 1
        if done:
            text = (
                ngettext("%d answer was approved.", "%d answers were approved.", done)
                if approve
                else ngettext("%d suggestion was refused.", "%d suggestions were refused.", done)
            )
            messages.success(request, text % done)
        return done

    @admin.display(description=_("answer"))
    def shown_answer(self, suggestion: Suggestion) -> str:
        """Its beginning."""
        text = " ".join(suggestion.answer.split())
        return text if len(text) <= 120 else f"{text[:120].rstrip()}…"

    @display(description=_("kind"), label={"new": "success", "duplicate": "info", "replaces": "warning"})  # type: ignore[untyped-decorator]
    def shown_kind(self, suggestion: Suggestion) -> tuple[str, str]:
        """Beside what is approved."""
        return suggestion.kind, str(suggestion.get_kind_display())

    @admin.display(description=_("status"))
    def shown_status(self, suggestion: Suggestion) -> str:
        """Who decided, and when."""
        told = str(suggestion.get_status_display())
        if suggestion.decided_by is None:
            return told
        return f"{told} · {suggestion.decided_by.get_username()} · {suggestion.decided_at:%Y-%m-%d %H:%M}"

    @admin.display(description=_("conversation"))
    def shown_conversation(self, suggestion: Suggestion) -> str:
        """Where the person answered."""
        return conversation_link(suggestion.conversation_id)
