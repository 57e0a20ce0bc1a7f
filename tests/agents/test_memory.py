from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from prosa.agents import memory
from prosa.contracts import Line

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
TEXTS = st.lists(st.text(max_size=400), max_size=30)


def lines(texts: list[str]) -> tuple[Line, ...]:
    return tuple(Line("customer", text, NOW, id=number) for number, text in enumerate(texts))


@given(TEXTS, st.integers(min_value=0, max_value=2000))
def test_keeps_the_newest_whole_lines_that_fit_and_no_fewer(texts: list[str], budget: int) -> None:
    history = lines(texts)
    kept = memory.recall(history, budget)

    assert kept.lines == history[len(history) - len(kept.lines) :]
    assert kept.dropped + len(kept.lines) == len(history)
    assert kept.tokens <= budget
    if kept.dropped:
        assert memory.recall(history, 10**9).tokens > budget
        one_more = memory.recall(history[kept.dropped - 1 :], 10**9).tokens
        assert one_more > budget


@given(TEXTS)
def test_a_question_that_fits_is_kept_to_the_letter(texts: list[str]) -> None:
    expected = memory.plain("\n".join(text for text in texts if text)).strip()
    assert memory.question(lines(texts)) == expected


@given(st.integers(min_value=memory.MAX_QUESTION + 1, max_value=200_000))
def test_a_monstrous_question_keeps_both_ends_and_says_what_is_missing(size: int) -> None:
    text = "begin" + "x" * (size - 8) + "end"
    asked = memory.question(lines([text]))

    assert asked.startswith("begin")
    assert asked.endswith("end")
    assert len(asked) < memory.MAX_QUESTION + 60
    assert f"[… {size - memory.MAX_QUESTION} characters left out …]" in asked


def test_fragments_are_one_question() -> None:
    assert memory.question(lines(["oi", "", "tem creme?"])) == "oi\ntem creme?"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_plain_text_can_be_sent_by_every_wire(text: str) -> None:
    plain = memory.plain(text)
    plain.encode("utf-8")
    assert "\x00" not in plain


def test_plain_text_keeps_lines_tabs_and_emoji() -> None:
    assert memory.plain("a\n\tb 👍🏽 é\x00\x1b[0m\ud800") == "a\n\tb 👍🏽 é[0m"
