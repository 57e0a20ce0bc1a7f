"""What the simulator's tests share: a world on a real port, and a door that writes down what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from prosa.simulator import app
from prosa.simulator.wire import Request, Response, serve
from prosa.simulator.world import Line, World


@contextlib.asynccontextmanager
async def listening(application: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port of this machine; yields its base URL."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(64)
    port = taken.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
        taken.close()


@dataclass
class Door:
    """Takes webhooks; ``answers`` are the statuses it gives, in turn, then 200."""

    heard: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def note(request: Request) -> Response:
            self.heard.append(request)
            return Response(self.answers.pop(0) if self.answers else 200)

        await serve(scope, receive, send, note)


@dataclass
class Stage:
    """A world with one WhatsApp and one Twilio number, its doubles on a port, and a door that listens."""

    world: World
    door: Door
    url: str
    whatsapp: Line
    twilio: Line

    @property
    def graph(self) -> str:
        return f"{self.url}/simulator/graph/v25.0"


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    world, door = World(pace=0), Door()
    async with listening(app.make(world)) as url, listening(door) as door_url:
        whatsapp = world.add_line(
            Line(
                "whatsapp_cloud", "106500000000001", "demo", number="5511900000001", account="102200000000001", token="EAASIM-token",
                secret="app-secret", webhook_url=f"{door_url}/webhook/whatsapp_cloud/demo/", api_url=f"{url}/simulator/graph",
            )
        )  # fmt: skip
        twilio = world.add_line(
            Line(
                "twilio", "5511900000002", "demo", number="5511900000002", account="AC" + "0" * 31 + "1", token="auth-token",
                secret="auth-token", webhook_url=f"{door_url}/webhook/twilio/demo/", signed_url="https://bot.example/webhook/twilio/demo/",
                api_url=f"{url}/simulator/twilio",
            )
        )  # fmt: skip
        yield Stage(world, door, url, whatsapp, twilio)
        await world.settle()


@pytest.fixture
def listen() -> Any:
    """``async with listen(application) as url``."""
    return listening
