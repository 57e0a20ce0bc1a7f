"""Files that are given to us: each is a source, and one of the same name takes the place of the one before."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import File
from django.db import transaction

from prosa.business.models import Business
from prosa.knowledge import sync
from prosa.knowledge.models import Source

KIND = "upload"
LONGEST_NAME = 200


def add(business: Business, filename: str, file: File[Any]) -> Source:
    """The source of a file that came as ``filename``, asked to be synchronised. A source of another kind keeps its name."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    with transaction.atomic():
        # First the source, then the business: the order in which a synchronisation takes their locks.
        source = (
            Source.objects.select_for_update().filter(business=business, kind=KIND, name=name[:LONGEST_NAME]).first()
        )
        if source is None:
            Business.objects.select_for_update(no_key=True).only("pk").get(pk=business.pk)
            source = Source(business=business, kind=KIND, name=_free(business, name))
        keep(source, name, file)
        sync.request(source.pk)
    return source


def keep(source: Source, filename: str, file: File[Any]) -> None:
    """Store the source with this file, which came as ``filename``; the file it had is deleted.

    Of a source that was stored before, nothing else is written: a worker may be counting in the same row.
    """
    with transaction.atomic():
        rows = Source.objects.select_for_update().filter(pk=source.pk)
        before = rows.values_list("file", flat=True).first() if source.pk else ""
        source.config = {"filename": filename}
        source.file.save(filename, file, save=False)
        source.save(update_fields=["config", "file"] if source.pk else None)
        if before:
            transaction.on_commit(lambda: source.file.storage.delete(before))


def _free(business: Business, name: str) -> str:
    taken = set(Source.objects.filter(business=business).values_list("name", flat=True))
    if name[:LONGEST_NAME] not in taken:
        return name[:LONGEST_NAME]
    return next(made for number in range(2, 10_000) if (made := f"{name[: LONGEST_NAME - 10]} ({number})") not in taken)
