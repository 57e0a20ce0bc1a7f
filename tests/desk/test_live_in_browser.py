"""The desk in real time, in Chromium: two people, what each sees and hears without ever reloading."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.test import Client
from django.utils import timezone
from tests.simulator.conftest import listening

from prosa import realtime
from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.contacts.models import Fact
from prosa.conversations import ownership
from prosa.conversations.models import Conversation, Label, Message, State
from prosa.desk import actions
from prosa.desk.access import Seat

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
PATIENCE_MS = 60_000
RINGS = """window.rings = []; document.addEventListener("prosa:ring", (event) => rings.push(event.detail.why + " " + event.detail.id));"""

Talk = Callable[..., Conversation]
Open = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def desk_of(transactional_db: None, settings: Any) -> AsyncIterator[Open]:
    """Open a desk for a member, in a browser of their own."""
    from playwright.async_api import async_playwright

    settings.ALLOWED_HOSTS = ["*"]
    trouble: list[str] = []
    async with listening(ASGIStaticFilesHandler(get_asgi_application())) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        async def open_one(member: Membership, address: str, beside: Any = None) -> Any:
            if beside is None:
                client = Client()
                await sync_to_async(client.force_login)(member.user)
                context = await browser.new_context(locale="en", viewport={"width": 1280, "height": 800}, base_url=url)
                await context.add_cookies(
                    [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
                )
                context.set_default_timeout(PATIENCE_MS)
                await context.add_init_script(RINGS)
            else:
                context = beside.context
            page = await context.new_page()
            page.on("pageerror", lambda error: trouble.append(str(error)))
            async with page.expect_response("**/agent/counts"):  # the stream is there
                await page.goto(address)
            return page

        yield open_one
        assert trouble == []
        await browser.close()
    await realtime.close()


async def does(work: Callable[..., Any], *about: Any, **more: Any) -> Any:
    return await sync_to_async(work)(*about, **more)


def seat(member: Membership) -> Seat:
    return Seat(member, member.business)


def writes(conversation: Conversation, text: str) -> None:
    """The customer does."""
    said = Message.objects.create(
        conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="in",
        author="customer", text=text,
    )  # fmt: skip
    Conversation.objects.filter(pk=conversation.pk).update(last_inbound_id=said.pk, last_inbound_at=timezone.now())
    realtime.publish("conversation", conversation.pk)


async def rings(page: Any, *expected: str) -> None:
    """Exactly these rang here, in this order."""
    await page.wait_for_function("count => rings.length >= count", arg=len(expected))
    assert await page.evaluate("rings") == list(expected)


async def test_a_desk_rings_for_its_own_person(
    desk_of: Open, talk: Talk, business: Business, bia: Membership, rui: Membership, member: Callable[..., Membership]
):
    ada = await does(member, "Ada", Role.OWNER)
    team = await does(Team.objects.create, business=business, name="Trocas")
    await does(team.members.add, rui)
    conversation = await does(talk, state=State.BOT)
    desks = {name: await desk_of(who, "/agent/dashboard") for name, who in {"bia": bia, "ada": ada}.items()}
    number = conversation.pk
    # for a team she is not in, and to somebody else: nothing. Then to her; and what anybody may take
    await does(actions.assign, seat(rui), conversation, None, team)
    await does(actions.assign, seat(rui), conversation, ada, None)
    await rings(desks["ada"], f"waits {number}")
    await does(actions.assign, seat(rui), conversation, bia, None)
    await rings(desks["bia"], f"waits {number}")
    # her customer writes
    await does(ownership.take, number, f"user:{bia.user_id}", bia.pk)
    await desks["bia"].locator(f"#row-{number}").wait_for(state="detached")
    await does(writes, conversation, "oi?")
    await rings(desks["bia"], f"waits {number}", f"wrote {number}")
    # nobody takes another one: whoever leads is told, and everybody sees it
    other = await does(talk, "Edu")
    await does(ownership.tell, other.pk, "escalated", "system", minutes=10)
    await rings(desks["ada"], f"waits {number}", f"forgotten {other.pk}")
    await desks["bia"].locator(f"#row-{other.pk}", has_text="nobody took it").wait_for()
    assert f"forgotten {other.pk}" not in await desks["bia"].evaluate("rings")


async def test_lists_and_panes_follow_what_others_do(
    desk_of: Open, talk: Talk, business: Business, bia: Membership, rui: Membership
):
    conversation, second = await does(talk, "Ana"), await does(talk, "Edu", state=State.BOT)
    await does(actions.assign, seat(rui), conversation, None, None)
    label = await does(Label.objects.create, business=business, name="VIP")
    await does(conversation.labels.add, label)
    page = await desk_of(bia, f"/agent/dashboard?queue=waiting&label={label.pk}")
    number = conversation.pk
    # narrowed by a label: what gets it comes, what loses it goes, and with the last one it says so
    assert await page.locator(".row").count() == 1
    await does(actions.assign, seat(rui), second, None, None)
    await does(actions.label, seat(rui), second, label, on=True)
    await page.locator(f"#row-{second.pk}[data-unread]").wait_for()
    for each in (second, conversation):
        await does(actions.label, seat(rui), each, label, on=False)
    await page.get_by_text("Nobody waits.").wait_for()
    await does(actions.label, seat(rui), conversation, label, on=True)
    await page.locator(f"#row-{number}").wait_for()
    assert await page.locator(".empty").count() == 0
    # what is read at one desk is read at the other, and stays so until the customer writes again
    twin = await desk_of(bia, "/agent/dashboard?queue=waiting", beside=page)
    await page.locator(f"#row-{number} > a").click()
    await page.locator(".thread").wait_for()
    await twin.locator(f"#row-{number}:not([data-unread])").wait_for()
    await does(actions.note, seat(rui), conversation, "liguei")
    await page.get_by_text("liguei").wait_for()
    await does(actions.label, seat(rui), second, label, on=True)
    await twin.locator(f"#row-{second.pk} .label").wait_for()
    assert await twin.locator(f"#row-{number}[data-unread]").count() == 0
    await page.goto("/agent/dashboard?queue=waiting")
    await does(writes, conversation, "e aí?")
    await twin.locator(f"#row-{number}[data-unread]").wait_for()
    # who looks at it too, and what colleagues do to the pane
    await page.goto(f"/agent/c/{number}")
    his = await desk_of(rui, f"/agent/c/{number}")
    await page.locator("#lookers", has_text="Rui looks at this too").wait_for()
    await his.locator("#lookers", has_text="Bia looks at this too").wait_for()
    await page.locator("#assign").focus()  # he came after the pane was drawn
    await page.locator("#assign option", has_text="● Rui · here · 0 of 6").wait_for(state="attached")
    await page.locator("#text").focus()
    await does(
        Fact.objects.create, business=business, contact_id=conversation.contact_id, text="Tem um gato", key="gato"
    )
    await does(actions.label, seat(rui), conversation, label, on=False)
    await page.locator("#contact .facts", has_text="Tem um gato").wait_for()
    await page.locator(f"#label-{label.pk}[aria-pressed=false]").wait_for()
    # what is begun in the pane is not taken away
    await page.locator("#contact .happened summary").click()
    await page.locator("#assign").focus()
    await does(actions.label, seat(rui), conversation, label, on=True)
    await page.locator(f"#row-{number} .label").wait_for()
    assert await page.locator(f"#label-{label.pk}").get_attribute("aria-pressed") == "false"
    await page.locator("#text").focus()
    await page.locator(f"#label-{label.pk}[aria-pressed=true]").wait_for()
    assert await page.locator("#contact .happened[open]").count() == 1
    await his.close(run_before_unload=False)
    await page.locator("#lookers").wait_for(state="hidden")


async def test_a_lost_connection_is_told_and_caught_up_with(desk_of: Open, talk: Talk, bia: Membership):
    conversation = await does(talk)
    page = await desk_of(bia, f"/agent/c/{conversation.pk}")
    await page.context.set_offline(True)
    await page.get_by_text("The connection is lost.").wait_for()
    await does(writes, conversation, "vocês estão aí?")
    await page.context.set_offline(False)
    await page.get_by_text("Back. You see everything that came meanwhile.").wait_for()
    await page.locator(".bubble.in", has_text="vocês estão aí?").wait_for()
    assert await page.locator("#lost").is_hidden()
    # a laptop that slept: its clock is another, and nothing was heard
    await page.clock.install()
    await page.reload()
    await page.locator("[data-count=waiting]:not(:empty)").wait_for()
    await page.clock.fast_forward(50_000)
    await page.get_by_text("The connection is lost.").wait_for()
    await does(writes, conversation, "alô?")
    await page.clock.fast_forward(5_000)
    await page.get_by_text("Back. You see everything that came meanwhile.").wait_for()
    await page.locator(".bubble.in", has_text="alô?").wait_for()
    # the session ends: that is another thing, and said as such
    await does(Session.objects.all().delete)
    await page.context.set_offline(True)
    await page.context.set_offline(False)
    await page.clock.fast_forward(5_000)
    await page.locator("#ended[open]").wait_for()
    await page.locator("#lost").wait_for(state="hidden")
