"""Vectors in PostgreSQL, by the extension pgvector.

One table for all models, its column without a fixed length. Few vectors are compared one by one; when a model has many, :meth:`PgVector.tend`
gives it an HNSW index of its own: partial (``WHERE model = …``), over the vector cast to the model's length, made concurrently.
The index knows nothing of businesses, so it is scanned on until the asking business has its ``limit`` (iterative scan).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

import psycopg
import psycopg_pool
from psycopg import sql as words

from prosa import sql
from prosa.errors import BadInput, ConfigurationError, TemporaryError
from prosa.knowledge.stores.base import Stored, VectorStore, length_of, misfit
from prosa.postgres.connections import Connection, Pool

log = logging.getLogger(__name__)
queries = sql.load(__file__, "pgvector.sql")

INDEX_FROM = 20_000
"""Vectors of a model from which it gets an index. Below, comparing them all is quick and exact."""
MOST_FULL, MOST_HALF = 2000, 4000
"""Numbers of a vector that HNSW indexes as 32-bit floats, and as 16-bit ones (``halfvec``); longer ones go without index."""
BUILD_MEMORY = "256MB"
"""For the building of an index, where PostgreSQL's own default lets a graph of 100,000 vectors spill and take several times as long."""
AT_ONCE = 500


class PgVector(VectorStore):
    """The store on a pool that the caller opens and closes. ``index_from``: see :data:`INDEX_FROM`."""

    def __init__(self, pool: Pool, *, index_from: int = INDEX_FROM) -> None:
        self._pool, self._index_from = pool, index_from

    async def put(self, business_id: int, model: str, items: Sequence[Stored]) -> None:
        """As :meth:`VectorStore.put`."""
        given = length_of(items)
        if not given:
            return
        latest = {item.chunk_id: item.vector for item in items}
        ids = sorted(latest)
        async with self._connection() as connection, connection.transaction():
            kept = await self._length(connection, model)
            if kept is not None and kept != given:
                raise misfit(model, given, kept)
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                await connection.execute(
                    queries.put,
                    {
                        "business_id": business_id,
                        "model": model,
                        "ids": sql.Longs(some),
                        "vectors": sql.Texts([_written(latest[chunk_id]) for chunk_id in some]),
                    },
                )

    async def forget(self, business_id: int, ids: Sequence[int]) -> None:
        """As :meth:`VectorStore.forget`."""
        async with self._connection() as connection:
            await connection.execute(queries.forget, {"business_id": business_id, "ids": sql.Longs(ids)})

    async def nearest(
        self, business_id: int, model: str, vector: Sequence[float], limit: int
    ) -> list[tuple[int, float]]:
        """As :meth:`VectorStore.nearest`."""
        given = length_of([Stored(0, vector)])
        query = _nearest(model, given)
        asked = {"business_id": business_id, "vector": _written(vector), "limit": limit}
        # One message to PostgreSQL and one back: vectors of another length are found out by PostgreSQL itself.
        async with self._connection() as connection, connection.pipeline(), connection.transaction():
            # The scan's width; beyond it the scan goes on by itself.
            await connection.execute(
                "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', %s, true)",
                [str(min(1000, max(100, limit)))],
            )
            cursor = await connection.execute(query, asked)
            return [(chunk_id, float(similarity)) for chunk_id, similarity in await cursor.fetchall()]

    async def similarities(
        self, business_id: int, model: str, vector: Sequence[float], ids: Sequence[int]
    ) -> Mapping[int, float]:
        """As :meth:`VectorStore.similarities`."""
        length_of([Stored(0, vector)])
        if not ids:
            return {}
        asked = {"business_id": business_id, "model": model, "vector": _written(vector), "ids": sql.Longs(ids)}
        async with self._connection() as connection:
            cursor = await connection.execute(queries.similarities, asked)
            return {chunk_id: float(similarity) for chunk_id, similarity in await cursor.fetchall()}

    async def models(self, business_id: int) -> Mapping[str, int]:
        """As :meth:`VectorStore.models`."""
        async with self._connection() as connection:
            cursor = await connection.execute(queries.models, {"business_id": business_id})
            return dict(await cursor.fetchall())

    async def held(self, business_id: int, model: str, ids: Sequence[int]) -> frozenset[int]:
        """As :meth:`VectorStore.held`."""
        async with self._connection() as connection:
            cursor = await connection.execute(
                queries.held, {"business_id": business_id, "model": model, "ids": sql.Longs(ids)}
            )
            return frozenset(chunk_id for (chunk_id,) in await cursor.fetchall())

    async def drop(self, business_id: int, model: str) -> None:
        """As :meth:`VectorStore.drop`."""
        async with self._connection() as connection:
            await connection.execute(queries.drop, {"business_id": business_id, "model": model})

    async def tend(self, model: str) -> None:
        """Give the model its index once it has vectors enough. One process at a time; the others go on without waiting."""
        async with self._connection() as connection:
            length = await self._length(connection, model)
            if length is None or length > MOST_HALF:
                return
            name = index_name(model, length)
            cursor = await connection.execute(queries.size, {"model": model, "most": self._index_from})
            row = await cursor.fetchone()
            if row is None or row[0] < self._index_from:
                return
            await connection.set_autocommit(True)  # CREATE INDEX CONCURRENTLY refuses transactions
            cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
            if (await cursor.fetchone()) != (True,):
                return
            try:
                await connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", [BUILD_MEMORY])
                await self._index(connection, model, length, name)
            finally:
                await connection.execute("RESET maintenance_work_mem")
                await connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])

    async def _index(self, connection: Connection, model: str, length: int, name: str) -> None:
        cursor = await connection.execute(queries.index, {"name": name})
        found = await cursor.fetchone()
        if found == (True,):
            return
        identifier = words.Identifier(name)
        if found is not None:
            # Left behind by a process that was killed while it built: it costs writes and serves no one.
            await connection.execute(words.SQL("DROP INDEX CONCURRENTLY {}").format(identifier))
        log.info("Indexing the vectors of %s.", model)
        await connection.execute(
            words.SQL(
                "CREATE INDEX CONCURRENTLY {name} ON prosa_knowledge_vector USING hnsw (({cast}) {operators}) WHERE model = {model}"
            ).format(
                name=identifier,
                cast=_cast(length),
                operators=words.SQL("vector_cosine_ops" if length <= MOST_FULL else "halfvec_cosine_ops"),
                model=words.Literal(model),
            )
        )

    async def _length(self, connection: Connection, model: str) -> int | None:
        row = await (await connection.execute(queries.length, {"model": model})).fetchone()
        return row[0] if row else None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.errors.UndefinedTable as error:
            raise ConfigurationError(
                "PostgreSQL has no pgvector, so vectors cannot be kept.\n"
                "Install the extension (Debian: postgresql-NN-pgvector) and run SELECT prosa_vectors(); as its owner, or set PROSA_QDRANT_URL."
            ) from error
        except psycopg.DataError as error:
            raise BadInput("PostgreSQL refuses the vector.\nEmbed again with one model.") from error
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
            raise TemporaryError("PostgreSQL cannot be asked for vectors.\nTry again.") from error


def index_name(model: str, length: int) -> str:
    """The name of a model's index; within PostgreSQL's 63 bytes whatever the model is called."""
    return f"prosa_vector_{hashlib.sha256(model.encode()).hexdigest()[:16]}_{length}"


@lru_cache(maxsize=100)
def _nearest(model: str, length: int) -> words.Composed:
    """Model and length stand in the query as constants: no plan for parameters could use a partial index."""
    return words.SQL(
        "SELECT chunk_id, 1 - ({cast} <=> %(vector)s::{kind}) FROM prosa_knowledge_vector"
        " WHERE business_id = %(business_id)s AND model = {model}"
        " ORDER BY {cast} <=> %(vector)s::{kind} LIMIT %(limit)s"
    ).format(cast=_cast(length), kind=words.SQL(_kind(length)), model=words.Literal(model))


def _kind(length: int) -> str:
    return f"halfvec({length})" if MOST_FULL < length <= MOST_HALF else f"vector({length})"


def _cast(length: int) -> words.Composable:
    return words.SQL(f"vector::{_kind(length)}")


def _written(vector: Sequence[float]) -> str:
    return f"[{','.join(map(repr, map(float, vector)))}]"
