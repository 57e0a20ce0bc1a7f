"""Synchronising a source: what it lists is read, what changed is cut into passages and stored, what vanished is forgotten.

Durable: the list of a run is a row per item, and passages, items and progress are committed together, so a run that was
killed goes on where it was. One process at a time works on a source, under a lock of its PostgreSQL session that ends with
it. Files are parsed in a process of their own (``reading``), the database is waited for in a thread of its own: neither
holds up the worker's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ParamSpec, Self, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Least
from django.utils import timezone

from prosa.errors import NotAllowed, ProsaError, TemporaryError
from prosa.http import Client
from prosa.knowledge import filling, index, origins, reading
from prosa.knowledge.models import Document, Item, Source
from prosa.queue import chore, defer_once, periodic

log = logging.getLogger(__name__)

LOCK = 0x50524B53
"""``classid`` of the session advisory lock that the process at work on a source holds ("PRKS")."""
BATCH = 100
"""Items committed together at most."""
CHARACTERS = 2_000_000
"""Of passages after which they are committed, however few items they are of."""
TOLD_EVERY = 1.0
"""Seconds after which what is done so far is committed, and with it the progress people see."""
SLICE = 60.0
"""Seconds after which a chore lets others go first and is deferred again."""
LANES = 2
"""Sources synchronised at once at most, so that other chores have room."""
TABLES_EVERY = 60
"""Minutes after which tables are read again anyway: rows come into force and go out of it by date."""

Status = Source.Status
P = ParamSpec("P")
T = TypeVar("T")
Told = Callable[[Source], None]
"""Called in the loop with the source after every commit."""


def request(source_id: int) -> None:
    """Have a source synchronised soon, by a worker. While it is being done, it will be done once more afterwards.

    Part of the caller's transaction.
    """
    with transaction.atomic():
        source = Source.objects.select_for_update().get(pk=source_id)
        if source.status == Status.RUNNING:
            source.again = True
        else:
            source.status = Status.WAITING
        source.save(update_fields=["status", "again"])
        _defer(source_id)


def stop(source_id: int) -> bool:
    """End the reading of a source where it is; true when there was one. Part of the caller's transaction.

    What was read so far stays, and nothing is forgotten. The process at work sees it with its next commit. When the
    source is due the next time it is read as usual.
    """
    with transaction.atomic():
        source = Source.objects.select_for_update().get(pk=source_id)
        going = source.status in (Status.WAITING, Status.RUNNING)
        if going:
            source.status, source.again, source.ended_at = Status.STOPPED, False, timezone.now()
            source.save(update_fields=["status", "again", "ended_at"])
    return going


def refresh(source_id: int, keys: Sequence[str]) -> None:
    """Have these items of a source read again soon, without listing the others. Part of the caller's transaction."""
    with transaction.atomic():
        run = max(Source.objects.select_for_update().get(pk=source_id).run, 1)
        asked = [Item(source_id=source_id, key=key, seen=run) for key in origins.checked(keys)]
        Item.objects.bulk_create(asked, ignore_conflicts=True)
        # Whoever is reading one of them at this moment sees by its number that it has to be read once more.
        Item.objects.filter(source_id=source_id, key__in=keys).update(seen=run, done=Least(F("done"), 0) - 1)
        _defer(source_id)


def busy(source_id: int) -> bool:
    """Whether a living process is at work on a source."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted)",
            [LOCK, source_id & 0x7FFFFFFF],
        )
        return bool(cursor.fetchone()[0])


@chore
async def synchronise(source_id: int) -> None:
    """Do what was requested for a source; nothing when that has been done."""
    async with Client() as client:
        await run(source_id, client, seconds=SLICE)


@periodic("* * * * *")
def look_after() -> None:
    """Begin what is due, and take up what a dead process left."""
    now = timezone.now()
    for source in Source.objects.filter(active=True).exclude(status__in=(Status.WAITING, Status.RUNNING)):
        every = source.every_minutes or (TABLES_EVERY if source.kind in origins.FEEDS else None)
        if every and (source.began_at is None or now - source.began_at >= timedelta(minutes=every)):
            request(source.pk)
    left = Source.objects.filter(Q(status__in=(Status.WAITING, Status.RUNNING)) | Q(items__done__lt=0)).distinct()
    for pk in left.values_list("pk", flat=True):
        if not busy(pk):
            _defer(pk)


async def run(source_id: int, client: Client, *, seconds: float | None = None, told: Told = lambda _: None) -> bool:
    """Synchronise a source here, as far as it gets in so many seconds; the rest is deferred.

    False when another process is at work on it, true otherwise. What goes wrong is kept in the source and its items.
    """
    async with _Books() as books, reading.Reader() as reader:
        if not await books(_lock, source_id):
            return False
        source = await books(_begin, source_id)
        if source is None:
            return True
        work = _Work(source, books, reader, client, told, time.monotonic() + seconds if seconds else None)
        try:
            await work.go()
        except Source.DoesNotExist:
            log.info("Source %d was deleted while it was synchronised.", source_id)
        except ProsaError as error:
            await books(_fail, source, str(error))
        except (OperationalError, InterfaceError):
            raise  # the run is taken up again once the database is back
        except Exception as error:
            await books(_fail, source, f"Something broke: {type(error).__name__}.\nThe worker's log has the details.")
            raise
        await work.tell()
    return True


class _Books:
    """Django's connection in a thread of its own. The lock is the connection's, and ends with it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "prosa knowledge")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self(_let_go)
        finally:
            self._thread.shutdown(wait=False)

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(function, *args, **kwargs))


@dataclass(slots=True)
class _Outcome:
    """What became of one item. ``found`` is what there is to store; without it nothing changed, or it failed, or is gone.

    ``asked`` is the item's ``done`` before; ``same``: nothing of the item is to be written but that it was looked at.
    """

    item: Item
    asked: int
    same: bool = False
    found: index.Entry | None = None
    gone: bool = False


@dataclass(slots=True)
class _Work:
    """One run, or the rest of one."""

    source: Source
    books: _Books
    reader: reading.Reader
    client: Client
    told: Told
    until: float | None
    waiting: list[_Outcome] = field(default_factory=list)
    characters: int = 0
    committed: float = field(default_factory=time.monotonic)

    async def go(self) -> None:
        origin = origins.find(self.source, self.client, self.books)
        whole = self.source.status == Status.RUNNING
        if whole and self.source.listed != self.source.run:
            keys = origins.checked(await origin.keys())
            self.source = await self.books(_list, self.source, keys)
            await self.tell()
        while items := await self.books(_next, self.source):
            await origin.ahead(items)
            for item in items:
                self.waiting.append(await self._read(origin, item))
                if time.monotonic() - self.committed >= TOLD_EVERY or self.characters >= CHARACTERS:
                    await self._commit()
                    if self.until and time.monotonic() >= self.until:
                        await self.books(_defer, self.source.pk)
                        return
                    if whole and self.source.status != Status.RUNNING:
                        return
            await self._commit()
            if whole and self.source.status != Status.RUNNING:
                return
        if whole:
            self.source = await self.books(_end, self.source)

    async def tell(self) -> None:
        """Let the caller see how far it is."""
        self.told(self.source)

    async def _commit(self) -> None:
        if self.waiting:
            self.source = await self.books(_store, self.source, self.waiting)
            await self.tell()
        self.waiting, self.characters, self.committed = [], 0, time.monotonic()

    async def _read(self, origin: origins.Origin, item: Item) -> _Outcome:
        outcome = _Outcome(item, item.done)
        kept = (item.raw, item.etag, item.modified, item.error, item.passing)
        before = item.raw if item.document_id is not None or (item.error and not item.passing) else ""
        try:
            raw = await origin.fetch(item)
            if raw is not None and raw.checksum != before:
                item.raw = raw.checksum
                outcome.found = await self._entry(item, raw)
                self.characters += sum(len(piece.text) for piece in outcome.found.pieces)
            # The same bytes that could not be read before cannot be read now.
            if raw is None or outcome.found or item.passing:
                item.error, item.passing = "", False
            if raw is not None:
                item.etag, item.modified = raw.etag, raw.modified
        except origins.Gone as error:
            # A page that is listed and not there is for somebody to put right; a file or row that left just now is not.
            item.error, item.passing, outcome.gone = str(error) if error.code else "", False, True
        except NotAllowed as error:
            # Whoever asks not to be read does not want to be quoted either.
            item.error, item.passing, outcome.gone = str(error), False, True
        except TemporaryError as error:
            if item.error and not item.passing:
                item.raw = ""  # why it could not be read is told again once it is there
            item.error, item.passing = str(error), True
        except ProsaError as error:
            item.error, item.passing = str(error), False
        outcome.same = (
            outcome.found is None
            and not outcome.gone
            and kept == (item.raw, item.etag, item.modified, item.error, item.passing)
        )
        return outcome

    async def _entry(self, item: Item, raw: origins.Raw) -> index.Entry:
        if raw.markdown:
            text = raw.data.decode("utf-8", "replace")
            spoken, pieces = await asyncio.to_thread(reading.pieces, raw.name, text)
            read = reading.Read(raw.name, spoken, pieces)
        else:
            read = await self.reader.read(raw.data, raw.name, raw.mime)
        return index.Entry(
            id=_external_id(item),
            title=read.title[:500],
            pieces=tuple(index.Piece(text, section[:500], spoken) for text, section, spoken in read.pieces),
            language=read.language,
            url=raw.url,
            source_kind=self.source.kind,
            source_name=self.source.name,
            source_id=self.source.pk,
            dated_at=read.dated_at,
        )


# ── with Django's connection ──


def _defer(source_id: int) -> None:
    defer_once(synchronise, f"knowledge.sync:{source_id}", f"knowledge.sync:{source_id % LANES}", source_id=source_id)


def _lock(source_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", [LOCK, source_id & 0x7FFFFFFF])
        return bool(cursor.fetchone()[0])


def _let_go() -> None:
    # Said, not left to the server's noticing that we are gone: whoever asks next finds the source free.
    with contextlib.suppress(OperationalError, InterfaceError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
    connections.close_all()


def _begin(source_id: int) -> Source | None:
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
        elif source.status != Status.RUNNING and not _undone(source).exists():
            return None
    return source


def _list(source: Source, keys: Sequence[str]) -> Source:
    with transaction.atomic():
        source = _locked(source)
        Item.objects.bulk_create(
            [Item(source=source, key=key, seen=source.run) for key in keys],
            batch_size=1000, update_conflicts=True, unique_fields=["source", "key"], update_fields=["seen"],
        )  # fmt: skip
        source.listed, source.total = source.run, len(keys)
        source.save(update_fields=["listed", "total"])
    return source


def _undone(source: Source) -> QuerySet[Item]:
    """What a run still has to read; without a run, the items that were asked for."""
    items = Item.objects.filter(source=source)
    if source.status == Status.RUNNING:
        return items.filter(seen=source.run, done__lt=source.run)
    return items.filter(done__lt=0)


def _next(source: Source) -> list[Item]:
    return list(_undone(source).order_by("pk")[:BATCH])


def _store(source: Source, outcomes: Sequence[_Outcome]) -> Source:
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


def _end(source: Source) -> Source:
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
        return _close(source, Status.FAILED if source.error else Status.DONE)


def _fail(source: Source, error: str) -> None:
    with transaction.atomic():
        found = Source.objects.select_for_update().filter(pk=source.pk).first()
        if found is not None and found.status != Status.STOPPED:
            found.error = source.error = error
            _close(found, Status.FAILED)
            source.status = Status.FAILED


def _close(source: Source, status: Source.Status) -> Source:
    source.status, source.ended_at = status, timezone.now()
    if source.again:
        source.status, source.again = Status.WAITING, False
        _defer(source.pk)
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


def _external_id(item: Item) -> str:
    """The name of an item's document: unlike any other of the business, and the same in every run."""
    whole = f"{item.source_id}/{item.key}"
    if len(whole) <= 300:
        return whole
    return f"{whole[:235]}#{hashlib.sha256(whole.encode()).hexdigest()}"
