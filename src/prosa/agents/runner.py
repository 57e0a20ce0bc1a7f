"""One turn of the mind: the chain of models with their tools under deadlines, then the answer without a model.

``run`` never raises because of a model: the customer always gets an answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import aiohttp
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, ModelTimeoutError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    TextPart,
)
from pydantic_ai.settings import ModelSettings

from prosa import telemetry
from prosa.agents import answer, grounding, guidelines, llm, memory, offline, outcomes, passages, sight, tools, usage
from prosa.contracts import ApprovedAnswer, Handoff, Json, Passage, Reply, Turn, TurnResult, Usage
from prosa.errors import ConfigurationError

logger = logging.getLogger(__name__)

close = llm.close

_RELATED = 0.2  # score from which an approved answer is shown to a model, which judges better than a score does
_LOOKUP_SECONDS = 3.0
_PROMPT_TOKENS = 1200  # of a request without history, guidelines and question: our rules and the house's tools
_SHORTEST_TRY = 0.2  # seconds left under which asking another model is not worth the request
_KEY = re.compile(r"(?:sk|pk|rk|gsk|xai)-[\w*-]{4,}|AIza[\w-]{8,}|Bearer\s+\S+", re.IGNORECASE)


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
    work = _Work(turn, tools.Toolbox(turn), trace, started + turn.turn_deadline, approved)
    if names:
        work.approved = approved
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
                _attempt(name, time.perf_counter(), "the turn's deadline is over", status="deadline")
            )
            break
        result = await _converse(name, work)
        if result is not None or work.rejected > 1 or work.over:
            break
    if result is None:
        result = await _without(work, approved, asked=bool(names))
    ended = time.perf_counter()
    stages = {
        "approved_ms": _ms(started, looked_up),
        "prompt_ms": _ms(looked_up, prompted),
        "model_ms": _ms(prompted, ended),
        "total_ms": _ms(started, ended),
    }
    return replace(work.signed(result), usage=usage.total(work.spent), trace=trace, stages=stages)


@dataclass
class _Work:
    """A turn on its way through the models: the messages so far and what they cost."""

    turn: Turn
    toolbox: tools.Toolbox
    trace: Json
    ends: float
    approved: Sequence[ApprovedAnswer] = ()
    told: str = ""
    messages: list[ModelMessage] = field(default_factory=list)
    spent: list[Usage] = field(default_factory=list)
    rejected: int = 0
    seen: tuple[str, ...] = ()

    @property
    def left(self) -> float:
        """Seconds until the turn must be over."""
        return self.ends - time.perf_counter()

    @property
    def last(self) -> bool:
        """Whether the next request must end in an answer."""
        turn = self.turn
        return (
            self.toolbox.exhausted
            or len(self.spent) >= turn.max_requests - 1
            or (turn.allowance is not None and self.cost * 2 >= turn.allowance)
            or (turn.request_tokens > 0 and bool(self.spent) and self.spent[-1].input_tokens >= turn.request_tokens)
        )

    @property
    def cost(self) -> Decimal:
        """US dollars so far, as far as prices are known."""
        return sum((used.cost for used in self.spent if used.cost is not None), Decimal(0))

    @property
    def over(self) -> bool:
        """Whether no model may be asked again."""
        turn = self.turn
        return len(self.spent) >= turn.max_requests or (turn.allowance is not None and self.cost >= turn.allowance)

    def spend(self, name: str, used: Usage) -> None:
        """Keep what an answer of a model cost."""
        self.spent.append(used)
        if self.turn.spent is not None:
            self.turn.spent(name, used)

    def say(self, response: ModelResponse, *parts: ModelRequestPart) -> None:
        """Add a model's message and our answer to it. Kept by the next model, should this one fail."""
        self.messages += [response, ModelRequest(parts=list(parts), instructions=self.told)]

    def follow(self) -> bool:
        """Go on as the specialist that has the conversation now; whether that is another than before."""
        turn = self.toolbox.relay.turn
        if turn.specialist == self.turn.specialist:
            return False
        self.turn, self.told = turn, guidelines.instructions(turn, self.approved)
        return True

    def evidence(self) -> list[str]:
        """Every text that a figure of the answer may come from, the likeliest first: the business's, and the files asked about."""
        turn = self.turn
        return [
            *self.toolbox.evidence,
            *self.seen,
            self.told,
            f"{turn.now:%Y-%m-%d %H:%M}",
            turn.customer_number,
            *turn.words.values(),
            turn.summary,
            *(line.text for line in turn.history if line.author != "customer"),
        ]

    def theirs(self) -> list[str]:
        """What the customer told: it bears out less."""
        turn = self.turn
        lines = (line.text for line in (*turn.question, *turn.history) if line.author == "customer")
        return [*lines, turn.customer_name, *turn.facts]

    def said(self) -> list[str]:
        """What our side said before, and the business's fixed sentences."""
        return [*self.turn.words.values(), *(line.text for line in self.turn.history if line.author in outcomes.OURS)]

    def signed(self, result: TurnResult) -> TurnResult:
        """``result`` with everything the tools left behind."""
        proposed, transfer = self.toolbox.proposed, self.toolbox.relay.transfer
        if self.toolbox.trace:
            self.trace["tools"] = self.toolbox.trace
        if self.turn.specialist:
            self.trace["specialist"] = {"name": self.turn.specialist} | (
                {"from": transfer.origin, "reason": transfer.reason} if transfer else {}
            )
        if sources := tuple(self.toolbox.sources.values()):
            self.trace["passages"] = [passages.told(each) for each in sources]
        return replace(
            result,
            handoff=result.handoff or proposed.handoff,
            resolved=proposed.resolved,
            facts=tuple(proposed.facts),
            sources=result.sources or sources,
            transfer=transfer,
            wrote=self.toolbox.wrote,
        )


async def _converse(name: str, work: _Work) -> TurnResult | None:
    """Ask one model until it answers; None when it did not, with the reason in the trace."""
    mind = _mind(name, work.trace)
    if mind is not None and any(line.files for line in work.turn.question):
        await _show(mind, work)
    while mind is not None and not work.over and work.left > _SHORTEST_TRY:
        work.toolbox.closed = work.last  # a model may call tools although it was told not to
        response = await _ask(mind, work)
        if response is None:
            return None
        proposed, made = work.toolbox.proposed, work.trace["attempts"][-1]
        if response.tool_calls:
            returns, only = await work.toolbox.call(response.tool_calls, work.left)
            before = work.turn.model
            if work.follow() and work.turn.model != before:
                mind = _mind(work.turn.model, work.trace) or mind
                name = mind.name
            if question := work.toolbox.question:
                made["tools"] = len(returns)
                asked = work.toolbox.ask(Reply(question))
                return TurnResult(replies=(asked,), model=name, action=work.toolbox.action)
            finished = only and bool(proposed.options or proposed.handoff or (response.text or "").strip())
            if not finished:
                made["tools"] = len(returns)
                work.say(response, *returns)
                continue
        try:
            reply, notes = _reply(work, response)
        except answer.Nonsense as error:
            logger.warning("Model %s answered nothing readable (%s)", name, response.finish_reason)
            made |= {"ok": False, "error": str(error), "status": "nonsense"}
            return None
        said = "\n".join((reply.text, *(option.title for option in reply.options)))
        if topic := _topic(work.turn, said, approved=work.approved):
            work.rejected = 2  # a second draft would stray there again: only the approved answer will do
            work.trace["strict"] = topic
            work.trace.setdefault("rejected", []).append({"model": name, "draft": said[:500], "strict": topic})
            made |= {"ok": False, "error": f"only approved answers may be said of: {topic}", "status": "strict"}
            return None
        month_first = work.turn.locale.replace("_", "-").lower() == "en-us"
        missing = grounding.unsupported(said, work.evidence(), theirs=work.theirs(), month_first=month_first)
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


async def _show(mind: llm.Mind, work: _Work) -> None:
    """Put the question's files into the messages, as far as this model reads them."""
    name = mind.name if mind.sees else "offline"
    work.messages, seen = await sight.show(work.turn, name, work.messages, own_server=llm.elsewhere(mind.name))
    work.seen = seen.texts
    work.trace["files"] = {"shown": seen.shown, "told": [each[:200] for each in seen.texts[:12]]}


def _reply(work: _Work, response: ModelResponse) -> tuple[Reply, Json]:
    """What the customer would read.

    :raises Nonsense: nothing readable.
    """
    proposed = work.toolbox.proposed
    if proposed.options is not None:
        text, notes = answer.fit(proposed.options.text)
        return replace(proposed.options, text=text), notes
    text, notes = answer.fit(response.text or (offline.word(work.turn, "handed_off") if proposed.handoff else ""))
    return Reply(text), notes


async def _without(work: _Work, approved: Sequence[ApprovedAnswer], *, asked: bool) -> TurnResult:
    """The answer when no model gave one that may be sent."""
    turn, refused = work.turn, work.rejected > 0
    if work.toolbox.proposed.handoff is not None:
        text = offline.word(turn, "handed_off")
        result = TurnResult(replies=(Reply(text),), model="offline", trace={"offline": "handoff"})
    elif (deeds := offline.deeds(turn)) is not None:
        result = deeds
    elif work.toolbox.wrote:  # something was done for the customer, and silence about it would be a lie
        told = Handoff("a tool changed something, and no wording of the answer could be sent")
        text = offline.word(turn, "handed_off")
        result = TurnResult(replies=(Reply(text),), model="offline", handoff=told, trace={"offline": "handoff"})
    else:
        found = () if refused or "strict" in work.trace else await _passages(turn, approved)
        result = offline.answer(turn, approved, found)
    work.trace |= result.trace
    return replace(result, error=_told(work.trace["attempts"])) if asked and not refused else result


def _mind(name: str, trace: Json) -> llm.Mind | None:
    """The model of this name when it may be asked now; else None, with the reason in the trace."""
    began = time.perf_counter()
    try:
        mind = llm.find(name)
    except ConfigurationError as error:
        logger.error("Model %s cannot be used: %s", name, str(error).replace("\n", " "))  # noqa: TRY400  the text is the whole story
        trace["attempts"].append(_attempt(name, began, str(error), status="unavailable"))
        return None
    except Exception as error:  # noqa: BLE001  an SDK may dislike a name or an address in its own way
        logger.error("Model %s cannot be made (%s)", name, type(error).__name__)  # noqa: TRY400  it may hold a key
        trace["attempts"].append(_attempt(name, began, _explained(error, 0), status="unavailable"))
        return None
    return mind


async def _ask(mind: llm.Mind, work: _Work) -> ModelResponse | None:
    """One request; None when it failed, with the reason in the trace. What it cost is kept, whatever the answer is good for."""
    began = time.perf_counter()
    if not mind.breaker.allows():
        reason = "it failed several times and is being left alone"
        work.trace["attempts"].append(_attempt(mind.name, began, reason, status="open"))
        return None
    deadline = min(work.turn.request_deadline, work.left)
    try:
        with telemetry.span("model", model=mind.name) as span:
            async with asyncio.timeout(deadline):
                response = await _sighted(mind, work)
            spent = usage.of(response)
            span.note(input_tokens=spent.input_tokens, output_tokens=spent.output_tokens, cost=spent.cost)
    except asyncio.CancelledError:
        mind.breaker.abandoned()
        raise
    except Exception as error:  # noqa: BLE001  whatever a stranger's server or an SDK does, the customer gets an answer
        _judge(mind, error)
        status = _status(error)
        logger.warning("Model %s failed (%s, %s)", mind.name, status, type(error).__name__)
        work.trace["attempts"].append(_attempt(mind.name, began, _explained(error, deadline), status=status))
        return None
    mind.breaker.succeeded()
    work.spend(mind.name, spent)
    work.trace["attempts"].append(
        _attempt(mind.name, began) | {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens}
    )
    work.trace["price"] = "unknown" if any(spent.cost is None for spent in work.spent) else "known"
    return response


async def _sighted(mind: llm.Mind, work: _Work) -> ModelResponse:
    """Ask with the pictures; without them a server that says it cannot read them."""
    try:
        return await _request(mind, work)
    except ModelHTTPError as error:
        blind = sight.blinded(work.messages) if error.status_code in {400, 404, 415, 422} else None
        if blind is None or not any(word in str(error.body).lower() for word in ("image", "vision", "multimodal")):
            raise
        mind.sees, work.messages = False, blind
        work.trace["files"]["shown"] = 0
    return await _request(mind, work)


async def _request(mind: llm.Mind, work: _Work) -> ModelResponse:
    """Ask with the tools; without them a server that says it knows none. That answer cost nothing and was no failure."""
    settings = ModelSettings(max_tokens=work.turn.answer_tokens) if work.turn.answer_tokens else ModelSettings()
    if mind.tools:
        try:
            return await model_request(
                mind.model,
                work.messages,
                model_settings=ModelSettings(**settings, tool_choice="none") if work.last else settings or None,
                model_request_parameters=work.toolbox.parameters,
                instrument=False,  # whatever else runs here: its spans would carry the messages
            )
        except ModelHTTPError as error:
            if error.status_code not in {400, 404, 422} or "tool" not in str(error.body).lower():
                raise
            mind.tools = False
    return await model_request(mind.model, work.messages, model_settings=settings or None, instrument=False)


def _judge(mind: llm.Mind, error: Exception) -> None:
    """Whether an error speaks against the server or only against this request."""
    refused_this = isinstance(error, ModelHTTPError) and error.status_code in {400, 404, 413, 422}
    if refused_this or not isinstance(error, (TimeoutError, OSError, ModelAPIError, aiohttp.ClientError)):
        mind.breaker.succeeded()
    else:
        mind.breaker.failed()


def _topic(turn: Turn, text: str, approved: Sequence[ApprovedAnswer] = ()) -> str:
    """The topic of ``text`` on which only what was ``approved`` may be said, unless it says just that."""
    if turn.strict is None:
        return ""
    said = " ".join(text.split())
    for entry in approved:
        said = said.replace(" ".join(entry.answer.split()), " ")
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
    if turn.approved is None:
        return (), ""
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS):
            found = await turn.approved(memory.question(turn.question))
    except Exception as error:  # noqa: BLE001  without the lookup the turn is poorer, not lost
        logger.warning("Looking up approved answers failed (%s)", type(error).__name__)
        return (), _explained(error, _LOOKUP_SECONDS)
    return sorted((entry for entry in found if entry.score >= _RELATED), key=lambda entry: -entry.score)[:5], ""


async def _passages(turn: Turn, approved: Sequence[ApprovedAnswer]) -> Sequence[Passage]:
    """The passages that may answer a question no approved answer fits."""
    if turn.passages is None or not offline.needs_passages(turn, approved):
        return ()
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS):
            return await turn.passages(memory.question(turn.question))
    except Exception as error:  # noqa: BLE001  without the lookup the turn is poorer, not lost
        logger.warning("Searching the knowledge failed (%s)", type(error).__name__)
        return ()


def _attempt(name: str, began: float, error: str = "", *, status: int | str | None = None) -> Json:
    made: Json = {"model": name, "ok": not error, "ms": _ms(began, time.perf_counter()), "error": error}
    return made | ({"status": status} if status is not None else {})


def _status(error: Exception) -> int | str:
    if isinstance(error, ModelHTTPError):
        return error.status_code
    return "timeout" if isinstance(error, (TimeoutError, ModelTimeoutError)) else "error"


def _explained(error: Exception, deadline: float) -> str:
    """An error as one line for the turn's record: without keys, without the provider's whole page."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {deadline:.3g} s"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for secret in llm.secrets():
        text = text.replace(secret, "…")
    return _KEY.sub("…", text)[:300]


def _told(attempts: Sequence[Json]) -> str:
    tried = "; ".join(f"{made['model']}: {made['error'].partition(chr(10))[0]}" for made in attempts)
    return f"No model answered ({tried}).\nThe offline responder did; see the trace."


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 2)
