"""Which chunks fit a question, and how well: BM25 over stems and character 4-grams, in two steps.

First the terms of the question that say most for their number of chunks are walked through the index, as many as lead to
:data:`BUDGET` chunks, and the :data:`CANDIDATES` that hold the most of their weight are kept; then these alone are scored exactly, with every term.
A word that no chunk of the business holds is taken for mistyped: the words one slip of the finger away from it that some
chunk holds stand beside it, and its grams weigh more. The vocabulary is kept as numbers only, so the slips are made from
the question's word, five hundred or so, and looked up together.

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

BUDGET = 12_000
"""Index entries that the first step may touch; the first term is always walked. Measured at 100,000 chunks (``benchmarks/search``):
nDCG@10 .95 with 8,000, .975 with 12,000; in order of rarity alone .93 and .95."""
CANDIDATES = 100
BACKGROUND = 50
K1 = 1.2
B = 0.6
GRAMS = 2.0
"""What the grams of a word weigh together, beside its stem with 1."""
UNKNOWN_GRAMS = 3.0
"""The same of a word that no chunk holds. This and the next measured on the steering half of ``benchmarks/search_quality``."""
CORRECTED = 1.0
"""What a word weighs that is one slip away from an unknown one. With 1.2 typing errors cost a little less, and questions about something else score more."""
MOST_CORRECTIONS = 3
"""Of one unknown word; the most frequent."""
MOST_UNKNOWN = 6
"""Unknown words of a question that are corrected: what has more is in another language."""

queries = sql.load(__file__, "ranking.sql")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk and how well it fits, in 0..1.

    1 would be the question over and over; a chunk of mean length that has each word of it once is at 0.76.
    """

    chunk: int
    document: int
    score: float


@dataclass(slots=True)
class Question:
    """What is asked, weighed by a business's vocabulary: ``weights`` of the terms it knows, ``most`` a chunk of mean length with all once."""

    weights: dict[int, float]
    most: float
    length: float
    counts: dict[int, int]


NOTHING = Question({}, 1.0, 1.0, {})
"""What is asked when a business knows none of the words."""


async def weigh(connection: Connection, business_id: int, text: str) -> Question | None:
    """The question weighed; one query, two when a word is unknown. None when it has no word that carries a topic, or the business no chunks."""
    words = analysis.words(business_id, text)
    asked = list({term for word in words for term in word.terms})
    if not asked:
        return None
    counts, extent = await _counts(connection, business_id, asked)
    salt = analysis.salted(business_id)
    slips = {
        word: [slip ^ salt for slip in analysis.slips(word.written)]
        for word in [word for word in words if word.terms[0] not in counts][:MOST_UNKNOWN]
    }
    near: dict[int, int] = {}
    if every := list({slip for some in slips.values() for slip in some}):
        near, meant = await _counts(connection, business_id, every)
        extent = extent or meant
    if extent is None:
        return None
    corrected = {
        word.terms[0]: sorted((slip for slip in some if slip in near), key=lambda slip: (-near[slip], slip))
        for word, some in slips.items()
    }
    chunks, length = extent
    known = near | counts
    weights, most = _weights([word.terms for word in words], known, corrected, chunks)
    return Question(weights, most, length / chunks, {term: known[term] for term in weights})


async def rank(connection: Connection, business_id: int, asked: Question, also: Sequence[int] = ()) -> list[Ranked]:
    """The best chunks of a business for a question, best first, at most :data:`CANDIDATES`. One query.

    ``also`` are chunks found otherwise, which are scored beside them.
    """
    rarest = _rarest(asked.weights, asked.counts)
    return await _scored(connection, business_id, asked, rarest, also)


async def score(connection: Connection, business_id: int, asked: Question, chunks: Sequence[int]) -> list[Ranked]:
    """These chunks alone, best first. One query."""
    return await _scored(connection, business_id, asked, [], chunks) if chunks else []


async def _scored(
    connection: Connection, business_id: int, asked: Question, walked: Sequence[int], also: Sequence[int]
) -> list[Ranked]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        queries.candidates,
        {
            "business_id": business_id,
            "terms": sql.Ints(walked),
            "weights": sql.Floats([asked.weights[term] for term in walked]),
            "limit": CANDIDATES,
            "also": sql.Longs(list(also)),
        },
    )
    found = [
        Ranked(chunk, document, tanh(_score(asked.weights, terms, counts, size / asked.length) / asked.most))
        for chunk, document, terms, counts, size in await cursor.fetchall()
    ]
    return sorted(found, key=lambda each: (-each.score, each.chunk))


async def _counts(
    connection: Connection, business_id: int, terms: Sequence[int]
) -> tuple[dict[int, int], tuple[int, int] | None]:
    """In how many chunks each known term is, and how many chunks and words the business has; None when it knows none of the terms."""
    cursor = await connection.execute(queries.counts, {"business_id": business_id, "terms": sql.Ints(terms)})
    rows = await cursor.fetchall()
    return {row[0]: row[1] for row in rows}, (rows[0][2], rows[0][3]) if rows else None


def _weights(
    words: list[tuple[int, ...]], known: Mapping[int, int], corrected: Mapping[int, Sequence[int]], chunks: int
) -> tuple[dict[int, float], float]:
    """What each known term is worth, and what a chunk of mean length that holds them all once would score.

    ``corrected``: by the stem of an unknown word, the stems it may have meant.
    """
    total = chunks + BACKGROUND

    def rarity(term: int) -> float:
        count = known.get(term, 0)
        return log(1 + (total - count + 0.5) / (count + 0.5))

    weights: dict[int, float] = {}
    most = 0.0
    for whole, *grams in words:
        all_grams = GRAMS if whole in known else UNKNOWN_GRAMS
        share = all_grams / len(grams) if grams else 0.0
        for term, part in ((whole, 1.0 if grams else 1.0 + GRAMS), *((gram, share) for gram in grams)):
            worth = part * rarity(term)
            most += worth
            if term in known:
                weights[term] = weights.get(term, 0.0) + worth
        for term in corrected.get(whole, ())[:MOST_CORRECTIONS]:
            weights[term] = weights.get(term, 0.0) + CORRECTED * rarity(term)
    return weights, most


def _rarest(weights: Mapping[int, float], known: Mapping[int, int]) -> list[int]:
    """The terms to walk: those of most weight for each chunk first, until they lead to more chunks than the budget allows."""
    chosen: list[int] = []
    budget = BUDGET
    for term in sorted(weights, key=lambda each: (known[each] / weights[each], each)):
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
