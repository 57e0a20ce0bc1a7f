"""A row that changes, by whatever hand, is searched as it is now: a running worker reads exactly its document again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.utils import timezone

from prosa import queue
from prosa.business.models import Business
from prosa.http import Client
from prosa.knowledge import origins, sync, triggers
from prosa.knowledge.models import ApprovedAnswer, Change, Chunk, Document, Item, Source

pytestmark = pytest.mark.django_db(transaction=True)

WAIT_S = 120.0
"""Waiting ends when the promise is kept."""


async def until(kept: Callable[[], bool]) -> bool:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if await sync_to_async(kept)():
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.fixture
def business() -> Business:
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    return Business.objects.create(name="Shop", slug="shop")


@pytest.fixture
def frete(business: Business) -> ApprovedAnswer:
    return ApprovedAnswer.objects.create(
        business=business, question="Quanto custa o frete?", answer="O frete custa R$ 10."
    )


def answers(business: Business) -> Source:
    return Source.objects.create(business=business, kind="answers", name="Answers")


async def read(source: Source) -> Source:
    await sync_to_async(sync.request)(source.pk)
    async with Client() as client:
        assert await sync.run(source.pk, client)
    return await Source.objects.aget(pk=source.pk)


def texts() -> str:
    return " ".join(Chunk.objects.order_by("pk").values_list("text", flat=True))


def plain(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


async def test_plain_sql_is_searched_at_once_by_a_running_worker(
    business: Business, frete: ApprovedAnswer, monkeypatch: pytest.MonkeyPatch
):
    await sync_to_async(ApprovedAnswer.objects.create)(business=business, question="Troca?", answer="Em sete dias.")
    source = await read(await sync_to_async(answers)(business))
    assert (source.status, source.added) == ("done", 2)
    fetched: list[str] = []
    fetch = origins.Table.fetch

    async def noted(self: origins.Table, item: Item) -> origins.Raw | None:
        fetched.append(item.key)
        return await fetch(self, item)

    monkeypatch.setattr(origins.Table, "fetch", noted)
    worker = asyncio.create_task(queue.run_worker())
    try:
        table = "prosa_knowledge_approvedanswer"
        await sync_to_async(plain)(f"UPDATE {table} SET answer = 'O frete custa R$ 12.' WHERE id = %s", frete.pk)
        assert await until(lambda: "R$ 12" in texts())
        assert set(fetched) == {str(frete.pk)}
        await sync_to_async(plain)(
            f"INSERT INTO {table} (business_id, question, answer, active, updated_at) VALUES (%s, 'Pix?', 'Sim, Pix.', true, now())",
            business.pk,
        )
        assert await until(lambda: "Sim, Pix." in texts())
        await sync_to_async(plain)(f"DELETE FROM {table} WHERE id = %s", frete.pk)
        assert await until(lambda: "frete" not in texts())
        assert await until(lambda: not Change.objects.exists())
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
    assert await Item.objects.acount() == 2


def test_a_change_rolls_back_with_its_transaction(business: Business, frete: ApprovedAnswer):
    answers(business)
    with transaction.atomic():
        plain("UPDATE prosa_knowledge_approvedanswer SET answer = 'x'")
        assert Change.objects.count() == 1
        transaction.set_rollback(True)
    assert not Change.objects.exists()


def test_without_such_a_source_nothing_is_noted(business: Business, frete: ApprovedAnswer):
    plain("UPDATE prosa_knowledge_approvedanswer SET answer = 'x'")
    assert not Change.objects.exists()


async def test_changes_reach_their_own_business_and_the_clock_takes_what_was_not_announced(
    business: Business, frete: ApprovedAnswer
):
    other = await Business.objects.acreate(name="Other", slug="other")
    ours, theirs = await sync_to_async(answers)(business), await sync_to_async(answers)(other)
    await read(ours)
    await read(theirs)
    await sync_to_async(plain)("UPDATE prosa_knowledge_approvedanswer SET business_id = %s", other.pk)
    await sync_to_async(plain)("DELETE FROM procrastinate_jobs")
    await sync_to_async(triggers.look_after)()
    async with Client() as client:
        await sync.run(ours.pk, client)
        await sync.run(theirs.pk, client)
    assert [each.business_id async for each in Document.objects.all()] == [other.pk]


async def test_answers_are_documents_only_while_they_are_valid(business: Business, frete: ApprovedAnswer):
    today = timezone.localdate(timezone=ZoneInfo(business.timezone))
    for question, since, to in (
        ("past", None, today - timedelta(days=1)),
        ("future", today + timedelta(days=1), None),
        ("now", today, today),
    ):
        await ApprovedAnswer.objects.acreate(
            business=business, question=question, answer=question, valid_from=since, valid_to=to
        )
    await ApprovedAnswer.objects.acreate(business=business, question="off", answer="off", active=False)
    await read(await sync_to_async(answers)(business))
    assert {each.title async for each in Document.objects.all()} == {"now", "Quanto custa o frete?"}
