"""Voice notes over Twilio, which fetches them: from an address that expires, and as text where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.signing import TimestampSigner
from tests.walks.house import House, elsewhere, says

from prosa.agents import audio
from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contracts import Turn, TurnResult
from prosa.conversations import dispatch
from prosa.conversations.door import Door
from prosa.conversations.media import links
from prosa.simulator import app, customer, fake_speech
from prosa.simulator.world import Bubble, Customer, Line, Thread, World

ANA = Customer("5511988887777", "Ana", phone="5511988887777")
ACCOUNT = "AC" + "0" * 31 + "1"
PRICE = "Custa *R$ 59,90* à vista."


@dataclass
class Street:
    """Twilio's double, this server as the world sees it, and the house behind both."""

    world: World
    line: Line
    house: House
    url: str
    asked: list[str]

    async def ask(self, text: str, number: int = 1) -> None:
        name = customer.message_id(self.line, f"{number:032x}", media=False)
        await customer.say(self.world, self.line, ANA, Bubble(name, "customer", "text", text))

    @property
    def thread(self) -> Thread:
        return self.world.thread(self.line, ANA)

    @property
    def heard(self) -> list[Bubble]:
        return [bubble for bubble in self.thread.bubbles.values() if bubble.author == "business"]


@contextlib.asynccontextmanager
async def listening(application: Any) -> AsyncIterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(application, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[taken]))
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def street(
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    voice: fake_speech.Control,
    environment: Callable[..., None],
    house: House,
    business: Business,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Street]:
    """``request.param``: the public address, ``here`` for this server's own."""
    settings.MEDIA_ROOT, settings.ALLOWED_HOSTS = tmp_path, ["*"]
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    world, asked = World(pace=0), []
    door = Door(get_asgi_application(), house.dsn)

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await door(scope, receive, send)

    async with listening(app.make(world)) as provider, listening(noted) as url:
        public = {"here": url}.get(request.param, request.param)
        environment(TWILIO_API_URL=f"{provider}/simulator/twilio", PROSA_PUBLIC_URL=public)
        await elsewhere(
            lambda: Inbox.objects.create(
                business=business, kind="twilio", name="T", slug="t", routing_key="5511900000002",
                credentials={"account_sid": ACCOUNT, "auth_token": "auth-token", "number": "+5511900000002"},
            )
        )  # fmt: skip
        hook = f"{url}/webhook/twilio/t/"
        line = world.add_line(
            Line(
                "twilio", "5511900000002", "t", number="5511900000002", account=ACCOUNT, token="auth-token", secret="auth-token",
                webhook_url=hook, signed_url=f"{public}/webhook/twilio/t/" if public else hook, api_url=f"{provider}/simulator/twilio",
            )
        )  # fmt: skip
        await door.startup()
        house.mind.answer = a_price
        await house.work()
        yield Street(world, line, house, url, asked)
        await world.settle()
        await door.shutdown()


async def a_price(_turn: Turn) -> TurnResult:
    return says("Custa **R$ 59,90** à vista.")


ASK = "me manda um áudio: quanto custa?"
fetched = pytest.mark.parametrize("street", ["here"], indirect=True)


@fetched
async def test_twilio_fetches_the_voice_note(street: Street):
    await street.ask(ASK)
    await street.house.until(lambda: street.heard and street.heard[0].status == "delivered")
    (bubble,) = street.heard
    assert bubble.kind == "audio"
    assert bubble.text == ""  # it is heard, not read
    assert bubble.file is not None
    assert bubble.file["mime_type"] == "audio/ogg"
    data = street.world.files[bubble.file["id"]].data
    assert audio.is_opus(data)
    assert fake_speech.heard(data, "pt") == "Custa cinquenta e nove reais e noventa centavos à vista."
    assert street.house.rows("select kind, text from prosa_conversations_message where direction = 'out'") == [
        ("audio", PRICE)
    ]


@fetched
async def test_the_address_ends_and_cannot_be_made_up(street: Street, monkeypatch: pytest.MonkeyPatch):
    await street.ask(ASK)
    await street.house.until(lambda: street.heard and street.heard[0].status == "delivered")
    (path,) = {path for path in street.asked if path.startswith("/files/")}
    ours = int(path.removeprefix("/files/").partition(":")[0])
    customers = street.house.one("select id from prosa_conversations_message where direction = 'in'")
    made = [links.make(street.url, number) for number in (ours, customers, 2**62)]
    others = [
        f"{street.url}/files/{TimestampSigner().sign(str(ours))}",
        f"{street.url}{path[:-1]}",
        f"{street.url}/files/{ours}",
    ]
    async with aiohttp.ClientSession() as session:

        async def status(url: str, method: str = "GET") -> int:
            async with session.request(method, url) as answer:
                return answer.status

        assert [await status(url) for url in made] == [200, 404, 404]
        assert [await status(url) for url in others] == [404, 404, 404]
        assert [await status(made[0], method) for method in ("HEAD", "POST")] == [200, 403]
        monkeypatch.setattr(links, "LASTS_S", -1)
        assert await status(made[0]) == 404


@fetched
async def test_a_voice_note_twilio_cannot_fetch_goes_out_once_as_text(street: Street, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(links, "LASTS_S", -1)
    await street.ask(ASK)
    await street.house.until(lambda: len(street.heard) == 2 and street.heard[1].status == "delivered")
    await street.house.quiet()
    assert [(bubble.kind, bubble.text, bubble.status) for bubble in street.heard] == [
        ("media", "", "failed"),
        ("text", PRICE, "delivered"),
    ]


@fetched
async def test_a_voice_note_twilio_refuses_at_once_goes_out_once_as_text(
    street: Street, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(links, "make", lambda *_: "nowhere")
    await street.ask(ASK)
    await street.house.until(lambda: street.heard and street.heard[0].status == "delivered")
    await street.house.quiet()
    assert [(bubble.kind, bubble.text) for bubble in street.heard] == [("text", PRICE)]


@pytest.mark.parametrize("street", [""], indirect=True)
async def test_without_a_public_address_it_is_written(street: Street, voice: fake_speech.Control):
    await street.ask(ASK)
    await street.house.until(lambda: street.heard and street.heard[0].status == "delivered")
    assert [(bubble.kind, bubble.text) for bubble in street.heard] == [("text", PRICE)]
    assert not voice.requests
    assert street.house.one("select trace ->> 'voice' from prosa_conversations_turn") == "no_address"
