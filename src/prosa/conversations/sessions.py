"""What of the past a turn reads: the talk that is going on, a summary of what was before, what the customer told once.

A talk ends with a long silence, or when the customer says one of the business's words ("/limpar"). Pure but for
:func:`begin_afresh` and :func:`start_afresh`: ``begin`` gives what the database knows, and gets what the agent shall.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection as django_connection
from django.utils.translation import gettext as _

from prosa import sql
from prosa.agents import memory, summary
from prosa.contacts import facts
from prosa.contracts import Line
from prosa.conversations.handoff import fold
from prosa.errors import NotAllowed
from prosa.postgres.connections import Connection, fetch_one

queries = sql.load(__file__, "sessions.sql")

MOST_LINES = 60
"""Lines of a talk a turn reads at most; from then on older ones are summarised."""
WHOLE_LINES = 30
"""The newest lines, which stay whole when older ones are summarised."""
EVERYTHING = frozenset({"tudo", "todo", "all", "everything"})
"""Behind a word that starts afresh: what is remembered of the customer goes too. Otherwise it stays: they told it to
be remembered, and a new question does not make them another person."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database knows beside the lines: see the column ``memory`` in ``begin.sql``.

    ``since`` is the message of the last fresh start, ``through`` the last one the summary stands for; 0 for none.
    ``silence`` ends a talk; None = never.
    """

    contact_id: int = 0
    since: int = 0
    silence: timedelta | None = None
    words: str = ""
    summary: str = ""
    through: int = 0
    facts: tuple[str, ...] = ()
    known: tuple[int, ...] = ()
    """The ids of ``facts``, in their order."""
    before: str = ""
    """The summary of the customer's last conversation, with its date, while this one has none of its own."""

    @property
    def after(self) -> int:
        """Lines up to this message are not read again."""
        return max(self.since, self.through)


@dataclass(frozen=True, slots=True)
class Talk:
    """What the turn reads, and what is to be done about it.

    ``due``: the message up to which lines should be summarised; 0 = nothing to do. ``reset``: the message by which the
    customer starts afresh; 0 = none. ``forget``: and wants to be forgotten. ``fresh``: nothing of this talk was said before,
    so whoever had the last one has it no more.
    """

    contact_id: int = 0
    history: tuple[Line, ...] = ()
    question: tuple[Line, ...] = ()
    summary: str = ""
    facts: tuple[str, ...] = ()
    due: int = 0
    reset: int = 0
    forget: bool = False
    fresh: bool = False
    known: tuple[int, ...] = ()
    """The ids of ``facts``, in their order."""
    through: int = 0
    """The message up to which ``summary`` stands for what was said."""


def read(row: Mapping[str, Any]) -> Kept:
    """The column ``memory``."""
    hours = row["silence"]
    since, through = row["since"], row["through"] or 0
    return Kept(
        contact_id=row["contact"],
        since=since,
        silence=timedelta(hours=hours) if hours else None,
        words=row["words"],
        summary=(row["summary"] or "") if through > since else "",
        through=through if through > since else 0,
        facts=tuple(text for _, text in row["facts"] or ()),
        known=tuple(pk for pk, _ in row["facts"] or ()),
        before=row["before"] or "",
    )


def talk(
    kept: Kept,
    history: Sequence[Line],
    question: Sequence[Line],
    *,
    locale: str,
    unknown: str,
    allowed: int,
    models: Sequence[str],
    told: str,
) -> Talk:
    """The talk going on. ``allowed`` tokens of history, fewer where a model's window beside ``told`` is smaller."""
    at = next((place for place in reversed(range(len(question))) if starts_afresh(question[place].text, kept.words)), None)  # fmt: skip
    if at is not None:
        forget = any(starts_afresh(line.text, kept.words) == "all" for line in question)
        return Talk(
            kept.contact_id, (), tuple(question[at + 1 :]), "", () if forget else kept.facts,
            reset=question[at].id, forget=forget, fresh=True, known=() if forget else kept.known,
        )  # fmt: skip
    cut = _fresh(history, question, kept.silence)
    old, fresh = tuple(history[:cut]), tuple(history[cut:])
    text, due, through = kept.summary or kept.before, 0, kept.through if kept.summary else 0
    if old:  # until the summary is stored the lines themselves make one
        text, due, through = summary.extract(kept.summary, old, locale, unknown=unknown), old[-1].id, old[-1].id
    else:
        room = max(0, memory.room(allowed, models, told) - memory.tokens(text))
        remembered = memory.recall(fresh, room)
        if remembered.dropped or len(fresh) >= MOST_LINES:
            whole = memory.recall(fresh[-WHOLE_LINES:], room // 2).lines
            due = fresh[len(fresh) - len(whole) - 1].id
    return Talk(
        kept.contact_id, fresh, tuple(question), text, kept.facts, due,
        fresh=bool(old) and not fresh, known=kept.known, through=through,
    )  # fmt: skip


def starts_afresh(text: str, words: str) -> str:
    """``context`` or ``all`` when the text is one of the comma-separated ``words`` (and nothing, or *tudo*, behind it)."""
    said = fold(text).strip(" .!")
    if not said or len(said) > 100:
        return ""
    for word in filter(None, (fold(each) for each in words.split(","))):
        if said == word:
            return "context"
        if said.startswith(word + " ") and said[len(word) + 1 :] in EVERYTHING:
            return "all"
    return ""


def _fresh(history: Sequence[Line], question: Sequence[Line], silence: timedelta | None) -> int:
    """How many lines of the history belong to talks that are over."""
    if silence is None or not history:
        return 0
    lines = [*history, *question[:1]]
    gaps = (place for place, (one, other) in enumerate(itertools.pairwise(lines), 1) if other.at - one.at > silence)
    return max(gaps, default=0)


async def whose(connection: Connection, conversation_id: int, business_id: int) -> int:
    """The contact of a conversation that the caller's transaction has locked: not always the one the turn began with."""
    row = await fetch_one(connection, queries.whose, {"conversation_id": conversation_id, "business_id": business_id})
    return int(row[0]) if row else 0


async def begin_afresh(connection: Connection, conversation_id: int, business_id: int, talk: Talk) -> None:
    """What came up to ``talk.reset`` is read no more, in the caller's transaction; the timeline says so."""
    erased = 0
    if talk.forget:
        erased = await facts.erase(connection, business_id, await whose(connection, conversation_id, business_id))
    await connection.execute(
        queries.begin_afresh,
        {
            "conversation_id": conversation_id,
            "business_id": business_id,
            "message_id": talk.reset,
            "forgotten": erased,
        },
        prepare=True,
    )


def start_afresh(conversation_id: int, business_id: int, actor: str) -> None:
    """A member (``actor``: ``user:<id>``) has the assistant read no more of what was said, in Django's transaction. What
    is remembered of the customer stays, and what still waits for an answer is answered.

    :raises NotAllowed: nothing was said since it began, or there is no such conversation.
    """
    with django_connection.cursor() as cursor:
        cursor.execute(
            queries.afresh.decode(), {"conversation_id": conversation_id, "business_id": business_id, "actor": actor}
        )
        if cursor.fetchone() is None:
            raise NotAllowed(
                _("Nothing was said since the assistant last started afresh.\nThere is nothing to put behind.")
            )
