"""SQL lives in ``.sql`` files; this reads them, and packs columns for the hot path.

A file holds queries separated by lines ``-- name: like_this``. Parameters are psycopg's ``%(name)s``.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from psycopg import postgres
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_NAME = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)


class Queries:
    """The named queries of one file, as bytes (``queries.claim``), in the file's order when iterated."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text("utf-8"))
        self._path = path
        self._queries = {name: body.strip().encode() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

    def __getattr__(self, name: str) -> bytes:
        try:
            return self._queries[name]
        except KeyError:
            raise AttributeError(f"{self._path.name} has no query named {name!r}.") from None

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._queries.items())


def load(module_file: str, name: str) -> Queries:
    """The queries of ``name`` beside the module: ``load(__file__, "inbound.sql")``."""
    return Queries(Path(module_file).with_name(name))


# ── columns ───────────────────────────────────────────────────────────────────────────────────────
# psycopg's list dumper decides types element by element in Python, which costs more than the rest of a batch insert
# (research/performance.md, section 1). These pack PostgreSQL's binary array format in one pass.

_LENGTH = struct.Struct("!i").pack
_NULL = _LENGTH(-1)
_HEADER = struct.Struct("!iiIii").pack


class _Column:
    """A one-dimensional array parameter. ``None`` elements become NULL."""

    __slots__ = ("values",)
    element: ClassVar[str]

    def __init__(self, values: Sequence[object]) -> None:
        self.values = values

    def _parts(self) -> list[bytes]:
        raise NotImplementedError

    def packed(self) -> bytes:
        parts = self._parts()
        oid = postgres.types[self.element].oid
        return _HEADER(1, 1, oid, len(self.values), 1) + b"".join(parts) if parts else _HEADER(0, 0, oid, 0, 0)[:12]


def clean(text: str) -> bytes:
    """UTF-8 that PostgreSQL accepts: NUL and lone surrogates become U+FFFD."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        encoded = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    return encoded.replace(b"\x00", b"\xef\xbf\xbd") if b"\x00" in encoded else encoded


def jsonb(value: object) -> str:
    """JSON that PostgreSQL's ``jsonb`` accepts: as :func:`clean`, also inside strings; what JSON has no word for becomes text.

    :raises ValueError: it holds infinity or not-a-number.
    """
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    if "\\u0000" in written:
        written = _ESCAPED_NUL.sub("\\1\N{REPLACEMENT CHARACTER}", written)
    return clean(written).decode()


class Texts(_Column):
    """``text[]`` from str; NUL characters and lone surrogates are replaced, for PostgreSQL refuses them."""

    element = "text"

    def _parts(self) -> list[bytes]:
        out = []
        for value in self.values:
            if value is None:
                out.append(_NULL)
            else:
                encoded = clean(value)  # type: ignore[arg-type]
                out.append(_LENGTH(len(encoded)))
                out.append(encoded)
        return out


class Blobs(_Column):
    """``bytea[]`` from bytes."""

    element = "bytea"

    def _parts(self) -> list[bytes]:
        out = []
        for value in self.values:
            if value is None:
                out.append(_NULL)
            else:
                out.append(_LENGTH(len(value)))  # type: ignore[arg-type]
                out.append(value)  # type: ignore[arg-type]
        return out


class _Fixed(_Column):
    pack: ClassVar[struct.Struct]

    def _parts(self) -> list[bytes]:
        pack, size = self.pack.pack, self.pack.size - 4
        return [_NULL if value is None else pack(size, value) for value in self.values]


class Longs(_Fixed):
    """``int8[]`` from int."""

    element = "int8"
    pack = struct.Struct("!iq")


class Ints(_Fixed):
    """``int4[]`` from int."""

    element = "int4"
    pack = struct.Struct("!ii")


class Floats(_Fixed):
    """``float8[]`` from float."""

    element = "float8"
    pack = struct.Struct("!id")


class Flags(_Fixed):
    """``bool[]`` from bool."""

    element = "bool"
    pack = struct.Struct("!i?")


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Column) -> Buffer:
        return obj.packed()


def register(context: AdaptContext | None = None) -> None:
    """Teach psycopg the column types, for one connection or (without ``context``) for all."""
    adapters: AdaptersMap = context.adapters if context is not None else postgres.adapters
    for column in (Texts, Blobs, Longs, Ints, Floats, Flags):
        dumper = type(f"{column.__name__}Dumper", (_ColumnDumper,), {"oid": postgres.types[column.element].array_oid})
        adapters.register_dumper(column, dumper)
