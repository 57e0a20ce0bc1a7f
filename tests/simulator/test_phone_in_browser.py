"""The phone as a person uses it, in Chromium, against the doubles. No model and no worker: the test answers."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import types
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import include, path

from prosa.simulator import views

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
PATIENCE_MS = 60_000
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000100ff89993d1d0000000049454e44ae426082"
)


@pytest_asyncio.fixture
async def page(stage: Any, listen: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright, expect

    from prosa.server import urls

    async def nothing(_thread: Any) -> None:
        return None

    monkeypatch.setattr(views, "settings", lambda: types.SimpleNamespace(development=True))
    monkeypatch.setattr(views, "world", lambda: stage.world)
    monkeypatch.setattr(views.history, "restore", nothing)
    urlconf = types.ModuleType("browser_urls")
    urlconf.urlpatterns = [path("simulator/", include("prosa.simulator.urls")), *urls.urlpatterns]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urlconf
    settings.ALLOWED_HOSTS = ["*"]
    settings.DEBUG = False
    trouble: list[str] = []
    async with listen(ASGIStaticFilesHandler(get_asgi_application())) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(locale="en", viewport={"width": 360, "height": 740})
        opened = await context.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        opened.on("pageerror", lambda error: trouble.append(str(error)))
        opened.on(
            "console",
            lambda message: trouble.append(message.text) if "Content Security Policy" in message.text else None,
        )
        await opened.goto(f"{url}/simulator/")
        yield opened
        await context.close()
        await browser.close()
    assert trouble == []


async def write(page: Any, text: str) -> None:
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


async def answer(stage: Any, page: Any, **message: Any) -> None:
    people = json.loads(await page.evaluate("localStorage.getItem('prosa.simulator.people')"))
    body = {"messaging_product": "whatsapp", "to": f"+{people[-1]['phone']}", **message}
    headers, url = {"Authorization": "Bearer EAASIM-token"}, f"{stage.graph}/{stage.whatsapp.key}/messages"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as response:
        assert response.status == 200, await response.text()


def last(stage: Any) -> dict[str, Any]:
    values = [json.loads(each.body)["entry"][0]["changes"][0]["value"] for each in stage.door.heard]
    found: dict[str, Any] = next(value["messages"][0] for value in reversed(values) if "messages" in value)
    return found


def statuses(stage: Any) -> list[str]:
    values = [json.loads(each.body)["entry"][0]["changes"][0]["value"] for each in stage.door.heard]
    return [value["statuses"][0]["status"] for value in values if "statuses" in value]


async def test_a_conversation(stage: Any, page: Any) -> None:
    from playwright.async_api import expect

    # the first words are offered; one tap sends them
    await page.locator("#suggestions button").first.click()
    await expect(page.locator(".bubble.customer .meta svg.delivered")).to_have_count(1)
    assert last(stage)["text"]["body"].startswith("Hi!")

    # the business reads, types, answers; what it says is never HTML
    await answer(stage, page, status="read", message_id=last(stage)["id"], typing_indicator={"type": "text"})
    await expect(page.locator("#typing")).to_be_visible()
    await expect(page.locator(".bubble.customer .meta svg.read")).to_have_count(1)
    await answer(stage, page, type="text", text={"body": "<img src=x onerror=alert(1)> *bold*"})
    await expect(page.locator(".bubble.business .said")).to_have_text("<img src=x onerror=alert(1)> bold")
    await expect(page.locator(".bubble.business strong")).to_have_text("bold")
    await expect(page.locator("#typing")).to_be_hidden()

    # shown is read
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while "read" not in statuses(stage):
            await asyncio.sleep(0.02)
    assert statuses(stage)[:2] == ["sent", "delivered"]

    # a tap answers
    buttons = [
        {"type": "reply", "reply": {"id": "yes", "title": "Yes"}},
        {"type": "reply", "reply": {"id": "no", "title": "No"}},
    ]
    await answer(
        stage,
        page,
        type="interactive",
        interactive={"type": "button", "body": {"text": "Shall I?"}, "action": {"buttons": buttons}},
    )
    await page.get_by_role("button", name="Yes", exact=True).click()
    await expect(page.get_by_role("button", name="No", exact=True)).to_be_disabled()
    await expect(page.locator(".bubble.customer .meta svg.delivered, .bubble.customer .meta svg.read")).to_have_count(2)
    assert last(stage)["interactive"]["button_reply"] == {"id": "yes", "title": "Yes"}

    # a file with a caption
    await page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": PNG})
    await write(page, "look")
    await expect(page.locator(".bubble.image .meta svg.delivered")).to_have_count(1)
    assert (last(stage)["image"]["caption"], last(stage)["image"]["mime_type"]) == ("look", "image/png")


async def test_an_unsent_message_stays_and_is_sent_again(stage: Any, page: Any) -> None:
    from playwright.async_api import expect

    stage.door.answers = [503]
    await write(page, "hello")
    await page.get_by_role("button", name=re.compile("send it again")).click()
    await expect(page.locator(".bubble.customer .meta svg.delivered")).to_have_count(1)
    first, second = (
        json.loads(each.body)["entry"][0]["changes"][0]["value"]["messages"][0]["id"] for each in stage.door.heard
    )
    assert first == second


async def test_a_message_that_failed_is_shown_as_not_received(stage: Any, page: Any) -> None:
    from playwright.async_api import expect

    await write(page, "hello")
    stage.world.mischief.add("undelivered")
    await answer(stage, page, type="text", text={"body": "lost on the way"})
    await expect(page.locator(".bubble.business.lost")).to_contain_text("it never reached this phone")
    await answer(stage, page, type="text", text={"body": "this one came"})
    await expect(page.locator(".bubble.business:not(.lost) .said")).to_have_text("this one came")
    await stage.world.settle()
    assert statuses(stage)[:2] == ["sent", "failed"]


async def test_another_customer_has_another_conversation_and_360_pixels_suffice(stage: Any, page: Any) -> None:
    from playwright.async_api import expect

    await write(page, "I am the first")
    await expect(page.locator(".bubble")).to_have_count(1)
    await page.locator("#open-side").click()
    await page.locator("#add-person").click()
    await expect(page.locator(".bubble")).to_have_count(0)
    await write(page, "I am the second")
    await expect(page.locator(".bubble.customer .said")).to_have_text("I am the second")
    assert len({thread.customer.id for thread in stage.world.threads()}) == 2
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await page.reload()
    await expect(page.locator(".bubble.customer .said")).to_have_text("I am the second")


async def test_mischief_is_ordered_from_the_phone(stage: Any, page: Any) -> None:
    from playwright.async_api import expect

    await page.locator("#open-mischief").click()
    await page.get_by_text("Answers 500: broken").click()
    await page.get_by_role("button", name="Do it").click()
    await expect(page.locator("#rules")).to_contain_text("once more")
    assert [rule.kind for rule in stage.world.mischief.rules] == ["broken"]
    await page.get_by_role("button", name="Behave again").click()
    await expect(page.locator("#rules")).to_have_text("The providers behave.")
