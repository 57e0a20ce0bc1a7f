"""Twilio's form fields, from bytes to what they say: one message or one status a POST.

Source: Twilio's "Messaging webhooks" and "WhatsApp message status callbacks" (2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from prosa.channels.wire import identifier, string
from prosa.contracts import Attachment, Identity, InboundMessage, Json, Parsed, Receipt
from prosa.errors import BadInput
from prosa.phones import canonical

MEDIA_PER_MESSAGE = 10
MEDIA_KINDS = frozenset({"image", "audio", "video", "document", "sticker"})
STATUSES = {
    "sent": "sent", "delivered": "delivered", "read": "read", "failed": "failed", "undelivered": "failed", "canceled": "failed",
}  # fmt: skip
ON_ITS_WAY = frozenset({"accepted", "scheduled", "queued", "sending"})
PLACE = {"latitude": "Latitude", "longitude": "Longitude", "name": "Label", "address": "Address"}
_FILENAME = re.compile(r"[^\n/\\]{1,200}\.\w{1,8}")


def parse(body: bytes) -> Parsed:
    """What one POST says.

    :raises BadInput: it names no message.
    """
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    fields = {name: value.replace("\x00", "") for name, value in pairs}
    provider_id = identifier(fields.get("MessageSid") or fields.get("SmsSid") or fields.get("SmsMessageSid"))
    if not provider_id:
        raise BadInput("The body is no Twilio webhook: it has no MessageSid.\nIt is kept as it came.")
    status = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    if status in ("", "received", "receiving"):
        return inbound(provider_id, fields)
    if status in ON_ITS_WAY:
        return Parsed()
    if status not in STATUSES:
        return Parsed(strange=(f"status {status[:60]}",))
    return Parsed(receipts=(receipt(provider_id, status, fields),))


def inbound(provider_id: str, fields: Mapping[str, str], sent_at: datetime | None = None) -> Parsed:
    """The message that fields of a webhook (or :func:`as_form`) tell. Webhooks carry no time, so it is now by default."""
    if not fields.get("From", "").startswith("whatsapp:"):
        return Parsed(strange=("message that is not WhatsApp",))
    senders = _people(fields.get("ExternalUserId", ""), fields["From"])
    if not senders:
        return Parsed(strange=("message without sender",))
    files = _attachments(fields)
    kind, text, payload, known = _said(fields, files)
    for name in ("Forwarded", "FrequentlyForwarded"):
        if fields.get(name) == "true":
            payload["forwarded" if name == "Forwarded" else "frequently_forwarded"] = True
    referral = {_snake(name[8:]): value for name, value in fields.items() if name.startswith("Referral") and value}
    if referral and referral != {"num_media": "0"}:
        payload["referral"] = referral
    message = InboundMessage(
        provider_id=provider_id,
        routing_key=canonical(fields.get("To", "")),
        senders=senders,
        kind=kind,
        text=text,
        sent_at=sent_at or datetime.now(UTC),
        sender_name=fields.get("ProfileName", "")[:200],
        attachments=files,
        reply_to=fields.get("OriginalRepliedMessageSid", "")[:250],
        payload=payload,
    )
    return Parsed(messages=(message,), strange=() if known else (f"message type {fields['MessageType'][:60]}",))


def _said(fields: Mapping[str, str], files: Sequence[Attachment]) -> tuple[str, str, Json, bool]:
    """Kind, text, payload, and whether the type was known."""
    body, given = fields.get("Body", ""), fields.get("MessageType", "")
    if given == "location" or fields.get("Latitude"):
        place = {name: fields[key] for name, key in PLACE.items() if fields.get(key)}
        words = ", ".join(place[name] for name in ("name", "address") if name in place)
        point = f"{place.get('latitude', '')}, {place.get('longitude', '')}"
        return (
            "location",
            body or (f"[location: {words} ({point})]" if words else f"[location: {point}]"),
            dict(place),
            True,
        )
    if fields.get("ListId"):
        title = fields.get("ListTitle") or body
        return "list", title, {"id": fields["ListId"], "title": title}, True
    if given == "button" or fields.get("ButtonPayload"):
        title = fields.get("ButtonText") or body
        return "button", title, {"id": fields.get("ButtonPayload", ""), "title": title}, True
    if given == "contacts":
        return "contacts", body or "[contact]", {}, True
    if files:
        kind = given if given in MEDIA_KINDS else files[0].kind
        what = f"document: {files[0].filename}" if files[0].filename else kind
        return kind, body or f"[{what}]", {}, True
    if body or given in ("text", "interactive", ""):
        return "text", body, {}, given in ("text", "interactive", "")
    known = given in MEDIA_KINDS
    return "unsupported", f"[unsupported message: {given[:60]}]", {"type": given}, known


def _attachments(fields: Mapping[str, str]) -> tuple[Attachment, ...]:
    given, found = fields.get("MessageType", ""), []
    for index in range(MEDIA_PER_MESSAGE):
        url = fields.get(f"MediaUrl{index}", "")
        if not url:
            break
        mime_type = fields.get(f"MediaContentType{index}", "")[:120]
        major = mime_type.partition("/")[0]
        kind = given if given in MEDIA_KINDS else major if major in ("image", "audio", "video") else "document"
        body = fields.get("Body", "")  # Twilio puts a document's name where its caption would be
        filename = body if kind == "document" and _FILENAME.fullmatch(body) else ""
        found.append(Attachment(kind=kind, ref=url, url=url, mime_type=mime_type, filename=filename))
    return tuple(found)


def receipt(provider_id: str, status: str, fields: Mapping[str, str], at: datetime | None = None) -> Receipt:
    """The receipt for a status in :data:`STATUSES`."""
    return Receipt(
        provider_id=provider_id,
        routing_key=canonical(fields.get("From", "")),
        status=STATUSES[status],
        at=at or datetime.now(UTC),
        error_code=fields.get("ErrorCode", "")[:40],
        error_text=fields.get("ErrorMessage") or fields.get("ChannelStatusMessage", ""),
        recipients=_people("", fields.get("To", "")),
    )


def _people(user: str, address: str) -> tuple[Identity, ...]:
    """``whatsapp:+12025550143`` is a phone, ``whatsapp:US.1349…`` a business-scoped id; the id first, it stays."""
    found = []
    for raw in (user, address):
        bare = identifier(raw.removeprefix("whatsapp:"))
        if bare[:1].isalpha():
            found.append(Identity("bsuid", bare))
        elif number := canonical(bare):
            found.append(Identity("phone", number, bare))
    return tuple(dict.fromkeys(found))


def as_form(row: Json) -> dict[str, str]:
    """A row of the Messages resource with the names its webhook would have used."""
    names = {
        "from": "From", "to": "To", "body": "Body", "error_code": "ErrorCode", "error_message": "ErrorMessage",
    }  # fmt: skip
    return {field: string(row.get(name)).replace("\x00", "") for name, field in names.items() if row.get(name)}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
