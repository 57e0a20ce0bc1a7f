"""Reads a file: says by its content what it is, refuses what cannot be read, and gives its Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from prosa.errors import BadInput, TooLarge
from prosa.knowledge.loaders import html, office, pdf, text

MOST_BYTES = 25 * 1024 * 1024
"""Bytes of a file."""
MOST_CHARACTERS = 5_000_000
"""Characters of Markdown a file may become: a thousand-page book has about two million."""

SUFFIXES = {
    ".pdf": "pdf", ".docx": "docx", ".xlsx": "xlsx", ".csv": "csv", ".tsv": "csv", ".md": "markdown",
    ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html", ".txt": "text", ".text": "text",
}  # fmt: skip
"""Endings of names, and what they promise."""

_MIMES = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "text/markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
}
_NAMES = {"pdf": "a PDF", "docx": "a Word document", "xlsx": "an Excel workbook", "zip": "a ZIP archive"}
_BINARY = frozenset(_NAMES)
_FORMATS = "PDF, DOCX, XLSX, CSV, HTML, Markdown or text"
_STRANGERS = (
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"RIFF", "a picture or sound"),
    (b"Rar!", "an archive"), (b"7z\xbc\xaf", "an archive"), (b"\x1f\x8b", "an archive"), (b"{\\rtf", "an RTF document"),
    (b"OggS", "a sound"), (b"ID3", "a sound"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document as Markdown. ``kind``: pdf, docx, xlsx, csv, markdown, html or text. ``date`` when it says one."""

    title: str
    markdown: str
    kind: str
    date: datetime | None = None


def load(source: Path | bytes, filename: str = "", mime: str = "") -> Loaded:
    """The document in a file. ``filename`` and ``mime`` (with its charset) say what it claims to be; the content decides.

    Blocks, for seconds when the file is big: run it in a job, not on an event loop.

    :raises TooLarge: the file, or what it unpacks to, is beyond a limit.
    :raises BadInput: it is empty, encrypted, broken, not what its name says, or of a kind that is not read.
    """
    name = filename or (source.name if isinstance(source, Path) else "") or "The file"
    data = _read(source, name)
    mime, _, parameters = mime.lower().partition(";")
    claimed = _claim(PurePosixPath(name).suffix.lower(), mime.strip())
    kind = _kind(data, name, claimed)
    charset = parameters.partition("charset=")[2].strip(" \"'") if "charset=" in parameters else ""
    title, markdown, date = _parsed(kind, data, name, charset)
    if not markdown.strip():
        raise BadInput(f"{name} has no text.\nAdd a file with text.")
    if len(markdown) > MOST_CHARACTERS:
        raise TooLarge(f"{name} holds more than {MOST_CHARACTERS:,} characters of text.\nSplit it.")
    markdown = _whole(markdown)
    return Loaded(_whole(title).strip()[:300] or PurePosixPath(name).stem, markdown, kind, date=date)


def _claim(suffix: str, mime: str) -> str:
    # Servers give addresses any ending; a type other than plain text was set on purpose.
    told = _MIMES.get(mime, "")
    return told if told not in ("", "text") else SUFFIXES.get(suffix, told)


def _whole(found: str) -> str:
    """Without what PostgreSQL and JSON refuse: NUL and halves of characters."""
    return found.replace("\0", "").encode("utf-8", "ignore").decode()


def _read(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise BadInput(f"{name} cannot be opened: {error.strerror}.\nCheck the path and its permissions.") from None
    else:
        data = source
    if len(data) > MOST_BYTES:
        raise TooLarge(f"{name} is bigger than {MOST_BYTES // 1024 // 1024} MB.\nSplit it or leave its pictures out.")
    if not data.strip():
        raise BadInput(f"{name} is empty.\nAdd a file with text.")
    return data


def _kind(data: bytes, name: str, claimed: str) -> str:
    found = _sniffed(data, name)
    if found == "zip" or (found and not claimed and found not in ("pdf", "docx", "xlsx", "html")):
        raise BadInput(f"{name} is {_NAMES[found]}.\nUnpack it, and add it as {_FORMATS}.")
    if found in _BINARY and claimed and found != claimed:
        raise BadInput(f"{name} is {_NAMES[found]} inside.\nRename it to end in .{found} and add it again.")
    if not found and claimed in _BINARY:
        raise BadInput(f"{name} is not {_NAMES[claimed]} inside.\nOpen it, save it as one again, and add that.")
    suffix = PurePosixPath(name).suffix.lower()
    if not claimed and not found and suffix and len(suffix) <= 6 and suffix[1:].isalnum() and not suffix[1:].isdigit():
        raise BadInput(f"Files that end in {suffix} are not read.\nSave it as {_FORMATS}.")
    return claimed or found or "text"


def _sniffed(data: bytes, name: str) -> str:
    start = data[:1024].lstrip()
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if start.startswith(b"PK\x03\x04"):
        return office.kind(data, name)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadInput(
            f"{name} is protected by a password or in an old Office format.\nSave it as DOCX or XLSX without a password."
        )
    for mark, what in _STRANGERS:
        if start.startswith(mark):
            raise BadInput(f"{name} is {what}.\nAdd a document: {_FORMATS}.")
    return "html" if start[:200].lower().startswith((b"<!doctype html", b"<html")) else ""


def _parsed(kind: str, data: bytes, name: str, charset: str) -> tuple[str, str, datetime | None]:
    match kind:
        case "pdf":
            return *pdf.document(data, name, MOST_CHARACTERS), None
        case "docx":
            return *office.text_document(data, name), None
        case "xlsx":
            return *office.workbook(data, name), None
        case "html":
            return html.page(data, name, charset)
        case "csv":
            return "", text.table(text.decoded(data, name, charset), name), None
        case "markdown":
            return *text.markdown(text.decoded(data, name, charset)), None
        case _:
            return "", text.decoded(data, name, charset).strip(), None
