"""What a person writes at the desk: replies, notes, drafts. Answers are the pieces of the page that changed."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa import realtime
from prosa.business.people import Role
from prosa.conversations.ownership import Overtaken
from prosa.conversations.replying import Enclosure
from prosa.desk import actions
from prosa.desk.access import Seat, desk
from prosa.desk.models import Place
from prosa.desk.queues import name_of
from prosa.errors import ProsaError

TYPING_S = 8
"""How long somebody is said to be typing after their last key."""
MOST_DRAFT = 10_000
MOST_KEY = 64


@require_POST
@desk(Role.AGENT)
def reply(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Send ``text`` and ``file``. ``epoch``: what the writer had before their eyes; ``key``: of this one pressing."""
    conversation = seat.conversation(conversation_id)
    upload = request.FILES.get("file")
    enclosure = None
    if upload is not None:
        enclosure = Enclosure(
            upload.name or "file", upload, upload.size or 0, upload.content_type or "", bool(request.POST.get("voice"))
        )
    try:
        actions.reply(
            seat,
            conversation,
            request.POST.get("text", ""),
            enclosure=enclosure,
            reply_to=request.POST.get("reply_to", "")[:250],
            key=request.POST.get("key", "")[:MOST_KEY] or None,
            known_epoch=_epoch(request),
        )
    except Overtaken as error:
        who = seat.business.members.filter(pk=error.assignee or 0).select_related("user").first()
        text = (
            _("%s has this conversation now. Your text is still here.") % name_of(who)
            if who is not None and who.pk != seat.member.pk
            else _("The conversation changed hands a moment ago. Your text is still here.")
        )
        return problem(request, text, 409)
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


@require_POST
@desk(Role.AGENT)
def note(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Keep ``text`` for colleagues."""
    try:
        actions.note(seat, seat.conversation(conversation_id), request.POST.get("text", ""))
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


@require_POST
@desk(Role.AGENT)
def draft(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Keep what was begun, and tell colleagues that it was. Empty text takes both back."""
    conversation = seat.conversation(conversation_id)
    text = request.POST.get("text", "")[:MOST_DRAFT]
    now = timezone.now()
    place, _made = Place.objects.get_or_create(conversation=conversation, member=seat.member)
    was = place.typing_until is not None and place.typing_until > now
    until = now + timedelta(seconds=TYPING_S) if text.strip() else None
    Place.objects.filter(pk=place.pk).update(
        draft=text, draft_note=bool(request.POST.get("note")), typing_until=until, changed_at=now, read_id=F("read_id")
    )
    if was != (until is not None):
        realtime.publish("conversation", conversation.pk)
    return HttpResponse(status=204)


def _epoch(request: HttpRequest) -> int | None:
    given = request.POST.get("epoch", "")
    return int(given[:9]) if given.isdecimal() else None


def problem(request: HttpRequest, text: str, status: int) -> HttpResponse:
    """Why something was not done, in the place where the page shows it."""
    return render(request, "desk/problem.html", {"text": text}, status=status)
