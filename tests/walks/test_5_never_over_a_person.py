"""Promise 5: the bot never talks over a person, and there is a way back."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.walks.house import Gate, House, elsewhere, says
from tests.walks.payloads import echo, said

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.business.people import Membership, Team
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.contracts import Handoff, InboundMessage, InboxConfig, Turn
from prosa.contracts import Identity as ContactIdentity
from prosa.conversations import inbound, ownership, replying
from prosa.conversations.lanes import Dispatch, Lane
from prosa.conversations.models import Conversation, State
from prosa.conversations.ownership import NOBODY, Overtaken, Unread, Wish
from prosa.conversations.states import FREES, SETTLES, TABLE, Move
from prosa.desk import clocks, schedule
from prosa.desk.models import Scheduled
from prosa.errors import NotAllowed
from prosa.postgres.connections import connect


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


@pytest.mark.parametrize("move", [ownership.give_back, ownership.resolve])
async def test_what_arrives_while_a_move_waits_for_its_turn_is_part_of_it(move: Any, house: House):
    """Given back, it is answered; resolved, nothing is left that asks."""
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    number = house.conversation()
    await elsewhere(ownership.take, number, "user:1")
    with psycopg.connect(house.dsn) as door:  # as the door's statement does, a moment before it commits
        door.execute("select from prosa_conversations_conversation where id = %s for no key update", [number])
        door.execute(
            "with m as (insert into prosa_conversations_message"
            " (conversation_id, business_id, inbox_id, direction, author, kind, text, pending)"
            " select id, business_id, inbox_id, 'in', 'customer', 'text', 'mais uma coisa', true"
            " from prosa_conversations_conversation where id = %s returning id)"
            " update prosa_conversations_conversation c set unread = 1, last_inbound_id = m.id from m where c.id = %s",
            [number, number],
        )
        moving = asyncio.create_task(elsewhere(move, number, "user:1"))
        await house.until(lambda: house.one("select count(*) from pg_locks where not granted"))
        door.commit()
    await moving
    if move is ownership.give_back:
        await house.until(lambda: house.carrier.texts() == ["eco: oi", "eco: mais uma coisa"])
    await house.quiet()
    assert house.pending() == 0


# ── the table ──

WHO = st.sampled_from([None, 0, 1, 2])
"""For a move: leave it, take it away, or one of two."""
PHONE = "5511900000001"


class Ownership(RuleBasedStateMachine):
    """Any order of moves, messages, replies, sends for later and clocks follows the table; each move is one line on the timeline,
    and the epoch grows whenever the bot's part changes. What is the bot's is nobody else's: no assignee, no team, no snooze. What
    the customer asked goes on asking until somebody answers or ends it, and with the bot it always has a turn coming."""

    @initialize()
    def begin(self) -> None:
        Conversation.objects.all().delete()
        Contact.objects.all().delete()
        inbox = Inbox.objects.get(slug="loja")
        contact = Contact.objects.create(business=inbox.business, name="Ana")
        Identity.objects.create(business=inbox.business, contact=contact, key=f"phone:{PHONE}")
        self.inbox = inbox.config()
        self.people = {0: None} | {number: _member(inbox.business, number).pk for number in (1, 2)}
        self.teams = {0: None} | {number: _team(inbox.business, number).pk for number in (1, 2)}
        self.conversation = Conversation.objects.create(
            business=inbox.business, inbox=inbox, contact=contact, last_inbound_at=timezone.now()
        )
        self.conversation.refresh_from_db()
        self.state, self.epoch = State.BOT, self.conversation.epoch
        self.assignee: int | None = None
        self.team: int | None = None
        self.asleep = self.roused = False
        self.lines = self.asking = self.unread = self.said = 0

    @rule(
        move=st.sampled_from(sorted(Move)), who=WHO, team=WHO, snooze=st.booleans(), quiet=st.booleans(),
        seen=st.sampled_from(["anything", "all", "an older epoch", "all but the last message"]), mover=WHO,
    )  # fmt: skip
    def go(
        self, move: Move, who: int | None, team: int | None, snooze: bool, quiet: bool, seen: str, mover: int | None
    ) -> None:
        newest = self.conversation.last_inbound_id
        wish = Wish(
            move,
            "user:1",
            assignee=None if who is None else self.people[who] or NOBODY,
            team=None if team is None else self.teams[team] or NOBODY,
            snooze=60.0 if snooze and move is Move.SNOOZE else None,
            quiet=quiet,
            known_epoch=None if seen == "anything" else self.epoch - (seen == "an older epoch"),
            known_inbound=None if seen == "anything" else newest - (seen == "all but the last message"),
            mover=self.people[mover] if mover is not None else None,
        )
        theirs = self.state == State.AGENT_ACTIVE and wish.mover is not None and wish.mover == self.assignee
        follows = TABLE.get((State(self.state), move))
        if seen == "an older epoch" and not theirs:
            with pytest.raises(Overtaken):
                ownership.act(self.conversation.pk, wish)
        elif seen == "all but the last message" and newest:
            with pytest.raises(Unread):
                ownership.act(self.conversation.pk, wish)
        elif follows is None:
            with pytest.raises(NotAllowed):
                ownership.act(self.conversation.pk, wish)
        else:
            moved = ownership.act(self.conversation.pk, wish)
            assert (moved.state, moved.before) == (follows, self.state)
            freed = move in FREES
            self.assignee = self.people[who] if who is not None else None if freed else self.assignee
            self.team = self.teams[team] if team is not None else None if freed else self.team
            self.moved(move, quiet=quiet, snooze=wish.snooze is not None)
        self.look()

    @rule(move=st.sampled_from([ownership.take, ownership.give_back, ownership.resolve]))
    def plainly(self, move: Any) -> None:
        """As the admin does it."""
        name = {ownership.take: Move.TAKE, ownership.give_back: Move.GIVE_BACK, ownership.resolve: Move.RESOLVE}[move]
        if TABLE.get((State(self.state), name)) is None:
            with pytest.raises(NotAllowed):
                move(self.conversation.pk, "user:1")
        else:
            move(self.conversation.pk, "user:1")
            if name is not Move.RESOLVE:
                self.assignee = None
            if name is Move.GIVE_BACK:
                self.team = None
            self.moved(name)
            if name is Move.GIVE_BACK:
                self.free()
        self.look()

    @rule(wakes=st.booleans())
    def the_customer_writes(self, wakes: bool) -> None:
        """By the door: it re-opens for the bot what was resolved, and changes nothing else of who answers."""
        self.said += 1
        asyncio.run(_arrive(self.inbox, f"{self.conversation.pk}.{self.said}", wakes))
        if follows := TABLE.get((State(self.state), Move.CUSTOMER_WROTE)):
            self.assignee = self.team = None
            self.moved(Move.CUSTOMER_WROTE)
            told = self.conversation.events.latest("id")
            assert (told.kind, told.data) == ("reopened", {"from": "resolved", "to": str(follows)})
            self.free()
        self.asking, self.unread, self.roused = self.asking + wakes, self.unread + 1, self.asleep
        self.look()

    @rule(who=st.sampled_from([1, 2]))
    def somebody_replies(self, who: int) -> None:
        member = Membership.objects.get(pk=self.people[who])
        if self.state == State.RESOLVED:
            with pytest.raises(NotAllowed):
                replying.reply(self.conversation, member, "Pois não?")
        else:
            replying.reply(self.conversation, member, "Pois não?")
            self.assignee = member.pk
            self.moved(Move.REPLY)
        self.look()

    @rule(who=st.sampled_from([1, 2]))
    def what_was_written_for_later_leaves(self, who: int) -> None:
        """Its writer may be asleep: it answers nothing, and takes nothing from anybody."""
        row = Scheduled.objects.create(
            conversation=self.conversation, business_id=self.conversation.business_id, member_id=self.people[who],
            text="Não esqueça!", send_at=timezone.now(),
        )  # fmt: skip
        schedule.send(row.pk)
        row.refresh_from_db()
        assert row.status == ("failed" if self.state == State.RESOLVED else "sent")
        self.lines += self.state == State.RESOLVED  # the timeline says that it could not leave
        self.look()

    @rule(over=st.booleans())
    def the_clock_wakes(self, over: bool) -> None:
        if over and self.asleep:
            Conversation.objects.update(snoozed_until=timezone.now())
        due = self.asleep and (over or self.roused) and self.state == State.AGENT_ACTIVE
        assert clocks.wake() == due
        if due:
            self.moved(Move.WAKE)
        self.look()

    @rule()
    def nobody(self) -> None:
        with pytest.raises(NotAllowed):
            ownership.take(0, "user:1")

    def moved(self, move: Move, *, quiet: bool = False, snooze: bool = False) -> None:
        follows = TABLE[State(self.state), move]
        self.epoch += not (quiet and follows == self.state)
        self.state, self.lines, self.asleep, self.roused = follows, self.lines + 1, snooze, False
        if move in SETTLES:
            self.asking = self.unread = 0

    def look(self) -> None:
        now = self.conversation
        now.refresh_from_db()
        assert (now.state, now.epoch) == (self.state, self.epoch)
        assert (now.assignee_id, now.team_id, now.snoozed_until is not None) == (self.assignee, self.team, self.asleep)
        assert now.events.count() == self.lines
        assert (now.messages.filter(pending=True).count(), now.unread) == (self.asking, self.unread)
        if self.asking and self.state == State.BOT:
            assert Dispatch.objects.get(conversation=now, lane=Lane.TURNS).run_at is not None

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


async def _arrive(inbox: InboxConfig, number: str, wakes: bool) -> None:
    """What the door does with a text (or with a reaction, which asks for nothing)."""
    message = InboundMessage(
        f"wamid.m{number}", inbox.routing_key, (ContactIdentity("phone", PHONE),), "text" if wakes else "reaction", "oi",
        timezone.now(), wakes=wakes,
    )  # fmt: skip
    async with await connect(postgres.dsn(conf.settings())) as door:
        await inbound.store(door, [inbound.Arrival("whatsapp_cloud", b"", "", inbox, messages=[(inbox, message)])])


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
