"""What Meta takes as a message, and how it refuses the rest [FACTS 1.8; fixtures/whatsapp_cloud/outbound].

Stricter than Meta in one thing: a number without its plus sign is refused here, while Meta would put the business's
own country code in front and might write to somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prosa.contracts import Json
from prosa.simulator import graph_templates, postman
from prosa.simulator.world import MEGABYTE, Bubble, File, new_number, new_wamid

USER_ID: Final = re.compile(r"[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}")

MEDIA: Final[dict[str, tuple[frozenset[str], int]]] = {
    "image": (frozenset({"image/jpeg", "image/png"}), 5 * MEGABYTE),
    "video": (frozenset({"video/mp4", "video/3gpp"}), 16 * MEGABYTE),
    "audio": (frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}), 16 * MEGABYTE),
    "sticker": (frozenset({"image/webp"}), 500 * 1024),
}
"""Types and sizes Meta takes [FACTS 1.8]; everything else travels as a document."""
DOCUMENT_BYTES: Final = 100 * MEGABYTE


class GraphError(Exception):
    """An error as Graph reports it."""

    def __init__(self, code: int, message: str, details: str = "", *, status: int = 400, subcode: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {
            "message": message,
            "type": "OAuthException",
            "code": code,
            "fbtrace_id": "A" + new_number(20),
        }
        if details:
            self.body["error_data"] = {"messaging_product": "whatsapp", "details": details}
        if subcode:
            self.body["error_subcode"] = subcode


def recipient(body: Json) -> str:
    """The address: plus sign and digits, or a user id. ``to`` wins over ``recipient``, as at Meta.

    :raises GraphError: there is none, or it is malformed.
    """
    to, user_id = str(body.get("to") or ""), str(body.get("recipient") or "")
    if to:
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            raise GraphError(
                131009, "(#131009) Parameter value is not valid",
                "to must be a plus sign and digits: without the plus Meta puts the business's own country code in front.",
            )  # fmt: skip
        return to
    if not user_id:
        raise GraphError(131008, "(#131008) Required parameter is missing", "to or recipient is required.")
    if not USER_ID.fullmatch(user_id):
        raise GraphError(
            131009, "(#131009) Parameter value is not valid", "recipient is not a business-scoped user id."
        )
    return user_id


@dataclass(frozen=True, slots=True)
class Draft:
    """The part of a request that says what to send, and the files it may name."""

    kind: str
    content: Any
    files: Mapping[str, File]


def read(body: Json, files: Mapping[str, File]) -> Bubble:
    """The message a request asks for, as the phone shows it; fills in ``body["type"]``.

    :raises GraphError: Meta would refuse it.
    """
    kind = str(body.get("type", "text"))
    body["type"] = kind
    content = body.get(kind)
    if kind not in READERS:
        raise GraphError(
            100, f'(#100) Param type must be one of {{{", ".join(sorted(READERS)).upper()}}} - got "{kind}".'
        )
    if not isinstance(content, dict) and kind != "contacts":
        raise GraphError(131008, "(#131008) Required parameter is missing", f"{kind} is required.")
    bubble = READERS[kind](Draft(kind, content, files))
    context = body.get("context")
    if isinstance(context, dict):
        bubble.reply_to = str(context.get("message_id", ""))
    return bubble


def _text_of(content: Json, name: str, limit: int, *, required: bool = True) -> str:
    """A string within Meta's limit."""
    value = content.get(name)
    if isinstance(value, dict):
        value = value.get("text")
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise GraphError(131008, "(#131008) Required parameter is missing", f"{name} is required and may not be empty.")
    if len(value) > limit:
        raise GraphError(100, f"(#100) Param {name} must be at most {limit} characters long.")
    return value


def _text(draft: Draft) -> Bubble:
    return Bubble(new_wamid(), "business", "text", _text_of(draft.content, "body", 4096))


def _file(draft: Draft) -> Bubble:
    kind, content = draft.kind, draft.content
    bubble = Bubble(new_wamid(), "business", kind, _text_of(content, "caption", 1024, required=False))
    if content.get("id"):
        file = draft.files.get(str(content["id"]))
        if file is None:
            raise GraphError(
                131009, "(#131009) Parameter value is not valid", f"{content['id']} is not a media id of this account."
            )
        if kind in MEDIA and file.mime_type.split(";")[0] not in MEDIA[kind][0]:
            raise GraphError(131053, "(#131053) Media upload error", f"{file.mime_type} cannot be sent as {kind}.")
        file.filename = str(content.get("filename") or file.filename)
        bubble.file = postman.describe(file) | {"voice": bool(content.get("voice"))}
    elif not re.fullmatch(r"https?://\S+", str(content.get("link", ""))):
        raise GraphError(131008, "(#131008) Required parameter is missing", f"{kind}.id or {kind}.link is required.")
    else:
        bubble.file = {
            "id": "",
            "mime_type": "",
            "filename": str(content.get("filename", "")),
            "size": 0,
            "kind": kind,
            "voice": False,
        }
    return bubble


def _interactive(draft: Draft) -> Bubble:
    content = draft.content
    form = str(content.get("type", ""))
    action = content.get("action")
    if not isinstance(action, dict):
        raise GraphError(131008, "(#131008) Required parameter is missing", "interactive.action is required.")
    body = _text_of(content, "body", 4096 if form == "list" else 1024)
    bubble = Bubble(new_wamid(), "business", "interactive", body)
    bubble.footer = _text_of(content, "footer", 60, required=False)
    header = content.get("header")
    bubble.header = _text_of(header, "text", 60, required=False) if isinstance(header, dict) else ""
    if form == "button":
        buttons = [button.get("reply", {}) for button in action.get("buttons", []) if isinstance(button, dict)]
        bubble.choices = {"type": "button", "options": _options(buttons, most=3, title=20, identity=256)}
    elif form == "list":
        sections = [section for section in action.get("sections", []) if isinstance(section, dict)]
        rows = [row for section in sections for row in section.get("rows", [])]
        options = _options(rows, most=10, title=24, identity=200)
        bubble.choices = {"type": "list", "button": _text_of(action, "button", 20), "options": options}
    elif form == "cta_url":
        parameters = action.get("parameters") or {}
        url = _text_of(parameters, "url", 2000)
        bubble.choices = {"type": "url", "button": _text_of(parameters, "display_text", 20), "url": url, "options": []}
    elif form not in {"location_request_message", "flow", "call_permission_request", "product", "product_list"}:
        raise GraphError(131009, "(#131009) Parameter value is not valid", f"interactive.type {form!r} is not known.")
    return bubble


def _options(rows: list[Any], *, most: int, title: int, identity: int) -> list[Json]:
    if not 1 <= len(rows) <= most:
        raise GraphError(
            131009,
            "(#131009) Parameter value is not valid",
            f"Between 1 and {most} options are allowed, got {len(rows)}.",
        )
    options = [
        {
            "id": _text_of(row, "id", identity),
            "title": _text_of(row, "title", title),
            "description": _text_of(row, "description", 72, required=False),
        }
        for row in rows
    ]
    for name in ("id", "title") if most == 3 else ("id",):
        if len({option[name] for option in options}) < len(options):
            raise GraphError(131009, "(#131009) Parameter value is not valid", f"Two options have the same {name}.")
    return options


def _location(draft: Draft) -> Bubble:
    content = draft.content
    try:
        place = {"latitude": float(content["latitude"]), "longitude": float(content["longitude"])}
    except (KeyError, TypeError, ValueError):
        raise GraphError(
            131008, "(#131008) Required parameter is missing", "latitude and longitude are required."
        ) from None
    words = {name: str(content[name]) for name in ("name", "address") if content.get(name)}
    return Bubble(new_wamid(), "business", "location", place=place | words)


def _contacts(draft: Draft) -> Bubble:
    content = draft.content
    if not isinstance(content, list) or not content:
        raise GraphError(131008, "(#131008) Required parameter is missing", "contacts is required.")
    names = [str(each.get("name", {}).get("formatted_name", "")) for each in content]
    return Bubble(new_wamid(), "business", "contacts", ", ".join(names))


def _reaction(draft: Draft) -> Bubble:
    content = draft.content
    return Bubble(
        new_wamid(),
        "business",
        "reaction",
        str(content.get("emoji", "")),
        reply_to=_text_of(content, "message_id", 300),
    )


def _template(draft: Draft) -> Bubble:
    content = draft.content
    name = _text_of(content, "name", 512)
    if not isinstance(content.get("language"), dict) or not content["language"].get("code"):
        raise GraphError(131008, "(#131008) Required parameter is missing", "template.language.code is required.")
    components = [each for each in content.get("components", []) if isinstance(each, dict)]
    if (template := graph_templates.known(name, str(content["language"]["code"]))) is not None:
        if why := graph_templates.refused(template, components):
            raise GraphError(132000, "(#132000) Number of parameters does not match the expected number of params", why)
        return Bubble(new_wamid(), "business", "template", graph_templates.shown(template, components))
    words = [
        str(value.get("text", ""))
        for each in components
        for value in each.get("parameters", [])
        if isinstance(value, dict)
    ]
    return Bubble(new_wamid(), "business", "template", " · ".join([name, *filter(None, words)]))


READERS: Final[dict[str, Callable[[Draft], Bubble]]] = {
    "text": _text, "image": _file, "audio": _file, "video": _file, "document": _file, "sticker": _file,
    "interactive": _interactive, "location": _location, "contacts": _contacts, "reaction": _reaction, "template": _template,
}  # fmt: skip
