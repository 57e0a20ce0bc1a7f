"""The description says what the server does: schemathesis reads it, makes requests of it, and judges the answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from prosa import conf
from prosa.channels.models import Inbox
from prosa.conversations.models import Message


@pytest.fixture
def server(inbox_and_key: tuple[Inbox, str], surroundings: pytest.MonkeyPatch) -> Iterator[str]:
    """The web process on a port of its own, without a worker: it answers 202 at once. Its address."""
    from prosa.server import asgi

    surroundings.setenv("PROSA_API_DEADLINE", "0")
    surroundings.setenv("PROSA_API_RATE", "0")
    conf.settings.cache_clear()
    surroundings.setattr(asgi, "door", asgi.Door(asgi.django_app))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        served = uvicorn.Server(uvicorn.Config(asgi.application, ws="none", log_config=None, loop="asyncio"))
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]})
        thread.start()
        while not served.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        served.should_exit = True
        thread.join()


def test_the_description_is_there(server: str):
    told = httpx.get(f"{server}/api/v1/openapi.json").json()
    assert set(told["paths"]) >= {
        "/api/v1/messages",
        "/api/v1/messages/{message_id}",
        "/api/v1/turns/{turn_id}",
        "/api/v1/typing",
    }
    about = "/api/v1/conversations/{conversation_id}"
    assert set(told["paths"]) >= {f"{about}/suggestion", f"{about}/summary", f"{about}/rewrite"}
    post = told["paths"]["/api/v1/messages"]["post"]
    assert set(post["responses"]) >= {"200", "202", "401", "409", "413", "415", "422", "429", "503"}
    assert "application/problem+json" in post["responses"]["422"]["content"]
    assert {"bearer", "key"} <= set(told["components"]["securitySchemes"])


def test_the_server_keeps_to_its_description(server: str, inbox_and_key: tuple[Inbox, str], tmp_path: Path):
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{server}/api/v1/openapi.json", "--header", f"Authorization: Bearer {inbox_and_key[1]}",
            "--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1", "--no-color", "--request-timeout", "60",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert Message.objects.exists()
