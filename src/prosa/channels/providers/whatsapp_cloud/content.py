"""What a WhatsApp message says, by its type: the words a reader reads, its files, its data.

Source: Meta's "Webhooks reference: messages" (2025-11 to 2026-09).
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from prosa.channels.wire import mapping, mappings, sha256, string
from prosa.contracts import Attachment, Json

Content = tuple[str, str, tuple[Attachment, ...], Json]
"""Kind, text, files, payload."""


def _text(message: Json) -> Content:
    text = message.get("text")
    return "text", string(text.get("body")) if isinstance(text, dict) else "", (), {}


def _media(message: Json) -> Content:
    kind = string(message.get("type"))
    data = mapping(message.get(kind))
    file = Attachment(
        kind=kind,
        ref=string(data.get("id")),
        url=string(data.get("url")),
        mime_type=string(data.get("mime_type"))[:120],
        sha256=sha256(data.get("sha256")),
        filename=string(data.get("filename"))[:255],
        voice=data.get("voice") is True,
    )
    what = (
        "voice message"
        if file.voice
        else f"document: {file.filename}"
        if kind == "document" and file.filename
        else kind
    )
    return kind, string(data.get("caption")) or f"[{what}]", (file,) if file.ref or file.url else (), data


def _location(message: Json) -> Content:
    data = mapping(message.get("location"))
    place = ", ".join(part for key in ("name", "address") if (part := string(data.get(key))))
    point = f"{string(data.get('latitude'))}, {string(data.get('longitude'))}"
    return "location", f"[location: {place} ({point})]" if place else f"[location: {point}]", (), data


def _contacts(message: Json) -> Content:
    cards = mappings(message.get("contacts"))
    people = []
    for card in cards:
        name = string(mapping(card.get("name")).get("formatted_name"))
        numbers = " ".join(number for phone in mappings(card.get("phones")) if (number := string(phone.get("phone"))))
        people.append(f"{name} {numbers}".strip())
    payload: Json = {"contacts": cards}
    if origin := string(message.get("origin")):
        payload["origin"] = origin
    return "contacts", f"[contact: {'; '.join(one for one in people if one)}]", (), payload


def _button(message: Json) -> Content:
    data = mapping(message.get("button"))
    title = string(data.get("text"))
    return "button", title, (), {"id": string(data.get("payload")), "title": title}


def _interactive(message: Json) -> Content:
    data = mapping(message.get("interactive"))
    kind = string(data.get("type"))
    answer = mapping(data.get(kind))
    match kind:
        case "button_reply" | "list_reply":
            return kind.removesuffix("_reply"), string(answer.get("title")), (), answer
        case "nfm_reply":
            return _form(answer)
        case "call_permission_reply":
            return "system", f"[call permission: {string(answer.get('response'))}]", (), data
        case _:
            return unknown(message, f"interactive {kind}".strip())


def _form(answer: Json) -> Content:
    """A flow's or address form's answer: ``response_json`` is JSON within JSON."""
    try:
        fields = mapping(orjson.loads(string(answer.get("response_json"))))
    except orjson.JSONDecodeError:
        fields = {}
    body = string(answer.get("body"))
    if body in ("", "Sent"):  # what WhatsApp shows for a form without words of its own
        shown = (
            f"{name}: {said}" for name, value in fields.items() if name != "flow_token" and (said := _value(value))
        )
        body = f"[form: {'; '.join(shown)}]"
    return "flow", body, (), {"name": string(answer.get("name")), "response": fields}


def _value(value: object) -> str:
    """One answer of a form; of several ticked boxes, all."""
    return ", ".join(string(one) for one in value) if isinstance(value, list) else string(value)


def _reaction(message: Json) -> Content:
    data = mapping(message.get("reaction"))
    emoji = string(data.get("emoji"))  # taken back: empty, or not there
    return "reaction", emoji, (), {"message_id": string(data.get("message_id")), "emoji": emoji}


def _order(message: Json) -> Content:
    data = mapping(message.get("order"))
    lines = [
        f"{string(item.get('quantity'))} × {string(item.get('product_retailer_id'))}"
        f" at {string(item.get('item_price'))} {string(item.get('currency'))}"
        for item in mappings(data.get("product_items"))
    ]
    text = string(data.get("text"))
    return "order", f"{text}\n[order: {'; '.join(lines)}]".strip(), (), data


def _system(message: Json) -> Content:
    data = mapping(message.get("system"))
    return "system", string(data.get("body")), (), data


def _edit(message: Json) -> Content:
    data = mapping(message.get("edit"))
    inner = mapping(data.get("message"))
    read = READERS.get(string(inner.get("type"))) if inner.get("type") != "edit" else None
    kind, text, files, _ = read(inner) if read else unknown(inner, string(inner.get("type")))
    return "edit", text, files, {"message_id": string(data.get("original_message_id")), "kind": kind}


def _revoke(message: Json) -> Content:
    return "revoke", "", (), {"message_id": string(mapping(message.get("revoke")).get("original_message_id"))}


def _unsupported(message: Json) -> Content:
    return unknown(message, string(mapping(message.get("unsupported")).get("type")))


def unknown(message: Json, kind: str) -> Content:
    """What we cannot show. The customer still expects an answer, so it reads as a message."""
    errors = mappings(message.get("errors"))
    payload: Json = {"type": kind}
    if errors:
        payload["errors"] = errors
    if any(string(error.get("code")) == "131052" for error in errors):
        return "unsupported", f"[{kind or 'file'} too big to be received]", (), payload
    return "unsupported", f"[unsupported message: {kind[:60] or 'unknown'}]", (), payload


READERS: dict[str, Callable[[Json], Content]] = {
    "text": _text,
    "image": _media,
    "audio": _media,
    "video": _media,
    "document": _media,
    "sticker": _media,
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
}


def around(message: Json, payload: Json) -> str:
    """Put what stands around a message into its payload; returns the id it answers, reacts to, edits or takes back."""
    if referral := message.get("referral"):
        payload["referral"] = mapping(referral)
    if group := message.get("group_id"):
        payload["group_id"] = string(group)
    about = string(payload.get("message_id"))
    context = message.get("context")
    if isinstance(context, dict):
        about = about or string(context.get("id"))
        for name in ("forwarded", "frequently_forwarded", "referred_product"):
            if context.get(name):
                payload[name] = context[name]
    return about[:250]
