"""Marks and bubbles."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.channels.text import numbered, shorten, split, whatsapp
from prosa.contracts import Option


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**bold**", "*bold*"),
        ("__bold__", "*bold*"),
        ("*italic* and _italic_", "_italic_ and _italic_"),
        ("***both***", "_*both*_"),
        ("~~gone~~", "~gone~"),
        ("`code *stays*`", "`code *stays*`"),
        ("```python\nx = **1**\n```", "```x = **1**```"),
        ("# Prices\nTea", "*Prices*\n\nTea"),
        ("## The **best** tea", "*The best tea*"),
        ("**two\nlines**", "*two*\n*lines*"),
        ("[our shop](https://shop.example/a_b_c)", "our shop (https://shop.example/a_b_c)"),
        ("[https://shop.example](https://shop.example/)", "https://shop.example/"),
        ("<https://shop.example/x>", "https://shop.example/x"),
        ("[mail us](mailto:a@shop.example)", "mail us (a@shop.example)"),
        ("[+55 11](tel:+5511)", "+55 11 (+5511)"),
        ("![a cup](https://cdn.example/cup.png)", "a cup (https://cdn.example/cup.png)"),
        ("* one\n* two", "- one\n- two"),
        ("- one\n  - deep\n- two", "- one\n  - deep\n- two"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("3) three\n4) four", "3) three\n4) four"),
        ("> quoted\n> twice", "> quoted\n> twice"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("line one\nline two", "line one\nline two"),
        ("one<br>two", "one\ntwo"),
        ("| Tea | Price |\n|---|---:|\n| Green | 3 |\n| Black | 4 |", "*Tea / Price*\n- *Green*: 3\n- *Black*: 4"),
        ("| Tea | Price | Stock |\n|---|---|---|\n| Green | 3 | 7 |", "*Tea*\n- *Green* — Price: 3; Stock: 7"),
        ("**Total:**R$ 10", "*Total:* R$ 10"),
        ("**Chá** e **café**", "*Chá* e *café*"),
        # what is no Markdown stays
        ("2 ** 3 ** 4", "2 ** 3 ** 4"),
        ("2 * 3 * 4 = 24", "2 * 3 * 4 = 24"),
        ("snake_case_name", "snake_case_name"),
        ("R$ 10,00 (10% off) #1", "R$ 10,00 (10% off) #1"),
        ("#promo", "#promo"),
        ("https://shop.example/a_b_c?x=1&y=*2*", "https://shop.example/a_b_c?x=1&y=_2_"),
        ("    indented", "indented"),
        ("[a]: https://shop.example", "[a]: https://shop.example"),
        ("<b>no HTML</b>", "<b>no HTML</b>"),
        ("Title\n---", "Title"),
        (r"5 \* 3", "5 * 3"),
        ("😀 olá — ação", "😀 olá — ação"),
        ("", ""),
    ],
)
def test_whatsapp_marks(markdown, expected):
    assert whatsapp(markdown) == expected


@given(text=st.text())
def test_no_word_is_lost_and_nothing_raises(text):
    assert whatsapp(whatsapp(text)) is not None


@given(words=st.lists(st.from_regex(r"[a-z]{2,9}", fullmatch=True), min_size=1, max_size=30), data=st.data())
def test_every_word_survives_its_marks(words, data):
    marks = (
        "{}",
        "**{}**",
        "*{}*",
        "`{}`",
        "~~{}~~",
        "# {}\n",
        "- {}\n",
        "[{}](https://x.example)",
        "\n\n> {}\n\n",
        "\n\n| {} |\n|---|\n\n",
    )
    text = " ".join(data.draw(st.sampled_from(marks)).format(word) for word in words)
    shown = whatsapp(text)
    assert [word for word in re.findall(r"[a-z]{2,}", shown) if word not in ("https", "example")] == words


# ── bubbles ──


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("", 10, []),
        ("  \n ", 10, []),
        ("short", 10, ["short"]),
        ("first part.\n\nsecond part.", 20, ["first part.", "second part."]),
        ("first line\nsecond line", 15, ["first line", "second line"]),
        ("One is done. Two is done.", 16, ["One is done.", "Two is done."]),
        ("some words without end", 12, ["some words", "without end"]),
        (
            "see https://shop.example/abc now",
            27,
            ["see", "https://shop.example/abc", "now"],
        ),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
    ],
)
def test_breaks_where_one_breathes(text, limit, pieces):
    assert split(text, limit) == pieces


@given(text=st.text(st.characters(codec="utf-8")), limit=st.integers(20, 60))
def test_nothing_is_lost_and_every_piece_fits(text, limit):
    pieces = split(text, limit)
    assert all(0 < len(piece.encode("utf-16-le")) // 2 <= limit for piece in pieces)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)


@given(
    words=st.lists(st.from_regex(r"[a-z]{1,12}[.!?]?", fullmatch=True), min_size=1, max_size=300),
    limit=st.integers(40, 200),
)
def test_words_stay_whole_and_bubbles_few(words, limit):
    text = " ".join(words)
    pieces = split(text, limit)
    assert " ".join(pieces) == text
    assert len(pieces) <= 2 * len(text) / limit + 1


FAMILY, FLAG, THUMB = "👩‍👩‍👧‍👦", "🇧🇷", "👍🏽"


@pytest.mark.parametrize("whole", [FAMILY, FLAG, THUMB, "e\u0301", "✌️"])
def test_a_character_of_several_code_points_is_never_cut(whole):
    for piece in split("x" + whole * 20, 15):
        assert piece.replace("x", "").replace(whole, "") == ""


def test_a_short_text_is_cut_with_an_ellipsis_only_when_needed():
    assert shorten("Talk to a human", 20) == "Talk to a human"
    assert shorten("Talk to a human being, please", 20) == "Talk to a human bei…"
    assert shorten("x" + FLAG, 4) == "x…"


@given(text=st.text(), limit=st.integers(2, 30))
def test_shortened_text_fits(text, limit):
    assert len(shorten(text, limit)) <= limit


def test_numbered_options():
    assert numbered((Option("a", "Tea"), Option("b", "Coffee", "strong"))) == "1. Tea\n2. Coffee — strong"
    assert numbered(()) == ""
