"""Message templates: texts a provider has approved, which may be sent when the customer wrote too long ago for free ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
"""A place for a value in a template's text: ``{{1}}`` or ``{{first_name}}``."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One value a template asks for.

    ``key`` names it within the template (``body.1``, ``button.0``). ``kind``: text; image, video or document (an https
    address); coupon (a code to copy). ``hint`` is what the provider was shown as an example.
    """

    key: str
    kind: str = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """One approved template in one language.

    ``id`` is the provider's own and unique in an inbox. ``parts`` are its texts with their places, each (part, text): header,
    body, footer. ``buttons`` are their labels. ``named`` when places have names instead of numbers.
    """

    id: str
    name: str
    language: str
    category: str
    parts: tuple[tuple[str, str], ...]
    buttons: tuple[str, ...] = ()
    slots: tuple[Slot, ...] = ()
    named: bool = False

    def text(self, values: Mapping[str, str]) -> str:
        """As the customer will read it; places without a value stay visible."""

        def filled(part: str, text: str) -> str:
            return PLACE.sub(lambda place: values.get(f"{part}.{place[1]}") or place[0], text)

        return "\n".join(filled(part, text) for part, text in self.parts)
