"""What the fake model says: deterministic, plausible, and never a fact that was not in its prompt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prosa.contracts import Json

SEARCH: Final = "search_knowledge"
_FENCED: Final = re.compile(r"<data>\n(.*?)\n</data>\n?", re.DOTALL)
_FEEDBACK: Final = "<pyai:"  # pydantic-ai's own remarks travel as the user's words


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the fake model calls instead of answering. ``arguments`` may be text, to be wrong on purpose."""

    name: str
    arguments: Json | str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asked, whatever the wire: ``turns`` are (role, text), oldest first; a role is ``user``,
    ``assistant`` or ``tool`` (what a tool returned)."""

    system: str
    turns: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, int], ...] = ()
    """(type, bytes) of every picture and document that came with it."""

    @property
    def question(self) -> str:
        """The last thing the user said, without lines of our own in brackets."""
        said = next((text for role, text in reversed(self.turns) if _asked(role, text)), "")
        said = _FENCED.sub("", said)
        return "\n".join(line for line in said.splitlines() if not re.fullmatch(r"\[.*\]", line)).strip()

    @property
    def results(self) -> list[str]:
        """What tools returned since the user's last words, oldest first."""
        since: list[str] = []
        for role, text in self.turns:
            if _asked(role, text):
                since.clear()
            elif role == "tool":
                since.append(text)
        return since

    @property
    def size(self) -> int:
        """Roughly its tokens."""
        return (len(self.system) + sum(len(text) for _, text in self.turns)) // 4 + 1


def _asked(role: str, text: str) -> bool:
    return role == "user" and _FEEDBACK not in text


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
    """Greet at first, repeat what was understood, name the type and size of each file that came with it, and say the lines
    of the prompt that share words with the question.

    After a tool: what it returned, word by word, with the source it stands under.
    """
    if prompt.system.startswith("Write the summary"):
        return _summary(prompt)
    if prompt.system.startswith("Rewrite a message"):
        return _rewritten(prompt)
    question = prompt.question
    greeting, understood, unknown = _SAY[language(question)]
    heard = " ".join(question.split())
    heard = f"{heard[:117]}…" if len(heard) > 118 else heard
    first = not any(role == "assistant" and text for role, text in prompt.turns)
    facts = _nearest(_returned(prompt.results, question), _matching(prompt.system, question))
    seen = "".join(f"({mime}, {size} bytes) " for mime, size in prompt.files)
    return (
        (greeting if first else "") + seen + (understood.format(heard) if heard else "") + (" ".join(facts) or unknown)
    )


_LASTING: Final = re.compile(
    r"\b(?:me chamo|prefiro|sou alergic|me llamo|soy alergic|my name is|i prefer|i am allergic)"
)
_TEAM: Final = re.compile(r"\b(?:pergunt|pregunt|ask)\w*\b.*\b(?:equipe|equipo|team)\b")
_SETTLED: Final = re.compile(r"\b(?:tudo resolvido|era so isso|todo resuelto|eso era todo|all settled|that was all)")


def calls(prompt: Prompt, tools: Sequence[str]) -> list[Call]:
    """The tools to call instead of answering: one about a person, when the question is for a person, or to be put to the team; memory, when the customer
    tells something lasting; the closing, when all is settled; the search, when something is asked that was not looked up
    yet; else none."""
    words = _fold(prompt.question)
    if {"pessoa", "atendente", "humano", "persona", "person", "human"} & set(words):
        return [Call(name, {"reason": prompt.question[:200]}) for name in tools if "person" in name][:1]
    said = " ".join(words)
    if not prompt.results:
        if "ask_a_person" in tools and _TEAM.search(said):
            return [Call("ask_a_person", {"question": prompt.question[:400]})]
        if "remember" in tools and _LASTING.search(said):
            return [Call("remember", {"fact": prompt.question[:200]})]
        if "resolve" in tools and _SETTLED.search(said):
            return [Call("resolve", {"summary": prompt.question[:200]})]
    asks = "?" in prompt.question or sum(len(word) > 3 for word in words) > 1
    if SEARCH in tools and asks and not prompt.results:
        return [Call(SEARCH, {"query": prompt.question[:400]})]
    reports = [] if prompt.results else [name for name in tools if name.startswith("report_")]
    return [Call(name, {}) for name in reports if {_ASKED.get(word[:4], word[:4]) for word in words} & _parts(name)][:1]


_ASKED: Final = {"cust": "cost", "gast": "cost", "pess": "hand", "temp": "resp", "tiem": "resp", "perg": "unan", "preg": "unan", "mens": "mess"}  # fmt: skip
"""What beginnings of words, in reports' names, those of Portuguese and Spanish questions mean."""


def _parts(name: str) -> set[str]:
    return {part[:4] for part in name.split("_")[1:]}


def _data(prompt: Prompt) -> str:
    return "\n".join(found for role, text in prompt.turns if role == "user" for found in _FENCED.findall(text))


def _summary(prompt: Prompt) -> str:
    """The first and the last thing the customer wrote, and how much there was; a summary so far stays in front."""
    lines = _data(prompt).splitlines()
    before = [line.removeprefix("summary so far: ") for line in lines if line.startswith("summary so far: ")]
    asked = [line.removeprefix("customer: ")[:120] for line in lines if line.startswith("customer: ")]
    told = [f"O cliente perguntou: “{asked[0]}”."] if asked and not before else []
    told += [f"Por último: “{asked[-1]}”."] if len(asked) > 1 or (asked and before) else []
    return " ".join(part[:500] for part in (*before, *told)) or "Nada foi perguntado."


def _rewritten(prompt: Prompt) -> str:
    """The text again: its first sentence where it shall be shorter, else with a greeting of the tone or language."""
    text = _data(prompt)
    if "shorter" in prompt.system:
        return re.split(r"(?<=[.!?])\s+", text)[0]
    for word, greeting in (
        ("friendly", "Oi! "),
        ("formal", "Prezado cliente, "),
        ("Spanish", "¡Hola! "),
        ("English", "Hello! "),
    ):
        if word in prompt.system:
            return greeting + text
    return f"Olá! {text}"


def language(text: str) -> str:
    """``pt``, ``es`` or ``en``, by common words; ``pt`` when nothing tells."""
    words = _fold(text)
    return max(_WORDS, key=lambda tag: (sum(word in _WORDS[tag] for word in words), tag == "pt"))


def _nearest(found: tuple[int, list[str]], told: tuple[int, list[str]]) -> list[str]:
    """What shares more words with the question; of equals, what a tool returned."""
    return told[1] if told[0] > found[0] else found[1]


def _asked_for(question: str) -> set[str]:
    """The beginnings of the question's words, so that most endings do not matter."""
    return {word[:5] for word in _fold(question) if len(word) > 3}


def _returned(results: Sequence[str], question: str) -> tuple[int, list[str]]:
    """The part of the results nearest to the question: its sentence as it stands, then the source it stands under."""
    asked = _asked_for(question)
    best: tuple[int, str, str] = (0, "", "")
    for result in results:
        source = ""
        for line in result.splitlines():
            if found := re.fullmatch(r"\[(.+)\]", line.strip()):
                source = found[1]
            for sentence in re.split(r"(?<=[.!?])\s+", line):
                shared = len(asked & _asked_for(sentence))
                if source and not found and shared > best[0]:
                    best = (shared, sentence.strip(), source)
    return best[0], [best[1], f"({best[2]})"] if best[0] else []


def _matching(system: str, question: str) -> tuple[int, list[str]]:
    """What the prompt says nearest to the question: the best line, and the second best."""
    asked = _asked_for(question)
    found = []
    for order, (about, said) in enumerate(_facts(system)):
        shared = len(asked & _asked_for(about))
        if shared:
            found.append((-shared, order, said))
    found.sort()
    return -found[0][0] if found else 0, [said for _, _, said in found[:2]]


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
        elif "Guidelines" in section and (rule := re.fullmatch(r"[-*] When (.+?), then (.+)", line)):
            facts.append((rule[1], rule[2]))
        elif "Guidelines" in section and line:
            facts.append((line, line.lstrip("-*• ")))
    return facts


def _fold(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.lower())
    return re.findall(r"[a-z0-9]+", "".join(mark for mark in plain if not unicodedata.combining(mark)))
