"""Tokens and money of a model's answers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from genai_prices import calc_price
from pydantic_ai.messages import ModelResponse

from prosa.agents import llm
from prosa.contracts import Usage


def of(response: ModelResponse) -> Usage:
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


def total(spent: Sequence[Usage]) -> Usage:
    """All requests of a turn together. One unknown price makes the sum unknown; no request costs nothing."""
    costs = [usage.cost for usage in spent if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in spent),
        output_tokens=sum(usage.output_tokens for usage in spent),
        cached_tokens=sum(usage.cached_tokens for usage in spent),
        requests=len(spent),
        cost=sum(costs, Decimal(0)) if len(costs) == len(spent) else None,
    )
