"""Who answers: a few roles that share a conversation, one at a time.

Each has its own instructions, guidelines and tools. One answers until it passes the conversation on, which is a tool
of the model: at most once in a message, so that it never goes back and forth. Choosing costs no model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from prosa.contracts import Json, Specialist, Tool, ToolContext, ToolResult, Transfer, Turn

TRANSFER = "transfer_to_specialist"
ANALYTICS = "analytics"
"""Serves members of the business, and is on no channel of customers."""

_ROLES = (
    Specialist(
        "sales",
        "choosing and buying: products, prices, availability, delivery before an order",
        "You help customers find what suits them. Ask at most one question to understand what they need, then suggest "
        "one or two fitting things with what is known of them. Do not push, and invent no offers, discounts or stock.",
        keywords=("comprar", "preço", "quanto custa", "orçamento", "promoção", "desconto", "precio", "cotización",
                  "oferta", "buy", "price", "quote", "discount"),
    ),
    Specialist(
        "support",
        "help with something already bought or used: orders, problems, exchanges, returns, complaints",
        "You help customers with what they already have. Take the problem seriously, say in one sentence what can be "
        "done, and ask only for what you need. Promise no refund, exchange or date that nobody gave you.",
        keywords=("problema", "defeito", "quebrado", "reclamação", "troca", "devolução", "meu pedido", "reembolso",
                  "roto", "reclamo", "cambio", "devolución", "mi pedido", "problem", "broken", "return", "refund",
                  "my order"),
    ),
    Specialist(
        "scheduling",
        "appointments: booking, moving or cancelling a visit or a service",
        "You help customers with appointments. Say that a time is free, booked, moved or cancelled only if a tool told "
        "you so. Without a tool for it, collect the service, the day and the time they would like, and offer to bring "
        "in a person who settles it.",
        keywords=("agendar", "marcar", "remarcar", "desmarcar", "agendamento", "consulta", "cita", "reservar", "turno",
                  "appointment", "schedule", "reschedule", "book a"),
    ),
)  # fmt: skip

ANALYST = Specialist(
    ANALYTICS,
    "questions of the business's own people about conversations, costs and results",
    "Call the report that answers the question; when none does, say which ones there are. Say the result first, in one "
    "to three plain sentences, with the period it covers. Repeat figures exactly as the report gives them: add up, "
    "average or compare only what it does not already tell. You judge nobody and advise only when asked.",
)

ROLES = {role.name: role for role in _ROLES}
"""The roles the house knows, for customers. A business chooses among them, words them anew, or adds its own."""


def complete(specialist: Specialist) -> Specialist:
    """With the house's words where the business wrote none of its own."""
    known = ROLES.get(specialist.name)
    if known is None:
        return specialist
    return replace(
        specialist,
        about=specialist.about or known.about,
        instructions=specialist.instructions or known.instructions,
        keywords=specialist.keywords or known.keywords,
    )


def triage(text: str, specialists: Sequence[Specialist]) -> str:
    """Whose keywords are in ``text`` most often, by its name; empty when nobody's are. Of equals the first."""
    asked = f" {_folded(text)} "
    hits = {each.name: sum(_said(word, asked) for word in each.keywords) for each in specialists}
    best = max(hits, key=lambda name: hits[name], default="")
    return best if best and hits[best] else ""


def played(turn: Turn, specialist: Specialist) -> Turn:
    """The turn as ``specialist`` answers it. Tools that belong to nobody in particular stay with everybody."""
    others = {tool.name for each in turn.specialists for tool in each.tools}
    shared = tuple(tool for tool in turn.tools if tool.name not in others)
    return replace(
        turn,
        specialist=specialist.name,
        role=specialist.instructions,
        guidelines=specialist.guidelines,
        tools=(*shared, *specialist.tools),
        model=specialist.model or turn.model,
    )


def directory(turn: Turn) -> str:
    """Who else there is, for the prompt; empty when there is nobody."""
    others = [each for each in turn.specialists if each.name != turn.specialist]
    return "\n".join(f"- {each.name}: {_line(each.about)}" for each in others)


@dataclass(slots=True)
class Relay:
    """The passing on of one message: at most once. ``turn`` is as whoever has it now answers it."""

    turn: Turn
    transfer: Transfer | None = None

    def tools(self) -> tuple[Tool, ...]:
        """The tool, while there is somebody to pass to and nobody has passed yet."""
        names = [each.name for each in self.turn.specialists if each.name != self.turn.specialist]
        if self.transfer is not None or not names:
            return ()
        schema: Json = {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": names, "description": "Who continues."},
                "reason": {"type": "string", "description": "Why, in one short sentence, for the colleague."},
            },
            "required": ["name", "reason"],
            "additionalProperties": False,
        }
        about = (
            "Pass the conversation to a colleague. Call it only when the question is plainly theirs and not yours; they "
            "answer in this same message. Say nothing before it: the customer does not need to know."
        )
        return (Tool(TRANSFER, about, schema, _noting(self._pass_on)),)

    def _pass_on(self, given: Json) -> str:
        """One message changes hands once: whoever gets it answers it."""
        if self.transfer is not None:
            return f"The conversation was passed on already: {self.turn.specialist} answers this message."
        to = next(each for each in self.turn.specialists if each.name == given["name"])
        self.transfer = Transfer(self.turn.specialist, to.name, _line(given["reason"])[:300])
        self.turn = played(self.turn, to)
        return "Passed on. Your part has changed, and so have your tools: answer the customer now."


def _noting(note: Callable[[Json], str]) -> Callable[[ToolContext, Json], Awaitable[ToolResult]]:
    async def run(_: ToolContext, given: Json) -> ToolResult:
        return ToolResult(note(given))

    return run


def _said(word: str, asked: str) -> bool:
    folded = _folded(word)
    return bool(folded) and f" {folded} " in asked


def _folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.findall(r"\w+", "".join(each for each in letters if not unicodedata.combining(each))))


def _line(text: object) -> str:
    return " ".join(str(text or "").split())
