"""Webhooks as Twilio writes and signs them [FACTS 2.2, 2.4, 2.6; fixtures/twilio]."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from prosa.contracts import Json
from prosa.simulator.world import Bubble, Customer, File, Line

API_VERSION = "2010-04-01"

EXPLANATIONS = {
    63016: "Failed to send freeform message because you are outside the allowed window. If you are using WhatsApp, please use a Message Template.",
    63019: "Media failed to download",
    63024: "Invalid message recipient",
}
"""Texts of the error codes the double reports on status callbacks."""


def encode(fields: Mapping[str, str]) -> bytes:
    """A urlencoded form."""
    return urlencode(fields).encode()


def signature(token: str, url: str, fields: Mapping[str, str]) -> dict[str, str]:
    """The headers of a signed form post: HMAC-SHA1 over the URL and the sorted fields."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
        "I-Twilio-Idempotency-Token": hashlib.sha256(text.encode()).hexdigest()[:36],
        "User-Agent": "TwilioProxy/1.1",
    }


def address(customer: Customer) -> str:
    """``whatsapp:+digits``, or the user id of somebody without a visible phone."""
    return f"whatsapp:+{customer.phone}" if customer.phone else f"whatsapp:{customer.user_id}"


def message(
    line: Line,
    customer: Customer,
    bubble: Bubble,
    *,
    file: File | None = None,
    file_url: str = "",
    answered: Json | None = None,
) -> dict[str, str]:
    """The form of something a customer sent; ``answered`` as in :mod:`~prosa.simulator.meta_webhooks`."""
    kind = {"list": "interactive"}.get(bubble.kind, bubble.kind)
    context = {"ProfileName": customer.name, **({"WaId": customer.phone} if customer.phone else {})}
    fields = {
        "SmsMessageSid": bubble.id,
        "NumMedia": "1" if file else "0",
        "ProfileName": customer.name,
        "MessageType": kind,
        "SmsSid": bubble.id,
        "SmsStatus": "received",
        "Body": bubble.text or (file.filename if file and kind == "document" else ""),
        "To": f"whatsapp:+{line.number}",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": bubble.id,
        "AccountSid": line.account,
        "ExternalUserId": f"whatsapp:{customer.user_id}",
        "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": context}}, separators=(",", ":")),
        "From": address(customer),
        "ApiVersion": API_VERSION,
    }
    if customer.phone:
        fields["WaId"] = customer.phone
    if file is not None:
        fields |= {"MediaUrl0": file_url, "MediaContentType0": file.mime_type}
    if bubble.place:
        place = bubble.place
        fields |= {"Latitude": str(place["latitude"]), "Longitude": str(place["longitude"])}
        fields |= {
            name.title(): place[key] for name, key in (("Address", "address"), ("Label", "name")) if place.get(key)
        }
    if answered and kind == "button":
        fields |= {"ButtonText": answered["title"], "ButtonPayload": answered["id"]}
    if answered and kind == "interactive":
        fields |= {"ListId": answered["id"], "ListTitle": answered["title"]}
    if bubble.reply_to:
        fields |= {
            "OriginalRepliedMessageSender": f"whatsapp:+{line.number}",
            "OriginalRepliedMessageSid": bubble.reply_to,
        }
    return fields


def status(line: Line, customer: Customer, bubble: Bubble, name: str, *, error: int = 0) -> dict[str, str]:
    """The form of what became of a business's message."""
    fields = {
        "SmsSid": bubble.id,
        "SmsStatus": name,
        "MessageStatus": name,
        "ChannelToAddress": f"+{customer.phone[:-4]}XXXX" if customer.phone else customer.user_id,
        "To": address(customer),
        "ChannelPrefix": "whatsapp",
        "MessageSid": bubble.id,
        "AccountSid": line.account,
        "StructuredMessage": "false",
        "From": f"whatsapp:+{line.number}",
        "ApiVersion": API_VERSION,
    }
    if name == "read":
        fields["EventType"] = "READ"
    if error:
        fields |= {"ErrorCode": str(error), "ErrorMessage": EXPLANATIONS.get(error, "Unknown error")}
    return fields
