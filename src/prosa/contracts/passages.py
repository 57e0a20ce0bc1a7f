"""What a business knows, as an answer may stand on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApprovedAnswer:
    """An answer of the business that may be said word by word. ``score`` in 0..1."""

    id: int
    question: str
    answer: str
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the business's knowledge that may answer a question. ``score`` in 0..1, ``date`` as the source gives it.

    ``section`` is the heading it stands under, ``url`` where a person can read on, ``language`` pt, es or en,
    ``document`` the name its source gives the document. ``lexical`` (0..1) and ``vector`` (a cosine) are what the two
    ways of finding it say; None where one did not look.
    """

    chunk_id: int
    title: str
    section: str
    text: str
    score: float
    url: str = ""
    date: str = ""
    language: str = ""
    document: str = ""
    lexical: float | None = None
    vector: float | None = None
