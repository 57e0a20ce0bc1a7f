"""A bubble as the form of ``POST …/Messages.json``. Source: Twilio's "Messages resource" (OpenAPI of 2026-04)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from prosa.channels.providers.twilio.form import MEDIA_KINDS
from prosa.channels.text import numbered, shorten, split, whatsapp
from prosa.channels.wire import mappings, string
from prosa.contracts import Identity, Json, OutboundMessage, Reply
from prosa.errors import PermanentError

TEXT_LIMIT = 1600


def compose(reply: Reply) -> list[OutboundMessage]:
    """Text in WhatsApp's marks in as few bubbles as fit; options as numbered lines, for buttons need an approved template."""
    parts = (whatsapp(reply.text), numbered(reply.options))
    text = "\n\n".join(part for part in parts if part)
    return [OutboundMessage(kind="text", text=piece) for piece in split(text, TEXT_LIMIT)]


def recipient(to: Sequence[Identity]) -> str:
    """``To``: the phone when it is known, else the business-scoped id.

    :raises PermanentError: there is neither.
    """
    for one in to:
        if one.kind == "phone" and (digits := "".join(filter(str.isdecimal, one.address)) or one.value):
            return f"whatsapp:+{digits}"
    for one in to:
        if one.kind == "bsuid":
            return f"whatsapp:{one.value}"
    raise PermanentError("This contact has neither a phone number nor a WhatsApp user id.\nWait until they write.")


def words(message: OutboundMessage) -> str:
    """What ``Body`` says; nothing for a voice note, whose words are heard."""
    if message.kind in MEDIA_KINDS:
        return "" if message.attachment and message.attachment.voice else shorten(message.text, TEXT_LIMIT)
    return content(message).get("Body", "")


def content(message: OutboundMessage) -> dict[str, str]:
    """The fields that depend on the kind. Twilio quotes no messages, so ``reply_to`` is left out.

    :raises PermanentError: a kind Twilio cannot send, or a file without a public address.
    """
    text, payload = shorten(message.text, TEXT_LIMIT), message.payload
    if message.kind == "template":
        variables = payload.get("variables") or {}
        return {
            "ContentSid": string(payload.get("template")),
            "ContentVariables": json.dumps(variables, separators=(",", ":")),
        }
    if message.kind == "location":
        point = f"geo:{string(payload.get('latitude'))},{string(payload.get('longitude'))}"
        label = string(payload.get("name"))
        return {"Body": text or label or point, "PersistentAction": f"{point}|{label}" if label else point}
    if message.kind in MEDIA_KINDS:
        url = message.attachment.url if message.attachment else ""
        if not url:
            raise PermanentError(
                f"Twilio fetches files by address, and this {message.kind} has none.\nGive it a public address."
            )
        said = words(message)
        return {"MediaUrl": url, **({"Body": said} if said else {})}
    if message.kind in ("text", "buttons", "list", "cta"):
        extra = string(payload.get("url")) if message.kind == "cta" else "\n".join(_choices(payload))
        return {"Body": shorten("\n\n".join(part for part in (message.text, extra) if part), TEXT_LIMIT)}
    raise PermanentError(f"Twilio has no message of kind {message.kind!r}.\nSend it as text.")


def _choices(payload: Json) -> list[str]:
    return [f"{number}. {string(one.get('title'))}" for number, one in enumerate(mappings(payload.get("options")), 1)]
