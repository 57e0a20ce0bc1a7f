"""Writing summaries, off the hot path: of what a turn no longer reads, and for the person who takes over.

Each is written once for the lines it stands for, and goes on from the one before. Money is asked for and booked as for
an answer; where no model may be asked, a summary quotes the lines themselves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from django.utils import translation

from prosa import conf, sql
from prosa.agents import summary
from prosa.business.zones import zone_named
from prosa.contracts import Line, Turn
from prosa.conversations import reasons, spent
from prosa.conversations.words import words
from prosa.costs import gate, ledger
from prosa.postgres import shared
from prosa.postgres.connections import Connection, connect, fetch_all, fetch_one
from prosa.queue import chore

queries = sql.load(__file__, "summaries.sql")

MOST_LINES = 2_000
"""Lines one summary reads; of more, the newest."""
LAST = 2**62


@dataclass(frozen=True, slots=True)
class Subject:
    """A conversation, as far as work beside its turns must know it. ``models`` are those the budget allows, in order."""

    id: int
    business_id: int
    business: str
    locale: str
    timezone: str
    summary: str
    through: int
    since: int
    reason: str
    models: tuple[str, ...]
    deadline: float
    standing: gate.Standing

    @property
    def now(self) -> datetime:
        """The business's clock."""
        return datetime.now(zone_named(self.timezone))


async def subject(connection: Connection, conversation_id: int, business_id: int | None = None) -> Subject | None:
    """The conversation (of this business, when one is named), or None."""
    row = await fetch_one(connection, queries.subject, {"conversation_id": conversation_id, "business_id": business_id})
    if row is None:
        return None
    (
        pk,
        business_id,
        name,
        locale,
        timezone,
        model,
        fallbacks,
        deadline,
        since,
        text,
        through,
        reason,
        spending,
        talked,
    ) = row
    standing = gate.read(spending, talked)
    settings = conf.settings()
    turn = Turn(
        business_name=name,
        locale=locale,
        channel="",
        question=(),
        now=datetime.now(zone_named(timezone)),
        model=model or settings.model,
        fallback_models=tuple(part.strip() for part in fallbacks.split(",") if part.strip())
        or settings.fallback_models,
    )
    turn = gate.apply(turn, gate.judge(standing), standing)
    current = through is not None and through > since
    return Subject(
        pk, business_id, name, locale, timezone, text if current else "", through if current else 0, since, _reason(reason or "", locale),
        (turn.model, *turn.fallback_models), float(deadline), standing,
    )  # fmt: skip


def _reason(reason: str, locale: str) -> str:
    """Why people were called, in the business's language where the reason is one of ours."""
    with translation.override(locale):
        return reasons.told(reason)


async def lines(connection: Connection, about: Subject, through: int = LAST) -> list[Line]:
    """What was said after the stored summary, up to message ``through``, oldest first."""
    rows = await fetch_all(
        connection,
        queries.lines,
        {
            "conversation_id": about.id,
            "business_id": about.business_id,
            "after": max(about.since, about.through),
            "through": through,
            "most": MOST_LINES,
        },
    )
    return [Line(author, text, at, pk) for pk, author, text, at in reversed(rows)]


async def write(about: Subject, said: Sequence[Line], purpose: str) -> summary.Written:
    """A summary for ``history`` or ``handoff``; not stored yet, nor booked."""
    return await summary.write(
        about.models,
        about.summary,
        said,
        business=about.business,
        locale=about.locale,
        purpose=purpose,
        reason=about.reason if purpose == "handoff" else "",
        unknown=words(about.locale)["unknown"],
        deadline=about.deadline,
    )


async def book(connection: Connection, about: Subject, written: summary.Written, purpose: str = "summary") -> None:
    """What it cost goes to the ledger, in the caller's transaction."""
    entries = [ledger.Entry(model, usage, purpose) for model, usage in written.spent]
    await spent.book(connection, about.business_id, about.id, about.standing.day, entries)


async def store(
    connection: Connection, about: Subject, written: summary.Written, purpose: str, said: Sequence[Line]
) -> None:
    """Keep and book it, unless the customer started afresh meanwhile or a later one is there."""
    async with connection.transaction():
        await connection.execute(
            queries.store,
            {
                "conversation_id": about.id,
                "business_id": about.business_id,
                "purpose": purpose,
                "text": sql.clean(written.text).decode(),
                "through": said[-1].id,
                "lines": len(said),
                "model": written.model[:200],
            },
        )
        await book(connection, about, written)


@chore
async def extend(conversation_id: int, through: int) -> None:
    """Let the stored summary stand for every line up to message ``through``; nothing when it does."""
    async with _connection() as connection:
        about = await subject(connection, conversation_id)
        if about is None or max(about.through, about.since) >= through:
            return
        said = await lines(connection, about, through)
    await _write_and_store(about, said, "history")


@chore
async def tell_handoff(conversation_id: int) -> None:
    """Write for the person who takes over what was said and why they were called."""
    async with _connection() as connection:
        about = await subject(connection, conversation_id)
        if about is None:
            return
        said = await lines(connection, about)
    await _write_and_store(about, said, "handoff")


async def _write_and_store(about: Subject, said: Sequence[Line], purpose: str) -> None:
    if said:
        written = await write(about, said, purpose)  # a model takes its time: no connection waits with it
        async with _connection() as connection:
            await store(connection, about, written, purpose, said)


@asynccontextmanager
async def _connection() -> AsyncIterator[Connection]:
    async with await connect(shared.dsn(), "prosa summary") as connection:
        yield connection
