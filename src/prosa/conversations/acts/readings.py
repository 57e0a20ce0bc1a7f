"""What a reading tool found stays good for a while, where its plug-in says so: an ERP need not be asked the same twice a minute.

Kept in this process's memory, and in Redis for all of them when ``REDIS_URL`` is set. Only what worked is kept. A writing
tool of the same customer ends what was read for them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from prosa import conf
from prosa.cache import Cache, Memory, shared
from prosa.contracts import Caller, Json, Passage, Run, ToolContext, ToolOffer, ToolResult

MOST_BYTES = 8_000_000
LONGEST_S = 86_400.0
"""However long a plug-in wishes."""


@lru_cache(maxsize=1)
def _kept() -> Cache:
    return Cache(Memory(MOST_BYTES, LONGEST_S), shared("reading", conf.settings().redis_url), ttl=LONGEST_S)


def remembering(offer: ToolOffer, caller: Caller, run: Run) -> Run:
    """``run``, asked at most every ``offer.fresh_s`` seconds for the same arguments by the same customer (by any, when
    ``offer.common``). After a writing tool it forgets what was read for the customer."""
    if offer.risk != "read":
        return _ending(caller, run)
    if offer.fresh_s <= 0:
        return run

    async def remembered(context: ToolContext, given: Json) -> ToolResult:
        cache, whose = _kept(), "" if offer.common else await _epoch(caller)
        # Who is known less surely now than when it was read may be told less.
        known = () if offer.common else (caller.contact_id, context.turn.identity, caller.number)
        key = _key(caller.business_id, offer.name, known, whose, given)
        if (kept := _read((await cache.get([key])).get(key), time.time() - offer.fresh_s)) is not None:
            return kept
        result = await run(context, given)
        if not result.error and result.identity is None:
            await cache.put({key: json.dumps({"at": time.time(), **asdict(result)}, default=str).encode()})
        return result

    return remembered


def _ending(caller: Caller, run: Run) -> Run:
    async def written(context: ToolContext, given: Json) -> ToolResult:
        try:
            return await run(context, given)
        finally:  # also when nobody knows whether it happened
            await _kept().put({_mark(caller): str(time.time_ns()).encode()})

    return written


async def _epoch(caller: Caller) -> str:
    """The moment of the customer's last write; other processes learn of it through Redis, without it from their own."""
    mark = _mark(caller)
    return (await _kept().get([mark])).get(mark, b"").decode()


def _mark(caller: Caller) -> str:
    return f"wrote:{caller.business_id}:{caller.contact_id}"


def _key(business_id: int, *parts: Any) -> str:
    return f"{business_id}:{hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()}"


def _read(kept: bytes | None, oldest: float) -> ToolResult | None:
    if kept is None:
        return None
    told: Mapping[str, Any] = json.loads(kept)
    if told["at"] < oldest:
        return None
    fields = {name: value for name, value in told.items() if name not in ("at", "sources")}
    return ToolResult(**fields, sources=tuple(Passage(**source) for source in told["sources"]))
