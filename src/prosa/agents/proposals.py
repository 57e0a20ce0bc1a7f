"""What a model may wish for without anything happening: each call is written down, ``turns.finish`` carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from prosa.contracts import Ask, Asked, Handoff, Json, Option, Reply, Tool, ToolContext, ToolResult

MOST_OPTIONS = 10
"""Rows a list has room for on WhatsApp."""
ASK = "ask_a_person"
MOST_QUESTION = 500
"""Characters of a question to people of the business."""
_MOST_FACTS = 5


@dataclass(slots=True)
class Proposals:
    """The wishes of one turn. ``options`` is the answer itself, with its choices."""

    handoff: Handoff | None = None
    asks: Ask | None = None
    resolved: str | None = None
    facts: list[str] = field(default_factory=list)
    options: Reply | None = None


NAMES = frozenset({"bring_in_person", ASK, "resolve", "remember", "send_options"})


def tools(into: Proposals, teams: Sequence[tuple[str, str]] = (), asked: Asked | None = None) -> tuple[Tool, ...]:
    """The tools that write into ``into``. ``teams``: name and what it is for, of those a person may be brought in from, or
    asked. ``asked``: what people were asked before; one question at a time."""

    def bring_in_person(given: Json) -> str:
        into.handoff = Handoff(_line(given.get("reason")) or "assistant", _line(given.get("team")))
        return "A person will continue here once this message is sent. Tell the customer so."

    def ask_a_person(given: Json) -> str:
        if asked is not None:
            return (
                f"Nothing more was asked: at {asked.at:%H:%M} the team was asked something for this customer, and it has not "
                "answered yet. Tell the customer that you are waiting for the answer."
            )
        question = _line(given["question"], MOST_QUESTION)
        if question and into.asks is None:
            into.asks = Ask(question, _line(given.get("team")))
        return (
            "The team is asked once this message is sent. Tell the customer that you are asking and will write here when the "
            "answer comes; until then you go on serving them."
        )

    def resolve(given: Json) -> str:
        into.resolved = _line(given["summary"])
        return "Noted: the conversation is closed once your answer is sent. Say goodbye."

    def remember(given: Json) -> str:
        fact = _line(given["fact"])
        if fact and fact not in into.facts and len(into.facts) < _MOST_FACTS:
            into.facts.append(fact)
        return "Noted."

    def send_options(given: Json) -> str:
        titles = dict.fromkeys(_line(title) for title in given["options"])
        options = tuple(Option(str(number), title) for number, title in enumerate(filter(None, titles), 1))
        into.options = Reply(str(given["text"]), options)
        return "Sent."

    return (
        _tool(
            "bring_in_person",
            "Pass this conversation to a person of the business. Call it when the customer asks for a person or accepts your "
            "offer of one, and when your guidelines or instructions say so; never for another reason. Say in the same message that a "
            "person will continue here.",
            {"reason": "For the team: why, in one short sentence.", "team": _fitting(teams)},
            bring_in_person,
            required=["reason"],
        ),
        _tool(
            ASK,
            "Ask people of the business one question, and go on serving the customer yourself. Call it when the customer needs "
            "a fact that nothing you have tells, and that somebody who works there can say in a sentence (“can we deliver on "
            "a Sunday?”). Their answer comes later, and you pass it on: say in the same message that you are asking the team. "
            "When a person should take over, call bring_in_person instead.",
            {
                "question": "For the team: the question, in the language of the business, to be understood without the conversation.",
                "team": _fitting(teams),
            },
            ask_a_person,
            required=["question"],
        ),
        _tool(
            "resolve",
            "Close the conversation. Call it only when the customer says that everything is settled.",
            {"summary": "What was settled, in one short sentence."},
            resolve,
        ),
        _tool(
            "remember",
            "Keep one lasting fact the customer told about themselves (a preference, a size, a name to be called by). "
            "Nothing secret: no documents, cards, passwords or health.",
            {"fact": "The fact, in one short sentence."},
            remember,
        ),
        Tool(
            "send_options",
            "Answer with a short text and choices to tap. It is the whole message: add no other text.",
            {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 1, "description": "The message above the choices."},
                    "options": {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1, "maxLength": 24},
                        "minItems": 2,
                        "maxItems": MOST_OPTIONS,
                        "uniqueItems": True,
                    },
                },
                "required": ["text", "options"],
                "additionalProperties": False,
            },
            _noting(send_options),
        ),
    )


def _fitting(teams: Sequence[tuple[str, str]]) -> str:
    if not teams:
        return "The team that fits, if one was named."
    told = "; ".join(f"{name} ({about})" if about else name for name, about in teams)
    return f"The team that fits, if one does: {told}"


def _tool(
    name: str, about: str, fields: dict[str, str], note: Callable[[Json], str], required: list[str] | None = None
) -> Tool:
    schema: Json = {
        "type": "object",
        "properties": {field: {"type": "string", "description": told} for field, told in fields.items()},
        "required": list(fields) if required is None else required,
        "additionalProperties": False,
    }
    return Tool(name, about, schema, _noting(note))


def _noting(note: Callable[[Json], str]) -> Callable[[ToolContext, Json], Awaitable[ToolResult]]:
    async def run(_: ToolContext, given: Json) -> ToolResult:
        return ToolResult(note(given))

    return run


def _line(text: object, most: int = 300) -> str:
    return " ".join(str(text or "").split())[:most]
