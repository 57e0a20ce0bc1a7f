"""The business's knowledge in a turn: a tool for the model, and the sentences that answer when there is no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from prosa.agents import memory
from prosa.contracts import Json, Passage, Tool, ToolContext, ToolResult

MOST = 5
"""Passages one search shows a model."""
KEPT = 400
"""Characters of a passage that the turn's record keeps."""
NOTHING = "Nothing was found. Do not guess: say that you do not know and offer to bring in a person."

_HEADING = re.compile(r"^\s*#{1,6}\s.*$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])|\n+")
_GRAM = 4


async def _search(context: ToolContext, given: Json) -> ToolResult:
    if context.turn.passages is None:
        return ToolResult(NOTHING)
    found = tuple(await context.turn.passages(given["query"]))[:MOST]
    if not found:
        return ToolResult(NOTHING)
    return ToolResult("\n\n".join(f"[{source(passage)}]\n{passage.text}" for passage in found), sources=found)


SEARCH = Tool(
    name="search_knowledge",
    description=(
        "Search what the business has written down (products, prices, policies, opening hours, instructions). Call it before "
        "you say that you do not know, and answer only what its passages say."
    ),
    schema={
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": 400,
                "description": "What to look for, in the customer's language, complete without the conversation.",
            }
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    run=_search,
)


def source(passage: Passage) -> str:
    """Where a passage stands, for people: title, section, date."""
    return " ".join(", ".join(filter(None, (passage.title, passage.section, passage.date))).split())


def told(passage: Passage) -> Json:
    """For the turn's record, with the words as they were: documents change."""
    return {
        "id": passage.chunk_id,
        "source": source(passage),
        "score": round(passage.score, 4),
        "title": passage.title,
        "section": passage.section,
        "date": passage.date,
        "url": passage.url,
        "document": passage.document,
        "text": passage.text[:KEPT],
        "legs": {
            name: round(value, 4)
            for name, value in (("words", passage.lexical), ("vectors", passage.vector))
            if value is not None
        },
    }


def quoted(passage: Passage, asked: str, most: int = 2) -> str:
    """The sentences of a passage nearest to a question, word by word, in their order; its first ones where spelling tells
    none apart (the search has judged the passage already). Without the marks of headings. Empty when there is no sentence.
    """
    text = _HEADING.sub("", memory.plain(passage.text))
    sentences = [each.strip() for each in _SENTENCE.split(text) if each.strip()]
    for size in (_GRAM, _GRAM - 1):
        grams = _grams(asked, size)
        near = [(len(_grams(each, size) & grams), -place, each) for place, each in enumerate(sentences)]
        best = sorted((each for each in near if each[0]), reverse=True)[:most]
        if best:
            kept: Sequence[tuple[int, int, str]] = [each for each in best if each[0] * 2 >= best[0][0]]
            return " ".join(each for _, _, each in sorted(kept, key=lambda each: -each[1]))
    return " ".join(sentences[:most])


def _grams(text: str, size: int) -> set[str]:
    apart = unicodedata.normalize("NFKD", text.lower())
    words = re.findall(r"\w+", "".join(each for each in apart if not unicodedata.combining(each)))
    return {word[at : at + size] for word in words for at in range(len(word) - size + 1)}
