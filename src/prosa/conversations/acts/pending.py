"""What cannot be undone waits for the customer's yes: proposed with the answer that asks, carried out by a later message.

The model only proposes. The proposal is a row with the exact parameters, written in the transaction that says the
question. What the customer answers is read by ``consent``; a yes moves the row once, and the ledger carries it out once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import connection as django_connection

from prosa import conf, sql
from prosa.agents.tools import CONFIRM, REFUSE, hidden, sound
from prosa.contracts import IDENTITY_LEVELS, Deed, Json, Option, Reply, Tool, ToolContext, ToolResult, Turn, TurnResult
from prosa.conversations.acts import consent
from prosa.conversations.acts.executions import Ledger
from prosa.conversations.words import words
from prosa.errors import BadInput
from prosa.postgres.connections import Connection, fetch_one
from prosa.queue import periodic

if TYPE_CHECKING:
    from prosa.conversations.begin import Context

log = logging.getLogger(__name__)
queries = sql.load(__file__, "pending.sql")

BATCH = 500
SPOKEN = frozenset({"text", "button", "list", "audio"})
"""Kinds of messages whose words are the customer's own; a caption or a file's name confirms nothing."""
_GONE = "This is not available any more, and nothing was done. Say so, or offer to bring in a person."
_UNPROVED = "Nothing was done: the customer must show who they are again first, and then be asked again."
_UNSURE = (
    "It is not known whether this happened. Do not say that it did: a person of the team looks at it and will answer."
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a waiting action before any model is asked.

    ``turn`` is the turn with what was done; ``result`` the whole answer, when no model is needed. ``told``: the action whose
    end the customer hears with this answer; ``again``: the key of the one that is asked about again.
    """

    turn: Turn
    result: TurnResult | None = None
    told: int = 0
    again: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: int
    key: str
    tool: str
    identity: str
    arguments: Json
    shown: Json
    question: str
    status: str
    late: bool
    theirs: bool
    asked_last: bool
    said: tuple[consent.Said, ...]


async def settle(ledger: Ledger, context: Context) -> Settled:
    """Read the customer's answer to what waits, and carry it out when it is a yes.

    :raises NotOurs: the conversation went to somebody else meanwhile; nothing was done.
    """
    turn = context.turn
    found = await _read(ledger, context)
    if found is None:
        return Settled(turn)
    told = words(context.locale)
    if found.status in ("confirmed", "executed", "failed"):  # an earlier try of this turn did it, or died doing it
        return await _carry_out(ledger, turn, found)
    says = consent.decide(found.key, found.said, question=found.question, asked_last=found.asked_last)
    if not found.theirs:
        await _end(ledger, found, "refused", "action_replaced", "system")
        return Settled(turn, told=found.id)
    if found.status == "expired" or (found.late and found.status == "proposed"):
        await _end(ledger, found, "expired", "action_expired", "system")
        late = TurnResult((Reply(told["expired"]),), model="") if says in ("yes", "unclear") else None
        return Settled(turn, late, told=found.id)
    if found.status == "refused" or says == "no":
        await _end(ledger, found, "refused", "action_refused", "customer")
        only = all(consent.read(each.text, found.question) in ("no", "other") for each in found.said)
        one = len(context.waiting) == 1 and only and says == "no"
        return Settled(turn, TurnResult((Reply(told["refused"]),), model="") if one else None, told=found.id)
    if says == "unclear":
        question = Reply(f"{told['confirm_again']}\n\n{found.question}".strip(), _buttons(found.key, told))
        return Settled(turn, TurnResult((question,), model=""), again=found.key)
    if says == "yes" and await _confirm(ledger, context, found):
        return await _carry_out(ledger, turn, replace(found, status="confirmed"))
    return Settled(turn)


async def _read(ledger: Ledger, context: Context) -> _Waiting | None:
    async with ledger.pool.connection() as connection:
        row = await fetch_one(
            connection,
            queries.waiting,
            {"conversation_id": context.conversation_id, "messages": [each.id for each in context.waiting]},
        )
    if row is None:
        return None
    (id_, key, tool, identity, arguments, shown, question, status, after, late, theirs, asked_last, kinds) = row
    lines = {each.id: each.line for each in context.waiting}
    said = tuple(
        consent.Said(message, lines[message].text, button, spoken=kind in SPOKEN)
        for message, kind, button in kinds or ()
        if message > after and message in lines
    )
    return _Waiting(id_, key, tool, identity, arguments, shown, question, status, late, theirs, bool(asked_last), said)


async def _confirm(ledger: Ledger, context: Context, found: _Waiting) -> bool:
    async with ledger.pool.connection() as connection:
        row = await fetch_one(
            connection,
            queries.confirm,
            {
                "conversation_id": context.conversation_id,
                "epoch": context.epoch,
                "id": found.id,
                "message": found.said[-1].id,
            },
        )
    return row is not None


async def _end(ledger: Ledger, found: _Waiting, status: str, event: str, actor: str) -> None:
    async with ledger.pool.connection() as connection:
        await connection.execute(
            queries.end,
            {
                "conversation_id": ledger.conversation_id,
                "id": found.id,
                "status": status,
                "event": event,
                "actor": actor,
            },
            prepare=True,
        )


async def _carry_out(ledger: Ledger, turn: Turn, found: _Waiting) -> Settled:
    """Do what was confirmed, once; what the ledger knows of it otherwise."""
    every = (*turn.tools, *(tool for each in turn.specialists for tool in each.tools))
    tool = next((each for each in every if each.name == found.tool and each.risk == "destructive"), None)
    arguments = found.arguments or found.shown
    known = IDENTITY_LEVELS.index(turn.identity)
    refused = ""
    if found.status != "confirmed" or tool is None:
        refused = _GONE  # settled before, its arguments are emptied: the ledger may answer, nothing may be done
    elif IDENTITY_LEVELS.index(tool.identity) > known:
        refused = _UNPROVED
    done = tool if tool is not None and not refused else Tool(found.tool, "", {}, _nothing, "destructive")

    async def do(key: str) -> ToolResult:
        return ToolResult(refused, error=True) if refused else await _do(done, turn, found.arguments, key)

    result = await ledger.once(done, found.arguments, do, action=found.key)
    return Settled(replace(turn, deeds=(Deed(found.tool, arguments, result),)), told=found.id)


async def _do(tool: Tool, turn: Turn, given: Json, key: str) -> ToolResult:
    try:
        async with asyncio.timeout(turn.tool_deadline):
            return sound(await tool.run(ToolContext(turn, "confirmed", key), given))
    except BadInput as error:
        return ToolResult(str(error).partition("\n")[0][:300], error=True)
    except Exception as error:  # noqa: BLE001  whatever a tool does, the customer gets an answer
        log.warning("The confirmed tool %s failed (%s)", tool.name, type(error).__name__)
        return ToolResult(_UNSURE, error=True, unsure=True)


async def _nothing(_: ToolContext, __: Json) -> ToolResult:
    return ToolResult(_GONE, error=True)


def _buttons(key: str, told: Any) -> tuple[Option, ...]:
    return Option(f"{CONFIRM}{key}", told["confirm"]), Option(f"{REFUSE}{key}", told["refuse"])


async def keep(
    connection: Connection,
    context: Context,
    result: TurnResult,
    outcome: str,
    turn_id: int,
    bubble_id: int | None,
) -> None:
    """In ``finish``: what the answer proposes, asks again, or tells the end of."""
    settled = context.settled
    where: Json = {"conversation_id": context.conversation_id, "turn_id": turn_id, "bubble_id": bubble_id or 0}
    if settled is not None and settled.told and outcome != "superseded":
        await connection.execute(queries.told, {**where, "ids": [settled.told]}, prepare=True)
    if outcome != "answered" or bubble_id is None:
        return
    if settled is not None and settled.again:
        await connection.execute(queries.asked, {**where, "key": settled.again}, prepare=True)
    action = result.action
    if action is None or result.handoff is not None:
        return
    where["business_id"] = context.business_id
    await connection.execute(queries.propose, where, prepare=True)
    await connection.execute(
        queries.keep,
        {
            **where,
            "contact_id": context.caller.contact_id if context.caller else 0,
            "key": action.key,
            "tool": action.tool[:80],
            "identity": action.identity,
            "arguments": sql.jsonb(action.arguments),
            "shown": sql.jsonb(hidden(action.arguments, _secret(context.turn, action.tool))),
            "question": sql.clean("\n".join(reply.text for reply in result.replies)[:2000]).decode(),
            "minutes": conf.settings().confirm_minutes,
        },
        prepare=True,
    )


def _secret(turn: Turn, name: str) -> frozenset[str]:
    every: Sequence[Tool] = (*turn.tools, *(tool for each in turn.specialists for tool in each.tools))
    return next((tool.secret for tool in every if tool.name == name), frozenset())


@periodic("*/5 * * * *")
def expire() -> None:
    """Give up what nobody confirmed in time, and say so on the timeline."""
    while True:
        with django_connection.cursor() as cursor:
            cursor.execute(queries.expire.decode(), {"most": BATCH})
            if len(cursor.fetchall()) < BATCH:
                return
