"""A trial of guidelines: ask as a customer, see what would be said and why. Nothing is sent, no conversation is kept.

The question is put on a stage: in one transaction a customer, a conversation and its messages are written, the draft takes
the place of what is in force, and ``begin`` reads all of it as it reads any turn. Then the transaction is rolled back, and
only then somebody thinks. So a trial knows exactly what an answer would know, whatever ``begin`` learns to read. What stays
is the line in the ledger: a trial costs what an answer costs, and the budget's gate is asked as for one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import psycopg

from prosa import sql
from prosa.agents import runner
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import InboxConfig, Json, OutboundMessage, Tool, ToolResult, TurnResult
from prosa.conversations import begin as beginning
from prosa.conversations import finish, spent, turns
from prosa.conversations.begin import Context
from prosa.conversations.guidelines import meaning
from prosa.conversations.traces import trace, tracing
from prosa.costs import ledger
from prosa.errors import BadInput, PermanentError, TemporaryError
from prosa.knowledge import fusion
from prosa.postgres import connections, shared
from prosa.postgres.connections import Connection, Pool, fetch_one
from prosa.sql import Texts

queries = sql.load(__file__, "trying.sql")

Version = Literal["draft", "published"]
PURPOSE = "trial"
MOST_TEXT = 4_000
MOST_EARLIER = 40
GRACE_S = 5.0
DONE = "This is a trial: it was not done. Answer as if it had been done and had worked."
"""What a model reads instead of the result of a tool that changes something."""


@dataclass(frozen=True, slots=True)
class Would:
    """A tool that would have changed something. ``confirmed``: only once the customer had said yes."""

    tool: str
    arguments: Json
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """What would be said, as the channel would show it, and why. ``drafted``: a draft was obeyed, not what is in force."""

    replies: tuple[OutboundMessage, ...]
    trace: trace.Trace
    would: tuple[Would, ...] = ()
    drafted: bool = False

    @property
    def text(self) -> str:
        """The bubbles, joined by an empty line."""
        return "\n\n".join(bubble.text for bubble in self.replies)


class _One(Inboxes):
    """The inbox of the stage: of any kind, with nothing behind it."""

    def __init__(self, business_id: int, kind: str) -> None:
        super().__init__()
        self._inbox = InboxConfig(0, business_id, kind, "", "", {})

    def get(self, inbox_id: int) -> InboxConfig | None:
        return self._inbox


async def ask(
    business_id: int,
    text: str,
    *,
    version: Version = "published",
    channel: str = "rest",
    specialist: str = "",
    earlier: Sequence[tuple[str, str]] = (),
    think: Callable[..., Awaitable[TurnResult]] = runner.run,
) -> Tried:
    """Ask a business's assistant as a customer would.

    ``earlier``: what was said before, oldest first, as (``customer`` or ``bot``, text). ``specialist`` has the conversation;
    empty = whoever would get it. Tools that only read are run; those that change something are not.

    :raises BadInput: no question, a business or channel that does not exist.
    :raises TemporaryError: the database cannot be reached, or the answer took too long.
    """
    question = sql.clean(text.strip()[:MOST_TEXT]).decode()
    if not question:
        raise BadInput("There is no question.\nWrite what a customer might ask.")
    try:
        provider = base.provider(channel)
    except PermanentError:
        raise BadInput(f"There is no channel {channel!r}.\nTake one of the business's inboxes.") from None
    said = [
        (who if who in ("customer", "bot") else "bot", sql.clean(line[:MOST_TEXT]).decode()) for who, line in earlier
    ]
    lines = [*said[-MOST_EARLIER:], ("customer", question)]
    would: list[Would] = []

    async def rehearse(tool: Tool, given: Json, _do: Callable[[str], Awaitable[ToolResult]]) -> ToolResult:
        would.append(Would(tool.name, given))
        return ToolResult(DONE)

    pool = connections.pool(shared.dsn(), name="prosa trial", low=0, high=3)
    try:
        async with pool:
            context, drafted = await _staged(pool, business_id, lines, version, channel, specialist)
            context = await meaning.weighed(pool, context)
            context = replace(context, turn=replace(context.turn, execute=rehearse, confirms=True))
            result = await turns.answered(context, lambda: _within(context, think))
            if result is None:  # only a newer message interrupts, and here is none
                raise TemporaryError("The answer was interrupted.\nTry again.")
            if result.action is not None:
                would.append(Would(result.action.tool, result.action.arguments, confirmed=True))
            bubbles = [bubble for reply in result.replies for bubble in provider.compose(reply)]
            return Tried(
                tuple(bubbles), await _booked(pool, context, result, bubbles, drafted=drafted), tuple(would), drafted
            )
    except (psycopg.OperationalError, OSError) as error:
        raise TemporaryError("The database cannot be reached.\nTry again in a moment.") from error


def now(*asked: Callable[[], Awaitable[Tried]]) -> list[Tried]:
    """Trials beside each other, from where no event loop runs: a Django view, a command.

    :raises BadInput, TemporaryError: as :func:`ask` does, for the first that fails.
    """

    async def together() -> list[Tried]:
        try:
            return list(await asyncio.gather(*(one() for one in asked)))
        finally:
            await runner.close()
            await fusion.close()

    return asyncio.run(together())


async def _staged(
    pool: Pool, business_id: int, lines: Sequence[tuple[str, str]], version: Version, channel: str, specialist: str
) -> tuple[Context, bool]:
    async with pool.connection() as connection, connection.transaction(force_rollback=True):
        await connection.execute("SET LOCAL lock_timeout = '3s'")
        row = await fetch_one(connection, queries.stage, {"business_id": business_id, "specialist": specialist[:40]})
        if row is None:
            raise BadInput("There is no such business.\nLook at the list of businesses in the admin.")
        drafted = version == "draft" and await _drafted(connection, business_id)
        names = {"business_id": business_id, "conversation_id": row[0]}
        columns = {"authors": Texts([who for who, _ in lines]), "texts": Texts([text for _, text in lines])}
        await connection.execute(queries.speak, {**names, **columns})
        context = await beginning.begin(pool, _One(business_id, channel), row[0], connection)
    if context is None:
        raise TemporaryError("The trial could not be prepared.\nTry again.")
    return context, drafted


async def _drafted(connection: Connection, business_id: int) -> bool:
    return await fetch_one(connection, queries.rehearse, {"business_id": business_id}) is not None


async def _within(context: Context, think: Callable[..., Awaitable[TurnResult]]) -> TurnResult:
    try:
        async with asyncio.timeout(context.turn.turn_deadline + GRACE_S):
            return await think(context.turn)
    except TimeoutError:
        raise TemporaryError("The answer took too long.\nTry again, or shorten the deadline of a model.") from None


async def _booked(
    pool: Pool, context: Context, result: TurnResult, bubbles: Sequence[OutboundMessage], *, drafted: bool
) -> trace.Trace:
    """The trace, once what was used is in the ledger."""
    entries = spent.entries(context.spent, result)
    async with pool.connection() as connection, connection.transaction():
        cost = await ledger.book(
            connection, context.business_id, context.standing.day, [replace(each, purpose=PURPOSE) for each in entries]
        )
    row = finish.record(context, result, PURPOSE, bubbles, dict(result.stages))
    found = tracing.read({**row, "cost": cost, "trace": json.loads(row["trace"]), "stages": json.loads(row["stages"])})
    found.conversation_id, found.draft = None, ""
    if drafted:
        found.drafted, found.guideline_version = True, 0
    found.gates = [gate for gate in found.gates if gate.gate not in ("owner", "newest")]
    found.question = [
        trace.Said(id=each.id, author="customer", text=each.line.text, at=each.line.at) for each in context.waiting
    ]
    found.replies = [
        trace.Said(id=number, author="bot", kind=bubble.kind, text=bubble.text)
        for number, bubble in enumerate(bubbles, 1)
    ]
    return found


def earlier(exchanges: Sequence[Any], side: Version) -> list[tuple[str, str]]:
    """What was said before on one side, from the rows that the page keeps: ``asked``, ``draft``, ``published``."""
    said: list[tuple[str, str]] = []
    for row in exchanges[-MOST_EARLIER // 2 :]:
        if isinstance(row, dict) and isinstance(row.get("asked"), str):
            answer = row.get(side) or row.get("draft") or row.get("published")
            said += [("customer", row["asked"])] + ([("bot", answer)] if isinstance(answer, str) else [])
    return said
