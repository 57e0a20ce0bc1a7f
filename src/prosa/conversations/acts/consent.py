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


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_YES = _set(
    "sim s ss confirmo confirmado confirmar confirme confirma isso exato exatamente positivo autorizo autorizado "
    "aceito pode si correcto exacto acepto procede yes y yeah yep yup confirm confirmed correct absolutely "
    "definitely"
)
_YES_PHRASES = (
    "com certeza", "de acordo", "pode sim", "quero sim", "isso mesmo", "pode fazer", "esta confirmado",
    "por supuesto", "de acuerdo", "si quiero", "claro que si", "claro que sim", "desde luego",
    "go ahead", "do it", "please do", "of course", "that is right", "thats right",
)  # fmt: skip
_NO = _set("nao n nop nope no negativo nunca jamais recuso desisto never")
_NO_PHRASES = (
    "nao quero", "nao confirmo", "nao precisa", "nao pode", "nao faca isso", "melhor nao", "deixa pra la", "deixe pra la", "deixa para la",
    "deixa quieto", "mudei de ideia", "de jeito nenhum", "no quiero", "no confirmo", "mejor no", "dejalo asi", "cambie de idea", "de ninguna manera",
    "no way", "do not", "dont", "don t", "never mind", "nevermind", "not now", "changed my mind", "i changed my mind", "rather not",
)  # fmt: skip
_FILLER = _set(
    "por favor pf pfv pfvr obrigado obrigada obg valeu eu que ja gracias porfa porfavor yo lo please pls thanks "
    "thank you i it the do da de e a o la el moco moca"
)
_SHRUGS = _set("ok okay okey blz beleza certo ta tah claro vale dale bueno sure fine perfeito quero quiero want")
_HEDGES = _set("acho talvez creo quizas quiza maybe perhaps think guess")
_CONDITIONS = _set(
    "mas pero but se if so somente apenas solo only quando cuando when depois despues after antes before sem sin "
    "without menos except"
)
_HALTS = _set(
    "espera espere esperem pera perai aguarda aguarde calma pare errei errado errada engano enganei desfaz "
    "desfaca desisti esperate espereme detente equivocado equivocada equivoque error deshaz wait stop hold undo "
    "mistake oops wrong"
)
"""Behind a tap on yes they take it back, or nearly."""
_EXACT = _set(
    "dois duas tres quatro cinco seis sete oito nove onze doze treze catorze quatorze quinze dezesseis dezessete "
    "dezoito dezenove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cento duzentos trezentos "
    "quatrocentos quinhentos seiscentos setecentos oitocentos novecentos cuatro siete ocho nueve once doce trece "
    "dieciseis diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta ochenta three four five "
    "seven eight nine eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty "
    "forty fifty sixty seventy eighty ninety segunda terca quarta quinta sexta sabado domingo lunes martes "
    "miercoles jueves viernes monday tuesday wednesday thursday friday saturday sunday primeira primeiro segundo "
    "terceira terceiro"
)
"""Words that begin alike and mean something else: *dezesseis* is not *dezessete*, nor *quarta* *quarenta*."""
_NUMBER = re.compile(r"\d(?:[\d.,:/-]*\d)?")
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
    repeated = _repeated(words, text, question)
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


def _repeated(words: Iterable[str], text: str, question: str) -> list[str]:
    """Which words of ``text`` our question has, whatever their endings; numbers only when each is one of its own, whole."""
    asked = _WORD.findall(fold(question))
    stems = {word[:_STEM] for word in asked if len(word) >= _STEM and word not in _EXACT and not _NUMBER.search(word)}
    exact = {word for word in asked if word in _EXACT or (len(word) < _STEM and not _NUMBER.search(word))}
    if _numbers(text) <= _numbers(question):
        exact |= {word for word in asked if _NUMBER.search(word)}
    return [
        word
        for word in words
        if word not in _CONDITIONS and (word in exact or (word not in _EXACT and word[:_STEM] in stems))
    ]


def _numbers(text: str) -> set[str]:
    """The numbers of a text, without the marks within them."""
    return {re.sub(r"\D", "", found) for found in _NUMBER.findall(text)}


def _takes_back(text: str) -> bool:
    """Does it hold a word that stops somebody? Enough to ask again what was tapped a moment ago."""
    words = _WORD.findall(fold(text))
    return any(word in _NO or word in _HALTS or word.startswith("cancel") for word in words)


def _without(plain: str, phrases: Iterable[str]) -> tuple[str, bool]:
    """The text without these phrases, and whether it had one."""
    padded, found = f" {plain} ", False
    for phrase in sorted(phrases, key=len, reverse=True):
        if f" {phrase} " in padded:
            padded, found = padded.replace(f" {phrase} ", " "), True
    return padded.strip(), found


def decide(key: str, messages: Iterable[Said], *, question: str = "", asked_last: bool) -> Says:
    """What all messages since the question say together to the action named ``key``. ``other`` = nothing about it.

    A button of this action speaks for itself, unless words beside it may take it back. Words count only when our question was the last thing said, a yes only when
    every message says so; without that, what might be a yes is unclear.
    """
    heard: set[Says] = set()
    tapped: set[Says] = set()
    back = False
    for message in messages:
        if message.button.startswith((CONFIRM, REFUSE)):
            # A button of another action says nothing about this one, whatever its title reads.
            if message.button == f"{CONFIRM}{key}":
                tapped.add("yes")
            elif message.button == f"{REFUSE}{key}":
                tapped.add("no")
        elif message.spoken:
            heard.add(read(message.text, question))
            back = back or _takes_back(message.text)
        else:
            heard.add("other")
    if tapped:
        if len(tapped) > 1 or (tapped == {"yes"} and (back or heard & {"no", "unclear"})):
            return "unclear"
        return tapped.pop()
    if not asked_last:
        return "unclear" if heard == {"yes"} else "other"
    if heard == {"yes"}:
        return "yes"
    if "no" in heard and not heard & {"yes", "unclear"}:
        return "no"
    return "unclear" if heard & {"yes", "unclear"} else "other"
