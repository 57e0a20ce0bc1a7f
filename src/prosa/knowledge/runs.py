"""What a run of a synchronisation reads and writes in the database: each function a transaction, all of them in one thread.

The thread's connection holds the lock by which one process at a time works on a source; the lock ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, Self, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from prosa.knowledge import filling, index
from prosa.knowledge.models import Document, Item, Source

LOCK = 0x50524B53
"""``classid`` of the session advisory lock that the process at work on a source holds ("PRKS")."""
BATCH = 100
"""Items committed together at most."""

Status = Source.Status
P = ParamSpec("P")
T = TypeVar("T")
Again = Callable[[int], None]
"""Has a source synchronised once more, as part of the transaction."""


class Books:
    """Calls functions that use Django's connection, in the thread that has it. Use as ``async with Books()``."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "prosa knowledge")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self(let_go)
        finally:
            self._thread.shutdown(wait=False)

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """What the function returns."""
        return asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(function, *args, **kwargs))


@dataclass(slots=True)
class Outcome:
    """What became of one item. ``found`` is what there is to store; without it nothing changed, or it failed, or is gone.

    ``asked`` is the item's ``done`` before; ``same``: nothing of the item is to be written but that it was looked at.
    """

    item: Item
    asked: int
    same: bool = False
    found: index.Entry | None = None
    gone: bool = False


def lock(source_id: int) -> bool:
    """Take the lock of a source; False when another process has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", [LOCK, source_id & 0x7FFFFFFF])
        return bool(cursor.fetchone()[0])


def busy(source_id: int) -> bool:
    """Whether a living process is at work on a source."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted)",
            [LOCK, source_id & 0x7FFFFFFF],
        )
        return bool(cursor.fetchone()[0])


def let_go() -> None:
    """Give back every lock, and the connection."""
    # Said, not left to the server's noticing that we are gone: whoever asks next finds the source free.
    with contextlib.suppress(OperationalError, InterfaceError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
    connections.close_all()


def begin(source_id: int) -> Source | None:
    """The source with a run begun or taken up; with single items to read; or None when there is nothing to do."""
    with transaction.atomic():
        source = Source.objects.select_for_update().filter(pk=source_id).first()
        if source is None:
            return None
        if source.status == Status.WAITING:
            source.run += 1
            source.status, source.again, source.error = Status.RUNNING, False, ""
            source.began_at, source.ended_at = timezone.now(), None
            source.total = source.done = source.added = source.changed = 0
            source.unchanged = source.forgotten = source.failed = 0
            source.save()
        elif source.status != Status.RUNNING and not undone(source).exists():
            return None
    return source


def enlist(source: Source, keys: Sequence[str]) -> Source:
    """Keep what a run has to look at, an item each."""
    with transaction.atomic():
        source = _locked(source)
        Item.objects.bulk_create(
            [Item(source=source, key=key, seen=source.run) for key in keys],
            batch_size=1000, update_conflicts=True, unique_fields=["source", "key"], update_fields=["seen"],
        )  # fmt: skip
        source.listed, source.total = source.run, len(keys)
        source.save(update_fields=["listed", "total"])
    return source


def undone(source: Source) -> QuerySet[Item]:
    """What a run still has to read; without a run, the items that were asked for."""
    items = Item.objects.filter(source=source)
    if source.status == Status.RUNNING:
        return items.filter(seen=source.run, done__lt=source.run)
    return items.filter(done__lt=0)


def following(source: Source) -> list[Item]:
    """The next of them."""
    return list(undone(source).order_by("pk")[:BATCH])


def store(source: Source, outcomes: Sequence[Outcome]) -> Source:
    """Commit what became of items: passages, items and progress together."""
    with transaction.atomic():
        source = _locked(source)
        standing = dict(
            Item.objects.select_for_update()
            .filter(pk__in=[each.item.pk for each in outcomes])
            .order_by("pk")
            .values_list("pk", "done")
        )
        # Those asked for anew since they were read come again.
        valid = [each for each in outcomes if standing.get(each.item.pk) == each.asked]
        stored = index.store(source.business_id, [each.found for each in valid if each.found])
        gone = [each.item for each in valid if each.gone]
        forgotten = _forget(source, gone)
        Item.objects.filter(pk__in=[item.pk for item in gone if not item.error]).delete()
        kept = [each for each in valid if not (each.gone and not each.item.error)]
        documents = dict(
            Document.objects.filter(
                business_id=source.business_id, external_id__in=[each.found.id for each in kept if each.found]
            ).values_list("external_id", "pk")
        )
        number, now = max(source.run, 1), timezone.now()
        Item.objects.filter(pk__in=[each.item.pk for each in kept if each.same]).update(done=number, read_at=now)
        for each in kept:
            if each.found:
                each.item.document_id = documents[each.found.id]
            elif each.gone:
                each.item.document_id, each.item.raw = None, ""
            each.item.done, each.item.read_at = number, now
        Item.objects.bulk_update(
            [each.item for each in kept if not each.same],
            ["done", "read_at", "document", "raw", "etag", "modified", "error", "passing"],
        )
        if stored.chunks:
            filling.wanted(source.business_id)
        if source.status == Status.RUNNING:
            failed = sum(1 for each in kept if each.item.error)
            same = sum(1 for each in kept if not each.found and not each.item.error)
            source.done += len(valid)
            source.added, source.changed = source.added + stored.added, source.changed + stored.changed
            source.unchanged += same + stored.unchanged
            source.failed, source.forgotten = source.failed + failed, source.forgotten + forgotten
            source.save(update_fields=["done", "added", "changed", "unchanged", "failed", "forgotten"])
    return source


def end(source: Source, again: Again) -> Source:
    """Forget what the source does not list any more, and close the run; nothing when it was stopped."""
    while True:
        with transaction.atomic():
            source = _locked(source)
            if source.status != Status.RUNNING:
                return source
            vanished = list(Item.objects.filter(source=source, seen__lt=source.run).order_by("pk")[:BATCH])
            source.forgotten += _forget(source, vanished)
            Item.objects.filter(pk__in=[item.pk for item in vanished]).delete()
            source.save(update_fields=["forgotten"])
        if not vanished:
            break
    with transaction.atomic():
        source = _locked(source)
        if source.status != Status.RUNNING:
            return source
        broken = Item.objects.filter(source=source).exclude(error="").order_by("pk").first()
        source.error = broken.error if broken and source.failed >= source.total else ""
        source.synced_at = timezone.now()
        return _close(source, Status.FAILED if source.error else Status.DONE, again)


def fail(source: Source, error: str, again: Again) -> None:
    """Close a run that cannot go on. One that was stopped, and perhaps asked for once more, is closed already."""
    with transaction.atomic():
        found = Source.objects.select_for_update().filter(pk=source.pk).first()
        if found is not None and found.status not in (Status.STOPPED, Status.WAITING):
            found.error = source.error = error
            source.status = _close(found, Status.FAILED, again).status


def _close(source: Source, status: Source.Status, again: Again) -> Source:
    source.status, source.ended_at = status, timezone.now()
    if source.again:
        source.status, source.again = Status.WAITING, False
        again(source.pk)
    source.save()
    return source


def _forget(source: Source, items: Sequence[Item]) -> int:
    ids = [item.document_id for item in items if item.document_id is not None]
    documents = Document.objects.filter(business_id=source.business_id, pk__in=ids)
    count = documents.count()
    documents.delete()
    return count


def _locked(source: Source) -> Source:
    return Source.objects.select_for_update().get(pk=source.pk)
