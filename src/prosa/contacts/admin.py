"""Contacts in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from prosa.business.pages import register
from prosa.contacts.models import Contact, Fact, Identity, Merge


class IdentityInline(TabularInline):  # type: ignore[misc]  # unfold is untyped
    """Every way the contact is known. Providers prove these; people do not type them."""

    model = Identity
    extra = 0
    can_delete = False
    hide_title = True
    fields = ("shown_kind", "shown_address", "created_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        """Never."""
        return False

    @admin.display(description=_("kind"))
    def shown_kind(self, identity: Identity) -> str:
        """What sort of address it is; those of packages go by their own names."""
        kind = identity.key.partition(":")[0]
        return {"phone": gettext("phone"), "bsuid": gettext("WhatsApp account"), "email": gettext("e-mail")}.get(
            kind, kind
        )

    @admin.display(description=_("address"))
    def shown_address(self, identity: Identity) -> str:
        """As people write it, else as the provider does."""
        return identity.address or identity.value


class FactInline(TabularInline):  # type: ignore[misc]  # unfold is untyped
    """What the assistant remembers: who told it, when, where. People may erase it or let it expire, not rewrite it."""

    model = Fact
    extra = 0
    hide_title = True
    fields = ("text", "shown_source", "created_at", "expires_at")
    readonly_fields = ("text", "shown_source", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        """Never: a fact is what the customer told."""
        return False

    @admin.display(description=_("told by"))
    def shown_source(self, fact: Fact) -> str:
        """The customer, with the way to the conversation."""
        if fact.conversation_id is None:
            return gettext("Customer")
        return format_html(
            '{} · <a class="prosa-link" href="{}">#{}</a>',
            gettext("Customer"),
            reverse("admin:prosa_conversations_conversation_change", args=[fact.conversation_id])
            + (f"?before={fact.message_id + 1}#message-{fact.message_id}" if fact.message_id else ""),
            fact.conversation_id,
        )


@register(Contact)
class ContactAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Who writes to a business."""

    list_display = ("shown_name", "business", "shown_identities", "shown_state", "created_at")
    list_filter = ("business", ("blocked_at", admin.EmptyFieldListFilter), ("opted_out_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "identities__key", "identities__address")
    search_help_text = _("Name, phone or other identity")
    list_select_related = ("business",)
    show_full_result_count = False
    ordering = ("-id",)
    inlines = (IdentityInline, FactInline)
    fields = ("business", "name", "locale", "blocked_at", "opted_out_at", "created_at")
    readonly_fields = ("business", "blocked_at", "opted_out_at", "created_at")
    actions = ("block", "unblock")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        """With identities, in one query for the page. Whoever was merged is shown as the contact that is kept."""
        rows: QuerySet[Contact] = super().get_queryset(request).prefetch_related("identities")
        gone = Merge.objects.filter(merged=OuterRef("pk"), undone_at=None)
        return rows.filter(~Exists(gone))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Contacts come to be by writing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        """One at a time, never in bulk: their conversations go with them."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and obj is not None

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, contact: Contact) -> str:
        """The name, else the number of the row."""
        return str(contact)

    @admin.display(description=_("known as"))
    def shown_identities(self, contact: Contact) -> str:
        """Addresses as a person would read them."""
        return ", ".join(identity.address or identity.value for identity in contact.identities.all()) or "—"

    @display(description=_("state"), label={"blocked": "danger", "out": "warning", "": "success"})  # type: ignore[untyped-decorator]
    def shown_state(self, contact: Contact) -> tuple[str, str]:
        """Whether we may write."""
        if contact.blocked_at:
            return "blocked", str(_("blocked"))
        if contact.opted_out_at:
            return "out", str(_("opted out"))
        return "", str(_("reachable"))

    @admin.action(description=_("Block"), permissions=["change"])
    def block(self, request: HttpRequest, contacts: QuerySet[Contact]) -> None:
        """Nobody answers them any more."""
        count = contacts.filter(blocked_at=None).update(blocked_at=timezone.now())
        self.message_user(request, ngettext("%d contact blocked.", "%d contacts blocked.", count) % count)

    @admin.action(description=_("Unblock"), permissions=["change"])
    def unblock(self, request: HttpRequest, contacts: QuerySet[Contact]) -> None:
        """Answer them again."""
        count = contacts.exclude(blocked_at=None).update(blocked_at=None)
        self.message_user(request, ngettext("%d contact unblocked.", "%d contacts unblocked.", count) % count)
