"""The whole server in one event loop: the real ASGI application, a real worker, and a mind that echoes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from django.core.cache import cache

from prosa import conf
from prosa.business.models import Business, Guideline
from prosa.channels.models import ApiKey, Inbox
from prosa.contracts import Reply, Turn, TurnResult
from prosa.conversations.rest import keys
from prosa.postgres import shared
from prosa.worker import Worker

BASE = "http://testserver.localhost"


def shop(slug: str) -> tuple[Inbox, str]:
    """A business with a REST inbox; the inbox and a key for it."""
    business = Business.objects.create(name=slug.title(), slug=slug)
    Guideline.objects.create(business=business, text="Be kind.")
    inbox = Inbox.objects.create(business=business, kind="rest", name="API", slug=slug)
    return inbox, ApiKey.issue(inbox, "tests")[1]


@pytest.fixture
def surroundings(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings a test may change, on a database that other connections see too."""
    monkeypatch.setenv("PROSA_API_DEADLINE", "60")
    conf.settings.cache_clear()
    keys.forget()
    cache.clear()
    yield monkeypatch
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
def inbox_and_key(surroundings: Any) -> tuple[Inbox, str]:
    return shop("aurora")


@dataclass
class World:
    """What a test may touch. ``think`` is the mind; ``turns`` what it was asked."""

    client: httpx.AsyncClient
    key: str
    think: Callable[[Turn], Awaitable[TurnResult]]
    turns: list[Turn] = field(default_factory=list)
    worker: Worker | None = None

    async def ask(self, text: str = "Hello", user: Any = "ana", key: str | None = None, **more: Any) -> httpx.Response:
        """One message."""
        headers = {"authorization": f"Bearer {key or self.key}"} | more.pop("headers", {})
        return await self.client.post("/api/v1/messages", json={"user_id": user, "text": text, **more}, headers=headers)

    async def look(self, message_id: int, key: str | None = None, wait: int = 0) -> httpx.Response:
        """Ask for an answer again."""
        headers = {"authorization": f"Bearer {key or self.key}", "prefer": f"wait={wait}"}
        return await self.client.get(f"/api/v1/messages/{message_id}", headers=headers)


async def echo(turn: Turn) -> TurnResult:
    """Says what was asked."""
    return TurnResult((Reply("echo: " + " | ".join(line.text for line in turn.question)),), model="echo")


@pytest.fixture
async def web(inbox_and_key: tuple[Inbox, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The web process alone: nobody answers."""
    from prosa.server import asgi

    door = asgi.Door(asgi.django_app)
    monkeypatch.setattr(asgi, "door", door)
    await door.startup()
    transport = httpx.ASGITransport(asgi.application, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=120) as client:
        yield World(client, inbox_and_key[1], echo)
    await door.shutdown()


@pytest.fixture
async def world(web: World) -> AsyncIterator[World]:
    """Web process and worker."""
    worker = Worker(shared.dsn(), 20)

    async def think(turn: Turn) -> TurnResult:
        web.turns.append(turn)
        return await web.think(turn)

    worker.turns._think = think
    running = asyncio.create_task(worker.run(chores=False))
    web.worker = worker
    yield web
    await worker.drain()
    await running
