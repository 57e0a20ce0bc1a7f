"""Which "when" is nearest to a question."""

from __future__ import annotations

import pytest

from prosa.conversations import relevance

WHENS = (
    "o cliente perguntar sobre frete ou entrega",
    "o cliente quiser trocar ou devolver um produto",
    "el cliente pregunta por el horario de la tienda",
    "the customer asks for an invoice",
    "o cliente for grosseiro",
)


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
    scores = relevance.to(asked)(WHENS)
    assert max(range(len(WHENS)), key=scores.__getitem__) == nearest
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("asked", ["", "???", "👍", "kkkk"])
def test_what_asks_nothing_is_near_to_nothing(asked: str) -> None:
    assert relevance.to(asked)(WHENS) == [0.0] * len(WHENS)


def test_a_word_in_every_rule_tells_little() -> None:
    scores = relevance.to("sou cliente e quero nota, an invoice")(WHENS)
    assert scores[3] > scores[4]
