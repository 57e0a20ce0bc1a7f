"""One small request beside the chat: a summary, a rewrite. No tools, no history; the next model when one fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.settings import ModelSettings

from prosa.agents import answer, llm, usage
from prosa.contracts import Usage
from prosa.errors import ConfigurationError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """What came of it. ``text`` is empty when no model answered; ``spent`` is (model, usage) of every answer."""

    text: str = ""
    model: str = ""
    spent: tuple[tuple[str, Usage], ...] = ()


async def run(models: Sequence[str], told: str, shown: str, *, deadline: float = 30.0, most: int = 600) -> Errand:
    """Ask the models in order until one answers; ``offline`` ends the chain.

    ``told`` are our own words (the system prompt), ``shown`` what strangers wrote, fenced. ``deadline`` in seconds for each
    request, ``most`` tokens of the answer. Never raises because of a model; ``asyncio.CancelledError`` passes through.
    """
    spent: list[tuple[str, Usage]] = []
    asked: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(shown)], instructions=told)]
    for name in dict.fromkeys(models):
        if name in ("", "offline"):
            break
        try:
            mind = llm.find(name)
        except Exception as error:  # noqa: BLE001  an SDK may dislike a name or an address in its own way
            reason = str(error).partition("\n")[0] if isinstance(error, ConfigurationError) else type(error).__name__
            logger.warning("Model %s cannot be used: %s", name, reason)
            continue
        if not mind.breaker.allows():
            continue
        try:
            async with asyncio.timeout(deadline):
                response = await model_request(
                    mind.model, asked, model_settings=ModelSettings(max_tokens=most), instrument=False
                )
        except asyncio.CancelledError:
            mind.breaker.abandoned()
            raise
        except Exception as error:  # noqa: BLE001  whatever a stranger's server or an SDK does, there is another way
            mind.failed(error)
            logger.warning("Model %s failed at an errand (%s)", name, type(error).__name__)
            continue
        mind.breaker.succeeded()
        spent.append((name, usage.of(response)))
        try:
            text, _ = answer.fit(response.text or "")
        except answer.Nonsense:
            continue
        return Errand(text, name, tuple(spent))
    return Errand(spent=tuple(spent))
