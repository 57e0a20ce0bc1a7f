"""Customers' files, to signed-in staff only. Strangers made them: a browser may show few kinds and run none."""

from __future__ import annotations

from django.http import FileResponse, Http404

from prosa.conversations.models import Attachment

SHOWN = frozenset({
    "image/jpeg", "image/png", "image/webp", "image/gif",
    "audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/wav", "audio/webm",
    "video/mp4", "video/3gpp", "video/webm",
})  # fmt: skip
"""Types a browser may open in the page. Everything else is downloaded, as bytes without a type."""


def base_type(mime_type: str) -> str:
    """``audio/ogg; codecs=opus`` → ``audio/ogg``."""
    return mime_type.partition(";")[0].strip().lower()


def answer(attachment: Attachment) -> FileResponse:
    """The stored file, with headers that keep it from being anything but a file.

    :raises Http404: it was never stored, or is gone.
    """
    if attachment.status != "stored" or not attachment.file:
        raise Http404
    try:
        opened = attachment.file.open("rb")
    except (OSError, ValueError):
        raise Http404 from None
    kind = base_type(attachment.mime_type)
    shown = kind in SHOWN
    response = FileResponse(
        opened,
        as_attachment=not shown,
        filename=attachment.filename or f"{attachment.kind}-{attachment.pk}",
        content_type=kind if shown else "application/octet-stream",
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, max-age=3600"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
