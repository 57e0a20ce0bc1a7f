"""How near a rule's "when" is to what a customer asks: shared stems and 4-grams, rare ones counting more.

The same analysis that searches knowledge, so that spelling mistakes, missing accents and chat spelling cost little. In
memory, for the few hundred rules a business has; no embedder is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from prosa.business.guidance import Relevance
from prosa.knowledge import analysis

_ALIKE = 0.5
"""Share of a word's grams that must be found for it to count at all."""


def to(question: str) -> Relevance:
    """The nearness of each text to ``question``, 0..1: the share of its words that is found, weighted by their rarity."""

    def score(texts: Sequence[str]) -> list[float]:
        asked = analysis.question(0, question)
        known = [frozenset(analysis.chunk(0, text).terms) for text in texts]
        found = [[_match(word, terms) for word in asked] for terms in known]
        weights = [math.log1p(len(texts) / max(sum(row[place] > 0 for row in found), 1)) for place in range(len(asked))]
        whole = sum(weights)
        return [
            sum(weight * match for weight, match in zip(weights, row, strict=True)) / whole if whole else 0.0
            for row in found
        ]

    return score


def _match(word: tuple[int, ...], terms: frozenset[int]) -> float:
    """1 when the stem is there, else the share of grams that are."""
    stem, *grams = word
    if stem in terms:
        return 1.0
    share = sum(gram in terms for gram in grams) / len(grams) if grams else 0.0
    return share if share >= _ALIKE else 0.0
