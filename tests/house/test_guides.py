"""What the guides tell people to type exists."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from django.core.management import load_command_class
from typer.main import get_command

from prosa.cli import app
from prosa.conf import Settings

ROOT = Path(__file__).parents[2]
GUIDES = sorted([ROOT / "README.md", *(ROOT / "docs" / "howto").glob("*.md")])
NOT_OURS = {"WHATSAPP_BUSINESS_ACCOUNT_ID"}  # asked for by one curl command


def known() -> set[str]:
    return {
        str(name) for field in Settings.model_fields.values() for name in getattr(field.validation_alias, "choices", ())
    }


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_variables_exist(guide: Path):
    named = re.findall(
        r"\b(?:PROSA|WHATSAPP|TWILIO|OPENAI|GEMINI|GOOGLE|ANTHROPIC|DATABASE|REDIS)_[A-Z_]*[A-Z]\b",
        guide.read_text("utf-8"),
    )
    assert set(named) - known() - NOT_OURS == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_commands_exist(guide: Path):
    text = guide.read_text("utf-8")
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    hosted = load_command_class("prosa", "prosa").create_parser("manage.py", "prosa")
    offered = set(next(iter(hosted._subparsers._group_actions)).choices)
    asked = set(re.findall(r"^(?:python )?manage\.py prosa ([a-z]+)|`manage\.py prosa ([a-z]+)", text, re.MULTILINE))
    assert {name for pair in asked for name in pair if name} <= offered
    assert set(re.findall(r"(?:^|`)prosa ([a-z]+)", text, re.MULTILINE)) <= commands


def test_the_guides_are_read():
    text = "".join(guide.read_text("utf-8") for guide in GUIDES)
    assert {"setup", "web", "worker", "doctor"} <= set(re.findall(r"(?:^|`)prosa ([a-z]+)", text, re.MULTILINE))
    assert len(GUIDES) == 13


def test_the_unit_runs_prosa():
    unit = re.search(r"```ini\n(.*?)```", (ROOT / "docs/howto/production.md").read_text("utf-8"), re.DOTALL)
    assert unit is not None
    read = configparser.ConfigParser(interpolation=None)
    read.read_string(unit[1])
    assert read["Service"]["ExecStart"].endswith("/bin/prosa %i")
    assert int(read["Service"]["TimeoutStopSec"]) > 30  # what draining may take


def test_the_environment_file_is_one_systemd_reads():
    page = (ROOT / "docs/howto/production.md").read_text("utf-8")
    lines = re.search(r"`/etc/prosa.env`.*?```sh\n(.*?)```", page, re.DOTALL)
    assert lines is not None
    # No comments behind values: systemd would take them for a part of the value.
    assert all(re.fullmatch(r"[A-Z_]+=[^\s#]+", line) for line in lines[1].splitlines())
