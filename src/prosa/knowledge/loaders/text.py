"""Plain text, Markdown and CSV: bytes in any usual encoding become Markdown."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from prosa.errors import BadInput, TooLarge

MOST_CELLS = 1_000_000
"""Cells of all tables of a file together."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_FRONT = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,2}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


def decoded(data: bytes, name: str, charset: str = "") -> str:
    """The text: by its byte order mark, the ``charset`` it came with, UTF-8, UTF-16 without a mark, or else Windows-1252.

    Windows-1252 holds every Latin-1 letter and is what spreadsheets in Portuguese and Spanish export.

    :raises BadInput: it is no text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _clean(data[len(mark) :].decode(encoding, "replace"), name)
    tries = [charset, "utf-8"] if charset.lower() not in ("", "utf-8", "latin-1", "iso-8859-1") else ["utf-8"]
    wide = _wide(data)
    for encoding in [wide] if wide else tries:
        try:
            return _clean(data.decode(encoding), name)
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(data.decode("cp1252", "replace"), name)


def _wide(data: bytes) -> str:
    """UTF-16 of a Latin script has a zero in every other byte."""
    sample = data[:4096]
    if len(sample) < 4 or len(data) % 2:
        return ""
    pairs = len(sample) // 2
    if sample[1::2].count(0) > pairs * 0.7 and not sample[::2].count(0):
        return "utf-16-le"
    if sample[::2].count(0) > pairs * 0.7 and not sample[1::2].count(0):
        return "utf-16-be"
    return ""


def _clean(text: str, name: str) -> str:
    strange = len(_CONTROL.findall(text)) + text.count("\ufffd")
    if strange > max(8, len(text) // 50):
        raise BadInput(f"{name} is not text.\nAdd it as PDF, DOCX, XLSX, CSV, HTML, Markdown or text.")
    return _CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def markdown(text: str) -> tuple[str, str]:
    """Title (of its front matter or first heading, else empty) and Markdown without the front matter."""
    title = ""
    front = _FRONT.match(text)
    # A rule between paragraphs looks like the start of a front matter; one without a key is none.
    if front and re.search(r"^[\w-]+:", front[1], re.MULTILINE):
        named = _TITLE.search(front[1])
        title = named[1].strip("\"'") if named else ""
        text = text[front.end() :]
    heading = _HEADING.search(text)
    return title or (heading[1] if heading else ""), text


def table(text: str, name: str) -> str:
    """A CSV as a Markdown table. Its separator is what gives the most even columns of ``; , tab |``.

    :raises BadInput: its quotes are broken.
    :raises TooLarge: it has more than :data:`MOST_CELLS`.
    """
    try:
        return as_table(csv.reader(io.StringIO(text), delimiter=_separator(text)), name)
    except csv.Error as error:
        raise BadInput(f"{name} is no readable CSV: {error}.\nExport it again, as CSV in UTF-8.") from None


def _separator(text: str) -> str:
    sample = list(itertools.islice(io.StringIO(text), 50))

    def evenness(separator: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=separator) if row]
        except csv.Error:
            return 0.0, 0
        usual = max(set(widths), key=widths.count, default=0)
        return (widths.count(usual) / len(widths), usual) if usual > 1 else (0.0, 0)

    return max(";,\t|", key=evenness)


def as_table(rows: Iterable[Sequence[object]], name: str) -> str:
    """Rows as a Markdown table, the first as header. Blank rows and columns are left out; empty when nothing is left.

    :raises TooLarge: there are more than :data:`MOST_CELLS`.
    """
    full: list[list[str]] = []
    cells = 0
    for row in rows:
        texts = [cell(value) for value in row]
        while texts and not texts[-1]:
            texts.pop()
        cells += len(texts) + 1
        if cells > MOST_CELLS:
            raise TooLarge(
                f"{name} has more than {MOST_CELLS:,} cells.\nSplit it, or keep only what customers ask about."
            )
        if texts:
            full.append(texts)
    if not full:
        return ""
    width = max(len(texts) for texts in full)
    used = [column for column in range(width) if any(column < len(texts) and texts[column] for texts in full)]
    return "\n".join(_lines(full, used))


def _lines(full: Sequence[Sequence[str]], used: Sequence[int]) -> Iterator[str]:
    for place, texts in enumerate(full):
        yield f"| {' | '.join(texts[column] if column < len(texts) else '' for column in used)} |"
        if place == 0:
            yield f"|{' --- |' * len(used)}"


def cell(value: object) -> str:
    """A value as one line of a table: no line breaks, bars escaped."""
    return "" if value is None else " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")
