"""Documents are tests: what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_life_of_a_message_names_real_files():
    page = (ROOT / "docs/life-of-a-message.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.(?:py|sql))`", page))
    assert len(named) > 15
    missing = [name for name in sorted(named) if not (ROOT / "src/prosa" / name).is_file()]
    assert missing == []


def test_the_life_of_a_message_names_real_queries():
    page = (ROOT / "docs/life-of-a-message.md").read_text("utf-8")
    queries = (ROOT / "src/prosa/conversations/inbound.sql").read_text("utf-8")
    for name in ("receive", "introduce", "converse", "receipts"):
        assert f"`{name}`" in page
        assert f"-- name: {name}\n" in queries


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    text = page.read_text("utf-8")
    broken = [
        target
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if not target.startswith(("http://", "https://", "mailto:")) and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_gives_commands_that_exist():
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = set(re.findall(r"\bmake ([a-z]+)", readme))
    assert {"run", "test"} <= commands
    assert [name for name in sorted(commands) if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
