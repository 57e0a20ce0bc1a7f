"""The ledger of what tools do: each writing once, however often its turn is tried.

A row is committed before the call and its result after it. When the turn is tried again, after a crash, the row answers. A row
without a result says that nobody knows: the call is not repeated, unless the tool promises that the same key happens once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prosa import sql
from prosa.agents.tools import hidden
from prosa.contracts import Execute, Json, Tool, ToolResult
from prosa.conversations.dispatch import Claim
from prosa.errors import PermanentError
from prosa.postgres.connections import Pool, fetch_one
from prosa.redaction import redact_data

queries = sql.load(__file__, "executions.sql")

MOST_RESULT = 20_000
"""Characters of a result the ledger keeps."""
UNKNOWN = (
    "It is not known whether this happened: it was interrupted. Do not say that it did, and do not try again. Say that a "
    "person of the team looks at it and will answer."
)

Do = Callable[[str], Awaitable[ToolResult]]


class NotOurs(PermanentError):
    """The conversation went to a person or to another worker: nothing may be done in it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The executions of one turn. ``messages`` are those it answers; the same ones are there when it is tried again."""

    pool: Pool
    claim: Claim
    conversation_id: int
    business_id: int
    epoch: int
    messages: Sequence[int]

    @property
    def execute(self) -> Execute:
        """For ``Turn.execute``."""

        async def execute(tool: Tool, given: Json, do: Do) -> ToolResult:
            return await self.once(tool, given, do)

        return execute

    async def once(self, tool: Tool, given: Json, do: Do, action: str = "") -> ToolResult:
        """Do it, or give what came of it before. ``action``: the key of the confirmed action this carries out.

        :raises NotOurs: it was not done, because the conversation is somebody else's now.
        """
        digest = "" if action else _digest(tool.name, given)
        key = f"action:{action}" if action else f"{self.conversation_id}:{min(self.messages, default=0)}:{digest[:32]}"
        row, earlier = await self._start(tool, given, key, digest)
        if earlier is not None:
            _, key, status, text, record = earlier
            if status == "done":
                return ToolResult(text, record=record)
            if status == "failed":
                return ToolResult(text, error=True, record=record)
            if not tool.idempotent:
                lost = ToolResult(UNKNOWN, error=True, unsure=True)
                if status == "running":
                    await self._finish(row, lost, action)
                return lost
        result = await do(key)
        await self._finish(row, result, action)
        return result

    async def _start(self, tool: Tool, given: Json, key: str, digest: str) -> tuple[int, Any]:
        """The row of this execution, and what it says when it was there before."""
        where = {"conversation_id": self.conversation_id, "key": key, "digest": digest, "messages": list(self.messages)}
        async with self.pool.connection() as connection, connection.transaction():
            held = await fetch_one(
                connection,
                queries.hold,
                {
                    "conversation_id": self.conversation_id,
                    "dispatch_id": self.claim.id,
                    "owner": self.claim.owner,
                    "claim": self.claim.claim,
                    "epoch": self.epoch,
                },
            )
            if held is None or not held[0]:
                raise NotOurs("The conversation was given to somebody else.\nNothing was done.")
            earlier = await fetch_one(connection, queries.earlier, where)
            if earlier is not None:
                return earlier[0], earlier
            row = await fetch_one(
                connection,
                queries.start,
                {
                    **where,
                    "business_id": self.business_id,
                    "tool": tool.name[:80],
                    "risk": tool.risk,
                    "shown": sql.jsonb(hidden(given, tool.secret)),
                },
            )
        return (row[0] if row else 0), None

    async def _finish(self, row: int, result: ToolResult, action: str) -> None:
        status = "unknown" if result.unsure else "failed" if result.error else "done"
        async with self.pool.connection() as connection:
            await connection.execute(
                queries.finish,
                {
                    "id": row,
                    "status": status,
                    "result": sql.clean(result.text[:MOST_RESULT]).decode(),
                    "record": sql.jsonb(redact_data(dict(result.record))),
                    "event": {"done": "tool_done", "failed": "tool_failed", "unknown": "tool_unknown"}[status],
                    "action": action,
                },
                prepare=True,
            )


def _digest(tool: str, given: Json) -> str:
    """The same for the same tool and arguments, however they were written down."""
    written = json.dumps([tool, given], ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(written.encode()).hexdigest()
