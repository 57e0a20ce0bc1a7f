"""A business with an inbox, a door and the hands to work it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvicorn
from django.db import connection
from psycopg.conninfo import make_conninfo
from tests.walks import payloads
from tests.walks.house import Carrier, House, connect_carrier

from prosa import conf, postgres
from prosa.business.models import Business, Guideline
from prosa.channels.models import Inbox
from prosa.simulator import fake_llm, fake_speech


@pytest.fixture
def dsn(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test database; commits are real, and emptied afterwards."""
    found = make_conninfo(conf.settings().database_url, dbname=connection.settings_dict["NAME"])
    monkeypatch.setattr(postgres, "dsn", lambda _settings: found)
    return found


@pytest.fixture
def business(dsn: str) -> Business:
    """A shop that waits only a moment for the end of a burst."""
    made = Business.objects.create(name="Loja", slug="loja", quiet_ms=30, max_quiet_ms=600)
    Guideline.objects.create(business=made, text="Seja gentil.")
    return made


@pytest.fixture
def inbox(business: Business) -> Inbox:
    """Its WhatsApp number."""
    credentials = {"app_secret": payloads.SECRET, "phone_number_id": payloads.NUMBER, "token": payloads.TOKEN}
    return Inbox.objects.create(
        business=business,
        kind="whatsapp_cloud",
        name="W",
        slug="loja",
        routing_key=payloads.NUMBER,
        credentials=credentials,
    )


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    """WhatsApp, as far as it sends."""
    made = Carrier()
    connect_carrier(monkeypatch, made)
    return made


@pytest.fixture
async def house(dsn: str, inbox: Inbox, carrier: Carrier) -> AsyncIterator[House]:
    """A house with one door open and nobody at work yet."""
    made = House(dsn, carrier)
    await made.enter()
    yield made
    await made.leave()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set variables and let the settings be read again."""

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        conf.settings.cache_clear()

    yield put
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
async def voice(environment: Callable[..., None]) -> AsyncIterator[fake_speech.Control]:
    """The doubles that hear, speak and think, and settings that point at them."""
    fake_speech.control.reset()
    fake_llm.control.reset()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(fake_speech.app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment(
            OPENAI_BASE_URL=f"{address}/v1",
            OPENAI_API_KEY="sk-test-0123456789",
            GOOGLE_GEMINI_BASE_URL=address,
            GEMINI_API_KEY="AIzaTest0123456789",
            PROSA_TRANSCRIPTION_MODEL="openai:stub",
            PROSA_SPEECH_MODEL="openai:stub",
            PROSA_MEDIA_WAIT="20",
        )
        yield fake_speech.control
        server.should_exit = True
        await serving
    fake_speech.control.reset()
    fake_llm.control.reset()
