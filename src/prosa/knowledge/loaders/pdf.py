"""PDF becomes Markdown: its lines in reading order, headings told by their bigger letters."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from prosa.errors import BadInput, TooLarge

MOST_PAGES = 1000
LONGEST_HEADING = 120
"""Characters; longer lines in big letters are slogans, not headings."""

Line = tuple[str, float]
"""Text and the height of its letters in points."""

_BULLET = re.compile(r"^[•●▪◦‣·∙]\s*")


def document(data: bytes, name: str, most_characters: int) -> tuple[str, str]:
    """Title and Markdown of a PDF.

    :raises BadInput: it is encrypted, broken, or pictures of pages without text.
    :raises TooLarge: it has more than :data:`MOST_PAGES` or more than ``most_characters``.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        _openable(reader, name)
        lines = _read(reader, name, most_characters)
        title = str((reader.metadata and reader.metadata.title) or "")
    except BadInput:
        raise
    except (
        PyPdfError,
        RecursionError,
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        # A broken file breaks pypdf in many ways.
        raise BadInput(
            f"{name} is broken: {type(error).__name__}.\nOpen it, save or print it as PDF again, and add that."
        ) from error
    if not any(text for text, _ in lines):
        raise BadInput(f"{name} has no text, only pictures of pages.\nRun text recognition (OCR) on it first.")
    return " ".join(title.split()), _markdown(lines)


def _openable(reader: Any, name: str) -> None:
    if reader.is_encrypted and not reader.decrypt(""):
        raise BadInput(f"{name} is protected by a password.\nSave it without a password and add it again.")
    if len(reader.pages) > MOST_PAGES:
        raise TooLarge(f"{name} has more than {MOST_PAGES} pages.\nSplit it.")


def _read(reader: Any, name: str, most_characters: int) -> list[Line]:
    lines: list[Line] = []
    total = 0
    for page in reader.pages:
        found = _lines(page)
        total += sum(len(text) for text, _ in found)
        if total > most_characters:
            raise TooLarge(f"{name} holds more than {most_characters:,} characters of text.\nSplit it.")
        lines += [*found, ("", 0.0)]
    return lines


def _lines(page: Any) -> list[Line]:
    parts: list[Line] = []

    def visit(text: str, place: list[float], matrix: list[float], _font: Any, size: float) -> None:
        height = abs(matrix[3] or matrix[0]) * abs(place[3] or place[0]) * size if matrix and place else size
        parts.append((text, round(height, 1)))

    whole = page.extract_text(visitor_text=visit)
    lines: list[Line] = []
    held, heights = "", Counter[float]()
    for text, height in parts:
        for place, piece in enumerate(text.split("\n")):
            if place:
                lines.append((held, _usual(heights)))
                held, heights = "", Counter()
            held += piece
            heights[height] += len(piece.strip())
    lines.append((held, _usual(heights)))
    if " ".join(text for text, _ in lines).split() != whole.split():
        # The visitor missed something (text drawn by nested forms): the words count more than their size.
        lines = [(text, 0.0) for text in whole.split("\n")] if len(whole) > sum(len(t) for t, _ in lines) else lines
    return [(" ".join(text.replace("\u00ad", "").split()), height) for text, height in lines]


def _usual(heights: Counter[float]) -> float:
    return heights.most_common(1)[0][0] if heights else 0.0


def _markdown(lines: Iterable[Line]) -> str:
    lines = list(lines)
    body: Counter[float] = Counter()
    for text, height in lines:
        body[height] += len(text)
    usual = _usual(body)
    bigger = sorted({height for text, height in lines if text and usual and height >= usual * 1.15}, reverse=True)
    levels = {height: min(place, 3) for place, height in enumerate(bigger, 1)}
    written: list[str] = []
    before = 0
    for text, height in lines:
        level = levels.get(height, 0) if len(text) <= LONGEST_HEADING and any(map(str.isalpha, text)) else 0
        if level and level == before and written:
            written[-1] += f" {text}"  # a heading of two lines
        elif level:
            written += ["", f"{'#' * level} {text}"]
        else:
            if before:
                written.append("")
            written.append(_BULLET.sub("- ", text))
        before = level
    return re.sub(r"\n{3,}", "\n\n", "\n".join(written)).strip()
