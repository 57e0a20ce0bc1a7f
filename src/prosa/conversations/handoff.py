"""When a customer asks for a person in so many words, in Portuguese, Spanish or English, or in a mixture of them.

Sentences are read as people write them on a phone: without accents, without commas. Whether one asks is told by how it is
built, never by a word alone within it: "o atendente de ontem foi ótimo" praises one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from prosa.business import handoff
from prosa.business.handoff import ANYBODY, DESK, ROLE, SEEDS

LONGEST = 400
"""Longer messages are left to the model, which sees the rest of the story."""
BUTTON: Final = "prosa:person"
"""The id of the button that offers a person."""

_POLITE = (
    r"(?:por favor|porfa(?:vor)?|pfv?r?|please|pls|plz|obrigad[oa]|gracias|thanks|thank you|agora|ahora|now|ja|urgente|logo|aqui|here|there|mesmo|"
    r"pra mim|para mi|disponivel|disponible|available|online|entao|ai|ahi|right now|asap)"
)
_HELLO = (
    r"(?:oi+e?|ola|opa|hola|buenas|hi|hello|hey|bom dia|boa tarde|boa noite|buen dia|buenos dias|buenas tardes|buenas noches|ok|sim|si|yes|eu|yo|i|"
    r"cade|kd|onde (?:esta|ta)|donde esta|where is|where's|com|con|with|chama|chamar|llama|llamar|quero|quiero|want|need)"
)
_ART = r"(?:os?|as?|uns?|umas?|ums?|el|la|los|las|un|una|the|an?|alg[uú]m|alguma|algun|alguna|any|some|seus?|suas?|tus?|sus?|your|outr[oa]|otr[oa]|another|vossa|vosso)"
_ADJ = r"(?:live|real|actual|human|customer service|service|sales|verdadeir[oa]|verdader[oa])"
_BEFORE = rf"(?:{_ART} ){{0,2}}(?:{_ADJ} ){{0,2}}"
_OUTRA = r"(?!(?:outra|otra|another) )"

_DIRECT = r"(?: (?:diretamente|direto|directamente|directo|directly|logo|ja))?"
_WITH = r"(?:com|con|c/|c|para|pra|pro|p/|a|ao|aos|al)"
# Verbs by which one asks to talk to somebody.
_TALK = (
    rf"(?:(?:falar|conversar|dialogar|tratar|contat(?:ar|o)|contactar|me comunicar|comunicarme|comunicarse|hablar|platicar|charlar|chatear|contactarme|"
    rf"como (?:eu )?(?:falo|entro em contato|hablo|contacto|me comunico)){_DIRECT}(?: {_WITH})?|"
    rf"(?:talk|speak|chat|get in touch|get in contact){_DIRECT} (?:to|with)|(?:reach|contact)(?: out to)?(?= (?:an?|the|your|some|support|customer)))"
)
# Verbs by which one asks to be passed on.
_PASS = (
    rf"(?:(?:(?:me |nos )?(?:passa|passe|passar|passem|transfere|transfira|transferir|encaminha|encaminhe|encaminhar|direciona|direcione|direcionar|conecta|conecte|conectar|"
    rf"chama|chame|chamar|chamem|pasa|pasas|pase|pasar|pasan|comunica|comunicas|comunique|comunicar|transfiere|transfieres|transfiera|deriva|derivas|derive|"
    rf"derivar|conectas|llama|llame|llamar)(?: me)?|(?:pasa|pase|pasar|comunica|comunique|comunicar|transfiere|transfiera|transferir|deriva|derive|"
    rf"derivar|conecta|conecte|conectar|pon|ponga|poner|llama)(?:me|nos)|(?:ser |que me |me )?(?:transferid[oa]|encaminhad[oa]|derivad[oa])|"
    rf"me (?:liga|ligue|ligar|coloca|coloque|colocar|poe|manda|mande|pone|pones|ponga|poner)|que me atienda|que me atenda)(?: {_WITH})?|"
    rf"ser (?:atendid[oa]|ajudad[oa]|ayudad[oa]) por|(?:put|pass|transfer|connect|hand|switch|forward|escalate|direct)(?: me| us| this)?(?: over| through| on)? (?:to|with)|"
    rf"(?:get|give|send|find) me)"
)
# Words of wishing; before a role they ask for it.
_WANT = (
    r"(?:quero|queria|queremos|gostaria de|gostaria|preciso|precisava|necessito|desejo|prefiro|exijo|solicito|quiero|quisiera|necesito|ocupo|deseo|me gustaria|"
    r"want|wanna|need|would like|prefer|demand|require|can i (?:get|have)|could i (?:get|have)|may i have|let me (?:get|have)|give me|get me|call|chama|chame)"
    r"(?: (?:de|com|con|to have|to get|a))?(?: (?:ajuda|ayuda|apoio|apoyo|atendimento|atencion|help|auxilio) (?:de|from))?"
)
_HAVE = r"(?:tem|teria|ha|hay|is there|do you have|tienen|tienes)"
# What follows a word and makes something else of it.
_ELSE = (
    r"(?! (?:virtual|virtuais|virtuales|automatic[oa]s?|automatizad[oa]s?|digital|digitais|eletronic[oa]|electronic[oa]|artificial|bot|robo|robot|de ia|"
    r"resources|rights|body|hair|like|grade|fisica|juridica|imobiliari[oa]|inmobiliari[oa]|dental|de viage(?:m|ns)|de viajes?|fees?))"
)
_REALLY = r"(?: (?:de verdade|de carne e osso|de verdad|de carne y hueso|real|reais|reales|human[oa]s?|viv[oa]))?"
_END = rf"{_REALLY}(?=(?: {_POLITE})*$| (?:que me atend|para me atender|pra me atender|to (?:talk|speak)|nao (?:um|uma|robo)|no un|not an?)\b)"
_HELP = (
    r"(?:(?:atendimento|ajuda|suporte|atencion|ayuda|soporte|asistencia|assistencia|contato|contacto|apoio|agente|atendente|asistente|assistente) human[oa]s?|"
    r"human (?:agent|support|help|assistance|representative|operator)|live (?:agent|person|chat agent|human|operator|representative))"
)
# Who will not have a machine wants a person.
_MACHINE = re.compile(
    r"(?<!\w)(?:nao|no|don'?t|do not)(?: (?:quero|queria|aguento|gosto de|consigo|quiero|aguanto|quisiera|want|wanna|like))"
    rf"(?: (?:mais|mas|to|ser|be))*(?: (?:{_TALK}|atendid[oa] por|talking to))? (?:{_ART} )?(?:robos?|robots?|bots?|chatbots?|maquinas?|machines?|ia)(?=$| (?:quero|quiero|i|e|y|and|aqui|here|por favor|please)\b)"
)

_STOP = re.compile(r"[.!?;,:]+|(?<!\w)(?:mas|pero|but|sino|entao|porem|so)(?!\w)")
# A negation governs what directly follows it, over pronouns, adverbs and words of wishing and needing: of "não entendi quero
# falar com atendente" it governs only that nothing was understood.
_REFUSES = re.compile(
    r"(?<![\w'])(?<!por que )(?<!porque )(?<!pq )(?<!why )"
    r"(?:nao|n|no|not|don'?t|doesn'?t|never|nunca|jamais|jamas|nem|ni|sem|sin|without|em vez de|ao inves de|en vez de|en lugar de|instead of|rather than|evitar|avoid)"
    r"(?: (?:eu|yo|i|me|te|lhe|ja|ya|mais|que|realmente|really|necessariamente|necesariamente|necessarily|ter|tener|having|have|had|ser|be|being|to|de|a|"
    r"quero|queria|preciso|precisa|precisava|precisamos|gostaria|desejo|pretendo|vou|va|quiero|quisiera|necesito|necesita|deseo|voy|hace|falta|"
    r"want|wants|wanted|wanna|need|wish|like|would|going|adianta|vale|pena))*$"
)
# What is told of the past, or of before and after, is no wish.
_TOLD = re.compile(
    r"(?<!\w)(?<!nao )(?<!no )(?:consegui|conseguimos|pude|pudimos|logre|acabei de|acabo de|antes de|depois de|despues de|apos|ao|tras|luego de|"
    r"before|after|when|voltei a|gostei de|adorei|foi bom|fue bueno|managed to|used to|got to)(?: (?:eu|yo|i))?$"
)


def fold(text: str) -> str:
    """Lower case, without accents, single spaces."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return " ".join(plain.split())


@dataclass(frozen=True, slots=True)
class _Usual:
    """What of the usual ways to ask is left. ``alone`` and ``message``: a clause, or all of them, say nothing else; ``asks``
    wherever it stands, unless it is refused or told of the past; ``there`` is not refused: "não tem atendente?"."""

    alone: re.Pattern[str]
    message: re.Pattern[str]
    asks: re.Pattern[str]
    there: re.Pattern[str]
    names: re.Pattern[str]
    """Every word that is left: what holds none of them is read no further."""


@lru_cache(maxsize=256)
def _own(words: str) -> re.Pattern[str] | None:
    folded = sorted(filter(None, map(fold, words.splitlines())), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, folded))})(?!\w)") if folded else None


@lru_cache(maxsize=64)
def _usual(without: str) -> _Usual | None:
    off = handoff.off(without)
    left = [seed for seeds in SEEDS.values() for seed in seeds if seed.word not in off]
    if not left:
        return None
    human = () if {"humano", "human"} <= off else (_HELP,)
    roles = _either(*human, *(seed.forms for seed in left if seed.kind == ROLE))
    people = _either(*(seed.forms for seed in left if seed.kind == ANYBODY))
    desks = _either(*(seed.forms for seed in left if seed.kind == DESK))
    ways = (
        rf"{_TALK} {_BEFORE}(?:{roles}|{people}|{desks}){_ELSE}",
        rf"{_PASS} {_OUTRA}{_BEFORE}(?:{roles}|{people}|{desks}){_ELSE}",
        rf"{_WANT} {_BEFORE}{roles}{_ELSE}",
        rf"{_WANT} {_OUTRA}{_BEFORE}{people}{_END}",
        rf"que {_BEFORE}(?:{roles}|{people}) me (?:atend|ajud|respond|lig|chame)\w*",
        rf"have {_BEFORE}(?:{roles}|{people}) (?:call|contact|help|message|text)",
        rf"(?:can|could|may) {_BEFORE}{roles} (?:help|call|contact|assist|take)",
    )
    wrapped = rf"(?:{_HELLO} )*{_BEFORE}{{}}{_REALLY}(?: {_POLITE})*"
    return _Usual(
        re.compile(wrapped.replace("{}", roles)),
        re.compile(wrapped.replace("{}", _either(roles, people))),
        re.compile(rf"(?<![\w'])(?:{'|'.join(ways)})(?!\w)"),
        re.compile(rf"(?<![\w']){_HAVE} {_BEFORE}{roles}{_REALLY}(?: {_POLITE})*$"),
        re.compile(rf"(?<!\w)(?:{roles}|{people}|{desks}|robo|robot|bot|maquina|machine|ia)"),
    )


def _either(*forms: str) -> str:
    return f"(?:{'|'.join(forms)})" if forms else "(?!)"


def _clauses(folded: str) -> list[str]:
    return [clause for part in _STOP.split(folded) if (clause := " ".join(part.replace("-", " ").split()))]


def _refused(before: str) -> bool:
    return _REFUSES.search(before) is not None


def asks_for_person(text: str, own_words: str = "", without: str = "") -> bool:
    """Does a message ask for a person? "desumano" does not, nor does "não quero atendente".

    ``own_words``: the business's expressions, one a line; they count wherever they stand, unless refused. ``without``: the usual
    words it has switched off, as it keeps them (``business.handoff``). Of the usual ones, long messages are left to the model.
    """
    lines = [fold(line).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") for line in text.splitlines()]
    own = _own(own_words) if own_words else None
    if own is not None and any(
        not _refused((_clauses(line[: found.start()] + " \0") or [""])[-1].removesuffix("\0").rstrip())
        for line in lines
        for found in own.finditer(line)
    ):
        return True
    usual = _usual(without) if len(text) <= LONGEST else None
    if usual is None or not any(map(usual.names.search, lines)):
        return False
    clauses = [clause for line in lines for clause in _clauses(line)]
    return usual.message.fullmatch(" ".join(clauses)) is not None or any(_asks(usual, clause) for clause in clauses)


def _asks(usual: _Usual, clause: str) -> bool:
    if usual.alone.fullmatch(clause) or usual.there.search(clause) or _MACHINE.search(clause):
        return True
    befores = (clause[: found.start()].rstrip() for found in usual.asks.finditer(clause))
    return any(not _refused(before) and not _TOLD.search(before) for before in befores)
