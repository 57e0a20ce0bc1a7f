"""Promise 5 from the desk: while the model thinks an agent answers first, and the bot's draft never leaves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from tests.cli.installation import free_port
from tests.walks.house import Gate, House, elsewhere, says
from tests.walks.payloads import said
from tests.walks.street import Street

from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.contacts.models import Contact
from prosa.contracts import Turn
from prosa.conversations import replying
from prosa.conversations.models import Conversation, State


@pytest.fixture
def bia(business: Business) -> Membership:
    return hired(business, "bia")


def hired(business: Business, name: str) -> Membership:
    return Membership.objects.create(
        business=business, user=User.objects.create(username=name, first_name=name.title())
    )


async def answers(member: Membership, house: House, text: str, **more: Any) -> None:
    """From the desk."""
    conversation = await elsewhere(lambda: Conversation.objects.select_related("contact", "inbox").get())
    await elsewhere(lambda: replying.reply(conversation, member, text, **more))


async def _thinking(house: House) -> Gate:
    gate = Gate()

    async def slow(turn: Turn) -> Any:
        await gate.wait()
        return await house.mind.echo(turn)

    house.mind.answer = slow
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    return gate


async def test_an_agent_answers_while_the_model_thinks(house: House, bia: Membership):
    gate = await _thinking(house)
    await answers(bia, house, "Oi, aqui é a Bia!")
    await house.until(lambda: house.carrier.texts() == ["Oi, aqui é a Bia!"])
    gate.open.set()
    await house.until(lambda: house.outcomes() == ["withheld"])
    await house.quiet()
    assert house.carrier.texts() == ["Oi, aqui é a Bia!"]
    assert house.one("select draft from prosa_conversations_turn") == "eco: oi"
    assert house.state() == State.AGENT_ACTIVE
    assert house.one("select assignee_id from prosa_conversations_conversation") == bia.pk
    assert house.pending() == 0


async def test_an_agent_answers_between_finish_and_send(house: House, bia: Membership):
    async def three(_turn: Turn) -> Any:
        return says("um", "dois", "três")

    gate = Gate()
    house.mind.answer = three
    house.carrier.next.append(gate.wait)
    await house.work()
    await house.post(said("oi", "1"))
    await gate.reached.wait()
    await answers(bia, house, "deixa comigo")
    gate.open.set()
    await house.until(lambda: "deixa comigo" in house.carrier.texts())
    await house.quiet()
    # What was already with the provider cannot be taken back; the rest never goes there.
    assert house.carrier.texts() == ["um", "deixa comigo"]
    assert house.sends() == [("um", "sent"), ("dois", "withdrawn"), ("três", "withdrawn"), ("deixa comigo", "sent")]
    assert house.events("person_replied")[0]["withdrawn"] == 2


async def test_what_the_customer_writes_then_is_the_agents(house: House, bia: Membership):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    await answers(bia, house, "Oi!")
    await house.post(said("e o preço?", "2"))
    await house.quiet()
    assert house.mind.asked() == [["oi"]]
    assert house.carrier.texts() == ["eco: oi", "Oi!"]
    assert house.one("select unread from prosa_conversations_conversation") == 1


@pytest.fixture
def waiting(business: Business, inbox: Any) -> Conversation:
    """A conversation that waits for a person."""
    contact = Contact.objects.create(business=business, name="Ana")
    made = Conversation.objects.create(
        business=business, inbox=inbox, contact=contact, state=State.AWAITING_AGENT, last_inbound_at=timezone.now()
    )
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("way", ["reply", "take"])
def test_of_two_agents_at_the_same_moment_one_is_told(business: Business, waiting: Conversation, way: str):
    conversation = waiting
    agents = [hired(business, name) for name in ("ana", "rui", "eva", "leo")]
    begin = threading.Barrier(len(agents))
    answers: list[int] = []

    def press(member: Membership) -> None:
        client = Client()
        client.force_login(member.user)
        try:
            begin.wait(30)
            address = f"/agent/c/{conversation.pk}/{way}"
            answers.append(
                client.post(
                    address, {"text": f"sou {member.user.username}", "epoch": conversation.epoch, "key": member.pk}
                ).status_code
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(each,)) for each in agents]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(answers) == [204, 409, 409, 409]
    before = conversation.epoch
    conversation.refresh_from_db()
    assert (conversation.state, conversation.epoch) == (State.AGENT_ACTIVE, before + 1)
    said_out = conversation.messages.filter(direction="out")
    assert [each.sender_id for each in said_out] == ([conversation.assignee_id] if way == "reply" else [])


# ── with real processes ──


class SlowStreet(Street):
    """A street whose model waits until it is let. ``asked``: how often it was."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self.asked, self.open = 0, asyncio.Event()
        think = self.outside._think

        async def slow(request: web.Request) -> web.Response:
            self.asked += 1
            await self.open.wait()
            return await think(request)

        self.outside._think = slow  # type: ignore[method-assign]

    async def sign_in(self) -> str:
        """An owner's session."""
        command = [
            sys.executable, "-m", "prosa", "manage", "shell", "-v0", "-c",
            ("from django.test import Client; from django.contrib.auth.models import User; c = Client();"
            "c.force_login(User.objects.create_superuser('bia', password='x')); print('session', c.cookies['prosa_session'].value)"),
        ]  # fmt: skip
        told = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout.split("session ")[1].split()[0]

    async def reply(self, session: str, phone: str, text: str) -> int:
        """As the desk's page does."""
        number = self.rows(
            "select c.id from prosa_conversations_conversation c join prosa_contacts_identity i using (contact_id)"
            f" where i.key = 'phone:{phone}'"
        )[0][0]
        token = "a" * 32
        async with aiohttp.ClientSession(cookies={"prosa_session": session, "csrftoken": token}) as browser:
            address = f"http://127.0.0.1:{self.port}/agent/c/{number}/reply"
            async with browser.post(address, data={"text": text}, headers={"X-CSRFToken": token}) as answer:
                return answer.status


@pytest.mark.walk
@pytest.mark.timeout(600)
async def test_an_agent_answers_first_and_the_workers_are_killed(street_dir: Path):
    """One customer is answered before the kill, one when nobody is at work; neither hears the bot."""
    ana, rui = "5511900000001", "5511900000002"
    async with SlowStreet(street_dir, free_port()) as street:
        session = await street.sign_in()
        await street.insist(said("q1x1", "1", ana))
        await street.insist(said("q2x1", "2", rui))
        await street.until(lambda: street.asked == 2)
        assert await street.reply(session, ana, "Oi Ana, aqui é a Bia.") == 204
        for name in ("worker1", "worker2"):
            street.processes[name].kill()
            await asyncio.to_thread(street.processes[name].wait)
        assert await street.reply(session, rui, "Oi Rui, aqui é a Bia.") == 204
        street.open.set()
        street.start("worker1")
        street.start("worker2")

        def settled() -> bool:
            street.hurry()
            return street.settled()

        await street.until(settled)
        assert sorted((to, text) for to, text, _ in street.outside.sent) == [
            (ana, "Oi Ana, aqui é a Bia."),
            (rui, "Oi Rui, aqui é a Bia."),
        ]
        assert street.asked == 2
        written = street.rows("select author, status from prosa_conversations_message where direction = 'out'")
        assert {author for author, _ in written} == {"agent"}
        assert street.rows("select distinct state from prosa_conversations_conversation") == [("agent_active",)]
