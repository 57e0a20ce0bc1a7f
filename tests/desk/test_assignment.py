"""The rota, and what time does to conversations with people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.channels.models import Inbox
from prosa.conversations import ownership
from prosa.conversations.lanes import Dispatch, Lane
from prosa.conversations.models import Conversation, Event, Message, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.conversations.words import words
from prosa.desk import assignment, clocks, stream

Talk = Callable[..., Conversation]


def come(*members: Membership, capacity: int = 6) -> None:
    Membership.objects.filter(pk__in=[each.pk for each in members]).update(
        seen_at=timezone.now(), available=True, capacity=capacity
    )


def leave(member: Membership) -> None:
    Membership.objects.filter(pk=member.pk).update(seen_at=timezone.now() - timedelta(minutes=3))


def handed_off(talk: Talk, name: str = "Ana", **data: Any) -> Conversation:
    conversation = talk(name, State.BOT)
    ownership.act(conversation.pk, Wish(Move.HAND_OFF, "bot", {"reason": "keyword", **data}))
    return of(conversation)


def of(conversation: Conversation) -> Conversation:
    conversation.refresh_from_db()
    return conversation


def ago(conversation: Conversation, minutes: float) -> None:
    """Everything that happened in it happened so much earlier."""
    by = timedelta(minutes=minutes)
    for event in Event.objects.filter(conversation=conversation):
        Event.objects.filter(pk=event.pk).update(created_at=event.created_at - by)
    for message in Message.objects.filter(conversation=conversation):
        Message.objects.filter(pk=message.pk).update(created_at=message.created_at - by)
    old = of(conversation)
    values: dict[str, Any] = {"state_at": old.state_at - by, "last_inbound_at": old.last_inbound_at - by}
    if old.snoozed_until is not None:
        values["snoozed_until"] = old.snoozed_until - by
    Conversation.objects.filter(pk=conversation.pk).update(**values)


def jobs(name: str, **arguments: int) -> list[ProcrastinateJob]:
    """What is to be done; other tests leave jobs behind."""
    return list(ProcrastinateJob.objects.filter(task_name=f"prosa.desk.assignment.{name}", args=arguments))


def kinds(conversation: Conversation) -> list[str]:
    return list(conversation.events.order_by("id").values_list("kind", flat=True))


# ── who gets it ──


def test_a_handoff_asks_the_rota(talk: Talk):
    conversation = handed_off(talk)
    assert len(jobs("rota", conversation_id=conversation.pk)) == 1


def test_they_take_turns_and_nobody_holds_more_than_they_can(bia: Membership, rui: Membership, talk: Talk):
    come(bia, rui, capacity=2)
    given = []
    for number in range(5):
        conversation = handed_off(talk, f"Cliente {number}")
        assignment.offer(conversation.pk)
        given.append(of(conversation).assignee)
        assert conversation.state == State.AWAITING_AGENT
    assert given == [bia, rui, bia, rui, None]
    # A free hand takes up what waits, the longest waiting first.
    ownership.resolve(Conversation.objects.filter(assignee=rui).first().pk, "user:1")
    assignment.go_round()
    assert Conversation.objects.filter(state=State.AWAITING_AGENT, assignee=None).count() == 0
    assert of(conversation).assignee == rui


@pytest.mark.parametrize("why", ["not there", "unavailable", "viewer", "left", "no capacity", "another shop"])
def test_only_who_is_there_and_may_answer_is_named(why: str, bia: Membership, talk: Talk, elsewhere: Business):
    come(bia)
    changed: dict[str, Any] = {
        "not there": {"seen_at": timezone.now() - timedelta(minutes=3)},
        "unavailable": {"available": False},
        "viewer": {"role": Role.VIEWER},
        "left": {"left_at": timezone.now()},
        "no capacity": {"capacity": 0},
        "another shop": {"business": elsewhere},
    }[why]
    Membership.objects.update(**changed)
    conversation = handed_off(talk)
    assert assignment.offer(conversation.pk) is False
    assert of(conversation).assignee is None
    assert conversation.state == State.AWAITING_AGENT


@pytest.mark.parametrize(("wish", "team"), [("vendas ", "Vendas"), ("Jurídico", "Suporte"), ("", "Suporte")])
def test_the_team_the_model_named_else_the_one_for_everything(
    wish: str, team: str, business: Business, bia: Membership, rui: Membership, talk: Talk
):
    sales = Team.objects.create(business=business, name="Vendas")
    sales.members.add(bia)
    Team.objects.create(business=business, name="Suporte", fallback=True).members.add(rui)
    come(bia, rui)
    conversation = handed_off(talk, team=wish)
    assignment.offer(conversation.pk)
    assert of(conversation).team is not None
    assert conversation.team.name == team
    assert conversation.assignee == (bia if team == "Vendas" else rui)


def test_it_waits_for_its_team_until_somebody_of_it_comes(
    business: Business, bia: Membership, rui: Membership, talk: Talk
):
    team = Team.objects.create(business=business, name="Vendas", fallback=True)
    team.members.add(bia)
    come(rui)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    assert (of(conversation).team, conversation.assignee) == (team, None)
    moves = len(kinds(conversation))
    assignment.go_round()
    assert len(kinds(conversation)) == moves
    come(bia)
    assignment.drain(business.pk)
    assert of(conversation).assignee == bia


def test_a_team_of_nobody_is_everybodys(business: Business, rui: Membership, talk: Talk):
    Team.objects.create(business=business, name="Vazio", fallback=True)
    come(rui)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    assert of(conversation).assignee == rui


def test_naming_somebody_withdraws_nothing_said_about_it(bia: Membership, talk: Talk):
    come(bia)
    conversation = handed_off(talk)
    Message.objects.create(
        conversation=conversation, business_id=conversation.business_id, inbox_id=conversation.inbox_id, direction="out",
        author="system", text="Vou chamar alguém.", status="queued", epoch=conversation.epoch,
    )  # fmt: skip
    assignment.offer(conversation.pk)
    assert of(conversation).assignee == bia
    message = Message.objects.get(author="system")
    assert (message.status, message.epoch) == ("queued", conversation.epoch)
    # A person who takes it does withdraw what has not left.
    ownership.take(conversation.pk, "user:1", bia.pk)
    message.refresh_from_db()
    assert message.status == "withdrawn"


@pytest.mark.parametrize("who", ["the one who was named", "somebody else"])
def test_what_a_person_took_meanwhile_is_theirs(who: str, bia: Membership, rui: Membership, talk: Talk):
    come(bia, rui)
    conversation = handed_off(talk)
    assert assignment.offer(conversation.pk) is True
    assert of(conversation).assignee == bia
    ago(conversation, 6)
    taker = bia if who == "the one who was named" else rui
    ownership.take(conversation.pk, f"user:{taker.user_id}", taker.pk)
    assert assignment.pass_on(conversation.pk) is False
    assert (of(conversation).assignee, conversation.state) == (taker, State.AGENT_ACTIVE)


@pytest.mark.parametrize("what", ["taken", "answered"])
def test_the_round_looks_again_when_it_has_the_lock(
    what: str, bia: Membership, rui: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    """Between its list and the lock somebody was faster."""
    come(bia, rui)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    if what == "answered":
        ownership.take(conversation.pk, f"user:{bia.user_id}", bia.pk)
        Message.objects.filter(conversation=conversation).update(pending=True)
        leave(bia)
    ago(conversation, 30)
    good = assignment._held

    def meanwhile(pk: int) -> Conversation | None:
        move = Move.TAKE if what == "taken" else Move.REPLY
        ownership.act(pk, Wish(move, f"user:{bia.user_id}", assignee=bia.pk))
        return good(pk)

    monkeypatch.setattr(assignment, "_held", meanwhile)
    assignment.go_round()
    assert (of(conversation).assignee, conversation.state) == (bia, State.AGENT_ACTIVE)
    assert not conversation.events.filter(kind="assigned", data__reason__isnull=False).exists()


def test_who_may_only_look_any_more_is_relieved(bia: Membership, rui: Membership, talk: Talk):
    """Named or had, a customer waiting or not, by day or by night."""
    named, had = handed_off(talk), handed_off(talk, "Eva")
    ownership.act(named.pk, Wish(Move.ASSIGN, "user:1", assignee=bia.pk))
    ownership.take(had.pk, f"user:{bia.user_id}", bia.pk)
    come(bia, rui)
    Membership.objects.filter(pk=bia.pk).update(role=Role.VIEWER)
    assignment.go_round()
    for conversation in (named, had):
        assert (of(conversation).assignee, conversation.state) == (rui, State.AWAITING_AGENT)


def test_who_is_made_a_viewer_has_nothing_in_hand(
    bia: Membership, member: Any, talk: Talk, at_desk: Callable[[Membership], Client]
):
    named, had, ended = talk(), talk("Eva"), talk("Lia")
    ownership.act(named.pk, Wish(Move.ASSIGN, "user:1", assignee=bia.pk))
    ownership.take(had.pk, f"user:{bia.user_id}", bia.pk)
    ownership.act(ended.pk, Wish(Move.RESOLVE, "user:1", assignee=bia.pk))
    client = at_desk(member("Ada", Role.OWNER))
    address = reverse("desk:member", args=[bia.pk])
    assert client.post(address, {"role": "admin", "capacity": "6"}).status_code == 302
    assert (of(named).assignee, of(had).assignee) == (bia, bia)
    assert client.post(address, {"role": "viewer", "capacity": "6"}).status_code == 302
    for conversation in (named, had):
        assert (of(conversation).assignee, conversation.state) == (None, State.AWAITING_AGENT)
        assert conversation.events.latest("id").data["why"] == "viewer"
    assert (of(ended).assignee, ended.state) == (bia, State.RESOLVED)


def test_one_broken_business_keeps_no_other_waiting(
    bia: Membership, talk: Talk, elsewhere: Business, monkeypatch: pytest.MonkeyPatch
):
    theirs, ours = talk("Zé", State.AWAITING_AGENT, of=elsewhere), handed_off(talk)
    come(bia)
    good = assignment.opening

    def broken(business: Business) -> Any:
        if business == elsewhere:
            raise RuntimeError
        return good(business)

    monkeypatch.setattr(assignment, "opening", broken)
    assignment.go_round()
    assert (of(ours).assignee, of(theirs).assignee) == (bia, None)


def test_given_to_a_team_by_hand_the_rota_names_one_of_it(
    business: Business, bia: Membership, rui: Membership, talk: Talk, at_desk: Callable[[Membership], Client]
):
    team = Team.objects.create(business=business, name="Vendas")
    team.members.add(rui, bia)
    come(bia, rui)
    conversation = handed_off(talk)
    address = reverse("desk:move", args=[conversation.pk, "assign"])
    assert at_desk(bia).post(address, {"to": f"team:{team.pk}"}).status_code == 204
    assert len(jobs("rota", conversation_id=conversation.pk)) == 1
    assignment.rota(conversation.pk)
    # Not back to the one who passed it on.
    assert of(conversation).assignee == rui


# ── who goes away, who does not come ──


def test_when_the_one_named_goes_away_the_next_is(bia: Membership, rui: Membership, talk: Talk):
    come(bia)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    assert of(conversation).assignee == bia
    leave(bia)
    assignment.go_round()
    assert of(conversation).assignee is None
    come(rui)
    assignment.go_round()
    assert of(conversation).assignee == rui
    assert conversation.state == State.AWAITING_AGENT
    assert conversation.events.filter(kind="assigned", data__reason="away").count() == 1


def test_who_does_not_take_it_in_time_loses_it_to_the_next(
    business: Business, bia: Membership, rui: Membership, talk: Talk
):
    come(bia, rui)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    ago(conversation, 4)
    assignment.go_round()
    assert of(conversation).assignee == bia
    ago(conversation, 2)
    assignment.go_round()
    assert of(conversation).assignee == rui
    assert "escalated" not in kinds(conversation)
    ago(conversation, 6)
    assignment.go_round()
    assert of(conversation).assignee == bia, "all have let it pass: it goes round again"
    assert kinds(conversation).count("escalated") == 1
    ago(conversation, 60)
    assignment.go_round()
    assert kinds(conversation).count("escalated") == 1


def test_alone_one_keeps_it_and_administrators_are_told(bia: Membership, talk: Talk):
    come(bia)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    ago(conversation, 11)
    assignment.go_round()
    assert of(conversation).assignee == bia
    told = conversation.events.get(kind="escalated")
    assert (told.actor, told.data) == ("system", {"minutes": 10})
    # Handed off again another day, it can be told again.
    ownership.give_back(conversation.pk, "user:1")
    ago(conversation, 100)
    ownership.act(conversation.pk, Wish(Move.HAND_OFF, "bot"))
    ago(conversation, 11)
    assignment.go_round()
    assert conversation.events.filter(kind="escalated").count() == 2


def test_zero_minutes_is_never(business: Business, bia: Membership, rui: Membership, talk: Talk):
    Business.objects.update(take_minutes=0)
    come(bia, rui)
    conversation = handed_off(talk)
    assignment.offer(conversation.pk)
    ago(conversation, 5000)
    assignment.go_round()
    assert of(conversation).assignee == bia
    assert "escalated" not in kinds(conversation)


def test_by_night_nobody_is_told(business: Business, talk: Talk):
    day = timezone.now() + timedelta(days=3)
    Business.objects.update(hours={day.strftime("%a").lower(): "09:00-10:00"}, timezone="UTC")
    conversation = handed_off(talk)
    ago(conversation, 60)
    assignment.go_round()
    assert "escalated" not in kinds(conversation)


def test_who_left_with_a_customer_waiting_is_relieved(bia: Membership, rui: Membership, talk: Talk):
    come(bia, rui)
    conversation = handed_off(talk)
    ownership.take(conversation.pk, f"user:{bia.user_id}", bia.pk)
    ago(conversation, 30)
    leave(bia)
    assignment.go_round()
    assert of(conversation).assignee == bia, "the customer has said nothing since"
    Message.objects.filter(conversation=conversation).update(pending=True)
    assignment.go_round()
    assert of(conversation).assignee == rui
    assert conversation.state == State.AWAITING_AGENT


# ── the clocks ──


def free(conversation: Conversation) -> None:
    """Every lock is gone."""
    of(conversation)
    assert conversation.state == State.BOT
    assert (conversation.assignee, conversation.team, conversation.snoozed_until) == (None, None, None)


def locked(talk: Talk, business: Business, bia: Membership, state: str = State.AGENT_ACTIVE) -> Conversation:
    """A conversation somebody has, of a team, and (with a person) put aside."""
    conversation = handed_off(talk)
    team = Team.objects.create(business=business, name="Vendas")
    ownership.act(conversation.pk, Wish(Move.ASSIGN, "user:1", assignee=bia.pk, team=team.pk))
    if state == State.AGENT_ACTIVE:
        ownership.act(conversation.pk, Wish(Move.SNOOZE, "user:1", assignee=bia.pk, snooze=3600))
        assert of(conversation).snoozed_until is not None
    assert of(conversation).state == state
    return conversation


@pytest.mark.parametrize("state", [State.AWAITING_AGENT, State.AGENT_ACTIVE])
def test_given_back_by_hand_every_lock_is_gone(
    state: str, business: Business, bia: Membership, talk: Talk, at_desk: Callable[[Membership], Client]
):
    conversation = locked(talk, business, bia, state)
    assert at_desk(bia).post(reverse("desk:move", args=[conversation.pk, "give-back"])).status_code == 204
    free(conversation)


@pytest.mark.parametrize("state", [State.AWAITING_AGENT, State.AGENT_ACTIVE])
@pytest.mark.parametrize("tell", [False, True])
def test_given_back_by_time_every_lock_is_gone(tell: bool, state: str, business: Business, bia: Membership, talk: Talk):
    Business.objects.update(handback_minutes=30, tell_handback=tell)
    conversation = locked(talk, business, bia, state)
    ago(conversation, 29)
    assert clocks.hand_back() == 0
    ago(conversation, 40)  # also past the snooze
    clocks.wake()
    Event.objects.filter(kind="woken").update(created_at=timezone.now() - timedelta(hours=1))
    Message.objects.filter(conversation=conversation).update(pending=True)
    assert clocks.hand_back() == 1
    free(conversation)
    assert conversation.events.get(kind="given_back").data["reason"] == "no_person"
    assert Dispatch.objects.get(conversation=conversation, lane=Lane.TURNS).run_at is not None
    said = list(Message.objects.filter(direction="out").values_list("text", "author", "status", "epoch"))
    expected = [(words("pt-br")["assistant_back"], "system", "queued", conversation.epoch)]
    assert said == (expected if tell else [])
    assert Dispatch.objects.filter(conversation=conversation, lane=Lane.DELIVERIES).exists() is tell
    assert clocks.hand_back() == 0


def test_resolved_and_re_opened_by_the_customer_every_lock_is_gone(business: Business, bia: Membership, talk: Talk):
    # The message's part is in tests/walks/test_handoff.py: here, that ending it leaves no snooze either.
    conversation = locked(talk, business, bia)
    ownership.resolve(conversation.pk, "user:1")
    assert of(conversation).snoozed_until is None


@pytest.mark.parametrize("why", ["answered", "snoozed", "taken just now", "zero", "bot", "a reaction"])
def test_what_is_not_given_back(why: str, business: Business, bia: Membership, talk: Talk):
    Business.objects.update(handback_minutes=0 if why == "zero" else 30, take_minutes=0)
    conversation = handed_off(talk)
    if why != "bot":
        ownership.take(conversation.pk, f"user:{bia.user_id}", bia.pk)
    else:
        ownership.give_back(conversation.pk, "user:1")
    shared = {"conversation": conversation, "business_id": conversation.business_id, "inbox_id": conversation.inbox_id}
    if why in ("answered", "a reaction"):
        Message.objects.create(**shared, direction="out", author="agent", text="Pois não?", status="sent")
    if why == "a reaction":
        Message.objects.create(**shared, direction="in", author="customer", kind="reaction", text="👍")
    ago(conversation, 60)
    if why == "snoozed":
        ownership.act(conversation.pk, Wish(Move.SNOOZE, "user:1", snooze=3600))
        Event.objects.update(created_at=timezone.now() - timedelta(hours=1))
    if why == "taken just now":
        ownership.take(conversation.pk, f"user:{bia.user_id}", bia.pk)
    state = of(conversation).state
    assert clocks.hand_back() == 0
    assert of(conversation).state == state


@pytest.mark.parametrize("why", ["time", "customer"])
def test_what_was_put_aside_is_back(why: str, bia: Membership, talk: Talk):
    conversation = handed_off(talk)
    ownership.act(conversation.pk, Wish(Move.SNOOZE, "user:1", assignee=bia.pk, snooze=600))
    assert clocks.wake() == 0
    if why == "time":
        ago(conversation, 11)
    else:
        Conversation.objects.update(last_inbound_id=of(conversation).last_inbound_id + 1)
    assert clocks.wake() == 1
    assert of(conversation).snoozed_until is None
    assert (conversation.state, conversation.assignee) == (State.AGENT_ACTIVE, bia)
    woken = conversation.events.get(kind="woken")
    assert (woken.actor, woken.data["reason"]) == ("system", why)
    assert clocks.wake() == 0


def test_a_fresh_snooze_outlives_the_clock_that_looked_before(
    bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    conversation = handed_off(talk)
    ownership.act(conversation.pk, Wish(Move.SNOOZE, "user:1", assignee=bia.pk, snooze=600))
    ago(conversation, 11)
    good = ownership.act

    def meanwhile(pk: int, wish: Wish) -> Any:
        good(pk, Wish(Move.SNOOZE, "user:1", assignee=bia.pk, snooze=86400))
        return good(pk, wish)

    monkeypatch.setattr(ownership, "act", meanwhile)
    assert clocks.wake() == 0
    left = of(conversation).snoozed_until
    assert left is not None
    assert left > timezone.now() + timedelta(hours=23)


def test_a_channel_that_is_gone_keeps_nobody_from_the_assistant(bia: Membership, talk: Talk):
    """Nothing can be told there; it is given back all the same, and so is what comes after it."""
    Business.objects.update(handback_minutes=30, tell_handback=True)
    broken, sound = handed_off(talk), handed_off(talk, "Eva")
    inbox = Inbox.objects.create(
        business=broken.business, slug="x", kind="gone_plugin", name="x", routing_key="x", credentials={}
    )
    Conversation.objects.filter(pk=broken.pk).update(inbox=inbox)
    ago(broken, 61)
    ago(sound, 60)
    assert clocks.hand_back() == 2
    assert of(broken).state == of(sound).state == State.BOT
    assert Message.objects.get(author="system").conversation == sound


def test_one_conversation_in_trouble_keeps_no_other(bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch):
    Business.objects.update(handback_minutes=30)
    first, second = handed_off(talk), handed_off(talk, "Eva")
    asleep = [handed_off(talk, "Lia"), handed_off(talk, "Rita")]
    for each in asleep:
        ownership.act(each.pk, Wish(Move.SNOOZE, "user:1", assignee=bia.pk, snooze=600))
    for each in (first, second, *asleep):
        ago(each, 60)
    good, broken = ownership.act, {first.pk, asleep[0].pk}

    def act(pk: int, wish: Wish) -> Any:
        if pk in broken:
            raise RuntimeError
        return good(pk, wish)

    monkeypatch.setattr(ownership, "act", act)
    assert (clocks.wake(), clocks.hand_back()) == (1, 1)
    assert of(second).state == State.BOT
    assert of(asleep[1]).snoozed_until is None


def test_the_round_and_the_clock_are_chores():
    from procrastinate.contrib.django import app

    names = {name for name, _id in app.periodic_registry.periodic_tasks}
    assert {"prosa.desk.assignment.go_round", "prosa.desk.clocks.tick"} <= names


def test_when_somebody_comes_what_waits_is_given_out(business: Business, bia: Membership, talk: Talk):
    conversation = handed_off(talk)
    assert stream.seen([bia.pk]) == {bia.pk}
    assert len(jobs("drain", business_id=business.pk)) == 1
    assignment.drain(business.pk)
    assert of(conversation).assignee == bia


def test_who_was_there_before_asks_for_nothing(bia: Membership):
    come(bia)
    assert stream.seen([bia.pk]) == {bia.pk}
    assert jobs("drain", business_id=bia.business_id) == []


def test_who_says_they_are_available_again_is_given_what_waits(
    business: Business, bia: Membership, talk: Talk, at_desk: Callable[[Membership], Client]
):
    come(bia)
    handed_off(talk)
    client = at_desk(bia)
    for on, count in (("0", 0), ("1", 1)):
        client.post(reverse("desk:available"), {"on": on})
        assert len(jobs("drain", business_id=business.pk)) == count
