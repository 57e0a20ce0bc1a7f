"""What each kind of source has, and how one item of it is read. Nothing here writes.

``keys`` names the items of a source; ``fetch`` brings one of them, or says that it is as it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from django.db.models.fields.files import FieldFile

from prosa.conf import settings
from prosa.errors import BadInput, NotAllowed, PermanentError, ProsaError, TooLarge
from prosa.http import Client
from prosa.knowledge import reading
from prosa.knowledge.loaders import MOST_BYTES, SUFFIXES
from prosa.knowledge.models import Item, Source
from prosa.knowledge.runs import Books
from prosa.knowledge.web import Site

MOST_ITEMS = 20_000
"""Of one source."""
MOST_KEY_BYTES = 2000
"""Of an item's name: an index must hold it."""
SMALL = 64 * 1024
"""Bytes of a file that is read together with others."""
_READ_BY = f"{reading.VERSION}:"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Raw:
    """One item as it is kept at its source. ``name`` and ``mime`` are what it claims to be; ``url`` is where people read it.

    ``markdown``: ``data`` is ours, in UTF-8, and needs no loader; then ``name`` is its title.
    """

    data: bytes
    name: str
    mime: str = ""
    url: str = ""
    etag: str = ""
    modified: str = ""
    markdown: bool = False

    @property
    def checksum(self) -> str:
        """The version of our reading, and the SHA-256 of all that the passages are made from."""
        told = repr((self.name, self.mime, self.markdown, len(self.data)))
        found = hashlib.sha256(told.encode("utf-8", "surrogatepass"))
        found.update(self.data)
        return f"{_READ_BY}{found.hexdigest()}"[:64]


class Gone(PermanentError):
    """The item is not there any more."""


class Origin(ABC):
    """One source while it is read. ``client`` is for those that need the web, ``books`` for those that need the database."""

    def __init__(self, source: Source, client: Client, books: Books) -> None:
        self.source = source
        self._client, self._books = client, books

    @abstractmethod
    async def keys(self) -> Sequence[str]:
        """The items the source has, each once.

        :raises ProsaError: it cannot be listed; then nothing of it is forgotten.
        """

    async def ahead(self, items: Sequence[Item]) -> None:
        """These will be fetched next, in this order: a source may save time by getting ready."""

    @abstractmethod
    async def fetch(self, item: Item) -> Raw | None:
        """One item; None when its server says that it is what it was.

        :raises Gone: it is not there any more.
        :raises NotAllowed: its owner asks not to read it.
        :raises ProsaError: it cannot be read; ``TemporaryError`` when a later try may succeed.
        """


class Upload(Origin):
    """A file that was given to us."""

    async def keys(self) -> Sequence[str]:
        """Its one file."""
        if not self.source.file:
            raise BadInput("This source has no file.\nUpload one.")
        return ("file",)

    async def fetch(self, item: Item) -> Raw | None:
        """The file, under the name it came with."""
        name = PurePosixPath(str(self.source.config.get("filename") or self.source.file.name)).name
        return Raw(await asyncio.to_thread(_stored, self.source.file, name), name)


class Text(Origin):
    """A text that was pasted."""

    async def keys(self) -> Sequence[str]:
        """Its one text."""
        return ("text",)

    async def fetch(self, item: Item) -> Raw | None:
        """The text, as Markdown."""
        text = str(self.source.config.get("text") or "")
        if not text.strip():
            raise BadInput("This source has no text.\nPaste one.")
        return Raw(text.encode("utf-8", "replace"), self.source.name, markdown=True)


class Folder(Origin):
    """The files below a folder of this machine, hidden ones left out. ``glob`` chooses among them (``*.md``)."""

    def __init__(self, source: Source, client: Client, books: Books) -> None:
        super().__init__(source, client, books)
        self._read: dict[str, bytes] = {}

    async def keys(self) -> Sequence[str]:
        """Their paths within it, in order."""
        return await asyncio.to_thread(self._walk)

    async def ahead(self, items: Sequence[Item]) -> None:
        """Small files are read together: a thread for each costs more than the file."""
        self._read = await asyncio.to_thread(self._small, [item.key for item in items])

    async def fetch(self, item: Item) -> Raw | None:
        """One file."""
        data = self._read.pop(item.key, None)
        if data is None:
            data = await asyncio.to_thread(self._bytes, self._root(), item.key)
        return Raw(data, PurePosixPath(item.key).name)

    def _small(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those that are small, as far as they can be read; what is wrong with another is told when it is fetched."""
        read: dict[str, bytes] = {}
        with suppress(ProsaError):
            root = self._root()
            for key in keys:
                with suppress(ProsaError, OSError):
                    if (root / key).stat().st_size <= SMALL:
                        read[key] = self._bytes(root, key)
        return read

    def _root(self) -> Path:
        given = str(self.source.config.get("path") or "")
        if not given:
            raise BadInput("This source names no folder.\nGive its path.")
        allowed = [Path(self.source.allowed)] if self.source.allowed else []
        below = settings().knowledge_folder
        root = (below / given).resolve()
        if not any(root.is_relative_to(folder.resolve()) for folder in (below, *allowed)):
            raise NotAllowed(
                f"{given} is not below {below}.\nPut the files there, set PROSA_KNOWLEDGE_DIR, or add it with: prosa knowledge add {given}"
            )
        if not root.is_dir():
            raise BadInput(f"{given} is no folder on this machine.\nCorrect its path, or make it.")
        return root

    def _walk(self) -> Sequence[str]:
        root, pattern = self._root(), str(self.source.config.get("glob") or "*")
        found: list[str] = []

        def refuse(error: OSError) -> None:
            # Half a list would look as if the other half had been deleted.
            raise BadInput(f"{error.filename} cannot be opened: {error.strerror}.\nCorrect its permissions.")

        for where, folders, files in os.walk(root, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(where, name)
                if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                    continue
                key = path.relative_to(root).as_posix()
                if not key.isprintable():
                    log.warning("%r is left out: rename it to something that can be printed.", key)
                    continue
                if fnmatch(key, pattern) or fnmatch(name, pattern):
                    found.append(key)
        return found

    def _bytes(self, root: Path, key: str) -> bytes:
        path = root / key
        # A link may lead out of the folder, to whatever this process may read.
        if not path.resolve().is_relative_to(root):
            raise NotAllowed(f"{key} is a link out of its folder.\nCopy the file into it.")
        try:
            if not path.is_file():
                raise Gone(f"{key} is not there any more.\nNothing is to be done.")
            with path.open("rb") as file:
                return _within(file.read(MOST_BYTES + 1), key)
        except OSError as error:
            raise BadInput(f"{key} cannot be opened: {error.strerror}.\nCheck its permissions.") from None


class Page(Origin):
    """One page or file of the web."""

    def __init__(self, source: Source, client: Client, books: Books) -> None:
        super().__init__(source, client, books)
        self._site = Site(client)

    async def keys(self) -> Sequence[str]:
        """Its address."""
        return (self._url(),)

    async def fetch(self, item: Item) -> Raw | None:
        """The page, unless its server says that it is what it was."""
        # Without a document, or after an error, only the whole page helps.
        known = item.document_id is not None and not item.error and item.raw.startswith(_READ_BY)
        etag, modified = (item.etag, item.modified) if known else ("", "")
        try:
            found = await self._site.fetch(item.key, etag=etag, modified=modified)
        except BadInput as error:
            if error.code in ("404", "410"):
                raise Gone(str(error), code=error.code) from None
            raise
        if found is None:
            return None
        return Raw(found.body, found.url, found.mime, found.url, found.etag, found.modified)

    def _url(self) -> str:
        given = str(self.source.config.get("url") or "").strip()
        if not given:
            raise BadInput("This source has no address.\nGive one.")
        return given


class Sitemap(Page):
    """The pages a sitemap lists."""

    async def keys(self) -> Sequence[str]:
        """Their addresses."""
        return await self._site.pages(self._url())


Row = tuple[str, str]
"""Title and Markdown."""
Rows = Callable[[int, Sequence[str] | None], dict[str, Row]]
"""The rows of a business that are knowledge now, by key; all of them, or those asked for."""


class Table(Origin):
    """Rows of a table of ours. Each is a document; triggers (``triggers.attach``) tell at once when one changes."""

    def __init__(self, source: Source, client: Client, books: Books) -> None:
        super().__init__(source, client, books)
        self._rows = FEEDS[source.kind]

    async def keys(self) -> Sequence[str]:
        """Their keys."""
        return list(await self._books(self._rows, self.source.business_id, None))

    async def fetch(self, item: Item) -> Raw | None:
        """One row."""
        found = await self._books(self._rows, self.source.business_id, [item.key])
        if item.key not in found:
            raise Gone("It is not there any more.\nNothing is to be done.")
        title, markdown = found[item.key]
        return Raw(markdown.encode("utf-8", "replace"), title, markdown=True)


KINDS: dict[str, type[Origin]] = {
    "upload": Upload,
    "text": Text,
    "folder": Folder,
    "url": Page,
    "sitemap": Sitemap,
}
"""The kinds of source, and who reads them."""

FEEDS: dict[str, Rows] = {}
"""The kinds that are tables, and what gives their rows."""


def feed(kind: str, rows: Rows) -> None:
    """Make a table's rows a kind of source."""
    FEEDS[kind], KINDS[kind] = rows, Table


def find(source: Source, client: Client, books: Books) -> Origin:
    """Who reads a source.

    :raises BadInput: its kind is not known here.
    """
    try:
        return KINDS[source.kind](source, client, books)
    except KeyError:
        raise BadInput(
            f"Sources of the kind {source.kind!r} are not known here.\nInstall the package that brings them, or remove the source."
        ) from None


def checked(keys: Iterable[str]) -> list[str]:
    """The keys, each once.

    :raises TooLarge: there are more than :data:`MOST_ITEMS`, or one is too long.
    """
    found = list(dict.fromkeys(keys))
    if len(found) > MOST_ITEMS:
        raise TooLarge(f"It has more than {MOST_ITEMS:,} items.\nMake several sources of it.")
    for key in found:
        if len(key.encode("utf-8", "surrogatepass")) > MOST_KEY_BYTES:
            raise TooLarge(f"The name {key[:60]}… is longer than {MOST_KEY_BYTES} bytes.\nShorten it.")
    return found


def _stored(stored: FieldFile, shown: str) -> bytes:
    try:
        with stored.storage.open(str(stored.name)) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}.\nUpload it again.") from None
    return _within(bytes(data), shown)


def _within(data: bytes, name: str) -> bytes:
    if len(data) > MOST_BYTES:
        raise TooLarge(f"{name} is bigger than {MOST_BYTES // 1024 // 1024} MB.\nSplit it or leave its pictures out.")
    return data
