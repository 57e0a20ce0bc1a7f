"""The words by which a customer asks for a person, as a business sees them and switches single ones off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ROLE, ANYBODY, DESK = "role", "anybody", "desk"
NONE = "*"
"""Instead of words that are switched off: all of them are, and only the business's own count."""


@dataclass(frozen=True, slots=True)
class Seed:
    """One word for people, in the forms customers write it: a regular expression of folded text (see ``conversations.handoff``).

    ``kind``: a ``role`` is asked for by its name alone ("atendente, por favor"), by wanting it and by wanting to talk to it;
    ``anybody`` alone and by wanting to talk to them ("falar com alguém"); a ``desk`` only by the last ("falar com o suporte").
    """

    word: str
    forms: str
    kind: str = ROLE


SEEDS: dict[str, tuple[Seed, ...]] = {
    "pt": (
        Seed("atendente", "atendentes?"),
        Seed("humano", "(?:ser(?:es)? )?humanos?|humana"),
        Seed("pessoa", "pessoa", ANYBODY),
        Seed("alguém", "alguem", ANYBODY),
        Seed("gente", "(?<! a )gente", ANYBODY),
        Seed("operador", "operador(?:a|es|as)?"),
        Seed("representante", "representantes?"),
        Seed("consultor", "consultor(?:a|es|as)?", DESK),
        Seed("vendedor", "vendedor(?:a|es|as)?", DESK),
        Seed("funcionário", "funcionari[oa]s?", DESK),
        Seed("gerente", "gerentes?", DESK),
        Seed("responsável", "responsavel|responsaveis", DESK),
        Seed("atendimento", "atendimento", DESK),
        Seed("suporte", "suporte", DESK),
        Seed("equipe", "equipe|time", DESK),
    ),
    "es": (
        Seed("agente", "agentes?"),
        Seed("asesor", "asesor(?:a|es|as)?"),
        Seed("persona", "persona", ANYBODY),
        Seed("alguien", "alguien", ANYBODY),
        Seed("ejecutivo", "ejecutiv[oa]s?", DESK),
        Seed("empleado", "emplead[oa]s?", DESK),
        Seed("encargado", "encargad[oa]s?", DESK),
        Seed("soporte", "soporte", DESK),
        Seed("equipo", "equipo", DESK),
        Seed("atención al cliente", "(?:atencion al|servicio al|servicio de atencion al) cliente", DESK),
    ),
    "en": (
        Seed("agent", "agents?"),
        Seed("human", "humans?(?: being)?"),
        Seed("representative", "representatives?|reps?"),
        Seed("operator", "operators?"),
        Seed("advisor", "advis[oe]rs?"),
        Seed("person", "person", ANYBODY),
        Seed("someone", "someone|somebody", ANYBODY),
        Seed("manager", "managers?|supervisors?", DESK),
        Seed("support", "(?:customer )?support|customer (?:service|care)", DESK),
        Seed("team", "team|staff", DESK),
    ),
}
"""By the language they are shown under; a word that two languages write alike stands under one and counts in both."""

WORDS = tuple(seed.word for seeds in SEEDS.values() for seed in seeds)


def off(written: str) -> frozenset[str]:
    """Which words are switched off, of what a business keeps: one a line, or ``NONE``."""
    lines = set(written.split("\n"))
    return frozenset(WORDS) if NONE in lines else frozenset(lines & set(WORDS))


def kept(words: Iterable[str]) -> str:
    """What a business keeps of the words it leaves on."""
    left = set(words)
    without = [word for word in WORDS if word not in left]
    return NONE if len(without) == len(WORDS) else "\n".join(without)
