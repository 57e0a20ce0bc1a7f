"""Promise 2: nothing is answered twice, and a send whose outcome nobody knows is not repeated blindly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.walks.house import Gate, House, says
from tests.walks.payloads import ANA, receipt, said, text, written

from prosa.conversations import outbox
from prosa.errors import PermanentError, SlowDown, TemporaryError, UnknownOutcome, WindowClosed


async def test_the_837_copies(house: House):
    """The provider lost our answers and sends the same webhook for hours, through two doors."""
    await house.work()
    await house.enter()
    got = await asyncio.gather(*[house.post(said("oi", "1"), door=index % 2) for index in range(3)])
    assert got == [200] * 3
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    got = await asyncio.gather(*[house.post(said("quanto custa?", "2"), door=index % 2) for index in range(837)])
    assert got == [200] * 837
    await house.until(lambda: len(house.carrier.sent) > 1)
    await house.quiet()
    got = await asyncio.gather(*[house.post(said("quanto custa?", "2"), door=index % 2) for index in range(50)])
    await house.quiet()
    assert house.carrier.texts() == ["eco: oi", "eco: quanto custa?"]
    assert house.one("select count(*) from prosa_conversations_message where direction = 'in'") == 2


async def test_the_same_strangers_through_two_doors_at_once(house: House):
    """Contacts, conversations and messages are made once, whoever was first."""
    await house.enter()
    people = [f"55119000{index:05d}" for index in range(40)]
    bodies = [written([text("oi", f"{person}-{part}", person) for person in people]) for part in range(4)]
    got = await asyncio.gather(*[house.post(bodies[index // 2], door=index % 2) for index in range(8)])
    assert got == [200] * 8
    assert house.one("select count(*) from prosa_contacts_contact") == 40
    assert house.one("select count(*) from prosa_conversations_conversation") == 40
    assert house.one("select count(*) from prosa_conversations_message") == 160


async def test_one_message_twice_in_one_post(house: House):
    await house.work()
    assert await house.post(written([text("oi", "1"), text("oi", "1"), text("tudo bem?", "2")])) == 200
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.carrier.texts() == ["eco: oi | tudo bem?"]


# ── sends of unknown outcome ──


async def _unknown() -> None:
    raise UnknownOutcome("No answer came.")


async def _accepted_and_lost(house: House) -> str:
    """The provider takes a message and we never learn it. Returns its tracker."""
    house.carrier.after.append(_unknown)
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.sends() == [("eco: oi", "unconfirmed")])
    await house.quiet()
    return house.carrier.sent[0][2]


def _age(house: House, seconds: float) -> None:
    house.do(
        "update prosa_conversations_message set status_at = status_at - %s * interval '1 s' where status = 'unconfirmed'",
        seconds,
    )
    house.hurry(lane=2)


async def test_a_receipt_with_our_tracker_reconciles(house: House):
    tracker = await _accepted_and_lost(house)
    await house.post(receipt("sent", "wamid.theirs", tracker))
    await house.until(lambda: house.sends() == [("eco: oi", "sent")])
    _age(house, 300)
    await house.quiet()
    assert len(house.carrier.sent) == 1
    assert house.one("select provider_id from prosa_conversations_message where direction = 'out'") == "wamid.theirs"
    await house.post(receipt("read", "wamid.theirs"))
    assert house.sends() == [("eco: oi", "read")]


async def test_no_receipt_though_receipts_flow_is_sent_once_more_and_only_once(house: House):
    await _accepted_and_lost(house)
    await house.post(receipt("delivered", "wamid.of-somebody-else"))
    house.carrier.after.append(_unknown)
    _age(house, 121)
    await house.until(lambda: len(house.carrier.sent) == 2)
    await house.until(lambda: house.sends() == [("eco: oi", "unconfirmed")])
    await house.quiet()
    await house.post(receipt("delivered", "wamid.of-somebody-else"))
    _age(house, 121)
    await house.until(lambda: house.sends() == [("eco: oi", "failed")])
    await house.quiet()
    assert len(house.carrier.sent) == 2
    assert house.one("select error_code from prosa_conversations_message where direction = 'out'") == "unknown_outcome"


async def test_not_sooner_than_two_minutes(house: House):
    await _accepted_and_lost(house)
    await house.post(receipt("delivered", "wamid.of-somebody-else"))
    _age(house, 100)
    await house.quiet()
    assert house.sends() == [("eco: oi", "unconfirmed")]
    assert len(house.carrier.sent) == 1


async def test_no_receipts_at_all_is_shown_to_a_person_and_never_repeated(house: House):
    await _accepted_and_lost(house)
    _age(house, 121)
    await house.until(lambda: house.sends() == [("eco: oi", "failed")])
    await house.quiet()
    assert len(house.carrier.sent) == 1
    assert [event["code"] for event in house.events("delivery_failed")] == ["unknown_outcome"]


async def test_it_holds_its_lane_half_a_minute_and_no_longer(house: House):
    await _accepted_and_lost(house)
    await house.post(said("e agora?", "2"))
    await house.until(lambda: len(house.sends()) == 2)
    await house.quiet()
    assert house.sends() == [("eco: oi", "unconfirmed"), ("eco: e agora?", "queued")]
    due = house.one("select extract(epoch from run_at - now()) from prosa_conversations_dispatch where lane = 2")
    assert due <= outbox.HOLD_S
    _age(house, 31)
    await house.until(lambda: house.sends() == [("eco: oi", "unconfirmed"), ("eco: e agora?", "sent")])
    assert len(house.carrier.sent) == 2


async def test_a_worker_killed_in_mid_send(house: House):
    gate = Gate()
    house.carrier.after.append(gate.wait)
    first = await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    house.do(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'prosa worker%'"
    )
    await house.kill(first)
    await house.work()
    await house.until(lambda: house.sends() == [("eco: oi", "unconfirmed")])
    await house.quiet()
    assert len(house.carrier.sent) == 1
    await house.post(receipt("delivered", "wamid.theirs", house.carrier.sent[0][2]))
    _age(house, 300)
    await house.quiet()
    assert house.sends() == [("eco: oi", "delivered")]
    assert len(house.carrier.sent) == 1


async def test_a_send_that_never_left_is_simply_tried_again(house: House):
    async def no_connection() -> None:
        raise TemporaryError("No connection.", retry_after=0.05)

    async def slower() -> None:
        raise SlowDown("Too fast.", retry_after=0.05)

    house.carrier.next += [no_connection, slower]
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.sends() == [("eco: oi", "sent")]


async def test_an_outage_of_a_minute_costs_no_answer(house: House, monkeypatch: pytest.MonkeyPatch):
    """The tries reach beyond the usual trouble of a provider."""
    monkeypatch.setattr(outbox, "backoff", lambda attempt: asked.append(2.0 ** (attempt - 1)) or 0.001)
    asked: list[float] = []

    async def away() -> None:
        raise TemporaryError("Away.")

    house.carrier.next += [away] * 8
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent or "failed" in str(house.sends()))
    await house.quiet()
    assert house.sends() == [("eco: oi", "sent")]
    assert sum(asked) > 120


@pytest.mark.parametrize(
    ("error", "code"),
    [(PermanentError("No.", code="131026"), "131026"), (WindowClosed("Late.", code="131047"), "131047")],
)
async def test_a_refused_send_is_shown_and_does_not_hold_the_next(house: House, error: Exception, code: str):
    async def refuse() -> None:
        raise error

    async def two(_turn: Any) -> Any:
        return says("um", "dois")

    house.mind.answer = two
    house.carrier.next.append(refuse)
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.sends() == [("um", "failed"), ("dois", "sent")])
    assert [event["code"] for event in house.events("delivery_failed")] == [code]


# ── receipts ──

STEPS = [
    (["sent", "delivered", "read"], "read"),
    (["read", "delivered", "sent"], "read"),
    (["delivered", "failed"], "delivered"),
    (["failed", "delivered"], "delivered"),
    (["failed", "sent"], "failed"),
    (["played", "read", "failed"], "played"),
    (["nonsense", "delivered"], "delivered"),
]


@pytest.mark.parametrize(("steps", "end"), STEPS)
async def test_receipts_only_move_forward(house: House, steps: list[str], end: str):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.sends() == [("eco: oi", "sent")])
    theirs = house.one("select provider_id from prosa_conversations_message where direction = 'out'")
    for step in steps:
        assert (
            await house.post(receipt(step, theirs, error={"code": 131026, "title": "x"} if step == "failed" else None))
            == 200
        )
    assert house.sends() == [("eco: oi", end)]
    assert house.one("select error_code from prosa_conversations_message where direction = 'out'") == (
        "131026" if end == "failed" else ""
    )


async def test_receipts_in_one_batch_end_at_the_strongest(house: House):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.sends() == [("eco: oi", "sent")])
    theirs = house.one("select provider_id from prosa_conversations_message where direction = 'out'")
    assert (
        await asyncio.gather(
            *[house.post(receipt(step, theirs)) for step in ("read", "sent", "delivered", "failed") * 5]
        )
        == [200] * 20
    )
    assert house.sends() == [("eco: oi", "read")]
    assert house.one("select error_code from prosa_conversations_message where direction = 'out'") == ""


async def test_a_receipt_faster_than_our_own_commit(house: House):
    gate = Gate()
    house.carrier.after.append(gate.wait)
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    assert await house.post(receipt("delivered", "wamid.theirs", house.carrier.sent[0][2])) == 200
    gate.open.set()
    await house.quiet()
    assert house.sends() == [("eco: oi", "delivered")]
    assert ANA


async def test_a_refusal_that_was_none_is_not_repeated_once_its_receipt_came(house: House):
    """Meta says 131000 and sends all the same (FACTS 1.9): the receipt is faster than the next try."""

    async def refused() -> None:
        raise TemporaryError("Meta refused with 131000.", code="131000", retry_after=60)

    house.carrier.next = [refused]
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(
        lambda: house.rows(
            "select 1 from prosa_conversations_message where error_code = '131000' and status = 'queued'"
        )
    )
    tracker = f"prosa:{house.one('select max(id) from prosa_conversations_message')}"
    await house.post(receipt("delivered", "wamid.after-all", tracker))
    house.hurry(lane=2)
    await house.until(
        lambda: (
            house.one("select count(*) from prosa_conversations_dispatch where run_at is not null or owner is not null")
            == 0
        )
    )
    assert house.carrier.sent == []
    assert (
        house.one("select status from prosa_conversations_message where provider_id = 'wamid.after-all'") == "delivered"
    )
