"""A case in a turn: what ``begin`` read of it, and what ``finish`` writes. A turn without one pays nothing for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from prosa import sql
from prosa.agents import grounding
from prosa.contracts import Asked, Handoff, Json, Reply, Turn, TurnResult
from prosa.conversations import calling, ownership
from prosa.conversations.words import words
from prosa.postgres.connections import Connection, fetch_one

if TYPE_CHECKING:
    from prosa.conversations.begin import Context

queries = sql.load(__file__, "cases.sql")

UNANSWERED = "case_unanswered"
"""Why the conversation goes to people when nobody answered the question."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The live case of a conversation. ``answer`` is None while it is open; ``over``: people were reminded often enough."""

    id: int
    question: str
    at: datetime
    team: str
    over: bool = False
    answer: str | None = None

    @property
    def due(self) -> bool:
        """Is there something to tell the customer, also when they wrote nothing?"""
        return self.over or self.answer is not None


def read(row: list[Any] | None, zone: ZoneInfo) -> Standing | None:
    """The column of ``begin.sql``."""
    if row is None:
        return None
    pk, state, question, at, answer, over, team = row
    answered = state == "answered"
    return Standing(
        pk, question, datetime.fromisoformat(at).astimezone(zone), team or "", over and not answered,
        answer if answered else None,
    )  # fmt: skip


def asked(case: Standing | None) -> Asked | None:
    """For ``Turn.asked``."""
    return Asked(case.question, case.at, case.answer) if case is not None else None


def due(context: Context) -> bool:
    """Must the customer hear something of a case?"""
    return context.case is not None and context.case.due


def alone(turn: Turn) -> Turn:
    """The turn that tells an answer to a customer who wrote nothing: nobody asked it to do, to remember or to close anything."""
    return replace(
        turn,
        tools=tuple(tool for tool in turn.tools if tool.risk == "read"),
        specialists=(),
        proposals=turn.proposals & {"bring_in_person", "send_options"},
    )


def given_up(context: Context) -> TurnResult | None:
    """Nobody answered: the conversation goes to people, and the customer is told so. None when it is not so far."""
    case = context.case
    if case is None or not case.over or context.turn.deeds:
        return None
    return TurnResult((Reply(words(context.locale)["case_over"]),), model="", handoff=Handoff(UNANSWERED, case.team))


def told(context: Context, result: TurnResult) -> TurnResult:
    """``result``, marked when it tells the customer what people answered: in the model's words, or word by word where those
    left out a figure of the answer or said that nobody knows."""
    answer = context.case.answer if context.case is not None else None
    if answer is None:
        return result
    said = "\n".join(reply.text for reply in result.replies)
    dodged = calling.owns_up(said) and not calling.owns_up(answer)
    if answer and result.model not in ("", "offline") and (dodged or grounding.unsupported(answer, [said])):
        told = Reply(f"{words(context.locale)['team_answered']}\n{answer}")
        result = replace(result, replies=(told,), trace={**result.trace, "offline": "relayed"})
    return replace(result, relays=True)


def nothing(context: Context, result: TurnResult) -> bool:
    """Whether :func:`keep` would have nothing to do."""
    return result.asks is None and not due(context)


def left(context: Context, result: TurnResult | None, outcome: str) -> bool:
    """Whether the customer has still to hear it after this turn, so that another one must follow."""
    said = result is not None and (result.relays or result.handoff is not None)
    return outcome in ("answered", "silent") and due(context) and not said


async def keep(connection: Connection, context: Context, result: TurnResult, outcome: str, turn_id: int) -> None:
    """In ``finish``: what the answer asks of people, or told of what they said."""
    if outcome != "answered":
        return
    where: Json = {"conversation_id": context.conversation_id, "turn_id": turn_id}
    if result.relays and context.case is not None:
        await connection.execute(queries.relayed, {**where, "case_id": context.case.id}, prepare=True)
    if result.asks is not None and result.handoff is None:
        question = sql.clean(result.asks.question).decode()
        row = await fetch_one(connection, queries.ask, {**where, "question": question, "team": result.asks.team})
        if row is not None:
            await ownership.told(connection, context.conversation_id, "case_asked")


def noted(context: Context, result: TurnResult | None) -> Json:
    """For the turn's trace."""
    if result is not None and result.relays and context.case is not None:
        return {"case": {"id": context.case.id, "question": context.case.question, "answer": context.case.answer}}
    if result is not None and result.asks is not None:
        return {"case": {"question": result.asks.question}}
    return {}
