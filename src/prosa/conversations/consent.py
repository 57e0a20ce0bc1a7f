"""What a customer's message says to a question of yes or no. Read by rules, never by a model: a yes here cannot be undone.

Only plain words count. A yes with a condition, a shrug ("ok", "acho que sim") or a thumb is unclear, and the question is
asked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prosa.agents.tools import CONFIRM, REFUSE
from prosa.conversations.handoff import fold

Says = Literal["yes", "no", "unclear", "other"]

_YES = frozenset(
    [
        "sim",
        "s",
        "ss",
        "confirmo",
        "confirmado",
        "confirmar",
        "confirme",
        "confirma",
        "isso",
        "exato",
        "exatamente",
        "positivo",
        "autorizo",
        "autorizado",
        "aceito",
        "pode",
        "si",
        "confirmado",
        "correcto",
        "exacto",
        "acepto",
        "autorizo",
        "procede",
        "yes",
        "y",
        "yeah",
        "yep",
        "yup",
        "confirm",
        "confirmed",
        "correct",
        "absolutely",
        "definitely",
    ]
)
_YES_PHRASES = (
    "com certeza", "de acordo", "pode sim", "quero sim", "isso mesmo", "pode fazer", "esta confirmado",
    "por supuesto", "de acuerdo", "si quiero", "claro que si", "claro que sim", "desde luego",
    "go ahead", "do it", "please do", "of course", "that is right", "thats right",
)  # fmt: skip
_NO = frozenset(["nao", "n", "nop", "nope", "no", "negativo", "nunca", "jamais", "recuso", "desisto", "never"])
_NO_PHRASES = (
    "nao quero", "nao confirmo", "nao precisa", "nao pode", "nao faca isso", "melhor nao", "deixa pra la", "deixe pra la", "deixa para la",
    "deixa quieto", "mudei de ideia", "de jeito nenhum", "no quiero", "no confirmo", "mejor no", "dejalo asi", "cambie de idea", "de ninguna manera",
    "no way", "do not", "dont", "don t", "never mind", "nevermind", "not now", "changed my mind", "i changed my mind", "rather not",
)  # fmt: skip
_FILLER = frozenset(
    [
        "por",
        "favor",
        "pf",
        "pfv",
        "pfvr",
        "obrigado",
        "obrigada",
        "obg",
        "valeu",
        "eu",
        "que",
        "ja",
        "gracias",
        "porfa",
        "porfavor",
        "yo",
        "lo",
        "please",
        "pls",
        "thanks",
        "thank",
        "you",
        "i",
        "it",
        "the",
        "do",
        "da",
        "de",
        "e",
        "a",
        "o",
        "la",
        "el",
        "moco",
        "moca",
    ]
)
_SHRUGS = frozenset(
    [
        "ok",
        "okay",
        "okey",
        "blz",
        "beleza",
        "certo",
        "ta",
        "tah",
        "claro",
        "vale",
        "dale",
        "bueno",
        "sure",
        "fine",
        "perfeito",
        "quero",
        "quiero",
        "want",
    ]
)
_HEDGES = frozenset({"acho", "talvez", "creo", "quizas", "quiza", "maybe", "perhaps", "think", "guess"})
_CONDITIONS = frozenset(
    [
        "mas",
        "pero",
        "but",
        "se",
        "if",
        "so",
        "somente",
        "apenas",
        "solo",
        "only",
        "quando",
        "cuando",
        "when",
        "depois",
        "despues",
        "after",
        "antes",
        "before",
        "sem",
        "sin",
        "without",
        "menos",
        "except",
    ]
)
_EMOJI_YES = re.compile("[\U0001f44d\U0001f44c\u2705\u2714]")
_WORD = re.compile(r"[^\W_]+")
_STEM = 4
_LONG = 12  # words after which a message that begins with yes is about something else


@dataclass(frozen=True, slots=True)
class Said:
    """One message. ``button``: the id of what was tapped. ``spoken``: in the customer's own words, not a file's."""

    id: int
    text: str
    button: str = ""
    spoken: bool = True


def read(text: str, question: str = "") -> Says:
    """What one message's words say. Words of our own ``question`` may stand beside a yes ("sim, pode cancelar o pedido")."""
    plain = " ".join(_WORD.findall(fold(text)))
    if not plain:
        return "unclear" if _EMOJI_YES.search(text) else "other"
    if plain in {"1", "2"}:  # where options are numbered lines
        return "yes" if plain == "1" else "no"
    rest, yes = _without(plain, _YES_PHRASES)
    rest, no = _without(rest, _NO_PHRASES)
    words = rest.split()
    yes, no = yes or any(word in _YES for word in words), no or any(word in _NO for word in words)
    ours = {word[:_STEM] for word in _WORD.findall(fold(question)) if len(word) >= _STEM or word.isdigit()}
    repeated = [word for word in words if word[:_STEM] in ours and word not in _CONDITIONS]
    known = _YES | _NO | _FILLER | _SHRUGS | _HEDGES | set(repeated)
    if all(word in known for word in words):
        if (yes and no) or any(word in _HEDGES for word in words):
            return "unclear"
        if yes:
            return "unclear" if "?" in text else "yes"
        if no:
            return "no"
        return "unclear" if repeated or any(word in _SHRUGS for word in words) else "other"
    # "sim, mas só se…": near enough to a yes that nobody should guess.
    first = plain.split()[0]
    leans = first in _YES or first in _SHRUGS or any(plain.startswith(phrase) for phrase in _YES_PHRASES)
    return "unclear" if leans and len(plain.split()) <= _LONG else "other"


def _without(plain: str, phrases: Iterable[str]) -> tuple[str, bool]:
    """The text without these phrases, and whether it had one."""
    padded, found = f" {plain} ", False
    for phrase in sorted(phrases, key=len, reverse=True):
        if f" {phrase} " in padded:
            padded, found = padded.replace(f" {phrase} ", " "), True
    return padded.strip(), found


def decide(key: str, messages: Iterable[Said], *, question: str = "", asked_last: bool) -> Says:
    """What all messages since the question say together to the action named ``key``. ``other`` = nothing about it.

    A button of this action speaks for itself. Words count only when our question was the last thing said, a yes only when
    every message says so; without that, what might be a yes is unclear.
    """
    heard: set[Says] = set()
    tapped: set[Says] = set()
    for message in messages:
        if message.button.startswith((CONFIRM, REFUSE)):
            # A button of another action says nothing about this one, whatever its title reads.
            if message.button == f"{CONFIRM}{key}":
                tapped.add("yes")
            elif message.button == f"{REFUSE}{key}":
                tapped.add("no")
        elif message.spoken:
            heard.add(read(message.text, question))
        else:
            heard.add("other")
    if tapped:
        if len(tapped) > 1 or (tapped == {"yes"} and heard & {"no", "unclear"}):
            return "unclear"
        return tapped.pop()
    if not asked_last:
        return "unclear" if heard == {"yes"} else "other"
    if heard == {"yes"}:
        return "yes"
    if "no" in heard and not heard & {"yes", "unclear"}:
        return "no"
    return "unclear" if heard & {"yes", "unclear"} else "other"
