"""The pages of the desk and their pieces. What changes something is in ``writing`` and ``moves``."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from prosa import realtime
from prosa.business.people import Role
from prosa.business.users import name_of
from prosa.business.zones import zone_named
from prosa.channels import base
from prosa.conversations import replying
from prosa.conversations.media import copies, downloads
from prosa.conversations.models import Attachment, Conversation, State
from prosa.conversations.pages.copilot import handover, ways
from prosa.desk import about, assist, bubbles, canned, cases, presence, queues, schedule, search
from prosa.desk import stream as streaming
from prosa.desk.access import CHOSEN, Seat, desk, seat_of, seats
from prosa.desk.models import Place

FILTERS = ("inbox", "label", "assignee", "team")
"""What narrows the list, as the address names it."""


@desk()
def home(_request: HttpRequest, _seat: Seat) -> HttpResponse:
    """The desk begins at its dashboard."""
    return HttpResponseRedirect(reverse("desk:dashboard"))


@require_POST
@desk()
def choose(request: HttpRequest, _seat: Seat, business_id: int) -> HttpResponse:
    """Look at another of one's businesses."""
    if all(each.business_id != business_id for each in seats(request.user)):
        raise PermissionDenied
    request.session[CHOSEN] = business_id
    return HttpResponseRedirect(reverse("desk:dashboard"))


@require_GET
@never_cache
@desk()
def dashboard(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The whole desk: the queue asked for, and the conversation when one is open."""
    queue = _queue(request)
    context = _shell(request, seat, queue)
    return render(request, "desk/dashboard.html", context)


@require_GET
@never_cache
@desk()
def conversations(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rows of a queue, or the page after a cursor."""
    queue = _queue(request)
    context = _listed(request, seat, queue) | {"first": "after" not in request.GET}
    return render(request, "desk/rows.html", {"seat": seat, "queue": queue} | context)


@require_GET
@never_cache
@desk()
def counts(_request: HttpRequest, seat: Seat) -> HttpResponse:
    """How many wait where."""
    found = queues.counts(seat)
    return JsonResponse(
        {name: getattr(found, name) for name in ("waiting", "mine", "team", "people", "snoozed", "questions")}
        | {"oldest": found.oldest.isoformat() if found.oldest else None}
    )


@require_GET
@never_cache
@desk()
def conversation(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """A conversation beside the queue; its two panes alone when a page of the desk asks."""
    found = seat.conversation(conversation_id)
    context = panes(request, seat, found)
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "desk/conversation.html", context)
    return render(request, "desk/dashboard.html", _shell(request, seat, _queue(request)) | context)


@require_GET
@never_cache
@desk()
def stretch(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """A piece of a conversation: before message ``before``, after message ``after``, around ``around``, or the newest."""
    found = seat.conversation(conversation_id)
    before, after, middle = (_number(request, name) for name in ("before", "after", "around"))
    if middle is not None:
        stretch = bubbles.around(found, middle)
    else:
        stretch = bubbles.newest(found, before or 0) if after is None else bubbles.after(found, after)
    shown = {"conversation": found, "stretch": stretch, "seat": seat, "may_write": seat.may(Role.AGENT)}
    return render(request, "desk/stretch.html", _zone(seat) | shown)


@require_GET
@never_cache
@desk()
def since(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """What came after message ``after``, what changed since the moment ``at``, and who has the conversation now.

    ``unseen=1``: the page is in the background, so nothing of it has been read yet.
    """
    found = seat.conversation(conversation_id)
    last = request.GET.get("after", "")
    try:
        at = datetime.fromisoformat(request.GET.get("at", ""))
    except ValueError:
        at = None
    if at is not None and (timezone.is_naive(at) or not 2000 <= at.year < 3000):
        at = None
    unfinished = [int(each[:18]) for each in request.GET.get("unfinished", "").split(",") if each.isdecimal()]
    stretch = bubbles.since(found, int(last[:18]) if last.isdecimal() else 0, at, unfinished)
    place = _read(seat, found, seen="unseen" not in request.GET)
    return render(request, "desk/since.html", _context(seat, found) | {"stretch": stretch, "place": place})


@require_GET
@desk()
def file(request: HttpRequest, seat: Seat, attachment_id: int) -> HttpResponseBase:
    """A file of one of the business's conversations; ``?copy=mp3`` a copy every browser plays."""
    attachment = Attachment.objects.filter(pk=attachment_id, message__business_id=seat.business.pk).first()
    if attachment is None:
        raise Http404
    if request.GET.get("copy") == "mp3":
        attachment = copies.mp3(attachment)
    return downloads.answer(request, attachment)


async def stream(request: HttpRequest) -> HttpResponseBase:
    """The events of one tab (``text/event-stream``). Under WSGI there are none, and 204 tells the browser not to ask again."""
    if not isinstance(request, ASGIRequest):
        return HttpResponse(status=204)
    comes = await _comes(request)
    if isinstance(comes, int):
        return HttpResponse(status=comes)
    key, drawn_at = request.GET.get("tab", ""), request.GET.get("at", "")
    events = streaming.events(
        comes.member,
        translation.get_language() or "en",
        request.session.session_key or "",
        key if presence.KEY.fullmatch(key) else "",
        float(drawn_at[:18]) if drawn_at.isdecimal() else 0.0,
    )
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


@sync_to_async
def _comes(request: HttpRequest) -> Seat | int:
    """Who opens a stream, or why they may not. The database connection of the request is not kept as long as the stream."""
    try:
        if not request.user.is_authenticated:
            return 401
        place = seat_of(request)
        if place is None or not streaming.seen([place.member.pk]):
            return 403
        return place
    finally:
        connection.close()


# ── contexts ──────────────────────────────────────────────────────────────────────────────────────


def _queue(request: HttpRequest) -> str:
    asked = request.GET.get("queue", "waiting")
    return asked if asked in queues.QUEUES else "waiting"


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given[:18]) if given.isdecimal() else None


def _filters(request: HttpRequest) -> queues.Filters:
    return queues.Filters(
        inbox_id=_number(request, "inbox"),
        assignee_id=_number(request, "assignee"),
        team_id=_number(request, "team"),
        label_id=_number(request, "label"),
    )


def _listed(request: HttpRequest, seat: Seat, queue: str) -> dict[str, Any]:
    """A page of the list: of the queue, or of everything a search found. ``address`` asks for the same again."""
    filters, asked = _filters(request), request.GET.get("q", "").strip()[: search.LONGEST]
    address = urlencode(
        {"queue": queue}
        | {name: request.GET[name] for name in FILTERS if _number(request, name) is not None}
        | ({"q": asked} if asked else {})
    )
    if not asked:
        found = queues.page(seat, queue, filters, request.GET.get("after", ""))
        return {"page": found, "address": address, "asked": ""}
    hits = search.search(seat.business, asked)
    found = queues.page(seat, "all", replace(filters, ids=hits.ids), most=max(1, len(hits.ids)))
    rows = [replace(row, found=hits.lines.get(row.id, ""), found_at=hits.places.get(row.id, "")) for row in found.rows]
    return {"page": queues.Page(rows), "address": address, "asked": asked, "hits": hits}


def choices(seat: Seat, chosen: queues.Filters) -> list[tuple[str, str, list[tuple[int, str, bool]]]]:
    """What the list can be narrowed by: (name, label, (id, name, is it chosen)…), only where there is a choice."""
    people = [(each.pk, name_of(each)) for each in seat.business.members.filter(left_at=None).select_related("user")]
    given: list[tuple[str, str, Any, int | None]] = [
        ("inbox", _("Inbox"), seat.business.inboxes.values_list("pk", "name"), chosen.inbox_id),
        ("label", _("Label"), seat.business.labels.values_list("pk", "name"), chosen.label_id),
        ("assignee", _("Person"), sorted(people, key=lambda each: each[1].casefold()), chosen.assignee_id),
        ("team", _("Team"), seat.business.teams.values_list("pk", "name"), chosen.team_id),
    ]
    return [(name, label, [(pk, text, pk == now) for pk, text in rows]) for name, label, rows, now in given if rows]


def _zone(seat: Seat) -> dict[str, ZoneInfo]:
    return {"zone": zone_named(seat.business.timezone)}


def _shell(request: HttpRequest, seat: Seat, queue: str) -> dict[str, Any]:
    return (
        {"drawn_at": int(time.time())}
        | _zone(seat)
        | _listed(request, seat, queue)
        | {
            "live": isinstance(request, ASGIRequest),
            "seat": seat,
            "seats": seats(request.user),
            "queue": queue,
            "queues": queues.queue_names(),
            "counts": queues.counts(seat),
            "first": True,
            "filters": choices(seat, _filters(request)),
            "narrowed": _filters(request) != queues.Filters(),
            "my_teams": queues.teams_of(seat.member),
            "names": {each.pk: name_of(each) for each in seat.business.members.select_related("user")},
        }
    )


def _context(seat: Seat, found: Conversation) -> dict[str, Any]:
    left, asked = replying.window_left(found), cases.newest(found)
    writing = Place.objects.filter(conversation=found, typing_until__gt=timezone.now()).exclude(member=seat.member)
    places = list(writing.select_related("member__user").order_by("pk"))
    return (
        _zone(seat)
        | {
            "seat": seat,
            "conversation": found,
            "state_label": State(found.state).label,
            "mine": found.assignee_id == seat.member.pk,
            "may_write": seat.may(Role.AGENT),
            "window_left": left,
            "window_closed": left is not None and left <= timedelta(0),
            "window_ends": timezone.now() + left if left is not None and left > timedelta(0) else None,
            "typing": [name_of(each.member) for each in places],
            "look_again": min((_seconds_to(each.typing_until) for each in places if each.typing_until), default=None),
            "thinking": found.state == State.BOT and found.messages.filter(pending=True).exists(),
            "now": timezone.now(),
            "has_templates": base.provider(found.inbox.kind).has_templates,
        }
        | {"case": cases.shown(found, asked)}
        | (
            {"offer": cases.offer(found, asked) or assist.withheld(found), "scheduled": schedule.shown(found)}
            if seat.may(Role.AGENT)
            else {}
        )
    )


def _seconds_to(moment: datetime) -> int:
    return max(1, ceil((moment - timezone.now()).total_seconds()))


def panes(request: HttpRequest, seat: Seat, found: Conversation) -> dict[str, Any]:
    """Everything the middle and the right pane show. ``at`` in the address: the message, or ``n`` and the note, it begins with."""
    place = _read(seat, found)
    stretch, shown, last = _opened(found, request.GET.get("at", ""))
    return (
        _context(seat, found)
        | about.pane(seat, found)
        | {
            "stretch": stretch,
            "shown": shown,
            "last": last,
            "handover": handover(found),
            "copilot_ways": ways(),
            "draft": place.draft,
            "draft_note": place.draft_note,
            "canned": canned.ready(seat, found),
            "sending": {"types": replying.SENDABLE, "most": replying.MOST_BYTES},
            "queue": _queue(request),
        }
    )


def _opened(found: Conversation, at: str) -> tuple[bubbles.Stretch, str, int]:
    """What is shown first, the key of the bubble looked for (empty for the end), and the newest message there is."""
    number = at.removeprefix("n")[:18]
    if not number.isdecimal():
        stretch = bubbles.newest(found)
        return stretch, "", stretch.last
    noted = at.startswith("n")
    stretch = bubbles.around(found, bubbles.beside(found, int(number)) if noted else int(number))
    newest = found.messages.order_by("-pk").values_list("pk", flat=True).first()
    return stretch, f"{'n' if noted else 'm'}{number}", newest or 0


def _read(seat: Seat, found: Conversation, *, seen: bool = True) -> Place:
    place, _made = Place.objects.get_or_create(conversation=found, member=seat.member)
    if seen and place.read_id < found.last_inbound_id:
        Place.objects.filter(pk=place.pk).update(read_id=found.last_inbound_id)
        realtime.publish("place", found.pk)  # this person's other desks know it is read
    return place
