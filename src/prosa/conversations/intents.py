"""What a turn asked for beside its answer, carried out in the transaction that writes it. The usual turn asks for nothing.

Closing the conversation waits until the answer went out: see :func:`close`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prosa import queue, sql
from prosa.contacts import facts
from prosa.contracts import TurnResult
from prosa.conversations import ownership, sessions, summaries
from prosa.conversations.acts import pending
from prosa.conversations.cases import asking
from prosa.conversations.states import Move
from prosa.postgres.connections import Connection, Pool, fetch_one

if TYPE_CHECKING:
    from prosa.conversations.begin import Context

queries = sql.load(__file__, "intents.sql")


def nothing(context: Context, result: TurnResult) -> bool:
    """Whether :func:`carry_out` would have nothing to do, whatever the outcome."""
    talk = context.talk
    asked = context.settled is not None or result.action is not None or result.resolved is not None
    return not (asked or talk.reset or talk.due or result.facts) and asking.nothing(context, result)


async def carry_out(
    connection: Connection,
    context: Context,
    result: TurnResult | None,
    outcome: str,
    turn_id: int,
    bubble_id: int | None,
) -> None:
    """Keep what was told, start afresh, plan the closing and the summary. ``bubble_id`` is the answer's last bubble."""
    if result is None or outcome == "superseded":
        return
    if context.settled is not None or result.action is not None:
        await pending.keep(connection, context, result, outcome, turn_id, bubble_id)
    await asking.keep(connection, context, result, outcome, turn_id)
    talk = context.talk
    if talk.reset and outcome == "answered":
        await sessions.begin_afresh(connection, context.conversation_id, context.business_id, talk)
    if result.facts and context.waiting:
        source = facts.Source(context.conversation_id, turn_id, context.waiting[-1].id)
        contact = await sessions.whose(connection, context.conversation_id, context.business_id)
        count = await facts.keep(connection, context.business_id, contact, result.facts, source)
        if count:
            await connection.execute(
                queries.remembered,
                {
                    "conversation_id": context.conversation_id,
                    "business_id": context.business_id,
                    "turn_id": turn_id,
                    "count": count,
                },
            )
    if outcome == "answered" and result.resolved is not None and result.handoff is None and bubble_id is not None:
        await connection.execute(
            queries.plan_closing,
            {
                "conversation_id": context.conversation_id,
                "business_id": context.business_id,
                "bubble_id": bubble_id,
                "summary": sql.clean(result.resolved).decode(),
                "model": result.model[:200],
            },
        )
    if talk.due and outcome == "answered":
        await queue.defer_within(
            connection,
            summaries.extend,
            f"summary:{context.conversation_id}",
            conversation_id=context.conversation_id,
            through=talk.due,
        )


async def close(pool: Pool, conversation_id: int) -> bool:
    """Resolve a conversation whose closing answer went out, unless somebody took over or the customer wrote on."""
    async with pool.connection() as connection, connection.transaction():
        row = await fetch_one(connection, queries.closing, {"conversation_id": conversation_id})
        if row is None:
            return False
        return await ownership.move(connection, conversation_id, Move.RESOLVE, "bot", summary=row[0]) is not None
