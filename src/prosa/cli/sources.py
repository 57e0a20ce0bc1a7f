"""``prosa knowledge add``, ``sync`` and ``sources``: where knowledge comes from, and reading it here and now."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.core.files import File
from django.db import transaction
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from prosa.business.models import Business
from prosa.cli.knowledge import business_named, embedded
from prosa.errors import ConfigurationError
from prosa.http import Client
from prosa.knowledge import sync as syncing
from prosa.knowledge import uploads
from prosa.knowledge.loaders import SUFFIXES
from prosa.knowledge.models import Source
from prosa.knowledge.triggers import ANSWERS

LOOK_S = 0.5
"""Between two looks at what a worker is doing."""
MOST_TOLD = 20
"""Documents that could not be read, told one by one."""

Status = Source.Status


def add(given: Sequence[str], slug: str | None, every: int | None, name: str | None, *, answers: bool) -> bool:
    """Make a source of each file, folder, page and sitemap, or of the approved answers, and read it. True when all went well.

    A file that was added before under the same name takes the old one's place.

    :raises ConfigurationError: one of them is nothing that can be read, or its name is taken; nothing was added.
    """
    business = business_named(slug)
    if name and len(given) + answers > 1:
        raise ConfigurationError("One name for several sources.\nAdd them one by one, or leave --name out.")
    known = [_looked_at(business, each, name) for each in given]
    if answers:
        known.append(_free(business, ANSWERS, name or "Approved answers", {}))
    names = [source.name for source in known]
    if twice := next((each for each in names if names.count(each) > 1), ""):
        raise ConfigurationError(
            f"Two of them would be named {twice!r}.\nAdd them one by one, with --name; nothing was added."
        )
    for source, each in zip(known, [*given, *([""] if answers else [])], strict=True):
        source.every_minutes = every if every is not None else source.every_minutes
        with transaction.atomic():
            # Of one that is known only what was said now: a worker may be counting in the same row.
            source.save(update_fields=["allowed", "every_minutes"] if source.pk else None)
            if source.kind == uploads.KIND:
                path = Path(each).expanduser()
                with path.open("rb") as file:
                    uploads.keep(source, path.name, File(file))
    return _synchronise(known)


def sync(names: Sequence[str], slug: str | None) -> bool:
    """Read sources again, all of a business or those named. True when all went well.

    :raises ConfigurationError: there is none, or none of a name.
    """
    return _synchronise(_chosen(names, slug))


def stop(names: Sequence[str], slug: str | None) -> None:
    """Read no further in sources that are being read, all of a business or those named.

    :raises ConfigurationError: there is none, or none of a name.
    """
    stopped = [source.name for source in _chosen(names, slug) if syncing.stop(source.pk)]
    sys.stdout.write(
        "".join(f"{name}: stops; what was read so far stays.\n" for name in stopped) or "Nothing is being read.\n"
    )


def _chosen(names: Sequence[str], slug: str | None) -> list[Source]:
    business = business_named(slug)
    known = {source.name: source for source in Source.objects.filter(business=business)}
    if not known:
        raise ConfigurationError(
            f"{business.slug} has no sources yet.\nAdd one: prosa knowledge add FILE, FOLDER or URL"
        )
    absent = [name for name in names if name not in known]
    if absent:
        raise ConfigurationError(f"There is no source {absent[0]!r}.\nName one of: {', '.join(known)}.")
    return [known[name] for name in names] if names else [source for source in known.values() if source.active]


def show(slug: str | None, *, as_json: bool) -> None:
    """Print the sources of a business and how their last synchronisation went."""
    business = business_named(slug)
    sources = list(Source.objects.filter(business=business).order_by("name"))
    if as_json:
        names = ("name", "kind", "status", "active", "every_minutes", "total", "added", "changed", "unchanged", "forgotten", "failed", "error")  # fmt: skip
        rows = [
            {name: getattr(source, name) for name in names}
            | {"documents": source.documents.count(), "synced_at": source.synced_at and source.synced_at.isoformat()}
            for source in sources
        ]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return
    if not sources:
        sys.stdout.write("No sources yet. Add one: prosa knowledge add FILE, FOLDER or URL\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "state", "documents", "failed", "read", "every"):
        table.add_column(column, justify="right" if column in ("documents", "failed") else "left")
    for source in sources:
        read = f"{source.synced_at:%Y-%m-%d %H:%M} UTC" if source.synced_at else "never"
        every = f"{source.every_minutes} min" if source.every_minutes else "by hand"
        state = str(source.status) if source.active else f"{source.status}, off"
        counted = (str(source.documents.count()), str(source.failed))
        table.add_row(source.name, source.kind, state, *counted, read, every)
    Console(highlight=False, markup=False).print(table)
    for source in sources:
        if source.error:
            sys.stdout.write(f"{source.name}: {_line(source.error)}\n")


def _looked_at(business: Business, given: str, name: str | None) -> Source:
    """The source a path or address is, not saved."""
    parts = urlsplit(given)
    if parts.scheme in ("http", "https"):
        listing = parts.path.lower().endswith((".xml", ".xml.gz"))
        return _free(business, "sitemap" if listing else "url", name or given, {"url": given})
    path = Path(given).expanduser()
    if path.is_dir():
        whole = str(path.resolve())
        source = _free(business, "folder", name or path.resolve().name, {"path": whole})
        source.allowed = whole
        return source
    if not path.is_file():
        raise ConfigurationError(f"{given} is no file, folder or http address.\nCorrect it; nothing was added.")
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(
            f"{given} is of a kind that is not read.\nTake one of {', '.join(sorted(SUFFIXES))}; nothing was added."
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{given} cannot be read: {error.strerror}.\nNothing was added.") from error
    return _free(business, uploads.KIND, name or path.name, {"filename": path.name})


def _free(business: Business, kind: str, name: str, config: dict[str, str]) -> Source:
    name = name[:200]
    found = Source.objects.filter(business=business, name=name).first()
    if found is None:
        return Source(business=business, kind=kind, name=name, config=config)
    same = found.kind == kind and all(found.config.get(key) == value for key, value in config.items())
    if not same:
        raise ConfigurationError(
            f"There is another source named {name!r} already.\nGive this one another: --name; nothing was added."
        )
    return found


def _synchronise(sources: Sequence[Source]) -> bool:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        tasks = [bar.add_task(source.name, total=None, doing="waits") for source in sources]
        done = [asyncio.run(_follow(source.pk, bar, task)) for source, task in zip(sources, tasks, strict=True)]
    for source in done:
        _tell(source)
    if any(source.added or source.changed for source in done) and (said := embedded(done[0].business).strip()):
        sys.stdout.write(f"{said}\n")
    return all(source.status != Status.FAILED for source in done)


async def _follow(source_id: int, bar: Progress, task: TaskID) -> Source:
    """Do it here; while a worker is at it, watch."""
    await sync_to_async(syncing.request)(source_id)

    def told(source: Source, doing: str = "reads") -> None:
        bar.update(task, total=source.total or None, completed=source.done, doing=doing)

    while True:
        async with Client() as client:
            ours = await syncing.run(source_id, client, told=told)
        source = await Source.objects.aget(pk=source_id)
        if source.status not in (Status.WAITING, Status.RUNNING):
            bar.update(task, total=max(source.total, 1), completed=max(source.total, 1), doing=source.status)
            return source
        if not ours:
            told(source, "a worker reads")
            await asyncio.sleep(LOOK_S)


def _tell(source: Source) -> None:
    counts = ", ".join(
        f"{getattr(source, name)} {name}" for name in ("added", "changed", "unchanged", "forgotten", "failed")
    )
    sys.stdout.write(f"{source.name}: {counts}.\n")
    if source.status == Status.FAILED:
        sys.stderr.write(f"prosa: {source.name}: {_line(source.error)}\n")
        return
    broken = source.items.exclude(error="").order_by("key")
    for item in broken[:MOST_TOLD]:
        sys.stderr.write(f"prosa: {item.key}: {_line(item.error)}\n")
    if (more := broken.count() - MOST_TOLD) > 0:
        sys.stderr.write(f"prosa: and {more} more; the admin shows them all.\n")


def _line(error: str) -> str:
    """In the terminal's language, where we have it."""
    from django.utils import translation

    from prosa.knowledge import troubles

    asked = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")[:2].lower()
    with translation.override({"pt": "pt-br", "es": "es"}.get(asked, "en")):
        return troubles.in_one_line(error)
