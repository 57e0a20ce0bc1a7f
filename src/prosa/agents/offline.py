"""The answer without a model: what the business approved, or an honest "I do not know" and the offer of a person."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from prosa.contracts import ApprovedAnswer, Json, Reply, Turn, TurnResult, Usage

FLOOR = 0.35
"""Score under which an approved answer is not taken for the answer to the question."""

_WORDS = {
    "pt": {
        "unknown": "Não tenho essa informação agora e prefiro não inventar.",
        "offer_person": "Posso chamar uma pessoa da equipe para ajudar você?",
    },
    "es": {
        "unknown": "No tengo esa información ahora y prefiero no inventarla.",
        "offer_person": "¿Quiere que llame a una persona del equipo?",
    },
    "en": {
        "unknown": "I do not have that information right now, and I would rather not guess.",
        "offer_person": "Shall I bring in a person of the team?",
    },
}


def answer(turn: Turn, approved: Sequence[ApprovedAnswer] = ()) -> TurnResult:
    """Say the best of ``approved`` word by word, or that we do not know. Never anything else.

    ``turn.words`` wins over the sentences kept here for a business that has none.
    """
    best = max(approved, key=lambda entry: entry.score, default=None)
    trace: Json
    if best is not None and best.score >= FLOOR and best.answer.strip():
        text = best.answer.strip()
        trace = {"offline": "approved", "sources": [best.id]}
    else:
        own = _WORDS.get(turn.locale[:2].lower(), _WORDS["en"])
        text = " ".join(turn.words.get(key, "").strip() or own[key] for key in ("unknown", "offer_person"))
        trace = {"offline": "unknown", "sources": []}
    return TurnResult(replies=(Reply(text),), model="offline", usage=Usage(cost=Decimal(0)), trace=trace)
