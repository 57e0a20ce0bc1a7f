"""Conditional guidelines chosen by their meaning too, where not all of them fit a prompt and an embedding model is set.

The vectors of the rules' "when" are made once and kept by the embedding cache; the question's is the one that a search of
the knowledge for the same words takes from there. No transaction is open meanwhile. An embedder that fails or is slow
leaves the choice to the words, and the trace says so.
"""

from __future__ import annotations

import asyncio
import logging
import math
from array import array
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from operator import mul
from typing import TYPE_CHECKING, Any, Final

import psycopg

from prosa import cache
from prosa.agents import memory
from prosa.conf import settings
from prosa.contracts import Json
from prosa.conversations.begin import Context
from prosa.conversations.guidelines import casting, relevance
from prosa.costs import gate
from prosa.errors import ProsaError
from prosa.knowledge import filling, fusion, language
from prosa.postgres.connections import Pool

if TYPE_CHECKING:  # the SDKs take a second to import, and without a model nobody needs them
    from prosa.knowledge.embedding import Embedder

log = logging.getLogger(__name__)

DEADLINE: Final = 1.0
"""Seconds a turn waits for vectors. Those that come later serve the next one."""
SERVES: Final = 0.2
"""A model that serves the question's language less than this (``fusion.SERVES``) is not asked: it would choose by chance."""

WORDS, BOTH = "words", "words and meaning"
_at_work: set[asyncio.Task[Any]] = set()
_units = cache.Memory(32 * 1024 * 1024, 86400.0)
"""Vectors of rules at length 1, ready to be multiplied, by model and text."""


async def weighed(pool: Pool, context: Context) -> Context:
    """The turn with its rules chosen by words and meaning. As it was when all rules fit, or no model will read them."""
    cast = context.cast
    if cast is None or not (whens := casting.ranked(cast)) or _unread(context):
        return context
    asked = casting.asked(context.turn)
    cosines, told = await _cosines(pool, context, asked, whens)
    if not cosines:
        return replace(context, cast=replace(cast, weighed_by=told))
    near = relevance.both(asked, cosines, fusion.serves(told["model"], language.language(asked)))
    cast = casting.chosen_again(replace(cast, weighed_by=told), near)
    turn = replace(context.turn, guidelines=cast.turn.guidelines, specialists=cast.turn.specialists)
    return replace(context, cast=cast, turn=turn)


def _unread(context: Context) -> bool:
    """Whether no model will be asked."""
    free = context.verdict.step in gate.FREE or context.turn.model == "offline"
    return free or not context.turn.question or context.called


async def _cosines(pool: Pool, context: Context, asked: str, whens: Sequence[str]) -> tuple[dict[str, float], Json]:
    """The nearness of each "when", and for the trace: what was chosen ``by``, the ``model``, ``why`` not by meaning."""
    if not settings().embedding_model or not memory.plain(asked).strip():
        return {}, {"by": WORDS, "why": "no_model"}
    name = ""
    try:
        async with pool.connection() as connection:
            # The model that searches this business's knowledge, so that a question is embedded by one alone.
            name = await filling.serving(connection, context.business_id) or settings().embedding_model
        # What unites them with the words lies in the measured table, by the language of the question.
        if fusion.serves(name, language.language(asked)).weight < SERVES:
            return {}, {"by": WORDS, "model": name, "why": "language"}
        from prosa.knowledge import embedding

        embedder = embedding.find(name, pool)
        if embedder is None or not embedder.breaker.allows():
            return {}, {"by": WORDS, "model": name, "why": "failed"}
        try:
            vectors, question = await _vectors(pool, context, embedder, asked, whens)
        except (ProsaError, TimeoutError):
            embedder.breaker.failed()
            raise
        finally:
            embedder.breaker.abandoned()
        embedder.breaker.succeeded()
    except (ProsaError, TimeoutError, psycopg.Error, OSError) as error:
        slow = isinstance(error, TimeoutError)
        log.warning("Rules are chosen by words alone: %s", "too slow." if slow else type(error).__name__)
        return {}, {"by": WORDS, "model": name, "why": "slow" if slow else "failed"}
    found = {when: sum(map(mul, question, vector)) for when, vector in zip(whens, vectors, strict=True)}
    return found, {"by": BOTH, "model": name}


async def _vectors(
    pool: Pool, context: Context, embedder: Embedder, asked: str, whens: Sequence[str]
) -> tuple[list[array[float]], array[float]]:
    """Of the rules and of the question. What is under way when time is up goes on, is kept and booked.

    :raises TimeoutError: not both were there in time.
    """
    rules = _begin(_rules(pool, context.business_id, embedder, tuple(whens)))
    question = _begin(_question(context, embedder, asked))
    done, pending = await asyncio.wait({rules, question}, timeout=DEADLINE)
    for each in done:
        each.result()
    if pending:
        raise TimeoutError
    return rules.result(), question.result()


def _begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(work)
    _at_work.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _at_work.discard(task)
    if not task.cancelled():
        task.exception()  # seen, also when its turn no longer waits


async def _rules(pool: Pool, business_id: int, embedder: Embedder, whens: tuple[str, ...]) -> list[array[float]]:
    keys = {when: f"{embedder.name}\0{when}" for when in whens}
    known = {when: value for when, key in keys.items() if (value := _units.get(key)) is not None}
    if missing := [when for when in whens if when not in known]:
        done = await embedder.documents(missing)
        for when, vector in zip(missing, done.vectors, strict=True):
            known[when] = _unit(vector).tobytes()
            _units.put(keys[when], known[when])
        if done.requests and not embedder.name.startswith(filling.LOCAL):
            async with pool.connection() as connection:
                await filling.book(connection, business_id, embedder.name, done.tokens, done.requests)
    return [array("f", known[when]) for when in whens]


async def _question(context: Context, embedder: Embedder, asked: str) -> array[float]:
    done = await embedder.query(asked)
    if done.requests and not embedder.name.startswith(filling.LOCAL):
        context.spent.append(filling.entry(embedder.name, done.tokens, done.requests))
    return _unit(done.vectors[0])


def _unit(vector: Sequence[float]) -> array[float]:
    length = math.sqrt(sum(map(mul, vector, vector))) or 1.0
    return array("f", [each / length for each in vector])
