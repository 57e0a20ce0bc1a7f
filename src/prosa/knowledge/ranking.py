"""Which chunks fit a question, and how well: BM25 over stems and character 4-grams, in two steps.

First the index is walked by the terms of the question, and by pairs of its words, that say most for their number of chunks,
as many as :data:`BUDGET` allows, and the :data:`CANDIDATES` that hold the most of their weight are kept; then these alone are
scored exactly, with every term. Two words that are each in a fifth of all chunks are together in few, and the index finds
those without a look at the others: pairs reach what single words would be too dear for.
A word that no chunk of the business holds is taken for mistyped: the words one slip of the finger away from it that some
chunk holds stand beside it, and its grams weigh more. The vocabulary is kept as numbers only, so the slips are made from
the question's word, five hundred or so, and looked up together.

Document frequencies are the business's own, as if :data:`BACKGROUND` more chunks held none of the terms: with three
documents a word is not worthless because two of them have it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import log, tanh
from sys import byteorder

from prosa import sql
from prosa.knowledge import analysis
from prosa.postgres.connections import Connection

BUDGET = 5_000
"""Chunks that the first step may look at; the first walk is always made. Measured at 100,000 chunks (``benchmarks/search``), by
the ten best that are found of those every term would find: .82, and .72 by 12,000 without pairs. nDCG@10 .995 and .985."""
SKIPPED = 100
"""Entries of the index that are passed over in the time of looking at one chunk, as a walk by two words does with what only one of them holds."""
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

EVIDENCE = 0.6
"""How much it counts that many words fit, beside that few do not: with 0 a score is the share of the question that a chunk
has, with 1 the number of rare words. Questions that a business answers are told from others (AUC, steering halves of
``benchmarks/search_sets``, from the worst to the best) by .94 to .99 with 0, .98 to .998 with .6, .94 to .996 with 1."""
USUAL = 8.0
"""The worth of a usual question, three words or four, in stems that no chunk has. Its score is the same with any ``EVIDENCE``."""

queries = sql.load(__file__, "ranking.sql")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk and how well it fits, in 0..1.

    1 would be the question over and over; a chunk of mean length that has each word of it once is at 0.76 if the question is
    a usual one, above if it is longer, and below if it is but a word.
    """

    chunk: int
    document: int
    score: float


@dataclass(slots=True)
class Question:
    """What is asked, weighed by a business's vocabulary: ``weights`` of the terms it knows, ``whole`` the BM25 that is a score of 0.76.

    ``counts`` says in how many of the business's ``chunks`` each of them is; ``words`` are the stems of each word of the
    question, or of those it may have meant. ``mistyped``: by each unknown word, as :class:`analysis.Word` has it written, the
    stems one slip away that the business knows; ``unknown`` is how many words it does not.
    """

    weights: dict[int, float]
    whole: float
    length: float
    counts: dict[int, int]
    chunks: int
    words: list[list[int]]
    mistyped: dict[str, list[int]] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along the chunks that hold both terms, which may be one and the same. ``cost`` in chunks looked at."""

    term: int
    other: int
    weight: float
    cost: float


NOTHING = Question({}, 1.0, 1.0, {}, 0, [])
"""What is asked when a business knows none of the words."""


async def weigh(connection: Connection, business_id: int, text: str) -> Question | None:
    """The question weighed; one query, two when a word is unknown. None when it has no word that carries a topic, or the business no chunks."""
    words = analysis.words(business_id, text)
    asked = list({term for word in words for term in word.terms})
    if not asked:
        return None
    counts, extent = await count(connection, business_id, asked)
    salt = analysis.salted(business_id)
    unknown = [word for word in words if word.terms[0] not in counts]
    slips = {word: {slip ^ salt for slip in analysis.slips(word.written).values()} for word in unknown[:MOST_UNKNOWN]}
    near: dict[int, int] = {}
    if every := list({slip for some in slips.values() for slip in some}):
        near, meant = await count(connection, business_id, every)
        extent = extent or meant
    if extent is None:
        return None
    corrected = {
        word.terms[0]: sorted((slip for slip in some if slip in near), key=lambda slip: (-near[slip], slip))
        for word, some in slips.items()
    }
    chunks, length = extent
    known = near | counts
    weights, whole = _weights([word.terms for word in words], known, corrected, chunks)
    stems = [[term for term in (word.terms[0], *corrected.get(word.terms[0], ())) if term in weights] for word in words]
    mistyped = {word.written: near_it for word in slips if (near_it := corrected[word.terms[0]])}
    heard = {term: known[term] for term in weights}
    return Question(weights, whole, length / chunks, heard, chunks, stems, mistyped, len(unknown))


async def rank(connection: Connection, business_id: int, asked: Question, also: Sequence[int] = ()) -> list[Ranked]:
    """The best chunks of a business for a question, best first, at most :data:`CANDIDATES`. One query.

    ``also`` are chunks found otherwise, which are scored beside them.
    """
    return await _scored(connection, business_id, asked, _walks(asked), also)


async def score(connection: Connection, business_id: int, asked: Question, chunks: Sequence[int]) -> list[Ranked]:
    """These chunks alone, best first. One query."""
    return await _scored(connection, business_id, asked, [], chunks) if chunks else []


async def _scored(
    connection: Connection, business_id: int, asked: Question, walks: Sequence[_Walk], also: Sequence[int]
) -> list[Ranked]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        queries.candidates,
        {
            "business_id": business_id,
            "terms": sql.Ints([walk.term for walk in walks]),
            "others": sql.Ints([walk.other for walk in walks]),
            "weights": sql.Floats([walk.weight for walk in walks]),
            "limit": CANDIDATES,
            "also": sql.Longs(list(also)),
        },
    )
    found = [
        Ranked(chunk, document, tanh(_score(asked.weights, terms, counts, size / asked.length) / asked.whole))
        for chunk, document, terms, counts, size in await cursor.fetchall()
    ]
    return sorted(found, key=lambda each: (-each.score, each.chunk))


async def count(
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
    unseen = log(1 + (total + 0.5) / 0.5)
    return weights, most ** (1 - EVIDENCE) * (USUAL * unseen) ** EVIDENCE


def _walks(asked: Question) -> list[_Walk]:
    """The walks of most weight for their cost, as many as the budget allows; every term's when it allows all of them."""
    walks = [_Walk(term, term, weight, asked.counts[term]) for term, weight in asked.weights.items()]
    if sum(walk.cost for walk in walks) <= BUDGET:
        return walks
    pairs = {
        (min(one, other), max(one, other))
        for some, more in combinations(asked.words, 2)
        for one in some
        for other in more
        if one != other
    }
    walks += [_pair(asked, one, other) for one, other in pairs]
    chosen: list[_Walk] = []
    alone: set[int] = set()
    left: float = BUDGET
    for walk in sorted(walks, key=lambda each: (each.cost / each.weight, each.term, each.other)):
        if walk.term in alone or walk.other in alone:
            continue  # its chunks are found already
        left -= walk.cost
        if chosen and left < 0:
            break
        chosen.append(walk)
        if walk.term == walk.other:
            alone.add(walk.term)
    return chosen


def _pair(asked: Question, one: int, other: int) -> _Walk:
    """Of two words, as if neither had to do with the other."""
    some, more = asked.counts[one], asked.counts[other]
    cost = some * more / asked.chunks + (some + more) / SKIPPED
    return _Walk(one, other, asked.weights[one] + asked.weights[other], cost)


def _score(weights: Mapping[int, float], packed: bytes, counts: bytes, length: float) -> float:
    """BM25 of one chunk. ``packed`` is PostgreSQL's binary ``int[]``, ``length`` relative to the mean."""
    terms = array("i", packed[20:])
    if byteorder == "little":
        terms.byteswap()
    at = dict(zip(terms[1::2], counts, strict=True))
    norm = K1 * (1 - B + B * length)
    # The chunk has many more terms than the question; what both have is found without a step of Python for each.
    return sum(weights[term] * at[term] * (K1 + 1) / (at[term] + norm) for term in weights.keys() & at.keys())
