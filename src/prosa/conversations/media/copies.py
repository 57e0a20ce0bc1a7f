"""A copy of a voice note that every browser plays, made when a player first asks for it and kept beside the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.core.files.storage import default_storage
from django.http import Http404

from prosa.agents import playable
from prosa.conversations.media import kept
from prosa.conversations.models import Attachment
from prosa.errors import ProsaError


def mp3(attachment: Attachment) -> Attachment:
    """The attachment as MP3, not saved. Blocks for a moment the first time.

    :raises Http404: it is no stored audio, it cannot be decoded, or nothing here can (the extra ``audio``).
    """
    if attachment.kind != "audio" or attachment.status != "stored" or not attachment.file:
        raise Http404
    name = f"{attachment.file.name}.mp3"
    if not default_storage.exists(name):
        try:
            name = _made(Path(attachment.file.path), name)
        except (ProsaError, OSError, NotImplementedError):
            raise Http404 from None
    label = Path(attachment.filename or f"audio-{attachment.pk}").stem
    return Attachment(
        pk=attachment.pk, kind="audio", status="stored", file=name, mime_type=playable.MIME, filename=f"{label}.mp3"
    )


def _made(source: Path, name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "copy.mp3"
        playable.playable(source, made)
        with made.open("rb") as stream:
            return kept.keep(name, stream)
