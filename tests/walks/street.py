"""The whole walk with real processes: ``prosa web``, ``prosa worker`` and PostgreSQL, each of which a test may kill.

The outside, Graph and an OpenAI-compatible model, is one small server in the test's own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import aiohttp
import psycopg
from aiohttp import web
from tests.walks import payloads

from prosa.postgres.embedded import Cluster

PATIENCE_S = 200.0
"""How long a promise may take on a machine that does other things too; waiting ends when it is kept."""
TOKENS = re.compile(r"\bq\d+x\d+\b")


class Outside:
    """Takes messages as Graph does, sends receipts back, and thinks by repeating the question's tokens."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        """(recipient's digits, text, tracker) of what was accepted."""
        self.webhooks: asyncio.Queue[bytes] = asyncio.Queue()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._think)
        app.router.add_post("/{version}/{number}/messages", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _think(self, request: web.Request) -> web.Response:
        asked = await request.json()
        question: list[str] = []
        for message in reversed(asked["messages"]):
            if message["role"] == "assistant":
                break
            if message["role"] == "user":
                question = TOKENS.findall(str(message["content"])) + question
        await asyncio.sleep(0.1)
        answer = {"role": "assistant", "content": "Sobre " + " ".join(question)}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "message": answer, "finish_reason": "stop"}
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        )

    async def _take(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked.get("status") == "read":
            return web.json_response({"success": True})
        tracker, to = asked["biz_opaque_callback_data"], asked["to"].removeprefix("+")
        self.sent.append((to, asked["text"]["body"], tracker))
        theirs = f"wamid.theirs{len(self.sent)}"
        self.webhooks.put_nowait(payloads.receipt("delivered", theirs, tracker, phone=to))
        await asyncio.sleep(0.02)
        return web.json_response(
            {"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}], "messages": [{"id": theirs}]}
        )


class Street:
    """An installation of several processes. ``port`` is the web process's."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.cluster = Cluster(folder / "postgres", {"fsync": "off", "full_page_writes": "off"})
        self.outside = Outside()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._postman: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.outside.open()
        await asyncio.to_thread(self.cluster.start)
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "prosa", "setup"],
            cwd=self.folder,
            env=self._environment(),
            check=True,
            capture_output=True,
            timeout=250,
        )
        self.do("update prosa_business_business set quiet_ms = 50, max_quiet_ms = 500")
        for name in ("web", "worker1", "worker2"):
            self.start(name)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30))
        await self.until(self.ready)
        self._postman = asyncio.create_task(self._deliver())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._postman is not None:
            self._postman.cancel()
            await asyncio.gather(self._postman, return_exceptions=True)
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            await asyncio.to_thread(process.wait)
        if self._session is not None:
            await self._session.close()
        await self.outside.close()
        await asyncio.to_thread(self.cluster.stop)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROSA_", "DATABASE_", "DJANGO_", "WHATSAPP_", "OPENAI_"))
        }
        return {
            **kept,
            "DATABASE_URL": self.cluster.dsn, "PROSA_SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests", "PROSA_DATA_DIR": str(self.folder / "var"),
            "PROSA_PORT": str(self.port), "WHATSAPP_TOKEN": payloads.TOKEN, "WHATSAPP_PHONE_NUMBER_ID": payloads.NUMBER, "WHATSAPP_APP_SECRET": payloads.SECRET,
            "WHATSAPP_GRAPH_URL": self.outside.url, "PROSA_MODEL": "openai-chat:m", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{self.outside.url}/v1",
        }  # fmt: skip

    # ── processes ──

    def start(self, name: str) -> None:
        command = "web" if name == "web" else "worker"
        with (self.folder / f"{name}.txt").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "prosa", command],
                cwd=self.folder,
                env=self._environment(),
                stdout=out,
                stderr=out,
            )

    async def kill(self, name: str) -> None:
        """``kill -9``, and start it again as a supervisor would."""
        self.processes[name].kill()
        await asyncio.to_thread(self.processes[name].wait)
        self.start(name)

    async def kill_postgres(self) -> None:
        pid = int((self.cluster.directory / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(Exception):
                    await asyncio.to_thread(self.cluster.start)
                    return
                await asyncio.sleep(0.1)

    # ── customers ──

    async def ready(self) -> bool:
        assert self._session is not None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return answer.status == 200
        return False

    async def post(self, body: bytes) -> int:
        """One attempt; 0 when there was no answer."""
        assert self._session is not None
        headers = {"content-type": "application/json", "x-hub-signature-256": payloads.signature(body)}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(
                f"http://127.0.0.1:{self.port}/webhook/whatsapp_cloud/main/", data=body, headers=headers
            ) as answer:
                return answer.status
        return 0

    async def insist(self, body: bytes) -> None:
        """As Meta does: until it is taken."""
        while (status := await self.post(body)) != 200:
            assert status in (0, 503), status
            await asyncio.sleep(0.1)

    async def _deliver(self) -> None:
        while True:
            await self.insist(await self.outside.webhooks.get())

    # ── looking ──

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.cluster.dsn, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def do(self, statement: str) -> None:
        with psycopg.connect(self.cluster.dsn, autocommit=True) as connection:
            connection.execute(statement)

    async def until(self, condition: Any, seconds: float = PATIENCE_S) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
            if asyncio.get_running_loop().time() > deadline:
                logs = {path.name: path.read_text()[-3000:] for path in self.folder.glob("*.txt")}
                codes = {name: process.poll() for name, process in self.processes.items()}
                raise AssertionError(f"It never came true. Exit codes: {codes}\n{json.dumps(logs, indent=1)}")
            await asyncio.sleep(0.1)

    def settled(self) -> bool:
        """Every question is answered and the fate of every answer known."""
        waiting = self.rows(
            "select count(*) from prosa_conversations_message where pending or status in ('queued', 'sending', 'unconfirmed')"
        )
        return waiting == [(0,)]

    def hurry(self) -> None:
        """Two minutes pass for those sends that nobody knows the fate of."""
        self.do(
            "update prosa_conversations_message set status_at = now() - interval '121 s' where status = 'unconfirmed' and status_at < now() - interval '3 s'"
        )
        self.do(
            "update prosa_conversations_dispatch set run_at = now() where lane = 2 and run_at > now() + interval '1 s'"
        )
