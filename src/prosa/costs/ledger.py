"""Booking what was used, and reading what it comes to.

The arithmetic lives in PostgreSQL functions (migration ``0002_functions``), so that a turn books in the statement that
ends it and reads in the one that begins it, and a page reads exactly what the gate does:
``prosa_costs_cost`` (the price: a person's, else what the provider's catalogue said, else the stored catalogue price,
else unknown), ``prosa_costs_book`` and ``prosa_costs_standing``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from prosa import sql
from prosa.contracts import Usage
from prosa.costs.gate import Verdict
from prosa.postgres.connections import Connection, fetch_one

queries = sql.load(__file__, "ledger.sql")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one model did. ``usage.cost`` is what the catalogue says, None when it does not know the model.

    ``purpose``: turn, embedding, transcription, speech, summary, copilot or analytics.
    """

    model: str
    usage: Usage
    purpose: str = "turn"


def packed(entries: Sequence[Entry]) -> str | None:
    """As ``prosa_costs_book`` takes them; None when no request was made."""
    rows = [
        {
            "model": sql.clean(entry.model[:200]).decode(),
            "purpose": entry.purpose,
            "requests": entry.usage.requests,
            "input_tokens": entry.usage.input_tokens,
            "output_tokens": entry.usage.output_tokens,
            "cached_tokens": entry.usage.cached_tokens,
            "cost": str(entry.usage.cost) if entry.usage.cost is not None else None,
        }
        for entry in entries
        if entry.usage.requests
    ]
    return json.dumps(rows) if rows else None


async def book(
    connection: Connection, business_id: int, day: date, entries: Sequence[Entry], slot: int = 0
) -> Decimal | None:
    """Add to the day's ledger, in the caller's transaction; what it cost, None when a price is unknown.

    ``day`` is the business's. ``slot``: anything that differs between concurrent writers (a conversation's id).
    """
    rows = packed(entries)
    if rows is None:
        return Decimal(0)
    row = await fetch_one(
        connection, queries.book, {"business_id": business_id, "day": day, "slot": slot, "entries": rows}
    )
    cost: Decimal | None = row[0] if row else None
    return cost


async def notice(connection: Connection, business_id: int, day: date, verdict: Verdict) -> None:
    """Tell the administrators that a step was reached; once a day for each step and limit."""
    await connection.execute(
        queries.notice,
        {
            "business_id": business_id,
            "day": day,
            "step": str(verdict.step),
            "scope": verdict.scope,
            "spent": verdict.spent,
        },
    )
