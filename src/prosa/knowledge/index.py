"""Documents become chunks that can be searched: written whole or not at all, and only when they changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from prosa import sql
from prosa.business.models import Business
from prosa.knowledge import analysis
from prosa.knowledge.models import Chunk, Document


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to be: its ``section`` is the path of headings above it."""

    text: str
    section: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to be. ``id`` is the name its source gives it, unique within the business.

    ``dated_at`` is the document's own date; a new date alone is no change.
    """

    id: str
    title: str
    pieces: tuple[Piece, ...]
    language: str = ""
    url: str = ""
    source_kind: str = ""
    source_name: str = ""
    source_id: int | None = None
    dated_at: datetime | None = None
    checksum: str = field(init=False)

    def __post_init__(self) -> None:
        told = [
            self.title,
            self.language,
            self.url,
            [[piece.text, piece.section, piece.language] for piece in self.pieces],
        ]
        object.__setattr__(self, "checksum", hashlib.sha256(json.dumps(told).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Stored:
    """What a call of :func:`store` did, in documents; ``chunks`` counts those written."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    chunks: int = 0


def store(business_id: int, entries: Sequence[Entry]) -> Stored:
    """Write documents and their chunks in one transaction; those whose checksum is already stored are left alone.

    Chunks of a changed document are replaced together. Of two entries with the same id the later one counts.
    Give it a few hundred at a time: other writers of this business wait.
    """
    given = {entry.id: entry for entry in entries}
    with transaction.atomic():
        # Writers of one business take turns here; otherwise two would add the same document.
        Business.objects.select_for_update(no_key=True).only("pk").get(pk=business_id)
        known = {
            document.external_id: document
            for document in Document.objects.filter(business_id=business_id, external_id__in=given)
        }
        new = [entry for entry in given.values() if entry.id not in known]
        changed = [
            entry for entry in given.values() if entry.id in known and known[entry.id].checksum != entry.checksum
        ]
        for entry in changed:
            _fill(known[entry.id], entry)
            known[entry.id].save()
        Chunk.objects.filter(
            business_id=business_id, document_id__in=[known[entry.id].pk for entry in changed]
        ).delete()
        made = Document.objects.bulk_create(
            _fill(Document(business_id=business_id, external_id=entry.id), entry) for entry in new
        )
        documents = {document.external_id: document.pk for document in (*made, *known.values())}
        chunks = [chunk for entry in (*new, *changed) for chunk in _chunks(business_id, documents[entry.id], entry)]
        Chunk.objects.bulk_create(chunks, batch_size=1000)
    return Stored(len(new), len(changed), len(given) - len(new) - len(changed), len(chunks))


def forget(business_id: int, ids: Sequence[str]) -> int:
    """Delete the documents with these external ids, chunks included. Returns how many there were."""
    with transaction.atomic():
        found = list(Document.objects.filter(business_id=business_id, external_id__in=ids).values_list("pk", flat=True))
        Document.objects.filter(business_id=business_id, pk__in=found).delete()
    return len(found)


def _clean(text: str) -> str:
    """What PostgreSQL can hold: loaders and files bring NUL characters and lone surrogates."""
    return sql.clean(text).decode()


def _fill(document: Document, entry: Entry) -> Document:
    document.title, document.language, document.url = _clean(entry.title), entry.language, _clean(entry.url)
    document.source_kind, document.source_name = entry.source_kind, entry.source_name
    document.source_id, document.dated_at, document.checksum = entry.source_id, entry.dated_at, entry.checksum
    return document


def _chunks(business_id: int, document_id: int, entry: Entry) -> list[Chunk]:
    made = []
    for position, piece in enumerate(entry.pieces):
        found = analysis.chunk(business_id, entry.title, piece.section, piece.text)
        made.append(
            Chunk(
                business_id=business_id,
                document_id=document_id,
                position=position,
                section=_clean(piece.section),
                text=_clean(piece.text),
                language=piece.language or entry.language,
                terms=found.terms,
                counts=found.counts,
                length=found.length,
            )
        )
    return made
