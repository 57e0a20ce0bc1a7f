"""How well passages are found on the sets of ``search_sets``: real texts that nobody tuned on.

Walks the way a customer of the command line does: ``prosa knowledge add --jsonl`` and ``prosa knowledge search --queries``, one
business for each set, PostgreSQL below. nDCG@10 with one right document of each question: as it is written, mistyped, without
accents, as a chat spells it, within a customer's sentence and that sentence as chats spell it. Off-topic: how often a question
of the set scores above one of the shop's (``tests/knowledge``).

``--lists`` is where ``apt-get update`` put the descriptions, ``--help-texts`` where the help was unpacked (``search_sets`` says
how). Without them the manuals of this machine alone are asked. ``--vectors`` adds MiniLM, which takes a quarter of a second for each passage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import search_sets
from _installation import fresh
from _report import Report, console

sys.path.append(str(Path(__file__).parents[1] / "tests" / "knowledge"))

TARGETS = {
    "ndcg": (">=", 0.74),
    "loss_typing": ("<=", 0.02),
    "loss_chat": ("<=", 0.01),
    "loss_chat_sentence": ("<=", 0.01),
    "loss_accents": ("<=", 0.0),
    "off_topic_auc": (">=", 0.97),
}
MODEL = "local:all-minilm-l6-v2"

Found = dict[str, list[tuple[str, float]]]
"""By question the documents and their scores, best first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lists", type=Path, default=Path("/nowhere"))
    parser.add_argument("--help-texts", type=Path, default=Path("/nowhere"))
    parser.add_argument("--sets", nargs="*", help="of these names only")
    parser.add_argument("--questions", type=int, default=300, help="of each set")
    parser.add_argument("--tune", action="store_true", help="ask the half for steering, not the one held out")
    parser.add_argument("--vectors", action="store_true", help="with MiniLM beside words")
    options = parser.parse_args()
    from prosa.cli import boot

    report = Report("search_quality", {**TARGETS, "ndcg": (">=", 0.75)} if options.vectors else TARGETS)
    kept: dict[str, list[float]] = defaultdict(list)
    with (
        fresh(**({"PROSA_EMBEDDING_MODEL": MODEL} if options.vectors else {})) as here,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ.clear()
        os.environ.update(here.environment)
        boot.django()
        for each in search_sets.build(options.lists, options.help_texts):
            if each.items and (not options.sets or each.name in options.sets):
                half = each.half(held=not options.tune)
                asked = sorted(half, key=lambda item: zlib.crc32(item.question.encode()))[: options.questions]
                _told(each.name, _walked(here, Path(folder), each, asked), asked, kept)
    report.figures |= {name: mean(values) for name, values in kept.items()}
    report.show(as_json=options.json)


def _variants() -> dict[str, Callable[[search_sets.Item], str]]:
    from prosa.knowledge.analysis import fold

    def sentence(item: search_sets.Item) -> str:
        return search_sets.ASKED[item.lang].format(item.question)

    return {
        "plain": lambda item: item.question,
        "typing": lambda item: search_sets.mistyped(item.question),
        "accents": lambda item: fold(item.question),
        "chat": lambda item: search_sets.chatted(item.question),
        "sentence": sentence,
        "sentence_in_chat": lambda item: search_sets.chatted(sentence(item)),
    }


def _walked(here: Any, folder: Path, given: search_sets.Set, asked: list[search_sets.Item]) -> Found:
    import labelled

    from prosa.business.models import Business

    Business.objects.create(slug=given.name, name=given.name)
    _, questions, strange = labelled.read()
    documents = [{"id": _name(item), "text": item.text, "lang": item.lang} for item in given.items]
    queries = [
        {"id": f"{variant}/{at}", "text": written(item)}
        for variant, written in _variants().items()
        for at, item in enumerate(asked)
    ]
    queries += [
        {"id": f"off/{at}", "text": text} for at, text in enumerate([*(text for text, _ in questions), *strange])
    ]
    for name, rows in (("documents", documents), ("queries", queries)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for arguments in (
        ("add", "--jsonl", str(folder / "documents")),
        ("search", "--queries", str(folder / "queries"), "--run", str(folder / "run")),
    ):
        if here.prosa("knowledge", *arguments, "--business", given.name).wait():
            raise SystemExit(f"prosa knowledge failed:\n{(here.folder / 'knowledge.log').read_text()}")
    found: Found = {row["id"]: [] for row in queries}
    for line in (folder / "run").read_text("utf-8").splitlines():
        query, document, _, score = line.rsplit(" ", 3)
        found[query].append((document, float(score)))
    return found


def _name(item: search_sets.Item) -> str:
    return item.id.replace(" ", "_")


def _told(name: str, found: Found, asked: list[search_sets.Item], kept: dict[str, list[float]]) -> None:
    import labelled

    gained: dict[str, list[float]] = {}
    best: dict[str, list[float]] = defaultdict(list)
    for query, documents in found.items():
        best[query.partition("/")[0]].append(documents[0][1] if documents else 0.0)
    for variant in _variants():
        gained[variant] = [
            labelled.ndcg([document for document, _ in found[f"{variant}/{at}"]], _name(item))
            for at, item in enumerate(asked)
        ]
    quality = {variant: mean(values) for variant, values in gained.items()}
    figures = {
        "ndcg": quality["plain"],
        "loss_typing": quality["plain"] - quality["typing"],
        "loss_accents": quality["plain"] - quality["accents"],
        "loss_chat": quality["plain"] - quality["chat"],
        "loss_chat_sentence": quality["sentence"] - quality["sentence_in_chat"],
        "off_topic_auc": labelled.auc(best["plain"], best["off"]),
    }
    for figure, value in figures.items():
        kept[figure].append(value)
    spoken = {
        lang: round(mean(gain for gain, item in zip(gained["plain"], asked, strict=True) if item.lang == lang), 3)
        for lang in search_sets.LANGUAGES
        if any(item.lang == lang for item in asked)
    }
    console.print(f"{name}: { {figure: round(value, 4) for figure, value in figures.items()} } {spoken}")


if __name__ == "__main__":
    main()
