"""A difference is one that both texts can be read back from."""

from hypothesis import given
from hypothesis import strategies as st

from prosa.business import comparing
from prosa.business.comparing import Piece, compare

TEXT = st.text("ab \n.", max_size=60)


@given(TEXT, TEXT)
def test_nothing_is_lost_or_made_up(old, new):
    pieces = compare(old, new)
    if old == new:
        assert pieces == []
        return
    lines = sum(piece.lines for piece in pieces)
    for text, other in ((old, "added"), (new, "removed")):
        shown = "".join(piece.text for piece in pieces if piece.kind != other)
        assert shown == text if not lines else len(shown.splitlines()) + lines == len(text.splitlines())


def test_only_the_words_that_differ_are_marked():
    assert compare("Abrimos às 9h.\nAté logo.", "Abrimos às 10h.\nAté logo.") == [
        Piece("same", "Abrimos às "), Piece("removed", "9h"), Piece("added", "10h"), Piece("same", ".\n"), Piece("same", "Até logo."),
    ]  # fmt: skip


def test_what_did_not_change_is_folded():
    old = "".join(f"{number}\n" for number in range(40))
    pieces = compare(old, old + "fim")
    assert [(piece.kind, piece.lines) for piece in pieces] == [("skipped", 37), ("same", 0), ("added", 0)]


def test_a_passage_too_long_to_compare_is_shown_whole(monkeypatch):
    monkeypatch.setattr(comparing, "MOST_WORDS", 2)
    assert compare("a b c", "a b d") == [Piece("removed", "a b c"), Piece("added", "a b d")]
