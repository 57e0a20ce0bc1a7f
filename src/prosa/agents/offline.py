"""The answer without a model: what the business approved, or an honest "I do not know" and the offer of a person."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from prosa.agents import handoff
from prosa.contracts import ApprovedAnswer, Handoff, Json, Reply, Turn, TurnResult, Usage

FLOOR = 0.5
"""Score under which an approved answer is not taken for the answer to the question: half of what was asked must be in it."""

_WORDS = {
    "pt": {
        "unknown": "Não tenho essa informação agora e prefiro não inventar.",
        "offer_person": "Posso chamar uma pessoa da equipe para ajudar você?",
        "handed_off": "Certo. Uma pessoa da equipe vai continuar a conversa por aqui.",
    },
    "es": {
        "unknown": "No tengo esa información ahora y prefiero no inventarla.",
        "offer_person": "¿Quiere que llame a una persona del equipo?",
        "handed_off": "De acuerdo. Una persona del equipo va a continuar la conversación por aquí.",
    },
    "en": {
        "unknown": "I do not have that information right now, and I would rather not guess.",
        "offer_person": "Shall I bring in a person of the team?",
        "handed_off": "All right. A person of the team will continue the conversation here.",
    },
}


def word(turn: Turn, key: str) -> str:
    """A fixed sentence: the business's own (``turn.words``), else ours in the turn's language."""
    return turn.words.get(key, "").strip() or _WORDS.get(turn.locale[:2].lower(), _WORDS["en"])[key]


def answer(turn: Turn, approved: Sequence[ApprovedAnswer] = ()) -> TurnResult:
    """Bring in a person when our offer of one was accepted; else say the best of ``approved`` word by word, or that we do not know."""
    best = max(approved, key=lambda entry: entry.score, default=None)
    wish: Handoff | None = None
    trace: Json = {"sources": []}
    if handoff.accepted(turn, word(turn, "offer_person")):
        wish = Handoff("the customer accepted the offer of a person")
        text = word(turn, "handed_off")
        trace["offline"] = "handoff"
    elif best is not None and best.score >= FLOOR and best.answer.strip():
        text = best.answer.strip()
        trace = {"offline": "approved", "sources": [best.id]}
    else:
        text = f"{word(turn, 'unknown')} {word(turn, 'offer_person')}"
        trace["offline"] = "unknown"
    return TurnResult(replies=(Reply(text),), model="offline", handoff=wish, usage=Usage(cost=Decimal(0)), trace=trace)
