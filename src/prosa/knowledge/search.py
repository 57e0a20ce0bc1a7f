"""Which approved answers and which passages of documents fit a question.

Approved answers: full text in Portuguese, Spanish and English at once, without extensions. Accents and case are folded on both sides, each word is matched by its stem in all three languages, and an answer's score
is the share of the question's words it covers: a question about something else covers few and scores low.

Passages: what ``prosa.knowledge.ranking`` finds, down to a score floor, so that a question about something else finds none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prosa import sql
from prosa.contracts import ApprovedAnswer, Passage
from prosa.knowledge import ranking
from prosa.knowledge.analysis import fold
from prosa.knowledge.words import EMPTY
from prosa.postgres.connections import Connection

MOST_TERMS = 24
"""Words of a question that are looked at; the rest of a long letter adds nothing."""

FLOOR = 0.2
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


async def passages(
    connection: Connection, business_id: int, text: str, limit: int, floor: float = FLOOR
) -> Sequence[Passage]:
    """The passages of a business that fit ``text``, best first, with a ``score`` in 0..1 of at least ``floor``.

    Three queries on the caller's connection. Empty when nothing fits: then the business has not said anything about it.
    """
    found = [each for each in await ranking.rank(connection, business_id, text) if each.score >= floor][:limit]
    if not found:
        return []
    cursor = await connection.execute(
        ranking.queries.passages, {"business_id": business_id, "ids": sql.Longs([each.chunk for each in found])}
    )
    rows = {row[0]: row for row in await cursor.fetchall()}
    # A chunk may have been replaced between the queries.
    scored = [(rows[each.chunk], each.score) for each in found if each.chunk in rows]
    return [
        Passage(
            chunk_id=row[0],
            title=row[1],
            section=row[2],
            text=row[3],
            score=score,
            url=row[4],
            date=row[5].date().isoformat(),
            language=row[6],
            document=row[7],
        )
        for row, score in scored
    ]


async def documents(connection: Connection, business_id: int, text: str, limit: int) -> Sequence[tuple[str, float]]:
    """The external ids of the documents that fit ``text`` and the score of the best chunk of each, best first, no floor."""
    best: dict[int, float] = {}
    for each in await ranking.rank(connection, business_id, text):
        best.setdefault(each.document, each.score)
    ids = list(best)[:limit]
    cursor = await connection.execute(ranking.queries.names, {"business_id": business_id, "ids": sql.Longs(ids)})
    names: dict[int, str] = dict(await cursor.fetchall())
    return [(names[each], best[each]) for each in ids if each in names]
