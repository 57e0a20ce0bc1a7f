"""``prosa knowledge``: store documents from a file, search them, measure the search, ask as a customer would."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress, track

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.conversations.guidelines import trying
from prosa.errors import ConfigurationError, ProsaError, TemporaryError
from prosa.knowledge import chunking, filling, fusion, index
from prosa.postgres import connections
from prosa.postgres.connections import Pool

log = logging.getLogger(__name__)

BATCH = 200
"""Documents per transaction."""

T = TypeVar("T")


def add(path: Path, slug: str | None) -> str:
    """Store the documents of a JSONL file. Returns the sentence that says what was done.

    The whole file is read before the first document is written, so that a bad line leaves nothing half done; a run that
    was killed is finished by running it again.

    :raises ConfigurationError: no such business or file, or a line is not a document; the message says which.
    """
    business = business_named(slug)
    lines: dict[str, int] = {}
    for number, line in _lines(path):
        entry = _document(path, number, line)
        if entry["id"] in lines:
            raise ConfigurationError(
                f"{path}, line {number}: the id {entry['id']!r} is that of line {lines[entry['id']]} too.\nGive each document an id of its own; nothing was stored."
            )
        lines[entry["id"]] = number
    done: list[index.Stored] = []
    waiting: list[index.Entry] = []
    rows = track(_lines(path), "Indexing", total=len(lines), console=_console(), disable=not sys.stderr.isatty())
    for number, line in rows:
        waiting.append(_entry(path, _document(path, number, line)))
        if len(waiting) == BATCH:
            done.append(index.store(business.pk, waiting))
            waiting = []
    done.append(index.store(business.pk, waiting))
    added, changed, unchanged, chunks = (
        sum(getattr(each, name) for each in done) for name in ("added", "changed", "unchanged", "chunks")
    )
    said = f"{added} added, {changed} changed, {unchanged} unchanged; {chunks} passages written for {business.slug}."
    return f"{said}{embedded(business)}"


def embedded(business: Business) -> str:
    """Fill in the vectors here and now, so that the next search has them; what could not be done is a worker's."""
    if not conf.settings().embedding_model:
        return ""
    with Progress(console=_console(), disable=not sys.stderr.isatty()) as shown:
        bar = shown.add_task("Embedding", total=None)
        try:
            _pooled(
                lambda pool: filling.fill(
                    pool, business.pk, lambda done, total: shown.update(bar, completed=done, total=total)
                )
            )
        except TemporaryError:
            log.debug("The embedder is away; a worker tries again.", exc_info=True)
    found = filling.progress(business.pk)
    said = f"\n{found.done} of {found.total} passages have vectors of {found.model}."
    return said if found.complete else f"{said} {found.problem} A worker goes on with them."


def search(question: str, limit: int, slug: str | None, *, as_json: bool) -> None:
    """Print the passages that fit, best first; as JSON one array, empty when the business has not said anything about it."""
    business = business_named(slug)
    found = _pooled(lambda pool: fusion.passages(pool, business.pk, question, limit))
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], ensure_ascii=False) + "\n")
        return
    for each in found:
        where = " · ".join(filter(None, (each.title, each.section, each.date)))
        text = " ".join(each.text.split())
        sys.stdout.write(f"{each.score:.2f}  {where}  [{each.document}]\n      {text[:200]}{'…' * (len(text) > 200)}\n")
    if not found:
        sys.stdout.write("Nothing fits.\n")


def search_many(queries: Path, run: Path, limit: int, slug: str | None) -> str:
    """Write ``qid docid rank score`` for every question of a JSONL file. Returns the sentence that says what was done.

    :raises ConfigurationError: a line is not a question, or a file cannot be read or written.
    """
    business = business_named(slug)
    asked = [_question(queries, number, line) for number, line in _lines(queries)]

    async def answer(pool: Pool) -> int:
        written = 0
        with run.open("w", encoding="utf-8") as out:
            for qid, text in track(asked, "Searching", console=_console(), disable=not sys.stderr.isatty()):
                found = await fusion.documents(pool, business.pk, text, limit)
                for rank, (docid, score) in enumerate(found, 1):
                    out.write(f"{qid} {docid} {rank} {score:.6f}\n")
                written += len(found)
        return written

    try:
        written = _pooled(answer)
    except OSError as error:
        raise ConfigurationError(f"{run} cannot be written: {error.strerror}.\nName another file.") from error
    return f"{len(asked)} questions, {written} results in {run}."


def ask(question: str, slug: str | None, *, as_json: bool) -> None:
    """Print what a customer would be answered, and from which sources. Nothing is sent or kept, save what it cost.

    :raises ConfigurationError: there is no answer; the message says why.
    """
    business = business_named(slug)
    try:
        (tried,) = trying.now(partial(trying.ask, business.pk, question))
    except ProsaError as error:
        raise ConfigurationError(str(error)) from error
    sources = list(
        dict.fromkeys(
            " · ".join(filter(None, (read.title, read.section, read.date, read.url))) for read in tried.trace.passages
        )
    )
    if as_json:
        told = {"answer": tried.text, "sources": sources, "model": tried.trace.usage.model or "offline"}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(f"{tried.text}\n")
    for source in sources:
        sys.stdout.write(f"  from {source}\n")


def _console() -> Console:
    return Console(stderr=True)


def _pooled(act: Callable[[Pool], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connections.pool(postgres.dsn(conf.settings()), name="prosa knowledge", high=4) as pool:
            try:
                return await act(pool)
            finally:
                await fusion.close()

    return asyncio.run(run())


def business_named(slug: str | None) -> Business:
    """The one named, or the only one there is.

    :raises ConfigurationError: there is none of that name, or several and none named.
    """
    found = list(Business.objects.filter(slug=slug) if slug else Business.objects.all()[:2])
    if len(found) != 1:
        known = ", ".join(Business.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
        asked = f"There is no business {slug!r}." if slug else "Which business?"
        raise ConfigurationError(f"{asked}\nName one with --business: {known}. `prosa setup` makes the first.")
    return found[0]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that hold anything, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.\nName a file of JSON lines.") from error


def _object(path: Path, number: int, line: bytes, needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    """A line as strings. Numbers count as their digits; null counts as left out."""
    try:
        given: Any = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        raise ConfigurationError(
            f"{path}, line {number}: this is not JSON ({error}).\nPut it right; nothing was stored."
        ) from error
    if not isinstance(given, dict):
        raise ConfigurationError(
            f"{path}, line {number}: this is not an object.\nWrite {_shape(needed, optional)}; nothing was stored."
        )
    told = {name: value for name in (*needed, *optional) if (value := given.get(name)) is not None}
    for name, value in told.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigurationError(
                f"{path}, line {number}: {name!r} is not a string.\nWrite {_shape(needed, optional)}; nothing was stored."
            )
    for name in needed:
        if not str(told.get(name, "")).strip():
            raise ConfigurationError(
                f"{path}, line {number}: {name!r} is missing or empty.\nWrite {_shape(needed, optional)}; nothing was stored."
            )
    # PostgreSQL has no NUL, and UTF-8 no lone surrogates.
    return {name: str(value).replace("\0", "").encode("utf-8", "replace").decode() for name, value in told.items()}


def _shape(needed: tuple[str, ...], optional: tuple[str, ...]) -> str:
    return "{" + ", ".join(f'"{name}": "…"' for name in (*needed, *optional)) + "}"


def _document(path: Path, number: int, line: bytes) -> dict[str, str]:
    found = _object(path, number, line, ("id", "text"), ("title", "lang", "url"))
    for name, most in (("id", 300), ("title", 500), ("lang", 10)):
        if len(found.get(name, "")) > most:
            raise ConfigurationError(
                f"{path}, line {number}: {name!r} is longer than {most} characters.\nShorten it; nothing was stored."
            )
    return found


def _question(path: Path, number: int, line: bytes) -> tuple[str, str]:
    found = _object(path, number, line, ("id",), ("text",))
    return found["id"], found.get("text", "")


def _entry(path: Path, told: dict[str, str]) -> index.Entry:
    title, language = told.get("title", ""), told.get("lang", "")
    pieces = tuple(index.Piece(each.text, each.section[:500]) for each in chunking.chunks(told["text"], title=title))
    return index.Entry(told["id"], title, pieces, language, told.get("url", ""), "jsonl", path.name[:300])
