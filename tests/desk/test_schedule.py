"""What was written for later leaves beside whatever goes on in its conversation, and changes none of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.conversations import ownership
from prosa.conversations.lanes import Dispatch, Lane
from prosa.conversations.models import Conversation, Event, Message, State, Turn
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.desk import assist, clocks, notices, schedule
from prosa.desk.models import Scheduled
from prosa.desk.models_notices import Notice, Outlet, Way

Talk = Callable[..., Conversation]


def leave(conversation: Conversation, member: Membership) -> Scheduled:
    """What ``member`` wrote yesterday is due."""
    row = Scheduled.objects.create(
        conversation=conversation, business=conversation.business, member=member, text="Amanhã às 9!", send_at=timezone.now()
    )  # fmt: skip
    schedule.send_due()
    row.refresh_from_db()
    return row


def facts(conversation: Conversation) -> dict[str, Any]:
    """Who answers, and what waits for an answer."""
    conversation.refresh_from_db()
    names = ("state", "epoch", "assignee_id", "team_id", "unread", "snoozed_until", "snoozed_from", "state_at")
    found = {name: getattr(conversation, name) for name in names}
    asking = list(conversation.messages.filter(pending=True).values_list("pk", flat=True))
    return found | {"asking": asking, "events": conversation.events.count()}


@pytest.mark.parametrize(
    "who", ["the bot's", "anybody's", "a colleague's to take", "a colleague's", "the writer's", "put aside"]
)
def test_it_answers_no_question_and_takes_nothing(who: str, bia: Membership, rui: Membership, talk: Talk):
    conversation = talk(state=State.BOT)
    Message.objects.filter(conversation=conversation).update(pending=True)
    wishes = {
        "the bot's": [],
        "anybody's": [Wish(Move.HAND_OFF, "bot")],
        "a colleague's to take": [Wish(Move.ASSIGN, "user:1", assignee=rui.pk)],
        "a colleague's": [Wish(Move.TAKE, "user:1", assignee=rui.pk)],
        "the writer's": [Wish(Move.TAKE, "user:1", assignee=bia.pk)],
        "put aside": [
            Wish(Move.TAKE, "user:1", assignee=rui.pk), Wish(Move.SNOOZE, "user:1", assignee=rui.pk, snooze=600)
        ],
    }  # fmt: skip
    for wish in wishes[who]:
        ownership.act(conversation.pk, wish)
    before = facts(conversation)
    assert len(before["asking"]) == before["unread"] == 1
    assert leave(conversation, bia).status == "sent"
    out = Message.objects.get(direction="out")
    assert (out.text, out.author, out.sender, out.status) == ("Amanhã às 9!", "agent", bia, "queued")
    assert facts(conversation) == before


def older(conversation: Conversation, minutes: int = 60) -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    Event.objects.filter(conversation=conversation).update(created_at=at)
    Message.objects.filter(conversation=conversation).update(created_at=at)
    Conversation.objects.filter(pk=conversation.pk).update(state_at=at, last_inbound_at=at)


def test_whoever_has_it_still_owes_an_answer(bia: Membership, business: Business, talk: Talk):
    """The assistant has it back in time, and people are told before."""
    Business.objects.update(handback_minutes=30)
    Outlet.objects.create(business=business, member=bia, way=Way.EMAIL, unanswered_minutes=10)
    conversation = talk()
    ownership.take(conversation.pk, f"user:{bia.user_id}", bia.pk)
    leave(conversation, bia)
    older(conversation)
    notices.watch()
    assert Notice.objects.get().kind == "unanswered"
    assert clocks.hand_back() == 1


def test_what_did_not_arrive_is_no_answer_either(bia: Membership, business: Business, talk: Talk):
    Business.objects.update(handback_minutes=30)
    Outlet.objects.create(business=business, member=bia, way=Way.EMAIL, unanswered_minutes=10)
    conversation = talk()
    Message.objects.filter(conversation=conversation).update(pending=True)
    ownership.act(conversation.pk, Wish(Move.REPLY, f"user:{bia.user_id}", assignee=bia.pk))
    answer = Message.objects.create(
        conversation=conversation, business=business, inbox=conversation.inbox, direction="out", author="agent", text="Oi!",
        status="sent",
    )  # fmt: skip
    older(conversation)
    notices.watch()
    assert not Notice.objects.exists()
    assert clocks.hand_back() == 0
    Message.objects.filter(pk=answer.pk).update(status="failed")
    notices.watch()
    assert Notice.objects.get().kind == "unanswered"
    assert clocks.hand_back() == 1
    # The assistant takes up what the reply was for.
    assert Message.objects.get(direction="in").pending
    assert Dispatch.objects.get(conversation=conversation, lane=Lane.TURNS).run_at is not None


def test_the_draft_of_before_is_still_offered(bia: Membership, talk: Talk):
    conversation = talk(state=State.AGENT_ACTIVE)
    now = timezone.now()
    Turn.objects.create(
        conversation=conversation, business=conversation.business, outcome="withheld", started_at=now, finished_at=now,
        draft="O frete é R$ 10.",
    )  # fmt: skip
    leave(conversation, bia)
    assert assist.withheld(conversation) is not None


def test_one_broken_channel_keeps_no_other(bia: Membership, talk: Talk):
    """Its plug-in is gone: what was to leave there says why."""
    broken, sound = talk("Ana"), talk("Eva")
    inbox = type(broken.inbox).objects.create(
        business=broken.business, slug="x", kind="gone_plugin", name="x", routing_key="x", credentials={}
    )
    Conversation.objects.filter(pk=broken.pk).update(inbox=inbox)
    past = timezone.now() - timedelta(minutes=1)
    first = Scheduled.objects.create(
        conversation=broken, business=broken.business, member=bia, text="Oi", send_at=past
    )  # fmt: skip
    assert leave(sound, bia).status == "sent"
    first.refresh_from_db()
    assert (first.status, bool(first.error)) == ("failed", True)
