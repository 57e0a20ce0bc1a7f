"""Promises 6 and 7: old news is not answered as new, and the customer always gets an answer."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from tests.walks.house import House, elsewhere, says
from tests.walks.payloads import receipt, said, text, written

from prosa.agents import runner
from prosa.contracts import Turn
from prosa.conversations import dispatch, ownership, turns
from prosa.conversations.models import State
from prosa.conversations.words import in_line, words

HOUR = 3600
PT = words("pt-br")


async def test_a_redelivery_of_yesterday_waits_for_a_person(house: House):
    await house.work()
    assert await house.post(said("ontem", "1", at=time.time() - 13 * HOUR)) == 200
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.mind.turns == []
    assert house.events("not_answered") == [{"reason": "too_old", "messages": 1}]
    # It does wait for one: people see it, and the customer, to whom we may still write, hears that.
    assert house.state() == State.AWAITING_AGENT
    assert house.events("handed_off")[0]["reason"] == "too_old"
    assert house.carrier.texts() == [f"{PT['still_waiting']}\n\n{in_line('pt-br', 0, None)}"]
    # Given back, nothing of it is answered as new, nor handed over again.
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.quiet()
    assert (house.state(), house.pending(), len(house.events("handed_off"))) == (State.BOT, 0, 1)


async def test_a_redelivery_of_days_ago_is_told_to_people_alone(house: House):
    """The window in which the customer might be told is closed."""
    await house.work()
    await house.post(said("semana passada", "1", at=time.time() - 100 * HOUR))
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    await house.quiet()
    assert house.sends() == []
    assert house.carrier.sent == []


async def test_what_is_new_is_answered_without_what_is_old(house: House):
    await house.work()
    await house.post(written([text("ontem", "1", at=time.time() - 13 * HOUR), text("hoje", "2")]))
    await house.until(lambda: house.carrier.sent)
    assert house.mind.asked() == [["hoje"]]


async def test_the_window_of_24_hours_is_looked_at_when_sending(house: House):
    """The answer was ready, and could leave only after the window had closed."""
    await house.post(said("oi", "1"))
    house.do("update prosa_conversations_conversation set last_inbound_at = now() - interval '24 hours 1 minute'")
    await house.work()
    await house.until(lambda: house.sends() == [("eco: oi", "failed")])
    await house.quiet()
    assert house.carrier.sent == []
    assert house.one("select error_code from prosa_conversations_message where direction = 'out'") == "window_closed"
    assert [event["code"] for event in house.events("delivery_failed")] == ["window_closed"]


async def test_blocked_people_are_not_answered(house: House):
    await house.post(said("spam", "1"))
    house.do("update prosa_contacts_contact set blocked_at = now()")
    await house.work()
    await house.until(lambda: house.events("not_answered"))
    await house.quiet()
    assert house.carrier.sent == []


# ── the customer always gets an answer ──


@pytest.mark.parametrize("answer", ["a\x00b", "\ud83d metade", "🙂" * 100, "a\u202eb"])
async def test_strange_answers_are_sent_all_the_same(house: House, answer: str):
    async def odd(_turn: Turn) -> Any:
        trace = {"raw": answer, answer: [answer, {"nested": answer}], "at": object}
        return says(answer, error=answer, trace=trace)

    house.mind.answer = odd
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.outcomes() == ["answered"]
    json.dumps(house.rows("select trace from prosa_conversations_turn"))


async def test_a_very_long_answer_is_a_few_bubbles(house: House):
    async def long(_turn: Turn) -> Any:
        return says("\n\n".join(f"Parágrafo {number}. " + "Palavras e mais palavras. " * 20 for number in range(95)))

    house.mind.answer = long
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert 1 <= len(house.carrier.sent) <= 15
    assert all(f"Parágrafo {number}." in " ".join(house.carrier.texts()) for number in range(95))
    assert all(0 < len(sent) <= 4096 for _, sent, _ in house.carrier.sent)


@pytest.mark.parametrize("words", ["", "   \n ", "\u200b"])
async def test_an_answer_of_nothing_is_not_sent_and_not_forgotten(house: House, words: str):
    """The runner turns nothing into words of its own; whatever comes through as nothing is on record as silence."""

    async def nothing(_turn: Turn) -> Any:
        return says(*[words] if words else [])

    house.mind.answer = nothing
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(house.outcomes)
    await house.quiet()
    assert all(sent.strip() for _, sent, _ in house.carrier.sent)


async def test_the_real_runner_always_says_something(house: House):
    """Without any model: what it knows, else that it does not know."""
    house.mind.answer = runner.run
    await house.work()
    await house.post(said("vocês entregam em Marte?", "1"))
    await house.until(lambda: house.carrier.sent)
    assert house.carrier.texts()[0].strip()


async def test_a_mind_that_fails_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)

    async def fail_twice(turn: Turn) -> Any:
        if len(house.mind.turns) < 3:
            raise RuntimeError("out of order")
        return await house.mind.echo(turn)

    house.mind.answer = fail_twice
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.carrier.texts() == ["eco: oi"]
    assert house.rows("select attempts, last_error, dead_at from prosa_conversations_dispatch where lane = 1") == [
        (0, "", None)
    ]


async def test_a_mind_that_cancels_itself_is_not_asked_for_ever(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    monkeypatch.setattr(dispatch, "LAST_ATTEMPT", 3)

    async def cancel(_turn: Turn) -> Any:
        raise asyncio.CancelledError

    house.mind.answer = cancel
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    assert len(house.mind.turns) == 3


async def test_a_mind_that_hangs_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    monkeypatch.setattr(turns, "GRACE_S", 0.5)
    house.do("update prosa_business_business set turn_deadline_s = 0")

    async def hang_once(turn: Turn) -> Any:
        if len(house.mind.turns) == 1:
            await asyncio.sleep(3600)
        return await house.mind.echo(turn)

    house.mind.answer = hang_once
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)


async def _dead(house: House, monkeypatch: pytest.MonkeyPatch) -> int:
    """A conversation whose every turn fails until nobody tries any more. Returns the dead letter's id."""
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    monkeypatch.setattr(dispatch, "LAST_ATTEMPT", 3)

    async def fail(_turn: Turn) -> Any:
        raise RuntimeError("out\x00 of order")

    house.mind.answer = fail
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    return house.one("select id from prosa_conversations_dispatch where dead_at is not null and lane = 1")


async def test_a_dead_letter_is_a_conversation_for_people(house: House, monkeypatch: pytest.MonkeyPatch):
    await _dead(house, monkeypatch)
    assert len(house.mind.turns) == 3
    assert house.events("handed_off")[0]["reason"] == "turn_failed"
    assert "out of order" in house.one(
        "select replace(last_error, chr(65533), '') from prosa_conversations_dispatch where lane = 1"
    )
    # The customer hears of it at once, and is not told so again with every message.
    await house.until(lambda: house.carrier.sent)
    await house.post(said("alô?", "2"))
    await house.quiet()
    assert house.carrier.texts() == [f"{PT['over_budget']}\n\n{in_line('pt-br', 0, None)}"]
    assert house.pending() == 2


async def test_a_dead_letter_given_back_is_answered(house: House, monkeypatch: pytest.MonkeyPatch):
    await _dead(house, monkeypatch)
    house.mind.answer = house.mind.echo
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.until(lambda: "eco: oi" in house.carrier.texts())
    await house.quiet()
    assert house.rows("select 1 from prosa_conversations_dispatch where dead_at is not null") == []


async def test_a_dead_letter_revived_is_work_again(house: House, monkeypatch: pytest.MonkeyPatch):
    letter = await _dead(house, monkeypatch)
    assert await elsewhere(dispatch.revive, [letter]) == 1
    assert await elsewhere(dispatch.revive, [letter, 0]) == 0
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.rows("select 1 from prosa_conversations_dispatch where dead_at is not null") == []
    assert house.pending() == 1


async def test_a_new_message_gives_a_dead_conversation_another_life(house: House, monkeypatch: pytest.MonkeyPatch):
    await _dead(house, monkeypatch)
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.until(lambda: len(house.mind.turns) == 6)
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    house.mind.answer = house.mind.echo
    await elsewhere(ownership.give_back, house.conversation(), "user:1")
    await house.post(said("alô?", "2"))
    await house.until(lambda: house.pending() == 0)


async def test_work_that_kills_its_workers_ends_as_a_dead_letter(house: House):
    """A message that crashes every process that touches it is set aside, with its conversation for people."""
    await house.post(said("oi", "1"))
    house.do("insert into prosa_conversations_worker (owner, host, pid, beat_at) values (999, 'gone', 1, now())")
    house.do("update prosa_conversations_dispatch set owner = 999, run_at = null, attempts = %s", dispatch.LAST_ATTEMPT)
    await house.work()
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    assert house.mind.turns == []


async def test_an_inbox_out_of_service_keeps_its_questions(house: House):
    """Its credentials do not open: nothing is marked as answered that was not."""
    await house.post(said("oi", "1"))
    sealed = house.one("select credentials from prosa_channels_inbox")
    house.do("update prosa_channels_inbox set credentials = 'broken'")
    await house.work()
    await house.until(
        lambda: "not in service" in str(house.rows("select last_error from prosa_conversations_dispatch"))
    )
    assert house.pending() == 1
    house.do("update prosa_channels_inbox set credentials = %s", sealed)
    house.do("select pg_notify('prosa_inbox', '')")
    house.do("update prosa_conversations_dispatch set run_at = now() + interval '0.2 s'")
    house.do("select pg_notify('prosa_dispatch', '')")
    await house.until(lambda: house.carrier.sent)


async def test_receipts_and_answers_survive_a_business_switched_off(house: House):
    house.do("update prosa_business_business set active = false")
    await house.work()
    await house.post(said("oi", "1"))
    await house.post(receipt("read", "wamid.x"))
    await house.quiet()
    assert house.mind.turns == []
    assert house.pending() == 1
