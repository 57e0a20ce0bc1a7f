"""The desk with 50,000 conversations: how soon a message is seen, what opening, listing and an idle tab cost.

100 people of one shop each have an event stream open at a real ``prosa web`` while messages come in at 50 a second through the
door's own ``Receiver``, each in another conversation. A message counts as seen by a tab when its row has arrived there: that
is one sample, taken from the moment the commit is known. No worker runs, so every change is a message. Opening
and listing are whole requests over HTTP, one after the other, so what is given as server time includes the way. Their
queries are counted by the same views in this process. An idle stream is what the web process grows by (PSS), divided.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import psycopg

import _machine
from _installation import Installation, fresh, serving
from _report import Report, console, median, percentile

TARGETS = {
    "seen_p95_ms": ("<=", 300.0),
    "open_5000_ms": ("<=", 150.0),
    "open_queries_growth": ("<=", 0.0),
    "queue_ms": ("<=", 100.0),
    "kb_per_idle_stream": ("<=", 100.0),
}
PORT = 8707
CONVERSATIONS = 50_000
STATES = (("awaiting_agent", 1000), ("agent_active", 1000), ("bot", 8000), ("resolved", 40_000))
LONG, SHORT = 5000, 50
QUEUES = ("waiting", "mine", "team", "people", "bot", "snoozed", "resolved", "all")
ROW = re.compile(rb'data: \{"id": (\d+)')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50, help="messages per second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=30, help="of opening and listing")
    parser.add_argument("--only", default="pages,idle,seen")
    options = parser.parse_args()
    parts = options.only.split(",")
    report = Report("desk", TARGETS)
    with fresh() as here:
        os.environ.clear()
        os.environ.update(here.environment)
        from prosa.cli import boot

        boot.django()
        desk = _Desk(here, options.streams)
        with serving(here.prosa("web", "--port", str(PORT)), f"http://127.0.0.1:{PORT}/healthz") as web:
            if "pages" in parts:
                _pages(desk, report, options.rounds)
            if "idle" in parts:
                asyncio.run(_idle(desk, report, web))
            if "seen" in parts:
                asyncio.run(_seen(desk, report, web, options.rate, options.seconds))
    report.show(as_json=options.json)


class _Desk:
    """The shop, its people and their sessions. ``long`` and ``short`` are conversations of many and few messages."""

    def __init__(self, here: Installation, people: int) -> None:
        from django.contrib.auth.models import User
        from django.test import Client

        from prosa.business.models import Business
        from prosa.business.people import Membership

        self.here = here
        business = Business.objects.get()
        users = User.objects.bulk_create(
            User(username=f"agent{number}", first_name=f"Agent {number}") for number in range(people)
        )
        members = Membership.objects.bulk_create(Membership(business=business, user=user) for user in users)
        self.sessions = []
        for user in users:
            self.client = Client()
            self.client.force_login(user)
            self.sessions.append(self.client.cookies["prosa_session"].value)
        self.long, self.short = _seed(here, [member.pk for member in members])

    def cookie(self, number: int) -> dict[str, str]:
        return {"Cookie": f"prosa_session={self.sessions[number % len(self.sessions)]}"}


def _seed(here: Installation, members: Sequence[int]) -> tuple[int, int]:
    """50,000 conversations with two messages each; two of the waiting ones then grow."""
    states = ",".join(f"('{state}', {count})" for state, count in STATES)
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE TEMP TABLE rest AS SELECT id AS inbox_id, business_id FROM prosa_channels_inbox WHERE kind = 'rest' LIMIT 1;
            CREATE TEMP TABLE person AS
                SELECT row_number() OVER (ORDER BY md5(state || k::text)) AS n, state, nextval('prosa_contacts_contact_id_seq') AS id
                FROM (VALUES {states}) AS s(state, count), generate_series(1, s.count) k;
            INSERT INTO prosa_contacts_contact (id, business_id, name) SELECT id, business_id, 'Cliente ' || n FROM person, rest;
            INSERT INTO prosa_contacts_identity (business_id, contact_id, key) SELECT business_id, id, 'user:' || n FROM person, rest;
            INSERT INTO prosa_conversations_conversation (business_id, inbox_id, contact_id, state, state_at, created_at, last_inbound_at, assignee_id)
            SELECT business_id, inbox_id, id, state, now() - n * interval '1 minute', now() - n * interval '2 minutes', now() - n * interval '1 minute',
                   CASE state WHEN 'agent_active' THEN (ARRAY[{",".join(map(str, members))}])[1 + n %% {len(members)}] END
            FROM person, rest ORDER BY n;
            INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status, created_at, sent_at)
            SELECT c.id, c.business_id, c.inbox_id, CASE k WHEN 0 THEN 'in' ELSE 'out' END, CASE k WHEN 0 THEN 'customer' ELSE 'bot' END,
                   CASE k WHEN 0 THEN 'Oi! Vocês entregam no sábado à tarde?' ELSE 'Bom dia! Entregamos sim, até as 18h.' END,
                   CASE k WHEN 0 THEN 'received' ELSE 'delivered' END, c.last_inbound_at, c.last_inbound_at
            FROM generate_series(0, 1) k, prosa_conversations_conversation c ORDER BY k, c.id;
            UPDATE prosa_conversations_conversation c SET last_inbound_id = m.id FROM prosa_conversations_message m WHERE m.conversation_id = c.id AND m.direction = 'in';
            """.replace("%%", "%")
        )
        rows = connection.execute(
            "SELECT id FROM prosa_conversations_conversation WHERE state = 'awaiting_agent' ORDER BY id LIMIT 2"
        ).fetchall()
        (long,), (short,) = rows
        for conversation, messages in ((long, LONG), (short, SHORT)):
            # An image every tenth, an event every twentieth, as people talk.
            connection.execute(
                """
                WITH said AS (
                    INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, kind, text, status, created_at, provider_id)
                    SELECT c.id, c.business_id, c.inbox_id, CASE k %% 2 WHEN 0 THEN 'in' ELSE 'out' END, CASE k %% 2 WHEN 0 THEN 'customer' ELSE 'bot' END,
                           CASE k %% 10 WHEN 0 THEN 'image' ELSE 'text' END, 'linha ' || k || ' de uma conversa longa, com *destaque* e https://ex.br/a',
                           CASE k %% 2 WHEN 0 THEN 'received' ELSE 'read' END, now() - (%(messages)s - k) * interval '1 minute', 'b' || c.id || '-' || k
                    FROM prosa_conversations_conversation c, generate_series(1, %(messages)s::int) k WHERE c.id = %(id)s ORDER BY k
                    RETURNING id, conversation_id, business_id, kind, created_at
                ), seen AS (
                    INSERT INTO prosa_conversations_attachment (message_id, kind, mime_type, status) SELECT id, 'image', 'image/png', 'stored' FROM said WHERE kind = 'image'
                )
                INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, created_at)
                SELECT conversation_id, business_id, 'taken', 'bot', created_at FROM said WHERE id %% 20 = 0
                """,
                {"id": conversation, "messages": messages},
            )
        connection.execute("VACUUM ANALYZE")
    return int(long), int(short)


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────


def _pages(desk: _Desk, report: Report, rounds: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", headers=desk.cookie(0) | {"HX-Request": "true"}) as browser:

        def took(path: str) -> list[float]:
            found = []
            for _ in range(rounds + 2):
                begun = time.perf_counter()
                answer = browser.get(path)
                found.append((time.perf_counter() - begun) * 1000)
                if answer.status_code != 200:
                    raise SystemExit(f"{path} answers {answer.status_code}.")
            return found[2:]  # the first ones read templates and pages of the disk

        for name, conversation in (("5000", desk.long), ("50", desk.short)):
            opened = took(f"/agent/c/{conversation}")
            report.figures |= {f"open_{name}_ms": median(opened), f"open_{name}_p95_ms": percentile(opened, 0.95)}
        report.figures["since_5000_ms"] = median(
            took(f"/agent/c/{desk.long}/since?after=999999999&at={datetime.now(UTC).isoformat().replace('+', '%2B')}")
        )
        slowest: list[float] = []
        for queue in QUEUES:
            listed = took(f"/agent/list?queue={queue}")
            console.print(f"{queue:10} {median(listed):6.1f} ms, p95 {percentile(listed, 0.95):.1f} ms")
            if not slowest or median(listed) > median(slowest):
                slowest = listed
        report.figures |= {"queue_ms": median(slowest), "queue_p95_ms": percentile(slowest, 0.95)}
        report.figures["dashboard_ms"] = median(took("/agent/dashboard?queue=all"))
    queries = {name: _queries(desk, pk) for name, pk in (("5000", desk.long), ("50", desk.short))}
    report.figures |= {"open_queries": queries["5000"], "open_queries_growth": queries["5000"] - queries["50"]}


def _queries(desk: _Desk, conversation: int) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(2):
        with CaptureQueriesContext(connection) as counted:
            answer = desk.client.get(f"/agent/c/{conversation}", headers={"HX-Request": "true", "Host": "127.0.0.1"})
            if answer.status_code != 200:
                raise SystemExit(f"The conversation answers {answer.status_code}.")
    return len(counted)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────


class _Tabs:
    """Open event streams. ``seen`` gets (conversation, moment) of each row that arrives at any of them."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._readers: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.seen: list[tuple[int, float]] = []
        self.refreshes = 0
        self.open = 0

    async def add(self, count: int) -> None:
        wanted = self.open + count
        for number in range(self.open, wanted):
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=2**22)
            cookie = self._desk.cookie(number)["Cookie"]
            writer.write(
                f"GET /agent/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nAccept-Language: pt-BR\r\n\r\n".encode()
            )
            self._writers.append(writer)
            self._readers.append(asyncio.create_task(self._read(reader)))
        async with asyncio.timeout(60):
            while self.open < wanted:
                await asyncio.sleep(0.01)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        rest, begun = b"", False
        while chunk := await reader.read(2**20):
            now = time.perf_counter()
            *events, rest = (rest + chunk).split(b"\n\n")
            for event in events:
                if found := ROW.search(event):
                    self.seen.append((int(found[1]), now))
                elif b"event: refresh" in event:
                    self.refreshes += begun
                    if not begun:
                        begun = True
                        self.open += 1

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        for task in self._readers:
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await task


async def _idle(desk: _Desk, report: Report, web: int) -> None:
    tabs = _Tabs(desk)
    try:
        await tabs.add(20)  # what the first ones load is not theirs alone
        await asyncio.sleep(3)
        before, connections = _machine.pss_mb(_machine.tree(web)), _connections(desk.here)
        await tabs.add(200)
        await asyncio.sleep(3)
        grown = _machine.pss_mb(_machine.tree(web)) - before
        report.figures |= {
            "kb_per_idle_stream": grown * 1024 / 200,
            "connections_per_100_streams": (_connections(desk.here) - connections) / 2,
            "streams_idle": tabs.open,
        }
    finally:
        await tabs.close()


def _connections(here: Installation) -> int:
    with psycopg.connect(here.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
    return row[0] if row else 0


async def _seen(desk: _Desk, report: Report, web: int, rate: float, seconds: float) -> None:
    from prosa.channels.inboxes import Inboxes
    from prosa.contracts import Identity, InboundMessage
    from prosa.conversations.inbound import Arrival
    from prosa.conversations.receiver import Receiver
    from prosa.postgres.connections import connect

    known = Inboxes()
    async with await connect(desk.here.dsn) as connection:
        await known.load(connection)
        rows = await (
            await connection.execute(
                "SELECT i.key, c.id FROM prosa_conversations_conversation c JOIN prosa_contacts_identity i USING (contact_id)"
                " WHERE c.state <> 'resolved' ORDER BY md5(c.id::text) LIMIT %s",
                [int(rate * seconds)],
            )
        ).fetchall()
    inbox = known.of_kind("rest")[0]
    receiver = Receiver(desk.here.dsn)
    await receiver.start()
    tabs = _Tabs(desk)
    committed: dict[int, float] = {}

    async def write(number: int, key: str, conversation: int) -> None:
        text = "Oi! Vocês entregam no sábado à tarde no bairro Boa Vista?"
        identity = Identity("user", key.removeprefix("user:"))
        message = InboundMessage(f"bench-{number}", "", (identity,), "text", text, datetime.now(UTC))
        await receiver.accept(Arrival("rest", b"{}", "application/json", inbox, messages=[(inbox, message)]))
        committed[conversation] = time.perf_counter()

    try:
        await tabs.add(len(desk.sessions))
        await asyncio.sleep(1)
        cpu, pg = _machine.cpu_s(web), _machine.cpu_s(desk.here.postmaster)
        begun = due = time.perf_counter()
        writing = []
        for number, (key, conversation) in enumerate(rows):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writing.append(asyncio.create_task(write(number, key, conversation)))
            due += 1 / rate
        await asyncio.gather(*writing)
        took = time.perf_counter() - begun
        await asyncio.sleep(3)
        waited = [(moment - committed[pk]) * 1000 for pk, moment in tabs.seen if pk in committed]
        expected = len(rows) * tabs.open
        if len(waited) < expected * 0.99:
            raise SystemExit(f"{expected} rows should have arrived, {len(waited)} did ({tabs.refreshes} refreshes).")
        report.figures |= {
            "seen_p50_ms": statistics.median(waited),
            "seen_p95_ms": percentile(waited, 0.95),
            "seen_p99_ms": percentile(waited, 0.99),
            "rows_seen": len(waited),
            "refreshes": tabs.refreshes,
            "messages_per_s": len(rows) / took,
            "web_cpu_share": (_machine.cpu_s(web) - cpu) / took,
            "pg_cpu_share": (_machine.cpu_s(desk.here.postmaster) - pg) / took,
        }
    finally:
        await tabs.close()
        await receiver.stop()


if __name__ == "__main__":
    main()
