"""The tools of one turn: which are offered, whether a call is well made, what the model reads back.

Whatever a tool returns is data of strangers: it is fenced, cut, and never becomes an instruction. Whatever it
raises becomes one polite sentence.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import jsonschema_rs
from pydantic_ai.messages import RetryInfo, ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from prosa import telemetry
from prosa.agents import memory, offline, passages, proposals, specialists
from prosa.contracts import (
    IDENTITY_LEVELS,
    Action,
    Execute,
    Handoff,
    Json,
    Option,
    Passage,
    Reply,
    Tool,
    ToolContext,
    ToolResult,
    Turn,
)
from prosa.errors import BadInput
from prosa.redaction import SECRET, redact, redact_data

logger = logging.getLogger(__name__)

MAX_RESULT = 6_000
"""Characters of one result the model reads."""
MOST_WRONG = 2
"""Wrong calls that get their error back; after more the model must answer without tools."""

CONFIRM, REFUSE = "confirm:", "refuse:"
"""What stands before an action's key in the id of a button."""
UNSURE = "it is not known whether this was done"
"""Why a conversation goes to people after a call of unknown outcome; the tool's name follows."""

_SHOWN = 500  # characters of a result kept in the trace
_MOST_ARGUMENTS = 2_000
_FAILED = "This did not work and is not available now. Do not claim its result; say so, or offer to bring in a person."
_LATE = "This took too long and was given up. Do not claim its result; say so, or offer to bring in a person."
_UNSURE = (
    "It is not known whether this happened. Do not say that it did, and do not try again: offer to bring in a person."
)
_ASK = (
    "Not done yet: it needs the customer's confirmation in their next message. Say in one short sentence exactly what would "
    "be done, naming what you gave this tool, and ask whether they confirm. Buttons for it are added to your message."
)
_ONE = "Not run: another action already waits for the customer's confirmation. Ask about that one first."
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
        self.wrote = bool(turn.deeds)
        self.action: Action | None = None
        self.question = ""
        self.closed = False
        """Whether nothing may be called any more, whatever a model tries."""
        self._wrong = self._made = 0
        self.relay = specialists.Relay(turn)
        self._offer(turn)

    def deeds(self) -> tuple[list[ToolCallPart], list[ToolReturnPart]]:
        """What the customer confirmed and was done before any model was asked, as calls and what they gave."""
        calls, returns = [], []
        for number, deed in enumerate(self._turn.deeds, 1):
            part = ToolCallPart(deed.tool, deed.arguments, f"confirmed-{number}")
            calls.append(part)
            if deed.result.unsure and self.proposed.handoff is None:
                self.proposed.handoff = Handoff(f"{UNSURE}: {deed.tool}")
            returns.append(self._returned(part, deed.arguments, deed.result, 0.0))
        return calls, returns

    def _offer(self, turn: Turn) -> None:
        """What may be called from now on: after a transfer the tools are the new specialist's."""
        self._turn = turn
        self._tools = {tool.name: tool for tool in (*_offered(turn), *self._own())}
        self.parameters = ModelRequestParameters(function_tools=[_definition(tool) for tool in self._tools.values()])

    def _own(self) -> tuple[Tool, ...]:
        """The house's own come last in the making and so win over a stranger's tool of the same name."""
        search = (passages.SEARCH,) if self._turn.passages is not None else ()
        every = proposals.tools(self.proposed, self._turn.teams, self._turn.asked)
        allowed = (tool for tool in every if tool.name in self._turn.proposals)
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
            if call.tool.risk == "destructive":
                returns[place] = self._propose(call)
                continue
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
        if self.closed or self.exhausted:
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
        if problems and tool.secret:
            problems = ["The arguments are not as the schema says."]
        if problems:
            return self._wrongly(part, "; ".join(problems)[:500])
        self._made += 1
        return _Call(part, tool, given)

    def _wrongly(self, part: ToolCallPart, problem: str) -> ToolReturnPart:
        self._wrong += 1
        self._note(part, None, 0.0, problem, ok=False)
        return ToolReturnPart(
            part.tool_name,
            memory.fenced(problem),
            part.tool_call_id,
            outcome="retried",
            retry=RetryInfo("validation_error"),
        )

    def _refused(self, part: ToolCallPart, text: str) -> ToolReturnPart:
        self._note(part, None, 0.0, text, ok=False)
        return ToolReturnPart(part.tool_name, text, part.tool_call_id, outcome="denied")

    def _propose(self, call: _Call) -> ToolReturnPart:
        """Write down what would be done. Nothing is: the customer has not been asked."""
        if self.action is not None:
            return self._refused(call.part, _ONE)
        self.action = Action(secrets.token_urlsafe(16), call.tool.name, call.given, call.tool.identity)
        self.question = self._worded(call)
        self._note(call.part, call.given, 0.0, "proposed", ok=False)
        return ToolReturnPart(call.part.tool_name, _ASK, call.part.tool_call_id)

    def _worded(self, call: _Call) -> str:
        """The question in the tool's own words; empty where it has none, and the model words it."""
        try:
            asked: object = call.tool.asks(call.given, self._turn.locale) if call.tool.asks is not None else ""
        except Exception as error:  # noqa: BLE001  a plug-in's mistake costs its words, not the customer's answer
            logger.warning("The tool %s could not word its question (%s)", call.tool.name, type(error).__name__)
            return ""
        return memory.plain(asked).strip() if isinstance(asked, str) else ""

    def ask(self, reply: Reply) -> Reply:
        """``reply`` with the buttons that confirm what is proposed, or do not."""
        if self.action is None:
            return reply
        return replace(
            reply,
            options=(
                Option(f"{CONFIRM}{self.action.key}", offline.word(self._turn, "confirm")),
                Option(f"{REFUSE}{self.action.key}", offline.word(self._turn, "refuse")),
            ),
        )

    async def _run(self, call: _Call, ends: float) -> ToolReturnPart:
        began = time.perf_counter()
        with telemetry.span("tool", tool=call.tool.name, risk=call.tool.risk) as span:
            if call.tool.risk == "read" or self._turn.execute is None:
                result = await self._result(call, ends)
            else:
                result = await self._execute(call, ends, self._turn.execute)
            span.note(ok=not result.error)
        if result.identity is not None and result.identity != self._turn.identity:
            self.relay.turn = replace(self.relay.turn, identity=result.identity)
        return self._returned(call.part, call.given, result, (time.perf_counter() - began) * 1000)

    async def _execute(self, call: _Call, ends: float, execute: Execute) -> ToolResult:
        """Through the ledger. What the ledger cannot write down is not done."""
        ran = False

        async def do(key: str) -> ToolResult:
            nonlocal ran
            ran = True
            return await self._result(call, ends, key)

        try:
            result = await execute(call.tool, call.given, do)
        except Exception as error:  # noqa: BLE001  whatever the ledger does, the customer gets an answer
            logger.warning("The ledger of the tool %s failed (%s)", call.tool.name, type(error).__name__)
            result = ToolResult(_UNSURE if ran else _FAILED, error=True, unsure=ran)
        if result.unsure and self.proposed.handoff is None:
            self.proposed.handoff = Handoff(f"{UNSURE}: {call.tool.name}")
        return replace(result, text=result.text or _UNSURE) if result.unsure else result

    def _returned(self, part: ToolCallPart, given: Json, result: ToolResult, ms: float) -> ToolReturnPart:
        text = memory.plain(result.text)
        if len(text) > MAX_RESULT:
            text = f"{text[:MAX_RESULT]}\n[… {len(text) - MAX_RESULT} characters left out]"
        if not result.error and (tool := self._tools.get(part.tool_name)) is not None:
            self.worked.append((tool, text))
        if not result.error and part.tool_name not in proposals.NAMES:
            self.evidence.append(text)
            self.sources |= {passage.chunk_id: passage for passage in result.sources}
        self._note(part, given, ms, text, ok=not result.error)
        return ToolReturnPart(
            part.tool_name,
            memory.fenced(text),
            part.tool_call_id,
            outcome="failed" if result.error else "success",
        )

    async def _result(self, call: _Call, ends: float, key: str = "") -> ToolResult:
        reading = call.tool.risk == "read"
        try:
            async with asyncio.timeout(min(self._turn.tool_deadline, ends - time.monotonic())):
                return sound(await call.tool.run(ToolContext(self._turn, call.part.tool_call_id, key), call.given))
        except BadInput as error:
            return ToolResult(str(error).partition("\n")[0][:300], error=True)
        except TimeoutError:
            logger.warning("The tool %s took too long", call.tool.name)
            return ToolResult(_LATE if reading else _UNSURE, error=True, unsure=not reading)
        except Exception as error:  # noqa: BLE001  whatever a tool does, the customer gets an answer
            logger.warning("The tool %s failed (%s)", call.tool.name, type(error).__name__)
            return ToolResult(_FAILED if reading else _UNSURE, error=True, unsure=not reading)

    def _note(self, part: ToolCallPart, given: Json | None, ms: float, result: str, *, ok: bool) -> None:
        tool = self._tools.get(part.tool_name)
        arguments: Json | str
        if given is not None:
            arguments = _bounded(hidden(given, tool.secret if tool else frozenset()))
        else:  # badly made: nobody can tell which part is the secret one
            arguments = SECRET if tool and tool.secret else redact(memory.plain(str(part.args))[:_SHOWN])
        self.trace.append(
            {
                "tool": memory.plain(part.tool_name)[:80],
                "arguments": arguments,
                "ok": ok,
                "ms": round(ms, 2),
                "result": redact(result[:_SHOWN]),
            }
        )


def sound(result: object) -> ToolResult:
    """What a tool gave, when it is what tools give.

    :raises TypeError: it is something else; whether the tool did its work nobody can say.
    """
    if not isinstance(result, ToolResult) or not isinstance(result.text, str):
        raise TypeError("A tool gives a ToolResult with a text.")
    return result


def _bounded(given: Json) -> Json | str:
    """Arguments as the trace keeps them: whole, or the beginning of their JSON."""
    written = json.dumps(given, ensure_ascii=False, default=str)
    return given if len(written) <= _MOST_ARGUMENTS else written[:_MOST_ARGUMENTS] + "…"


def hidden(given: Json, secret: Collection[str]) -> Json:
    """Arguments without secrets and personal data; those named ``secret`` are hidden whole."""
    shown: Json = redact_data({name: SECRET if name in secret else value for name, value in given.items()})
    return shown


def _offered(turn: Turn) -> list[Tool]:
    """The turn's tools its customer is known well enough for; destructive ones where they can be confirmed."""
    level = IDENTITY_LEVELS.index(turn.identity)
    return [
        tool
        for tool in turn.tools
        if (turn.confirms or tool.risk != "destructive") and IDENTITY_LEVELS.index(tool.identity) <= level
    ]


def _definition(tool: Tool) -> ToolDefinition:
    return ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.schema)
