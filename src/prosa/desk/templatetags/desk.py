"""How the desk writes names and texts."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape, format_html, urlize
from django.utils.safestring import SafeString, mark_safe

from prosa.business.users import called
from prosa.desk.access import ASK, FOR_BUSINESS

register = template.Library()
register.filter(called)

HUES = 12
_MARKS = (
    (re.compile(r"(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w_])_(\S(?:[^_\n]*\S)?)_(?![\w_])"), r"<em>\1</em>"),
    (re.compile(r"(?<![\w~])~(\S(?:[^~\n]*\S)?)~(?![\w~])"), r"<s>\1</s>"),
)
"""WhatsApp's marks, around whole words (FACTS 1.4)."""


@register.filter
def initials(name: str) -> str:
    """``Ana Souza`` → ``AS``; numbers give their last two digits."""
    words = [word for word in name.split() if word[0].isalpha()]
    if not words:
        return "".join(character for character in name if character.isdigit())[-2:] or "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


@register.filter
def hue(number: int) -> int:
    """One of twelve colours, always the same for one number."""
    return number % HUES


@register.filter
def tick_icon(status: str) -> str:
    """The symbol of what became of a message."""
    return {
        "queued": "i-clock", "sending": "i-clock", "sent": "i-check", "delivered": "i-checks", "read": "i-checks",
        "played": "i-checks", "withdrawn": "i-slash",
    }.get(status, "i-alert")  # fmt: skip


@register.filter
def chat(text: str) -> SafeString:
    """A message as its reader's phone shows it: links, marks, line breaks. Everything else is escaped."""
    shown = urlize(escape(text), nofollow=True)
    for pattern, marked in _MARKS:
        shown = pattern.sub(marked, shown)
    return mark_safe(shown.replace("\n", "<br>"))  # noqa: S308  escaped above; only our own tags are added


@register.filter
def of_business(page: SafeString, business_id: int) -> SafeString:
    """A settings page whose every form says of which business it is, beside the token against forgery.

    With it, a page left open in another tab never changes the business looked at meanwhile (``access.desk``). Nobody but a
    template writes this tag: what people wrote is escaped.
    """
    said = format_html('<input type="hidden" name="{}" value="{}">', FOR_BUSINESS, business_id)
    beside = '<input type="hidden" name="csrfmiddlewaretoken"'
    return mark_safe(page.replace(beside, said + beside))  # noqa: S308  as safe as it was


@register.simple_tag
def ask(question: str) -> SafeString:
    """In a form that cannot be undone: what is asked first. By ``ask.js`` in a dialog, without scripts by a page."""
    return format_html('<input type="hidden" name="{}" value="{}">', ASK, question)
