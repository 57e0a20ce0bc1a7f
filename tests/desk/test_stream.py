"""The event stream under real ASGI: each tab hears of its own business in its own language, and nothing stops the board."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import uvicorn
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from tests.walks.house import elsewhere

from prosa import realtime
from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.conversations import ownership
from prosa.conversations import presence as presence_of_customers
from prosa.conversations.models import Conversation, Label, State
from prosa.desk import actions, presence, queues, stream
from prosa.desk.access import Seat
from prosa.desk.models import Look, Place
from prosa.postgres import shared
from prosa.postgres.connections import connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(200)]
PATIENCE_S = 60.0

Talk = Callable[..., Conversation]


class Ear:
    """What one tab hears. ``refresh`` comes first: its page may be older than its stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def line(self) -> str:
        return (await asyncio.wait_for(self.answer.content.readline(), PATIENCE_S)).decode()

    async def event(self) -> tuple[str, Any]:
        """The next one, comments left out; ("", None) at the end of the stream."""
        name = ""
        while line := await self.line():
            field, _colon, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        return "", None

    async def hears(self, name: str) -> Any:
        """The next event of this name."""
        while True:
            heard, data = await self.event()
            assert heard, "The stream ended."
            if heard == name:
                return data


Listen = Callable[..., Awaitable[Ear]]


@pytest.fixture
async def address(transactional_db: None) -> AsyncIterator[str]:
    """The standalone's application behind a real server."""
    from prosa.server import asgi

    async with realtime.subscribe("warm") as reader:
        await asyncio.wait_for(reader.news(), PATIENCE_S)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(asgi.application, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
    await realtime.close()


@pytest.fixture
async def listen(address: str) -> AsyncIterator[Listen]:
    """Open a tab's stream for a member."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None), connector=aiohttp.TCPConnector(limit=0))
        )

        async def open_one(
            member: Membership | None, language: str = "en", cookie: str = "", begins: str = "refresh", **address_: Any
        ) -> Ear:
            headers = {"Accept-Language": language}
            if member is not None:
                headers["Cookie"] = f"prosa_session={cookie or await elsewhere(signed_in, member)}"
            answer = await session.get(f"{address}/agent/stream", headers=headers, params=address_)
            stack.callback(answer.close)
            ear = Ear(answer)
            assert answer.status in (200, 401, 403)
            if answer.status == 200:
                assert (await ear.event())[0] == begins
            return ear

        yield open_one


def signed_in(member: Membership) -> str:
    client = Client()
    client.force_login(member.user)
    return client.cookies["prosa_session"].value


async def changed(*conversations: Conversation) -> None:
    for each in conversations:
        await elsewhere(realtime.publish, "conversation", each.pk)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_each_tab_hears_of_its_own_business_in_its_own_language(
    listen: Listen, bia: Membership, talk: Talk, elsewhere_member: Membership
):
    mine = await elsewhere(talk, "Ana", State.RESOLVED)
    theirs = await elsewhere(lambda: talk("Segredo", of=elsewhere_member.business))
    english, portuguese, stranger = (
        await listen(bia),
        await listen(bia, "pt-BR"),
        await listen(elsewhere_member),
    )
    await changed(mine)
    told = await english.hears("row")
    assert (told["id"], told["state"], told["last"]) == (mine.pk, "resolved", mine.last_inbound_id)
    assert "Resolved" in told["html"]
    assert "oi, sou Ana" in told["html"]
    there = (await portuguese.hears("row"))["html"]
    assert "Resolvida" in there
    assert "Resolved" not in there
    await changed(theirs)
    assert (await stranger.hears("row"))["id"] == theirs.pk
    await changed(mine)
    assert (await english.hears("row"))["id"] == mine.pk


async def test_who_may_not_look_gets_no_stream(listen: Listen, bia: Membership):
    assert (await listen(None)).answer.status == 401
    await elsewhere(lambda: Membership.objects.update(left_at=timezone.now()))
    assert (await listen(bia)).answer.status == 403


async def test_an_open_desk_says_that_its_person_is_here(listen: Listen, bia: Membership):
    await listen(bia)
    await elsewhere(bia.refresh_from_db)
    assert bia.seen_at is not None


async def test_after_a_lost_connection_every_tab_looks_again(listen: Listen, bia: Membership, talk: Talk):
    conversation = await elsewhere(talk)
    others = "select array_agg(pid) from pg_stat_activity where datname = current_database() and application_name <> 'prosa realtime'"
    async with await connect(shared.dsn()) as other:
        spared = await (await other.execute(others)).fetchone()
        one, two = await listen(bia), await listen(bia)
        await changed(conversation)
        await one.hears("row")
        await two.hears("row")
        # The one that listens, and the one that looks up.
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> all(%s)",
            spared,
        )
    await one.hears("refresh")
    await two.hears("refresh")
    # The look-up finds its own connection lost, says so, and makes another.
    await changed(conversation)
    await one.event()
    await changed(conversation)
    await one.hears("row")
    await two.hears("row")


async def test_an_error_in_drawing_does_not_end_the_board(
    listen: Listen, bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    conversation = await elsewhere(talk)
    tab = await listen(bia)
    good = queues.rows_of
    monkeypatch.setattr(stream, "PAUSE_S", 0.01)
    monkeypatch.setattr(queues, "rows_of", lambda *_: 1 / 0)
    await changed(conversation)
    await tab.hears("refresh")
    assert "stumbled" in caplog.text
    monkeypatch.setattr(queues, "rows_of", good)
    await changed(conversation)
    assert (await tab.hears("row"))["id"] == conversation.pk


async def test_a_page_that_is_still_true_is_not_asked_for_again(
    listen: Listen, bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    """Nothing changed between the page and its stream: that is said. Where it is not certain, the page looks again."""
    conversation = await elsewhere(talk)
    now = int(time.time())
    await listen(bia, at=now)  # nobody listened when that page was drawn
    later = now + 60
    ear = await listen(bia, at=later, begins="ready")
    await changed(conversation)
    await ear.hears("row")
    monkeypatch.setattr(stream, "SLACK_S", 120)
    await listen(bia, at=later)


async def test_what_a_row_says_besides_what_it_shows(listen: Listen, bia: Membership, rui: Membership, talk: Talk):
    """Who has read it, when it was given to whom it is with, that nobody took it; and whether the pane is another one."""
    conversation = await elsewhere(talk)
    client = Client()
    await elsewhere(client.force_login, bia.user)
    ear = await listen(rui)
    shown = await elsewhere(client.get, f"/agent/c/{conversation.pk}")
    await changed(conversation)
    first = await ear.hears("row")
    assert "data-unread" not in first["html"]  # that is for each to know
    assert (first["inbound"], first["read"]) == (
        conversation.last_inbound_id,
        {str(bia.pk): conversation.last_inbound_id},
    )
    assert f'data-version="{first["pane"]}"' in shown.content.decode()
    assert first["escalated"] == 0
    await elsewhere(actions.assign, Seat(bia, bia.business), conversation, rui, None)
    given = await ear.hears("row")
    assert given["assignee"] == rui.pk
    assert first["given"] < given["given"] <= given["now"]
    assert given["pane"] != first["pane"]
    await elsewhere(lambda: ownership.tell(conversation.pk, "escalated", "system", minutes=10))
    told = await ear.hears("row")
    assert told["escalated"] >= told["given"]
    assert "nobody took it" in told["html"]
    label = await elsewhere(lambda: Label.objects.create(business=bia.business, name="VIP"))
    await elsewhere(lambda: actions.label(Seat(bia, bia.business), conversation, label, on=True))
    labelled = await ear.hears("row")
    assert f'data-labels="{label.pk}"' in labelled["html"]
    assert labelled["pane"] != told["pane"]


async def test_what_one_reads_is_read_at_all_ones_desks(listen: Listen, bia: Membership, rui: Membership, talk: Talk):
    conversation = await elsewhere(talk)
    client = Client()
    await elsewhere(client.force_login, bia.user)
    desks, other = [await listen(bia), await listen(bia)], await listen(rui)
    await elsewhere(client.get, f"/agent/c/{conversation.pk}/since?unseen=1")  # a page in the background
    assert not await elsewhere(Place.objects.filter(read_id__gt=0).exists)
    await elsewhere(client.get, f"/agent/c/{conversation.pk}")
    for desk in desks:
        assert await desk.hears("read") == {"id": conversation.pk, "upto": conversation.last_inbound_id}
    await changed(conversation)
    assert (await other.event())[0] == "row"


async def test_a_customer_who_writes_is_told_to_their_business_alone(
    listen: Listen, bia: Membership, elsewhere_member: Membership, talk: Talk
):
    conversation = await elsewhere(talk)
    theirs = await elsewhere(lambda: talk("Eva", of=elsewhere_member.business))
    mine, other = await listen(bia), await listen(elsewhere_member)
    await elsewhere(realtime.publish, presence_of_customers.TOPIC, conversation.pk)
    assert await mine.hears("types") == {"id": conversation.pk}
    await changed(theirs)
    assert (await other.event())[0] == "row"


async def test_who_looks_at_the_same_is_told_and_when_they_leave(
    listen: Listen, bia: Membership, rui: Membership, talk: Talk, elsewhere_member: Membership
):
    conversation, another = [await elsewhere(talk, name) for name in ("Ana", "Edu")]
    clients = {}
    for each in (bia, rui):
        clients[each.pk] = Client()
        await elsewhere(clients[each.pk].force_login, each.user)

    async def looks(member: Membership, tab: str, at: Conversation | None) -> list[str]:
        values = {"tab": tab, "conversation": at.pk if at else 0}
        answer = await elsewhere(clients[member.pk].post, "/agent/look", values)
        return list(answer.json()["names"])

    hers = await listen(bia, tab="tab-of-bia")
    assert await looks(bia, "tab-of-bia", conversation) == []
    assert (await hers.hears("looking"))["names"] == []
    assert await looks(rui, "tab-of-rui", conversation) == ["Bia"]
    assert await hers.hears("looking") == {"id": conversation.pk, "names": ["Rui"]}
    await looks(rui, "tab-of-rui", another)
    assert (await hers.hears("looking"))["names"] == []
    await looks(rui, "tab-of-rui", conversation)
    assert (await hers.hears("looking"))["names"] == ["Rui"]
    # Nobody moves another's desk, and a desk that was closed without a word is forgotten.
    assert await looks(bia, "tab-of-rui", another) == []
    assert await elsewhere(Look.objects.filter(tab="tab-of-rui", conversation=conversation).exists)
    await elsewhere(lambda: Look.objects.filter(tab="tab-of-rui").update(seen_at=timezone.now() - timedelta(minutes=5)))
    await elsewhere(presence.still, ["tab-of-bia"])
    assert (await hers.hears("looking"))["names"] == []
    assert await elsewhere(Look.objects.count) == 1
    # Nothing of another business, and no nonsense.
    theirs = await elsewhere(lambda: talk("Segredo", of=elsewhere_member.business))
    assert await looks(bia, "tab-of-bia", theirs) == []
    assert await elsewhere(Look.objects.count) == 0
    people = await elsewhere(clients[bia.pk].get, "/agent/colleagues")
    assert people.json() == {str(bia.pk): "● Bia · here · 0 of 6", str(rui.pk): "○ Rui · away · 0"}
    for nonsense in ({}, {"tab": "x", "conversation": "1"}, {"tab": "tab-of-bia", "conversation": "all"}):
        assert (await elsewhere(clients[bia.pk].post, "/agent/look", nonsense)).status_code == 400


@pytest.mark.parametrize("reason", ["left", "signed out", "deactivated"])
async def test_who_may_no_longer_look_is_told_nothing_more(
    listen: Listen, bia: Membership, rui: Membership, monkeypatch: pytest.MonkeyPatch, reason: str
):
    monkeypatch.setattr(stream, "SEEN_S", 0.05)
    cookie = await elsewhere(signed_in, bia)
    gone, stays = await listen(bia, cookie=cookie), await listen(rui)
    if reason == "left":
        await elsewhere(lambda: Membership.objects.update(left_at=timezone.now()) and rui.save())
    elif reason == "signed out":
        await elsewhere(Session.objects.filter(pk=cookie).delete)
    else:
        bia.user.is_active = False
        await elsewhere(bia.user.save)
    assert await gone.event() == ("", None)
    assert not stays.answer.content.at_eof()
    assert (await listen(bia, cookie=cookie)).answer.status in (401, 403)


async def test_silence_is_filled_so_that_the_page_knows_the_line_lives(
    listen: Listen, bia: Membership, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.02)
    tab = await listen(bia)
    await tab.hears("still")


async def test_many_tabs_share_one_look_up_and_no_connections(
    listen: Listen, bia: Membership, rui: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    conversation = await elsewhere(talk)
    looked: list[Any] = []
    drawn = stream._drawn

    def counted(*about: Any) -> Any:
        looked.append(about)
        return drawn(*about)

    monkeypatch.setattr(stream, "_drawn", counted)
    async with await connect(shared.dsn()) as other:

        async def connections() -> int:
            row = await (
                await other.execute("select count(*) from pg_stat_activity where datname = current_database()")
            ).fetchone()
            return int(row[0]) if row else 0

        cookies = [await elsewhere(signed_in, each) for each in (bia, rui)]
        await listen(bia, cookie=cookies[0])
        before = await connections()
        tabs = [await listen(bia, cookie=cookies[number % 2]) for number in range(20)]
        assert await connections() <= before + 2
        await changed(conversation)
        for tab in tabs:
            assert (await tab.hears("row"))["id"] == conversation.pk
        assert len(looked) == 1


async def test_who_goes_leaves_nothing_behind(listen: Listen, bia: Membership, talk: Talk):
    conversation = await elsewhere(talk)
    tabs = [await listen(bia) for _ in range(3)]
    await changed(conversation)
    for tab in tabs:
        await tab.hears("row")
    here = stream.board()
    assert len(here._every()) == 3
    for tab in tabs:
        tab.answer.close()
    await until(lambda: not here._tabs)
    assert here._task is None
    await until(lambda: not any(each.name.startswith("prosa desk") for each in threading.enumerate()))
    assert realtime._hubs[asyncio.get_running_loop()]._readers == {}
    # And whoever comes next is served as before.
    again = await listen(bia)
    await changed(conversation)
    await again.hears("row")


async def test_too_many_changes_at_once_are_one_refresh(
    listen: Listen, bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "MOST_AT_ONCE", 1)
    conversations = [await elsewhere(talk, name) for name in ("Ana", "Edu")]
    tab = await listen(bia)
    names = ",".join(str(each.pk) for each in conversations)
    async with await connect(shared.dsn()) as other:
        await other.execute(f"select pg_notify('{realtime.CHANNEL}', 'conversation:{names}')")
    assert (await tab.event())[0] == "refresh"


@pytest.mark.parametrize("what", ["row", "business"])
def test_one_that_cannot_be_shown_keeps_no_other(
    what: str, bia: Membership, elsewhere: Business, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    broken, beside, theirs = talk("Ana"), talk("Edu"), talk("Zé", of=elsewhere)
    if what == "row":
        with connection.cursor() as hand:  # no date of Python's holds it
            hand.execute(
                "update prosa_conversations_conversation set snoozed_until = '10000-01-01' where id = %s", [broken.pk]
            )
    else:
        good = stream._event

        def event(row: queues.Row, *more: Any) -> str:
            if row.id == broken.pk:
                raise RuntimeError
            return good(row, *more)

        monkeypatch.setattr(stream, "_event", event)
    numbers = [broken.pk, beside.pk, theirs.pk]
    drawn = stream._drawn(numbers, {(bia.business_id, "en"), (elsewhere.pk, "en")})
    assert f'"id": {theirs.pk}' in drawn[elsewhere.pk, "en"]
    ours = drawn[bia.business_id, "en"]
    assert f'"id": {beside.pk}' in ours if what == "row" else ours == stream.REFRESH


async def test_a_tab_that_cannot_keep_up_starts_over():
    tab = stream.Tab(1, 1, "en")
    for number in range(stream.MOST_WAITING + 1):
        tab.tell(str(number))
    assert await tab.next() == stream.REFRESH
    tab.tell("new")
    assert await tab.next() == "new"
    for _ in range(1000):  # a browser that stands still keeps no more than this
        tab.tell("x" * (stream.MOST_CHARACTERS // 3))
        assert sum(map(len, tab._events)) <= stream.MOST_CHARACTERS
    assert stream.REFRESH in [await tab.next() for _ in range(len(tab._events))]
    for number in range(stream.MOST_WAITING + 1):
        tab.tell(str(number))
    tab.end()
    assert await tab.next() is None


@pytest.fixture
def elsewhere_member(elsewhere: Business, member: Callable[..., Membership]) -> Membership:
    return member("Eva", of=elsewhere)
