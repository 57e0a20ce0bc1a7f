"""The buttons of the desk that change who has a conversation, or how it is filed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa.business.people import Role
from prosa.business.users import name_of
from prosa.business.zones import zone_named
from prosa.conversations.models import Conversation
from prosa.conversations.ownership import Overtaken, Unread
from prosa.desk import actions
from prosa.desk.access import Seat, desk
from prosa.desk.actions import Seen
from prosa.desk.writing import epoch_of, problem
from prosa.errors import BadInput, ProsaError

MORNING_H = 9
"""When "tomorrow" and "next week" begin, in the business's time."""


def _until(seat: Seat, asked: str) -> datetime:
    now = timezone.now().astimezone(zone_named(seat.business.timezone))
    morning = now.replace(hour=MORNING_H, minute=0, second=0, microsecond=0)
    named = {
        "hour": now + timedelta(hours=1),
        "hours": now + timedelta(hours=3),
        "tomorrow": morning + timedelta(days=1),
        "week": morning + timedelta(days=7 - now.weekday()),
    }
    if asked in named:
        return named[asked]
    try:
        found = datetime.fromisoformat(asked)
        return found if timezone.is_aware(found) else found.replace(tzinfo=now.tzinfo)
    except ValueError:
        raise BadInput(_("That is no time.\nChoose a day and an hour.")) from None


def _seen(request: HttpRequest) -> Seen:
    last = request.POST.get("last", "")
    return Seen(epoch_of(request), int(last[:18]) if last.isdecimal() else None)


def _assign(request: HttpRequest, seat: Seat, conversation: Conversation) -> None:
    kind, _colon, pk = request.POST.get("to", "").partition(":")
    number = int(pk[:18]) if pk.isdecimal() else 0
    member = seat.business.members.filter(pk=number, left_at=None).first() if kind == "member" else None
    team = seat.business.teams.filter(pk=number).first() if kind == "team" else None
    if kind in ("member", "team") and member is None and team is None:
        raise BadInput(_("They are not here any more.\nReload the page."))
    actions.assign(seat, conversation, member, team, _seen(request))


def _snooze(request: HttpRequest, seat: Seat, conversation: Conversation) -> None:
    """Until when they chose; no time brings it back."""
    asked = request.POST.get("until", "").strip()
    if asked:
        actions.snooze(seat, conversation, _until(seat, asked), _seen(request))
    elif conversation.snoozed_until is not None:
        actions.wake(seat, conversation, _seen(request))


MOVES: dict[str, Callable[[HttpRequest, Seat, Conversation], None]] = {
    "take": lambda request, seat, conversation: actions.take(seat, conversation, _seen(request)),
    "assign": _assign,
    "give-back": lambda request, seat, conversation: actions.give_back(seat, conversation, _seen(request)),
    "resolve": lambda request, seat, conversation: actions.resolve(seat, conversation, _seen(request)),
    "reopen": lambda request, seat, conversation: actions.reopen(seat, conversation, _seen(request)),
    "wake": lambda request, seat, conversation: actions.wake(seat, conversation, _seen(request)),
    "snooze": _snooze,
    "afresh": lambda _request, seat, conversation: actions.start_afresh(seat, conversation),
    "block": lambda _request, seat, conversation: actions.block(seat, conversation, on=True),
    "unblock": lambda _request, seat, conversation: actions.block(seat, conversation, on=False),
}


@require_POST
@desk(Role.AGENT)
def move(request: HttpRequest, seat: Seat, conversation_id: int, move: str) -> HttpResponse:
    """One of :data:`MOVES`. 204 when it is done (the stream tells everybody), 409 when a colleague or the customer was faster.

    ``epoch``, ``last``: what the page showed, of who has the conversation and of what was said.
    """
    if move not in MOVES:
        raise Http404
    conversation = seat.conversation(conversation_id)
    try:
        MOVES[move](request, seat, conversation)
    except Overtaken as error:
        who = seat.business.members.filter(pk=error.assignee or 0).select_related("user").first()
        return problem(
            request,
            _("%s took it a moment ago.") % name_of(who)
            if who is not None and who.pk != seat.member.pk
            else _("The conversation changed hands a moment ago."),
            409,
        )
    except Unread:
        return problem(request, _("The customer has just written something more.\nRead it, then do this again."), 409)
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


@require_POST
@desk(Role.AGENT)
def label(request: HttpRequest, seat: Seat, conversation_id: int, label_id: int) -> HttpResponse:
    """Put a label on (``on=1``) or take it off."""
    wanted = seat.business.labels.filter(pk=label_id).first()
    if wanted is None:
        raise Http404
    actions.label(seat, seat.conversation(conversation_id), wanted, on=request.POST.get("on") == "1")
    return HttpResponse(status=204)
