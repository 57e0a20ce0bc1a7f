"""In which language a customer is spoken to: the one they write in, once that is sure; else the business's.

Only Prosa's own sentences go by it, and what a model is told where nothing else tells: a model answers in the language it reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from prosa.knowledge import language

SURE = 2.5
"""How far ahead a language must be to change the one of a conversation: two words that no other language has."""
FIRST = 1.0
"""The same while nothing was said before: "hola" tells how to answer it."""
MOST_CHARACTERS = 200
LOCALES = {"pt": "pt-br", "es": "es", "en": "en"}


def tag(locale: str) -> str:
    """The language of a locale: ``pt-br`` → ``pt``."""
    return locale.replace("_", "-").partition("-")[0].lower()


def locale(known: str, business: str) -> str:
    """Where sentences are taken from. ``known`` is the conversation's language, empty for that of the ``business``, whose own
    locale stays wherever it speaks the same language."""
    return business if not known or known == tag(business) else LOCALES.get(known, business)


def heard(texts: Iterable[str], known: str, business: str, *, first: bool) -> str:
    """The conversation's language now, as it is kept: empty for the business's. ``texts``: what the customer wrote and was
    not answered yet; ``first``: nothing was said before."""
    said = " ".join(texts)[:MOST_CHARACTERS]
    current = known or tag(business)
    found = language.language(said, current, FIRST if first and not known else SURE)
    if found == current:
        return known
    return "" if found == tag(business) else found
