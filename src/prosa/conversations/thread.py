"""A conversation as a page to read: messages, what happened between them, and why the bot said what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from prosa.business.users import called
from prosa.business.zones import zone_named
from prosa.conversations import reasons
from prosa.conversations.models import Conversation, Event, Message, Turn
from prosa.redaction import redact_data

PAGE = 200
TRACE_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Why:
    """How an answer came to be. ``cost`` is US$ without idle zeros, None when unknown; ``stages`` are (name, milliseconds)."""

    turn: Turn
    cost: str | None
    stages: list[tuple[str, float]]
    trace: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the page: exactly one of ``message``, ``event`` and ``turn`` (a draft nobody got) is set."""

    at: datetime
    message: Message | None = None
    event: Event | None = None
    turn: Turn | None = None
    why: Why | None = None
    words: str = ""
    tick: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """A page, oldest first. ``older`` is the message id to ask for the page before it with; 0 when this is the first."""

    entries: list[Entry] = field(default_factory=list)
    older: int = 0


def read(conversation: Conversation, before: int = 0) -> Thread:
    """The newest :data:`PAGE` messages (before message ``before``, when given), in a constant number of queries."""
    rows = conversation.messages.select_related("turn").prefetch_related("attachments").order_by("-id")
    if before:
        rows = rows.filter(pk__lt=before)
    newest = list(rows[: PAGE + 1])
    messages = newest[:PAGE][::-1]
    more = len(newest) > PAGE
    events = conversation.events.all()
    drafts = conversation.turns.exclude(outcome="answered")
    if more:
        events, drafts = (
            events.filter(created_at__gte=messages[0].created_at),
            drafts.filter(finished_at__gte=messages[0].created_at),
        )
    if before and (following := conversation.messages.filter(pk__gte=before).order_by("pk").first()):
        events, drafts = (
            events.filter(created_at__lt=following.created_at),
            drafts.filter(finished_at__lt=following.created_at),
        )
    happened = list(events.order_by("-id")[: 2 * PAGE])
    entries = [_message(message) for message in messages]
    told = in_words(conversation, happened)
    entries += [Entry(event.created_at, event=event, words=told[event.pk]) for event in happened]
    entries += [
        Entry(turn.finished_at, turn=turn, why=_why(turn), words=_unsaid(turn))
        for turn in drafts.order_by("-id")[:PAGE]
    ]
    return Thread(
        sorted(entries, key=lambda entry: (entry.at, entry.message.pk if entry.message else 0)),
        messages[0].pk if more else 0,
    )


def _message(message: Message) -> Entry:
    # A customer's message knows the turn that read it; only what that turn said needs explaining.
    why = _why(message.turn) if message.turn and message.direction == "out" else None
    return Entry(message.created_at, message=message, why=why, words=author_name(message.author), tick=tick(message))


def _why(turn: Turn) -> Why:
    stages = [
        (name.removesuffix("_ms"), float(took))
        for name, took in (turn.stages or {}).items()
        if isinstance(took, int | float)
    ]
    cost = None if turn.cost is None else f"{turn.cost.normalize():f}"
    trace = json.dumps(redact_data(turn.trace), indent=2, ensure_ascii=False, default=str) if turn.trace else ""
    return Why(turn, cost, stages, trace[:TRACE_CHARACTERS])


def kind_name(kind: str) -> str:
    """What a message is when it is more than words; kinds without a name of their own keep the protocol's."""
    return {
        "image": _("image"),
        "audio": _("audio"),
        "video": _("video"),
        "document": _("document"),
        "sticker": _("sticker"),
        "location": _("location"),
        "contacts": _("contact card"),
        "buttons": _("buttons"),
        "button": _("button pressed"),
        "list": _("list"),
        "reaction": _("reaction"),
        "template": _("template"),
        "order": _("order"),
    }.get(kind, kind)


def author_name(author: str) -> str:
    """Who speaks, for people."""
    return {
        "customer": _("Customer"),
        "bot": _("Assistant"),
        "agent": _("Person"),
        "owner_phone": _("Business phone"),
        "system": _("System"),
    }.get(author, author)


def tick(message: Message) -> str:
    """What became of a message, for people; empty for what a customer wrote."""
    return {
        "queued": _("queued"),
        "sending": _("sending"),
        "sent": _("sent"),
        "delivered": _("delivered"),
        "read": _("read"),
        "played": _("played"),
        "unconfirmed": _("not confirmed"),
        "failed": _("failed"),
        "withdrawn": _("withdrawn"),
    }.get(message.status, "")


def _unsaid(turn: Turn) -> str:
    return {
        "withheld": _("Answer withheld: a person took over"),
        "superseded": _("Draft dropped: a newer message came"),
        "silent": _("The assistant had nothing to say"),
        "failed": _("The attempt to answer failed"),
    }.get(turn.outcome, turn.outcome)


def in_words(conversation: Conversation, events: list[Event]) -> dict[int, str]:
    """Each event of the timeline as a line for people, by its id. Moments are in the business's time."""
    names, zone = _names(events), zone_named(conversation.business.timezone)
    return {event.pk: _line(event, names, zone) for event in events}


def _names(events: list[Event]) -> dict[str, str]:
    """What the users among the actors, and the members named in the data, are called."""
    users = get_user_model()
    ids = {event.actor.partition(":")[2] for event in events if event.actor.startswith("user:")}
    logins = {str(event.data.get("member")) for event in events if isinstance(event.data, dict)} - {"", "None"}
    asked = Q(pk__in=[pk for pk in ids if pk.isdecimal()]) | Q(**{f"{users.USERNAME_FIELD}__in": logins})
    found = list(users._default_manager.filter(asked)) if ids or logins else []  # noqa: SLF001  the documented way to a custom user model's manager
    names = {user: called(user) for user in found}
    return {f"user:{user.pk}": name for user, name in names.items()} | {
        user.get_username(): name for user, name in names.items()
    }


def _what(event: Event, data: dict[str, Any], names: dict[str, str], zone: ZoneInfo) -> str:
    """What happened, with whom it concerns and until when."""
    team = str(data.get("team") or "")
    if event.kind == "assigned":
        member = str(data.get("member") or "")
        to = names.get(member, member)
        if to and team:
            return _("assigned to %(person)s (%(team)s)") % {"person": to, "team": team}
        return _("assigned to %s") % (to or team) if to or team else _("waits for anybody")
    if event.kind == "snoozed" and (until := _moment(data.get("until"), zone)):
        return _("snoozed until %s") % until
    if event.kind == "handed_off" and team:
        return _("passed to a person (%s)") % team
    told: dict[str, str] = {
        "handed_off": _("passed to a person"),
        "taken": _("taken by a person"),
        "person_replied": _("a person replied"),
        "given_back": _("given back to the assistant"),
        "resolved": _("resolved"),
        "snoozed": _("snoozed"),
        "woken": _("back from snooze"),
        "linked": _("linked to the customer %s") % data.get("customer", ""),
        "unlinked": _("no longer linked to the customer %s") % data.get("customer", ""),
        "merged": _("merged with the contact %s") % data.get("contact", ""),
        "unmerged": _("no longer merged with the contact %s") % data.get("contact", ""),
        "blocked": _("contact blocked"),
        "unblocked": _("contact unblocked"),
        "reopened": _("re-opened"),
        "escalated": _("waits too long: administrators are told"),
        "unsent": _("a message for later could not be sent"),
        "opened": _("opened"),
        "not_answered": _("left unanswered"),
        "remembered": _("remembered what the customer told"),
        "forgotten": _("something remembered was erased"),
        "began_afresh": _("started afresh"),
        "passed_on": _("passed on to a specialist"),
        "action_proposed": _("asked to confirm"),
        "action_confirmed": _("confirmed"),
        "action_refused": _("not confirmed"),
        "action_replaced": _("given up for another"),
        "action_expired": _("not confirmed in time"),
        "tool_done": _("done by a tool"),
        "tool_failed": _("a tool could not do it"),
        "tool_unknown": _("not known whether it was done: please look"),
        "identity_proved": _("proved who they are"),
        "identity_not_proved": _("could not prove who they are"),
        "case_asked": _("asked the team"),
        "case_reminded": _("reminded the team of a question"),
        "case_answered": _("answered the assistant's question"),
        "case_relayed": _("told the customer the team's answer"),
        "case_closed": _("the assistant's question was closed without an answer"),
    }
    return told.get(event.kind, event.kind.replace("_", " "))


def _moment(given: Any, zone: ZoneInfo) -> str:
    try:
        at = datetime.fromisoformat(str(given))
    except ValueError:
        return ""
    return date_format(timezone.localtime(at, zone), "SHORT_DATETIME_FORMAT") if timezone.is_aware(at) else ""


def _line(event: Event, names: dict[str, str], zone: ZoneInfo) -> str:
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
    who = names.get(event.actor) or {
        "customer": _("Customer"),
        "bot": _("Assistant"),
        "system": _("System"),
        "owner_phone": _("Business phone"),
    }.get(event.actor, event.actor)
    reason = data.get("reason") or ""
    if event.kind == "passed_on":
        reason = f"{data.get('from')} → {data.get('to')}" + (f": {reason}" if reason else "")
    reason = reasons.told(reason)
    settled = data.get("summary") or data.get("tool") or data.get("way")
    if event.kind in ("case_asked", "case_answered"):
        settled = f"“{data.get('answer') or data.get('question')}”"
    return " · ".join(str(part) for part in (_what(event, data, names, zone), who, reason, settled) if part)
