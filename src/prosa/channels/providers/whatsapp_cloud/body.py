"""A bubble as the body of ``POST /{phone_number_id}/messages``.

Source: Meta's "Messages" reference (v25.0); limits from the same pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prosa.channels.text import numbered, shorten, split, whatsapp
from prosa.channels.wire import string
from prosa.contracts import Identity, Json, OutboundMessage, Reply
from prosa.errors import PermanentError

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
INTERACTIVE_LIMIT = 1024
HEADER_LIMIT = 60
BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
ROWS, ROW_TITLE, ROW_ID, ROW_DESCRIPTION = 10, 24, 200, 72
TRACKER_LIMIT = 512
MEDIA = frozenset({"image", "audio", "video", "document", "sticker"})
_URL = re.compile(r"https?://")


# ── a reply becomes bubbles ───────────────────────────────────────────────────────────────────────


def compose(reply: Reply) -> list[OutboundMessage]:
    """Text in WhatsApp's marks in as few bubbles as fit; up to 3 short options as buttons, up to 10 as a list, more as numbered lines."""
    text = whatsapp(reply.text)
    options = [option for option in reply.options if option.title.strip()]
    if not options or len(options) > ROWS:
        return [
            _text(piece) for piece in split("\n\n".join(part for part in (text, numbered(options)) if part), TEXT_LIMIT)
        ]
    pieces = split(text, TEXT_LIMIT) or ["…"]
    last = split(pieces.pop(), INTERACTIVE_LIMIT)
    before = split("\n\n".join(last[:-1]), TEXT_LIMIT)
    fits = len(options) <= BUTTONS and all(
        len(option.title) <= BUTTON_TITLE and not option.description for option in options
    )
    return [
        *(_text(piece) for piece in (*pieces, *before)),
        OutboundMessage(
            kind="buttons" if fits else "list",
            text=last[-1],
            payload={
                "options": [{"id": one.id, "title": one.title, "description": one.description} for one in options]
            },
        ),
    ]


def _text(piece: str) -> OutboundMessage:
    return OutboundMessage(kind="text", text=piece, payload={"preview_url": True} if _URL.search(piece) else {})


# ── a bubble becomes a body ───────────────────────────────────────────────────────────────────────


def body(message: OutboundMessage, media_id: str = "") -> Json:
    """The JSON to post. ``media_id`` is the id of what was just uploaded for this bubble.

    :raises PermanentError: no address WhatsApp can send to, or an unknown kind.
    """
    made: Json = {"messaging_product": "whatsapp", "recipient_type": "individual", **recipient(message.to)}
    if message.reply_to and message.kind != "reaction":
        made["context"] = {"message_id": message.reply_to}
    if message.tracker:
        made["biz_opaque_callback_data"] = message.tracker[:TRACKER_LIMIT]
    kind, content = _content(message, media_id)
    return {**made, "type": kind, kind: content}


def recipient(to: Sequence[Identity]) -> Json:
    """Whom to send to: the phone when it is known, always with ``+`` (without it Meta may write to somebody else), else the BSUID.

    :raises PermanentError: there is neither.
    """
    for one in to:
        if one.kind == "phone" and (digits := "".join(filter(str.isdecimal, one.address)) or one.value):
            return {"to": f"+{digits}"}
    for one in to:
        if one.kind in ("bsuid", "parent_bsuid"):
            return {"recipient": one.value}
    raise PermanentError("This contact has neither a phone number nor a WhatsApp user id.\nWait until they write.")


def _content(message: OutboundMessage, media_id: str) -> tuple[str, Json | list[Json]]:  # noqa: PLR0911 -- one per kind
    payload = message.payload
    match message.kind:
        case "text":
            preview = {"preview_url": payload["preview_url"]} if "preview_url" in payload else {}
            return "text", {**preview, "body": shorten(message.text, TEXT_LIMIT)}
        case kind if kind in MEDIA:
            return kind, _media(message, media_id)
        case "buttons":
            return "interactive", _interactive("button", message, {"buttons": _buttons(payload)})
        case "list":
            action = {
                "button": shorten(string(payload.get("button")) or "☰", BUTTON_TITLE),
                "sections": _sections(payload),
            }
            return "interactive", _interactive("list", message, action)
        case "cta":
            parameters = {
                "display_text": shorten(string(payload.get("button")) or "↗", BUTTON_TITLE),
                "url": payload.get("url", ""),
            }
            return "interactive", _interactive("cta_url", message, {"name": "cta_url", "parameters": parameters})
        case "interactive":
            return "interactive", _interactive(string(payload.get("type")), message, payload.get("action", {}))
        case "location":
            place = {
                name: string(payload[name])
                for name in ("latitude", "longitude", "name", "address")
                if payload.get(name) is not None
            }
            return "location", place
        case "contacts":
            return "contacts", list(payload.get("contacts", ()))
        case "reaction":
            return "reaction", {
                "message_id": string(payload.get("message_id")) or message.reply_to,
                "emoji": message.text,
            }
        case "template":
            return "template", _template(payload)
        case kind:
            raise PermanentError(f"WhatsApp has no message of kind {kind!r}.\nSend it as text.")


def _media(message: OutboundMessage, media_id: str) -> Json:
    file = message.attachment
    content: Json = {}
    if media_id or (file and file.ref):
        content["id"] = media_id or (file.ref if file else "")
    elif file and file.url:
        content["link"] = file.url
    else:
        raise PermanentError(f"The {message.kind} to send has no file.\nSend it again.")
    if message.text and message.kind not in ("audio", "sticker"):
        content["caption"] = shorten(message.text, CAPTION_LIMIT)
    if file and file.filename and message.kind == "document":
        content["filename"] = file.filename
    if file and file.voice and message.kind == "audio":
        content["voice"] = True
    return content


def _interactive(kind: str, message: OutboundMessage, action: Json) -> Json:
    made: Json = {"type": kind}
    header, footer = message.payload.get("header"), message.payload.get("footer")
    if header:
        made["header"] = (
            header if isinstance(header, dict) else {"type": "text", "text": shorten(string(header), HEADER_LIMIT)}
        )
    made["body"] = {"text": shorten(message.text, INTERACTIVE_LIMIT if kind != "list" else TEXT_LIMIT)}
    if footer:
        made["footer"] = {"text": shorten(string(footer), HEADER_LIMIT)}
    made["action"] = action
    return made


def _buttons(payload: Json) -> list[Json]:
    return [
        {
            "type": "reply",
            "reply": {"id": string(one["id"])[:BUTTON_ID], "title": shorten(string(one["title"]), BUTTON_TITLE)},
        }
        for one in payload.get("options", ())[:BUTTONS]
    ]


def _sections(payload: Json) -> list[Json]:
    sections = payload.get("sections") or [{"rows": payload.get("options", ())}]
    made, left = [], ROWS
    for section in sections:
        rows = [_row(one) for one in section.get("rows", ())[:left]]
        left -= len(rows)
        if rows:
            title = {"title": shorten(string(section["title"]), ROW_TITLE)} if section.get("title") else {}
            made.append({**title, "rows": rows})
    return made


def _row(option: Json) -> Json:
    title, description = string(option["title"]), string(option.get("description"))
    shown = shorten(title, ROW_TITLE)
    # A title that does not fit is told in full below its beginning.
    if shown != title:
        description = f"{title} — {description}" if description else title
    row: Json = {"id": string(option["id"])[:ROW_ID], "title": shown}
    if description:
        row["description"] = shorten(description, ROW_DESCRIPTION)
    return row


def _template(payload: Json) -> Json:
    made: Json = {
        "name": string(payload.get("template")),
        "language": {"code": string(payload.get("language")) or "en_US"},
    }
    if components := payload.get("components"):
        made["components"] = components
    return made
