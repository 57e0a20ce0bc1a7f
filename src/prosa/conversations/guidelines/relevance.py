"""How near a rule's "when" is to what a customer asks: shared stems and 4-grams, rare ones counting more, and meaning.

The words are read by the same analysis that searches knowledge, so that spelling mistakes, missing accents and chat
spelling cost little; in memory, for the few hundred rules a business has. What vectors say is given (``meaning``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from prosa.business.guidance import Near, Relevance
from prosa.knowledge import analysis
from prosa.knowledge.fusion import Service

_ALIKE = 0.5
"""Share of a word's grams that must be found for it to count at all."""
_KNOWN = 4096
"""Texts whose words are kept: rules are the same in every turn."""


def to(question: str) -> Relevance:
    """The nearness of each text to ``question`` by words: the share of them that is found, weighted by their rarity."""

    def near(texts: Sequence[str]) -> list[Near]:
        return [Near(score, score) for score in _by_words(question, texts)]

    return near


def both(question: str, cosines: Mapping[str, float], served: Service) -> Relevance:
    """The nearness by words and by meaning. ``cosines`` of each text to the question; ``served`` as in ``knowledge.fusion``.

    All texts of a business are somewhat near to any question, and how much depends on the model. Meaning therefore counts from where a text
    stands out among the others (one standard deviation above their mean), and like there it lifts but never lowers.
    """
    spread = list(cosines.values())
    mean = sum(spread) / len(spread) if spread else 0.0
    stands_out = mean + math.sqrt(sum((each - mean) ** 2 for each in spread) / len(spread)) if spread else 1.0

    def meaning(cosine: float) -> float:
        return max(0.0, min(1.0, (cosine - mean) / (1 - mean))) if cosine > stands_out and mean < 1 else 0.0

    def near(texts: Sequence[str]) -> list[Near]:
        found = []
        for text, words in zip(texts, _by_words(question, texts), strict=True):
            meant = meaning(cosines[text]) if text in cosines else 0.0
            found.append(Near(words + served.weight * (1 - words) * meant, words, meant))
        return found

    return near


def _by_words(question: str, texts: Sequence[str]) -> list[float]:
    asked = analysis.question(0, question)
    known = [_terms(text) for text in texts]
    found = [[_match(word, terms) for word in asked] for terms in known]
    weights = [math.log1p(len(texts) / max(sum(row[place] > 0 for row in found), 1)) for place in range(len(asked))]
    whole = sum(weights)
    return [
        sum(weight * match for weight, match in zip(weights, row, strict=True)) / whole if whole else 0.0
        for row in found
    ]


@lru_cache(_KNOWN)
def _terms(text: str) -> frozenset[int]:
    return frozenset(analysis.chunk(0, text).terms)


def _match(word: tuple[int, ...], terms: frozenset[int]) -> float:
    """1 when the stem is there, else the share of grams that are."""
    stem, *grams = word
    if stem in terms:
        return 1.0
    share = sum(gram in terms for gram in grams) / len(grams) if grams else 0.0
    return share if share >= _ALIKE else 0.0
