"""The labelled set of ``shop.txt``, and how badly people write the questions in it."""

from __future__ import annotations

import random
import re
from math import log2
from pathlib import Path

SPELLED = {
    "vocês": "vcs", "você": "vc", "quantos": "qtos", "quantas": "qtas", "quanto": "qto", "quando": "qdo", "também": "tb",
    "hoje": "hj", "para": "p", "com": "c", "que": "q", "não": "n", "porque": "pq", "pagamento": "pgto", "depois": "dps",
    "cuánto": "cto", "cuándo": "cdo", "quiero": "kiero", "cómo": "cmo", "puedo": "pdo", "dónde": "dnd",
    "you": "u", "are": "r", "with": "w", "please": "pls", "your": "ur", "when": "wen", "what": "wat", "how": "hw",
}  # fmt: skip


def read():
    """Passages ``[{id, title, text, lang}]``, questions ``[(text, id)]``, questions that nothing answers."""
    passages, questions, strange = [], [], []
    for line in Path(__file__).with_name("shop.txt").read_text("utf-8").splitlines():
        mark, rest = line[0], line[1:].strip()
        if mark == "@":
            lang, rest = rest.split(" ", 1)
            name, title = rest.split(" | ")
            passages.append({"id": name, "title": title, "text": "", "lang": lang})
        elif mark == "?":
            questions.append((rest, passages[-1]["id"]))
        elif mark == "!":
            strange.append(rest)
        elif mark != "#":
            passages[-1]["text"] = line
    return passages, questions, strange


def hard():
    """Questions ``[(text, id)]`` of ``hard.txt``: what the passages answer, in other words."""
    lines = Path(__file__).with_name("hard.txt").read_text("utf-8").splitlines()
    asked = (line[1:].strip().split(" ", 1) for line in lines if line.startswith("?"))
    return [(text, name) for name, text in asked]


def mistyped(text: str, seed: int = 0) -> str:
    """One slip of the finger in every third word of five letters or more, one at least: swapped, lost, doubled or wrong."""
    chance = random.Random(f"{seed}{text}")  # noqa: S311 -- the same slips each time
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) >= 5]
    for at in chance.sample(long, max(1, len(long) // 3) if long else 0):
        word, place = words[at], chance.randrange(1, len(words[at]) - 2)
        words[at] = chance.choice(
            [
                word[:place] + word[place + 1] + word[place] + word[place + 2 :],
                word[:place] + word[place + 1 :],
                word[:place] + word[place] + word[place:],
                word[:place] + chance.choice("abcdeiorstu") + word[place + 1 :],
            ]
        )
    return " ".join(words)


def spelled(text: str) -> str:
    """As in a chat."""
    return re.sub(r"\w+", lambda match: SPELLED.get(match[0].lower(), match[0]), text.lower())


def ndcg(found: list[str], right: str) -> float:
    """nDCG@10 with one right answer."""
    return 1 / log2(found.index(right) + 2) if right in found[:10] else 0.0


def auc(inside: list[float], outside: list[float]) -> float:
    """How often a question about the shop scores above one that is not."""
    wins = sum((a > b) + (a == b) / 2 for a in inside for b in outside)
    return wins / (len(inside) * len(outside))
