"""That a customer is writing reaches whoever looks at their conversation, and stays nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from tests.api.conftest import World, shop

from prosa import realtime
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.conversations import presence
from prosa.conversations.models import Conversation, Message, WebhookEvent
from prosa.conversations.rest import keys
from prosa.errors import SlowDown
from prosa.simulator import customer
from prosa.simulator.world import Customer, Line


async def say(web: World, body: Any, key: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or web.key}"}
    return await web.client.post("/api/v1/typing", json=body, headers=headers)


@sync_to_async
def known(inbox: Inbox, user: str) -> Conversation:
    contact = Contact.objects.create(business=inbox.business, name=user)
    Identity.objects.create(business=inbox.business, contact=contact, key=f"user:{user}")
    return Conversation.objects.create(business=inbox.business, inbox=inbox, contact=contact)


async def test_it_is_told_and_not_stored(web: World, inbox_and_key: tuple[Inbox, str], monkeypatch: pytest.MonkeyPatch):
    inbox, _key = inbox_and_key
    other, others_key = await sync_to_async(shop)("boreal")
    ana, theirs = await known(inbox, "ana"), await known(other, "ana")
    async with realtime.follow("types") as news:
        await news.numbers()  # the connection is new

        async def told() -> set[int] | None:
            return await asyncio.wait_for(news.numbers(), 60)

        assert (await say(web, {"user_id": "ana"})).status_code == 204
        assert await told() == {ana.pk}
        # a stranger has no conversation, and the caller learns nothing of that; sent again at once, it is not told again
        for body in ({"user_id": "bob"}, {"user_id": "ana"}):
            answer = await say(web, body)
            assert (answer.status_code, answer.content) == (204, b"")
        # the same customer is another's elsewhere
        await door_knows(other)
        assert (await say(web, {"user_id": "ana", "inbox": "boreal"}, others_key)).status_code == 204
        assert await told() == {theirs.pk}
        monkeypatch.setattr(presence, "PAUSE_S", 0.0)
        assert (await say(web, {"user_id": "ana", "inbox": "aurora"})).status_code == 204
        assert await told() == {ana.pk}
    assert not await Message.objects.aexists()
    assert not await WebhookEvent.objects.aexists()


async def test_the_phone_of_the_simulator_tells_it_too(web: World, inbox_and_key: tuple[Inbox, str]):
    inbox, _key = inbox_and_key
    talk, bia = await known(inbox, "5511988887777"), Customer("5511988887777", "Bia", "5511988887777")
    line = Line("rest", "", inbox.slug, inbox_id=inbox.pk)
    async with realtime.follow("types") as news:
        await news.numbers()
        await customer.types(replace(line, real=True), bia)
        await customer.types(replace(line, inbox_id=0), bia)
        await customer.types(line, Customer("stranger", "", "", "stranger"))
        await customer.types(line, bia)
        assert await asyncio.wait_for(news.numbers(), 60) == {talk.pk}


async def door_knows(inbox: Inbox) -> None:
    from prosa.conversations import door

    running = door.current()
    assert running is not None
    while running.inboxes.get(inbox.pk) is None:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "body", [{}, {"user_id": ""}, {"user_id": None}, {"user_id": "a" * 200}, [], {"user_id": "ana", "inbox": 1}]
)
async def test_what_names_nobody_is_refused(body: Any, web: World):
    answer = await say(web, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_may_not_write_may_not_say_so(web: World, monkeypatch: pytest.MonkeyPatch):
    assert (await say(web, {"user_id": "ana"}, "prosa_wrong")).status_code == 401
    assert (await web.client.post("/api/v1/typing", json={"user_id": "ana"})).status_code == 401
    assert (await say(web, {"user_id": "ana", "inbox": "boreal"})).status_code == 404
    assert (await web.client.get("/api/v1/typing")).status_code in (404, 405)

    def busy(_who: keys.Caller) -> None:
        raise SlowDown(retry_after=3)

    monkeypatch.setattr(keys, "pace", busy)
    assert (await say(web, {"user_id": "ana"})).status_code == 429
