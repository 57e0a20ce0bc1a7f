"""The page of one reply in the admin: why it is what it is, in words and in full, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import F, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.translation import gettext as _

from prosa.business.models import Guideline
from prosa.business.zones import zone_named
from prosa.contacts.models import Fact
from prosa.conversations.models import Conversation, Message, Turn
from prosa.conversations.pages.frame import ReadOnlyAdmin
from prosa.conversations.traces import account, trace, tracing
from prosa.costs.models import Budget

LEVELS = {"answered": "info", "withheld": "warning", "superseded": "warning", "failed": "danger"}


class ReplyPages(ReadOnlyAdmin):
    """What the pages of a conversation say about each of its replies."""

    def get_urls(self) -> list[URLPattern]:
        """Adds the page of a reply and its export."""
        wrap, name = self.admin_site.admin_view, "prosa_conversations_conversation_turn"
        return [
            path("<int:conversation_id>/turn/<int:turn_id>/", wrap(self.turn_view), name=name),
            path("<int:conversation_id>/turn/<int:turn_id>/trace.json", wrap(self.export_view), name=f"{name}_export"),
            *super().get_urls(),
        ]

    def turn_view(self, request: HttpRequest, conversation_id: int, turn_id: int) -> HttpResponse:
        """Why a reply, or a draft nobody got, is what it is."""
        conversation, found = self._trace(request, conversation_id, turn_id)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Why this reply") if found.replies else _("Why there was no reply"),
            "subtitle": None,
            "opts": self.opts,
            "original": conversation,
            "conversation": conversation,
            "account": account.of(found),
            "outcome": account.outcome(found.outcome),
            "level": LEVELS.get(found.outcome, "info"),
            "zone": zone_named(conversation.business.timezone),
            "guideline_url": _guideline(conversation.business_id, found.guideline_version),
            "budget_url": _budget(conversation.business_id),
        }
        return TemplateResponse(request, "prosa/admin/reply.html", context)

    def export_view(self, request: HttpRequest, conversation_id: int, turn_id: int) -> HttpResponse:
        """The trace as a file, in the shape of docs/reference/trace.md."""
        _conversation, found = self._trace(request, conversation_id, turn_id)
        response = HttpResponse(found.model_dump_json(indent=2), content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="trace-{turn_id}.json"'
        response["Cache-Control"] = "no-store"
        return response

    def _trace(self, request: HttpRequest, conversation_id: int, turn_id: int) -> tuple[Conversation, trace.Trace]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("business")
        conversation: Conversation | None = rows.filter(pk=conversation_id).first()
        turn = Turn.objects.filter(conversation=conversation, pk=turn_id).first() if conversation else None
        if conversation is None or turn is None:
            raise Http404
        return conversation, stored(turn)


def stored(turn: Turn) -> trace.Trace:
    """The trace of a turn, with the messages it read and wrote."""
    asked = turn.trace.get("asked") if isinstance(turn.trace, Mapping) else None
    ids = [each for each in asked if isinstance(each, int) and 0 < each < 2**63] if isinstance(asked, list) else []
    messages: Any = (
        Message.objects.filter(Q(turn=turn) | Q(pk__in=ids[: tracing.MOST_ROWS]), conversation_id=turn.conversation_id)
        .order_by("pk")
        .values("id", "direction", "author", "kind", "text", "status", "error_code", at=F("sent_at"))
    )
    remembered = Fact.objects.filter(business_id=turn.business_id, pk__in=tracing.facts(turn.trace))
    return tracing.read(
        vars(turn),
        list(messages[: 2 * tracing.MOST_ROWS]),
        dict(remembered.values_list("pk", "text")),
    )


def _guideline(business_id: int, version: int) -> str:
    pk = (
        Guideline.objects.filter(business_id=business_id, versions__number=version).values_list("pk", flat=True).first()
    )
    return _address("prosa_business_guideline_version", pk, version) if pk else ""


def _budget(business_id: int) -> str:
    pk = Budget.objects.filter(business_id=business_id).values_list("pk", flat=True).first()
    return _address("prosa_costs_budget_change", pk) if pk else ""


def _address(name: str, *arguments: int) -> str:
    """Of a page of the admin; empty where the page is not installed."""
    try:
        return reverse(f"admin:{name}", args=arguments)
    except NoReverseMatch:
        return ""
