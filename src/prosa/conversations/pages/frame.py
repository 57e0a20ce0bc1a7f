"""What the admin's pages about conversations share."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from prosa.conversations.models import Conversation


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Rows that only the walk of a message writes."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never by hand; retention does it."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All that is shown."""
        return tuple(self.fields or ())

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Without buttons that would save nothing."""
        nothing_to_save = {"show_save": False, "show_save_and_continue": False, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, nothing_to_save)


def name_of(conversation: Conversation) -> str:
    """What to call the customer: the name, else the address of the first identity, else the contact's number."""
    contact = conversation.contact
    return contact.name or next((one.address or one.value for one in contact.identities.all()), "") or str(contact)


def conversation_link(conversation_id: int) -> str:
    """A link to a conversation's page."""
    return format_html(
        '<a class="prosa-link" href="{}">#{}</a>',
        reverse("admin:prosa_conversations_conversation_change", args=[conversation_id]),
        conversation_id,
    )
