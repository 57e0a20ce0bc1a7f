"""Webhooks as Meta writes and signs them [FACTS 1.3, 1.5–1.7; fixtures/whatsapp_cloud]."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from prosa.contracts import Json
from prosa.simulator.world import Bubble, Customer, File, Line

EXPLANATIONS = {
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131053: "Media upload error",
}
"""Titles of the error codes the doubles report on statuses."""


def encode(payload: Any) -> bytes:
    """JSON as Meta serialises it: ASCII only, escaped slashes, no spaces."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()


def signature(secret: str, body: bytes) -> dict[str, str]:
    """The headers of a signed webhook."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={digest}",
        "User-Agent": "facebookexternalua",
    }


def envelope(line: Line, *, customer: Customer | None, **value: Any) -> Json:
    """One change of one number. ``customer`` fills ``contacts``; failed statuses have none."""
    contacts = {"contacts": [_contact(customer)]} if customer else {}
    metadata = {"display_phone_number": line.number, "phone_number_id": line.key}
    change = {
        "value": {"messaging_product": "whatsapp", "metadata": metadata, **contacts, **value},
        "field": "messages",
    }
    return {"object": "whatsapp_business_account", "entry": [{"id": line.account or "0", "changes": [change]}]}


def message(
    line: Line,
    customer: Customer,
    bubble: Bubble,
    *,
    file: File | None = None,
    file_url: str = "",
    answered: Json | None = None,
) -> Json:
    """The webhook of something a customer sent.

    ``answered``: the option chosen, ``{"id", "title", "description"?}``, for the kinds button and list.
    """
    body: Json = {}
    if bubble.reply_to:
        # Taps name the number's id as the author of what they answer, quotes its digits.
        body["context"] = {"from": line.key if answered else line.number, "id": bubble.reply_to}
    if customer.phone:
        body["from"] = customer.phone
    body |= {"from_user_id": customer.user_id, "id": bubble.id, "timestamp": str(bubble.at // 1000)}
    return envelope(line, customer=customer, messages=[body | _content(bubble, file, file_url, answered)])


def _content(bubble: Bubble, file: File | None, file_url: str, answered: Json | None) -> Json:
    if bubble.kind in {"button", "list"} and answered:
        chosen = {"id": answered["id"], "title": answered["title"]}
        if bubble.kind == "list" and answered.get("description"):
            chosen["description"] = answered["description"]
        name = f"{bubble.kind}_reply"
        return {"type": "interactive", "interactive": {"type": name, name: chosen}}
    if bubble.kind == "reaction":
        emoji = {"emoji": bubble.text} if bubble.text else {}
        return {"type": "reaction", "reaction": {"message_id": bubble.reply_to, **emoji}}
    if bubble.kind == "location" and bubble.place:
        return {"type": "location", "location": bubble.place}
    if file is not None:
        media: Json = {
            "id": file.id,
            "mime_type": file.mime_type,
            "sha256": base64.b64encode(file.sha256).decode(),
            "url": file_url,
        }
        if bubble.text and bubble.kind in {"image", "video", "document"}:
            media["caption"] = bubble.text
        if bubble.kind == "document":
            media["filename"] = file.filename
        if bubble.kind == "audio":
            media["voice"] = file.voice
        return {"type": bubble.kind, bubble.kind: media}
    return {"type": "text", "text": {"body": bubble.text}}


def status(line: Line, customer: Customer, bubble: Bubble, name: str, *, error: int = 0, details: str = "") -> Json:
    """The webhook of what became of a business's message. ``error``: the code when ``name`` is failed."""
    body: Json = {"id": bubble.id, "status": name, "timestamp": str(int(time.time()))}
    if customer.phone:
        body["recipient_id"] = customer.phone
    body["recipient_user_id"] = customer.user_id
    if bubble.tracker:
        body["biz_opaque_callback_data"] = bubble.tracker
    if name == "failed":
        title = EXPLANATIONS.get(error, "Something went wrong")
        body["errors"] = [
            {"code": error, "title": title, "message": title, "error_data": {"details": details or title}}
        ]
        return envelope(line, customer=None, statuses=[body])
    if name == "delivered":
        body["pricing"] = {
            "billable": False,
            "pricing_model": "PMP",
            "type": "free_customer_service",
            "category": "service",
        }
    return envelope(line, customer=customer, statuses=[body])


def _contact(customer: Customer) -> Json:
    profile = {"name": customer.name} | ({"username": f"@{customer.username}"} if customer.username else {})
    phone = {"wa_id": customer.phone} if customer.phone else {}
    return {"profile": profile, **phone, "user_id": customer.user_id}
