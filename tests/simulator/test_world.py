"""The world keeps what happened, within bounds, and lets a phone catch up."""

from __future__ import annotations

import random
from typing import Any

import pytest

from prosa.errors import BadInput
from prosa.simulator import customer, guard, world
from prosa.simulator.mischief import Mischief
from prosa.simulator.world import Bubble, Customer, File, Line, World

LINE = Line("whatsapp_cloud", "1", "demo", token="secret-token", secret="secret-secret")
ANA = Customer("5511988887777", "Ana", phone="5511988887777")


def test_a_line_shows_no_secret() -> None:
    assert "secret-" not in repr(LINE)


def test_a_phone_catches_up_from_where_it_was_and_not_from_another_life() -> None:
    here = World()
    thread = here.thread(LINE, ANA)
    here.put(thread, Bubble("1", "customer", "text", "a"))
    cursor = here.cursor
    here.put(thread, Bubble("2", "business", "text", "b"))
    assert [each.data["bubble"]["id"] for each in here.since(cursor) or []] == ["2"]
    assert here.since(here.cursor) == []
    for strange in ("", "x", f"{here.birth}-", f"{here.birth}-9999", f"{here.birth}-{'9' * 5000}", "deadbeef-1"):
        assert here.since(strange) is None


def test_what_is_too_long_ago_is_no_longer_known(monkeypatch: pytest.MonkeyPatch) -> None:
    here = World()
    cursor = here.cursor
    for _ in range(world.MAX_EVENTS + 1):
        here.tell("typing")
    assert here.since(cursor) is None


async def test_listeners_hear_at_once_and_leave_no_trace() -> None:
    here = World()
    async with here.listen() as queue:
        here.tell("typing")
        assert queue.get_nowait().name == "typing"
    assert not here._listeners


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "MAX_THREADS", 3)
    monkeypatch.setattr(world, "MAX_BUBBLES", 2)
    monkeypatch.setattr(world, "MAX_FILES", 2)
    monkeypatch.setattr(world, "MAX_MEDIA_BYTES", 10)
    here = World()
    for number in range(5):
        thread = here.thread(LINE, Customer(f"551190000000{number}", phone=f"551190000000{number}"))
        for name in range(4):
            here.put(thread, Bubble(str(name), "customer", "text"))
        here.keep(File(str(number), "text/plain", b"123456"))
    assert len(here.threads()) == 3
    assert list(thread.bubbles) == ["2", "3"]
    assert list(here.files) == ["4"]
    assert len(here._people) == 6


def test_a_customer_is_found_by_phone_and_by_user_id() -> None:
    here = World()
    thread = here.thread(LINE, ANA)
    assert here.thread_to(LINE, ANA.phone) is thread
    assert here.thread_to(LINE, ANA.user_id) is thread
    assert here.thread_to(LINE, "5521900000000") is not thread


@pytest.mark.parametrize(
    "described",
    [
        {},
        None,
        [],
        {"phone": "12"},
        {"phone": "+55 (11) 9888-7777x"},
        {"username": "a b"},
        {"phone": "0" * 12},
        {"username": "<b>"},
    ],
)
def test_nobody_is_no_customer(described: Any) -> None:
    with pytest.raises(BadInput):
        customer.named(described)


def test_a_customer_is_read_from_what_the_browser_says() -> None:
    assert customer.named({"name": "  Ana   Souza ", "phone": "+55 (11) 98888-7777"}) == Customer(
        "5511988887777", "Ana Souza", "5511988887777"
    )
    assert customer.named({"username": "@Ana.S"}) == Customer("@ana.s", "", "", "ana.s")


def test_sending_again_is_the_same_message() -> None:
    nonce = "0" * 31 + "1"
    assert customer.message_id(LINE, nonce, media=False) == customer.message_id(LINE, nonce, media=False)
    assert customer.message_id(LINE, nonce, media=False) != customer.message_id(LINE, "f" * 32, media=False)


@pytest.mark.parametrize(
    ("client", "host", "allowed"),
    [
        ("127.0.0.1", "localhost:8000", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "[::1]:8000", True),
        ("::ffff:127.0.0.1", "phone.localhost", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example:80", False),
        ("127.0.0.1", "127.0.0.1.nip.io", False),
        ("127.0.0.1", "", False),
        ("192.168.0.7", "localhost", False),
        ("8.8.8.8", "127.0.0.1", False),
    ],
)
def test_only_this_machine_by_its_own_name(client: str, host: str, allowed: bool) -> None:
    assert guard.allows(client, host) is allowed


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "x-real-ip"])
def test_a_tunnel_is_not_this_machine_whatever_host_it_writes(header: str) -> None:
    assert guard.allows("127.0.0.1", "localhost:8000", ["Host", "Accept"])
    assert not guard.allows("127.0.0.1", "localhost:8000", ["Host", header])


def test_the_open_alias_of_the_api_refuses_the_same_forwarders() -> None:
    from prosa.conversations.rest import keys

    assert keys.FORWARDED == guard.FORWARDED


def test_mischief_strikes_as_often_as_told_and_where_told() -> None:
    mischief = Mischief()
    mischief.add("broken", times=2, target="graph")
    assert "broken" not in mischief.draw_send("twilio")
    assert ["broken" in mischief.draw_send("graph") for _ in range(3)] == [True, True, False]
    mischief.add("duplicate", times=None)
    assert "duplicate" not in mischief.draw_send("graph")
    assert all("duplicate" in mischief.draw_webhook("graph") for _ in range(9))
    mischief.clear()
    assert "duplicate" not in mischief.draw_webhook("graph")


def test_mischief_by_chance() -> None:
    mischief = Mischief(random.Random(7))  # noqa: S311
    mischief.add("broken", times=None, rate=0.25)
    struck = sum("broken" in mischief.draw_send("graph") for _ in range(2000))
    assert 400 < struck < 600


@pytest.mark.parametrize(
    "order",
    [None, [], {}, {"kind": "x"}, {"kind": "late", "times": 0}, {"kind": "late", "times": "x"}, {"kind": "late", "rate": 0}, {"kind": "late", "rate": float("nan")},
     {"kind": "late", "seconds": 1e9}, {"kind": "late", "target": "moon"}, {"kind": "late", "times": float("inf")}],
)  # fmt: skip
def test_a_senseless_order_changes_nothing(order: Any) -> None:
    mischief = Mischief()
    with pytest.raises(BadInput):
        mischief.command(order)
    assert mischief.rules == []
