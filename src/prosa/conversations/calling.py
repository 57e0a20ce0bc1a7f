"""When people are called although nobody asked for them, and what a customer who waits for them is truthfully told.

Nothing here is asked of the database by a turn that answers: only by one that could not, or that calls people.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prosa import sql
from prosa.agents import memory
from prosa.business import hours, zones
from prosa.channels import base
from prosa.contracts import Handoff, Option, Reply, TurnResult
from prosa.conversations import ownership, tongue, words
from prosa.conversations.guidelines import casting
from prosa.conversations.handoff import BUTTON, fold
from prosa.conversations.states import Move
from prosa.postgres.connections import Connection, Pool, fetch_one

if TYPE_CHECKING:
    from prosa.conversations.begin import Context

queries = sql.load(__file__, "calling.sql")

LEAST_KNOWN = 5
"""Waits of which the usual one is told; of fewer it would be chance."""
LAST = 20
UNANSWERED = "unanswered"
"""In a turn's trace: it told the customer that it did not know. Also why people were called then."""

OWNS_UP = re.compile(
    r"\b(?:"
    r"(?:nao|no) (?:tenho|temos|tengo|tenemos|possuo|possuimos|dispongo|disponho) (?:de )?(?:es{1,2}[ae]s?|est[ae]s?) (?:informac|dato|dado|detalhe|detalle)\w*"
    r"|(?:nao|no) (?:tenho|tengo) (?:es{1,2}[ae] |est[ae] )?(?:informac\w+|certeza|certeza)\b"
    r"|nao (?:sei (?:informar|dizer|te dizer|responder)|encontrei (?:ess[ae]|nenhuma) informac\w+)"
    r"|no (?:se decirte|sabria decirte|lo se|encontre (?:es[ae]|esta|ninguna) informacion)"
    r"|i (?:do not|don't|dont) (?:know|have (?:that|this|the|any) (?:information|info|detail|answer)\w*)"
    r"|i(?: am|'m|m) not sure (?:about that|whether)"
    r"|i (?:could not|couldn't|couldnt) find (?:that|this|any) information"
    r")"
)
"""How an answer says that it does not know, folded. Few and plain: a question that was answered must not be listed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a business decided: its own ``words`` that ask for a person (one a line), the ``text`` said when one is called
    (empty: ours), and after how many ``failures`` in a row one is called unasked (0: never)."""

    words: str = ""
    text: str = ""
    failures: int = 0
    without: str = ""
    """Of the usual words, those that are switched off, as the business keeps them (``business.handoff``)."""


def worded(locale: str, business: str, own: str) -> dict[str, str]:
    """Prosa's sentences in ``locale``; where that is the ``business``'s, people are called in its ``own`` words, if it has some."""
    ours = words.words(locale)
    own = own.strip()
    return {**ours, "handed_off": own, "over_budget": own} if own and locale == business else ours


def owns_up(said: str) -> bool:
    """Does an answer say in words that it does not know?"""
    return OWNS_UP.search(fold(said).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None


def lost(result: TurnResult) -> bool:
    """Was the customer told that we do not know? Also said when every draft of a model was refused."""
    if result.trace.get("offline"):
        return bool(result.trace["offline"] == "unknown")
    return result.model != "" and not result.sources and any(owns_up(reply.text) for reply in result.replies)


async def considered(pool: Pool, context: Context, result: TurnResult | None) -> TurnResult | None:
    """A proposal, turned into a call for people after too many questions without an answer; and, when people are called,
    with the truth about when they come."""
    if result is None:
        return None
    result = _ruled(context, result)
    if result.handoff is None and result.asks is not None:  # not lost yet; but who is asked may be at home
        told = await truth(pool, context.conversation_id, context.locale, only_away=True)
        return replace(result, replies=_with(result.replies, told)) if told else result
    if result.handoff is None:
        if not lost(result):
            return _offered(context, result)
        result = replace(result, trace={**result.trace, UNANSWERED: True})
        before = context.calls.failures - 1
        if before < 0 or (before and await _failed(pool, context, before) < before):
            return _offered(context, result)
        result = _calls(context, result, Handoff(UNANSWERED))
    told = await truth(
        pool, context.conversation_id, context.locale, team=result.handoff.team if result.handoff else ""
    )
    return replace(result, replies=_with(result.replies, told)) if told else result


async def _failed(pool: Pool, context: Context, most: int) -> int:
    async with pool.connection() as connection:
        row = await fetch_one(connection, queries.failed, {"conversation_id": context.conversation_id, "most": most})
    return int(row[0]) if row else 0


def _offered(context: Context, result: TurnResult) -> TurnResult:
    """The same answer; where it ends with our offer of a person and the channel has buttons, with one that accepts it."""
    provider = base.registered().get(context.turn.channel)
    if provider is None or not provider.buttons or not result.replies:
        return result
    last, fixed = result.replies[-1], context.turn.words
    if last.options or not last.text.endswith(fixed["offer_person"]):
        return result
    button = Option(BUTTON, fixed["person_button"])
    return replace(result, replies=(*result.replies[:-1], replace(last, options=(button,))))


def _ruled(context: Context, result: TurnResult) -> TurnResult:
    """The same answer, calling whom a rule of the business calls on these words for certain. Why, in the business's own."""
    rule = casting.calls(context.cast, memory.question(context.turn.question))
    if rule is None:
        return result
    if result.handoff is not None:
        team = result.handoff.team or rule.team
        return replace(result, handoff=replace(result.handoff, team=team))
    if result.action is not None:  # whoever comes must not find a question of ours that nobody will hear the answer to
        result = replace(result, replies=(), action=None)
    return _calls(context, replace(result, asks=None, resolved=None), Handoff(rule.when, rule.team))


def _calls(context: Context, result: TurnResult, wish: Handoff) -> TurnResult:
    """The same answer, calling a person instead of offering one."""
    fixed = context.turn.words
    offer, calls = fixed["offer_person"], fixed["handed_off"]
    replies = [replace(reply, text=reply.text.replace(offer, calls)) for reply in result.replies]
    if not any(calls in reply.text for reply in replies):
        replies.append(Reply(calls))
    return replace(result, replies=tuple(replies), handoff=wish)


def _with(replies: Sequence[Reply], told: str) -> tuple[Reply, ...]:
    if not replies or replies[-1].options:
        return (*replies, Reply(told))
    return (*replies[:-1], replace(replies[-1], text=f"{replies[-1].text}\n\n{told}"))


async def truth(
    pool: Pool, conversation_id: int, locale: str, *, team: str = "", awaited: bool = False, only_away: bool = False
) -> str:
    """When people come, in the customer's language: when the business opens, or (unless ``only_away``) the place in the queue
    of the team (``team`` names one that is wished for) and how long it usually takes, where that is known. ``awaited``: the
    conversation waits for people already."""
    async with pool.connection() as connection:
        row = await fetch_one(
            connection,
            queries.truth,
            {
                "conversation_id": conversation_id,
                "awaited": awaited,
                "team": team,
                "last": LAST,
            },
        )
    if row is None:
        return ""
    week, zone, holidays, ahead, waits = row
    now = datetime.now(zones.zone_named(zone))
    open_ = hours.read(week, holidays, zones.zone_named(zone))
    if not open_.open_at(now):
        return words.away(locale, now, open_.next_opening(now))
    if only_away:
        return ""
    return words.in_line(locale, ahead, usual(open_, waits or ()))


async def summon(pool: Pool, conversation_id: int, reason: str, *, said: str, too_old: Sequence[int] = ()) -> bool:
    """Pass a conversation to people where no turn could answer it, and tell the customer so at once, if the channel still
    lets us. ``said`` names the sentence in our words.

    The messages ``too_old`` ask for no answer of the bot any more. False: somebody else has the conversation already.
    """
    async with pool.connection() as connection:
        row = await fetch_one(connection, queries.hearer, {"conversation_id": conversation_id})
    if row is None:
        return False
    business, own, known, kind, first, texts = row
    provider = base.registered().get(kind)
    window = provider.window if provider is not None else None
    locale = tongue.locale(tongue.heard(texts or (), known, business, first=first), business)
    told = await truth(pool, conversation_id, locale)
    async with pool.connection() as connection, connection.transaction():
        moved = await ownership.move(connection, conversation_id, Move.HAND_OFF, "system", reason=reason)
        if moved is None:
            return False
        if too_old:
            await settle(connection, conversation_id, too_old, reason)
        await connection.execute(
            queries.say,
            {
                "conversation_id": conversation_id,
                "text": f"{worded(locale, business, own)[said]}\n\n{told}".strip(),
                "window": window.total_seconds() if window is not None else 0,
            },
            prepare=True,
        )
    return True


async def settle(connection: Connection, conversation_id: int, messages: Sequence[int], reason: str) -> None:
    """Messages that the bot need not answer any more; the timeline says why."""
    given = {"conversation_id": conversation_id, "ids": list(messages), "reason": reason}
    await connection.execute(queries.settle, given, prepare=True)


def usual(open_: hours.Hours, waits: Sequence[tuple[str, float]]) -> timedelta | None:
    """The median of how long people took (ISO moment of the call, seconds), of calls within opening hours; None when
    too few are known."""
    took = [seconds for at, seconds in waits if open_.open_at(datetime.fromisoformat(at))]
    return timedelta(seconds=statistics.median(took)) if len(took) >= LEAST_KNOWN else None
