"""Learning from people: what found no answer is listed, and what people answered becomes a suggestion.

A chore reads the turns and messages written since it last looked; nothing is added to the walk of a message. Every step can
be repeated: a turn is counted once and a reply suggested once, by constraint.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async

from prosa import sql
from prosa.agents import figures
from prosa.agents.proposals import ASK
from prosa.contracts import Json, Passage
from prosa.conversations import calling
from prosa.conversations.handoff import asks_for_person
from prosa.knowledge import gaps, search, suggestions
from prosa.knowledge.learned import Mark
from prosa.postgres import shared
from prosa.postgres.connections import Connection, connect, fetch_all, fetch_one
from prosa.queue import periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "learning.sql")

BATCH = 500
MARGIN = 500
"""Ids before the mark that are looked at again: rows commit in another order than their numbers."""
FIRST_LOOK = 20_000
"""Rows an installation that never learned looks back."""
QUIET = timedelta(minutes=2)
"""After a person's last words; until then they may still be writing."""
REACH = timedelta(hours=24)
"""How long after a question an answer to it may come."""
LATELY = timedelta(hours=1)
"""How far back answers to questions of the assistant are looked at; a suggestion is made of each once."""
LEAST = 2
"""Words that carry a topic a question has at least, else it leans on what was said before."""
SEARCH = "search_knowledge"
PEOPLE = frozenset({"agent", "owner_phone"})


@periodic("* * * * *")
async def learn() -> None:
    """Look at what was said since the last time."""
    async with await connect(shared.dsn(), "prosa learning", lock_timeout="10s") as connection:
        found = await note_gaps(connection)
        suggested = await suggest(connection) + await suggest_told(connection)
    if found or suggested:
        log.info("Learned: %d unanswered questions, %d suggestions.", found, suggested)


# ── questions without an answer ──


async def note_gaps(connection: Connection) -> int:
    """Count the questions of new turns that found no answer; how many there were."""
    after = await _position("turns", await _newest(connection, queries.newest_turn))
    count = 0
    start = max(after - MARGIN, 0)
    newest = await _newest(connection, queries.newest_turn)
    while True:
        rows = await fetch_all(connection, queries.turns, {"after": start, "limit": BATCH})
        for turn_id, business_id, conversation_id, at, trace, text, said in rows:
            if (asked := unanswered(trace, text, said or "")) is None:
                continue
            near = _missed(trace) or await _nearest(connection, business_id, asked)
            question = gaps.Unanswered(turn_id, conversation_id, asked, at, near)
            count += await sync_to_async(gaps.record)(business_id, question)
        if len(rows) < BATCH:
            break
        start = rows[-1][0]
    await _remember("turns", newest)
    return count


def unanswered(trace: Json, text: str, said: str = "") -> str | None:
    """The question a turn had no answer for, as far as its trace tells; None when it had one, or none was asked.

    It had none when it said so without a model, when the model searched and found nothing, when it passed the customer on
    without having read anything, or when it ``said`` so in words having used no tool. Who asks for a person has not asked
    for knowledge.
    """
    if asks_for_person(text) or not _lost(trace, said):
        return None
    if len(gaps.stems(text)) >= LEAST:
        return text
    # "e pra lá?" alone says nothing; what the model searched for says it whole.
    for call in _calls(trace):
        arguments = call.get("arguments") if call.get("tool") == SEARCH else None
        query = str(arguments.get("query", "")) if isinstance(arguments, dict) else ""
        if len(gaps.stems(query)) >= LEAST:
            return query
    return text if trace.get("offline") == "unknown" and gaps.stems(text) else None


def _calls(trace: Json) -> list[Json]:
    return [call for call in trace.get("tools") or () if isinstance(call, dict) and call.get("ok")]


def _lost(trace: Json, said: str) -> bool:
    if trace.get("offline"):
        return bool(trace["offline"] == "unknown")
    if trace.get("passages"):
        return False
    used = {call.get("tool") for call in _calls(trace)}
    return bool(used & {SEARCH, ASK, "bring_in_person"}) or (not used and calling.owns_up(said))


def _missed(trace: Json) -> Passage | None:
    """The best that the turn's own search found under its floor, by words and vectors."""
    kept = trace.get("search")
    row = kept.get("near") if isinstance(kept, dict) else None
    if not isinstance(row, dict):
        return None
    title, section, text = (str(row.get(name) or "") for name in ("title", "section", "text"))
    score = row.get("score")
    return Passage(0, title, section, text, float(score) if isinstance(score, int | float) else 0.0)


async def _nearest(connection: Connection, business_id: int, text: str) -> Passage | None:
    found = await search.passages(connection, business_id, text, 1, floor=0.0)
    return found[0] if found else None


# ── answers of people ──


@dataclass(frozen=True, slots=True)
class Words:
    """A message of a thread. ``trace`` is the turn's that wrote or answered it, None when no turn did."""

    id: int
    author: str
    text: str
    at: datetime
    trace: Json | None


async def suggest(connection: Connection) -> int:
    """Make suggestions of what people answered; how many."""
    newest = await _newest(connection, queries.newest_message)
    after = await _position("replies", newest)
    start, done, count = max(after - MARGIN, 0), newest, 0
    seen: set[tuple[int, int]] = set()
    while True:
        rows = await fetch_all(connection, queries.replies, {"after": start, "limit": BATCH, "quiet": QUIET})
        for message_id, business_id, conversation_id, finished in rows:
            if not finished:
                done = min(done, message_id - 1)
                continue
            given = await _given(connection, business_id, conversation_id, message_id)
            if given is None or (conversation_id, given.message_id) in seen:
                continue
            seen.add((conversation_id, given.message_id))
            made = await sync_to_async(suggestions.propose)(business_id, given, same_figures)
            count += made is not None
        if len(rows) < BATCH:
            break
        start = rows[-1][0]
    await _remember("replies", done)
    return count


async def suggest_told(connection: Connection) -> int:
    """Make suggestions of what people answered to questions of the assistant, lately; how many."""
    count = 0
    for row in await fetch_all(connection, queries.told, {"lately": LATELY, "limit": BATCH}):
        business_id, conversation_id, message_id, question, answer, at, name = row
        names = (name,) if name else ()
        given = suggestions.Given(question, answer, "agent", conversation_id, message_id, at, names)
        count += await sync_to_async(suggestions.propose)(business_id, given, same_figures) is not None
    return count


async def _given(
    connection: Connection, business_id: int, conversation_id: int, message_id: int
) -> suggestions.Given | None:
    found = {"conversation_id": conversation_id, "business_id": business_id}
    rows = await fetch_all(connection, queries.thread, {**found, "message_id": message_id})
    thread = [Words(*row) for row in reversed(rows)]
    pair = answered(thread, message_id)
    if pair is None:
        return None
    question, answer = pair
    name = await fetch_one(connection, queries.names, found)
    return suggestions.Given(
        question=question,
        answer="\n".join(each.text for each in answer),
        author=answer[0].author,
        conversation_id=conversation_id,
        message_id=answer[0].id,
        at=answer[0].at,
        names=(name[0],) if name and name[0] else (),
    )


def answered(thread: list[Words], message_id: int) -> tuple[str, list[Words]] | None:
    """The customer's question and the bubbles of the person's answer that holds ``message_id``.

    None when the bot had answered the question, when it is older than :data:`REACH`, or when the person only asked back.
    """
    place = next((at for at, each in enumerate(thread) if each.id == message_id), None)
    if place is None or thread[place].author not in PEOPLE:
        return None
    first = last = place
    while first > 0 and thread[first - 1].author in PEOPLE:
        first -= 1
    while last + 1 < len(thread) and thread[last + 1].author in PEOPLE:
        last += 1
    answer = thread[first : last + 1]
    if answer[-1].text.rstrip().endswith("?") and len(answer) == 1:
        return None
    block: list[Words] = []
    for each in reversed(thread[:first]):
        if answer[0].at - each.at > REACH or each.author in PEOPLE:
            break
        if each.author == "customer":
            block.insert(0, each)
            if len(gaps.stems(" ".join(one.text for one in block))) >= LEAST:
                break
        elif each.author == "bot" and not _said_nothing(each):
            break  # what came before it was answered
    text = "\n".join(each.text for each in block)
    if len(gaps.stems(text)) < LEAST or asks_for_person(text):
        return None
    asked = block[0]
    said = "\n".join(each.text for each in thread[:first] if each.author == "bot" and each.trace == asked.trace)
    if asked.trace is not None and unanswered(asked.trace, asked.text, said) is None and not _passed_on(asked.trace):
        return None
    return text, answer


def _said_nothing(words: Words) -> bool:
    trace = words.trace or {}
    return trace.get("offline") in {"unknown", "handoff"} or _passed_on(trace) or _lost(trace, words.text)


def _passed_on(trace: Json) -> bool:
    return any(isinstance(call, dict) and call.get("tool") == "bring_in_person" for call in trace.get("tools") or ())


def same_figures(one: str, other: str) -> bool:
    """Whether two texts hold the same prices, dates, times and numbers: "R$ 20" and "R$ 30" never do."""
    return _keys(one) == _keys(other)


def _keys(text: str) -> set[frozenset[figures.Key]]:
    return {figure.keys for figure in figures.figures(text)}


# ── how far ──


async def _newest(connection: Connection, query: bytes) -> int:
    row: Any = await fetch_one(connection, query, {})
    return int(row[0])


async def _position(name: str, newest: int) -> int:
    mark, _ = await Mark.objects.aget_or_create(name=name, defaults={"position": max(newest - FIRST_LOOK, 0)})
    return mark.position


async def _remember(name: str, position: int) -> None:
    await Mark.objects.filter(name=name).aupdate(position=position)
