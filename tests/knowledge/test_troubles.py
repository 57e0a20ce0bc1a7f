"""Every sentence that may be stored with a source is known, and told in the reader's language."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.utils import translation

import prosa
from prosa.knowledge import troubles

ROOT = Path(prosa.__file__).parent
FILES = [
    *(ROOT / "knowledge" / f"{name}.py" for name in ("origins", "web", "reading", "sync", "runs")),
    *sorted((ROOT / "knowledge" / "loaders").glob("*.py")), ROOT / "http.py", ROOT / "addresses.py",
]  # fmt: skip


def raised() -> set[tuple[str, str]]:
    """(first line, second line) of every two-line message, particulars as ``X``; a variable of text is left as it is."""
    found = set()
    for file in FILES:
        tree = ast.parse(file.read_text())
        within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in within or not isinstance(node, ast.Constant | ast.JoinedStr):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(
                part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "X" for part in parts
            )
            if text.count("\n") == 1 and re.search(r"[^\s]\n[A-Z]", text) and len(text) < 300:
                what, _, move = text.partition("\n")
                found.add((what, move))
    return found


def test_there_are_many() -> None:
    assert len(raised()) > 50


@pytest.mark.parametrize(("what", "move"), sorted(raised()))
def test_what_is_raised_is_known(what: str, move: str) -> None:
    assert what == "X" or troubles.sentence(what, troubles.WHAT), what
    assert troubles.sentence(move, troubles.MOVES), move


@pytest.mark.parametrize("msgid", [*troubles.WHAT, *troubles.MOVES])
def test_a_sentence_is_recognised_as_itself(msgid: str) -> None:
    known = troubles.WHAT if msgid in troubles.WHAT else troubles.MOVES
    given = dict.fromkeys(re.findall(r"%\((\w+)\)s", msgid), "tabela (2).pdf")
    found = troubles.sentence(msgid % given if given else msgid, known)
    assert found is not None
    assert found[0] == msgid
    assert found[1].groupdict() == given


@pytest.mark.parametrize("tongue", ["pt-br", "es"])
def test_every_sentence_has_its_translation(tongue: str) -> None:
    with translation.override(tongue):
        for msgid in (*troubles.WHAT, *troubles.MOVES, *troubles.NAMES):
            said = translation.gettext(msgid)
            assert said != msgid
            assert set(re.findall(r"%\((\w+)\)s", said)) == set(re.findall(r"%\((\w+)\)s", msgid))


STORED = "preços 100%.pdf has no text, only pictures of pages.\nRun text recognition (OCR) on it first."


def test_it_is_told_in_the_readers_language() -> None:
    with translation.override("pt-br"):
        assert troubles.told(STORED) == (
            "preços 100%.pdf não tem texto, só imagens de páginas.",
            "Faça antes o reconhecimento de texto (OCR).",
        )
        assert troubles.told(
            "a.zip is a ZIP archive.\nUnpack it, and add it as PDF, DOCX, XLSX, CSV, HTML, Markdown or text."
        ) == (
            "a.zip é um arquivo ZIP.",
            "Descompacte-o e adicione como PDF, DOCX, XLSX, CSV, HTML, Markdown ou texto.",
        )
    with translation.override("es"):
        assert troubles.in_one_line(STORED).startswith("preços 100%.pdf no tiene texto")
    with translation.override("en"):
        assert troubles.told(STORED) == tuple(STORED.split("\n"))


@pytest.mark.parametrize("error", ["", "A plug-in's own words.", "Mine.\nTheirs.", "x" * 100_000])
def test_what_is_not_known_is_shown_as_it_is(error: str) -> None:
    with translation.override("pt-br"):
        what, _, move = error.partition("\n")
        assert troubles.told(error) == (what, move)
