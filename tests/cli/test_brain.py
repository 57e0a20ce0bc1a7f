"""An owner's first hour with the assistant, on a real ``prosa up --double``, through the browser: knowledge, its source,
the trace, guidelines tried and published and rolled back, a voice note, a picture, a person, a budget that runs out."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import Installation

from prosa.simulator.fake_speech import voice_note

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.walk,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
FILES = Path(__file__).parent.parent / "knowledge" / "files"
PATIENCE_MS = 60_000


@pytest.fixture
def running(installed_dir: Path) -> Iterator[Installation]:
    made = Installation(installed_dir, None, "--double")
    try:
        made.until(made.ready, "readiness")
        yield made
        assert made.stop() == 0
    finally:
        made.process.kill()


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = opened.new_context(locale="en", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        yield context
        context.close()
        opened.close()


class Owner:
    """The admin in one tab."""

    def __init__(self, context: Any, running: Installation) -> None:
        self.page, self.root = context.new_page(), f"http://127.0.0.1:{running.port}"
        password = re.search(r"password (\S+)", running.said())
        assert password
        self.go("/admin/")
        self.page.fill("#id_username", "admin")
        self.page.fill("#id_password", password[1])
        self.page.click("[type=submit]")
        self.page.get_by_text("Overview").first.wait_for()

    def go(self, path: str) -> None:
        self.page.goto(self.root + path)

    def draft(self, old: str, new: str) -> None:
        text = self.page.locator("textarea[name=text]")
        text.fill(text.input_value().replace(old, new))

    def shot(self, name: str) -> None:
        _shot(self.page, name)


class Customer:
    """The simulator's phone in another tab."""

    def __init__(self, context: Any, running: Installation) -> None:
        self.page = context.new_page()
        self.page.goto(f"http://127.0.0.1:{running.port}/simulator/")
        self.heard = 0

    def says(self, text: str) -> str:
        """The answer: everything the business said since."""
        self.page.fill("#text", text)
        self.page.keyboard.press("Enter")
        return self.hears()

    def sends(self, name: str, mime: str, data: bytes, text: str = "") -> str:
        self.page.set_input_files("#file", {"name": name, "mimeType": mime, "buffer": data})
        self.page.fill("#text", text)
        self.page.keyboard.press("Enter")
        return self.hears()

    def hears(self) -> str:
        bubbles = self.page.locator(".bubble.business .said")
        bubbles.nth(self.heard).wait_for()
        self.page.wait_for_timeout(300)  # a second bubble of the same answer
        said = [bubbles.nth(number).inner_text() for number in range(self.heard, bubbles.count())]
        self.heard = bubbles.count()
        return "\n".join(said)


def _shot(page: Any, name: str) -> None:
    """For people who want to look: SHOTS=folder keeps pictures."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def reads_a_pdf(owner: Owner, customer: Customer) -> None:
    """A PDF in Portuguese is read."""
    owner.go("/admin/prosa_knowledge/source/")
    owner.page.get_by_role("link", name="Add knowledge").first.click()
    owner.page.get_by_role("link", name="Files", exact=False).first.click()
    owner.page.set_input_files("input[type=file]", FILES / "entrega.pdf")
    owner.page.get_by_role("button", name="Add and read").click()
    owner.page.locator(".prosa-standing .prosa-badge-success").wait_for()
    owner.shot("1-source")


def asks_with_mistakes(owner: Owner, customer: Customer) -> None:
    """Asked with spelling mistakes, it answers, and says where it read it."""
    said = customer.says("qual o praso pro interiror?")
    assert "5 a 7 dias úteis" in said
    assert "Política de entrega" in said
    _shot(customer.page, "2-phone")


def reads_why(owner: Owner, customer: Customer) -> None:
    """And the reply explains itself."""
    owner.go("/admin/prosa_conversations/conversation/1/change/")
    owner.page.get_by_text("Why", exact=True).last.click()
    owner.shot("3-conversation")
    owner.page.locator("a[href*='/turn/']").last.click()
    owner.page.get_by_text("Why this reply").wait_for()
    assert "Política de entrega" in owner.page.content()
    owner.shot("4-why")


def tries_and_publishes(owner: Owner, customer: Customer) -> None:
    """A guideline is drafted, tried, published, obeyed, and rolled back."""
    question, old, new = "quanto custa o difusor de varetas?", "R$ 89,00", "R$ 79,00"
    assert old in customer.says(question)
    owner.go("/admin/prosa_business/guideline/1/change/")
    owner.draft(old, new)
    owner.page.get_by_role("button", name="Save the draft and try it").click()
    owner.page.fill("textarea[name=text], input[name=text]", question)
    owner.page.get_by_role("button", name="Ask", exact=True).click()
    owner.page.locator(".prosa-said", has_text=new).first.wait_for()
    owner.shot("5-tried")
    assert old in customer.says(question)
    owner.go("/admin/prosa_business/guideline/1/change/")
    owner.page.fill("[name=note]", "The diffuser is cheaper")
    owner.page.get_by_role("button", name="Publish").click()
    owner.shot("6-published")
    owner.page.get_by_role("link", name="Version 2").wait_for()
    assert new in customer.says(question)
    owner.page.get_by_role("link", name="Version 1", exact=True).click()
    owner.page.get_by_role("button", name="Roll back to this version").click()
    owner.page.wait_for_load_state()
    assert old in customer.says(question)


def hears_and_sees(owner: Owner, customer: Customer) -> None:
    """A voice note is understood, and a picture seen."""
    said = customer.sends("voz.ogg", "audio/ogg", voice_note("Qual é o prazo de entrega para o interior?"))
    assert "5 a 7 dias úteis" in said
    assert "image/png" in customer.sends("foto.png", "image/png", PNG, "o que é isto?")
    owner.go("/admin/prosa_conversations/conversation/1/change/")
    owner.page.get_by_text("Qual é o prazo de entrega para o interior?").first.wait_for()
    owner.shot("7-voice")


def runs_out(owner: Owner, customer: Customer) -> None:
    """A budget runs out: saving first, then no model."""
    owner.go("/admin/prosa_costs/budget/")
    owner.page.fill("#id_day_hard", "0.01")
    owner.page.get_by_role("button", name="Save", exact=True).click()
    owner.page.wait_for_load_state()
    owner.go("/admin/prosa_costs/budget/")
    owner.page.get_by_text("Approved answers only").first.wait_for()
    owner.shot("8-budget")
    said = customer.says("Aceita Pix?")
    assert said.startswith("Aceitamos Pix")  # word by word, without the double's preface
    owner.go("/admin/prosa_costs/budget/")
    owner.page.fill("#id_day_hard", "")
    owner.page.get_by_role("button", name="Save", exact=True).click()
    owner.page.wait_for_load_state()


def asks_for_a_person(owner: Owner, customer: Customer) -> None:
    """A person is asked for, and comes."""
    assert "pessoa" in customer.says("quero falar com um atendente")
    owner.go("/admin/prosa_conversations/conversation/1/change/")
    owner.page.get_by_role("button", name="Give back to the bot").wait_for()
    owner.shot("9-person")


def test_an_owners_first_hour(running: Installation, browser: Any) -> None:
    owner, customer = Owner(browser, running), Customer(browser, running)
    reads_a_pdf(owner, customer)
    asks_with_mistakes(owner, customer)
    reads_why(owner, customer)
    tries_and_publishes(owner, customer)
    hears_and_sees(owner, customer)
    runs_out(owner, customer)
    asks_for_a_person(owner, customer)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000100ff89993d1d0000000049454e44ae426082"
)
