"""How fast passages are found among 100,000, and what the pruning of candidates costs in quality.

A shop is made up: every passage speaks of one product and one topic in words of its own, in Portuguese-like syllables
whose frequencies fall off as in a natural language. A question uses a few words of its passage, half of them with a
slip of the finger. Ours goes through ``search.passages``; beside it PostgreSQL full text (any word, ``ts_rank``) on the
same rows, and, where the package is installed, ``bm25s`` in memory on whole words. nDCG@10 has one right passage.
``pruning_loss`` is the nDCG lost against the same ranking with every candidate scored.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import itertools
import os
import random
import time
from collections.abc import Callable
from math import log2
from typing import Any

import psycopg

from _installation import Installation, fresh
from _report import Report, console, median, percentile

TARGETS = {
    "search_p95_ms": ("<=", 60.0),
    "ndcg_vs_full_text": (">=", 1.0),
    "pruning_loss": ("<=", 0.02),
}
VOCABULARY = 40_000
WORDS = 60
BATCH = 1000


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
    options = parser.parse_args()
    shop = Shop(options.chunks, options.questions)
    with fresh() as here:
        os.environ.clear()
        os.environ.update(here.environment)
        from prosa.cli import boot

        boot.django()
        report = Report("search", TARGETS)
        began = time.perf_counter()
        business = _fill(shop)
        report.figures["index_chunks_per_s"] = options.chunks / (time.perf_counter() - began)
        asyncio.run(_ours(here, shop, business, report))
        _full_text(here, shop, report)
        if importlib.util.find_spec("bm25s"):
            _in_memory(shop, report)
        report.ratios["ndcg_vs_full_text"] = report.figures["ndcg"] / report.figures["full_text_ndcg"]
        report.ratios["p95_vs_full_text"] = report.figures["search_p95_ms"] / report.figures["full_text_p95_ms"]
        report.show(as_json=options.json)


def _fill(shop: Shop) -> int:
    from prosa.business.models import Business
    from prosa.knowledge import index

    business: int = Business.objects.get().pk
    for at in range(0, len(shop.passages), BATCH):
        entries = [
            index.Entry(str(at + place), "", (index.Piece(text),))
            for place, text in enumerate(shop.passages[at : at + BATCH])
        ]
        index.store(business, entries)
        if at % 20_000 == 0:
            console.print(f"{at} passages stored")
    return business


async def _ours(here: Installation, shop: Shop, business: int, report: Report) -> None:
    from prosa.knowledge import ranking, search
    from prosa.postgres.connections import connect

    async with await connect(here.dsn) as connection:
        await connection.execute("VACUUM ANALYZE prosa_knowledge_chunk")
        await connection.execute("VACUUM ANALYZE prosa_knowledge_termcount")
        for text, _ in shop.questions[:20]:
            await search.passages(connection, business, text, 10)
        times, gains = [], []
        for text, right in shop.questions:
            began = time.perf_counter()
            found = await search.passages(connection, business, text, 10, floor=0.0)
            times.append((time.perf_counter() - began) * 1000)
            gains.append(_gain([int(each.document) for each in found], right))
        _tell(report, "search", "ndcg", times, gains)
        # The whole truth is slow: a few questions tell it.
        budget, candidates = ranking.BUDGET, ranking.CANDIDATES
        some = shop.questions[:20]
        ranking.BUDGET, ranking.CANDIDATES = 10**9, 10**5  # type: ignore[misc]
        whole = []
        for text, right in some:
            found = await search.passages(connection, business, text, 10, floor=0.0)
            whole.append(_gain([int(each.document) for each in found], right))
        ranking.BUDGET, ranking.CANDIDATES = budget, candidates  # type: ignore[misc]
        report.figures["pruning_loss"] = (sum(whole) - sum(gains[: len(some)])) / len(some)


def _full_text(here: Installation, shop: Shop, report: Report) -> None:
    with psycopg.connect(here.dsn, autocommit=True) as connection:
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
    report.figures[quality] = sum(gains) / len(gains)
    console.print(f"{name}: p95 {percentile(times, 0.95):.1f} ms, nDCG@10 {report.figures[quality]:.3f}")


def _gain(found: list[int], right: int) -> float:
    return 1 / log2(found.index(right) + 2) if right in found else 0.0


if __name__ == "__main__":
    main()
