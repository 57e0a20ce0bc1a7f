"""What people do with a case: answer it, say that nobody can, let its time pass. All of it under the conversation's lock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa import sql
from prosa.business.people import Membership
from prosa.conversations import ownership, replying
from prosa.conversations.cases.case import Case
from prosa.conversations.models import Conversation, State
from prosa.errors import BadInput, NotAllowed

queries = sql.load(__file__, "cases.sql")

MOST = 4_000
"""Characters of an answer."""
MOST_REMINDERS = 3
USUAL_MINUTES = 10
"""Between reminders of what was asked before the business wanted no more questions."""
BATCH = 500


def answer(conversation: Conversation, case_id: int, member: Membership, text: str) -> bool:
    """Keep a member's answer. True: the assistant tells the customer; False: people have the conversation by now, and the answer
    is offered to whoever answers there.

    :raises BadInput: nothing was written, or too much.
    :raises NotAllowed: there is no such question any more, it was answered before, or the customer cannot be written to.
    """
    text = sql.clean(text.strip()).decode()
    if not text:
        raise BadInput(_("There is no answer to pass on.\nWrite it first."))
    if len(text) > MOST:
        raise BadInput(_("The answer is too long.\nSay it in fewer words."))
    with transaction.atomic():
        held, case = _held(conversation, case_id)
        late = (
            case.state == "handed_off" and not case.answer and held.state in (State.AWAITING_AGENT, State.AGENT_ACTIVE)
        )
        if case.state != "open" and not late:
            raise _gone(case)
        if held.contact.blocked_at is not None:
            raise NotAllowed(_("The contact is blocked: nobody answers them.\nUnblock them first."))
        left = replying.window_left(held)
        if not late and left is not None and left <= timedelta(0):
            raise NotAllowed(
                _(
                    "The customer wrote more than 24 hours ago, so the assistant cannot write to them any more.\n"
                    "Take the conversation and send a template."
                )
            )
        case.answer, case.answered_by, case.answered_at = text, member, timezone.now()
        case.state = case.state if late else "answered"
        case.save(update_fields=["answer", "answered_by", "answered_at", "state"])
        ownership.tell(held.pk, "case_answered", f"user:{member.user_id}", case=case.pk, answer=text)
        if not late:
            _wake(held.pk)
    return not late


def give_up(conversation: Conversation, case_id: int, member: Membership) -> None:
    """Nobody can answer it: the customer is told so, honestly.

    :raises NotAllowed: there is no such question any more, or it was answered before.
    """
    with transaction.atomic():
        held, case = _held(conversation, case_id)
        if case.state != "open":
            raise _gone(case)
        case.state, case.answered_by, case.answered_at = "answered", member, timezone.now()
        case.save(update_fields=["state", "answered_by", "answered_at"])
        ownership.tell(held.pk, "case_closed", f"user:{member.user_id}", case=case.pk)
        _wake(held.pk)


def remind(case_id: int) -> str:
    """The time of a case has come: what was done (``reminded``, ``over``: the conversation goes to people with its next turn,
    ``closed``: nobody needs it any more), empty when it was not due after all."""
    with transaction.atomic():
        conversation_id = Case.objects.filter(pk=case_id).values_list("conversation_id", flat=True).first()
        if conversation_id is None:
            return ""
        held = _lock(conversation_id)
        case = Case.objects.select_related("business").get(pk=case_id)
        now = timezone.now()
        if case.state != "open" or case.remind_at is None or case.remind_at > now:
            return ""
        if held.state != State.BOT or held.contact.blocked_at is not None:
            Case.objects.filter(pk=case_id).update(state="closed", ended_at=now)
            ownership.tell(held.pk, "case_closed", "system", case=case_id)
            return "closed"
        if case.reminders < MOST_REMINDERS:
            again = now + timedelta(minutes=case.business.case_minutes or USUAL_MINUTES)
            Case.objects.filter(pk=case_id).update(reminders=case.reminders + 1, remind_at=again)
            ownership.tell(
                held.pk, "case_reminded", "system", case=case_id, question=case.question, reminder=case.reminders + 1
            )
            return "reminded"
        Case.objects.filter(pk=case_id).update(remind_at=None)
        _wake(held.pk)
        return "over"


def due() -> list[tuple[int, int]]:
    """The cases whose time has come, each with its business; the longest due first."""
    with connection.cursor() as hand:
        hand.execute(queries.due.decode(), {"most": BATCH})
        return [(case_id, business_id) for case_id, business_id in hand.fetchall()]


def _lock(conversation_id: int) -> Conversation:
    locked: Any = Conversation.objects.select_for_update(of=("self",), no_key=True).select_related("contact", "inbox")
    found: Conversation = locked.get(pk=conversation_id)
    return found


def _held(conversation: Conversation, case_id: int) -> tuple[Conversation, Case]:
    held = _lock(conversation.pk)
    case = Case.objects.filter(pk=case_id, conversation=held, business_id=held.business_id).first()
    if case is None:
        raise NotAllowed(_("There is no such question here.\nReload the page."))
    return held, case


def _gone(case: Case) -> NotAllowed:
    if case.answered_by is not None:
        who = case.answered_by.user.get_full_name() or case.answered_by.user.get_username()
        return NotAllowed(_("%s has answered it already.\nThe conversation shows what came of it.") % who)
    return NotAllowed(_("The question is not open any more.\nLook who has the conversation now."))


def _wake(conversation_id: int) -> None:
    with connection.cursor() as hand:
        hand.execute(queries.wake.decode(), {"conversation_id": conversation_id})
