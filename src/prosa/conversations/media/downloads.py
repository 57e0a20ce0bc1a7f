"""Customers' files, to signed-in staff only. Strangers made them: a browser may show few kinds and run none.

A file leaves in chunks, never whole in memory, and a part of it when a player asks for one (RFC 9110, section 14).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import IO

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from prosa.conversations.models import Attachment

SHOWN = frozenset({
    "image/jpeg", "image/png", "image/webp", "image/gif",
    "audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/wav", "audio/webm",
    "video/mp4", "video/3gpp", "video/webm",
})  # fmt: skip
"""Types a browser may open in the page. Everything else is downloaded, as bytes without a type."""

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies outside the file."""


def base_type(mime_type: str) -> str:
    """``audio/ogg; codecs=opus`` → ``audio/ogg``."""
    return mime_type.partition(";")[0].strip().lower()


def part(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte that a ``Range`` header asks for, in a file of ``size`` bytes.

    :returns: None for the whole file: no range, one we do not understand, or several at once.
    :raises Unsatisfiable: none of the bytes exist.
    """
    found = _RANGE.fullmatch(asked)
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    if start >= size:
        raise Unsatisfiable
    return start, end


def answer(request: HttpRequest, attachment: Attachment) -> HttpResponseBase:
    """The stored file or the part asked for, with headers that keep it from being anything but a file.

    :raises Http404: it was never stored, or is gone.
    """
    if attachment.status != "stored" or not attachment.file:
        raise Http404
    try:
        size = attachment.file.size
        opened = attachment.file.open("rb")
    except (OSError, ValueError):
        raise Http404 from None
    # Files have no validator of ours, so that If-Range never matches and asks for the whole (RFC 9110, 13.1.5).
    ranged = request.method == "GET" and "If-Range" not in request.headers
    try:
        piece = part(request.headers.get("Range", ""), size) if ranged else None
    except Unsatisfiable:
        opened.close()
        return _safe(HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"}), attachment)
    start, end = piece or (0, size - 1)
    length = end - start + 1
    stretch = AsyncStretch if isinstance(request, ASGIRequest) else Stretch
    response = StreamingHttpResponse(stretch(opened, start, length), status=206 if piece else 200)
    response.headers["Content-Length"] = str(length)
    if piece:
        response.headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return _safe(response, attachment)


class _Open:
    """A part of an open file, read once. Django closes it together with the response."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file, self._start, self._left = file, start, length

    def _read(self) -> bytes:
        if self._start:
            self._file.seek(self._start)
            self._start = 0
        chunk = self._file.read(min(CHUNK, self._left))
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Stretch(_Open):
    """Under WSGI."""

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._read():
            yield chunk


class AsyncStretch(_Open):
    """Under ASGI, where nobody may wait for a disk in the event loop."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self._read):
            yield chunk


def _safe(response: HttpResponseBase, attachment: Attachment) -> HttpResponseBase:
    kind = base_type(attachment.mime_type)
    shown = kind in SHOWN
    filename = attachment.filename or f"{attachment.kind}-{attachment.pk}"
    headers = {
        "Content-Type": kind if shown else "application/octet-stream",
        "Content-Disposition": content_disposition_header(not shown, filename) or "attachment",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=3600",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    for name, value in headers.items():
        response.headers[name] = value
    return response
