"""What is said of a passage when no model words it."""

from __future__ import annotations

import pytest

from prosa.agents.passages import quoted
from prosa.contracts import Passage

TEXT = """## Prazos

O prazo para a capital é de 2 dias úteis. Para o interior, de 5 a 7 dias. Em dezembro pode demorar mais.

### Troca
A troca é grátis."""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("e para o interior?", "Para o interior, de 5 a 7 dias."),
        ("qual o praso?", "O prazo para a capital é de 2 dias úteis."),
        ("entrga", "O prazo para a capital é de 2 dias úteis. Para o interior, de 5 a 7 dias."),
        ("como e a troca", "A troca é grátis."),
    ],
)
def test_the_nearest_sentences_without_headings(asked: str, said: str):
    assert quoted(Passage(1, "Entrega", "Prazos", TEXT, 0.9), asked) == said


def test_a_heading_alone_says_nothing():
    assert quoted(Passage(1, "Entrega", "Prazos", "## Prazos", 0.9), "prazos") == ""
