"""The middle pane: what was said and what happened, as bubbles and lines, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q, QuerySet

from prosa.business.people import Membership
from prosa.business.users import name_of
from prosa.conversations import reasons, thread
from prosa.conversations.models import Attachment, Conversation, Event, Message
from prosa.desk.models import Note

PAGE = 60
RECENT = 300
"""How many messages back a tick may still change under the eyes of whoever has the conversation open."""
SLACK = timedelta(seconds=3)
"""How long a transaction may take: what it wrote bears the time it began at."""
INVISIBLE = ("reaction",)
QUIET_EVENTS = frozenset({"delivery_failed", "delivery_unconfirmed", "person_replied", "remembered"})
"""What the bubbles show already."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a bubble answers to."""

    author: str
    text: str
    message_id: int


@dataclass(slots=True)
class Bubble:
    """A message, note or line. ``side``: in (the customer's), out (ours), note or event. ``key`` orders and names it."""

    key: str
    side: str
    at: datetime
    author: str = ""
    who: str = ""
    text: str = ""
    kind: str = "text"
    kind_name: str = ""
    status: str = ""
    tick: str = ""
    error: str = ""
    message_id: int = 0
    turn_id: int | None = None
    attachments: list[Attachment] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    quote: Quote | None = None
    quotable: bool = False
    """Does the provider know it, so that an answer can point at it?"""
    unfinished: bool = False

    @property
    def bare(self) -> bool:
        """Is it nothing but a picture?"""
        return (
            bool(self.attachments)
            and not self.text
            and all(each.kind in ("image", "sticker", "video") for each in self.attachments)
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a conversation, oldest first. ``older``: message id to ask for the piece before with, 0 at the beginning;
    ``last``: the newest message id, to ask for what comes after; ``newer``: the same where more is known to be there, else 0."""

    bubbles: list[Bubble]
    older: int
    last: int
    newer: int = 0


def newest(conversation: Conversation, before: int = 0, most: int = PAGE) -> Stretch:
    """The newest messages (before message ``before``, when given) with what happened between them."""
    rows = _messages(conversation).order_by("-id")
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: most + 1])
    messages = found[:most][::-1]
    more = len(found) > most
    begin = messages[0].created_at if more and messages else None
    end = None
    if before:
        end = conversation.messages.filter(pk__gte=before).order_by("pk").values_list("created_at", flat=True).first()
    return Stretch(
        _draw(conversation, messages, begin, end),
        messages[0].pk if more else 0,
        messages[-1].pk if messages else 0,
    )


def after(conversation: Conversation, message_id: int, most: int = PAGE) -> Stretch:
    """The messages that follow this one, with what happened since it."""
    rows = list(_messages(conversation).filter(pk__gt=message_id).order_by("id")[: most + 1])
    messages, end = rows[:most], rows[most].created_at if len(rows) > most else None
    last = messages[-1].pk if messages else message_id
    given = conversation.messages.filter(pk__lte=message_id).order_by("-pk")
    begin = given.values_list("created_at", flat=True).first()
    return Stretch(_draw(conversation, messages, begin, end), 0, last, last if end else 0)


def around(conversation: Conversation, message_id: int, most: int = PAGE) -> Stretch:
    """A message (or where it was) with as much before it as after it."""
    if not conversation.messages.filter(pk__gte=message_id).exists():
        return newest(conversation)
    before = newest(conversation, max(1, message_id), most // 2)
    follows = after(conversation, message_id - 1, most - most // 2)
    drawn = {each.key: each for each in (*before.bubbles, *follows.bubbles)}
    return Stretch(list(drawn.values()), before.older, follows.last, follows.newer)


def beside(conversation: Conversation, note_id: int) -> int:
    """The message a note was written after, 0 for none."""
    written = Note.objects.filter(conversation=conversation, pk=note_id).values("created_at")[:1]
    return conversation.messages.filter(created_at__lte=written).aggregate(last=Max("pk"))["last"] or 0


def since(
    conversation: Conversation, last: int, at: datetime | None, unfinished: Iterable[int] = (), most: int = 200
) -> Stretch:
    """What came after message ``last``, and what changed of the messages of before since ``at``.

    ``unfinished``: ids of those whose files were not there yet, or not written down; they are drawn again.
    """
    rows = list(_messages(conversation).filter(pk__gt=last).order_by("id")[:most])
    again = Q(pk__in=list(unfinished)[:most])
    if at is not None:
        at -= SLACK
        recent = conversation.messages.filter(pk__lte=last).order_by("-id").values("pk")[:RECENT]
        again |= Q(
            pk__in=list(conversation.messages.filter(pk__in=recent, status_at__gte=at).values_list("pk", flat=True))
        )
    if reacted := [each.reply_to for each in rows if each.kind == "reaction" and each.reply_to]:
        again |= Q(inbox_id=conversation.inbox_id, provider_id__in=reacted)
    before = list(_messages(conversation).filter(again, pk__lte=last).order_by("id")[:most])
    found = _draw(conversation, [*before, *rows], at, None)
    reached = rows[-1].pk if rows else last
    return Stretch(found, 0, reached, reached if len(rows) == most else 0)


def _messages(conversation: Conversation) -> QuerySet[Message]:
    return conversation.messages.prefetch_related("attachments").select_related("sender__user")


def _draw(
    conversation: Conversation, messages: list[Message], begin: datetime | None, end: datetime | None
) -> list[Bubble]:
    events: QuerySet[Event] = conversation.events.exclude(kind__in=QUIET_EVENTS)
    notes: QuerySet[Note] = Note.objects.filter(conversation=conversation).select_related("member__user")
    if begin is not None:
        events, notes = events.filter(created_at__gte=begin), notes.filter(created_at__gte=begin)
    if end is not None:
        events, notes = events.filter(created_at__lt=end), notes.filter(created_at__lt=end)
    happened = list(events.order_by("-id")[: 2 * PAGE])
    told = thread.in_words(conversation, happened)
    quotes = _quotes(conversation, messages)
    reactions = _reactions(conversation, messages)
    drawn = [_bubble(each, quotes, reactions) for each in messages if each.kind not in INVISIBLE]
    drawn += [Bubble(f"e{each.pk}", "event", each.created_at, text=told[each.pk]) for each in happened]
    drawn += [
        Bubble(f"n{each.pk}", "note", each.created_at, who=_name(each.member), text=each.text)
        for each in notes.order_by("-id")[:PAGE]
    ]
    return sorted(drawn, key=lambda each: (each.at, each.message_id))


def _name(member: Membership | None) -> str:
    return name_of(member) if member else ""


def _bubble(message: Message, quotes: dict[str, Quote], reactions: dict[str, list[str]]) -> Bubble:
    payload: dict[str, Any] = message.payload if isinstance(message.payload, dict) else {}
    files = list(message.attachments.all())
    options = [str(each.get("title", "")) for each in payload.get("options", ()) if isinstance(each, dict)]
    return Bubble(
        key=f"m{message.pk}",
        side=message.direction,
        at=message.created_at,
        author=message.author,
        who=_name(message.sender) if message.sender_id else thread.author_name(message.author),
        text="" if any(each.transcript.strip() == message.text.strip() for each in files) else message.text,
        kind=message.kind,
        kind_name=thread.kind_name(message.kind) if message.kind != "text" else "",
        status=message.status,
        tick=thread.tick(message),
        error=reasons.explain(message.error_code, message.error) if message.status in ("failed", "unconfirmed") else "",
        message_id=message.pk,
        turn_id=message.turn_id if message.direction == "out" else None,
        attachments=files,
        reactions=reactions.get(message.provider_id or "", []),
        options=options,
        quote=quotes.get(message.reply_to) if message.reply_to else None,
        quotable=bool(message.provider_id),
        unfinished=any("waiting" in (each.status, each.hearing) for each in files),
    )


def _quotes(conversation: Conversation, messages: Iterable[Message]) -> dict[str, Quote]:
    wanted = {each.reply_to for each in messages if each.reply_to}
    if not wanted:
        return {}
    rows = conversation.messages.filter(inbox_id=conversation.inbox_id, provider_id__in=wanted)
    return {
        each.provider_id or "": Quote(
            thread.author_name(each.author), each.text[:160] or thread.kind_name(each.kind), each.pk
        )
        for each in rows
    }


def _reactions(conversation: Conversation, messages: Iterable[Message]) -> dict[str, list[str]]:
    """The last reaction of each side to a message; an empty one takes it back."""
    known = {each.provider_id: each.pk for each in messages if each.provider_id}
    if not known:
        return {}
    rows = conversation.messages.filter(kind="reaction", pk__gt=min(known.values()), reply_to__in=known).order_by("id")
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for reply_to, author, text in rows.values_list("reply_to", "author", "text"):
        found[reply_to][author] = text
    return {provider_id: [text for text in by.values() if text] for provider_id, by in found.items()}
