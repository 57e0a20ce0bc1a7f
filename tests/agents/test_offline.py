from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from prosa.agents import offline, runner
from prosa.contracts import ApprovedAnswer, Handoff, Turn

Make = Callable[..., Turn]
WORDS = {"unknown": "Não sei dizer.", "offer_person": "Chamo alguém?"}


class Library:
    """Approved answers as a turn carries them: remembers what it was asked."""

    def __init__(self, *answers: ApprovedAnswer, error: Exception | None = None) -> None:
        self.answers = answers
        self.error = error
        self.asked: list[str] = []

    async def __call__(self, text: str) -> tuple[ApprovedAnswer, ...]:
        self.asked.append(text)
        if self.error:
            raise self.error
        return self.answers


async def test_the_best_approved_answer_is_said_word_by_word(turn: Make) -> None:
    library = Library(ApprovedAnswer(1, "a", "Pior.", 0.5), ApprovedAnswer(2, "b", " **Melhor**, até 7 dias. ", 0.9))
    result = await runner.run(turn(model="offline", approved=library, words=WORDS))
    assert [reply.text for reply in result.replies] == ["**Melhor**, até 7 dias."]
    assert result.trace["sources"] == [2]
    assert (result.model, result.error, result.usage.cost, result.usage.requests) == ("offline", "", Decimal(0), 0)


@pytest.mark.parametrize(
    "answers",
    [(), (ApprovedAnswer(1, "a", "Errado.", offline.FLOOR - 0.01),), (ApprovedAnswer(1, "a", "  ", 0.99),)],
)
async def test_below_the_floor_it_says_that_it_does_not_know(turn: Make, answers: tuple[ApprovedAnswer, ...]) -> None:
    result = await runner.run(turn(model="offline", approved=Library(*answers), words=WORDS))
    assert [reply.text for reply in result.replies] == ["Não sei dizer. Chamo alguém?"]
    assert result.trace["offline"] == "unknown"


async def test_fragments_are_looked_up_as_one_question(turn: Make) -> None:
    library = Library()
    await runner.run(turn(("oi", "vocês entregam", "em Recife?"), model="offline", approved=library))
    assert library.asked == ["oi\nvocês entregam\nem Recife?"]


async def test_a_failing_lookup_costs_no_answer(turn: Make) -> None:
    result = await runner.run(turn(model="offline", approved=Library(error=RuntimeError("no database")), words=WORDS))
    assert result.replies[0].text == "Não sei dizer. Chamo alguém?"
    assert "no database" in result.trace["lookup_error"]


def test_a_turn_without_words_is_answered_all_the_same(turn: Make) -> None:
    assert offline.answer(turn()).replies[0].text == f"{offline.WORDS['unknown']} {offline.WORDS['offer_person']}"


@pytest.mark.parametrize("text", ["Sim, por favor!", "sí", "quero", "Yes please"])
def test_yes_to_our_offer_brings_a_person(turn: Make, text: str) -> None:
    offered = [("customer", "tem?"), ("bot", "Não sei dizer. Chamo alguém?")]
    result = offline.answer(turn(text, words=WORDS | {"handed_off": "Já chamo."}, history=offered))
    assert result.handoff == Handoff("accepted")
    assert result.replies[0].text == "Já chamo."
    assert not offline.answer(
        turn(text, words=WORDS, history=[*offered, ("customer", "deixa"), ("bot", "Ok!")])
    ).handoff
    assert not offline.answer(turn(text, words=WORDS)).handoff


@pytest.mark.parametrize(
    "text", ["qual o preço por pessoa?", "serve para uma pessoa idosa?", "simples assim", "sim, mas qual o prazo?"]
)
def test_other_words_bring_nobody(turn: Make, text: str) -> None:
    offered = [("bot", "Não sei dizer. Chamo alguém?")]
    assert offline.answer(turn(text, words=WORDS, history=offered)).handoff is None


@pytest.mark.parametrize("said", [("oi",), ("Olá!!", "bom dia"), ("Oiii 😊",), ("Hola, ¿qué tal?",), ("hello there",)])
async def test_hello_is_answered_with_hello(turn: Make, said: tuple[str, ...]) -> None:
    result = await runner.run(turn(said, model="offline", words={"greeting": "Olá! Como podemos ajudar?"}))
    assert [reply.text for reply in result.replies] == ["Olá! Como podemos ajudar?"]


@pytest.mark.parametrize("said", [("oi, vocês entregam?",), ("bom dia", "qual o preço?"), ("?",), ("oitenta",)])
async def test_more_than_hello_is_a_question(turn: Make, said: tuple[str, ...]) -> None:
    result = await runner.run(turn(said, model="offline", words=WORDS))
    assert result.trace["offline"] == "unknown"


async def test_of_two_answers_that_fit_by_half_neither_is_said(turn: Make) -> None:
    """ "Prazo para troca" shares a word with the delivery's answer and one with the exchange's: guessing is not honest."""
    library = Library(ApprovedAnswer(1, "entrega", "Dois dias.", 0.5), ApprovedAnswer(2, "troca", "Sete dias.", 0.52))
    result = await runner.run(turn("prazo para troca?", model="offline", approved=library, words=WORDS))
    assert result.trace["offline"] == "unknown"


async def test_of_two_answers_that_fit_wholly_the_first_is_said(turn: Make) -> None:
    library = Library(ApprovedAnswer(1, "a", "Sim.", 1.0), ApprovedAnswer(2, "b", "Também.", 1.0))
    result = await runner.run(turn(model="offline", approved=library, words=WORDS))
    assert [reply.text for reply in result.replies] == ["Sim."]
