"""Chores: they commit with their caller, run once when asked once, and outlive their worker."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from prosa import queue
from prosa.conversations.models import WebhookEvent
from prosa.conversations.retention import forget_webhook_events

done: list[str] = []


WAIT_S = 120.0
"""How long a promise may take on a machine that does other things too; waiting ends when it is kept."""


@pytest.fixture(autouse=True)
def nothing_waits(request: pytest.FixtureRequest) -> None:
    """Chores other tests left behind (a flush spares Procrastinate's tables) would be done by our worker first."""
    if "transactional_db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")
        with connection.cursor() as cursor:
            cursor.execute("delete from procrastinate_jobs")


async def until(kept: Callable[[], bool]) -> bool:
    """True once ``kept()`` is, False when :data:`WAIT_S` went by."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if await sync_to_async(kept)():
            return True
        await asyncio.sleep(0.02)
    return False


@queue.chore
def remember(word: str) -> None:
    done.append(word)


def waiting(task: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from procrastinate_jobs where task_name = %s and status = 'todo'", [task])
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_a_chore_rolls_back_with_its_caller():
    with transaction.atomic():
        remember.defer(word="never")
        transaction.set_rollback(True)
    assert waiting(remember.name) == 0


@pytest.mark.django_db
def test_defer_once_leaves_the_callers_transaction_usable():
    with transaction.atomic():
        assert queue.defer_once(remember, "word:1", word="one") is True
        assert queue.defer_once(remember, "word:1", word="one") is False
        assert queue.defer_once(remember, "word:2", word="two") is True
        assert waiting(remember.name) == 2


def test_a_chore_can_simply_be_called():
    word = uuid.uuid4().hex
    remember(word)
    assert done[-1] == word


@pytest.mark.django_db(transaction=True)
async def test_the_worker_does_what_was_deferred_and_stops_when_cancelled():
    word = uuid.uuid4().hex
    await remember.defer_async(word=word)
    worker = asyncio.create_task(queue.run_worker())
    await until(lambda: word in done)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert done.count(word) == 1


@pytest.mark.django_db(transaction=True)
async def test_periodic_chores_outlive_a_lost_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "REST_S", 0.01)

    def sever():
        with contextlib.suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")
        return connection.connection

    def recovered():
        return connection.connection is not broken and connection.connection is not None and connection.is_usable()

    broken = await sync_to_async(sever)()
    worker = asyncio.create_task(queue.run_worker())
    found = await until(recovered)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert found


@pytest.mark.django_db(transaction=True)
async def test_a_dead_workers_chore_is_done_by_another():
    word = uuid.uuid4().hex
    job = await remember.defer_async(word=word)

    def orphan():
        with connection.cursor() as cursor:
            cursor.execute(
                "insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 hour') returning id"
            )
            cursor.execute(
                "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s",
                [cursor.fetchone()[0], job],
            )

    await sync_to_async(orphan)()
    await queue.recover_stalled()
    worker = asyncio.create_task(queue.run_worker())
    await until(lambda: word in done)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert done.count(word) == 1


@pytest.mark.django_db
def test_old_webhooks_are_forgotten_and_young_ones_kept():
    old = WebhookEvent.objects.create(kind="rest", body=b"{}", received_at=timezone.now() - timedelta(days=31))
    young = WebhookEvent.objects.create(kind="rest", body=b"{}", received_at=timezone.now() - timedelta(days=29))
    forget_webhook_events()
    assert set(WebhookEvent.objects.values_list("id", flat=True)) == {young.id}
    assert old.id != young.id
