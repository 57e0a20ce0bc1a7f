"""Passing the conversation to a person: the wish is recorded here, ``conversations.turns`` carries it out."""

from __future__ import annotations

import re
import unicodedata

from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.tools import ToolDefinition

from prosa.contracts import Handoff, Turn

TOOL = ToolDefinition(
    name="bring_in_person",
    description=(
        "Pass this conversation to a person of the business. Call it only when the customer asks for a person or "
        "accepts your offer of one, and say in the same message that a person will continue here."
    ),
    parameters_json_schema={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "For the team: why, in one short sentence."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
)

_YES = re.compile(
    r"^(?:sim|s|quero|claro|pode|pode sim|sim quero|sim por favor|por favor|ok|isso|si|dale|si por favor|yes|yeah|yep|yes please|please|sure)$"
)


def wished(response: ModelResponse) -> Handoff | None:
    """The wish in a model's answer, when it called the tool."""
    for part in response.parts:
        if isinstance(part, ToolCallPart) and part.tool_name == TOOL.name:
            try:
                reason = part.args_as_dict().get("reason")
            except (ValueError, AssertionError):
                reason = None
            return Handoff(" ".join(str(reason or "the model asked for a person").split())[:300])
    return None


def folded(turn: Turn) -> str:
    """What the customer wrote, as plain words: lower case, without accents and marks."""
    asked = " ".join(line.text for line in turn.question)
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", asked.lower()) if not unicodedata.combining(mark))
    return re.sub(r"[^\w]+", " ", plain).strip()


def accepted(turn: Turn, offer: str) -> bool:
    """Whether the customer plainly says yes to ``offer``, the last thing we said."""
    last = turn.history[-1] if turn.history else None
    said_yes = _YES.match(folded(turn))
    return bool(said_yes and last and last.author == "bot" and last.text.strip().endswith(offer))
