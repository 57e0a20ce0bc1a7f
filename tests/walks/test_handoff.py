"""When people are called, and what the customer is told then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from tests.walks.house import House, elsewhere, says
from tests.walks.payloads import said

from prosa.agents import runner
from prosa.business import handoff, hours
from prosa.business.models import Business
from prosa.business.people import Holiday, Membership, Team
from prosa.business.zones import zone_named
from prosa.contracts import Handoff, Reply, Turn, TurnResult
from prosa.conversations import calling, ownership
from prosa.conversations.handoff import asks_for_person
from prosa.conversations.models import Conversation, Event, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.conversations.words import away, in_line, words
from prosa.desk import clocks

PT = words("pt-br")


async def put(**values: Any) -> None:
    await elsewhere(lambda: Business.objects.update(**values))


async def hello(house: House, text: str = "oi", number: str = "1", **more: Any) -> None:
    """A message, and everything that comes of it."""
    before = len(house.carrier.sent)
    await house.post(said(text, number, **more))
    await house.until(lambda: len(house.carrier.sent) > before)
    await house.quiet()


# ── the words ──

SENTENCES = [
    line.split(" ", 2)
    for line in Path(__file__).with_name("handoff_sentences.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("language", ["pt", "es", "en"])
def test_what_customers_write_is_understood(language: str):
    wrong = [
        f"{asks}: {text}"
        for told, asks, text in SENTENCES
        if told == language and asks_for_person(text) != (asks == "yes")
    ]
    assert wrong == []


def test_words_may_be_switched_off_and_the_others_stay():
    assert asks_for_person("quero falar com o suporte")
    assert not asks_for_person("quero falar com o suporte", "", "suporte")
    assert asks_for_person("quero falar com um atendente", "", "suporte\nno such word")
    assert not any(asks_for_person(text, "", handoff.NONE) for _, _, text in SENTENCES)
    assert asks_for_person("chama o síndico", "síndico", handoff.NONE)
    assert handoff.kept(handoff.WORDS) == ""
    assert handoff.off(handoff.kept(set(handoff.WORDS) - {"agent"})) == {"agent"}
    assert handoff.kept([]) == handoff.NONE


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Quero falar com o GERENTE agora", True),
        ("chama o responsável técnico, por favor", True),
        ("quem é o responsavel   tecnico?", True),
        ("gerentes são pagos demais", False),
        ("não quero gerente", False),
        ("não quero gerente, quero sim o gerente!", True),
        ("x" * 300 + " gerente", True),
        ("desumano", False),
        ("pessoa", True),
        ("Pessoa, por favor!", True),
        ("mesa para uma pessoa", False),
        ("para uma pessoa", False),
        ("", False),
    ],
)
def test_the_business_s_own_words_are_whole_expressions(text: str, asks: bool):
    assert asks_for_person(text, "Gerente\n\nresponsável técnico\n") is asks


async def test_an_own_word_calls_a_person_in_the_business_s_own_words(house: House):
    await put(handoff_words="sindico", handoff_text="Vou chamar a Dona Rosa.")
    await house.work()
    await hello(house, "preciso do Síndico aqui embaixo")
    assert house.mind.turns == []
    assert house.state() == State.AWAITING_AGENT
    assert house.carrier.texts()[0].startswith("Vou chamar a Dona Rosa.")
    assert house.events("handed_off")[0]["reason"] == "keyword"


# ── the truth ──


async def test_when_it_is_closed_the_customer_is_told_when_it_opens(house: House):
    await put(hours={"mon": "09:00-18:00"}, timezone="UTC")
    now = datetime.now(UTC)
    # A holiday with hours of its own opens next, whatever day the test runs on.
    next_day = (now + timedelta(days=1)).date()

    def closed() -> None:
        business = Business.objects.get()
        Holiday.objects.create(business=business, day=now.date())
        Holiday.objects.create(business=business, day=now.date() - timedelta(days=1))
        Holiday.objects.create(business=business, day=next_day, hours="10:15-12:00")

    await elsewhere(closed)
    await house.work()
    await hello(house, "atendente")
    expected = away("pt-br", now, datetime(next_day.year, next_day.month, next_day.day, 10, 15, tzinfo=UTC))
    assert house.carrier.texts()[0] == f"{PT['handed_off']}\n\n{expected}"
    assert "10:15" in expected
    # The notice of those who keep waiting tells the same.
    house.do("update prosa_conversations_conversation set wait_notice_at = now() - interval '1 day'")
    await hello(house, "alguém aí?", "2")
    assert house.carrier.texts()[1] == f"{PT['still_waiting']} {expected}"


async def test_when_it_is_open_the_customer_learns_their_place(house: House):
    await house.work()
    await hello(house, "atendente", phone="5511900000001")
    await hello(house, "atendente", "2", phone="5511900000002")
    told = [text for _to, text, _ in house.carrier.sent]
    assert told[0].endswith(in_line("pt-br", 0, None))
    assert told[1].endswith(in_line("pt-br", 1, None))
    assert len(house.events("handed_off")) == 2


async def test_the_model_s_handoff_tells_the_place_in_the_queue_of_its_team(house: House):
    def teams() -> None:
        business = Business.objects.get()
        Team.objects.create(business=business, name="Suporte", fallback=True)
        sales = Team.objects.create(business=business, name="Vendas")
        contact = business.contacts.create(name="Outra")
        inbox = business.inboxes.get()
        Conversation.objects.create(
            business=business, inbox=inbox, contact=contact, state=State.AWAITING_AGENT, team=sales
        )

    await elsewhere(teams)
    wishes = iter(["vendas", "nenhum"])

    async def passes(_turn: Turn) -> TurnResult:
        return says("Já chamo alguém.", handoff=Handoff("quer comprar", next(wishes)))

    house.mind.answer = passes
    await house.work()
    await hello(house, "quero comprar", phone="5511900000001")
    await hello(house, "quero reclamar", "2", phone="5511900000002")
    told = [text for _to, text, _ in house.carrier.sent]
    assert told[0] == f"Já chamo alguém.\n\n{in_line('pt-br', 1, None)}"
    assert told[1] == f"Já chamo alguém.\n\n{in_line('pt-br', 0, None)}"


async def test_the_usual_wait_is_told_once_five_are_known(house: House):
    await house.work()
    await hello(house, "atendente")

    def waited(*minutes: int) -> None:
        old = Conversation.objects.get()
        Event.objects.all().delete()
        for number, took in enumerate(minutes):
            at = datetime.now(UTC) - timedelta(hours=10 - number)
            for kind, when in (("handed_off", at), ("assigned", at), ("taken", at + timedelta(minutes=took))):
                Event.objects.create(
                    conversation=old, business_id=old.business_id, kind=kind, actor="bot", created_at=when
                )
        ownership.take(old.pk, "user:1")
        ownership.give_back(old.pk, "user:1")

    await elsewhere(waited, 1, 2, 40, 3)
    await hello(house, "atendente", "2")
    assert house.carrier.texts()[-1].endswith(in_line("pt-br", 0, None))
    await elsewhere(waited, 1, 2, 40, 3, 4)
    await hello(house, "atendente", "3")
    assert house.carrier.texts()[-1].endswith(in_line("pt-br", 0, timedelta(minutes=3)))
    assert "3" in in_line("pt-br", 0, timedelta(minutes=3))


async def test_a_plain_turn_asks_nothing_of_all_that(house: House, monkeypatch: pytest.MonkeyPatch):
    async def never(*_: Any) -> str:
        raise AssertionError("asked on a plain turn")

    monkeypatch.setattr(calling, "truth", never)
    monkeypatch.setattr(calling, "_failed", never)
    await house.work()
    await hello(house)
    assert house.carrier.texts() == ["eco: oi"]


SP = zone_named("America/Sao_Paulo")
FRIDAY = datetime(2026, 11, 20, 20, 0, tzinfo=SP)


@pytest.mark.parametrize(
    ("opens", "holds"),
    [
        (FRIDAY.replace(hour=21), "today at 21:00"),
        (FRIDAY + timedelta(hours=13), "tomorrow at 09:00"),
        (datetime(2026, 11, 23, 9, 30, tzinfo=SP), "on Monday at 09:30"),
        (datetime(2026, 12, 7, 8, 0, tzinfo=SP), "on December 7 at 08:00"),
        (None, "away right now."),
    ],
)
def test_the_opening_is_named_as_people_do(opens: datetime | None, holds: str):
    assert holds in away("en", FRIDAY, opens)


@pytest.mark.parametrize(
    ("ahead", "seconds", "says_"),
    [
        (0, None, "You are next in line."),
        (1, 20, "There is 1 person before you. It usually takes about 1 minute."),
        (4, 11 * 60, "There are 4 people before you. It usually takes about 15 minutes."),
        (0, 7000, "You are next in line. It usually takes about 2 hours."),
    ],
)
def test_a_place_in_the_queue_in_words(ahead: int, seconds: float | None, says_: str):
    assert in_line("en", ahead, None if seconds is None else timedelta(seconds=seconds)) == says_


def test_calls_by_night_say_nothing_about_the_usual_wait():
    open_ = hours.read({"mon": "09:00-18:00", "tue": "gibberish"}, {}, SP)
    day, night = "2026-11-16T10:00:00-03:00", "2026-11-16T20:00:00-03:00"
    waits = [(day, 60.0)] * 4 + [(night, 50_000.0)]
    assert calling.usual(open_, waits) is None
    assert calling.usual(open_, [*waits, (day, 60.0)]) == timedelta(minutes=1)


# ── nobody knows ──


def unknown(_turn: Turn | None = None) -> TurnResult:
    text = f"{PT['unknown']} {PT['offer_person']}"
    return TurnResult((Reply(text),), "offline", trace={"offline": "unknown", "sources": []})


async def test_after_so_many_questions_without_an_answer_a_person_is_called(house: House):
    await put(failures_before_handoff=3)
    house.mind.answer = lambda turn: asyncio.sleep(0, unknown(turn))
    await house.work()
    await hello(house, "vende pneu?", "1")
    await hello(house, "e roda?", "2")
    assert house.state() == State.BOT
    house.mind.answer = house.mind.echo
    await hello(house, "oi", "3")  # an answer between them: not in a row
    house.mind.answer = lambda turn: asyncio.sleep(0, unknown(turn))
    await hello(house, "vende pneu?", "4")
    await hello(house, "e roda?", "5")
    assert house.state() == State.BOT
    await hello(house, "e calota?", "6")
    assert house.state() == State.AWAITING_AGENT
    assert house.carrier.texts()[-1].startswith(f"{PT['unknown']} {PT['handed_off']}")
    assert PT["offer_person"] not in house.carrier.texts()[-1]
    assert house.events("handed_off")[0]["reason"] == "unanswered"
    # Given back, the count begins anew.
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await hello(house, "tem óleo?", "7")
    assert house.state() == State.BOT


async def test_a_model_that_owns_up_counts_too_and_zero_means_never(house: House):
    await put(failures_before_handoff=1)
    house.mind.answer = lambda _turn: asyncio.sleep(0, says("Não tenho essa informação."))
    await house.work()
    await hello(house, "vende pneu?")
    assert house.state() == State.AWAITING_AGENT
    assert house.carrier.texts()[0].startswith("Não tenho essa informação.")
    assert any(PT["handed_off"] in text for text in house.carrier.texts())
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await put(failures_before_handoff=0)
    for number in range(2, 6):
        await hello(house, "e agora?", str(number))
    assert house.state() == State.BOT


# ── the old handoff ──


async def test_an_old_handoff_never_makes_the_bot_hand_off_again(house: House):
    await house.work()
    await hello(house, "quero falar com um atendente", "1")
    assert house.state() == State.AWAITING_AGENT
    await house.post(said("cadê o atendente?", "2"))
    await house.post(said("atendente", "3"))
    await house.quiet()
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.until(lambda: house.mind.turns)
    await house.quiet()
    assert house.state() == State.BOT
    assert house.pending() == 0
    await hello(house, "oi", "4")
    assert house.state() == State.BOT
    assert len(house.events("handed_off")) == 1
    # A new request is one.
    await hello(house, "atendente", "5")
    assert house.state() == State.AWAITING_AGENT
    assert len(house.events("handed_off")) == 2


async def test_a_message_that_re_opens_it_clears_every_lock(house: House):
    def lock() -> None:
        business = Business.objects.get()
        user = User.objects.create(username="bia")
        member = Membership.objects.create(business=business, user=user)
        team = Team.objects.create(business=business, name="Vendas")
        pk = Conversation.objects.get().pk
        ownership.act(pk, Wish(Move.ASSIGN, "user:1", assignee=member.pk, team=team.pk))
        ownership.act(pk, Wish(Move.SNOOZE, "user:1", snooze=3600))
        ownership.resolve(pk, "user:1")

    await house.work()
    await hello(house, "atendente", "1")
    await elsewhere(lock)
    await hello(house, "voltei", "2")
    assert house.rows("select state, assignee_id, team_id, snoozed_until from prosa_conversations_conversation") == [
        (State.BOT, None, None, None)
    ]
    assert house.carrier.texts()[-1] == "eco: voltei"
    assert len(house.events("handed_off")) == 1


# ── their language ──


EN = words("en")
ES = words("es")


async def test_the_truth_is_told_in_the_customer_s_language(house: House):
    await put(handoff_text="Vou chamar a Dona Rosa.")  # in the business's language, for who speaks it
    await house.work()
    await hello(house, "Hello, I want to talk to a human", "1", phone="5511900000001")
    await hello(house, "quiero hablar con una persona", "2", phone="5511900000002")
    await hello(house, "quero falar com uma pessoa", "3", phone="5511900000003")
    assert [text for _to, text, _ in house.carrier.sent] == [
        f"{EN['handed_off']}\n\n{in_line('en', 0, None)}",
        f"{ES['handed_off']}\n\n{in_line('es', 1, None)}",
        f"Vou chamar a Dona Rosa.\n\n{in_line('pt-br', 2, None)}",
    ]
    # Who waits is told so in it too, whatever word they come back with.
    house.do("update prosa_conversations_conversation set wait_notice_at = now() - interval '1 day'")
    await hello(house, "???", "4", phone="5511900000001")
    assert house.carrier.texts("5511900000001")[-1] == f"{EN['still_waiting']} {in_line('en', 0, None)}"
    assert house.rows("select language from prosa_conversations_conversation order by id") == [("en",), ("es",), ("",)]


async def test_that_the_assistant_is_back_is_told_in_it_too(house: House):
    await put(handback_minutes=5, tell_handback=True)
    await house.work()
    await hello(house, "I want to talk to a human")
    house.do("update prosa_conversations_conversation set state_at = now() - interval '1 hour'")
    house.do("update prosa_conversations_message set created_at = now() - interval '1 hour'")
    house.do("update prosa_conversations_event set created_at = now() - interval '1 hour'")
    assert await elsewhere(clocks.hand_back) == 1
    await house.until(lambda: house.carrier.texts()[-1] == EN["assistant_back"])


async def test_a_language_stays_until_another_is_sure(house: House):
    await house.work()
    await hello(house, "Hi, how are you today?", "1")
    await hello(house, "ok", "2")
    assert [turn.locale for turn in house.mind.turns] == ["en", "en"]
    await hello(house, "quanto custa a entrega?", "3")
    assert house.mind.turns[-1].locale == "pt-br"
    assert house.rows("select language from prosa_conversations_conversation") == [("",)]


async def test_an_offer_is_accepted_in_another_language_than_it_was_made(house: House):
    house.mind.answer = runner.run
    await house.work()
    await hello(house, "vende pneu?", "1")
    assert house.carrier.texts()[0].endswith(PT["offer_person"])
    await hello(house, "yes please", "2")
    assert house.state() == State.AWAITING_AGENT
    assert house.carrier.texts()[-1].startswith(EN["handed_off"])
