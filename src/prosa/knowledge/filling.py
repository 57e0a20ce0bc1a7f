"""Chunks get their vectors: in the background, page by page, under the model that ``PROSA_EMBEDDING_MODEL`` names.

A model serves a business from the moment all its chunks are known under it. Until then the one before it serves; then
that one is dropped. Whoever writes chunks calls :func:`wanted` in the same transaction; what is deleted is forgotten by
triggers (migration ``filling``), in PostgreSQL at once, elsewhere as soon as :func:`drain` runs.

A page is embedded with no transaction open, put into the store, and then booked and marked as done in one transaction.
Killed in between, it is done again, and the cache of ``embedding`` knows its vectors.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from psycopg.rows import TupleRow

from prosa import cache, sql
from prosa.conf import settings
from prosa.contracts import Usage
from prosa.costs import gate, ledger
from prosa.errors import ConfigurationError, PermanentError, ProsaError
from prosa.knowledge import stores
from prosa.knowledge.models import Chunk
from prosa.knowledge.stores.base import Stored, VectorStore
from prosa.knowledge.stores.pgvector import PgVector
from prosa.knowledge.vectors import Filling
from prosa.postgres import connections, shared
from prosa.postgres.connections import Connection, Pool, fetch_all, fetch_one
from prosa.queue import chore, defer_once, periodic

if TYPE_CHECKING:  # the SDKs take a second to import, and who only asks for a filling needs none
    from prosa.knowledge import embedding

log = logging.getLogger(__name__)
queries = sql.load(__file__, "filling.sql")

PAGE = 500
"""Chunks embedded and stored at a time; of a model on this machine fewer, so that a kill loses little."""
LOCAL_PAGE = 64
MOST = 2**63 - 1
BUDGET = "The day's budget is spent."
LOCAL = "local:"
"""Models of this name cost no money."""

Told = Callable[[int, int], None]
"""Called with the chunks that have vectors, and how many there are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the configured model is for a business. ``serving`` is the model that searches use, empty for none."""

    model: str
    serving: str
    done: int
    total: int
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether every chunk is known under the configured model, and it serves."""
        return self.serving == self.model and self.done >= self.total


@chore
async def catch_up(business_id: int) -> None:
    """Give vectors to what has none; see :func:`fill`. Tried again later when the embedder or the store cannot be reached."""
    async with pool() as own:
        await fill(own, business_id)


def wanted(business_id: int) -> None:
    """Have the chunks written in this transaction embedded once it has committed. Nothing without an embedding model."""
    if settings().embedding_model:
        key = f"knowledge.filling:{business_id}"
        defer_once(catch_up, key, business_id=business_id)


@periodic("* * * * *")
async def look_after() -> None:
    """Begin what a new ``PROSA_EMBEDDING_MODEL`` asks for, take up what a budget or a failure stopped, forget what was deleted."""
    async with pool() as own:
        try:
            async with _store(own) as store:
                await drain(own, store)
        except (ProsaError, ConfigurationError) as error:
            log.warning("Vectors of deleted passages are still kept: %s", _first_line(error))
        for business_id in await behind(own):
            await sync_to_async(wanted)(business_id)


@periodic("41 4 * * *")
async def sweep() -> None:
    """Delete the cached embeddings whose time is over, in short transactions."""
    from prosa.knowledge import embedding

    async with pool() as own:
        kept = cache.InTable(own, embedding.TABLE)
        while await kept.sweep() > 0:
            await asyncio.sleep(0)


async def behind(pool: Pool) -> list[int]:
    """The businesses whose chunks are not all known under the configured model; none without one."""
    if not settings().embedding_model:
        return []
    asked = {"store": stores.name(), "model": settings().embedding_model}
    async with pool.connection() as connection:
        return [row[0] for row in await fetch_all(connection, queries.behind, asked)]


async def serving(connection: Connection, business_id: int) -> str:
    """The model whose vectors of a business are whole: the configured one, else the one before it; empty for none."""
    asked = {"business_id": business_id, "store": stores.name(), "model": settings().embedding_model}
    row = await fetch_one(connection, queries.serving, asked)
    return row[0] if row else ""


async def fill(pool: Pool, business_id: int, told: Told = lambda _done, _total: None) -> bool:
    """Give a vector to every chunk of a business that has none under the configured model, and drop the model before it.

    True when all have one. False without a model, and when it had to stop: the reason is kept (:func:`progress`), and
    :func:`look_after` tries again. ``told`` hears of every page.

    :raises TemporaryError: the embedder or the store cannot be reached now.
    """
    model = settings().embedding_model
    if not model:
        return False
    work = _Work(pool, business_id, model, told)
    try:
        return await work.run()
    except (PermanentError, ConfigurationError) as error:
        # Trying again the same way cannot help; a person sees it in `prosa doctor`.
        await work.trouble(_first_line(error))
        return False
    except ProsaError as error:
        await work.trouble(_first_line(error))
        raise


class _Work:
    """One run of :func:`fill`."""

    def __init__(self, pool: Pool, business_id: int, model: str, told: Told) -> None:
        self._pool, self._business, self._model, self._told = pool, business_id, model, told
        self._place = {"business_id": business_id, "store": stores.name(), "model": model}
        self._page = LOCAL_PAGE if model.startswith(LOCAL) else PAGE
        self._id = self._upto = self._done = self._total = 0

    async def run(self) -> bool:
        from prosa.knowledge import embedding

        async with self._pool.connection() as connection:
            self._id, self._upto = await _row(connection, queries.begin, self._place)
            self._done = (await _row(connection, queries.chunks, {"business_id": self._business, "upto": self._upto}))[
                0
            ]
            self._total = (await _row(connection, queries.chunks, {"business_id": self._business, "upto": MOST}))[0]
        embedder = embedding.find(self._model, self._pool)
        if embedder is None:
            return False
        async with _store(self._pool) as store:
            await drain(self._pool, store)
            if not await self._walk(store, embedder):
                return False
            # Whoever emptied the store behind our back is not the reason why something is never found.
            if (await store.models(self._business)).get(self._model, 0) < self._done:
                self._upto = self._done = 0
                if not await self._walk(store, embedder):
                    return False
            await store.tend(self._model)
            async with self._pool.connection() as connection:
                await connection.execute(queries.complete, {"id": self._id})
            await self._drop_others(store)
        return True

    async def trouble(self, problem: str) -> None:
        """Say why it stopped."""
        async with self._pool.connection() as connection:
            await connection.execute(queries.trouble, {**self._place, "problem": problem})

    async def _walk(self, store: VectorStore, embedder: embedding.Embedder) -> bool:
        while True:
            async with self._pool.connection() as connection:
                page = await fetch_all(
                    connection,
                    queries.page,
                    {"business_id": self._business, "upto": self._upto, "limit": self._page},
                )
                standing = await _standing(connection, self._business)
            if not page:
                return True
            held = await store.held(self._business, self._model, [row[0] for row in page])
            absent = {row[0]: text(*row[1:]) for row in page if row[0] not in held}
            done: embedding.Embedded | None = None
            if absent:
                if not self._model.startswith(LOCAL) and _spent(standing):
                    await self.trouble(BUDGET)
                    return False
                done = await embedder.documents(list(absent.values()))
                await store.put(
                    self._business,
                    self._model,
                    [Stored(chunk_id, vector) for chunk_id, vector in zip(absent, done.vectors, strict=True)],
                )
            async with self._pool.connection() as connection, connection.transaction():
                if done is not None:
                    await book(connection, self._business, self._model, done.tokens, done.requests)
                await connection.execute(queries.advance, {"id": self._id, "upto": page[-1][0]})
            self._upto = page[-1][0]
            self._done += len(page)
            self._total = max(self._total, self._done)
            self._told(self._done, self._total)

    async def _drop_others(self, store: VectorStore) -> None:
        async with self._pool.connection() as connection:
            others = await fetch_all(connection, queries.others, {"business_id": self._business, "id": self._id})
        for filling, place, model in others:
            if place == self._place["store"]:
                await store.drop(self._business, model)
            elif place == stores.PGVECTOR:
                await PgVector(self._pool).drop(self._business, model)
            async with self._pool.connection() as connection:
                await connection.execute(queries.dropped, {"id": filling})


def text(title: str, section: str, said: str) -> str:
    """A chunk as it is embedded: below its title and its section, which say what it is about."""
    return "\n".join(filter(str.strip, (title, section, said))) or "-"


async def book(connection: Connection, business_id: int, model: str, tokens: int, requests: int) -> None:
    """Add to the business's present day what was embedded."""
    standing = await _standing(connection, business_id)
    await ledger.book(connection, business_id, standing.day, [entry(model, tokens, requests)])


def entry(model: str, tokens: int, requests: int) -> ledger.Entry:
    """What was embedded, for the ledger. A model on this machine costs nothing."""
    from prosa.costs import prices  # its catalogue takes a fifth of a second to import

    known = (Decimal(0),) if model.startswith(LOCAL) else prices.catalogue(model)
    cost = known[0] * tokens / 1_000_000 if known else None
    return ledger.Entry(model, Usage(requests=requests, input_tokens=tokens, cost=cost), "embedding")


async def drain(pool: Pool, store: VectorStore) -> None:
    """Have another server than PostgreSQL delete the vectors of what was deleted here."""
    while True:
        async with pool.connection() as connection:
            rows = await fetch_all(connection, queries.forgotten, {"limit": PAGE})
        if not rows:
            return
        chunks = defaultdict[int, list[int]](list)
        for _, business_id, chunk_id, model in rows:
            if chunk_id is not None:
                chunks[business_id].append(chunk_id)
            elif not await _kept(pool, business_id, model):
                await store.drop(business_id, model)
        for business_id, ids in chunks.items():
            await store.forget(business_id, ids)
        async with pool.connection() as connection:
            await connection.execute(queries.drained, {"ids": sql.Longs([row[0] for row in rows])})


def progress(business_id: int) -> Progress:
    """How far a business is under the configured model. Through Django's connection."""
    model, place = settings().embedding_model, stores.name()
    rows = {row.model: row for row in Filling.objects.filter(business_id=business_id, store=place)}
    whole = [row for row in rows.values() if row.complete_at]
    serving = max(whole, key=lambda row: (row.model == model, row.complete_at), default=None)
    chunks = Chunk.objects.filter(business_id=business_id)
    ours = rows.get(model)
    return Progress(
        model,
        serving.model if serving else "",
        chunks.filter(pk__lte=ours.upto).count() if ours else 0,
        chunks.count(),
        ours.problem if ours else "",
    )


async def _kept(pool: Pool, business_id: int, model: str) -> bool:
    async with pool.connection() as connection:
        asked = {"business_id": business_id, "store": stores.name(), "model": model}
        return bool((await _row(connection, queries.kept, asked))[0])


async def _standing(connection: Connection, business_id: int) -> gate.Standing:
    return gate.read((await _row(connection, queries.standing, {"business_id": business_id}))[0])


def _spent(standing: gate.Standing) -> bool:
    return gate.judge(standing).step in gate.FREE


async def _row(connection: Connection, query: bytes, asked: dict[str, Any]) -> TupleRow:
    row = await fetch_one(connection, query, asked)
    if row is None:
        raise RuntimeError("A query that always gives a row gave none.")
    return row


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@asynccontextmanager
async def pool(name: str = "prosa knowledge", *, low: int = 1, high: int = 4) -> AsyncIterator[Pool]:
    """Connections of one's own; what embedders made on them is let go of at the end."""
    async with connections.pool(shared.dsn(), name=name, low=low, high=high) as made:
        try:
            yield made
        finally:
            loaded = sys.modules.get("prosa.knowledge.embedding")
            if loaded is not None:
                await loaded.release(made)


@asynccontextmanager
async def _store(pool: Pool) -> AsyncIterator[VectorStore]:
    store = stores.find(pool)
    try:
        yield store
    finally:
        await store.close()
