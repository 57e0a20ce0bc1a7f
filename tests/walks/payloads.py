"""WhatsApp webhooks as Meta posts them (FACTS 1), with what a test wants in them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

SECRET = "the-secret-of-the-app-that-signs"
TOKEN = "EAAG-the-token-that-may-never-be-seen"
NUMBER = "106500000000001"
ANA = "5511987650001"

Json = dict[str, Any]


def change(value: Json, number: str = NUMBER, field: str = "messages") -> bytes:
    """One change of one number."""
    return changes(
        [
            (
                field,
                {
                    "messaging_product": "whatsapp",
                    "metadata": {"display_phone_number": "12025550100", "phone_number_id": number},
                    **value,
                },
            )
        ]
    )


def changes(found: list[tuple[str, Json]]) -> bytes:
    """A whole POST."""
    entry = {"id": "102200000000001", "changes": [{"field": field, "value": value} for field, value in found]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def text(body: str, message_id: str, phone: str = ANA, at: float | None = None) -> Json:
    """A text message, as an element of ``messages``."""
    when = str(int(time.time() if at is None else at))
    return {"from": phone, "id": f"wamid.{message_id}", "timestamp": when, "type": "text", "text": {"body": body}}


def said(body: str, message_id: str, phone: str = ANA, at: float | None = None, number: str = NUMBER) -> bytes:
    """One customer's one text."""
    return written([text(body, message_id, phone, at)], number)


def written(messages: list[Json], number: str = NUMBER) -> bytes:
    """Messages of any customers in one POST."""
    phones = dict.fromkeys(each["from"] for each in messages)
    return change(
        {"contacts": [{"profile": {"name": "Ana"}, "wa_id": phone} for phone in phones], "messages": messages}, number
    )


def image(message_id: str, media_id: str, sha256: str, phone: str = ANA) -> bytes:
    """A picture."""
    content = {"mime_type": "image/jpeg", "sha256": sha256, "id": media_id}
    message = {
        "from": phone,
        "id": f"wamid.{message_id}",
        "timestamp": str(int(time.time())),
        "type": "image",
        "image": content,
    }
    return written([message])


def receipt(
    status: str,
    provider_id: str,
    tracker: str = "",
    at: float | None = None,
    error: Json | None = None,
    phone: str = ANA,
) -> bytes:
    """What became of a message of ours."""
    found: Json = {"id": provider_id, "status": status, "timestamp": str(int(at or time.time())), "recipient_id": phone}
    if tracker:
        found["biz_opaque_callback_data"] = tracker
    if error:
        found["errors"] = [error]
    return change({"statuses": [found]})


def echo(body: str, message_id: str, phone: str = ANA) -> bytes:
    """The owner wrote to a customer from the business's own phone."""
    message = {
        "from": "12025550100",
        "to": phone,
        "id": f"wamid.{message_id}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": body},
    }
    return change(
        {"contacts": [{"profile": {"name": "Ana"}, "wa_id": phone}], "message_echoes": [message]},
        field="smb_message_echoes",
    )


def signature(body: bytes, secret: str = SECRET) -> str:
    """Of the header ``X-Hub-Signature-256``."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
