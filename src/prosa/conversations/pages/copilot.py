"""Help for the person who answers, on the admin's page of a conversation: a suggested reply, a summary, other words."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from prosa.conversations import copilot
from prosa.conversations.models import Conversation, State, Summary
from prosa.conversations.pages.frame import ReadOnlyAdmin
from prosa.conversations.receiver import Unavailable
from prosa.errors import ProsaError


def handover(conversation: Conversation) -> Summary | None:
    """What was written for the person who takes over, while one has or is awaited."""
    if conversation.state not in (State.AWAITING_AGENT, State.AGENT_ACTIVE):
        return None
    rows = Summary.objects.filter(business_id=conversation.business_id, conversation=conversation, purpose="handoff")
    return rows.filter(written_at__gte=conversation.created_at).first()


def ways() -> list[tuple[str, str]]:
    """How a text can be rewritten: (name, label)."""
    return [
        ("friendly", _("Friendlier")),
        ("formal", _("More formal")),
        ("shorter", _("Shorter")),
        ("pt", _("In Portuguese")),
        ("es", _("In Spanish")),
        ("en", _("In English")),
    ]


class CopilotPages(ReadOnlyAdmin):
    """Three buttons. Nothing they give is sent or stored."""

    def get_urls(self) -> list[URLPattern]:
        """Adds the buttons' address."""
        wrap, name = self.admin_site.admin_view, "prosa_conversations_conversation_copilot"
        return [
            path("<int:conversation_id>/copilot/<str:task>/", wrap(self.copilot_view), name=name),
            *super().get_urls(),
        ]

    def copilot_view(self, request: HttpRequest, conversation_id: int, task: str) -> HttpResponse:
        """``suggest``, ``summarise`` or ``rewrite`` (of ``text``, in the ``way`` named), shown on the conversation's page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):  # it spends the business's money
            raise PermissionDenied
        conversation: Conversation | None = self.get_queryset(request).filter(pk=conversation_id).first()
        if conversation is None or task not in ("suggest", "summarise", "rewrite"):
            raise Http404
        text, way = request.POST.get("text", ""), request.POST.get("way", "")
        shown: dict[str, Any] = {"task": task, "text": text}
        try:
            shown |= self._done(task, conversation.business_id, conversation_id, text, way)
        except Unavailable:
            shown["problem"] = _("The database cannot be reached. Try again in a moment.")
        except ProsaError as error:
            shown["problem"] = str(error)
        page: HttpResponse = self.change_view(request, str(conversation_id), extra_context={"copilot": shown})
        return page

    def _done(self, task: str, business_id: int, conversation_id: int, text: str, way: str) -> dict[str, Any]:
        if task == "suggest":
            found = copilot.now(lambda door: copilot.suggest(door, business_id, conversation_id))
            return {"text": found.text, "sources": found.sources, "model": found.model, "unknown": not found.known}
        if task == "summarise":
            written = copilot.now(lambda door: copilot.summarise(door, business_id, conversation_id))
            return {"summary": written.text, "model": written.model}
        return {"text": copilot.now(lambda door: copilot.rewrite(door, business_id, conversation_id, text, way))}
