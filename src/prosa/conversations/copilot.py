"""What helps a person who answers: a suggested reply with its sources, a summary, a rewrite. Never sent by itself.

Each call starts from the business, asks the budget, and books what it cost under ``copilot`` (summaries: ``summary``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from prosa.agents import copilot, passages, runner, summary
from prosa.conversations import entrance, spent, summaries
from prosa.conversations.begin import begin
from prosa.conversations.entrance import Entrance
from prosa.conversations.guidelines import meaning
from prosa.conversations.summaries import Subject
from prosa.costs import ledger
from prosa.errors import BadInput, NotAllowed
from prosa.postgres.connections import Pool, fetch_one

Result = TypeVar("Result")

PURPOSE = "copilot"


@dataclass(frozen=True, slots=True)
class Source:
    """What a suggestion stands on. ``kind``: passage or approved."""

    kind: str
    title: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What could be answered. ``known`` is False when neither knowledge nor model had an answer. ``model`` may be offline."""

    text: str
    sources: tuple[Source, ...] = ()
    model: str = ""
    known: bool = True


def now(work: Callable[[Entrance], Awaitable[Result]]) -> Result:
    """Do ``work`` from sync code, in an event loop of its own, with a door for this request."""

    async def alone() -> Result:
        try:
            return await work(await entrance.alone())
        finally:
            await runner.close()

    return asyncio.run(alone())


async def suggest(door: Entrance, business_id: int, conversation_id: int, inbox_id: int | None = None) -> Suggestion:
    """A reply to what the customer wrote last, made as the assistant would, with tools that only read.

    :raises NotAllowed: the business (or this inbox of it) has no such conversation.
    :raises BadInput: the customer wrote nothing yet.
    """
    await _subject(door, business_id, conversation_id, inbox_id)
    context = await begin(cast("Pool", door), door.inboxes, conversation_id)
    if context is None or context.business_id != business_id:
        raise _missing(conversation_id)
    context = await meaning.weighed(cast("Pool", door), context)
    turn = copilot.asked(context.turn)
    if not turn.question:
        raise BadInput("The customer wrote nothing yet.\nThere is nothing to suggest a reply to.")
    result = await runner.run(turn)
    entries = spent.entries(context.spent, result)
    async with door.connection() as connection, connection.transaction():
        used = [replace(entry, purpose=PURPOSE) for entry in entries]
        await spent.book(connection, business_id, conversation_id, context.standing.day, used)
    text = "\n\n".join(reply.text for reply in result.replies)
    sources = [
        Source("passage", passages.source(each), each.url if each.url.startswith(("http://", "https://")) else "")
        for each in result.sources
    ]
    if turn.approved is not None:
        found = await turn.approved("\n".join(line.text for line in turn.question))
        sources += [Source("approved", each.question) for each in found if each.answer.strip() and each.answer in text]
    return Suggestion(text, tuple(sources), result.model, result.trace.get("offline") != "unknown")


async def summarise(
    door: Entrance, business_id: int, conversation_id: int, inbox_id: int | None = None
) -> summary.Written:
    """What was said so far, for a person; not stored.

    :raises NotAllowed: the business (or this inbox of it) has no such conversation.
    :raises BadInput: nothing was said yet.
    """
    about = await _subject(door, business_id, conversation_id, inbox_id)
    async with door.connection() as connection:
        said = await summaries.lines(connection, about)
    if not said and not about.summary:
        raise BadInput("Nothing was said yet.\nThere is nothing to summarise.")
    written = await summaries.write(about, said, "handoff")
    async with door.connection() as connection, connection.transaction():
        await summaries.book(connection, about, written)
    return written if written.text else replace(written, text=about.summary)


async def rewrite(
    door: Entrance, business_id: int, conversation_id: int, text: str, way: str, inbox_id: int | None = None
) -> str:
    """A message in another way (see :data:`prosa.agents.copilot.WAYS`); every figure of it stays.

    :raises NotAllowed: the business (or this inbox of it) has no such conversation, or no model can be asked.
    :raises BadInput: no text, too long a text, an unknown way, or no rewrite that keeps the figures.
    """
    if way not in copilot.WAYS:
        raise BadInput(f"There is no way {way[:40]!r} to rewrite.\nTake one of {', '.join(copilot.WAYS)}.")
    if not text.strip() or len(text) > copilot.MOST:
        raise BadInput(f"The text has {len(text)} characters.\nWrite between 1 and {copilot.MOST}.")
    about = await _subject(door, business_id, conversation_id, inbox_id)
    done = await copilot.rewrite(about.models, text.strip(), way, business=about.business, deadline=about.deadline)
    entries = [ledger.Entry(model, usage, PURPOSE) for model, usage in done.spent]
    async with door.connection() as connection, connection.transaction():
        await spent.book(connection, business_id, conversation_id, about.standing.day, entries)
    if done.lost:
        raise BadInput(
            f"The rewrite changed figures ({', '.join(done.lost[:5])}) and was dropped.\nSend your own words, or try another way."
        )
    if not done.text:
        raise NotAllowed(
            "No model could be asked.\nSet one at the business, or look at its budget and at `prosa doctor`."
        )
    return done.text


async def _subject(door: Entrance, business_id: int, conversation_id: int, inbox_id: int | None) -> Subject:
    async with door.connection() as connection:
        if inbox_id is not None and not await fetch_one(
            connection,
            summaries.queries.within,
            {"business_id": business_id, "inbox_id": inbox_id, "conversation_id": conversation_id},
        ):
            raise _missing(conversation_id)
        about = await summaries.subject(connection, conversation_id, business_id)
    if about is None:
        raise _missing(conversation_id)
    return about


def _missing(conversation_id: int) -> NotAllowed:
    return NotAllowed(f"There is no conversation {conversation_id} here.\nCheck the number.")
