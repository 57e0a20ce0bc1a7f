"""Reading what strangers sent: nothing here raises on a wrong type, and nothing it returns can upset the database."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import Any

import orjson

from prosa.contracts import Json
from prosa.errors import BadInput

DEPTH = 200
"""Levels of nesting no webhook comes near, and every later step can still write."""
ID_LENGTH = 190
"""Longest id that fits our columns; WhatsApp's are below 140."""


def load(body: bytes) -> Json:
    """A JSON object, free of NUL characters and lone surrogates, nested less than :data:`DEPTH` deep.

    :raises BadInput: it is none.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _patiently(body)
    if not isinstance(value, dict):
        raise BadInput("The body is not a JSON object.\nIt is kept as it came.")
    if body.count(b"[") + body.count(b"{") > DEPTH and _deeper(value, DEPTH):
        raise BadInput("The body is nested too deeply.\nIt is kept as it came.")
    return mapping(without_nul(value)) if b"\\u0000" in body else mapping(value)


def _patiently(body: bytes) -> Any:
    """What orjson refuses and Meta sends: half an emoji (a lone surrogate). The half becomes U+FFFD."""
    try:
        whole = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-16", "surrogatepass")
        return orjson.loads(whole.decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        raise BadInput("The body is not JSON.\nIt is kept as it came.") from error


def _deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            inner
            for one in layer
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True


def without_nul(value: Any) -> Any:
    """The same value with NUL characters removed from all its strings; PostgreSQL stores none."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [without_nul(one) for one in value]
    if isinstance(value, dict):
        return {without_nul(key): without_nul(one) for key, one in value.items()}
    return value


def string(value: Any) -> str:
    """Text; numbers as they are written; empty for anything else."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):  # most often a key that is not there
        return ""
    return str(value) if isinstance(value, (int, float)) else ""


def identifier(value: Any) -> str:
    """An id short enough to keep; empty when it is not."""
    text = string(value)
    return text if len(text) <= ID_LENGTH else ""


def mapping(value: Any) -> Json:
    """A JSON object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Json]:
    """The JSON objects of a list; empty for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def moment(value: Any) -> datetime:
    """Unix seconds (or milliseconds), as text or number, in UTC; now when it is no time at all."""
    try:
        seconds = float(value)
        if seconds > 1e11:
            seconds /= 1000
        if math.isfinite(seconds) and seconds > 0:
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        pass
    return datetime.now(UTC)


def sha256(value: Any) -> str:
    """A SHA-256 as 64 lower-case hex digits, given in hex or base64; empty when it is neither."""
    text = string(value).strip()
    try:
        raw = bytes.fromhex(text) if len(text) == 64 else b64decode(text, validate=True)
    except (ValueError, Base64Error):
        return ""
    return raw.hex() if len(raw) == 32 else ""
