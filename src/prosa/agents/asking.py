"""One request to one model: within its deadline, past its breaker, in the trace whatever comes of it."""

from __future__ import annotations

import asyncio
import logging
import re
import time

from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError, ModelTimeoutError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.settings import ModelSettings

from prosa import telemetry
from prosa.agents import llm, sight, usage
from prosa.agents.work import Work
from prosa.contracts import Json
from prosa.errors import ConfigurationError

logger = logging.getLogger(__name__)

_KEY = re.compile(r"(?:sk|pk|rk|gsk|xai)-[\w*-]{4,}|AIza[\w-]{8,}|Bearer\s+\S+", re.IGNORECASE)


def mind(name: str, trace: Json) -> llm.Mind | None:
    """The model of this name when it may be asked now; else None, with the reason in the trace."""
    began = time.perf_counter()
    try:
        mind = llm.find(name)
    except ConfigurationError as error:
        logger.error("Model %s cannot be used: %s", name, str(error).replace("\n", " "))  # noqa: TRY400  the text is the whole story
        trace["attempts"].append(attempt(name, began, str(error), status="unavailable"))
        return None
    except Exception as error:  # noqa: BLE001  an SDK may dislike a name or an address in its own way
        logger.error("Model %s cannot be made (%s)", name, type(error).__name__)  # noqa: TRY400  it may hold a key
        trace["attempts"].append(attempt(name, began, explained(error, 0), status="unavailable"))
        return None
    return mind


async def ask(mind: llm.Mind, work: Work) -> ModelResponse | None:
    """One request; None when it failed, with the reason in the trace. What it cost is kept, whatever the answer is good for."""
    began = time.perf_counter()
    if not mind.breaker.allows():
        reason = "it failed several times and is being left alone"
        work.trace["attempts"].append(attempt(mind.name, began, reason, status="open"))
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
        mind.failed(error)
        status = _status(error)
        logger.warning("Model %s failed (%s, %s)", mind.name, status, type(error).__name__)
        work.trace["attempts"].append(attempt(mind.name, began, explained(error, deadline), status=status))
        return None
    mind.breaker.succeeded()
    work.spend(mind.name, spent)
    work.trace["attempts"].append(
        attempt(mind.name, began) | {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens}
    )
    work.trace["price"] = "unknown" if any(spent.cost is None for spent in work.spent) else "known"
    return response


async def _sighted(mind: llm.Mind, work: Work) -> ModelResponse:
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


async def _request(mind: llm.Mind, work: Work) -> ModelResponse:
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


def attempt(name: str, began: float, error: str = "", *, status: int | str | None = None) -> Json:
    """For the trace: what was asked, how long it took in milliseconds, what went wrong."""
    made: Json = {"model": name, "ok": not error, "ms": ms(began, time.perf_counter()), "error": error}
    return made | ({"status": status} if status is not None else {})


def _status(error: Exception) -> int | str:
    if isinstance(error, ModelHTTPError):
        return error.status_code
    return "timeout" if isinstance(error, (TimeoutError, ModelTimeoutError)) else "error"


def explained(error: Exception, deadline: float) -> str:
    """An error as one line for the turn's record: without keys, without the provider's whole page."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {deadline:.3g} s"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for secret in llm.secrets():
        text = text.replace(secret, "…")
    return _KEY.sub("…", text)[:300]


def ms(start: float, end: float) -> float:
    """Milliseconds between two moments of ``time.perf_counter``."""
    return round((end - start) * 1000, 2)
