"""Every vector store keeps the same promises."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo
from qdrant_client import AsyncQdrantClient

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.errors import BadInput, ConfigurationError, TemporaryError
from prosa.knowledge import stores
from prosa.knowledge.stores.base import Stored, VectorStore
from prosa.knowledge.stores.pgvector import PgVector, index_name
from prosa.knowledge.stores.qdrant import Qdrant
from prosa.knowledge.vectors import Vector
from prosa.postgres.connections import Pool, pool

MODEL = "openai:text-embedding-3-small"
AXES = {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0), 3: (1.0, 1.0, 0.0), 4: (-1.0, 0.0, 0.0)}
ITEMS = [Stored(chunk_id, vector) for chunk_id, vector in AXES.items()]


class StoreContract:
    """Give ``store``; ``one`` and ``two`` are two businesses."""

    one: ClassVar[int] = 1
    two: ClassVar[int] = 2

    async def test_the_nearest_come_first_with_their_cosine(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        found = await store.nearest(one, MODEL, (2.0, 0.0, 0.0), 10)
        assert [chunk_id for chunk_id, _ in found] == [1, 3, 2, 4]
        assert [similarity for _, similarity in found] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-6)
        assert await store.nearest(one, MODEL, (2.0, 0.0, 0.0), 2) == found[:2]

    async def test_named_chunks_are_compared_one_by_one(self, store: VectorStore, one: int, two: int):
        await store.put(one, MODEL, ITEMS)
        await store.put(two, MODEL, [Stored(7, (1.0, 0.0, 0.0))])
        found = await store.similarities(one, MODEL, (2.0, 0.0, 0.0), [1, 3, 4, 7, 99])
        assert found == pytest.approx({1: 1.0, 3: 0.5**0.5, 4: -1.0}, abs=1e-6)
        assert await store.similarities(one, MODEL, (2.0, 0.0, 0.0), []) == {}
        assert await store.similarities(one, "local:nobody", (2.0, 0.0, 0.0), [1]) == {}
        with pytest.raises(BadInput):
            await store.similarities(one, MODEL, (1.0, 0.0), [1])

    async def test_a_business_never_finds_anothers(self, store: VectorStore, one: int, two: int):
        await store.put(one, MODEL, ITEMS)
        # The same chunk id for both: a store that keys by it alone would mix them.
        await store.put(two, MODEL, [Stored(1, (0.0, 0.0, 1.0)), Stored(9, (1.0, 0.0, 0.0))])
        assert {chunk_id for chunk_id, _ in await store.nearest(two, MODEL, (1.0, 0.0, 0.0), 10)} == {1, 9}
        assert (await store.nearest(one, MODEL, (1.0, 0.0, 0.0), 1)) == [(1, pytest.approx(1.0))]
        assert await store.models(two) == {MODEL: 2}
        assert await store.held(two, MODEL, [1, 2, 9]) == {1, 9}
        await store.forget(two, [1, 2])
        await store.drop(two, MODEL)
        assert await store.models(two) == {}
        assert await store.models(one) == {MODEL: 4}
        assert len(await store.nearest(one, MODEL, (1.0, 0.0, 0.0), 10)) == 4

    async def test_a_second_put_replaces(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        await store.put(one, MODEL, [Stored(4, (0.0, 0.0, 1.0)), Stored(4, (0.0, 0.0, 1.0))])
        assert (await store.nearest(one, MODEL, (0.0, 0.0, 1.0), 1)) == [(4, pytest.approx(1.0))]
        assert await store.models(one) == {MODEL: 4}

    async def test_two_models_of_different_lengths_serve_side_by_side(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        await store.put(one, "local:ümlaut/slash", [Stored(1, (1.0, 0.0)), Stored(2, (0.0, 1.0))])
        assert await store.models(one) == {"local:ümlaut/slash": 2, MODEL: 4}
        assert [chunk_id for chunk_id, _ in await store.nearest(one, "local:ümlaut/slash", (0.0, 1.0), 1)] == [2]
        await store.drop(one, MODEL)
        assert await store.nearest(one, MODEL, (1.0, 0.0, 0.0), 3) == []
        assert await store.models(one) == {"local:ümlaut/slash": 2}

    async def test_what_is_forgotten_is_forgotten_under_every_model(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        await store.put(one, "local:other", [Stored(1, (1.0, 0.0)), Stored(2, (0.0, 1.0))])
        await store.forget(one, [1, 777])
        await store.forget(one, [])
        assert await store.held(one, MODEL, [1, 2, 3, 4]) == {2, 3, 4}
        assert await store.held(one, "local:other", [1, 2]) == {2}
        assert await store.held(one, MODEL, []) == frozenset()

    async def test_a_dropped_name_may_come_back_with_another_length(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        await store.drop(one, MODEL)
        await store.put(one, MODEL, [Stored(1, (0.0, 1.0))])
        assert await store.nearest(one, MODEL, (0.0, 2.0), 5) == [(1, pytest.approx(1.0))]

    async def test_vectors_that_do_not_fit_are_refused_and_nothing_is_kept_of_them(self, store: VectorStore, one: int):
        await store.put(one, MODEL, ITEMS)
        for wrong in (
            [Stored(5, (1.0, 0.0))],
            [Stored(5, (1.0, 0.0, 0.0)), Stored(6, (1.0,))],
            [Stored(5, (0.0, 0.0, 0.0))],
            [Stored(5, ())],
        ):
            with pytest.raises(BadInput, match="\n"):
                await store.put(one, MODEL, wrong)
        with pytest.raises(BadInput, match="\n"):
            await store.nearest(one, MODEL, (1.0, 0.0), 3)
        assert await store.held(one, MODEL, [5, 6]) == frozenset()

    async def test_nothing_is_found_where_nothing_is(self, store: VectorStore, one: int):
        await store.put(one, MODEL, [])
        assert await store.nearest(one, MODEL, (1.0, 0.0, 0.0), 3) == []
        assert await store.models(one) == {}
        await store.drop(one, MODEL)
        await store.tend(MODEL)

    async def test_many_at_once(self, store: VectorStore, one: int):
        chance = random.Random(5)  # noqa: S311 -- test data
        items = [Stored(number, [chance.gauss(0, 1) for _ in range(8)]) for number in range(1, 1201)]
        await store.put(one, MODEL, items)
        assert await store.models(one) == {MODEL: 1200}
        assert (await store.nearest(one, MODEL, items[700].vector, 1))[0] == (701, pytest.approx(1.0, abs=1e-5))


class TestQdrant(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[VectorStore]:
        store = Qdrant(AsyncQdrantClient(":memory:"), indexed=False)
        yield store
        await store.close()

    @pytest.fixture
    def one(self) -> int:
        return 1

    @pytest.fixture
    def two(self) -> int:
        return 2


@pytest.fixture
async def connections() -> AsyncIterator[Pool]:
    dsn = make_conninfo(postgres.dsn(conf.settings()), dbname=django_connection.settings_dict["NAME"])
    async with pool(dsn, high=3) as opened:
        yield opened


@pytest.mark.django_db(transaction=True)
class TestPgVector(StoreContract):
    @pytest.fixture
    def store(self, connections: Pool) -> VectorStore:
        return PgVector(connections, index_from=1000)

    @pytest.fixture
    def one(self, transactional_db: None) -> int:
        return Business.objects.create(name="One", slug="one").pk

    @pytest.fixture
    def two(self, transactional_db: None) -> int:
        return Business.objects.create(name="Two", slug="two").pk

    @pytest.mark.parametrize("length", [16, 2500], ids=["vector", "halfvec"])
    async def test_many_vectors_get_an_index_that_is_used_and_hides_no_business(
        self, store: VectorStore, connections: Pool, one: int, two: int, length: int
    ):
        chance = random.Random(7)  # noqa: S311 -- test data

        def near(first: float) -> list[float]:
            return [first, *(chance.gauss(0, 1) for _ in range(9)), *([0.1] * (length - 10))]

        count = 1010
        name = index_name(MODEL, length)
        await store.put(one, MODEL, [Stored(number, near(9.0)) for number in range(count)])
        # The other business has little, and all of it lies farther from the question than the first one's thousand.
        await store.put(two, MODEL, [Stored(number, near(-9.0)) for number in range(5)])
        await PgVector(connections, index_from=5000).tend(MODEL)
        assert await indexes(connections) == set()
        await store.tend(MODEL)
        assert await indexes(connections) == {(name, True)}
        await store.tend(MODEL)
        asked = near(9.0)
        exact = {chunk_id for chunk_id, _ in await store.nearest(one, MODEL, asked, 10)}
        async with connections.connection() as connection, connection.transaction():
            for setting in ("enable_sort", "enable_bitmapscan"):
                await connection.execute(f"SET LOCAL {setting} = off")
            kind = f"vector({length})" if length <= 2000 else f"halfvec({length})"
            plan = await connection.execute(
                f"EXPLAIN SELECT chunk_id FROM prosa_knowledge_vector WHERE business_id = {one} AND model = '{MODEL}'"
                f" ORDER BY vector::{kind} <=> '{asked}'::{kind} LIMIT 10"
            )
            assert name in str(await plan.fetchall())
        assert len(exact) == 10
        assert len(await store.nearest(two, MODEL, asked, 10)) == 5
        async with connections.connection() as connection:
            await connection.execute(f"DROP INDEX {name}")

    async def test_a_half_built_index_is_built_again(self, store: VectorStore, connections: Pool, one: int):
        chance = random.Random(3)  # noqa: S311 -- test data
        await store.put(one, MODEL, [Stored(number, [chance.gauss(0, 1) for _ in range(4)]) for number in range(1000)])
        name = index_name(MODEL, 4)
        async with connections.connection() as connection:
            await connection.execute(f"CREATE INDEX {name} ON prosa_knowledge_vector (chunk_id)")
            await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
        await store.tend(MODEL)
        assert await indexes(connections) == {(name, True)}
        async with connections.connection() as connection:
            await connection.execute(f"DROP INDEX {name}")

    async def test_a_deleted_business_takes_its_vectors_along(self, store: VectorStore, one: int, two: int):
        await store.put(one, MODEL, ITEMS)
        await store.put(two, MODEL, ITEMS)
        await sync_to_async(Business.objects.filter(pk=one).delete)()
        assert await Vector.objects.filter(business_id=one).acount() == 0
        assert await store.models(two) == {MODEL: 4}

    async def test_without_pgvector_the_store_says_what_to_do(self, store: VectorStore, connections: Pool, one: int):
        async with connections.connection() as connection:
            await connection.execute("ALTER TABLE prosa_knowledge_vector RENAME TO away")
        try:
            with pytest.raises(ConfigurationError, match="pgvector"):
                await store.models(one)
        finally:
            async with connections.connection() as connection:
                await connection.execute("ALTER TABLE away RENAME TO prosa_knowledge_vector")


async def indexes(connections: Pool) -> set[tuple[str, bool]]:
    async with connections.connection() as connection:
        cursor = await connection.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = 'prosa_knowledge_vector'::regclass AND a.amname = 'hnsw'"
        )
        return set(await cursor.fetchall())


async def test_a_qdrant_that_is_not_there_is_a_temporary_error():
    store = Qdrant.at("http://127.0.0.1:9")
    with pytest.raises(TemporaryError):
        await store.nearest(1, MODEL, (1.0, 0.0), 3)
    await store.close()


async def test_the_store_is_chosen_by_setting(monkeypatch: pytest.MonkeyPatch):
    closed = pool("postgresql:///nowhere")
    assert isinstance(stores.find(closed), PgVector)
    monkeypatch.setattr(stores, "settings", lambda: conf.Settings(PROSA_QDRANT_URL="http://127.0.0.1:9/"))
    chosen = stores.find(closed)
    assert isinstance(chosen, Qdrant)
    await chosen.close()
