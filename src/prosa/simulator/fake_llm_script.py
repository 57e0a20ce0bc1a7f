"""What the fake model says: deterministic, plausible, and never a fact that was not in its prompt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asked, whatever the wire: ``turns`` are (role, text), roles ``user`` and ``assistant``, oldest first."""

    system: str
    turns: tuple[tuple[str, str], ...]

    @property
    def question(self) -> str:
        """The last thing the user said, without lines of our own in brackets."""
        said = next((text for role, text in reversed(self.turns) if role == "user"), "")
        return "\n".join(line for line in said.splitlines() if not re.fullmatch(r"\[.*\]", line)).strip()

    @property
    def size(self) -> int:
        """Roughly its tokens."""
        return (len(self.system) + sum(len(text) for _, text in self.turns)) // 4 + 1


_WORDS: Final[dict[str, frozenset[str]]] = {
    tag: frozenset(words.split())
    for tag, words in {
        "pt": "oi ola voce voces nao tem qual quais quanto quero queria meu minha obrigado obrigada bom boa dia tarde noite "
        "onde entrega preco horario aberto por favor uma um com para esta estao fica aceita cartao ate",
        "es": "hola usted ustedes no tiene tienen cual cuales cuanto cuesta quiero quisiera mi gracias buenos buenas dias "
        "tardes donde entrega precio horario abierto por favor una un con para esta estan queda aceptan tarjeta hasta el los las",
        "en": "hi hello you do does not have which what how much want would like my thanks thank good morning evening "
        "where delivery price hours open please a an with for is are the accept card until",
    }.items()
}
_SAY: Final[dict[str, tuple[str, str, str]]] = {
    "pt": ("Olá! ", "Entendi: “{}”. ", "Não tenho essa informação aqui. Posso chamar uma pessoa da equipe?"),
    "es": ("¡Hola! ", "Entendí: «{}». ", "No tengo esa información aquí. ¿Quiere que llame a una persona del equipo?"),
    "en": (
        "Hello! ",
        "I understood: “{}”. ",
        "I do not have that information here. Shall I bring in a person of the team?",
    ),
}


def reply(prompt: Prompt) -> str:
    """Greet at first, repeat what was understood, and say the lines of the prompt that share words with the question."""
    question = prompt.question
    greeting, understood, unknown = _SAY[language(question)]
    heard = " ".join(question.split())
    heard = f"{heard[:117]}…" if len(heard) > 118 else heard
    first = not any(role == "assistant" for role, _ in prompt.turns)
    facts = _matching(prompt.system, question)
    return (greeting if first else "") + (understood.format(heard) if heard else "") + (" ".join(facts) or unknown)


def call(prompt: Prompt, tools: Sequence[str]) -> str:
    """The tool to call instead of answering: one about a person, when the question is for a person; else none."""
    wanted = {"pessoa", "atendente", "humano", "persona", "person", "human"} & set(_fold(prompt.question))
    return next((name for name in tools if wanted and "person" in name), "")


def language(text: str) -> str:
    """``pt``, ``es`` or ``en``, by common words; ``pt`` when nothing tells."""
    words = _fold(text)
    return max(_WORDS, key=lambda tag: (sum(word in _WORDS[tag] for word in words), tag == "pt"))


def _matching(system: str, question: str) -> list[str]:
    asked = {word[:6] for word in _fold(question) if len(word) > 3}
    found = []
    for order, (about, said) in enumerate(_facts(system)):
        shared = len(asked & {word[:6] for word in _fold(about)})
        if shared:
            found.append((-shared, order, said))
    return [said for _, _, said in sorted(found)[:2]]


def _facts(system: str) -> Sequence[tuple[str, str]]:
    """Lines of the business in the prompt: (what it is about, what to say). Prosa's own rules are not among them."""
    facts: list[tuple[str, str]] = []
    section = question = ""
    for raw in system.splitlines():
        line = raw.strip()
        if line.startswith("# "):
            section = line
        elif "Answers" in section and line.startswith("Question: "):
            question = line.removeprefix("Question: ")
        elif "Answers" in section and line.startswith("Answer: "):
            facts.append((question, line.removeprefix("Answer: ")))
        elif "Guidelines" in section and line:
            facts.append((line, line.lstrip("-*• ")))
    return facts


def _fold(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.lower())
    return re.findall(r"[a-z0-9]+", "".join(mark for mark in plain if not unicodedata.combining(mark)))
