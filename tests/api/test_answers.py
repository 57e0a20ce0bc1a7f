"""What a program gets for a message: the answer, or a place to ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from tests.api.conftest import World, echo, shop

from prosa.contracts import Handoff, Option, Reply, Turn, TurnResult
from prosa.conversations import door, ownership
from prosa.conversations.models import Conversation, Message, WebhookEvent
from prosa.conversations.words import in_line


@pytest.fixture
def slow(world: World) -> Iterator[asyncio.Event]:
    """The mind thinks until the event is set, or the test is over."""
    go = asyncio.Event()

    async def think(turn: Turn) -> TurnResult:
        await go.wait()
        return await echo(turn)

    world.think = think
    yield go
    go.set()


async def test_a_message_is_answered_where_it_was_asked(world: World):
    response = await world.ask("Do you open on Sunday?")
    told = response.json()
    assert response.status_code == 200, told
    assert told["status"] == "answered"
    assert told["response"] == "echo: Do you open on Sunday?"
    assert [(reply["kind"], reply["text"], reply["author"]) for reply in told["replies"]] == [
        ("text", "echo: Do you open on Sunday?", "bot")
    ]
    assert told["turn_id"]
    assert told["poll"] is None
    again = await world.look(told["message_id"])
    assert (again.status_code, again.json()) == (200, told)


@pytest.mark.parametrize("path", ["/seller/bot/", "/seller/bot", "/api/v1/messages/"])
async def test_the_alias_takes_msg(world: World, path: str):
    response = await world.client.post(path, json={"msg": "oi", "user_id": 7}, headers={"x-api-key": world.key})
    assert response.status_code == 200
    assert response.json()["response"] == "echo: oi"


async def test_options_travel(world: World):
    async def think(turn: Turn) -> TurnResult:
        return TurnResult((Reply("Which?", (Option("a", "A"), Option("b", "B"))),), model="m")

    world.think = think
    (reply,) = (await world.ask()).json()["replies"]
    assert reply["kind"] == "buttons"
    assert [option["id"] for option in reply["options"]] == ["a", "b"]


async def test_a_second_message_continues_the_conversation(world: World):
    first, second = (await world.ask("one")).json(), (await world.ask("two")).json()
    assert first["conversation_id"] == second["conversation_id"]
    assert second["response"] == "echo: two"
    assert [line.text for line in world.turns[-1].history] == ["one", "echo: one"]


async def test_what_takes_longer_is_asked_for_again(world: World, slow: asyncio.Event):
    response = await world.ask(headers={"prefer": "wait=0"})
    told = response.json()
    assert (response.status_code, told["status"], told["replies"]) == (202, "waiting", [])
    assert told["poll"] == response.headers["location"] == f"/api/v1/messages/{told['message_id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert (await world.look(told["message_id"])).status_code == 202
    waiting = asyncio.create_task(world.look(told["message_id"], wait=30))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    slow.set()
    answer = await waiting
    assert (answer.status_code, answer.json()["response"]) == (200, "echo: Hello")


async def test_a_burst_shares_one_answer(world: World, slow: asyncio.Event):
    first = asyncio.create_task(world.ask("one"))
    while not world.turns:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(world.ask("two"))
    while len(world.turns) < 2:
        await asyncio.sleep(0.01)
    slow.set()
    told = [(await one).json() for one in (first, second)]
    assert [one["response"] for one in told] == ["echo: one | two"] * 2
    assert told[0]["turn_id"] == told[1]["turn_id"]
    assert told[0]["message_id"] != told[1]["message_id"]


async def test_the_same_key_is_the_same_message(world: World):
    headers = {"idempotency-key": "order-17"}
    told = [(await world.ask(headers=headers)).json() for _ in range(2)]
    told += [one.json() for one in await asyncio.gather(*(world.ask(headers=headers) for _ in range(3)))]
    assert told[1:] == told[:1] * 4
    assert len(world.turns) == 1
    assert await Message.objects.filter(direction="in").acount() == 1


async def test_simultaneous_first_uses_of_a_key_are_one_message(world: World, slow: asyncio.Event):
    asked = [asyncio.create_task(world.ask(headers={"idempotency-key": "k"})) for _ in range(5)]
    while not world.turns:
        await asyncio.sleep(0.01)
    slow.set()
    told = [(await one).json() for one in asked]
    assert told == told[:1] * 5
    assert await Message.objects.filter(direction="in").acount() == 1


@pytest.mark.parametrize("changed", [{"text": "other"}, {"user": "bob"}])
async def test_a_key_is_not_for_two_messages(world: World, changed: dict[str, Any]):
    headers = {"idempotency-key": "order-17"}
    await world.ask(headers=headers)
    response = await world.ask(headers=headers, **changed)
    assert response.status_code == 409
    assert "Idempotency-Key" in response.json()["detail"]
    assert await Message.objects.filter(direction="in").acount() == 1


async def test_without_a_key_the_same_words_are_two_messages(world: World):
    assert (await world.ask()).json()["message_id"] != (await world.ask()).json()["message_id"]


async def test_the_raw_body_is_kept(world: World):
    await world.ask("olá")
    event = await WebhookEvent.objects.aget()
    assert (event.kind, event.outcome) == ("rest", "ok")
    assert b"ana" in bytes(event.body)


async def test_nothing_to_say_is_an_answer(world: World):
    async def think(turn: Turn) -> TurnResult:
        return TurnResult((), model="m")

    world.think = think
    told = (await world.ask()).json()
    assert (told["status"], told["replies"], told["response"]) == ("answered", [], "")


async def test_while_people_are_awaited_nobody_waits(world: World):
    async def think(turn: Turn) -> TurnResult:
        return TurnResult((Reply("A person will come."),), model="m", handoff=Handoff("policy"))

    world.think = think
    handed = (await world.ask("I am angry")).json()
    assert handed["response"] == f"A person will come.\n\n{in_line('en', 0, None)}"
    response = await world.ask("Hello?")
    assert (response.status_code, response.json()["status"]) == (200, "waiting")
    assert response.json()["poll"]
    assert len(world.turns) == 1


async def test_a_persons_words_are_found_where_they_were_asked_for(world: World):
    told = (await world.ask()).json()
    await sync_to_async(ownership.take)(told["conversation_id"], "user:1")
    response = await world.ask("Are you human?")
    asked = response.json()
    assert (response.status_code, asked["status"], asked["replies"]) == (200, "with_agent", [])
    conversation = await Conversation.objects.aget(pk=told["conversation_id"])
    await Message.objects.acreate(
        conversation=conversation, business_id=conversation.business_id, inbox_id=conversation.inbox_id, direction="out",
        author="agent", kind="text", text="Yes, Bia here.", status="delivered",
    )  # fmt: skip
    told = (await world.look(asked["message_id"])).json()
    assert (told["status"], told["response"]) == ("with_agent", "Yes, Bia here.")


async def test_a_takeover_ends_the_waiting(world: World, slow: asyncio.Event):
    asked = asyncio.create_task(world.ask())
    while not world.turns:
        await asyncio.sleep(0.01)
    conversation = await Conversation.objects.aget()
    await sync_to_async(ownership.take)(conversation.pk, "user:1")
    response = await asked
    assert (response.status_code, response.json()["status"], response.json()["replies"]) == (200, "with_agent", [])
    slow.set()


async def test_a_blocked_contact_is_not_left_waiting(world: World):
    from prosa.contacts.models import Contact

    await world.ask()
    await Contact.objects.aupdate(blocked_at="2026-01-01T00:00Z")
    response = await world.ask("again", headers={"prefer": "wait=60"})
    assert (response.status_code, response.json()["status"], response.json()["replies"]) == (200, "answered", [])
    assert len(world.turns) == 1


async def test_keys_see_only_their_inbox(world: World):
    _, other = await sync_to_async(shop)("borboleta")
    running = door.current()
    assert running is not None
    assert world.worker is not None
    async with asyncio.timeout(60):
        while not all(each.inboxes.named("rest", "borboleta") for each in (running, world.worker)):
            await asyncio.sleep(0.01)
    mine, theirs = (await world.ask("mine")).json(), (await world.ask("theirs", key=other)).json()
    assert mine["conversation_id"] != theirs["conversation_id"]
    assert world.turns[-1].history == ()
    assert (await world.look(mine["message_id"], key=other)).status_code == 404
    assert (await world.look(theirs["message_id"])).status_code == 404
    assert (await world.ask("x", key=other, inbox="aurora")).status_code == 404
    headers = {"idempotency-key": "same"}
    one, two = await world.ask(headers=headers), await world.ask(key=other, headers=headers)
    assert one.json()["message_id"] != two.json()["message_id"]
