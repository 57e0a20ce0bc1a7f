"""Messages written now and sent later: planned, taken back, and sent by a worker when their time has come.

Each is sent once: its row is locked while it is sent, and the message carries its number as key. Who has the conversation keeps
it, and what the customer asks goes on waiting for an answer: nobody has read it for having written this.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa import realtime
from prosa.business.people import Role
from prosa.business.zones import zone_named
from prosa.conversations import ownership, replying
from prosa.conversations.models import Conversation, State
from prosa.desk.access import Seat, desk
from prosa.desk.models import Place, Scheduled
from prosa.desk.writing import problem
from prosa.errors import BadInput, NotAllowed, ProsaError
from prosa.queue import periodic

log = logging.getLogger(__name__)

FARTHEST = timedelta(days=365)
MOST_WAITING = 20
"""In one conversation."""
AT_ONCE = 200
"""In one round of the worker; the rest goes in the next."""


def shown(conversation: Conversation) -> QuerySet[Scheduled]:
    """What waits in a conversation, and what could not be sent, until somebody puts it away."""
    return conversation.scheduled.filter(status__in=("waiting", "failed")).select_related("member__user")


def plan(seat: Seat, conversation: Conversation, text: str, at: datetime) -> Scheduled:
    """Send ``text`` at a moment to come.

    :raises BadInput: no text, too long a text, or no such moment.
    :raises NotAllowed: too many wait already, or the conversation is resolved.
    """
    text = text.strip()
    if not text:
        raise BadInput(_("There is nothing to send.\nWrite something first."))
    if len(text) > replying.MOST_CHARACTERS:
        raise BadInput(_("The message is too long.\nMake two of it."))
    now = timezone.now()
    if not now < at <= now + FARTHEST:
        raise BadInput(_("Choose a time to come, within a year."))
    if conversation.state == State.RESOLVED:
        raise NotAllowed(_("The conversation is resolved.\nRe-open it first."))
    with transaction.atomic():
        Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)
        if conversation.scheduled.filter(status="waiting").count() >= MOST_WAITING:
            raise NotAllowed(_("Too many messages wait here already.\nTake one back first."))
        made = Scheduled.objects.create(
            conversation=conversation, business=seat.business, member=seat.member, text=text, send_at=at
        )
        Place.objects.filter(conversation=conversation, member=seat.member).update(draft="", typing_until=None)
        realtime.publish("conversation", conversation.pk)
    return made


def take_back(conversation: Conversation, pk: int) -> None:
    """It will not be sent; or its failure was seen.

    :raises NotAllowed: it has left, or was never there.
    """
    with transaction.atomic():
        row = conversation.scheduled.select_for_update().filter(pk=pk, status__in=("waiting", "failed")).first()
        if row is None:
            raise NotAllowed(_("It was sent or taken back a moment ago."))
        row.status = "cancelled"
        row.save(update_fields=["status"])
        realtime.publish("conversation", conversation.pk)


@periodic("* * * * *")
def send_due() -> None:
    """Send what is due. One that cannot be sent says why at its place in the conversation."""
    due = Scheduled.objects.filter(status="waiting", send_at__lte=timezone.now()).order_by("send_at", "pk")
    for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]):
        try:
            send(pk)
        except Exception:  # one bad row must not keep the others
            log.exception("The scheduled message %s could not be sent; it is tried again in a minute.", pk)


def send(pk: int) -> None:
    """Send one, unless somebody else is at it or it was taken back."""
    with transaction.atomic():
        row = (
            Scheduled.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("member__user", "business")
            .filter(pk=pk, status="waiting")
            .first()
        )
        if row is None:
            return
        conversation = Conversation.objects.select_related("contact", "inbox", "business").get(pk=row.conversation_id)
        with translation.override(row.business.locale):
            try:
                with transaction.atomic():
                    _leave(row, conversation)
                row.status = "sent"
            except ProsaError as error:
                row.status, row.error = "failed", str(error)
                why = row.error.partition("\n")[0]
                ownership.tell(
                    row.conversation_id, "unsent", f"user:{row.member.user_id}", scheduled=row.pk, reason=why
                )
        row.save(update_fields=["status", "error"])
        realtime.publish("conversation", row.conversation_id)


def _leave(row: Scheduled, conversation: Conversation) -> None:
    if row.member.left_at is not None or not row.member.may(Role.AGENT):
        raise NotAllowed(_("Who wrote it may not answer customers any more."))
    replying.reply(conversation, row.member, row.text, key=f"{replying.LATER}{row.pk}", written_before=True)


# ── the desk ──────────────────────────────────────────────────────────────────────────────────────


@require_POST
@desk(Role.AGENT)
def later(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Send ``text`` at ``at`` (ISO; without an offset it is the business's time)."""
    conversation = seat.conversation(conversation_id)
    try:
        plan(seat, conversation, request.POST.get("text", ""), _moment(seat, request.POST.get("at", "")))
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


@require_POST
@desk(Role.AGENT)
def back(request: HttpRequest, seat: Seat, conversation_id: int, scheduled_id: int) -> HttpResponse:
    """Take one back, or put its failure away."""
    conversation = seat.conversation(conversation_id)
    if not conversation.scheduled.filter(pk=scheduled_id).exists():
        raise Http404
    try:
        take_back(conversation, scheduled_id)
    except ProsaError as error:
        return problem(request, str(error), 409)
    return HttpResponse(status=204)


def _moment(seat: Seat, given: str) -> datetime:
    try:
        found = datetime.fromisoformat(given)
        return found if timezone.is_aware(found) else found.replace(tzinfo=zone_named(seat.business.timezone))
    except ValueError:
        raise BadInput(_("That is no time.\nChoose a day and an hour.")) from None
