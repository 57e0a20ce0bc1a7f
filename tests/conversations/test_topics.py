"""Topics on which only approved answers may be said."""

from __future__ import annotations

import pytest

from prosa.conversations.guidelines.topics import strict

LINES = "reembolso; devolução do dinheiro\n\nefeitos colaterais; side effects\n ; sem nome\n"


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Como peço o REEMBOLSO?", "reembolso"),
        ("vcs fazem reembolsos", "reembolso"),
        ("quero a devolucao do meu dinheiro", "reembolso"),
        ("quero a devolução do produto", ""),
        ("tem efeito colateral?", "efeitos colaterais"),
        ("any side effect?", "efeitos colaterais"),
        ("qual o prazo de entrega?", ""),
        ("", ""),
        ("bla " * 300 + "reembolso", "reembolso"),
    ],
)
def test_a_topic_is_known_by_its_words(text: str, topic: str):
    about = strict(LINES)
    assert about is not None
    assert about(text) == topic


@pytest.mark.parametrize("lines", ["", "\n \n", ";", " ; algo"])
def test_no_topic_no_check(lines: str):
    assert strict(lines) is None
