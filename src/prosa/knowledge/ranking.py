"""Which chunks fit a question, and how well: BM25 over stems and character 4-grams, in two steps.

First the rarest terms of the question are walked through the index, as many as lead to :data:`BUDGET` chunks, and the
:data:`CANDIDATES` that hold the most of their weight are kept; then these alone are scored exactly, with every term.
Document frequencies are the business's own, as if :data:`BACKGROUND` more chunks held none of the terms: with three
documents a word is not worthless because two of them have it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, tanh
from sys import byteorder

from prosa import sql
from prosa.knowledge import analysis
from prosa.postgres.connections import Connection

BUDGET = 20_000
"""Index entries that the first step may touch; the rarest term is always walked. Measured at 100,000 chunks
(``benchmarks/search``): with 8,000 it takes 23 ms (p95) and finds .84 (nDCG@10), with 20,000 30 ms and .93, with 30,000 47 ms and .95."""
CANDIDATES = 100
BACKGROUND = 50
K1 = 1.2
B = 0.6
GRAMS = 2.0
"""What the grams of a word weigh together, beside its stem with 1."""

queries = sql.load(__file__, "ranking.sql")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk and how well it fits, in 0..1.

    1 would be the question over and over; a chunk of mean length that has each word of it once is at 0.76.
    """

    chunk: int
    document: int
    score: float


async def rank(connection: Connection, business_id: int, text: str, also: Sequence[int] = ()) -> list[Ranked]:
    """The best chunks of a business for a question, best first, at most :data:`CANDIDATES`. Two queries.

    ``also`` are chunks found otherwise, which are scored beside them. Empty when the business has no chunks, or the
    question no word that carries a topic.
    """
    words = analysis.question(business_id, text)
    asked = list({term for word in words for term in word})
    if not asked:
        return []
    cursor = await connection.execute(queries.counts, {"business_id": business_id, "terms": sql.Ints(asked)})
    known = await cursor.fetchall()
    if not known and not also:
        return []
    chunks, length = (known[0][2], known[0][3] / known[0][2]) if known else (0, 1.0)
    weights, most = _weights(words, {row[0]: row[1] for row in known}, chunks)
    rarest = _rarest(weights, {row[0]: row[1] for row in known})
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        queries.candidates,
        {
            "business_id": business_id,
            "terms": sql.Ints(rarest),
            "weights": sql.Floats([weights[term] for term in rarest]),
            "limit": CANDIDATES,
            "also": sql.Longs(list(also)),
        },
    )
    found = [
        Ranked(chunk, document, tanh(_score(weights, terms, counts, size / length) / most))
        for chunk, document, terms, counts, size in await cursor.fetchall()
    ]
    return sorted(found, key=lambda each: (-each.score, each.chunk))


def _weights(words: list[tuple[int, ...]], known: Mapping[int, int], chunks: int) -> tuple[dict[int, float], float]:
    """What each known term is worth, and what a chunk of mean length that holds them all once would score."""
    total = chunks + BACKGROUND

    def rarity(term: int) -> float:
        count = known.get(term, 0)
        return log(1 + (total - count + 0.5) / (count + 0.5))

    weights: dict[int, float] = {}
    most = 0.0
    for whole, *grams in words:
        share = GRAMS / len(grams) if grams else 0.0
        for term, part in ((whole, 1.0 if grams else 1.0 + GRAMS), *((gram, share) for gram in grams)):
            worth = part * rarity(term)
            most += worth
            if term in known:
                weights[term] = weights.get(term, 0.0) + worth
    return weights, most


def _rarest(weights: Mapping[int, float], known: Mapping[int, int]) -> list[int]:
    """The terms to walk: rarest first, until they lead to more chunks than the budget allows."""
    chosen: list[int] = []
    budget = BUDGET
    for term in sorted(weights, key=lambda each: (known[each], each)):
        budget -= known[term]
        if chosen and budget < 0:
            break
        chosen.append(term)
    return chosen


def _score(weights: Mapping[int, float], packed: bytes, counts: bytes, length: float) -> float:
    """BM25 of one chunk. ``packed`` is PostgreSQL's binary ``int[]``, ``length`` relative to the mean."""
    terms = array("i", packed[20:])
    if byteorder == "little":
        terms.byteswap()
    at = dict(zip(terms[1::2], counts, strict=True))
    norm = K1 * (1 - B + B * length)
    return sum(
        weight * count * (K1 + 1) / (count + norm)
        for term, weight in weights.items()
        if (count := at.get(term)) is not None
    )
