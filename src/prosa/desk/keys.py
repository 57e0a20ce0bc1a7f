"""The keys of the desk: one table, from which the sheet behind ``?``, the tooltips and ``keys.js`` come.

A key is heard outside of fields; ``inside`` is the letter that does the same with Alt while one writes. Letters that browsers
or keyboards need with Alt are left alone: D, E, F, H, S, V, B, T (menus and the address bar), C, I, N, U (accents on a Mac).
What a key does is said by the element that bears its name (``{% key "take" %}``): it is pressed, or gets the focus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from prosa.desk.queues import QUEUES


@dataclass(frozen=True, slots=True)
class Key:
    """``key``: as a person writes it (``t``, ``Shift+Z``, ``?``). ``focuses``: the element is only gone to, and then used."""

    name: str
    key: str
    label: str
    inside: str = ""
    focuses: bool = False

    @property
    def spelled(self) -> list[list[str]]:
        """Each way to press it, as the keys of the keyboard."""
        ways = [self.key, f"Alt+{self.inside}" if self.inside else ""]
        return [way.split("+") for way in ways if way]

    @property
    def aria(self) -> str:
        """As ``aria-keyshortcuts`` wants it."""
        return " ".join("+".join(way) for way in self.spelled)


GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    (
        gettext_noop("The list"),
        (
            Key("next", "j", gettext_noop("Next conversation")),
            Key("previous", "k", gettext_noop("Previous conversation")),
            Key("search", "/", gettext_noop("Search"), focuses=True),
            Key("filter", "f", gettext_noop("Filter")),
            Key("available", "v", gettext_noop("Available or away")),
            Key("help", "?", gettext_noop("This sheet")),
            Key("leave", "Esc", gettext_noop("Leave the field; back to the list")),
        ),
    ),
    (
        gettext_noop("Queues"),
        tuple(Key(f"queue-{name}", str(place), label) for place, (name, label) in enumerate(QUEUES.items(), 1)),
    ),
    (
        gettext_noop("The conversation"),
        (
            Key("take", "t", gettext_noop("Take")),
            Key("assign", "a", gettext_noop("Assign to a person or a team"), focuses=True),
            Key("give-back", "b", gettext_noop("Give back to the assistant")),
            Key("resolve", "e", gettext_noop("Resolve")),
            Key("reopen", "o", gettext_noop("Re-open")),
            Key("snooze", "z", gettext_noop("Put aside"), focuses=True),
            Key("wake", "Shift+Z", gettext_noop("Bring back")),
            Key("label", "l", gettext_noop("Labels"), focuses=True),
            Key("case", "c", gettext_noop("Answer the assistant's question"), focuses=True),
            Key("afresh", "Shift+F", gettext_noop("Start afresh")),
            Key("about", "i", gettext_noop("About the customer")),
            Key("merge", "m", gettext_noop("Merge with another contact")),
            Key("block", "x", gettext_noop("Block or unblock")),
        ),
    ),
    (
        gettext_noop("Writing"),
        (
            Key("reply", "r", gettext_noop("Reply"), "R"),
            Key("note", "n", gettext_noop("Note"), "M"),
            Key("quote", "q", gettext_noop("Answer to the customer's last message"), "Q"),
            Key("suggest", "s", gettext_noop("Suggest a reply"), "O"),
            Key("use", "y", gettext_noop("Use the suggestion"), "Y"),
            Key("refuse", "Shift+Y", gettext_noop("Refuse the suggestion"), "X"),
            Key("rewrite", "w", gettext_noop("Put what you wrote in other words"), "W"),
            Key("template", "p", gettext_noop("Send an approved template"), "P"),
            Key("later", "Shift+L", gettext_noop("Send later"), "L"),
            Key("attach", "Shift+A", gettext_noop("Attach a file"), "A"),
            Key("record", "Shift+R", gettext_noop("Record a voice note"), "K"),
            Key("emoji", "g", gettext_noop("Emoji"), "G"),
        ),
    ),
)

KEYS: dict[str, Key] = {key.name: key for _title, keys in GROUPS for key in keys}


def sheet() -> list[tuple[str, list[tuple[Key, str]]]]:
    """The groups with their keys, in the current language."""
    return [(_(title), [(key, _(key.label)) for key in keys]) for title, keys in GROUPS]


def table() -> list[dict[str, Any]]:
    """What ``keys.js`` knows."""
    return [
        {"name": each.name, "key": each.key, "inside": each.inside, "focuses": each.focuses} for each in KEYS.values()
    ]
