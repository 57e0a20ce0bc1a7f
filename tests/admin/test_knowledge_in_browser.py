"""From a file to an answer, as an owner sees it: uploaded in Chromium, read by the real worker, asked with spelling mistakes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.test import Client
from tests.simulator.conftest import listening

from prosa import queue
from prosa.business.models import Business

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
PRICES = Path(__file__).parent.parent / "knowledge" / "files" / "entrega.pdf"


@pytest_asyncio.fixture
async def page(transactional_db: None, settings: Any, tmp_path: Path) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    settings.MEDIA_ROOT = tmp_path
    settings.ALLOWED_HOSTS = ["*"]
    await Business.objects.acreate(name="Loja", slug="loja")
    owner = await sync_to_async(User.objects.create_superuser)("ana", "ana@loja.example", "not-used")
    client = Client()
    await sync_to_async(client.force_login)(owner)
    trouble: list[str] = []
    worker = asyncio.create_task(queue.run_worker(2))
    try:
        async with listening(ASGIStaticFilesHandler(get_asgi_application())) as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = await browser.new_context(locale="en", viewport={"width": 360, "height": 740}, base_url=url)
            await context.add_cookies(
                [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
            )
            opened = await context.new_page()
            opened.set_default_timeout(60_000)
            # Of ours: unfold's own script stumbles over an empty list.
            opened.on("pageerror", lambda error: trouble.append(str(error)) if "/prosa/" in str(error.stack) else None)
            yield opened
            assert trouble == []
            await context.close()
            await browser.close()
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def shot(page: Any, name: str) -> None:
    """For people who want to look: PROSA is asked to keep pictures with SHOTS=folder."""
    if folder := os.environ.get("SHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def test_a_pdf_is_uploaded_read_by_the_worker_and_found(page: Any):
    await page.goto("/admin/prosa_knowledge/source/")
    await shot(page, "empty")
    await page.get_by_role("link", name="Add knowledge").first.click()
    await shot(page, "kinds")
    await page.get_by_role("link", name="Files", exact=False).first.click()
    await page.set_input_files("input[type=file]", PRICES)
    await shot(page, "upload")
    await page.get_by_role("button", name="Add and read").click()
    # The page was drawn while the source waited; it tells by itself when it has been read.
    await page.locator(".prosa-standing .prosa-badge-success").wait_for()
    await shot(page, "source")
    await page.get_by_role("link", name="Ask the knowledge").last.click()
    await page.fill("input[name=q]", "qto custa o frte?")
    await page.press("input[name=q]", "Enter")
    await page.get_by_text("R$ 19,90").wait_for()
    await shot(page, "ask")
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    await page.get_by_role("link", name="Política de entrega").first.click()
    await page.get_by_text("as search sees them").wait_for()
    await shot(page, "document")
