"""When a customer asks for a person in so many words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

PHRASES = (
    # pt-BR
    "falar com atendente", "falar com um atendente", "falar com uma atendente", "falar com uma pessoa", "falar com alguem",
    "falar com humano", "falar com um humano", "ajuda humana", "atendimento humano", "atendente", "humano", "quero uma pessoa",
    # es
    "hablar con una persona", "hablar con un agente", "hablar con un asesor", "hablar con alguien", "hablar con un humano",
    "atencion humana", "agente humano", "asesor", "quiero una persona",
    # en
    "talk to a person", "talk to a human", "talk to someone", "speak to a person", "speak to a human", "speak to someone", "human agent",
    "real person", "human",
)  # fmt: skip

_ASKS = re.compile(
    r"(?<!\w)(?:" + "|".join(re.escape(phrase) for phrase in sorted(PHRASES, key=len, reverse=True)) + r")(?!\w)"
)
_REFUSES = re.compile(r"(?<!\w)(?:nao|no|not|don't|sem|sin|without)\s+(?:\w+\s+){0,3}$")
_ALONE = re.compile(r"(?:pessoa|persona|person|gente|alguem|alguien)(?:,? por favor|,? pfv?r?|,? please)?[\s.!?]*")
"""A whole message. Within a sentence "uma pessoa" is how many come to dinner."""
LONGEST = 200


def fold(text: str) -> str:
    """Lower case, without accents, single spaces."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return " ".join(plain.split())


@lru_cache(maxsize=256)
def _own(words: str) -> re.Pattern[str] | None:
    folded = sorted(filter(None, map(fold, words.splitlines())), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, folded))})(?!\w)") if folded else None


def _wanted(found: re.Match[str] | None, folded: str) -> bool:
    return found is not None and _REFUSES.search(folded[: found.start()]) is None


def asks_for_person(text: str, own_words: str = "") -> bool:
    """Does a message ask for a person? Whole expressions only: "desumano" does not, nor does "não quero atendente".

    ``own_words``: the business's expressions, one a line; they count wherever they stand. Of the usual ones, long messages
    are left to the model, which sees the rest of the sentence.
    """
    folded = fold(text)
    own = _own(own_words) if own_words else None
    if own is not None and any(_wanted(found, folded) for found in own.finditer(folded)):
        return True
    if len(folded) > LONGEST:
        return False
    if _ALONE.fullmatch(folded):
        return True
    found = _ASKS.search(folded)
    if found is not None and " " not in found[0] and len(folded.split()) > 3:
        return False  # "o atendente de ontem foi ótimo" praises one; "atendente, por favor" wants one
    return _wanted(found, folded)
