"""DOCX and XLSX become Markdown. Both are ZIP archives of XML, so both are weighed before they are opened."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, time
from typing import Any
from xml.parsers.expat import ExpatError

from prosa.errors import BadInput, TooLarge
from prosa.knowledge.loaders.html import page
from prosa.knowledge.loaders.text import as_table

MOST_UNPACKED = 200 * 1024 * 1024
"""Bytes of all parts of an archive together, unpacked."""
MOST_PARTS = 5000
MOST_COLUMNS = 500

_BROKEN = (
    zipfile.BadZipFile, zlib.error, ExpatError, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, OSError,
    RecursionError, SyntaxError, NotImplementedError, RuntimeError,
)  # fmt: skip


def kind(data: bytes, name: str) -> str:
    """``docx``, ``xlsx`` or ``zip`` for anything else.

    :raises TooLarge: unpacked it would be bigger than :data:`MOST_UNPACKED`.
    :raises BadInput: the archive is broken or encrypted, or its XML declares entities, which Office never writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            _weigh(archive, parts, name)
    except (*_BROKEN, UnicodeError) as error:
        raise _broken(name, error) from None
    if "word/document.xml" in names:
        return "docx"
    return "xlsx" if "xl/workbook.xml" in names else "zip"


def _weigh(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo], name: str) -> None:
    if any(part.flag_bits & 1 for part in parts):
        raise BadInput(f"{name} is protected by a password.\nSave it without a password and add it again.")
    # The sizes in the directory are a promise zipfile keeps: it reads no more of a part than it announces.
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
        raise TooLarge(
            f"{name} unpacks to more than {MOST_UNPACKED // 1024 // 1024} MB.\nSplit it or leave its pictures out."
        )
    for part in parts:
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as file:
                start = file.read(4096).replace(b"\0", b"")
            if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
                raise BadInput(
                    f"{name} declares XML entities, which no office program writes.\nSave it again from one."
                )


def _broken(name: str, error: BaseException) -> BadInput:
    return BadInput(f"{name} is broken: {type(error).__name__}.\nOpen it, save it again, and add that.")


def text_document(data: bytes, name: str) -> tuple[str, str]:
    """Title (of its properties) and Markdown of a DOCX, pictures left out.

    :raises BadInput: it is broken.
    """
    import mammoth

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            html = mammoth.convert_to_html(
                io.BytesIO(data),
                style_map="p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh",
                convert_image=mammoth.images.img_element(lambda _: {}),
                include_embedded_style_map=False,
                external_file_access=False,
            ).value
    except BadInput:
        raise
    except _BROKEN as error:
        raise _broken(name, error) from error
    _, markdown, _ = page(f"<body>{html}</body>".encode(), name, "utf-8")
    return _core_title(data), markdown


def _core_title(data: bytes) -> str:
    from bs4 import BeautifulSoup

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "docProps/core.xml" not in archive.namelist():
            return ""
        soup = BeautifulSoup(archive.read("docProps/core.xml"), "xml")
    found = soup.find("title")
    return " ".join(found.get_text().split()) if found else ""


def workbook(data: bytes, name: str) -> tuple[str, str]:
    """Title and Markdown of an XLSX: a section with a table for each sheet that is shown; formulas as their last values.

    :raises BadInput: it is broken.
    :raises TooLarge: a sheet has more cells than are read.
    """
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features it does not keep
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            sections = [
                f"# {' '.join(sheet.title.split())}\n\n{table}"
                for sheet in book.worksheets
                if sheet.sheet_state == "visible" and (table := as_table(_rows(sheet), name))
            ]
            title = str(book.properties.title or "")
            book.close()
    except BadInput:
        raise
    except _BROKEN as error:
        raise _broken(name, error) from error
    return title, "\n\n".join(sections)


def _rows(sheet: Any) -> Iterator[list[object]]:
    # The size a sheet says it has is often a leftover: a million rows of formatting.
    sheet.reset_dimensions()
    for row in sheet.iter_rows(max_col=MOST_COLUMNS):
        yield [_shown(found) for found in row]


def _shown(found: Any) -> object:
    value = found.value
    match value:
        case bool():
            return "✓" if value else "✗"
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case float() | int():
            return _number(value, str(found.number_format or ""))
        case _:
            return value


def _number(value: Any, shown_as: str) -> str:
    """As the sheet shows it where that changes the meaning: ``0.1`` as ``10%``, ``19.9`` with two places as ``19.90``."""
    zeros = shown_as.split(";", maxsplit=1)[0].partition(".")[2]
    places = len(zeros) - len(zeros.lstrip("0"))
    if "%" in shown_as:
        return f"{value * 100:.{places}f}%"
    if places and "e" not in shown_as.lower():
        return f"{value:.{places}f}"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
