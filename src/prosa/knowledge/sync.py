"""Synchronising a source: what it lists is read, what changed is cut into passages and stored, what vanished is forgotten.

Durable: the list of a run is a row per item, and passages, items and progress are committed together, so a run that was
killed goes on where it was. One process at a time works on a source, under a lock of its PostgreSQL session that ends with
it. Files are parsed in a process of their own (``reading``), the database is waited for in a thread of its own (``runs``):
neither holds up the worker's loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Least
from django.utils import timezone

from prosa.errors import NotAllowed, ProsaError, TemporaryError
from prosa.http import Client
from prosa.knowledge import index, origins, reading, runs, web
from prosa.knowledge.models import Item, Source
from prosa.queue import chore, defer_once, periodic

log = logging.getLogger(__name__)

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
        if not runs.busy(pk):
            _defer(pk)


async def run(source_id: int, client: Client, *, seconds: float | None = None, told: Told = lambda _: None) -> bool:
    """Synchronise a source here, as far as it gets in so many seconds; the rest is deferred.

    False when another process is at work on it, true otherwise. What goes wrong is kept in the source and its items.
    """
    async with runs.Books() as books, reading.Reader() as reader:
        if not await books(runs.lock, source_id):
            return False
        source = await books(runs.begin, source_id)
        if source is None:
            return True
        work = _Work(source, books, reader, client, told, time.monotonic() + seconds if seconds else None)
        try:
            await work.go()
        except Source.DoesNotExist:
            log.info("Source %d was deleted while it was synchronised.", source_id)
        except ProsaError as error:
            await books(runs.fail, source, str(error), _defer)
        except (OperationalError, InterfaceError):
            raise  # the run is taken up again once the database is back
        except Exception as error:
            await books(runs.fail, source, _broke(error), _defer)
            raise
        await work.tell()
    return True


@dataclass(slots=True)
class _Work:
    """One run, or the rest of one."""

    source: Source
    books: runs.Books
    reader: reading.Reader
    client: Client
    told: Told
    until: float | None
    waiting: list[runs.Outcome] = field(default_factory=list)
    characters: int = 0
    committed: float = field(default_factory=time.monotonic)

    async def go(self) -> None:
        origin = origins.find(self.source, self.client, self.books)
        whole = self.source.status == Status.RUNNING
        if whole and self.source.listed != self.source.run:
            keys = origins.checked(await origin.keys())
            self.source = await self.books(runs.enlist, self.source, keys)
            await self.tell()
        while items := await self.books(runs.following, self.source):
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
            self.source = await self.books(runs.end, self.source, _defer)

    async def tell(self) -> None:
        """Let the caller see how far it is."""
        self.told(self.source)

    async def _commit(self) -> None:
        if self.waiting:
            self.source = await self.books(runs.store, self.source, self.waiting)
            await self.tell()
        self.waiting, self.characters, self.committed = [], 0, time.monotonic()

    async def _read(self, origin: origins.Origin, item: Item) -> runs.Outcome:
        outcome = runs.Outcome(item, item.done)
        raw: origins.Raw | None = None
        kept = (item.raw, item.etag, item.modified, item.error, item.passing)
        before = item.raw if item.document_id is not None or (item.error and not item.passing) else ""
        try:
            raw = await origin.fetch(item)
            checksum = await _checksum(raw) if raw is not None else ""
            if raw is not None and checksum != before:
                item.raw = checksum
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
            if raw is None:
                item.raw = ""  # it may come back as it was, and must not be taken for what could not be read
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
            dated_at=read.dated_at or web.dated(raw.modified),
        )


async def _checksum(raw: origins.Raw) -> str:
    """A thread for each costs more than a small file, and a large one would hold up everything else."""
    return await asyncio.to_thread(lambda: raw.checksum) if len(raw.data) > origins.SMALL else raw.checksum


def _defer(source_id: int) -> None:
    defer_once(synchronise, f"knowledge.sync:{source_id}", f"knowledge.sync:{source_id % LANES}", source_id=source_id)


def _external_id(item: Item) -> str:
    """The name of an item's document: unlike any other of the business, and the same in every run."""
    whole = f"{item.source_id}/{item.key}"
    if len(whole) <= 300:
        return whole
    return f"{whole[:235]}#{hashlib.sha256(whole.encode()).hexdigest()}"


def _broke(error: Exception) -> str:
    return f"Something broke: {type(error).__name__}.\nThe worker's log has the details."
