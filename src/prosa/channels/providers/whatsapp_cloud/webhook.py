"""WhatsApp Cloud API webhooks, from bytes to what they say.

Source: Meta's "Webhooks reference: messages" (2025-11 to 2026-09) and the samples in ``tests/channels``.
One POST holds several accounts (``entry``), each several ``changes``, each several messages and statuses, in no
order. ``contacts`` belongs to messages by ``wa_id`` or ``user_id``, never by position.
"""

from __future__ import annotations

from typing import Any

from prosa.channels.providers.whatsapp_cloud.content import READERS, around, unknown
from prosa.channels.wire import identifier, load, mapping, mappings, moment, string
from prosa.contracts import (
    Identity,
    IdentityChange,
    InboundMessage,
    Json,
    Notice,
    Parsed,
    Receipt,
    Takeover,
)
from prosa.errors import BadInput
from prosa.phones import canonical

STATUSES = frozenset({"sent", "delivered", "read", "played", "failed"})
CHANGED_IDENTITY = frozenset({"user_changed_number", "user_changed_user_id", "customer_changed_number"})
QUIET_KINDS = frozenset({"reaction", "system", "edit", "revoke"})

# Levels of account news by the provider's own word; anything else is information.
ERRORS = frozenset({
    "ACCOUNT_VIOLATION", "ACCOUNT_RESTRICTION", "ACCOUNT_DELETED", "DISABLED_UPDATE", "PARTNER_REMOVED",
    "PARTNER_APP_UNINSTALLED", "ACCOUNT_OFFBOARDED",
})  # fmt: skip
WARNINGS = frozenset({
    "REJECTED", "PAUSED", "DISABLED", "FLAGGED", "PENDING_DELETION", "LIMIT_EXCEEDED", "DOWNGRADE", "YELLOW", "RED",
})  # fmt: skip
NOTICE_FIELDS = frozenset({
    "account_update", "account_alerts", "account_review_update", "account_settings_update", "business_capability_update",
    "business_status_update", "calls", "flows", "history", "message_template_components_update",
    "message_template_quality_update", "message_template_status_update", "messaging_handovers", "phone_number_name_update",
    "phone_number_quality_update", "security", "smb_app_state_sync", "template_category_update", "user_preferences",
})  # fmt: skip


def parse(body: bytes) -> Parsed:
    """Everything one POST says.

    :raises BadInput: it is not a JSON object with a list ``entry``.
    """
    entries = load(body).get("entry")
    if not isinstance(entries, list):
        raise BadInput("The body is no WhatsApp webhook: it has no list 'entry'.\nIt is kept as it came.")
    found = _Found()
    for entry in entries:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(changes, list):
            found.strange.append("entry without changes")
            continue
        for change in changes:
            if isinstance(change, dict):
                found.change(string(change.get("field")), mapping(change.get("value")), string(entry.get("id")))
            else:
                found.strange.append("change that is no object")
    return found.parsed()


class _Found:
    """What was found so far."""

    def __init__(self) -> None:
        self.messages: list[InboundMessage] = []
        self.receipts: list[Receipt] = []
        self.takeovers: list[Takeover] = []
        self.changes: list[IdentityChange] = []
        self.notices: list[Notice] = []
        self.strange: list[str] = []

    def parsed(self) -> Parsed:
        return Parsed(
            tuple(self.messages),
            tuple(self.receipts),
            tuple(self.takeovers),
            tuple(self.changes),
            tuple(self.notices),
            tuple(self.strange),
        )

    def change(self, field: str, value: Json, account: str) -> None:
        metadata = mapping(value.get("metadata"))
        route = identifier(metadata.get("phone_number_id"))
        if field in ("messages", "standby", "smb_message_echoes"):
            contacts = mappings(value.get("contacts"))
            errors = mappings(value.get("errors"))
            for message in mappings(value.get("messages")):
                # On "standby" Meta's own agent answers; we only listen.
                self.message(message, route, contacts, errors, standby=field == "standby")
            for status in mappings(value.get("statuses")):
                self.status(status, route, contacts)
            for echo in mappings(value.get("message_echoes")):
                if field == "standby":
                    self.strange.append("standby echo")
                else:
                    self.echo(echo, route, contacts, string(metadata.get("display_phone_number")))
            if errors and not value.get("messages"):
                for error in errors:
                    level = "warning" if string(error.get("code")) in ("130429", "131056") else "error"
                    self.notices.append(Notice(route, "errors", level, _error_text(error), error))
        elif field in NOTICE_FIELDS:
            self.notices.append(_notice(field, value, route, account))
        else:
            self.strange.append(f"field {field[:60]}")

    def message(self, message: Json, route: str, contacts: list[Json], errors: list[Json], *, standby: bool) -> None:
        phone, user = identifier(message.get("from")), identifier(message.get("from_user_id"))
        contact = _contact(contacts, phone, user)
        senders = _people(
            user or identifier(contact.get("user_id")),
            phone or identifier(contact.get("wa_id")),
            identifier(message.get("from_parent_user_id")) or identifier(contact.get("parent_user_id")),
        )
        provider_id, kind = identifier(message.get("id")), string(message.get("type"))
        if kind == "system":
            senders = self.system(mapping(message.get("system")), route, senders)
        if not provider_id or not senders:
            self.strange.append(f"message without {'sender' if provider_id else 'id'}")
            return
        read = READERS.get(kind)
        if read is None:
            self.strange.append(f"message type {kind[:60]}")
            kind, text, files, payload = unknown(message, kind)
        else:
            kind, text, files, payload = read(message)
        wakes = kind not in QUIET_KINDS
        if kind == "contacts" and message.get("origin") == "contact_request":
            senders = (*senders, *_shared_phone(message, senders))
        reply_to = around(message, payload)
        if kind == "unsupported" and errors and "errors" not in payload:
            payload["errors"] = errors
        if standby or "group_id" in payload:
            wakes = False
            if standby:
                payload["standby"] = True
        self.messages.append(
            InboundMessage(provider_id, route, senders, kind, text, moment(message.get("timestamp")), _name(contact), files, reply_to, payload, wakes)
        )  # fmt: skip

    def system(self, system: Json, route: str, senders: tuple[Identity, ...]) -> tuple[Identity, ...]:
        """Record who became whom; returns the identities the message itself belongs to: the old ones."""
        old = _people(
            identifier(system.get("previous_user_id")),
            next((one.address for one in senders if one.kind == "phone"), ""),
            identifier(system.get("previous_parent_user_id")),
        )
        if string(system.get("type")) not in CHANGED_IDENTITY:
            return senders
        new = _people(
            identifier(system.get("user_id")),
            identifier(system.get("wa_id")) or identifier(system.get("new_wa_id")),
            identifier(system.get("parent_user_id")),
        )
        if old and new:
            self.changes.append(IdentityChange(route, old, new))
        return old or senders

    def status(self, status: Json, route: str, contacts: list[Json]) -> None:
        provider_id, name = identifier(status.get("id")), string(status.get("status"))
        if not provider_id or name not in STATUSES:
            self.strange.append(f"status {name[:60]}" if provider_id else "status without id")
            return
        recipients: tuple[Identity, ...] = ()
        if status.get("recipient_type") != "group":
            phone, user = identifier(status.get("recipient_id")), identifier(status.get("recipient_user_id"))
            contact = _contact(contacts, phone, user) if contacts else {}
            # Meta's pages disagree about the parent's name.
            parent = next(
                (
                    given
                    for key in ("recipient_parent_user_id", "parent_recipient_user_id", "parent_user_id")
                    if (given := identifier(status.get(key)))
                ),
                "",
            )
            recipients = _people(
                user or identifier(contact.get("user_id")), phone, parent or identifier(contact.get("parent_user_id"))
            )
        error = next(iter(mappings(status.get("errors"))), {})
        self.receipts.append(
            Receipt(
                provider_id,
                route,
                name,
                moment(status.get("timestamp")),
                tracker=string(status.get("biz_opaque_callback_data")),
                error_code=string(error.get("code"))[:40],
                error_text=_error_text(error) if error else "",
                pricing=mapping(status.get("pricing")),
                recipients=recipients,
            )
        )

    def echo(self, echo: Json, route: str, contacts: list[Json], own_number: str) -> None:
        phone, user = identifier(echo.get("to")), identifier(echo.get("to_user_id"))
        if phone and canonical(phone) == canonical(own_number):
            # Some samples of edits and revokes name both ends the other way round.
            phone = identifier(echo.get("from"))
        contact = _contact(contacts, phone, user)
        recipients = _people(
            user or identifier(contact.get("user_id")),
            phone or identifier(contact.get("wa_id")),
            identifier(echo.get("to_parent_user_id")) or identifier(contact.get("parent_user_id")),
        )
        provider_id, kind = identifier(echo.get("id")), string(echo.get("type"))
        if not provider_id or not recipients:
            self.strange.append(f"echo without {'recipient' if provider_id else 'id'}")
            return
        read = READERS.get(kind)
        kind, text, files, payload = read(echo) if read else unknown(echo, kind)
        if reply_to := around(echo, payload):
            payload["reply_to"] = reply_to
        self.takeovers.append(
            Takeover(provider_id, route, recipients, kind, text, moment(echo.get("timestamp")), files, payload, _name(contact))
        )  # fmt: skip


# ── people ────────────────────────────────────────────────────────────────────────────────────────


def _people(user: str, phone: str, parent: str) -> tuple[Identity, ...]:
    """The business-scoped id first: it stays when the phone is hidden."""
    found = []
    if user:
        found.append(Identity("bsuid", user))
    if phone and (number := canonical(phone)):
        found.append(Identity("phone", number, phone))
    if parent:
        found.append(Identity("parent_bsuid", parent))
    return tuple(found)


def _contact(contacts: list[Json], phone: str, user: str) -> Json:
    for contact in contacts:
        if (user and contact.get("user_id") == user) or (phone and contact.get("wa_id") == phone):
            return contact
    return {}


def _name(contact: Json) -> str:
    profile = contact.get("profile")
    if not isinstance(profile, dict):
        return ""
    return (string(profile.get("name")) or string(profile.get("username")))[:200]


def _shared_phone(message: Json, senders: tuple[Identity, ...]) -> tuple[Identity, ...]:
    """The number a customer gave when we asked for it: Meta vouches that it is theirs."""
    card = next(iter(mappings(message.get("contacts"))), {})
    phone = next(iter(mappings(card.get("phones"))), {})
    raw = identifier(phone.get("wa_id")) or identifier(phone.get("phone"))
    if any(one.kind == "phone" for one in senders):
        return ()
    return tuple(Identity("phone", number, number) for number in (canonical(raw),) if number)


# ── news about the account ────────────────────────────────────────────────────────────────────────


def _notice(field: str, value: Json, route: str, account: str) -> Notice:
    word = string(value.get("event") or value.get("new_quality_score") or value.get("decision"))
    level = "error" if word in ERRORS else "warning" if word in WARNINGS or field == "account_alerts" else "info"
    about = value.get("message_template_name")
    detail: Any = (
        mapping(value.get("violation_info")).get("violation_type")
        or ", ".join(string(one.get("restriction_type")) for one in mappings(value.get("restriction_info")))
        or mapping(value.get("rejection_info")).get("reason")
        or mapping(value.get("alert_info") or value).get("alert_description")
    )
    if field == "user_preferences":
        detail = "; ".join(string(one.get("detail")) for one in mappings(value.get("user_preferences")))
    text = ": ".join(
        part for part in (" ".join(part for part in (string(about), word) if part), string(detail)) if part
    )
    # An import of years of history is no payload for a list of news; the raw webhook keeps it.
    payload = {} if field in ("history", "smb_app_state_sync") else value
    return Notice(route, field, level, text or field.replace("_", " "), {**payload, "waba_id": account})


def _error_text(error: Json) -> str:
    details = string(mapping(error.get("error_data")).get("details"))
    return details or string(error.get("message")) or string(error.get("title"))
