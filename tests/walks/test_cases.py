"""The assistant asks people one question, keeps the customer company, and passes the answer on: once, or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from tests.walks.house import Gate, House, elsewhere, says
from tests.walks.payloads import said

from prosa import conf
from prosa.agents import runner
from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.contracts import Ask, Turn, TurnResult
from prosa.conversations import learning, ownership, replying
from prosa.conversations.models import Conversation, State
from prosa.conversations.words import words
from prosa.desk import cases, clocks
from prosa.postgres.connections import connect
from prosa.simulator import fake_llm

PT = words("pt-br")
QUESTION = "Entregamos aos domingos no Centro, e por quanto?"
ANSWER = "Sim, domingo das 9h às 12h, por R$ 25,90."


@pytest.fixture
def bia(business: Business) -> Membership:
    return hired(business, "bia")


def hired(business: Business, name: str, role: str = Role.AGENT) -> Membership:
    return Membership.objects.create(
        business=business, user=User.objects.create(username=name, first_name=name.title()), role=role
    )


async def hello(house: House, text: str, number: str) -> str:
    """A customer writes; the last thing we say to it."""
    before = len(house.carrier.sent)
    await house.post(said(text, number))
    await house.until(lambda: len(house.carrier.sent) > before)
    await house.quiet()
    return house.carrier.texts()[-1]


def case(house: House) -> dict[str, Any]:
    return house.one("select to_jsonb(q) from prosa_conversations_case q order by id desc limit 1")


def state(house: House) -> str:
    return case(house)["state"]


async def press(house: House, member: Membership, what: str, **values: Any) -> int:
    """A button of the desk."""
    address = f"/agent/c/{house.conversation()}/{what}"

    def post() -> int:
        client = Client()
        client.force_login(member.user)
        return client.post(address, values).status_code

    return await elsewhere(post)


async def answers(house: House, member: Membership, text: str = ANSWER) -> int:
    return await press(house, member, f"case/{case(house)['id']}/answer", text=text)


async def asking(turn: Turn) -> TurnResult:
    return says("Vou perguntar à equipe.", asks=Ask(QUESTION))


@pytest.fixture
async def asked(house: House, bia: Membership) -> House:
    """The team was asked; from now on the model says back what it is told."""
    house.mind.answer = asking
    await house.work()
    await hello(house, "entregam domingo?", "1")
    assert (state(house), house.state()) == ("open", State.BOT)

    async def telling(turn: Turn) -> TurnResult:
        heard = turn.asked.answer if turn.asked else None
        return says(f"A equipe diz: {heard}" if heard is not None else "eco: " + turn.question[-1].text)

    house.mind.answer = telling
    return house


# ── the whole walk, with the agent and the model's double ──


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_llm.Control]:
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        yield fake_llm.control
        fake_llm.control.reset()
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
async def shop(house: House, business: Business, llm: fake_llm.Control) -> AsyncIterator[House]:
    house.do("update prosa_business_business set model = 'openai-chat:stub'")
    house.mind.answer = runner.run
    yield house
    await runner.close()


def offered(llm: fake_llm.Control) -> set[str]:
    return {tool["function"]["name"] for tool in llm.requests[-1].body.get("tools", ())}


async def test_the_team_is_asked_and_its_answer_told(shop: House, bia: Membership, llm: fake_llm.Control):
    await shop.work()
    llm.call(("ask_a_person", {"question": QUESTION}))
    assert await hello(shop, "vocês entregam no domingo?", "1") == PT["asking"]
    assert len(llm.requests) == 1, "our own sentence, where the model has none, costs no second request"
    assert shop.state() == State.BOT
    assert shop.events("case_asked")[0]["question"] == QUESTION
    heard = "task_name like '%%notices.hear' and status = 'todo' and (args->>'conversation_id')::bigint in (select id from prosa_conversations_conversation)"
    assert shop.one(f"select count(*) from procrastinate_jobs where {heard}") == 1

    # Meanwhile the customer is served, and nothing is asked twice.
    llm.call(("ask_a_person", {"question": "De novo?"}))
    llm.say = lambda prompt: " ".join(prompt.results) or "Ainda espero a resposta."
    assert "has not answered yet" in await hello(shop, "e aí?", "2")
    assert shop.one("select count(*) from prosa_conversations_case") == 1
    told = json.dumps(llm.requests[-1].body, ensure_ascii=False)
    assert "# Asked of the team" in told
    system = next(each for each in llm.requests[-1].body["messages"] if each["role"] == "system")
    assert QUESTION not in system["content"], "worded by a model after what a stranger wrote"

    llm.say = lambda prompt: "Entregamos sim, domingo das 9h às 12h, por R$ 25,90."
    assert await answers(shop, bia) == 204
    await shop.until(lambda: len(shop.carrier.texts()) == 3)
    await shop.quiet()
    assert shop.carrier.texts()[2] == "Entregamos sim, domingo das 9h às 12h, por R$ 25,90."
    assert ANSWER in json.dumps(llm.requests[-1].body, ensure_ascii=False)
    assert "ask_a_person" not in offered(llm)
    assert (state(shop), shop.state()) == ("relayed", State.BOT)
    assert shop.events("case_answered")[0]["answer"] == ANSWER
    assert len(shop.events("case_relayed")) == 1
    trace = shop.one("select trace from prosa_conversations_turn order by id desc limit 1")
    assert trace["case"] == {"id": case(shop)["id"], "question": QUESTION, "answer": ANSWER}
    assert await answers(shop, bia, "outra") == 409, "answered is answered"

    # What people knew may become an approved answer.
    async with await connect(shop.dsn, "learning") as connection:
        assert [await learning.suggest_told(connection) for _ in range(2)] == [1, 0]
    learned = shop.rows("select question, answer, author from prosa_knowledge_suggestion")
    assert learned == [(QUESTION, ANSWER, "agent")]


async def test_what_the_team_did_not_say_is_not_told_for_it(shop: House, bia: Membership, llm: fake_llm.Control):
    """A model that invents a price twice is not heard: the team's own words are."""
    await shop.work()
    llm.call(("ask_a_person", {"question": QUESTION}))
    await hello(shop, "vocês entregam no domingo?", "1")
    llm.say = lambda prompt: "Entregamos por R$ 12,00."
    assert await answers(shop, bia) == 204
    await shop.until(lambda: len(shop.carrier.texts()) == 2)
    assert shop.carrier.texts()[1] == f"{PT['team_answered']}\n{ANSWER}"


@pytest.mark.parametrize("draft", ["Não tenho essa informação aqui.", "Entregamos sim, no domingo de manhã!"])
async def test_an_answer_that_the_model_leaves_out_is_told_word_by_word(asked: House, bia: Membership, draft: str):
    async def dodging(_turn: Turn) -> TurnResult:
        return says(draft)

    asked.mind.answer = dodging
    assert await answers(asked, bia) == 204
    await asked.until(lambda: state(asked) == "relayed")
    await asked.quiet()
    assert asked.carrier.texts()[1:] == [f"{PT['team_answered']}\n{ANSWER}"]


async def test_nobody_is_asked_where_nobody_works_or_the_business_does_not_want_it(
    shop: House, business: Business, llm: fake_llm.Control
):
    llm.say = lambda prompt: "Certo."
    await shop.work()
    await hello(shop, "oi", "1")
    assert "bring_in_person" in offered(llm)
    assert "ask_a_person" not in offered(llm), "nobody works here"
    await elsewhere(hired, business, "eva", Role.VIEWER)
    await hello(shop, "oi de novo", "2")
    assert "ask_a_person" not in offered(llm), "who may only look is not asked"
    await elsewhere(hired, business, "leo")
    await hello(shop, "oi mais uma vez", "3")
    assert "ask_a_person" in offered(llm)
    shop.do("update prosa_business_business set case_minutes = 0")
    await hello(shop, "tchau", "4")
    assert "ask_a_person" not in offered(llm)


# ── without a model ──


async def test_offline_the_answer_is_told_word_by_word(asked: House, bia: Membership):
    asked.do("update prosa_business_business set model = 'offline'")
    asked.mind.answer = runner.run
    assert await hello(asked, "e aí?", "2") == PT["still_asking"]
    assert await answers(asked, bia) == 204
    await asked.until(lambda: state(asked) == "relayed")
    await asked.quiet()
    assert asked.carrier.texts()[2:] == [f"{PT['team_answered']}\n{ANSWER}"]


async def test_when_nobody_knows_the_customer_is_told_so(asked: House, bia: Membership):
    asked.do("update prosa_business_business set model = 'offline'")
    asked.mind.answer = runner.run
    assert await press(asked, bia, f"case/{case(asked)['id']}/close") == 204
    await asked.until(lambda: state(asked) == "closed")
    await asked.quiet()
    assert asked.carrier.texts()[1:] == [f"{PT['team_cannot']} {PT['offer_person']}"]
    assert asked.state() == State.BOT
    assert (len(asked.events("case_closed")), asked.events("case_relayed")) == (1, [])


# ── once, or not at all ──


async def test_a_worker_that_dies_before_it_was_told(asked: House, bia: Membership):
    gate, telling = Gate(), asked.mind.answer

    async def dies(turn: Turn) -> TurnResult:
        await gate.wait()
        return await telling(turn)

    asked.mind.answer = dies
    assert await answers(asked, bia) == 204
    await asked.until(gate.reached.is_set)
    await asked.kill(asked.workers[0][0])
    assert state(asked) == "answered"
    asked.mind.answer = telling
    await asked.work()
    await asked.until(lambda: state(asked) == "relayed")
    await asked.quiet()
    assert asked.carrier.texts()[1:] == [f"A equipe diz: {ANSWER}"]


async def test_who_writes_on_meanwhile_hears_it_once(asked: House, bia: Membership):
    gate, telling = Gate(), asked.mind.answer

    async def slow(turn: Turn) -> TurnResult:
        await gate.wait()
        return await telling(turn)

    asked.mind.answer = slow
    await asked.post(said("e aí?", "2"))
    await asked.until(gate.reached.is_set)
    assert await answers(asked, bia) == 204
    gate.open.set()
    await asked.until(lambda: state(asked) == "relayed")
    await asked.quiet()
    assert asked.carrier.texts()[1:] == [f"A equipe diz: {ANSWER}"]
    assert asked.pending() == 0


async def test_after_a_fixed_sentence_the_answer_still_comes(asked: House, bia: Membership):
    """A customer who starts afresh hears that first; what was promised is not forgotten for it."""
    gate, telling = Gate(), asked.mind.answer
    asked.carrier.next.append(gate.wait)
    asked.do("update prosa_business_business set reset_words = 'recomeçar', quiet_ms = 0")
    assert await hello_later(asked, "recomeçar", "2", bia, gate) == 204
    asked.mind.answer = telling
    await asked.until(lambda: state(asked) == "relayed")
    await asked.quiet()
    assert asked.carrier.texts()[1:] == [PT["afresh"], f"A equipe diz: {ANSWER}"]


async def hello_later(house: House, text: str, number: str, member: Membership, gate: Gate) -> int:
    """The customer writes and a member answers before anything of that left."""
    await house.post(said(text, number))
    await house.until(gate.reached.is_set)
    status = await answers(house, member)
    gate.open.set()
    return status


async def test_a_person_who_took_it_gets_the_answer_instead(asked: House, business: Business, bia: Membership):
    rui = await elsewhere(hired, business, "rui")
    assert await press(asked, bia, "take") == 204
    assert state(asked) == "handed_off"
    assert await answers(asked, rui) == 200
    await asked.quiet()
    assert len(asked.carrier.texts()) == 1, "the assistant says nothing over a person"
    conversation = await elsewhere(Conversation.objects.get)
    found = await elsewhere(lambda: cases.offer(conversation, cases.newest(conversation)))
    assert (found.text, found.by) == (ANSWER, "Rui")
    assert await answers(asked, bia) == 409
    held = await elsewhere(lambda: Conversation.objects.select_related("contact", "inbox").get())
    await elsewhere(lambda: replying.reply(held, bia, "É isso mesmo."))
    assert await elsewhere(lambda: cases.offer(conversation, cases.newest(conversation))) is None


async def test_taken_while_the_answer_is_being_worded(asked: House, bia: Membership):
    gate, telling = Gate(), asked.mind.answer

    async def slow(turn: Turn) -> TurnResult:
        await gate.wait()
        return await telling(turn)

    asked.mind.answer = slow
    assert await answers(asked, bia) == 204
    await asked.until(gate.reached.is_set)
    assert await press(asked, bia, "take") == 204
    gate.open.set()
    await asked.until(lambda: asked.outcomes()[-1] == "withheld")
    await asked.quiet()
    assert len(asked.carrier.texts()) == 1
    conversation = await elsewhere(Conversation.objects.get)
    assert (await elsewhere(lambda: cases.offer(conversation, cases.newest(conversation)))).text == ANSWER


# ── the clock ──


def late(house: House) -> None:
    house.do("update prosa_conversations_case set remind_at = now() - interval '1 s' where remind_at is not null")


async def test_three_reminders_then_people(asked: House):
    for number in (1, 2, 3):
        await elsewhere(cases.remind)
        assert case(asked)["reminders"] == number - 1, "not before its time"
        late(asked)
        await elsewhere(cases.remind)
        assert (case(asked)["reminders"], state(asked)) == (number, "open")
    assert len(asked.events("case_reminded")) == 3
    late(asked)
    await elsewhere(cases.remind)
    await asked.until(lambda: asked.state() == State.AWAITING_AGENT)
    await asked.quiet()
    assert state(asked) == "handed_off"
    assert asked.events("handed_off")[0]["reason"] == "case_unanswered"
    assert len(asked.carrier.texts()) == 2
    assert asked.carrier.texts()[1].startswith(PT["case_over"])
    await elsewhere(cases.remind)
    assert len(asked.events("case_reminded")) == 3


async def test_nobody_is_reminded_while_nobody_is_at_work(asked: House):
    now = asked.one("select to_char(now() at time zone 'UTC' + interval '2 days', 'dy')")
    asked.do(
        "update prosa_business_business set timezone = 'UTC', hours = jsonb_build_object(%s::text, '09:00-18:00')", now
    )
    late(asked)
    await elsewhere(cases.remind)
    assert (case(asked)["reminders"], state(asked)) == (0, "open")


# ── every way back ──


async def by_hand(house: House, member: Membership) -> None:
    assert await press(house, member, "take") == 204
    assert await press(house, member, "give-back") == 204


async def by_time(house: House, member: Membership) -> None:
    assert await press(house, member, "assign", to="") == 204
    house.do("update prosa_business_business set handback_minutes = 1")
    house.do("update prosa_conversations_conversation set state_at = now() - interval '1 hour'")
    house.do("update prosa_conversations_event set created_at = now() - interval '1 hour'")
    house.do("update prosa_conversations_message set created_at = now() - interval '1 hour'")
    assert await elsewhere(clocks.hand_back) == 1


async def by_the_customer(house: House, member: Membership) -> None:
    assert await press(house, member, "resolve") == 204
    assert state(house) == "closed"
    await house.post(said("mais uma coisa", "9"))
    await house.until(lambda: house.state() == State.BOT)


async def by_a_person_who_reopens(house: House, member: Membership) -> None:
    assert await press(house, member, "resolve") == 204
    assert await press(house, member, "reopen") == 204
    assert await press(house, member, "give-back") == 204


@pytest.mark.parametrize(
    ("way", "answered"),
    [(by_hand, False), (by_hand, True), (by_time, False), (by_the_customer, True), (by_a_person_who_reopens, False)],
)
async def test_whoever_gives_it_back_nothing_of_the_question_is_left(
    asked: House, bia: Membership, way: Callable[[House, Membership], Any], answered: bool
):
    gate = Gate()

    async def slow(turn: Turn) -> TurnResult:
        await gate.wait()
        return await asking(turn)

    if answered:
        asked.mind.answer = slow
        assert await answers(asked, bia) == 204
        await asked.until(gate.reached.is_set)
    await way(asked, bia)
    assert asked.state() == State.BOT
    assert asked.one("select count(*) from prosa_conversations_case where state in ('open', 'answered')") == 0
    gate.open.set()
    asked.mind.answer = asking
    await hello(asked, "e no feriado?", "10")
    assert (state(asked), asked.state()) == ("open", State.BOT), "it may ask again"
    assert asked.one("select count(*) from prosa_conversations_case") == 2
    assert not [text for text in asked.carrier.texts() if ANSWER in text]


# ── whose it is ──


async def test_only_its_own_people_may_answer(asked: House, business: Business, bia: Membership):
    other = await elsewhere(lambda: Business.objects.create(name="Outra", slug="outra"))
    stranger = await elsewhere(hired, other, "rui")
    viewer = await elsewhere(hired, business, "eva", Role.VIEWER)
    for member, status in ((stranger, 404), (viewer, 403)):
        assert await answers(asked, member) == status
        assert await press(asked, member, f"case/{case(asked)['id']}/close") == status
    assert await press(asked, bia, f"case/{case(asked)['id'] + 1}/answer", text="x") == 409
    assert await answers(asked, bia, " \n ") == 422
    assert await answers(asked, bia, "x" * 4001) == 422
    assert state(asked) == "open"


async def test_when_the_window_is_closed_a_template_must_be_sent(asked: House, bia: Membership):
    asked.do("update prosa_conversations_conversation set last_inbound_at = now() - %s", timedelta(hours=25))
    assert await answers(asked, bia) == 409
    assert state(asked) == "open"


async def test_a_handoff_in_the_same_breath_asks_nobody(house: House, bia: Membership):
    house.mind.answer = asking
    await house.work()
    await hello(house, "quero falar com atendente", "1")
    assert house.state() == State.AWAITING_AGENT
    assert house.one("select count(*) from prosa_conversations_case") == 0
    await elsewhere(lambda: ownership.give_back(house.conversation(), "system"))
