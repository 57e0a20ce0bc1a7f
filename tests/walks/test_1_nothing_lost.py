"""Promise 1: nothing accepted is lost, whatever the body holds and whoever dies."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.walks.house import Carrier, Gate, House, elsewhere, says
from tests.walks.payloads import SECRET, change, receipt, said, signature, text, written

from prosa.channels.models import Inbox
from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.conversations import inbound, receiver
from prosa.conversations.door import Door
from prosa.conversations.replay import replay
from prosa.errors import BadInput

FIXTURES = sorted((Path(__file__).parents[1] / "channels/fixtures/whatsapp_cloud").glob("*.json"))


def deep(levels: int) -> bytes:
    return b'{"entry":' + b"[" * levels + b"]" * levels + b"}"


UNPARSED = {
    "nothing": b"",
    "not JSON": b"hello",
    "a form": b"a=1&b=2",
    "cut off": said("oi", "1")[:-20],
    "not UTF-8": b'{"entry": "\xff\xfe"}',
    "only NUL": b"\x00" * 100,
    "a list": b"[]",
    "null": b"null",
    "a number": b"1e400",
    "endless digits": b"9" * 10_000,
    "no entry": b"{}",
    "entry is no list": b'{"entry": {"changes": []}}',
    "deep": deep(1_000),
    "very deep": deep(200_000),
}


@pytest.mark.parametrize("name", UNPARSED)
async def test_a_signed_body_that_is_no_webhook_is_kept_and_taken(house: House, name: str):
    assert await house.post(UNPARSED[name]) == 200
    assert house.webhooks() == ["unparsed"]
    assert house.one("select body from prosa_conversations_webhookevent") == UNPARSED[name]


async def test_the_limit_of_4_mb(house: House):
    whole = json.dumps({"entry": [], "filler": ""}).encode()
    whole = whole[:-2] + b"x" * (4 * 1024 * 1024 - len(whole)) + whole[-2:]
    assert len(whole) == 4 * 1024 * 1024
    assert await house.post(whole) == 200
    assert await house.post(whole + b" ") == 413
    assert await house.post(whole + b" ", chunks=[whole[:100], whole[100:], b" "]) == 413
    assert await house.post(b"", headers=[(b"content-length", b"4194305")]) == 413
    assert house.one("select array_agg(length(body)) from prosa_conversations_webhookevent") == [len(whole)]


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5_000, b"-1", b"", b"abc"])
async def test_a_strange_content_length_is_no_500(house: House, length: bytes):
    assert await house.post(said("oi", "1"), headers=[(b"content-length", length)]) in (200, 413)


async def test_who_may_not_come_in(house: House):
    body = said("oi", "1")
    for wrong in (
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha256=\xff\xfe",
        "sha1=" + "0" * 40,
        signature(body)[:-1],
        signature(body + b" "),
        signature(body, "x"),
    ):
        assert await house.post(body, signed=wrong) == 403
        assert await house.post(body, signed=wrong, path="/webhook") == 403
    assert await house.post(body, path="/webhook/whatsapp_cloud/nobody/") == 404
    assert await house.post(body, path="/webhook/pigeon/") == 404
    assert await house.post(body, path="/webhook/a/b/c/") == 404
    assert (await house.ask(body, method="PUT"))[0] == 405
    assert house.webhooks() == []
    assert await house.post(body, path="/webhook/whatsapp_cloud/") == 200
    assert await house.post(body, path="/webhook") == 200


@pytest.mark.parametrize(
    "words", ["oi\x00\x00", "\ud83d", "\ud83d\x00\udc00", "🙂" * 2000, "\u202e\ufeff", "'; drop table x; --", ""]
)
async def test_strange_characters_are_messages_like_others(house: House, words: str):
    await house.work()
    message = text(words, "1")
    message["context"] = {"id": "w\x00", "from": "1\ud800"}
    message["referral"] = {"headline": "a\x00b\ud800", "source_url": "\x00"}
    message["image"] = {"id": "x\x00", "caption": "\x00"}
    assert await house.post(written([message])) == 200
    await house.until(lambda: house.carrier.sent)
    assert house.webhooks() == ["ok"]
    assert house.pending() == 0


def _wrecked(value: Any, path: list[int], junk: Any) -> Any:
    """The payload with one of its places replaced by something of another type."""
    if not path or not isinstance(value, dict | list) or not value:
        return junk
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[path[0] % len(keys)]
    value[key] = _wrecked(value[key], path[1:], copy.deepcopy(junk))
    return value


JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1e308,
        10**30,
        "",
        "\x00",
        "\ud800",
        "x" * 5_000,
        [],
        {},
        [[]],
        [{}],
        {"a": []},
        ["x"],
        [None],
        float("nan"),
        "2038",
        -5.5,
        "12345678901234567890" * 20,
    ]
)


def test_wrong_types_anywhere_are_kept_and_taken(dsn: str, inbox: Inbox):
    """No body of a known shape with something wrong in it upsets the door; whatever is not understood is on record."""
    with asyncio.Runner() as runner:
        house = House(dsn, Carrier())
        runner.run(house.enter())
        try:
            _post_wrecks(runner, house)
        finally:
            runner.run(house.leave())


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def _post_wrecks(runner: asyncio.Runner, house: House, data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(FIXTURES)).read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        document = _wrecked(document, data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=12)), data.draw(JUNK))
    body = json.dumps(document).encode()
    before = house.one("select coalesce(max(id), 0) from prosa_conversations_webhookevent")
    assert runner.run(house.post(body)) == 200
    assert house.rows(
        "select outcome from prosa_conversations_webhookevent where id > %s and outcome <> 'failed'", before
    )


async def test_a_thousand_messages_in_one_post(house: House):
    await house.work()
    people = [f"55119000{i:05d}" for i in range(300)]
    body = written([text(f"m{i}", str(i), people[i % 300]) for i in range(1000)])
    assert await house.post(body) == 200
    assert house.one("select count(*) from prosa_conversations_message where direction = 'in'") == 1000
    await house.until(lambda: house.pending() == 0)
    answered = " | ".join(line for asked in house.mind.asked() for line in asked).split(" | ")
    assert sorted(answered) == sorted(f"m{i}" for i in range(1000))


async def test_a_thousand_messages_of_one_person_are_all_answered(house: House):
    await house.work()
    assert await house.post(written([text(f"m{i}", str(i)) for i in range(1000)])) == 200
    await house.until(lambda: house.pending() == 0)
    assert sorted(line for asked in house.mind.asked() for line in asked) == sorted(f"m{i}" for i in range(1000))


async def test_one_bad_row_never_fails_its_neighbours(house: House, monkeypatch: pytest.MonkeyPatch):
    """Something the parser let through and the database refuses stays alone with its trouble."""
    real = inbound.read

    def read(*arguments: Any) -> Any:
        arrival = real(*arguments)
        for index, (inbox, message) in enumerate(arrival.messages):
            if "bad" in message.text:
                wrong: dict[str, Any] = {
                    "bad id": {"provider_id": "x" * 400},
                    "bad json": {"payload": {"a": float("nan")}},
                    "bad type": {"text": 5},
                }[message.text]
                arrival.messages[index] = (inbox, dataclasses.replace(message, **wrong))
        return arrival

    monkeypatch.setattr("prosa.conversations.door.read", read)
    names = ["a", "bad id", "b", "bad json", "c", "bad type", "d"]
    got = await asyncio.gather(*[house.post(said(name, f"n{i}", f"551190000000{i}")) for i, name in enumerate(names)])
    assert got == [200] * 7
    assert sorted(house.webhooks()) == ["failed"] * 3 + ["ok"] * 4
    assert {row[0] for row in house.rows("select text from prosa_conversations_message")} == {"a", "b", "c", "d"}
    assert await house.post(said("later", "z")) == 200


async def test_the_door_outlives_an_error_nobody_foresaw(house: House, monkeypatch: pytest.MonkeyPatch):
    real, times = receiver.store, [0]

    async def store(*arguments: Any) -> None:
        times[0] += 1
        if times[0] == 1:
            raise RuntimeError("a bug")
        await real(*arguments)

    monkeypatch.setattr(receiver, "store", store)
    assert await asyncio.wait_for(house.post(said("oi", "1")), 60) in (200, 503)
    assert await asyncio.wait_for(house.post(said("oi", "1")), 60) == 200


async def test_a_person_with_growing_identities_in_one_post(house: House):
    """The phone alone, then phone and user id: one contact, one conversation, nothing refused."""
    await house.work()
    first, second = text("um", "1"), {**text("dois", "2"), "from_user_id": "BR.1234567"}
    third = {**text("três", "3"), "from_user_id": "BR.7654321"}
    value = {"messages": [first, second, third]}
    assert await asyncio.wait_for(house.post(change(value)), 60) == 200
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.webhooks() == ["ok"]
    assert house.mind.asked() == [["um", "dois", "três"]]
    assert house.one("select count(*) from prosa_contacts_contact") == 1
    assert house.one("select count(*) from prosa_contacts_identity") == 3


async def test_a_locked_conversation_is_no_reason_to_lose_a_message(house: House, monkeypatch: pytest.MonkeyPatch):
    """Trouble of the database's is answered 503, never kept as if the content were wrong."""
    await house.post(said("oi", "1"))
    real = receiver.connect

    async def impatient(dsn: str, name: str = "", **options: str) -> Any:
        return await real(dsn, name, **{**options, "lock_timeout": "100ms"})

    monkeypatch.setattr(receiver, "connect", impatient)
    with psycopg.connect(house.dsn) as other:
        other.execute("select 1 from prosa_conversations_conversation for update")
        assert await house.post(said("de novo", "2")) == 503
    assert await house.post(said("de novo", "2")) == 200
    assert house.webhooks() == ["ok", "ok"]


END = "UPDATE prosa_conversations_conversation SET state = 'resolved', epoch = epoch + 1"
DELETE = (
    "DELETE FROM prosa_conversations_message; DELETE FROM prosa_conversations_event;"
    " DELETE FROM prosa_conversations_dispatch; DELETE FROM prosa_conversations_conversation"
)


@pytest.mark.parametrize("ending", [END, DELETE], ids=["resolved", "deleted"])
async def test_a_conversation_that_ends_while_a_message_arrives(house: House, ending: str):
    """The door has seen it open and meets it ended: the message opens it again, or another one."""
    assert await house.post(said("um", "1")) == 200
    with psycopg.connect(house.dsn) as other:
        other.execute(ending)
        arriving = asyncio.create_task(house.post(said("dois", "2")))
        await house.until(
            lambda: house.one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        other.commit()
        assert await arriving == 200
    found = house.rows(
        "SELECT m.text, c.state FROM prosa_conversations_message m"
        " JOIN prosa_conversations_conversation c ON c.id = m.conversation_id ORDER BY m.id"
    )
    assert found[-1] == ("dois", "bot")
    assert house.one("SELECT count(*) FROM prosa_conversations_message") == len(found)
    await house.work()
    await house.until(lambda: "dois" in str(house.mind.asked()))


async def test_no_conversation_is_deleted_below_its_messages(house: House):
    await house.post(said("um", "1"))
    house.do("DELETE FROM prosa_conversations_event; DELETE FROM prosa_conversations_dispatch")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="has messages"):
        house.do("DELETE FROM prosa_conversations_conversation")


async def test_a_business_switched_on_again_answers_what_waits(house: House):
    house.do("UPDATE prosa_business_business SET active = false")
    await house.work()
    await house.post(said("tem alguém?", "1"))
    await house.quiet()
    assert not house.mind.turns
    assert house.pending() == 1
    house.do("UPDATE prosa_business_business SET active = true")
    await house.until(lambda: house.pending() == 0)
    assert "tem alguém?" in str(house.mind.asked())


async def test_unparsed_and_unrouted_are_replayed_after_the_fix(house: House, monkeypatch: pytest.MonkeyPatch):
    await house.work()

    def broken(_self: Any, _body: bytes, _content_type: str = "") -> Any:
        raise BadInput("A shape of tomorrow.")

    with monkeypatch.context() as today:
        today.setattr(WhatsAppCloud, "parse", broken)
        assert await house.post(said("um", "1")) == 200
    assert await house.post(said("dois", "2", number="999")) == 200
    assert house.webhooks() == ["unparsed", "unrouted"]
    assert house.one("select count(*) from prosa_conversations_message") == 0
    await elsewhere(_second_number)
    ids = [row[0] for row in house.rows("select id from prosa_conversations_webhookevent order by id")]
    assert await elsewhere(replay, ids) == dict.fromkeys(ids, "ok")
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert await elsewhere(replay, ids) == dict.fromkeys(ids, "ok")
    await house.quiet()
    assert sorted(house.carrier.texts()) == ["eco: dois", "eco: um"]
    assert house.one("select count(*) from prosa_conversations_webhookevent") == 2


def _second_number() -> None:
    first = Inbox.objects.get(slug="loja")
    Inbox.objects.create(
        business=first.business,
        kind="whatsapp_cloud",
        name="2",
        slug="dois",
        routing_key="999",
        credentials={"app_secret": SECRET, "token": "t"},
    )


async def test_a_new_inbox_is_known_to_the_door_at_once(house: House):
    assert await house.post(said("oi", "1"), path="/webhook/whatsapp_cloud/dois/") == 404
    await elsewhere(_second_number)
    await house.until(lambda: house.doors[0].inboxes.named("whatsapp_cloud", "dois"))
    assert await house.post(said("oi", "1", number="999"), path="/webhook/whatsapp_cloud/dois/") == 200


@pytest.mark.parametrize(
    "at", [0, -5, 1, 86_400, 4_102_444_800, 99_999_999_999_999_999, pytest.param(time.time() + 3600, id="in an hour")]
)
async def test_a_clock_that_is_wrong(house: House, at: float | None):
    """Whatever the time says, the message is stored; only one that is plainly old waits for a person."""
    await house.work()
    an_hour_ahead = time.time() + 3600
    assert await house.post(said("oi", "1", at=an_hour_ahead if at is None else at)) == 200
    await house.until(lambda: house.pending() == 0)
    await house.quiet()
    assert house.one("select last_inbound_at <= now() from prosa_conversations_conversation")
    if at in (1, 86_400):
        assert house.events("not_answered")[0]["reason"] == "too_old"
    else:
        assert house.carrier.texts() == ["eco: oi"]


async def test_very_many_at_work_do_not_burst_the_notification(house: House):
    """PostgreSQL refuses notifications of 8,000 bytes; who is at work is only a hint."""
    people = [f"55119000{i:05d}" for i in range(1200)]
    assert await house.post(written([text("a", f"a{i}", person) for i, person in enumerate(people)])) == 200
    house.do("insert into prosa_conversations_worker (owner, host, pid) values (77, 'x', 1)")
    house.do("update prosa_conversations_dispatch set owner = 77")
    assert await house.post(written([text("b", f"b{i}", person) for i, person in enumerate(people)])) == 200
    assert house.webhooks() == ["ok", "ok"]


# ── somebody dies ──


async def test_a_worker_killed_in_mid_turn(house: House):
    gate = Gate()

    async def hang(_turn: Any) -> Any:
        await gate.wait()
        return says("never said")

    house.mind.answer = hang
    first = await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    await house.kill(first)
    house.mind.answer = house.mind.echo
    await house.work()
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.carrier.texts() == ["eco: oi"]


async def test_a_worker_that_leaves_gives_its_rows_back(house: House):
    """However it ends: no row stays with an owner nobody knows."""
    gate = Gate()

    async def hang(_turn: Any) -> Any:
        await gate.wait()

    house.mind.answer = hang
    first, second = await house.work(), await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    one = first if first.dispatcher._running() else second
    # Claimed in its very last moment, and not begun.
    owner = one.dispatcher._session.owner
    house.do(
        "insert into prosa_conversations_dispatch (conversation_id, lane, owner) values (%s, 2, %s)",
        house.conversation(),
        owner,
    )
    house.mind.answer = house.mind.echo
    await one.dispatcher.drain(0)
    await house.until(lambda: house.carrier.sent)
    await house.until(
        lambda: house.one("select count(*) from prosa_conversations_dispatch where owner is not null") == 0
    )
    assert house.carrier.texts() == ["eco: oi"]


@pytest.mark.parametrize("steps", range(6))
async def test_a_worker_told_to_end_while_it_wakes_up_ends(house: House, steps: int):
    """Python 3.11 forgets a cancellation that meets the end of a ``wait_for``."""
    worker = await house.work()
    task = house.workers[0][1]
    await asyncio.sleep(0.05)
    worker.dispatcher.wake()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done


async def test_every_connection_is_cut_under_load(house: House):
    """As when PostgreSQL restarts: webhooks are refused or taken, and what was taken is answered once."""
    await house.work()
    await house.work()
    taken: set[str] = set()

    async def customer(index: int) -> None:
        phone = f"55119000{index:05d}"
        for number in range(4):
            name = f"{index}-{number}"
            while await house.post(said(name, name, phone)) != 200:
                await asyncio.sleep(0.02)
            taken.add(name)
            await asyncio.sleep(0.02)

    customers = [asyncio.create_task(customer(index)) for index in range(20)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        house.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'prosa %'"
        )
    await asyncio.gather(*customers)
    await house.until(lambda: house.pending() == 0)
    await house.until(
        lambda: house.one("select count(*) from prosa_conversations_message where status in ('queued')") == 0
    )
    assert len(taken) == 80
    stored = {row[0] for row in house.rows("select text from prosa_conversations_message where direction = 'in'")}
    assert stored == taken
    said_back = [part for _, sent, _ in house.carrier.sent for part in sent.removeprefix("eco: ").split(" | ")]
    unconfirmed = house.one(
        "select count(*) from prosa_conversations_message where status in ('sending', 'unconfirmed')"
    )
    assert len(said_back) == len(set(said_back))
    assert len(said_back) >= 80 - 4 * unconfirmed


async def test_without_a_database_the_provider_is_asked_to_come_again(dsn: str, house: House):
    door = Door(None, "postgresql://postgres@/none?host=/nowhere")  # type: ignore[arg-type]
    starting = asyncio.create_task(door.startup())
    await asyncio.sleep(0.05)
    house.doors.append(door)
    assert (await house.post(said("oi", "1"), door=1)) == 503
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)


async def test_a_receipt_for_nothing_of_ours_is_only_kept(house: House):
    for tracker in ("", "prosa:1", "prosa:99999999999999999", "prosa:-1", "prosa:x", "other", "prosa:" + "9" * 400):
        assert await house.post(receipt("delivered", "wamid.unknown", tracker)) == 200
    assert house.webhooks() == ["ok"] * 7
    assert house.rows("select 1 from prosa_conversations_message") == []
