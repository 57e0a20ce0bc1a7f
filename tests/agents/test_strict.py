"""On strict topics only approved answers are said, whatever a model would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prosa.agents import runner
from prosa.contracts import ApprovedAnswer, Passage, Turn
from prosa.simulator.fake_llm import Control

Make = Callable[..., Turn]
ANSWER = "O reembolso sai em 10 dias."


def about(text: str) -> str:
    return "reembolso" if "reembolso" in text.lower() else ""


async def approved(text: str) -> Sequence[ApprovedAnswer]:
    return [ApprovedAnswer(1, "Como é o reembolso?", ANSWER, 0.95 if "reembolso" in text else 0.3)]


async def nothing(text: str) -> Sequence[ApprovedAnswer]:
    return []


async def passages(text: str) -> Sequence[Passage]:
    return [Passage(1, "Política", "", "Reembolso em 3 dias.", 0.99)]


async def test_a_strict_question_is_answered_word_by_word_and_asks_no_model(models: Control, turn: Make) -> None:
    result = await runner.run(turn("Como é o reembolso?", strict=about, approved=approved, passages=passages))
    assert (result.replies[0].text, result.trace["strict"], len(models.requests)) == (ANSWER, "reembolso", 0)


async def test_without_an_approved_answer_a_person_is_offered_and_no_document_quoted(
    models: Control, turn: Make
) -> None:
    words = {"unknown": "Não sei.", "offer_person": "Chamo alguém?"}
    result = await runner.run(
        turn("E o reembolso?", strict=about, approved=nothing, passages=passages, words=words, model="offline")
    )
    assert result.replies[0].text == "Não sei. Chamo alguém?"
    assert not models.requests


async def test_a_draft_that_strays_there_is_not_sent(models: Control, turn: Make) -> None:
    models.say = lambda _: "O prazo é 7 dias e o reembolso cai na hora."
    result = await runner.run(turn("Qual o prazo?", strict=about, approved=nothing))
    assert len(models.requests) == 1
    assert "reembolso" not in result.replies[0].text
    assert result.trace["rejected"][0]["strict"] == "reembolso"


async def test_a_draft_may_say_what_was_approved(models: Control, turn: Make) -> None:
    models.say = lambda _: f"Claro! {ANSWER} Algo mais?"
    result = await runner.run(turn("Qual o prazo?", strict=about, approved=approved))
    assert result.replies[0].text == f"Claro! {ANSWER} Algo mais?"


async def test_choices_stray_no_further_than_words(models: Control, turn: Make) -> None:
    models.call(("send_options", {"text": "Qual?", "options": ["Reembolso na hora", "Troca"]}))
    result = await runner.run(
        turn("Qual o prazo?", strict=about, approved=nothing, proposals=frozenset({"send_options"}))
    )
    assert not result.replies[0].options
    assert result.trace["rejected"][0]["strict"] == "reembolso"
