"""The copilot at the desk: a suggested reply with its sources, the assistant's draft that a person forestalled, other words.

Nothing of it is sent: it comes into the field, where a person reads it first.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa.agents.copilot import MOST
from prosa.business.people import Role
from prosa.channels import base
from prosa.contracts import Reply
from prosa.conversations import copilot
from prosa.conversations.copilot import Source
from prosa.conversations.models import Conversation, State
from prosa.conversations.pages.copilot import ways
from prosa.conversations.receiver import Unavailable
from prosa.conversations.replying import LATER
from prosa.desk.access import Seat, desk
from prosa.desk.writing import problem
from prosa.errors import BadInput, NotAllowed, ProsaError


@dataclass(frozen=True, slots=True)
class Offer:
    """A text to take or leave, in the marks of the channel. ``turn_id``: of the assistant's draft, 0 for a new suggestion.

    ``known`` is False when nothing the business has written down answers the customer. ``by`` is the colleague whose answer to
    the assistant's question it is.
    """

    text: str
    sources: tuple[Source, ...] = ()
    model: str = ""
    known: bool = True
    turn_id: int = 0
    by: str = ""


def written(conversation: Conversation, markdown: str) -> str:
    """What an assistant wrote, as this conversation's channel would carry it."""
    bubbles = base.provider(conversation.inbox.kind).compose(Reply(markdown))
    return "\n\n".join(bubble.text for bubble in bubbles if bubble.text)


def withheld(conversation: Conversation) -> Offer | None:
    """What the assistant was about to say when a person took over, until a person has said something after it."""
    if conversation.state not in (State.AWAITING_AGENT, State.AGENT_ACTIVE):
        return None
    turn = conversation.turns.order_by("-id").first()
    if turn is None or turn.outcome != "withheld" or not turn.draft.strip():
        return None
    last = conversation.messages.filter(direction="out", author="agent", created_at__gt=turn.finished_at).exclude(
        key__startswith=LATER
    )
    if last.aggregate(last=Max("id"))["last"] is not None:
        return None
    return Offer(written(conversation, turn.draft), model=turn.model, turn_id=turn.pk)


@require_POST
@desk(Role.AGENT)
def suggest(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """A suggestion as a piece of the page; calm words where there is none."""
    conversation = seat.conversation(conversation_id)
    try:
        found = copilot.now(lambda door: copilot.suggest(door, seat.business.pk, conversation.pk))
    except BadInput:
        return problem(request, _("The customer has written nothing yet that could be answered."), 422)
    except (ProsaError, Unavailable, TimeoutError):
        return problem(request, _("No suggestion can be made just now. Try again in a moment."), 503)
    if not found.text.strip():
        return problem(request, _("Nothing the business has written down answers this."), 422)
    offer = Offer(written(conversation, found.text), found.sources, found.model, found.known)
    return render(request, "desk/suggestion.html", {"offer": offer})


@require_POST
@desk(Role.AGENT)
def rewrite(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """``text`` in one ``way``, as JSON; every figure of it stays."""
    conversation = seat.conversation(conversation_id)
    text, way = request.POST.get("text", "").strip(), request.POST.get("way", "")
    if way not in dict(ways()):
        return problem(request, _("There is no such way to rewrite."), 422)
    if not text:
        return problem(request, _("Write something first; then it can be put in other words."), 422)
    if len(text) > MOST:
        return problem(request, _("The text is too long to be rewritten."), 422)
    try:
        told = copilot.now(lambda door: copilot.rewrite(door, seat.business.pk, conversation.pk, text, way))
    except BadInput:
        return problem(
            request, _("Every try changed a price, date or number, so your own words were kept. Try another way."), 422
        )
    except NotAllowed:
        return problem(
            request,
            _("No model can be asked just now: none is set, it does not answer, or its budget is used up."),
            409,
        )
    except (ProsaError, Unavailable, TimeoutError):
        return problem(request, _("It could not be rewritten just now. Try again in a moment."), 503)
    return JsonResponse({"text": told})
