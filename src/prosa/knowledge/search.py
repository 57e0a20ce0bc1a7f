"""Which approved answers and which passages of documents fit a question.

Approved answers: full text in Portuguese, Spanish and English at once, without extensions. Accents and case are folded on both sides, each word is matched by its stem in all three languages, and an answer's score
is the share of the question's words it covers: a question about something else covers few and scores low.

Passages: what ``prosa.knowledge.ranking`` finds, down to a score floor, so that a question about something else finds none.
``prosa.knowledge.fusion`` joins vectors to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prosa import sql
from prosa.contracts import ApprovedAnswer, Passage
from prosa.knowledge import ranking
from prosa.knowledge.analysis import fold
from prosa.knowledge.words import EMPTY
from prosa.postgres.connections import Connection

MOST_TERMS = 24
"""Words of a question that are looked at; the rest of a long letter adds nothing."""

FLOOR = 0.25
"""Below this score a passage is about something else (measured on the labelled set of tests/knowledge)."""

queries = sql.load(__file__, "search.sql")
_WORD = re.compile(r"[a-z0-9]+")


def terms(text: str) -> list[str]:
    """The words of a question that carry its topic, folded, each once, in order; at most :data:`MOST_TERMS`."""
    words = dict.fromkeys(_WORD.findall(fold(text[:4000])))
    return [word for word in words if word not in EMPTY and (len(word) > 1 or word.isdecimal())][:MOST_TERMS]


def _forms(term: str) -> str:
    """The word and its neighbours in number, which the stemmers miss for some verbs: ``abre`` finds ``abrem`` and ``abren``."""
    base = term[:-1] if len(term) > 3 and term[-1] in "mns" else term
    return " ".join(dict.fromkeys((term, base, f"{base}m", f"{base}n", f"{base}s"))) if base.isalpha() else term


async def approved(connection: Connection, business_id: int, text: str, limit: int) -> Sequence[ApprovedAnswer]:
    """The approved answers of a business that share words with ``text``, best first, with a ``score`` in 0..1.

    One query on the caller's connection. Empty when the text holds no word that carries a topic.
    """
    asked = terms(text)
    if not asked:
        return []
    cursor = await connection.execute(
        queries.approved,
        {"terms": asked, "forms": [_forms(term) for term in asked], "business_id": business_id, "limit": limit},
    )
    return [ApprovedAnswer(*row) for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk, its ``score`` in 0..1, and what it was found by: ``lexical`` in 0..1, ``vector`` its cosine, None without one."""

    chunk: int
    document: int
    score: float
    lexical: float
    vector: float | None = None


async def passages(
    connection: Connection, business_id: int, text: str, limit: int, floor: float = FLOOR
) -> Sequence[Passage]:
    """By words alone, on the caller's connection: the passages of a business that fit ``text``, best first.

    As ``fusion.passages``, which customers are answered from.
    """
    asked = await ranking.weigh(connection, business_id, text)
    if asked is None:
        return []
    ranked = [each for each in await ranking.rank(connection, business_id, asked) if each.score >= floor][:limit]
    found = [Found(each.chunk, each.document, each.score, each.score) for each in ranked]
    return await read(connection, business_id, found) if found else []


async def read(connection: Connection, business_id: int, found: Sequence[Found]) -> list[Passage]:
    """The passages of chunks, in their order; those replaced meanwhile are left out."""
    cursor = await connection.execute(
        ranking.queries.passages, {"business_id": business_id, "ids": sql.Longs([each.chunk for each in found])}
    )
    rows = {row[0]: row for row in await cursor.fetchall()}
    return [
        Passage(
            chunk_id=row[0],
            title=row[1],
            section=row[2],
            text=row[3],
            score=each.score,
            url=row[4],
            date=row[5].date().isoformat(),
            language=row[6],
            document=row[7],
            lexical=each.lexical,
            vector=each.vector,
        )
        for each in found
        if (row := rows.get(each.chunk)) is not None
    ]
