"""Promise 5: the bot never talks over a person, and there is a way back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.utils import IntegrityError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.walks.house import Gate, House, elsewhere, says
from tests.walks.payloads import echo, said

from prosa.business.models import Business
from prosa.business.people import Membership, Team
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.contracts import Handoff, Turn
from prosa.conversations import ownership
from prosa.conversations.models import Conversation, State
from prosa.conversations.ownership import NOBODY, Wish
from prosa.conversations.states import FREES, TABLE, Move
from prosa.errors import NotAllowed


async def _thinking(house: House) -> Gate:
    """A turn that is under way; open the gate to let the model finish."""
    gate = Gate()

    async def slow(turn: Turn) -> Any:
        await gate.wait()
        return await house.mind.echo(turn)

    house.mind.answer = slow
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    return gate


async def test_a_person_takes_over_while_the_model_thinks(house: House):
    gate = await _thinking(house)
    await elsewhere(ownership.take, house.conversation(), "user:1")
    gate.open.set()
    await house.until(lambda: house.outcomes() == ["withheld"])
    await house.quiet()
    assert house.carrier.sent == []
    assert house.one("select draft from prosa_conversations_turn") == "eco: oi"
    assert house.state() == State.AGENT_ACTIVE
    assert house.pending() == 1


async def test_assigned_while_the_model_thinks_the_draft_becomes_a_suggestion(house: House):
    gate = await _thinking(house)
    await elsewhere(lambda: ownership.act(house.conversation(), Wish(Move.ASSIGN, "user:1")))
    gate.open.set()
    await house.until(lambda: house.outcomes() == ["withheld"])
    await house.quiet()
    assert "eco: oi" not in house.carrier.texts()
    assert house.one("select draft from prosa_conversations_turn where outcome = 'withheld'") == "eco: oi"
    assert house.state() == State.AWAITING_AGENT
    assert house.pending() == 1
    # Given back, the question is answered anew.
    house.mind.answer = house.mind.echo
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.until(lambda: house.carrier.texts()[-1:] == ["eco: oi"])
    await house.quiet()
    assert house.pending() == 0


async def test_the_rota_names_somebody_and_what_was_said_still_leaves(house: House):
    """Also between finish and send: for the bot nothing changes."""
    gate = Gate()
    house.carrier.next.append(gate.wait)

    async def two(_turn: Turn) -> Any:
        return says("um", "dois", handoff=Handoff("asked"))

    house.mind.answer = two
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    wish = Wish(Move.ASSIGN, "system", quiet=True)
    await elsewhere(lambda: ownership.act(house.conversation(), wish))
    gate.open.set()
    await house.until(lambda: len(house.carrier.sent) == 2)
    await house.quiet()
    assert [status for _text, status in house.sends()] == ["sent", "sent"]
    assert house.state() == State.AWAITING_AGENT


async def test_the_owner_writes_from_their_phone_while_the_model_thinks(house: House):
    gate = await _thinking(house)
    assert await house.post(echo("deixa comigo", "e1")) == 200
    gate.open.set()
    await house.until(lambda: house.outcomes() == ["withheld"])
    await house.quiet()
    assert house.carrier.sent == []
    assert house.state() == State.AGENT_ACTIVE
    assert house.pending() == 0
    assert house.rows("select text, author from prosa_conversations_message order by id") == [
        ("oi", "customer"),
        ("deixa comigo", "owner_phone"),
    ]


async def test_a_person_takes_over_between_finish_and_send(house: House):
    async def two(_turn: Turn) -> Any:
        return says("um", "dois")

    gate = Gate()
    house.mind.answer = two
    house.carrier.next.append(gate.wait)
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    await elsewhere(ownership.take, house.conversation(), "user:1")
    gate.open.set()
    await house.quiet()
    assert house.sends() == [("um", "sent"), ("dois", "withdrawn")]
    assert house.carrier.texts() == ["um"]
    assert house.events("taken")[0]["withdrawn"] == 1


async def test_the_provider_echoing_our_own_message_is_no_takeover(house: House):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.sends() == [("eco: oi", "sent")])
    theirs = house.one("select provider_id from prosa_conversations_message where direction = 'out'")
    assert await house.post(echo("eco: oi", theirs.removeprefix("wamid."))) == 200
    assert house.state() == State.BOT
    assert len(house.sends()) == 1


async def test_an_echo_of_a_stranger_opens_a_conversation_of_the_owners(house: House):
    await house.work()
    assert await house.post(echo("bom dia, sua bolsa chegou", "e1")) == 200
    assert await house.post(echo("bom dia, sua bolsa chegou", "e1")) == 200
    assert house.state() == State.AGENT_ACTIVE
    await house.post(said("que bom!", "1"))
    await house.quiet()
    assert house.carrier.sent == []
    assert house.one("select count(*) from prosa_conversations_message where author = 'owner_phone'") == 1


async def test_giving_back_answers_what_is_pending(house: House):
    await house.work()
    await house.post(said("quero falar com um atendente", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.state() == State.AWAITING_AGENT
    assert house.mind.turns == []
    await elsewhere(ownership.take, house.conversation(), "user:1")
    await house.post(said("e o preço?", "2"))
    await house.quiet()
    assert house.mind.turns == []
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.until(lambda: house.mind.turns)
    await house.quiet()
    assert house.mind.asked() == [["e o preço?"]]
    assert house.carrier.texts()[-1] == "eco: e o preço?"
    assert house.state() == State.BOT


async def test_taken_and_given_back_while_the_model_thinks(house: House):
    """The draft of before is dropped, the question is answered anew."""
    gate = await _thinking(house)
    await elsewhere(ownership.take, house.conversation(), "user:1")
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    house.mind.answer = house.mind.echo
    gate.open.set()
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.outcomes() == ["withheld", "answered"]
    assert house.carrier.texts() == ["eco: oi"]


async def test_while_people_are_awaited_one_notice_and_no_model(house: House):
    house.mind.answer = lambda _turn: asyncio.sleep(0, says("passo para a equipe", handoff=Handoff("asked")))
    await house.work()
    await house.post(said("reclamação", "1"))
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    house.do("update prosa_conversations_conversation set wait_notice_at = now() - interval '1 day'")
    for number in range(3):
        await house.post(said("alô?", f"2{number}"))
        await house.quiet()
    assert len(house.mind.turns) == 1
    assert len(house.carrier.sent) == 2
    assert house.pending() == 3


async def test_resolved_is_reopened_by_the_next_message_and_anew_after_a_day(house: House):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    await elsewhere(ownership.resolve, house.conversation(), "user:1")
    await house.post(said("mais uma coisa", "2"))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert house.one("select count(*) from prosa_conversations_conversation") == 1
    await house.quiet()
    await elsewhere(ownership.resolve, house.conversation(), "user:1")
    house.do("update prosa_conversations_conversation set state_at = now() - interval '25 hours'")
    await house.post(said("voltei", "3"))
    await house.until(lambda: len(house.carrier.sent) == 3)
    assert house.one("select count(*) from prosa_conversations_conversation") == 2


# ── the table ──

WHO = st.sampled_from([None, 0, 1, 2])
"""For a move: leave it, take it away, or one of two."""


class Ownership(RuleBasedStateMachine):
    """Any order of moves follows the table; each is one line on the timeline, and the epoch grows whenever the bot's part
    changes. What is the bot's is nobody else's: no assignee, no team, no snooze."""

    @initialize()
    def begin(self) -> None:
        Conversation.objects.all().delete()
        Contact.objects.all().delete()
        inbox = Inbox.objects.get(slug="loja")
        contact = Contact.objects.create(business=inbox.business, name="Ana")
        Identity.objects.create(business=inbox.business, contact=contact, key="phone:5511900000001")
        self.people = {0: None} | {number: _member(inbox.business, number).pk for number in (1, 2)}
        self.teams = {0: None} | {number: _team(inbox.business, number).pk for number in (1, 2)}
        self.conversation = Conversation.objects.create(business=inbox.business, inbox=inbox, contact=contact)
        self.conversation.refresh_from_db()
        self.state, self.epoch = State.BOT, self.conversation.epoch
        self.assignee: int | None = None
        self.team: int | None = None
        self.asleep, self.lines = False, 0

    @rule(move=st.sampled_from(sorted(Move)), who=WHO, team=WHO, snooze=st.booleans(), quiet=st.booleans())
    def go(self, move: Move, who: int | None, team: int | None, snooze: bool, quiet: bool) -> None:
        wish = Wish(
            move,
            "user:1",
            assignee=None if who is None else self.people[who] or NOBODY,
            team=None if team is None else self.teams[team] or NOBODY,
            snooze=60.0 if snooze and move is Move.SNOOZE else None,
            quiet=quiet,
        )
        follows = TABLE.get((State(self.state), move))
        if follows is None:
            with pytest.raises(NotAllowed):
                ownership.act(self.conversation.pk, wish)
        else:
            moved = ownership.act(self.conversation.pk, wish)
            assert (moved.state, moved.before) == (follows, self.state)
            self.epoch += not (quiet and follows == self.state)
            self.state, self.lines = follows, self.lines + 1
            freed = move in FREES
            self.assignee = self.people[who] if who is not None else None if freed else self.assignee
            self.team = self.teams[team] if team is not None else None if freed else self.team
            self.asleep = wish.snooze is not None
        self.look()

    @rule(move=st.sampled_from([ownership.take, ownership.give_back, ownership.resolve]))
    def plainly(self, move: Any) -> None:
        """As the desk and the admin do it."""
        name = {ownership.take: Move.TAKE, ownership.give_back: Move.GIVE_BACK, ownership.resolve: Move.RESOLVE}[move]
        follows = TABLE.get((State(self.state), name))
        if follows is None:
            with pytest.raises(NotAllowed):
                move(self.conversation.pk, "user:1")
        else:
            move(self.conversation.pk, "user:1")
            self.state, self.epoch, self.lines, self.asleep = follows, self.epoch + 1, self.lines + 1, False
            if name is not Move.RESOLVE:
                self.assignee = None
            if name is Move.GIVE_BACK:
                self.team = None
                self.free()
        self.look()

    @rule()
    def the_customer_writes(self) -> None:
        """Which re-opens it for the bot when it was resolved, and changes nothing else."""
        with connection.cursor() as cursor:
            cursor.execute(
                ownership.people.converse.decode(),
                {
                    "c_business": [self.conversation.business_id], "c_inbox": [self.conversation.inbox_id],
                    "c_key": ["phone:5511900000001"], "c_reopen": [3600],
                },
            )  # fmt: skip
        if self.state == State.RESOLVED:
            self.state, self.epoch, self.lines = State.BOT, self.epoch + 1, self.lines + 1
            self.assignee, self.team, self.asleep = None, None, False
            self.free()
        self.look()

    @rule()
    def nobody(self) -> None:
        with pytest.raises(NotAllowed):
            ownership.take(0, "user:1")

    def look(self) -> None:
        now = self.conversation
        now.refresh_from_db()
        assert (now.state, now.epoch) == (self.state, self.epoch)
        assert (now.assignee_id, now.team_id, now.snoozed_until is not None) == (self.assignee, self.team, self.asleep)
        assert now.events.count() == self.lines

    def free(self) -> None:
        """The way back clears every lock, whichever it was."""
        self.conversation.refresh_from_db()
        now = self.conversation
        assert (now.state, now.assignee_id, now.team_id, now.snoozed_until) == (State.BOT, None, None, None)


def _member(business: Business, number: int) -> Membership:
    user, _made = User.objects.get_or_create(username=f"pessoa{number}")
    return Membership.objects.get_or_create(business=business, user=user)[0]


def _team(business: Business, number: int) -> Team:
    return Team.objects.get_or_create(business=business, name=f"Equipe {number}")[0]


def test_states_follow_the_table(inbox: Inbox):
    run_state_machine_as_test(
        Ownership,
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_every_state_but_resolved_has_a_way_out_to_a_person_and_to_the_end():
    for state in (State.BOT, State.AWAITING_AGENT, State.AGENT_ACTIVE):
        assert TABLE[state, Move.TAKE] is State.AGENT_ACTIVE
        assert TABLE[state, Move.REPLY] is State.AGENT_ACTIVE
        assert TABLE[state, Move.RESOLVE] is State.RESOLVED
    assert TABLE[State.AWAITING_AGENT, Move.GIVE_BACK] is TABLE[State.AGENT_ACTIVE, Move.GIVE_BACK] is State.BOT


@pytest.mark.django_db
def test_the_database_knows_four_states_and_one_open_conversation(inbox: Inbox, business: Business):
    contact = Contact.objects.create(business=business, name="Ana")
    Conversation.objects.create(business=business, inbox=inbox, contact=contact)
    with pytest.raises(IntegrityError), transaction.atomic():
        Conversation.objects.create(business=business, inbox=inbox, contact=contact)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update prosa_conversations_conversation set state = 'asleep'")
    Conversation.objects.update(state=State.RESOLVED)
    Conversation.objects.create(business=business, inbox=inbox, contact=contact)
