"""What the assistant asks people, at the desk: the card on top of a conversation, its answer, and the clock that reminds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa.business.models import Business
from prosa.business.people import Role
from prosa.business.users import name_of
from prosa.conversations.cases import answering
from prosa.conversations.cases.case import Case
from prosa.conversations.models import Conversation, State
from prosa.desk import assignment
from prosa.desk.access import Seat, desk
from prosa.desk.assist import Offer
from prosa.desk.writing import problem
from prosa.errors import BadInput, ProsaError
from prosa.queue import periodic

_WITH_PEOPLE = (State.AWAITING_AGENT, State.AGENT_ACTIVE)


@dataclass(frozen=True, slots=True)
class Card:
    """A question as the desk shows it. ``state``: open, answered (the assistant is just telling the customer) or handed_off."""

    id: int
    state: str
    question: str
    at: datetime
    team: str
    reminders: int
    answer: str
    by: str


def newest(conversation: Conversation) -> Case | None:
    """The last question asked in a conversation."""
    found = Case.objects.filter(conversation=conversation, business_id=conversation.business_id)
    return found.select_related("team", "answered_by__user").order_by("-id").first()


def shown(conversation: Conversation, case: Case | None) -> Card | None:
    """What stands on top of the conversation: what is open, and for whoever took it over what had been asked."""
    if case is None or not (
        case.state in ("open", "answered") or (case.state == "handed_off" and conversation.state in _WITH_PEOPLE)
    ):
        return None
    return Card(
        case.pk, case.state, case.question, case.created_at, str(case.team or ""), case.reminders, case.answer,
        name_of(case.answered_by) if case.answered_by else "",
    )  # fmt: skip


def offer(conversation: Conversation, case: Case | None) -> Offer | None:
    """An answer that the assistant could not pass on any more, for whoever has the conversation, until they have written."""
    if case is None or not case.answer or conversation.state not in _WITH_PEOPLE:
        return None
    if case.state == "relayed":
        told = conversation.messages.filter(turn_id=case.relay_id, direction="out")
        if told.exclude(status="withdrawn").exists():
            return None
    elif case.state != "handed_off":
        return None
    if conversation.messages.filter(author="agent", created_at__gt=case.answered_at or timezone.now()).exists():
        return None
    return Offer(case.answer, by=name_of(case.answered_by) if case.answered_by else "")


@require_POST
@desk(Role.AGENT)
def answer(request: HttpRequest, seat: Seat, conversation_id: int, case_id: int) -> HttpResponse:
    """``text`` is the answer. 204 when the assistant tells it; 200 with a word where it is offered to whoever has the
    conversation now; 409 when somebody was faster."""
    conversation = seat.conversation(conversation_id)
    try:
        told = answering.answer(conversation, case_id, seat.member, request.POST.get("text", ""))
    except BadInput as error:
        return problem(request, str(error), 422)
    except ProsaError as error:
        return problem(request, str(error), 409)
    if told:
        return HttpResponse(status=204)
    return problem(
        request, _("A person has this conversation by now. Your answer is offered to them as a suggestion."), 200
    )


@require_POST
@desk(Role.AGENT)
def close(request: HttpRequest, seat: Seat, conversation_id: int, case_id: int) -> HttpResponse:
    """Nobody can answer it; the assistant tells the customer so. 204, or 409 when somebody was faster."""
    try:
        answering.give_up(seat.conversation(conversation_id), case_id, seat.member)
    except ProsaError as error:
        return problem(request, str(error), 409)
    return HttpResponse(status=204)


@periodic("* * * * *")
def remind() -> None:
    """Remind people of what is open; while nobody is at work, the questions wait."""
    due = answering.due()
    businesses = Business.objects.in_bulk({business_id for _case, business_id in due})
    now = timezone.now()
    at_work = {pk for pk, business in businesses.items() if assignment.opening(business).open_at(now)}
    for case_id, business_id in due:
        if business_id in at_work:
            answering.remind(case_id)
