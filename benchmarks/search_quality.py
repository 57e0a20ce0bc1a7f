"""How well passages are found on the sets of ``search_sets``: real texts that nobody tuned on.

Goes through ``prosa.knowledge`` and PostgreSQL, one business for each set. nDCG@10 with one right document of each question:
as it is written, mistyped, without accents, within a customer's sentence and that sentence as chats spell it. Off-topic:
how often a question of the set scores above one of the shop's (``tests/knowledge``).

``--lists`` is where ``apt-get update`` put the descriptions. Without it the manuals of this machine alone are asked.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import zlib
from collections import defaultdict
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
    "loss_accents": ("<=", 0.0),
    "off_topic_auc": (">=", 0.97),
}
BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lists", type=Path, default=Path("/nowhere"))
    parser.add_argument("--questions", type=int, default=300, help="of each set")
    parser.add_argument("--tune", action="store_true", help="ask the half for steering, not the one held out")
    options = parser.parse_args()
    from prosa.cli import boot

    with fresh() as here:
        import os

        os.environ.clear()
        os.environ.update(here.environment)
        boot.django()
        report = Report("search_quality", TARGETS)
        kept: dict[str, list[float]] = defaultdict(list)
        for each in search_sets.build(options.lists):
            if each.items:
                business = _stored(each)
                asked = sorted(each.half(held=not options.tune), key=lambda item: zlib.crc32(item.question.encode()))
                asked = asked[: options.questions]
                _told(each.name, asyncio.run(_asked(here.dsn, business, asked)), kept)
        report.figures |= {name: mean(values) for name, values in kept.items()}
        report.show(as_json=options.json)


def _stored(given: search_sets.Set) -> int:
    from prosa.business.models import Business
    from prosa.knowledge import index

    business: int = Business.objects.create(slug=given.name, name=given.name).pk
    entries = [index.Entry(item.id, "", (index.Piece(item.text),), item.lang) for item in given.items]
    for at in range(0, len(entries), BATCH):
        index.store(business, entries[at : at + BATCH])
    return business


async def _asked(dsn: str, business: int, items: list[search_sets.Item]) -> dict[str, dict[str, list[float]]]:
    import labelled

    from prosa.knowledge import fusion
    from prosa.knowledge.analysis import fold
    from prosa.postgres import connections

    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    async def ask(pool: Any, variant: str, lang: str, text: str, right: str) -> None:
        documents = await fusion.documents(pool, business, text, 10)
        names = [name for name, _ in documents]
        found[variant][lang].append(labelled.ndcg(names, right))
        found[f"{variant} scores"][""].append(documents[0][1] if documents else 0.0)

    async with connections.pool(dsn, high=4) as pool:
        for item in items:
            sentence = search_sets.ASKED[item.lang].format(item.question)
            for variant, text in (
                ("plain", item.question),
                ("typing", search_sets.mistyped(item.question)),
                ("accents", fold(item.question)),
                ("sentence", sentence),
                ("chat", search_sets.chatted(sentence)),
            ):
                await ask(pool, variant, item.lang, text, item.id)
        _, questions, strange = labelled.read()
        for text in [*(text for text, _ in questions), *strange]:
            await ask(pool, "off", "", text, "")
    return found


def _told(name: str, found: dict[str, dict[str, list[float]]], kept: dict[str, list[float]]) -> None:
    import labelled

    quality = {
        variant: mean([one for some in by.values() for one in some])
        for variant, by in found.items()
        if not variant.endswith(" scores")
    }
    figures = {
        "ndcg": quality["plain"],
        "loss_typing": quality["plain"] - quality["typing"],
        "loss_accents": quality["plain"] - quality["accents"],
        "loss_chat": quality["sentence"] - quality["chat"],
        "off_topic_auc": labelled.auc(found["plain scores"][""], found["off scores"][""]),
    }
    for figure, value in figures.items():
        kept[figure].append(value)
    spoken = {lang: round(mean(some), 3) for lang, some in found["plain"].items()}
    console.print(f"{name}: { {figure: round(value, 4) for figure, value in figures.items()} } {spoken}")


if __name__ == "__main__":
    main()
