"""Conversations, and what went wrong with them, in the admin. Everything is read-only but the moves of ``ownership``."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from prosa.business.pages import register
from prosa.business.zones import zone_named
from prosa.contacts.models import Identity
from prosa.conversations import dispatch, ownership, spent, thread
from prosa.conversations.lanes import Dispatch, Lane
from prosa.conversations.media import copies, downloads
from prosa.conversations.models import Attachment, Conversation, Message, State
from prosa.conversations.pages import analyst as analyst_page
from prosa.conversations.pages import deeds as deed_pages
from prosa.conversations.pages import webhooks as webhook_pages
from prosa.conversations.pages.copilot import CopilotPages, handover, ways
from prosa.conversations.pages.dashboard import UNDELIVERED
from prosa.conversations.pages.frame import ReadOnlyAdmin, conversation_link, name_of
from prosa.conversations.pages.replies import ReplyPages
from prosa.conversations.pages.trying import TryPages
from prosa.errors import ProsaError
from prosa.redaction import redact

__all__ = ["deed_pages", "webhook_pages"]  # imported for the pages it registers

BADGES = {State.BOT: "info", State.AWAITING_AGENT: "danger", State.AGENT_ACTIVE: "warning", State.RESOLVED: "success"}
MOVES = {"give-back": ownership.give_back, "take": ownership.take, "resolve": ownership.resolve}


@register(Conversation)
class ConversationAdmin(CopilotPages, ReplyPages, TryPages):
    """The list, and each conversation as bubbles."""

    list_display = ("shown_contact", "inbox", "shown_state", "last_inbound_at", "shown_waiting", "unread")
    list_display_links = ("shown_contact",)
    list_filter = ("state", "inbox", "business", "last_inbound_at")
    list_select_related = ("contact", "inbox", "business")
    search_fields = ("contact__name",)
    search_help_text = _("Words of a message, a name, or a phone")
    ordering = (F("last_inbound_at").desc(nulls_last=True), "-id")
    actions = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Conversation], search_term: str
    ) -> tuple[QuerySet[Conversation], bool]:
        """Conversations whose contact, or any message, has these words."""
        term = search_term.strip()
        if not term:
            return queryset, False
        said = Exists(Message.objects.filter(conversation=OuterRef("pk"), text__icontains=term))
        key = "".join(character for character in term if character.isdigit()) if any(map(str.isdigit, term)) else term
        known = Exists(Identity.objects.filter(contact=OuterRef("contact"), key__icontains=key or term))
        return queryset.filter(Q(contact__name__icontains=term) | said | known), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """With what the contacts are known by, in one query for the page."""
        rows: QuerySet[Conversation] = super().get_queryset(request).prefetch_related("contact__identities")
        return rows

    @admin.display(description=_("contact"), ordering="contact__name")
    def shown_contact(self, conversation: Conversation) -> str:
        """Who it is with: the name, else the first identity."""
        return name_of(conversation)

    @display(
        description=_("state"),
        ordering="state",
        label={str(state): colour for state, colour in BADGES.items()},
    )  # type: ignore[untyped-decorator]
    def shown_state(self, conversation: Conversation) -> tuple[str, str]:
        """Who answers. Colours go by the state's name: its label is another in every language."""
        return str(conversation.state), str(State(conversation.state).label)

    @admin.display(description=_("waiting"))
    def shown_waiting(self, conversation: Conversation) -> str:
        """Since when a customer has waited for a person."""
        return (
            date_format(timezone.localtime(conversation.state_at), "SHORT_DATETIME_FORMAT")
            if conversation.state == State.AWAITING_AGENT
            else "—"
        )

    def get_urls(self) -> list[URLPattern]:
        """Adds the moves and the files."""
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:conversation_id>/move/<str:move>/",
                wrap(self.move_view),
                name="prosa_conversations_conversation_move",
            ),
            path("ask/", wrap(analyst_page.ask_view), name="prosa_conversations_ask"),
            path("file/<int:attachment_id>/", wrap(self.file_view), name="prosa_conversations_conversation_file"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The conversation. ``?before=<message id>`` shows the page before."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not object_id.isdecimal() or (conversation := self._find(int(object_id))) is None:
            raise Http404
        before = request.GET.get("before", "")
        context = {
            **self.admin_site.each_context(request),
            "title": name_of(conversation),
            "subtitle": None,
            "opts": self.opts,
            "original": conversation,
            "conversation": conversation,
            "identities": conversation.contact.identities.all(),
            "thread": thread.read(conversation, int(before[:18]) if before.isdecimal() else 0),
            "badge": BADGES[State(conversation.state)],
            "state_label": State(conversation.state).label,
            "actions": conversation.actions.filter(status="proposed", expires_at__gt=timezone.now()),
            "dead": Dispatch.objects.filter(conversation=conversation).exclude(dead_at=None),
            "may_move": self.has_change_permission(request),
            "handover": handover(conversation),
            "copilot_ways": ways(),
            "zone": zone_named(conversation.business.timezone),
            "spent": spent.of(conversation),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "prosa/admin/conversation.html", context)

    def move_view(self, request: HttpRequest, conversation_id: int, move: str) -> HttpResponse:
        """Take, give back or resolve."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        if move not in MOVES:
            raise Http404
        try:
            MOVES[move](conversation_id, f"user:{request.user.pk}")
        except ProsaError as error:
            messages.error(request, str(error))
        else:
            messages.success(
                request,
                {
                    "give-back": gettext("The assistant answers again."),
                    "take": gettext("The conversation is yours; the assistant is silent."),
                    "resolve": gettext("Resolved."),
                }[move],
            )
        return HttpResponseRedirect(reverse("admin:prosa_conversations_conversation_change", args=[conversation_id]))

    def file_view(self, request: HttpRequest, attachment_id: int) -> Any:
        """A customer's file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        attachment = Attachment.objects.filter(pk=attachment_id).first()
        if attachment is None:
            raise Http404
        if request.GET.get("copy") == "mp3":
            attachment = copies.mp3(attachment)
        return downloads.answer(request, attachment)

    def _find(self, conversation_id: int) -> Conversation | None:
        return (
            Conversation.objects.select_related("contact", "inbox", "business")
            .prefetch_related("contact__identities")
            .filter(pk=conversation_id)
            .first()
        )


@register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Replies that failed, or of which we do not know whether they left."""

    list_display = ("shown_conversation", "shown_status", "inbox", "shown_text", "shown_error", "created_at")
    list_display_links = None
    list_filter = ("status", "inbox")
    list_select_related = ("inbox",)
    search_fields = ("text", "error_code", "error")
    ordering = ("-id",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Undelivered ones only."""
        rows: QuerySet[Message] = super().get_queryset(request).filter(direction="out", status__in=UNDELIVERED)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Under its own title."""
        return super().changelist_view(request, {"title": _("Undelivered messages"), **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A message is read in its conversation."""
        message = Message.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if message is None:
            raise Http404
        return HttpResponseRedirect(
            reverse("admin:prosa_conversations_conversation_change", args=[message.conversation_id])
            + f"?before={message.pk + 1}#message-{message.pk}"
        )

    @admin.display(description=_("conversation"))
    def shown_conversation(self, message: Message) -> str:
        """Where it belongs."""
        return conversation_link(message.conversation_id)

    @display(description=_("status"), label={"failed": "danger", "unconfirmed": "warning"})  # type: ignore[untyped-decorator]
    def shown_status(self, message: Message) -> tuple[str, str]:
        """In words."""
        return message.status, str(_("failed") if message.status == "failed" else _("not confirmed"))

    @admin.display(description=_("text"))
    def shown_text(self, message: Message) -> str:
        """Its beginning."""
        return message.text[:80] or f"[{message.kind}]"

    @admin.display(description=_("error"))
    def shown_error(self, message: Message) -> str:
        """As the provider said it."""
        return f"{message.error_code} {message.error[:160]}".strip() or "—"


@register(Dispatch)
class DispatchAdmin(ReadOnlyAdmin):
    """Dead letters: work that was tried until it was given up. A person can wake it."""

    list_display = ("shown_conversation", "shown_lane", "attempts", "shown_error", "dead_at")
    list_display_links = None
    list_filter = ("lane",)
    ordering = ("-dead_at",)
    actions = ("revive",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dispatch]:
        """The dead only; the living are none of a person's business."""
        rows: QuerySet[Dispatch] = super().get_queryset(request).exclude(dead_at=None)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Under its own title."""
        return super().changelist_view(request, {"title": _("Dead letters"), **(extra_context or {})})

    @admin.action(description=_("Try again"), permissions=["change"])
    def revive(self, request: HttpRequest, rows: QuerySet[Dispatch]) -> None:
        """From the first attempt."""
        count = dispatch.revive(list(rows.values_list("pk", flat=True)))
        self.message_user(
            request, ngettext("%d dead letter is back at work.", "%d dead letters are back at work.", count) % count
        )

    @admin.display(description=_("conversation"))
    def shown_conversation(self, row: Dispatch) -> str:
        """Whose work it is."""
        return conversation_link(row.conversation_id)

    @admin.display(description=_("lane"), ordering="lane")
    def shown_lane(self, row: Dispatch) -> str:
        """Which work."""
        return str(Lane(row.lane).label)

    @admin.display(description=_("last error"))
    def shown_error(self, row: Dispatch) -> str:
        """Its beginning, without secrets."""
        return redact(row.last_error[:400])
