"""What a model said, made fit to be sent, or refused."""

from __future__ import annotations

import re

from prosa.agents.guidelines import LABELS
from prosa.agents.memory import plain
from prosa.contracts import Json
from prosa.errors import PermanentError

MAX_ANSWER = 3_500
"""Characters of one answer: under the 4,096 of WhatsApp, with room for its marks."""

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_THOUGHT_END = re.compile(r"^.*</(?:think|thinking|thought|reasoning)>", re.IGNORECASE | re.DOTALL)
_THOUGHT_START = re.compile(r"<(?:think|thinking|thought|reasoning)>.*$", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(rf"^(?:(?:{'|'.join(map(re.escape, sorted(set(LABELS.values()))))})\s*)+")
_SAYS_SOMETHING = re.compile(r"[^\W_]|[\U0001f000-\U0001faff☀-➿]")


class Nonsense(PermanentError):
    """The model answered nothing a customer could read."""


def fit(text: str) -> tuple[str, Json]:
    """The text to send and what had to be done to it (``thought``: removed, ``cut_from``: characters it had).

    Thoughts leaked in ``<think>`` blocks, control characters and our own labels are removed; what is longer than
    ``MAX_ANSWER`` is cut at the last paragraph, sentence or word that fits.

    :raises Nonsense: nothing with a letter, a digit or an emoji is left.
    """
    notes: Json = {}
    said = _THOUGHT_START.sub("", _THOUGHT_END.sub("", _THOUGHT.sub("", text)))
    if said != text:
        notes["thought"] = "removed"
    said = _LABEL.sub("", plain(said).strip()).strip()
    if not _SAYS_SOMETHING.search(said):
        raise Nonsense("The model answered nothing readable.\nThe next model is asked.")
    if len(said) > MAX_ANSWER:
        notes["cut_from"] = len(said)
        said = _cut(said)
    return said, notes


def _cut(text: str) -> str:
    head = text[: MAX_ANSWER - 1]
    for mark, keep in (("\n\n", 0), ("\n", 0), (". ", 1), (" ", 0)):
        at = head.rfind(mark)
        if at > MAX_ANSWER // 2:
            return head[: at + keep].rstrip() + ("" if keep else " …" if mark == " " else "")
    return head + "…"
