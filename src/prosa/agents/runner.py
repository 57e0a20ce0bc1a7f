"""One turn of the mind: the chain of models under deadlines, then the answer without a model.

``run`` never raises because of a model: the customer always gets an answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import aiohttp
from genai_prices import calc_price
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, ModelTimeoutError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from prosa.agents import answer, guidelines, handoff, llm, memory, offline
from prosa.contracts import ApprovedAnswer, Json, Reply, Turn, TurnResult, Usage
from prosa.errors import ConfigurationError

logger = logging.getLogger(__name__)

close = llm.close

_TOOLS = ModelRequestParameters(function_tools=[handoff.TOOL])
_RELATED = 0.2  # score from which an approved answer is shown to a model, which judges better than a score does
_LOOKUP_SECONDS = 3.0
_SHORTEST_TRY = 0.2  # seconds left under which asking another model is not worth the request
_KEY = re.compile(r"(?:sk|pk|rk|gsk|xai)-[\w*-]{4,}|AIza[\w-]{8,}|Bearer\s+\S+", re.IGNORECASE)


async def run(turn: Turn) -> TurnResult:
    """Answer a turn: by its model, else by the fallbacks in order, else offline.

    Each request ends after ``turn.request_deadline`` seconds, all of them together after ``turn.turn_deadline``.
    A failed request is never repeated to the same model. ``asyncio.CancelledError`` passes through.
    """
    started = time.perf_counter()
    approved, lookup_error = await _approved(turn)
    looked_up = time.perf_counter()
    remembered = memory.recall(turn.history, turn.history_tokens)
    trace: Json = {
        "attempts": [],
        "history": {"kept": len(remembered.lines), "dropped": remembered.dropped, "tokens": remembered.tokens},
        "guideline_version": turn.guideline_version,
        "sources": [entry.id for entry in approved],
    }
    if lookup_error:
        trace["lookup_error"] = lookup_error
    names = _chain(turn)
    asked: list[ModelMessage] = []
    if names:
        asked = guidelines.messages(turn, remembered, guidelines.instructions(turn, approved))
    prompted = time.perf_counter()
    spent: list[Usage] = []
    result = None
    for name in names:
        left = turn.turn_deadline - (time.perf_counter() - started)
        if left < _SHORTEST_TRY:
            trace["attempts"].append(_attempt(name, started, "the turn's deadline is over", status="deadline"))
            break
        result = await _ask(name, turn, asked, min(turn.request_deadline, left), trace, spent)
        if result is not None:
            break
    if result is None:
        result = offline.answer(turn, approved)
        trace |= result.trace
        if names:
            result = replace(result, error=_told(trace["attempts"]))
    ended = time.perf_counter()
    stages = {
        "approved_ms": _ms(started, looked_up),
        "prompt_ms": _ms(looked_up, prompted),
        "model_ms": _ms(prompted, ended),
        "total_ms": _ms(started, ended),
    }
    return replace(result, usage=_total(spent), trace=trace, stages=stages)


async def _ask(
    name: str, turn: Turn, asked: list[ModelMessage], deadline: float, trace: Json, spent: list[Usage]
) -> TurnResult | None:
    """One request to one model; None when it gave no answer, with the reason in ``trace``.

    What it cost is added to ``spent``, also when the answer was of no use.
    """
    began = time.perf_counter()
    try:
        mind = llm.find(name)
    except ConfigurationError as error:
        logger.error("Model %s cannot be used: %s", name, str(error).replace("\n", " "))  # noqa: TRY400  the text is the whole story
        trace["attempts"].append(_attempt(name, began, str(error), status="unavailable"))
        return None
    except Exception as error:  # noqa: BLE001  an SDK may dislike a name or an address in its own way
        logger.error("Model %s cannot be made (%s)", name, type(error).__name__)  # noqa: TRY400  it may hold a key
        trace["attempts"].append(_attempt(name, began, _explained(error, deadline), status="unavailable"))
        return None
    if not mind.breaker.allows():
        trace["attempts"].append(
            _attempt(name, began, "it failed several times and is being left alone", status="open")
        )
        return None
    try:
        async with asyncio.timeout(deadline):
            response = await _request(mind, asked)
    except asyncio.CancelledError:
        mind.breaker.abandoned()
        raise
    except Exception as error:  # noqa: BLE001  whatever a stranger's server or an SDK does, the customer gets an answer
        _judge(mind, error)
        status = _status(error)
        logger.warning("Model %s failed (%s, %s)", name, status, type(error).__name__)
        trace["attempts"].append(_attempt(name, began, _explained(error, deadline), status=status))
        return None
    mind.breaker.succeeded()
    spent.append(_usage(response))
    trace["price"] = "unknown" if any(usage.cost is None for usage in spent) else "known"
    wish = handoff.wished(response)
    try:
        text, notes = answer.fit(response.text or (offline.word(turn, "handed_off") if wish else ""))
    except answer.Nonsense as error:
        logger.warning("Model %s answered nothing readable (%s)", name, response.finish_reason)
        trace["attempts"].append(_attempt(name, began, str(error), status="nonsense"))
        return None
    trace["attempts"].append(_attempt(name, began))
    trace["finish_reason"] = response.finish_reason
    trace |= notes
    return TurnResult(replies=(Reply(text),), model=name, handoff=wish)


async def _request(mind: llm.Mind, asked: list[ModelMessage]) -> ModelResponse:
    """Ask with the tool; without it a server that says it knows no tools. That answer cost nothing and was no failure."""
    if mind.tools:
        try:
            return await model_request(mind.model, asked, model_request_parameters=_TOOLS)
        except ModelHTTPError as error:
            if error.status_code not in {400, 404, 422} or "tool" not in str(error.body).lower():
                raise
            mind.tools = False
    return await model_request(mind.model, asked)


def _judge(mind: llm.Mind, error: Exception) -> None:
    """Whether an error speaks against the server or only against this request."""
    refused_this = isinstance(error, ModelHTTPError) and error.status_code in {400, 404, 413, 422}
    if refused_this or not isinstance(error, (TimeoutError, OSError, ModelAPIError, aiohttp.ClientError)):
        mind.breaker.succeeded()
    else:
        mind.breaker.failed()


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


def _usage(response: ModelResponse) -> Usage:
    """Tokens and, where the model's price is known, the cost in US dollars."""
    cost: Decimal | None
    try:
        cost = _price(response)
    except (LookupError, ValueError, AssertionError):
        cost = None
    return Usage(
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        cached_tokens=response.usage.cache_read_tokens,
        requests=1,
        cost=cost,
    )


def _price(response: ModelResponse) -> Decimal:
    if response.provider_name == llm.COMPATIBLE and response.model_name:
        # Priced by its address alone: a server of one's own that calls its model gpt-4o does not cost what OpenAI does.
        return calc_price(response.usage, response.model_name, provider_api_url=response.provider_url).total_price
    return response.cost().total_price


def _total(spent: Sequence[Usage]) -> Usage:
    """All requests of a turn together. One unknown price makes the sum unknown; no request costs nothing."""
    costs = [usage.cost for usage in spent if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in spent),
        output_tokens=sum(usage.output_tokens for usage in spent),
        cached_tokens=sum(usage.cached_tokens for usage in spent),
        requests=len(spent),
        cost=sum(costs, Decimal(0)) if len(costs) == len(spent) else None,
    )


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
