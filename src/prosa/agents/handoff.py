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

_PERSON = r"(?:pessoa|humano|humana|atendente|atendimento humano|alguem|persona|humano|agente|asesor|alguien|person|human|agent|someone)"
_ASKS = re.compile(
    rf"\b(?:falar|conversar|chama|chamar|passa|passar|hablar|habla|comunicar|pasar|pasame|talk|speak|chat|connect|transfer)\b"
    rf"[\w ,]{{0,30}}\b{_PERSON}\b|^\s*{_PERSON}\s*[.!]?\s*$"
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


def asked_plainly(turn: Turn, offer: str) -> bool:
    """Whether the customer asks for a person in so many words, or says yes to ``offer``, the last thing we said."""
    words = _folded(" ".join(line.text for line in turn.question))
    if _ASKS.search(words):
        return True
    last = turn.history[-1] if turn.history else None
    said_yes = _YES.match(re.sub(r"[^\w]+", " ", words).strip())
    return bool(said_yes and last and last.author == "bot" and last.text.strip().endswith(offer))


def _folded(text: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(mark))
