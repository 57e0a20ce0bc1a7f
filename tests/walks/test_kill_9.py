"""Promises 1 to 3 with real processes and ``kill -9``: nothing lost, nothing twice, everything in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from tests.cli.installation import free_port
from tests.walks.payloads import said
from tests.walks.street import TOKENS, Street

pytestmark = [pytest.mark.walk, pytest.mark.timeout(600)]


def _judge(street: Street, asked: set[str]) -> None:
    """Each question is stored once, answered once, the answer taken by the provider once, in the order of the questions."""
    stored = [row[0] for row in street.rows("select text from prosa_conversations_message where direction = 'in'")]
    assert sorted(stored) == sorted(asked)
    trackers = [tracker for _, _, tracker in street.outside.sent]
    assert len(trackers) == len(set(trackers))
    said_to = defaultdict(list)
    for phone, text, _ in street.outside.sent:
        said_to[phone] += TOKENS.findall(text)
    told = [token for tokens in said_to.values() for token in tokens]
    assert sorted(told) == sorted(asked)
    # A send that was never heard of again lets those behind it pass after half a minute (promise 2).
    late = {
        token
        for row in street.rows("select text from prosa_conversations_message where resends > 0")
        for token in TOKENS.findall(row[0])
    }
    for tokens in said_to.values():
        kept = [int(token.split("x")[1]) for token in tokens if token not in late]
        assert kept == sorted(kept)
    assert street.rows("select count(*) from prosa_conversations_message where status = 'failed'") == [(0,)]


async def _customers(street: Street, people: int, questions: int) -> set[str]:
    asked: set[str] = set()

    async def customer(index: int) -> None:
        for number in range(questions):
            token = f"q{index}x{number}"
            await street.insist(said(token, token, f"55119000{index:05d}"))
            asked.add(token)
            await asyncio.sleep(0.3)

    await asyncio.gather(*[customer(index) for index in range(people)])
    return asked


async def _calm(street: Street) -> None:
    def settled() -> bool:
        street.hurry()
        return street.settled()

    await street.until(settled)


async def test_load_with_web_worker_and_postgres_killed(street_dir: Path):
    async with Street(street_dir, free_port()) as street:
        load = asyncio.create_task(_customers(street, 15, 20))
        for victim in ("worker1", "web", "postgres", "worker2", "worker1"):
            await asyncio.sleep(1.2)
            await (street.kill_postgres() if victim == "postgres" else street.kill(victim))
        asked = await load
        assert len(asked) == 300
        await _calm(street)
        await street.until(street.outside.webhooks.empty)
        _judge(street, asked)


async def test_a_worker_that_stands_still_and_one_that_is_asked_to_go(street_dir: Path):
    """SIGSTOP is no death: nobody waits for its conversations longer than its silence. SIGTERM drains."""
    async with Street(street_dir, free_port()) as street:
        load = asyncio.create_task(_customers(street, 10, 8))
        await asyncio.sleep(1)
        frozen = street.processes["worker1"]
        os.kill(frozen.pid, signal.SIGSTOP)
        asked = await load
        # Thirty seconds pass.
        street.do(
            "update prosa_conversations_worker set beat_at = beat_at - interval '31 s' where beat_at < now() - interval '0.5 s' and pid = "
            + str(frozen.pid)
        )
        await _calm(street)
        os.kill(frozen.pid, signal.SIGCONT)
        await asyncio.sleep(1)
        street.processes["worker2"].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(street.processes["worker2"].wait, 120) == 0
        asked2 = {"q0x100", "q1x100"}
        for token in sorted(asked2):
            await street.insist(said(token, token, f"55119000{int(token[1]):05d}"))
        await _calm(street)
        _judge(street, asked | asked2)
