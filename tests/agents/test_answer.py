from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.agents import answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\x00\x01",
        "…",
        "***",
        "<think>only a thought</think>",
        "<think>never ends",
        "[team] ",
        "\u200b\u200b",
        "__",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(answer.Nonsense):
        answer.fit(text)


@pytest.mark.parametrize("text", ["Ok", "7", "👍", "❤", "sí", "はい"])
def test_a_short_answer_is_an_answer(text: str) -> None:
    assert answer.fit(text) == (text, {})


@pytest.mark.parametrize(
    "text",
    [
        "<think>a\nb</think>\n\nOlá!",
        "<THINKING>x</THINKING>Olá!",
        "leaked without a beginning</think>Olá!",
        "Olá!<think>and now an endless one",
        "<think>one</think>Olá!<think>two</think>",
    ],
)
def test_thoughts_never_leave(text: str) -> None:
    assert answer.fit(text) == ("Olá!", {"thought": "removed"})


def test_our_labels_are_not_repeated() -> None:
    assert answer.fit("[team] [note] Olá [team]!")[0] == "Olá [team]!"


def test_control_characters_are_removed() -> None:
    assert answer.fit("Ol\x00á\x07!\nTudo bem?")[0] == "Olá!\nTudo bem?"


def test_a_long_answer_ends_at_a_paragraph() -> None:
    paragraph = "Uma frase que diz algo. " * 10
    text = "\n\n".join([paragraph.strip()] * 200)
    said, notes = answer.fit(text)
    assert len(said) <= answer.MAX_ANSWER
    assert text.startswith(f"{said}\n\n")
    assert notes == {"cut_from": len(text)}


def test_without_paragraphs_it_ends_at_a_sentence() -> None:
    text = "Uma frase que diz algo. " * 500
    said, _ = answer.fit(text)
    assert said.endswith("algo.")


@given(st.text(min_size=1, max_size=60), st.integers(1, 400))
def test_whatever_comes_what_leaves_is_short_and_readable(text: str, times: int) -> None:
    try:
        said, _ = answer.fit(text * times)
    except answer.Nonsense:
        return
    assert 0 < len(said) <= answer.MAX_ANSWER + 2
    assert "\x00" not in said
    assert said.strip()
