"""Whether the customer said yes to our offer of a person, without a model to read it."""

from __future__ import annotations

import re
import unicodedata

from prosa.contracts import Turn

_YES = re.compile(
    r"^(?:sim|s|quero|claro|pode|pode sim|sim quero|sim por favor|por favor|ok|isso|si|dale|si por favor|yes|yeah|yep|yes please|please|sure)$"
)


def folded(turn: Turn) -> str:
    """What the customer wrote, as plain words: lower case, without accents and marks."""
    asked = " ".join(line.text for line in turn.question)
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", asked.lower()) if not unicodedata.combining(mark))
    return re.sub(r"[^\w]+", " ", plain).strip()


def accepted(turn: Turn, offer: str) -> bool:
    """Whether the customer plainly says yes to ``offer``, the last thing we said, in whichever language we said it."""
    last = turn.history[-1] if turn.history else None
    said_yes = _YES.match(folded(turn))
    offers = (offer, *turn.words.get("offers", "").splitlines())
    return bool(said_yes and last and last.author == "bot" and last.text.strip().endswith(offers))
