"""The desk's whole story on a real ``prosa up --double``: a customer at the phone, two agents in browsers of their own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import Installation, prosa

from prosa.simulator.fake_speech import voice_note

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.walk,
    pytest.mark.browser,
    pytest.mark.timeout(500),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
PATIENCE_MS = 90_000
PASSWORD = "only-for-this-test"
HIRE = """
from django.contrib.auth.models import User
from prosa.business.models import Business
from prosa.business.people import Membership
for name in ("Bia", "Rui"):
    user = User.objects.create_user(name.lower(), password=%r, first_name=name)
    Membership.objects.create(business=Business.objects.get(), user=user)
"""
PRICE = "quanto custa o difusor de varetas?"


@pytest.fixture
def running(installed_dir: Path) -> Iterator[Installation]:
    made = Installation(installed_dir, None, "--double")
    try:
        made.until(made.ready, "readiness")
        hired = prosa(
            "manage", "shell", "-c", HIRE % PASSWORD, cwd=installed_dir, PROSA_DATA_DIR=str(installed_dir / "var"), PROSA_PORT=str(made.port)
        )  # fmt: skip
        assert hired.returncode == 0, hired.stderr
        yield made
        assert made.stop() == 0
    finally:
        made.process.kill()


class Person:
    """A browser of its own. ``trouble`` collects what pages complain of."""

    def __init__(self, browser: Any, running: Installation) -> None:
        context = browser.new_context(locale="en", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        self.page, self.root = context.new_page(), f"http://127.0.0.1:{running.port}"
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on(
            "response",
            lambda answer: self.trouble.append(f"{answer.status} {answer.url}") if answer.status > 499 else None,
        )

    def shot(self, name: str) -> None:
        """For people who want to look: SHOTS=folder keeps pictures."""
        if folder := os.environ.get("SHOTS"):
            self.page.screenshot(path=f"{folder}/{name}.png")


class Customer(Person):
    """The simulator's phone."""

    def __init__(self, browser: Any, running: Installation) -> None:
        super().__init__(browser, running)
        self.page.goto(f"{self.root}/simulator/")

    def says(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.keyboard.press("Enter")

    def sends(self, name: str, mime: str, data: bytes, text: str = "") -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": mime, "buffer": data})
        self.says(text)

    def hears(self, text: str) -> None:
        self.page.locator(".bubble.business .said", has_text=text).last.wait_for()

    @property
    def heard(self) -> int:
        return int(self.page.locator(".bubble.business").count())

    def hears_something(self, than: int) -> str:
        """What is said after so many bubbles."""
        bubbles = self.page.locator(".bubble.business")
        bubbles.nth(than).wait_for()
        return str(bubbles.nth(than).inner_text())


class Agent(Person):
    """Somebody at the desk. Their page is loaded once: what it shows later came by itself."""

    def __init__(self, browser: Any, running: Installation, name: str) -> None:
        super().__init__(browser, running)
        self.page.goto(f"{self.root}/agent/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("[type=submit]")
        self.page.get_by_text("Nobody waits.").wait_for()
        self.page.evaluate("window.loadedOnce = true")

    def sees_it_wait(self) -> None:
        self.page.locator(".row[data-state=awaiting_agent]").wait_for()

    def opens_it(self) -> None:
        self.page.locator(".row[data-state=awaiting_agent] > a").click()
        self.page.locator("#standing[data-state=awaiting_agent]").wait_for()

    def does(self, move: str) -> None:
        self.page.locator(f"#standing button[data-move={move}]").click()

    def sees(self, state: str) -> None:
        self.page.locator(f"#standing[data-state={state}]").wait_for()

    def writes(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")

    def sends(self, name: str, mime: str, data: bytes, text: str = "") -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": mime, "buffer": data})
        self.page.locator("#files > *").wait_for()
        self.writes(text)

    def reads(self, text: str, side: str = "in") -> None:
        self.page.locator(f"#bubbles .bubble.{side}", has_text=text).last.wait_for()

    def is_warned(self, of: str) -> None:
        self.page.locator("#refused", has_text=of).wait_for()


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def asks_for_a_person(customer: Customer, bia: Agent, rui: Agent) -> None:
    """The bot answers until a person is asked for; then both agents see the customer wait."""
    customer.says(PRICE)
    customer.hears("R$ 89,00")
    customer.says("quero falar com um atendente")
    bia.sees_it_wait()
    rui.sees_it_wait()
    bia.shot("desk-1-waiting")


def only_one_takes_it(customer: Customer, bia: Agent, rui: Agent) -> None:
    """Two want it at the same moment: one has it, the other is told who."""
    bia.opens_it()
    rui.opens_it()
    bia.reads("quero falar com um atendente")
    late = "**/since?*"
    rui.page.route(late, lambda route: route.abort())  # what Bia does next has not reached Rui yet
    bia.does("take")
    bia.sees("agent_active")
    rui.does("take")
    rui.is_warned("Bia")
    rui.shot("desk-2-too-late")
    rui.page.unroute(late)


def they_talk(customer: Customer, bia: Agent, rui: Agent) -> None:
    """Words, pictures and voices, both ways."""
    bia.page.locator("#text").press_sequentially("Oi! Aqui é a Bia")
    rui.page.locator("#standing", has_text="Bia is writing here too").wait_for()
    bia.writes("Oi! Aqui é a Bia. Posso ajudar?")
    customer.hears("Aqui é a Bia")
    rui.reads("Aqui é a Bia", "out")
    customer.says("pode sim, olha só")
    bia.reads("pode sim, olha só")
    customer.sends("foto.png", "image/png", PNG, "veio assim")
    bia.reads("veio assim")
    bia.page.locator("#bubbles .bubble.in img").wait_for()
    customer.sends("voz.ogg", "audio/ogg", voice_note("Dá para trocar?"))
    bia.page.locator("#bubbles .bubble.in audio").wait_for()
    bia.reads("Dá para trocar?")  # written down
    bia.sends("troca.png", "image/png", PNG, "troca assim")
    customer.hears("troca assim")
    customer.page.locator(".bubble.business img").wait_for()
    bia.sends("resposta.ogg", "audio/ogg", voice_note("Claro!"))
    customer.page.locator(".bubble.business audio").wait_for()
    bia.page.locator("#bubbles .bubble.out.agent audio").wait_for()
    bia.shot("desk-3-talk")
    customer.shot("desk-4-phone")


def the_bot_answers_again(customer: Customer, bia: Agent, rui: Agent) -> None:
    """What is said to the person is not answered by the bot; once it is given back, the bot answers."""
    before = customer.heard
    bia.does("give-back")
    bia.sees("bot")
    rui.sees("bot")
    customer.says(PRICE)
    assert "R$ 89,00" in customer.hears_something(before)
    bia.page.locator("#bubbles .bubble.out.bot", has_text="R$ 89,00").nth(1).wait_for()


def done_and_taken_up_again(customer: Customer, bia: Agent, rui: Agent) -> None:
    """Resolved, and opened again by the customer's next message."""
    bia.does("resolve")
    bia.sees("resolved")
    rui.sees("resolved")
    before = customer.heard
    customer.says("mais uma coisa: " + PRICE)
    assert "R$ 89,00" in customer.hears_something(before)
    bia.sees("bot")
    rui.sees("bot")
    rui.shot("desk-5-reopened")


def the_team_is_asked(customer: Customer, bia: Agent, rui: Agent) -> None:
    """The bot asks and stays; both agents see the question, one answers it, the customer hears it from the bot."""
    before = customer.heard
    customer.says("pergunte à equipe se entregam no domingo")
    customer.hears_something(before)
    rui.page.locator("#questions").wait_for()
    bia.page.locator(".case .question", has_text="domingo").wait_for()
    bia.page.locator("#case-text").fill("Sim, das 9h às 12h.")
    bia.shot("desk-6-question")
    bia.page.locator(".case button[type=submit]").click()
    customer.hears("Sim, das 9h às 12h.")
    bia.reads("Sim, das 9h às 12h.", "out")
    bia.page.locator(".case").wait_for(state="detached")
    rui.page.locator("#questions").wait_for(state="hidden")
    bia.sees("bot")


def test_two_agents_and_a_customer(running: Installation, browser: Any) -> None:
    customer = Customer(browser, running)
    bia, rui = Agent(browser, running, "bia"), Agent(browser, running, "rui")
    asks_for_a_person(customer, bia, rui)
    only_one_takes_it(customer, bia, rui)
    they_talk(customer, bia, rui)
    the_bot_answers_again(customer, bia, rui)
    done_and_taken_up_again(customer, bia, rui)
    the_team_is_asked(customer, bia, rui)
    for agent in (bia, rui):
        assert agent.page.evaluate("window.loadedOnce") is True
    assert [*customer.trouble, *bia.trouble, *rui.trouble] == []


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000100ff89993d1d0000000049454e44ae426082"
)
