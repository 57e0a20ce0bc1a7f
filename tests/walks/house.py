"""The whole walk in one event loop: the real door, real workers and PostgreSQL, a model and a provider that do as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import psycopg
from django.db import connection as django_connection
from tests.walks import payloads

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import InboxConfig, Media, OutboundMessage, Reply, Sent, Turn, TurnResult
from prosa.conversations.door import Door
from prosa.worker import Worker

PATIENCE_S = 90.0
"""How long a promise may take on a machine that does other things too; waiting ends when it is kept."""
LEAVE_S = 10.0


class Carrier:
    """The provider: remembers what was sent, and goes wrong when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        """(recipient, text, tracker) of everything it accepted."""
        self.next: list[Callable[[], Awaitable[None]]] = []
        """Called before the next sends are accepted."""
        self.after: list[Callable[[], Awaitable[None]]] = []
        """Called after the next sends were accepted."""
        self.files: dict[str, Callable[[], Awaitable[Media]]] = {}

    async def send(self, _inbox: InboxConfig, message: OutboundMessage) -> Sent:
        if self.next:
            await self.next.pop(0)()
        to = next(one.value for one in message.to if one.kind == "phone")
        self.sent.append((to, message.text, message.tracker))
        if self.after:
            await self.after.pop(0)()
        return Sent(f"wamid.ours{len(self.sent)}-{message.tracker}")

    def texts(self, phone: str = payloads.ANA) -> list[str]:
        return [text for to, text, _ in self.sent if to.endswith(phone[-8:])]


class Mind:
    """The model: says back what it was asked, or what it was told."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.answer: Callable[[Turn], Awaitable[TurnResult]] = self.echo

    async def think(self, turn: Turn) -> TurnResult:
        self.turns.append(turn)
        return await self.answer(turn)

    async def echo(self, turn: Turn) -> TurnResult:
        return says("eco: " + " | ".join(line.text for line in turn.question))

    def asked(self) -> list[list[str]]:
        return [[line.text for line in turn.question] for turn in self.turns]


def says(*texts: str, **more: Any) -> TurnResult:
    """A result of the stub model."""
    return TurnResult(tuple(Reply(text) for text in texts), model="stub", **more)


class Gate:
    """Something waits here until the test lets it through, or the house is left."""

    made: ClassVar[list[Gate]] = []

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.made.append(self)

    async def wait(self) -> None:
        self.reached.set()
        await self.open.wait()


class House:
    """See the module. Make with the fixture ``house``; ``enter`` and ``work`` start its parts."""

    def __init__(self, dsn: str, carrier: Carrier) -> None:
        self.dsn = dsn
        self.carrier = carrier
        self.mind = Mind()
        self.doors: list[Door] = []
        self.workers: list[tuple[Worker, asyncio.Task[None]]] = []
        # It waits in the event loop's own thread: a lock that somebody in this loop holds would be waited for in vain.
        self._reader = psycopg.connect(dsn, autocommit=True, options="-c lock_timeout=20s")

    # ── parts ──

    async def enter(self) -> Door:
        door = Door(_nobody, self.dsn)
        await door.startup()
        self.doors.append(door)
        return door

    async def work(self, concurrency: int = 20) -> Worker:
        worker = Worker(self.dsn, concurrency)
        worker.turns._think = self.mind.think
        task = asyncio.create_task(worker.run(chores=False))
        self.workers.append((worker, task))
        await self.until(lambda: worker.dispatcher._session is not None)
        return worker

    async def kill(self, worker: Worker) -> None:
        """As far as the database can see: every connection is gone at once and nothing is said."""
        task = next(task for each, task in self.workers if each is worker)
        self.workers = [(each, task) for each, task in self.workers if each is not worker]
        worker.dispatcher._lost()  # what ran does not reach its end
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def leave(self) -> None:
        """Also when the test failed half-way: what still waits is let go, and what does not end in time is left behind."""
        try:
            for worker, _ in self.workers:
                for running in worker.dispatcher._running():
                    running.task.cancel()
            for gate in Gate.made:
                gate.open.set()
            Gate.made.clear()
            for worker, task in self.workers:
                if not task.done():
                    await worker.dispatcher.drain(2)
                    await asyncio.wait({task}, timeout=LEAVE_S)
                task.cancel()
                await asyncio.wait({task}, timeout=LEAVE_S)
            for door in self.doors:
                await door.shutdown()
        finally:
            self._reader.close()

    # ── the outside ──

    async def post(
        self,
        body: bytes,
        *,
        path: str = "/webhook/whatsapp_cloud/loja/",
        door: int = 0,
        signed: str | None = None,
        **more: Any,
    ) -> int:
        return (await self.ask(body, path=path, door=door, signed=signed, **more))[0]

    async def ask(
        self, body: bytes, *, path: str = "/webhook/whatsapp_cloud/loja/", door: int = 0, signed: str | None = None, method: str = "POST",
        headers: Sequence[tuple[bytes, bytes]] = (), chunks: Sequence[bytes] | None = None,
    ) -> tuple[int, bytes]:  # fmt: skip
        parts = list(chunks if chunks is not None else [body])
        told: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0) if parts else b"", "more_body": bool(parts)}

        async def send(message: Any) -> None:
            told.append(message)

        signed = payloads.signature(body) if signed is None else signed
        given = [(b"content-type", b"application/json"), (b"x-hub-signature-256", signed.encode("latin-1")), *headers]
        await self.doors[door](
            {"type": "http", "method": method, "path": path, "query_string": b"", "headers": given}, receive, send
        )
        return told[0]["status"], told[1]["body"]

    # ── looking ──

    def rows(self, query: str, *parameters: Any) -> list[Any]:
        return self._reader.execute(query, parameters or None).fetchall()

    def one(self, query: str, *parameters: Any) -> Any:
        return self.rows(query, *parameters)[0][0]

    def do(self, statement: str, *parameters: Any) -> None:
        self._reader.execute(statement, parameters or None)

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Wait for something to become true; look often, give up late."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := condition()):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"It never came true.\n{self.describe()}")
            await asyncio.sleep(0.01)
        return found

    def hurry(self, lane: int) -> None:
        """What waits in a lane is due now."""
        self.do("update prosa_conversations_dispatch set run_at = now() where lane = %s and run_at is not null", lane)
        self.do("select pg_notify('prosa_dispatch', '')")

    async def quiet(self) -> None:
        """Until no lane has or does work (work that waits for a later time apart)."""
        await self.until(lambda: self.idle)

    @property
    def idle(self) -> bool:
        busy = "select count(*) from prosa_conversations_dispatch where owner is not null or run_at < now() + interval '1 s'"
        return self.one(busy) == 0

    def describe(self) -> str:
        """The state of everything, for the message of a failed test."""
        return json.dumps(
            {
                name: self.rows(f"select to_jsonb(t) - 'body' - 'trace' from {table} t order by t.id desc limit 8")
                for name, table in {
                    "conversations": "prosa_conversations_conversation", "messages": "prosa_conversations_message", "turns": "prosa_conversations_turn",
                    "dispatch": "prosa_conversations_dispatch", "events": "prosa_conversations_webhookevent",
                }.items()
            },
            default=str,
        )[:6000]  # fmt: skip

    def state(self) -> str:
        return self.one("select state from prosa_conversations_conversation order by id limit 1")

    def conversation(self) -> int:
        return self.one("select id from prosa_conversations_conversation order by id limit 1")

    def outcomes(self) -> list[str]:
        return [row[0] for row in self.rows("select outcome from prosa_conversations_turn order by id")]

    def pending(self) -> int:
        return self.one("select count(*) from prosa_conversations_message where pending")

    def webhooks(self) -> list[str]:
        return [row[0] for row in self.rows("select outcome from prosa_conversations_webhookevent order by id")]

    def sends(self) -> list[tuple[str, str]]:
        return self.rows(
            "select text, status from prosa_conversations_message where direction = 'out' and author <> 'owner_phone' order by id"
        )

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [
            row[0] for row in self.rows("select data from prosa_conversations_event where kind = %s order by id", kind)
        ]


async def _nobody(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def elsewhere(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call something sync of Django's from an async test."""

    def call() -> Any:
        try:
            return work(*arguments)
        finally:
            django_connection.close()

    return await asyncio.to_thread(call)


def connect_carrier(monkeypatch: Any, carrier: Carrier) -> None:
    """The real provider, with its network end in the test's hands."""

    async def send(_self: Any, _client: Any, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        return await carrier.send(inbox, message)

    async def show_typing(*_: Any) -> None:
        return None

    async def fetch(_self: Any, _client: Any, _inbox: InboxConfig, attachment: Any) -> Media:
        return await carrier.files[attachment.ref]()

    monkeypatch.setattr(WhatsAppCloud, "send", send)
    monkeypatch.setattr(WhatsAppCloud, "show_typing", show_typing)
    monkeypatch.setattr(WhatsAppCloud, "fetch", fetch)
