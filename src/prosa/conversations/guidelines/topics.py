"""Topics on which a business lets only approved answers be said, word by word: what its lawyer, or its doctor, has read.

Pure. A business writes one topic a line, other wordings of it after semicolons::

    reembolso; devolução do dinheiro; estorno
    efeitos colaterais
"""

from __future__ import annotations

from collections.abc import Callable

from prosa.knowledge.analysis import question

Wording = frozenset[int]


def strict(lines: str) -> Callable[[str], str] | None:
    """What names the topic of a text, by its first wording, or gives ``""``; None when the business has no such topic.

    A text is about a topic when it holds every word of one of its wordings, whatever the ending, accents and case, and
    in chat spelling.
    """
    topics = [(named, wordings) for line in lines.splitlines() if (named := _name(line)) and (wordings := _read(line))]
    if not topics:
        return None

    def about(text: str) -> str:
        # The analysis looks at 32 words of a text; a long one is looked at in parts.
        words = text.split()
        held: set[int] = set()
        for start in range(0, len(words), 20):
            held.update(terms[0] for terms in question(0, " ".join(words[start : start + 20])))
        return next((named for named, wordings in topics if any(wording <= held for wording in wordings)), "")

    return about


def _name(line: str) -> str:
    return " ".join(line.partition(";")[0].split())


def _read(line: str) -> list[Wording]:
    read = (frozenset(terms[0] for terms in question(0, wording)) for wording in line.split(";"))
    return [wording for wording in read if wording]
