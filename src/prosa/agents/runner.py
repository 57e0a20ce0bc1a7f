"""One turn of the mind: the chain of models with their tools under deadlines, then the answer without a model.

``run`` never raises because of a model: the customer always gets an answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.messages import (
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    TextPart,
)

from prosa.agents import (
    answer,
    asking,
    grounding,
    guidelines,
    llm,
    memory,
    offline,
    outcomes,
    sight,
    tools,
    usage,
)
from prosa.agents.work import Work
from prosa.contracts import ApprovedAnswer, Handoff, Json, Passage, Reply, Turn, TurnResult

logger = logging.getLogger(__name__)

close = llm.close

_RELATED = 0.2  # score from which an approved answer is shown to a model, which judges better than a score does
_LOOKUP_SECONDS = 3.0
_PROMPT_TOKENS = 1200  # of a request without history, guidelines and question: our rules and the house's tools
_SHORTEST_TRY = 0.2  # seconds left under which asking another model is not worth the request


async def run(turn: Turn) -> TurnResult:
    """Answer a turn: by its model, else by the fallbacks in order, else offline.

    A model may call tools; each answer of a model counts as one of ``turn.max_requests``. Each request ends after
    ``turn.request_deadline`` seconds, everything together after ``turn.turn_deadline``. A failed request is never
    repeated to the same model: the next one goes on with the same messages. ``asyncio.CancelledError`` passes through.
    """
    started = time.perf_counter()
    approved, lookup_error = await _approved(turn)
    looked_up = time.perf_counter()
    remembered = memory.recall(turn.history, _room(turn))
    trace: Json = {
        "attempts": [],
        "history": {"kept": len(remembered.lines), "dropped": remembered.dropped, "tokens": remembered.tokens},
        "guideline_version": turn.guideline_version,
        "sources": [entry.id for entry in approved],
        "approved": [
            {
                "id": entry.id,
                "question": entry.question[:300],
                "answer": entry.answer[:300],
                "score": round(entry.score, 4),
            }
            for entry in approved
        ],
    }
    if lookup_error:
        trace["lookup_error"] = lookup_error
    if topic := _topic(turn, memory.question(turn.question)):
        trace["strict"] = topic
    names = [] if topic else _chain(turn)
    work = Work(turn, tools.Toolbox(turn), trace, started + turn.turn_deadline, approved, remembered.lines)
    if names:
        work.told = guidelines.instructions(turn, approved)
        work.messages = guidelines.messages(turn, remembered, work.told)
    if turn.deeds:
        calls, returns = work.toolbox.deeds()
        work.say(ModelResponse(parts=calls, timestamp=turn.now), *returns)
    prompted = time.perf_counter()
    result = None
    for name in names:
        if work.left < _SHORTEST_TRY:
            trace["attempts"].append(
                asking.attempt(name, time.perf_counter(), "the turn's deadline is over", status="deadline")
            )
            break
        result = await _converse(name, work)
        if result is not None or work.rejected > 1 or work.over:
            break
    if result is None:
        result = await _without(work, approved, asked=bool(names))
    ended = time.perf_counter()
    stages = {
        "approved_ms": asking.ms(started, looked_up),
        "prompt_ms": asking.ms(looked_up, prompted),
        "model_ms": asking.ms(prompted, ended),
        "total_ms": asking.ms(started, ended),
    }
    return replace(work.signed(result), usage=usage.total(work.spent), trace=trace, stages=stages)


async def _converse(name: str, work: Work) -> TurnResult | None:
    """Ask one model until it answers; None when it did not, with the reason in the trace."""
    mind = asking.mind(name, work.trace)
    if mind is not None and any(line.files for line in work.turn.question):
        await _show(mind, work)
    while mind is not None and not work.over and work.left > _SHORTEST_TRY:
        work.toolbox.closed = work.last  # a model may call tools although it was told not to
        response = await asking.ask(mind, work)
        if response is None:
            return None
        proposed, made = work.toolbox.proposed, work.trace["attempts"][-1]
        if response.tool_calls:
            returns, only = await work.toolbox.call(response.tool_calls, work.left)
            before = work.turn.model
            if work.follow() and work.turn.model != before:
                mind = asking.mind(work.turn.model, work.trace) or mind
                name = mind.name
            if question := work.toolbox.question:
                made["tools"] = len(returns)
                asked = work.toolbox.ask(Reply(question))
                return TurnResult(replies=(asked,), model=name, action=work.toolbox.action)
            finished = only and any((proposed.options, proposed.handoff, proposed.asks, (response.text or "").strip()))
            if not finished:
                made["tools"] = len(returns)
                work.say(response, *returns)
                continue
        try:
            reply, notes = _reply(work, response)
        except answer.Nonsense as error:
            logger.warning("Model %s answered nothing readable (%s)", name, response.finish_reason)
            made |= {"ok": False, "error": str(error), "status": "nonsense"}
            proposed.options = None
            return None
        said = "\n".join((reply.text, *(option.title for option in reply.options)))
        if topic := _topic(work.turn, said, approved=work.approved):
            work.rejected = 2  # a second draft would stray there again: only the approved answer will do
            work.trace["strict"] = topic
            work.trace.setdefault("rejected", []).append({"model": name, "draft": said[:500], "strict": topic})
            made |= {"ok": False, "error": f"only approved answers may be said of: {topic}", "status": "strict"}
            return None
        month_first = work.turn.locale.replace("_", "-").lower() == "en-us"
        missing = grounding.unsupported(
            said, work.evidence(), said=work.ours(), theirs=work.theirs(), month_first=month_first
        )
        undone = outcomes.unsupported(said, work.toolbox.worked, work.said())
        if not missing and not undone:
            work.trace["finish_reason"] = response.finish_reason
            work.trace |= notes
            return TurnResult(replies=(work.toolbox.ask(reply),), model=name, action=work.toolbox.action)
        work.rejected += 1
        verdict = f"figures that stand in no evidence: {', '.join(missing)[:200]}" if missing else outcomes.VERDICT
        work.trace.setdefault("rejected", []).append(
            {"model": name, "draft": said[:500], "figures": list(missing)}
            | ({"outcomes": [each[:200] for each in undone]} if undone else {})
        )
        made |= {"ok": False, "error": verdict, "status": "ungrounded"}
        if work.rejected > 1:
            return None
        proposed.options = None
        draft = replace(response, parts=[TextPart(reply.text)])
        hint = "\n".join([grounding.hint(missing)] * bool(missing) + [outcomes.hint(undone)] * bool(undone))
        work.say(draft, RetryFeedbackPart(hint, retry=RetryInfo("model_retry")))
    return None


async def _show(mind: llm.Mind, work: Work) -> None:
    """Put the question's files into the messages, as far as this model reads them."""
    name = mind.name if mind.sees else "offline"
    work.messages, seen = await sight.show(work.turn, name, work.messages, own_server=llm.elsewhere(mind.name))
    work.seen = seen.texts
    work.trace["files"] = {"shown": seen.shown, "told": [each[:200] for each in seen.texts[:12]]}


def _reply(work: Work, response: ModelResponse) -> tuple[Reply, Json]:
    """What the customer would read.

    :raises Nonsense: nothing readable.
    """
    proposed = work.toolbox.proposed
    if proposed.options is not None:
        text, notes = answer.fit(proposed.options.text)
        return replace(proposed.options, text=text), notes
    ours = "handed_off" if proposed.handoff else "asking" if proposed.asks else ""
    text, notes = answer.fit(response.text or (offline.word(work.turn, ours) if ours else ""))
    return Reply(text), notes


async def _without(work: Work, approved: Sequence[ApprovedAnswer], *, asked: bool) -> TurnResult:
    """The answer when no model gave one that may be sent."""
    turn, refused = work.turn, work.rejected > 0
    work.toolbox.proposed.resolved = None  # it was to be said with the model's goodbye, and this is none
    if work.toolbox.proposed.handoff is not None:
        text = offline.word(turn, "handed_off")
        result = TurnResult(replies=(Reply(text),), model="offline", trace={"offline": "handoff"})
    elif work.toolbox.proposed.asks is not None:
        text = offline.word(turn, "asking")
        result = TurnResult(replies=(Reply(text),), model="offline", trace={"offline": "asked"})
    elif (deeds := offline.deeds(turn)) is not None:
        result = deeds
    elif work.toolbox.wrote:  # something was done for the customer, and silence about it would be a lie
        told = Handoff("unworded")
        text = offline.word(turn, "handed_off")
        result = TurnResult(replies=(Reply(text),), model="offline", handoff=told, trace={"offline": "handoff"})
    else:
        found = () if refused or "strict" in work.trace else await _passages(turn, approved)
        result = offline.answer(turn, approved, found)
    result = offline.relaying(turn, result)
    work.trace |= result.trace
    return replace(result, error=_told(work.trace["attempts"])) if asked and not refused else result


def _topic(turn: Turn, text: str, approved: Sequence[ApprovedAnswer] = ()) -> str:
    """The topic of ``text`` on which only what was ``approved`` may be said, unless it says just that."""
    if turn.strict is None:
        return ""
    said = " ".join(text.split())
    answer = turn.asked.answer if turn.asked is not None else None  # what people say themselves is as good as approved
    for known in (*(entry.answer for entry in approved), *((answer,) if answer else ())):
        said = said.replace(" ".join(known.split()), " ")
    return turn.strict(said)


def _room(turn: Turn) -> int:
    """Tokens there are for history: what the business allows, less when a request has a limit."""
    # Guidelines are never trimmed: history gets what the smallest window of the chain leaves beside them.
    allowed = memory.room(turn.history_tokens, _chain(turn), f"{turn.guidelines}{turn.summary}")
    if not turn.request_tokens:
        return allowed
    fixed = memory.tokens(turn.guidelines) + memory.tokens(memory.question(turn.question)) + _PROMPT_TOKENS
    return max(0, min(allowed, turn.request_tokens - fixed))


def _chain(turn: Turn) -> list[str]:
    """The models to ask, in order, each once; ``offline`` ends the chain."""
    names: list[str] = []
    for name in (turn.model, *turn.fallback_models):
        if name == "offline":
            break
        if name and name not in names:
            names.append(name)
    return names


async def _approved(turn: Turn) -> tuple[Sequence[ApprovedAnswer], str]:
    """The approved answers that may fit the question, best first, and what went wrong with looking."""
    if turn.approved is None or not turn.question:
        return (), ""
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS):
            found = await turn.approved(memory.question(turn.question))
    except Exception as error:  # noqa: BLE001  without the lookup the turn is poorer, not lost
        logger.warning("Looking up approved answers failed (%s)", type(error).__name__)
        return (), asking.explained(error, _LOOKUP_SECONDS)
    return sorted((entry for entry in found if entry.score >= _RELATED), key=lambda entry: -entry.score)[:5], ""


async def _passages(turn: Turn, approved: Sequence[ApprovedAnswer]) -> Sequence[Passage]:
    """The passages that may answer a question no approved answer fits."""
    if turn.passages is None or not turn.question or not offline.needs_passages(turn, approved):
        return ()
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS):
            return await turn.passages(memory.question(turn.question))
    except Exception as error:  # noqa: BLE001  without the lookup the turn is poorer, not lost
        logger.warning("Searching the knowledge failed (%s)", type(error).__name__)
        return ()


def _told(attempts: Sequence[Json]) -> str:
    tried = "; ".join(f"{made['model']}: {made['error'].partition(chr(10))[0]}" for made in attempts)
    return f"No model answered ({tried}).\nThe offline responder did; see the trace."
