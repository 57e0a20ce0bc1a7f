"""Keys on the elements they press."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from prosa.desk import keys

register = template.Library()


@register.simple_tag
def key(name: str, said: str | None = None) -> SafeString:
    """Attributes of the element that a key of :data:`keys.KEYS` presses: its name for scripts, and the key for people.

    ``said`` is the tooltip before the key; without it the table's words are, and with an empty one there is none.
    """
    found = keys.KEYS[name]
    attributes = format_html('data-key="{}" aria-keyshortcuts="{}"', name, found.aria)
    if said == "":
        return attributes
    ways = ", ".join(" ".join(way) for way in found.spelled)
    return format_html('{} title="{} ({})"', attributes, said or _(found.label), ways)


@register.simple_tag
def queue_key(name: str) -> SafeString:
    """The same for a queue in the list."""
    return key(f"queue-{name}", "") if f"queue-{name}" in keys.KEYS else SafeString()


@register.inclusion_tag("desk/keys.html")
def key_sheet() -> dict[str, Any]:
    """The sheet of all keys, and the table for the script."""
    return {"groups": keys.sheet(), "table": keys.table()}
