"""What changed between two texts, by lines and within them by words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

CONTEXT = 3
"""Unchanged lines shown around a change."""
MOST_WORDS = 3000
"""A changed passage with more words than this is shown as a whole: comparing takes their square."""
MOST_LINES = 3000
"""The same of the lines between the first and the last that differ."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text. ``kind``: ``same``, ``added``, ``removed`` or ``skipped`` (``lines`` unchanged, not shown)."""

    kind: str
    text: str = ""
    lines: int = 0


def compare(old: str, new: str) -> list[Piece]:
    """From ``old`` to ``new``: without the added pieces one reads the old text, without the removed the new.

    Long unchanged stretches become one ``skipped`` piece. Equal texts give an empty list.
    """
    if old == new:
        return []
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[Piece] = []
    changes = _changes(before, after)
    for place, (kind, start, end, into, upto) in enumerate(changes):
        if kind == "equal":
            pieces += _around(before[start:end], first=place == 0, last=place == len(changes) - 1)
        else:
            pieces += _words("".join(before[start:end]), "".join(after[into:upto]))
    return pieces


def _changes(before: list[str], after: list[str]) -> list[tuple[str, int, int, int, int]]:
    """As ``SequenceMatcher.get_opcodes``; what both texts begin and end with is not compared."""
    most = min(len(before), len(after))
    head = next((at for at in range(most) if before[at] != after[at]), most)
    tail = next((at for at in range(most - head) if before[-1 - at] != after[-1 - at]), most - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    found = [("equal", 0, head, 0, head)] if head else []
    if max(len(old), len(new)) > MOST_LINES:
        found.append(("replace", head, head + len(old), head, head + len(new)))
    else:
        # With its heuristic for lines that recur: blank ones would make it take the cube.
        found += [
            (kind, head + start, head + end, head + into, head + upto)
            for kind, start, end, into, upto in SequenceMatcher(None, old, new).get_opcodes()
        ]
    if tail:
        found.append(("equal", head + len(old), len(before), head + len(new), len(after)))
    return found


def _around(lines: list[str], *, first: bool, last: bool) -> list[Piece]:
    head, tail = 0 if first else CONTEXT, 0 if last else CONTEXT
    hidden = len(lines) - head - tail
    if hidden < CONTEXT:
        return [Piece("same", "".join(lines))]
    shown = [Piece("same", "".join(lines[:head])), Piece("skipped", lines=hidden)]
    return [
        piece for piece in [*shown, Piece("same", "".join(lines[len(lines) - tail :]))] if piece.text or piece.lines
    ]


def _words(old: str, new: str) -> list[Piece]:
    before, after = re.findall(r"\w+|\s+|[^\w\s]", old), re.findall(r"\w+|\s+|[^\w\s]", new)
    if not before or not after or max(len(before), len(after)) > MOST_WORDS:
        return [piece for piece in (Piece("removed", old), Piece("added", new)) if piece.text]
    pieces: list[Piece] = []
    for kind, start, end, into, upto in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(before[start:end])))
            continue
        gone, come = "".join(before[start:end]), "".join(after[into:upto])
        pieces += [piece for piece in (Piece("removed", gone), Piece("added", come)) if piece.text]
    return pieces
