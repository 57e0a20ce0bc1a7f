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


def test_long_texts_are_compared_where_they_differ_and_shown_whole_where_that_is_too_much(monkeypatch):
    monkeypatch.setattr(comparing, "MOST_LINES", 2)
    old = "".join(f"{number}\n" for number in range(40))
    assert [piece for piece in compare(old, old.replace("20\n", "vinte\n")) if piece.kind in ("removed", "added")] == [
        Piece("removed", "20"), Piece("added", "vinte"),
    ]  # fmt: skip
    monkeypatch.setattr(comparing, "MOST_WORDS", 2)
    other = old.replace("20\n", "vinte\n").replace("23\n", "vinte e três\n")
    assert [piece for piece in compare(old, other) if piece.kind in ("removed", "added")] == [
        Piece("removed", "20\n21\n22\n23\n"), Piece("added", "vinte\n21\n22\nvinte e três\n"),
    ]  # fmt: skip
