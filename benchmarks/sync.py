"""What synchronising 1,000 Markdown pages costs the first time, again unchanged, and after one page in a hundred changed.

A folder of made-up pages is synchronised as a worker does it, then given vectors by an OpenAI-compatible embedder: a
double on this machine that answers at once and counts the texts it is asked for. ``unchanged_speedup`` is the first
run's time over the unchanged one's, vectors included; ``unchanged_embeddings`` and ``changed_embeddings`` are the shares
of all texts that were embedded once more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from _installation import Installation, fresh
from _report import Report, console

TARGETS = {
    "unchanged_speedup": (">=", 10.0),
    "unchanged_embeddings": ("<=", 0.01),
    "changed_embeddings": ("<=", 0.01),
}
SECTIONS = 4
DIMENSIONS = 64


class Embedder(BaseHTTPRequestHandler):
    """Gives each text a vector by its length, and counts texts."""

    protocol_version = "HTTP/1.1"
    texts = 0
    counting = threading.Lock()

    def do_POST(self) -> None:
        """``/v1/embeddings``."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        texts = [asked] if isinstance(asked, str) else asked
        with self.counting:
            Embedder.texts += len(texts)
        data = [
            {"object": "embedding", "index": place, "embedding": [1.0, len(text) % 97 / 97] + [0.0] * (DIMENSIONS - 2)}
            for place, text in enumerate(texts)
        ]
        body = json.dumps(
            {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=int, default=1000)
    options.add_argument("--json", action="store_true", help="for machines")
    given = options.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Embedder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    report = Report("sync", TARGETS)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    with fresh(PROSA_EMBEDDING_MODEL="openai:m", OPENAI_BASE_URL=url, OPENAI_API_KEY="k") as here:
        _measure(here, given.pages, report)
    server.shutdown()
    report.show(as_json=given.json)


def _measure(here: Installation, pages: int, report: Report) -> None:
    os.environ.update({key: value for key, value in here.environment.items() if key not in os.environ})
    os.environ.update({"DATABASE_URL": here.dsn, "PROSA_SECRET_KEY": "b" * 40})
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "prosa.server.settings")
    import django

    django.setup()
    from prosa.business.models import Business
    from prosa.knowledge.models import Source

    folder = here.folder / "pages"
    folder.mkdir()
    chance = random.Random(5)
    for number in range(pages):
        _write(folder, number, chance)
    source = Source.objects.create(
        business=Business.objects.get(), kind="folder", name="pages", config={"path": str(folder)}, allowed=str(folder)
    )
    first, texts = _run(source)
    again, more = _run(source)
    changed_pages = max(pages // 100, 1)
    for number in range(changed_pages):
        _write(folder, number, chance)
    changed, some = _run(source)
    report.ratios["unchanged_speedup"] = first / again
    report.ratios["unchanged_embeddings"] = more / texts
    report.ratios["changed_embeddings"] = some / texts
    report.figures["first_s"], report.figures["unchanged_s"], report.figures["changed_s"] = first, again, changed
    report.figures["embeddings"] = texts


def _run(source: object) -> tuple[float, int]:
    """Seconds of one synchronisation with its vectors, and the texts that were embedded."""
    from prosa.knowledge import filling, sync
    from prosa.knowledge.models import Source

    assert isinstance(source, Source)
    before, began = Embedder.texts, time.perf_counter()
    sync.request(source.pk)
    asyncio.run(_work(source.pk, source.business_id))
    took = time.perf_counter() - began
    source.refresh_from_db()
    console.print(
        f"{took:.2f} s: {source.added} added, {source.changed} changed, {source.unchanged} unchanged, "
        f"{Embedder.texts - before} texts embedded"
    )
    found = filling.progress(source.business_id)
    if source.status != Source.Status.DONE or source.failed or not found.complete:
        raise RuntimeError(f"It did not go through: {source.error or found}")
    return took, Embedder.texts - before


async def _work(source_id: int, business_id: int) -> None:
    from prosa.http import Client
    from prosa.knowledge import embedding, filling, sync

    async with Client() as client:
        await sync.run(source_id, client)
    await filling.catch_up(business_id)
    await embedding.close()


def _write(folder: Path, number: int, chance: random.Random) -> None:
    """A page of a few sections that no other page has."""
    syllables = ("ca", "mi", "se", "ta", "lo", "ja", "fre", "te", "pra", "zo", "en", "tre", "ga", "tro", "pre", "ço")
    sections = []
    for section in range(SECTIONS):
        words = ["".join(chance.choices(syllables, k=3)) for _ in range(60)]
        sections.append(f"## Parte {section}\n\n{' '.join(words)}.")
    (folder / f"p{number:05}.md").write_text(f"# Página {number}\n\n" + "\n\n".join(sections) + "\n", "utf-8")


if __name__ == "__main__":
    main()
