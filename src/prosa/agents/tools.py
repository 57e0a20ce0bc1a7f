"""The tools of one turn: which are offered, whether a call is well made, what the model reads back.

Whatever a tool returns is data of strangers: it is fenced, cut, and never becomes an instruction. Whatever it
raises becomes one polite sentence.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import jsonschema_rs
from pydantic_ai.messages import RetryInfo, ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from prosa.agents import memory, passages, proposals, specialists
from prosa.contracts import IDENTITY_LEVELS, Json, Passage, Tool, ToolContext, ToolResult, Turn
from prosa.errors import BadInput
from prosa.redaction import redact, redact_data

logger = logging.getLogger(__name__)

MAX_RESULT = 6_000
"""Characters of one result the model reads."""
MOST_WRONG = 2
"""Wrong calls that get their error back; after more the model must answer without tools."""

_SHOWN = 500  # characters of a result kept in the trace
_MOST_ARGUMENTS = 2_000
_FENCE = re.compile(r"<(?=\s*/?\s*data\b)", re.IGNORECASE)
_FAILED = "This did not work and is not available now. Do not claim its result; say so, or offer to bring in a person."
_LATE = "This took too long and was given up. Do not claim its result; say so, or offer to bring in a person."
_UNSURE = (
    "It is not known whether this happened. Do not say that it did, and do not try again: offer to bring in a person."
)
_LIMIT = "Not run: enough tools were called for one answer. Answer with what you have."


@dataclass(frozen=True, slots=True)
class _Call:
    part: ToolCallPart
    tool: Tool
    given: Json


class Toolbox:
    """The tools of one turn and everything their calls left behind."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.proposed = proposals.Proposals()
        self.sources: dict[int, Passage] = {}
        self.evidence: list[str] = []
        self.worked: list[tuple[Tool, str]] = []
        self.trace: list[Json] = []
        self.wrote = False
        self._wrong = self._made = 0
        self.relay = specialists.Relay(turn)
        self._offer(turn)

    def _offer(self, turn: Turn) -> None:
        """What may be called from now on: after a transfer the tools are the new specialist's."""
        self._turn = turn
        self._tools = {tool.name: tool for tool in (*_offered(turn), *self._own())}
        self.parameters = ModelRequestParameters(function_tools=[_definition(tool) for tool in self._tools.values()])

    def _own(self) -> tuple[Tool, ...]:
        """The house's own come last in the making and so win over a stranger's tool of the same name."""
        search = (passages.SEARCH,) if self._turn.passages is not None else ()
        allowed = (tool for tool in proposals.tools(self.proposed) if tool.name in self._turn.proposals)
        return (*search, *allowed, *self.relay.tools())

    @property
    def exhausted(self) -> bool:
        """Whether the model has used up its calls and must answer now."""
        return self._wrong > MOST_WRONG or self._made >= self._turn.max_tool_calls

    async def call(self, parts: Sequence[ToolCallPart], seconds: float) -> tuple[list[ToolReturnPart], bool]:
        """Run what a model called: reading tools beside each other, then the others in order.

        Gives one return per call, in order, and whether all were well-made proposals, after which there may be nothing
        left to ask the model.
        """
        returns: dict[int, ToolReturnPart] = {}
        reads: list[tuple[int, _Call]] = []
        writes: list[tuple[int, _Call]] = []
        for place, part in enumerate(parts):
            checked = self._checked(part)
            if isinstance(checked, ToolReturnPart):
                returns[place] = checked
            else:
                (reads if checked.tool.risk == "read" else writes).append((place, checked))
        ends = time.monotonic() + seconds
        done = await asyncio.gather(*(self._run(call, ends) for _, call in reads))
        returns |= {place: each for (place, _), each in zip(reads, done, strict=True)}
        for place, call in writes:
            if not self.wrote:
                self.wrote = True
                if self._turn.before_write is not None:
                    self._turn.before_write()
            returns[place] = await self._run(call, ends)
        if self.relay.turn is not self._turn:
            self._offer(self.relay.turn)
        only = all(part.tool_name in proposals.NAMES for part in parts)
        return [returns[place] for place in range(len(parts))], only and len(reads) == len(parts)

    def _checked(self, part: ToolCallPart) -> _Call | ToolReturnPart:
        """The call, or what is wrong with it."""
        if self.exhausted:
            return self._refused(part, _LIMIT)
        tool = self._tools.get(part.tool_name)
        if tool is None:
            return self._wrongly(part, f"There is no tool of this name. There are: {', '.join(self._tools)}.")
        try:
            given = part.args_as_dict(raise_if_invalid=True)
        except (ValueError, AssertionError):
            return self._wrongly(part, "The arguments are not a JSON object.")
        problems = [
            f"{'.'.join(map(str, error.instance_path)) or 'arguments'}: {error.message}"
            for error in jsonschema_rs.validator_for(tool.schema).iter_errors(given)
        ]
        if problems:
            return self._wrongly(part, "; ".join(problems)[:500])
        self._made += 1
        return _Call(part, tool, given)

    def _wrongly(self, part: ToolCallPart, problem: str) -> ToolReturnPart:
        self._wrong += 1
        self._note(part, None, 0.0, problem, ok=False)
        return ToolReturnPart(
            part.tool_name, fenced(problem), part.tool_call_id, outcome="retried", retry=RetryInfo("validation_error")
        )

    def _refused(self, part: ToolCallPart, text: str) -> ToolReturnPart:
        self._note(part, None, 0.0, text, ok=False)
        return ToolReturnPart(part.tool_name, text, part.tool_call_id, outcome="denied")

    async def _run(self, call: _Call, ends: float) -> ToolReturnPart:
        began = time.perf_counter()
        result = await self._result(call, ends)
        text = memory.plain(result.text)
        if len(text) > MAX_RESULT:
            text = f"{text[:MAX_RESULT]}\n[… {len(text) - MAX_RESULT} characters left out]"
        if not result.error:
            self.worked.append((call.tool, text))
        if not result.error and call.part.tool_name not in proposals.NAMES:
            self.evidence.append(text)
            self.sources |= {passage.chunk_id: passage for passage in result.sources}
        self._note(call.part, call.given, (time.perf_counter() - began) * 1000, text, ok=not result.error)
        return ToolReturnPart(
            call.part.tool_name,
            fenced(text),
            call.part.tool_call_id,
            outcome="failed" if result.error else "success",
        )

    async def _result(self, call: _Call, ends: float) -> ToolResult:
        reading = call.tool.risk == "read"
        try:
            async with asyncio.timeout(min(self._turn.tool_deadline, ends - time.monotonic())):
                return await call.tool.run(ToolContext(self._turn, call.part.tool_call_id), call.given)
        except BadInput as error:
            return ToolResult(str(error).partition("\n")[0][:300], error=True)
        except TimeoutError:
            logger.warning("The tool %s took too long", call.tool.name)
            return ToolResult(_LATE if reading else _UNSURE, error=True)
        except Exception as error:  # noqa: BLE001  whatever a tool does, the customer gets an answer
            logger.warning("The tool %s failed (%s)", call.tool.name, type(error).__name__)
            return ToolResult(_FAILED if reading else _UNSURE, error=True)

    def _note(self, part: ToolCallPart, given: Json | None, ms: float, result: str, *, ok: bool) -> None:
        arguments = _bounded(redact_data(given)) if given is not None else redact(memory.plain(str(part.args))[:_SHOWN])
        self.trace.append(
            {
                "tool": memory.plain(part.tool_name)[:80],
                "arguments": arguments,
                "ok": ok,
                "ms": round(ms, 2),
                "result": redact(result[:_SHOWN]),
            }
        )


def _bounded(given: Json) -> Json | str:
    """Arguments as the trace keeps them: whole, or the beginning of their JSON."""
    written = json.dumps(given, ensure_ascii=False, default=str)
    return given if len(written) <= _MOST_ARGUMENTS else written[:_MOST_ARGUMENTS] + "…"


def fenced(text: str) -> str:
    """A stranger's text between marks it cannot write itself."""
    return f"<data>\n{_FENCE.sub('‹', text)}\n</data>"


def _offered(turn: Turn) -> list[Tool]:
    """The turn's tools its customer is known well enough for. Destructive ones wait until they can be confirmed."""
    level = IDENTITY_LEVELS.index(turn.identity)
    return [tool for tool in turn.tools if tool.risk != "destructive" and IDENTITY_LEVELS.index(tool.identity) <= level]


def _definition(tool: Tool) -> ToolDefinition:
    return ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.schema)
