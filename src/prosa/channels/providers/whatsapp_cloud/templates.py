"""Approved templates: what ``GET /{waba_id}/message_templates`` lists, and how one of them is filled in and sent.

Source: Meta's "Templates" and "Template components" reference (v25.0). Left out is what needs more than words and files:
one-time passwords, catalogues, carousels, flows, locations and limited offers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prosa.channels.text import shorten
from prosa.channels.wire import mapping, mappings, string
from prosa.contracts import Json, OutboundMessage, Slot, Template
from prosa.contracts.templates import PLACE
from prosa.errors import BadInput

FIELDS: Final = "id,name,language,category,status,parameter_format,components"
MEDIA: Final = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document"}
PLAIN_BUTTONS: Final = frozenset({"QUICK_REPLY", "PHONE_NUMBER", "URL", "COPY_CODE"})
VALUE_LIMIT: Final = 1024
COUPON_LIMIT: Final = 15


def read(rows: Iterable[Json]) -> list[Template]:
    """Those of an answer's ``data`` that are approved and can be sent from here, by name."""
    found = (_template(row) for row in rows if row.get("status") == "APPROVED")
    return sorted(filter(None, found), key=lambda each: (each.name, each.language))


def _template(row: Json) -> Template | None:
    parts: list[tuple[str, str]] = []
    slots: list[Slot] = []
    buttons: list[str] = []
    if string(row.get("category")) == "AUTHENTICATION":
        return None
    for component in mappings(row.get("components")):
        kind, text = string(component.get("type")), string(component.get("text"))
        if kind == "HEADER" and (form := string(component.get("format"))) != "TEXT":
            if form not in MEDIA:
                return None
            slots.append(Slot("header.media", MEDIA[form]))
        elif kind in ("HEADER", "BODY", "FOOTER"):
            part = kind.lower()
            parts.append((part, text))
            hints = _hints(mapping(component.get("example")), part)
            places = dict.fromkeys(PLACE.findall(text))
            slots += [Slot(f"{part}.{place}", "text", hints.get(place, "")) for place in places]
        elif kind == "BUTTONS":
            for index, button in enumerate(mappings(component.get("buttons"))):
                form = string(button.get("type"))
                if form not in PLAIN_BUTTONS:
                    return None
                buttons.append(string(button.get("text")) or "📋")
                example = button.get("example")
                hint = string(example[0]) if isinstance(example, list) and example else string(example)
                if form == "COPY_CODE":
                    slots.append(Slot(f"button.{index}", "coupon", hint))
                elif form == "URL" and PLACE.search(string(button.get("url"))):
                    slots.append(Slot(f"button.{index}", "text", hint))
        else:
            return None
    return Template(
        id=string(row.get("id")),
        name=string(row.get("name")),
        language=string(row.get("language")),
        category=string(row.get("category")),
        parts=tuple(parts),
        buttons=tuple(buttons),
        slots=tuple(slots),
        named=string(row.get("parameter_format")) == "NAMED",
    )


def _hints(example: Json, part: str) -> dict[str, str]:
    """Meta's examples by place: a list for the header, a list of lists for the body, objects where places have names."""
    named = mappings(example.get(f"{part}_text_named_params"))
    if named:
        return {string(each.get("param_name")): string(each.get("example")) for each in named}
    given = example.get(f"{part}_text")
    if isinstance(given, list) and given and isinstance(given[0], list):
        given = given[0]
    return {str(place): string(value) for place, value in enumerate(given, 1)} if isinstance(given, list) else {}


def fill(template: Template, values: Mapping[str, str]) -> OutboundMessage:
    """The bubble that sends a template with these values, by the keys of its slots.

    :raises BadInput: a value is missing or cannot stand where it should.
    """
    parameters: dict[str, list[Json]] = {}
    for slot in template.slots:
        part, _dot, place = slot.key.partition(".")
        value = " ".join(
            values.get(slot.key, "").split()
        )  # Meta refuses line breaks, tabs and runs of spaces in values
        if not value or len(value) > VALUE_LIMIT:
            raise BadInput(f"The template's place {slot.key} has no value, or one too long.\nFill in every place.")
        made: Json = {"type": "text", "text": value}
        if slot.kind in MEDIA.values():
            if not value.startswith("https://"):
                raise BadInput("The file of a template must be a public address.\nBegin it with https://.")
            made = {"type": slot.kind, slot.kind: {"link": value}}
        elif slot.kind == "coupon":
            made = {"type": "coupon_code", "coupon_code": shorten(value, COUPON_LIMIT)}
        elif template.named and part != "button":
            made["parameter_name"] = place
        where = slot.key if part == "button" else part
        parameters.setdefault(where, []).append(made)
    components: list[Json] = []
    for where, made_of in parameters.items():
        part, _dot, index = where.partition(".")
        component: Json = {"type": part, "parameters": made_of}
        if part == "button":
            kind = "copy_code" if made_of[0]["type"] == "coupon_code" else "url"
            component = {"type": "button", "sub_type": kind, "index": index, "parameters": made_of}
        components.append(component)
    tidy = {key: " ".join(value.split()) for key, value in values.items()}
    payload: Json = {"template": template.name, "language": template.language}
    if components:
        payload["components"] = components
    if template.buttons:
        payload["options"] = [{"id": str(index), "title": title} for index, title in enumerate(template.buttons)]
    return OutboundMessage(kind="template", text=template.text(tidy), payload=payload)
