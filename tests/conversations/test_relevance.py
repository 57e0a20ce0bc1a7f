"""Which "when" is nearest to a question."""

from __future__ import annotations

import pytest

from prosa.conversations.guidelines import relevance
from prosa.knowledge.fusion import Service

WHENS = (
    "o cliente perguntar sobre frete ou entrega",
    "o cliente quiser trocar ou devolver um produto",
    "el cliente pregunta por el horario de la tienda",
    "the customer asks for an invoice",
    "o cliente for grosseiro",
)


def by_words(asked: str) -> list[float]:
    near = relevance.to(asked)(WHENS)
    assert all(each.score == each.words and each.meaning is None for each in near)
    return [each.score for each in near]


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("quanto é o frete pra Campinas?", 0),
        ("vcs entregan hj?", 0),
        ("qero devolver o produt", 1),
        ("a que HORARIO abre la tienda", 2),
        ("I need the invoices", 3),
    ],
)
def test_the_nearest_is_found_whatever_the_spelling(asked: str, nearest: int) -> None:
    scores = by_words(asked)
    assert max(range(len(WHENS)), key=scores.__getitem__) == nearest
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("asked", ["", "???", "👍", "kkkk"])
def test_what_asks_nothing_is_near_to_nothing(asked: str) -> None:
    assert by_words(asked) == [0.0] * len(WHENS)


def test_a_word_in_every_rule_tells_little() -> None:
    scores = by_words("sou cliente e quero nota, an invoice")
    assert scores[3] > scores[4]


SERVED = Service(0.8, 0.1)


def test_meaning_lifts_what_stands_out_and_lowers_nothing() -> None:
    cosines = dict(zip(WHENS, (0.5, 0.52, 0.48, 0.9, 0.5), strict=True))
    asked = "quanto é o frete?"
    words, near = by_words(asked), relevance.both(asked, cosines, SERVED)(WHENS)
    assert all(one.score >= other for one, other in zip(near, words, strict=True))
    assert [each.why for each in near] == ["words", "", "", "meaning", ""]
    assert near[3].score > near[1].score == 0
    assert all(0 <= each.score <= 1 for each in near)


@pytest.mark.parametrize("cosine", [0.0, 0.7, 1.0])
def test_where_all_are_as_near_meaning_says_nothing(cosine: float) -> None:
    near = relevance.both("?", dict.fromkeys(WHENS, cosine), SERVED)(WHENS)
    assert [each.why for each in near] == [""] * len(WHENS)


def test_a_rule_without_a_vector_goes_by_its_words() -> None:
    near = relevance.both("qual o frete?", {}, SERVED)(WHENS)
    assert [each.why for each in near] == ["words", "", "", "", ""]
