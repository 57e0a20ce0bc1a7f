"""Webhooks in the admin: as they came, what went wrong, and their replay."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from prosa.business.pages import register
from prosa.conversations import replay
from prosa.conversations.models import WebhookEvent
from prosa.conversations.pages import bodies
from prosa.conversations.pages.frame import ReadOnlyAdmin
from prosa.redaction import redact


class OutcomeFilter(admin.SimpleListFilter):
    """Trouble first."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Every outcome there can be."""
        return [("trouble", _("all with trouble")), *OUTCOMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> QuerySet[WebhookEvent]:
        """By outcome; ``trouble`` is everything but ``ok``."""
        if self.value() == "trouble":
            return queryset.exclude(outcome="ok")
        return queryset.filter(outcome=self.value()) if self.value() in OUTCOMES else queryset


OUTCOMES = {
    "ok": _("understood"),
    "unparsed": _("unknown shape"),
    "unrouted": _("no inbox"),
    "strange": _("partly understood"),
    "failed": _("not stored"),
}
OUTCOME_BADGES = {"ok": "success", "unparsed": "danger", "unrouted": "warning", "strange": "info", "failed": "danger"}


@register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """Every signed webhook as it came. What was not understood can be replayed after the fix."""

    list_display = ("shown_name", "received_at", "shown_outcome", "inbox", "shown_error", "replayed_at")
    list_filter = (OutcomeFilter, "kind", "inbox")
    list_select_related = ("inbox",)
    ordering = ("-id",)
    actions = ("replay",)
    fields = (
        "kind",
        "inbox",
        "received_at",
        "content_type",
        "outcome_in_words",
        "error_in_full",
        "replayed_at",
        "shown_body",
    )
    change_form_outer_before_template = "prosa/admin/replay.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """Bodies only where one is read."""
        rows: QuerySet[WebhookEvent] = super().get_queryset(request)
        return (
            rows.defer("body")
            if request.resolver_match
            and request.resolver_match.url_name
            and request.resolver_match.url_name.endswith("changelist")
            else rows
        )

    def get_urls(self) -> list[URLPattern]:
        """Adds the replay of one."""
        own = path(
            "<int:event_id>/replay/",
            self.admin_site.admin_view(self.replay_view),
            name="prosa_conversations_webhookevent_replay",
        )
        return [own, *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: WebhookEvent | None = None) -> bool:
        """A webhook may be replayed, not edited."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and obj is None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button that replays it."""
        extra_context = {
            "may_replay": self.has_change_permission(request),
            "event_id": object_id,
            **(extra_context or {}),
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    @admin.action(description=_("Replay"), permissions=["change"])
    def replay(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        """Read them again with today's parsers and inboxes, oldest first."""
        self._report(request, replay.replay(list(events.order_by("pk").values_list("pk", flat=True))))

    def replay_view(self, request: HttpRequest, event_id: int) -> HttpResponse:
        """Replay one."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        outcomes = replay.replay([event_id])
        if not outcomes:
            raise Http404
        self._report(request, outcomes)
        return HttpResponseRedirect(reverse("admin:prosa_conversations_webhookevent_change", args=[event_id]))

    def _report(self, request: HttpRequest, outcomes: dict[int, str]) -> None:
        for outcome in sorted(set(outcomes.values())):
            count = sum(1 for one in outcomes.values() if one == outcome)
            level = messages.SUCCESS if outcome == "ok" else messages.WARNING
            text = ngettext(
                "%(count)d webhook replayed: %(outcome)s.", "%(count)d webhooks replayed: %(outcome)s.", count
            )
            self.message_user(request, text % {"count": count, "outcome": OUTCOMES.get(outcome, outcome)}, level)

    @admin.display(description=_("webhook"))
    def shown_name(self, event: WebhookEvent) -> str:
        """Kind and number."""
        return str(event)

    @display(description=_("outcome"), label=OUTCOME_BADGES)  # type: ignore[untyped-decorator]
    def shown_outcome(self, event: WebhookEvent) -> tuple[str, str]:
        """In words."""
        return event.outcome, str(OUTCOMES.get(event.outcome, event.outcome))

    @admin.display(description=_("error"))
    def shown_error(self, event: WebhookEvent) -> str:
        """Its first line."""
        return redact(event.error.split("\n")[0][:160]) or "—"

    @admin.display(description=_("outcome"))
    def outcome_in_words(self, event: WebhookEvent) -> str:
        """The outcome without its colour."""
        return str(OUTCOMES.get(event.outcome, event.outcome))

    @admin.display(description=_("error"))
    def error_in_full(self, event: WebhookEvent) -> str:
        """All of it, without secrets."""
        return redact(event.error) or "—"

    @admin.display(description=_("body"))
    def shown_body(self, event: WebhookEvent) -> str:
        """Readable, without secrets and personal numbers, at most ``bodies.CHARACTERS``."""
        text, cut = bodies.readable(bytes(event.body), event.content_type)
        note = gettext("Only the beginning is shown.") if cut else ""
        return format_html('<pre class="prosa-body" tabindex="0">{}</pre>{}', text, note)
