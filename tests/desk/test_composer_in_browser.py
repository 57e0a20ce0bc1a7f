"""The composer as a person uses it, in Chromium: by keyboard, with files, on two tabs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.test import Client
from django.utils import timezone
from tests.simulator.conftest import listening

from prosa import realtime
from prosa.business.people import Membership
from prosa.conversations.models import Attachment, Conversation, Message, State, Turn
from prosa.desk import writing
from prosa.desk.models import CannedReply, Place, Scheduled

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "phone.png"


@pytest.fixture
def conversation(transactional_db: None, talk: Callable[..., Conversation]) -> Conversation:
    """A customer waits; what they wrote can be quoted, and the assistant had begun to answer."""
    made = talk("Ana Souza", state=State.AGENT_ACTIVE)
    Message.objects.update(provider_id="wamid.ANA")
    CannedReply.objects.create(business=made.business, shortcut="ola", text="Olá {name}!")
    CannedReply.objects.create(business=made.business, shortcut="olho", text="De olho.")
    Turn.objects.create(
        conversation=made,
        business=made.business,
        outcome="withheld",
        started_at=timezone.now(),
        draft="O frete é R$ 10.",
    )
    return made


@pytest_asyncio.fixture
async def page(conversation: Conversation, bia: Membership, settings: Any, tmp_path: Path) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    settings.MEDIA_ROOT = tmp_path
    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    await sync_to_async(client.force_login)(bia.user)
    trouble: list[str] = []
    async with listening(ASGIStaticFilesHandler(get_asgi_application())) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(locale="en", viewport={"width": 1280, "height": 800}, base_url=url)
        await context.add_cookies(
            [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
        )
        context.set_default_timeout(60_000)
        opened = await context.new_page()
        opened.on("pageerror", lambda error: trouble.append(str(error)))
        await opened.goto(f"/agent/c/{conversation.pk}")
        yield opened
        assert trouble == []
        await context.close()
        await browser.close()


async def settled(page: Any) -> None:
    """What was written has been sent, and the field is free."""
    await page.locator("#composer:not([aria-busy])").wait_for()
    await holds(page, "")


async def holds(page: Any, text: str) -> None:
    from playwright.async_api import expect

    await expect(page.locator("#text")).to_have_value(text, timeout=60_000)


async def test_what_cannot_be_undone_is_asked_in_a_dialog(page: Any, conversation: Conversation):
    await page.goto("/agent/canned")
    delete, asked = page.locator("button.danger", has_text="/olho"), page.locator("#sure[open]")
    await delete.click()
    await asked.get_by_text("/olho").wait_for()
    await page.keyboard.press("Enter")  # the answer that changes nothing has the focus
    await asked.wait_for(state="detached")
    await delete.click()
    await asked.locator("button[value=yes]").click()
    await page.locator("p.good").wait_for()
    left = CannedReply.objects.filter(business=conversation.business).values_list("shortcut", flat=True)
    assert await sync_to_async(list)(left) == ["ola"]


async def test_a_reply_is_written_by_keyboard(page: Any, conversation: Conversation):
    field = page.locator("#text")
    # what the assistant was about to say is offered, and comes into the field
    await field.press("Alt+y")
    await holds(page, "O frete é R$ 10.")
    # a canned reply, chosen with the arrows
    await field.fill("")
    await field.press_sequentially("Oi. /ol")
    await page.locator("#canned-count:has-text('2')").wait_for(state="attached")
    await field.press("ArrowDown")
    active = await field.get_attribute("aria-activedescendant")
    assert "olho" in await page.locator(f"#{active}").inner_text()
    await field.press("ArrowUp")
    await field.press("Enter")
    assert await field.input_value() == "Oi. Olá Ana!"
    # an emoji, found by a name without its accents
    await field.press("Alt+g")
    await page.locator("#emojis input").fill("coracao vermelho")
    await page.locator("#emojis input").press("Enter")
    await holds(page, "Oi. Olá Ana!❤️")
    # in answer to what the customer wrote
    await field.press("Alt+q")
    await page.locator("#quoting").get_by_text("oi, sou Ana").wait_for()
    await field.press("Enter")
    await settled(page)
    sent = await Message.objects.aget(direction="out")
    assert (sent.text, sent.reply_to) == ("Oi. Olá Ana!❤️", "wamid.ANA")
    assert await page.locator(".suggestion").count() == 0
    # and outside of the field every key does something
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.get_by_role("heading", name="Keyboard").wait_for()
    await page.keyboard.press("Escape")
    await page.keyboard.press("l")
    await page.locator("#aloud").get_by_text("nothing here for this key").wait_for(state="attached")
    # the customer was faster than the key: it is shown before anything is put out of sight
    late = await Message.objects.acreate(
        conversation=conversation, business_id=conversation.business_id, inbox_id=conversation.inbox_id, direction="in",
        author="customer", text="Mais uma coisa",
    )  # fmt: skip
    await Conversation.objects.filter(pk=conversation.pk).aupdate(last_inbound_id=late.pk)
    await page.keyboard.press("e")
    await page.locator("#refused").get_by_text("written something more").wait_for()
    await page.locator("#bubbles").get_by_text("Mais uma coisa").wait_for()
    await page.keyboard.press("e")
    await page.locator("#standing [data-key=reopen]").wait_for()
    await page.keyboard.press("o")
    await page.locator("#standing [data-key=resolve]").wait_for()
    await page.keyboard.press("2")
    await page.locator(".queues [aria-current][data-queue=mine]").wait_for()
    await page.keyboard.press("j")
    await page.locator("#bubbles").wait_for()
    assert (await Conversation.objects.aget(pk=conversation.pk)).state == State.AGENT_ACTIVE


async def test_files_are_looked_at_before_they_travel(page: Any, conversation: Conversation):
    await page.evaluate(
        """() => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(6 * 1048576)], "foto.png", { type: "image/png" }));
            carried.items.add(new File(["texto"], "nota.txt", { type: "text/plain" }));
            const event = { bubbles: true, cancelable: true, dataTransfer: carried };
            document.querySelector(".bubbles").dispatchEvent(new DragEvent("dragover", event));
            document.querySelector(".bubbles").dispatchEvent(new DragEvent("drop", event));
        }"""
    )
    await page.locator("#refused").get_by_text("foto.png").wait_for()
    assert await page.locator("#files li").count() == 1
    await page.set_input_files("#file", PICTURE)
    await page.locator("#files img").wait_for()
    await page.locator("#text").fill("Duas coisas")
    await page.locator("#send").click()
    await settled(page)
    await page.locator("#files li").first.wait_for(state="detached")
    assert [each.text async for each in Message.objects.filter(direction="out").order_by("pk")] == ["Duas coisas", ""]
    assert {each.filename async for each in Attachment.objects.all()} == {"nota.txt", "phone.png"}


async def test_a_draft_outlives_the_page_and_one_can_be_sent_later(page: Any, conversation: Conversation):
    field = page.locator("#text")
    await page.get_by_role("button", name="No, thanks").click()
    await field.press_sequentially("Volto amanhã")
    await page.reload()
    await holds(page, "Volto amanhã")
    assert await page.locator(".suggestion").count() == 0  # refused stays refused
    await page.locator("#later").click()
    await page.locator("[data-morning='1']").click()
    await page.locator("#later-send").click()
    await page.locator("#scheduled").get_by_text("Volto amanhã").wait_for()
    await settled(page)
    assert (await Scheduled.objects.aget()).status == "waiting"
    assert (await Place.objects.aget(conversation=conversation)).draft == ""
    await page.locator("#scheduled [data-unschedule]").click()
    await page.locator("#scheduled li").wait_for(state="detached")
    assert (await Scheduled.objects.aget()).status == "cancelled"


async def test_what_was_written_outlives_the_session_and_who_else_writes_is_said(
    page: Any, conversation: Conversation, rui: Membership, monkeypatch: pytest.MonkeyPatch
):
    field, cookies = page.locator("#text"), await page.context.cookies()
    # a colleague begins to write here, and stops without anybody saying so
    monkeypatch.setattr(writing, "TYPING_S", 2)
    colleague = Client()
    await sync_to_async(colleague.force_login)(rui.user)
    await sync_to_async(colleague.post)(f"/agent/c/{conversation.pk}/draft", {"text": "Oi"})
    await page.locator("#standing").get_by_text("Rui is writing here too").wait_for()
    await page.locator("#standing .typing").wait_for(state="detached")
    # the customer writes; what they wrote ends that
    told = page.locator("#customer-types")
    await sync_to_async(realtime.publish)("types", conversation.pk)
    await told.get_by_text("Ana Souza is writing…").wait_for()
    said = Message(conversation=conversation, business_id=conversation.business_id, inbox_id=conversation.inbox_id)
    said.direction, said.author, said.text = "in", "customer", "Alguém aí?"
    await said.asave()
    await sync_to_async(realtime.publish)("conversation", conversation.pk)
    await page.locator(f"#m{said.pk}").wait_for()
    assert await told.inner_text() == ""
    # the session ends, and it takes hours to sign in again
    await page.context.clear_cookies(name="prosa_session")
    await field.fill("Três frases que ninguém quer escrever de novo")
    await page.locator("#ended[open]").wait_for()
    await page.keyboard.press("Space")  # somebody was typing: the dialog stays
    await page.locator("#ended[open] a").click()
    await page.wait_for_url("**/login?**")
    await page.evaluate(
        """() => {
            const name = Object.keys(sessionStorage).find((each) => each.startsWith("prosa-left-"));
            const left = JSON.parse(sessionStorage.getItem(name));
            sessionStorage.setItem(name, JSON.stringify({ ...left, at: left.at - 2 * 3600000 }));
        }"""
    )
    await page.context.add_cookies(cookies)
    await page.goto(f"/agent/c/{conversation.pk}")
    await holds(page, "Três frases que ninguém quer escrever de novo")
    async with asyncio.timeout(60):  # it is kept there until the server has it
        while await page.evaluate("Object.keys(sessionStorage).some((each) => each.startsWith('prosa-left-'))"):
            await asyncio.sleep(0.05)
    assert (
        await Place.objects.aget(member__user__username="bia")
    ).draft == "Três frases que ninguém quer escrever de novo"


async def test_a_long_conversation_is_read_from_where_it_was_found(page: Any, conversation: Conversation):
    await Message.objects.abulk_create(
        Message(
            conversation=conversation, business_id=conversation.business_id, inbox_id=conversation.inbox_id, direction="in",
            author="customer", text=f"linha {n}.", provider_id=f"wamid.{n}", reply_to="wamid.3" if n == 399 else "",
        )
        for n in range(400)
    )  # fmt: skip
    found = await Message.objects.aget(text="linha 200.")
    await page.goto(f"/agent/c/{conversation.pk}?at={found.pk}")
    await page.locator(f"#m{found.pk}.found:focus").wait_for()
    assert await page.get_by_text("linha 399.", exact=True).count() == 0
    # down to the newest, then to what that one answers to, by way of the beginning; what is far away is let go
    await page.locator("#newer").click()
    newest = page.locator("#bubbles > .bubble").last
    await newest.get_by_text("linha 399.", exact=True).wait_for()
    await newest.locator("a[data-to]").click()
    await page.locator(".bubble.found").get_by_text("linha 3.", exact=True).wait_for()
    most = await page.evaluate(
        """async () => {
            const list = document.getElementById("bubbles");
            let most = 0;
            while (!list.textContent.includes("linha 399.")) {
                most = Math.max(most, list.querySelectorAll(":scope > .bubble").length);
                list.scrollTop = list.scrollHeight;
                await new Promise(requestAnimationFrame);
            }
            return most;
        }"""
    )
    assert most <= 200
    shown = await page.locator("#bubbles > .bubble").evaluate_all(
        "all => all.map((each) => Number(each.dataset.message))"
    )
    assert shown == sorted(set(shown))
    assert shown[0] > await Message.objects.values_list("pk", flat=True).aget(text="linha 100.")


async def test_with_the_window_closed_only_templates_and_notes_are_left(page: Any, conversation: Conversation):
    past = timezone.now() - timedelta(hours=30)
    await Conversation.objects.filter(pk=conversation.pk).aupdate(last_inbound_at=past)
    await page.reload()
    assert not await page.locator("#text").is_visible()
    assert await page.get_by_role("button", name="Choose a template").is_visible()
    await page.locator(".mode[data-mode=note]").click()
    await page.locator("#text").fill("Para a equipe")
    await page.keyboard.press("Enter")
    await page.locator(".note").get_by_text("Para a equipe").wait_for()
    assert not await Message.objects.filter(direction="out").aexists()
