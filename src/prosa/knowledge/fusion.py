"""Passages by words and by meaning at once: BM25 (``ranking``) and vectors (``embedding``, ``stores``) in one score.

Words come first, because they are never wrong about prices and names; vectors lift what says the same in other words. How
much they may lift depends on how well the embedding model serves the question's language (:data:`SERVES`). Every chunk
that either leg found is scored exactly by both, so that being found by one alone is no advantage.

The question is embedded as it would be well written (``analysis.written_out``, ``correction``), with no connection held, while
PostgreSQL ranks by words. When the embedder or the store is down or slow, or the model is not yet
filled in, words alone serve.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from prosa import sql
from prosa.conf import settings
from prosa.contracts import Passage
from prosa.costs import ledger
from prosa.errors import ConfigurationError, ProsaError
from prosa.knowledge import analysis, correction, filling, language, ranking, search, stores
from prosa.postgres.connections import Connection, Pool

log = logging.getLogger(__name__)

NEAREST = 50
"""Chunks the vectors bring in."""
DEADLINE = 1.5
"""Seconds a search waits for the question's vector. A turn has better things to do than to wait for the last tenth of quality."""


@dataclass(frozen=True, slots=True)
class Service:
    """How a model serves a language: ``weight`` of its leg (0..1), from the cosine ``base`` on, which unrelated texts have."""

    weight: float
    base: float


SERVES = {
    # Measured on the steering halves of benchmarks/search_sets and the shop of tests/knowledge: nDCG@10 in English from .79 to .88
    # (.87 with 0.8), in Portuguese and Spanish .818 to .823, and every weight up to 0.3 is within a hundredth of that.
    "local:all-minilm-l6-v2": {"en": Service(1.0, 0.15), "": Service(0.15, 0.15)},
    # Models of many languages. Their unrelated texts lie at these cosines by what their makers and users report; not measured here.
    "openai:text-embedding-3-small": {"": Service(0.5, 0.2)},
    "openai:text-embedding-3-large": {"": Service(0.5, 0.2)},
    "google:gemini-embedding-001": {"": Service(0.5, 0.55)},
}
"""By model and language of the question; ``""`` for every other language, also one that cannot be told."""
UNKNOWN = Service(0.3, 0.3)
"""Of a model that is not in the table: it may lift, but not displace."""


@dataclass(slots=True)
class _Meaning:
    """The question as the serving model sees it."""

    model: str
    vector: Sequence[float]
    tokens: int
    requests: int
    cosines: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Notes:
    """What searches tell beside their passages. ``spent``: embeddings of questions, which the reader of the notes books.

    ``by_words``: why words alone served though a model is set (``failed`` or ``slow``), empty when they did not. ``near``: the
    best passage that fell under the floor, of the last search that found nothing.
    """

    spent: list[ledger.Entry] = field(default_factory=list)
    by_words: str = ""
    near: Passage | None = None


async def passages(
    pool: Pool,
    business_id: int,
    text: str,
    limit: int,
    floor: float = search.FLOOR,
    *,
    free: bool = False,
    notes: Notes | None = None,
) -> Sequence[Passage]:
    """The passages of a business that fit ``text``, best first, with a ``score`` in 0..1 of at least ``floor``.

    Empty when nothing fits: then the business has not said anything about it. ``free``: no embedder that costs money.
    """
    ranked = await find(pool, business_id, text, free=free, notes=notes)
    found = [each for each in ranked if each.score >= floor][:limit]
    if not found and (notes is None or not ranked):
        return []
    async with pool.connection() as connection:
        if not found and notes is not None:
            notes.near = next(iter(await search.read(connection, business_id, ranked[:1])), None)
            return []
        return await search.read(connection, business_id, found)


async def documents(pool: Pool, business_id: int, text: str, limit: int) -> Sequence[tuple[str, float]]:
    """The external ids of the documents that fit ``text`` and the score of the best chunk of each, best first, no floor."""
    best: dict[int, float] = {}
    for each in await find(pool, business_id, text):
        best.setdefault(each.document, each.score)
    ids = list(best)[:limit]
    async with pool.connection() as connection:
        cursor = await connection.execute(ranking.queries.names, {"business_id": business_id, "ids": sql.Longs(ids)})
        names: dict[int, str] = dict(await cursor.fetchall())
    return [(names[each], best[each]) for each in ids if each in names]


async def close() -> None:
    """Let go of the embedder's connections in the running event loop, if it was ever asked there."""
    loaded = sys.modules.get("prosa.knowledge.embedding")
    if loaded is not None:
        await loaded.close()


async def find(
    pool: Pool, business_id: int, text: str, *, free: bool = False, notes: Notes | None = None
) -> list[search.Found]:
    """Every chunk that words or vectors found, best first.

    Empty when the business has no chunks, or the question no word that carries a topic.
    """
    if not analysis.question(business_id, text):
        return []
    store = stores.find(pool) if settings().embedding_model else None
    try:
        asked, model, written = await _begin(pool, business_id, text, free=free, embedded=store is not None)
        if store is None or not model:
            meaning, ranked = None, await _by_words(pool, business_id, asked)
        else:
            # Neither waits for the other: words are PostgreSQL's work, the embedding is this processor's or another server's.
            # The embedding, which takes longer, is first in line.
            meaning, ranked = await asyncio.gather(
                _meaning(pool, store, business_id, model, written, notes), _by_words(pool, business_id, asked)
            )
        if store is not None and meaning is not None:
            ranked = await _complete(pool, store, business_id, asked, ranked, meaning, notes)
    finally:
        if store is not None:
            await store.close()
    if meaning is None:
        return [search.Found(each.chunk, each.document, each.score, each.score) for each in ranked]
    served = serves(meaning.model, language.language(written))
    found = [_fused(each, meaning.cosines.get(each.chunk), served) for each in ranked]
    return sorted(found, key=lambda each: (-each.score, each.chunk))


async def _begin(
    pool: Pool, business_id: int, text: str, *, free: bool, embedded: bool
) -> tuple[ranking.Question | None, str, str]:
    """The question weighed, the model that embeds it (empty when words must do), and how it is to be read there."""
    async with pool.connection() as connection:
        asked = await ranking.weigh(connection, business_id, text)
        model = await filling.serving(connection, business_id) if embedded else ""
        if not model or (free and not model.startswith(filling.LOCAL)):
            return asked, "", text
        return asked, model, await correction.corrected(connection, business_id, analysis.written_out(text), asked)


async def _by_words(pool: Pool, business_id: int, asked: ranking.Question | None) -> list[ranking.Ranked]:
    if asked is None:
        return []
    async with pool.connection() as connection:
        return await ranking.rank(connection, business_id, asked)


def serves(model: str, spoken: str) -> Service:
    """How a model serves a language (``pt``, ``es``, ``en``, or empty when it could not be told)."""
    known = SERVES.get(model, {"": UNKNOWN})
    return known.get(spoken, known[""])


def fused(lexical: float, cosine: float, served: Service) -> float:
    """One score in 0..1 of both. It grows with each, is never below the lexical one, and 1 only where one of them is."""
    near = max(0.0, (cosine - served.base) / (1 - served.base))
    return lexical + served.weight * (1 - lexical) * min(1.0, near)


def _fused(each: ranking.Ranked, cosine: float | None, served: Service) -> search.Found:
    score = each.score if cosine is None else fused(each.score, cosine, served)
    return search.Found(each.chunk, each.document, score, each.score, cosine)


async def _meaning(
    pool: Pool, store: stores.VectorStore, business_id: int, model: str, text: str, notes: Notes | None
) -> _Meaning | None:
    """The question's vector and the chunks nearest to it; None when words must do."""
    from prosa.knowledge import embedding  # the SDKs take a second to import, and without a model nobody needs them

    try:
        embedder = embedding.find(model, pool)
        if embedder is None:
            return None
        if not embedder.breaker.allows():
            _by_words_alone(notes, "failed")
            return None
        try:
            async with asyncio.timeout(DEADLINE):
                done = await embedder.query(text)
        except (ProsaError, TimeoutError):
            embedder.breaker.failed()
            raise
        finally:
            embedder.breaker.abandoned()
        embedder.breaker.succeeded()
        (vector,) = done.vectors
        meaning = _Meaning(model, vector, done.tokens, done.requests)
        meaning.cosines |= await store.nearest(business_id, model, vector, NEAREST)
    except (ProsaError, ConfigurationError, TimeoutError) as error:
        log.warning("Searching by words alone: %s", str(error).partition("\n")[0] or f"{model} is too slow.")
        _by_words_alone(notes, "slow" if isinstance(error, TimeoutError) else "failed")
        return None
    return meaning


def _by_words_alone(notes: Notes | None, why: str) -> None:
    if notes is not None:
        notes.by_words = why


async def _complete(
    pool: Pool,
    store: stores.VectorStore,
    business_id: int,
    asked: ranking.Question | None,
    ranked: list[ranking.Ranked],
    meaning: _Meaning,
    notes: Notes | None,
) -> list[ranking.Ranked]:
    """Also the cosines of what only words found, and the words of what only vectors found."""
    by_words = {each.chunk for each in ranked}
    missing = [chunk for chunk in by_words if chunk not in meaning.cosines]
    strange = [chunk for chunk in meaning.cosines if chunk not in by_words]

    async def scored() -> list[ranking.Ranked]:
        async with pool.connection() as connection:
            await _book(connection, business_id, meaning, notes)
            return await ranking.score(connection, business_id, asked or ranking.NOTHING, strange)

    async def measured() -> None:
        try:
            meaning.cosines |= await store.similarities(business_id, meaning.model, meaning.vector, missing)
        except (ProsaError, ConfigurationError) as error:
            log.warning("Searching with fewer vectors: %s", str(error).partition("\n")[0])

    more, _ = await asyncio.gather(scored(), measured())
    return ranked + more


async def _book(connection: Connection, business_id: int, meaning: _Meaning, notes: Notes | None) -> None:
    # A question in the cache cost nothing, one embedded on this machine no money: neither is worth a write.
    if not meaning.requests or meaning.model.startswith(filling.LOCAL):
        return
    if notes is not None:  # booked with the turn, in the statement that ends it
        notes.spent.append(filling.entry(meaning.model, meaning.tokens, meaning.requests))
    else:
        await filling.book(connection, business_id, meaning.model, meaning.tokens, meaning.requests)
