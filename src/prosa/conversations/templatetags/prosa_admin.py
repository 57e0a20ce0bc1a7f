"""What the pages of a conversation need to say about a row."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext

from prosa.conversations import reasons, thread
from prosa.conversations.media.downloads import SHOWN, base_type
from prosa.conversations.models import Attachment, Message
from prosa.redaction import redact

register = template.Library()

TICKS = {
    "queued": "◷",
    "sending": "◷",
    "sent": "✓",
    "delivered": "✓✓",
    "read": "✓✓",
    "played": "✓✓",
    "unconfirmed": "?",
    "failed": "✕",
    "withdrawn": "⊘",
}


@register.filter
def ticks(status: str) -> str:
    """The mark customers know from their phones."""
    return TICKS.get(status, "")


@register.filter
def leg(name: str) -> str:
    """One way of searching, as people call it; those of packages go by their own names."""
    return {"words": gettext("words"), "vectors": gettext("meaning")}.get(name, name)


@register.filter
def kind_name(kind: str) -> str:
    """``image`` in the reader's language."""
    return thread.kind_name(kind)


@register.filter
def said(message: Message) -> str:
    """What a message says in words: nothing, when its text only stands in for a file that is shown beside it."""
    shown = {f"[{each.kind}]" for each in message.attachments.all() if each.status == "stored" and shown_as(each)}
    voice = {"[voice message]"} if shown else set()
    return "" if message.text in shown | voice else message.text


@register.filter
def trouble(message: Message) -> str:
    """Why it was not sent, with the provider's own code where there is one."""
    told = reasons.explain(message.error_code, message.error)
    own = message.error_code in (told, "") or message.error_code in reasons.FAILURES
    return told if own else f"{message.error_code} {told}"


@register.filter
def redacted(text: str) -> str:
    """Without secrets and personal numbers."""
    return redact(str(text))


@register.filter
def shown_as(attachment: Attachment) -> str:
    """``image``, ``audio`` or ``video`` when a browser may show it, else empty."""
    kind = base_type(attachment.mime_type)
    return kind.partition("/")[0] if kind in SHOWN else ""
