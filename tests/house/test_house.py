"""The rules of the house: layers, names, migrations, settings told in every place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

sys.path.insert(0, str(Path(__file__).parent))

import settings_pages

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "prosa"
LONGEST = 550  # about 400 is meant; where a file nears this, look for its second noun
FORBIDDEN = {"utils", "helpers", "services", "service", "tasks", "manager", "managers", "common", "misc"}


def test_imports_point_down():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_files_are_named_for_a_noun_or_verb():
    assert [path for path in SOURCE.rglob("*.py") if path.stem in FORBIDDEN or path.parent.name in FORBIDDEN] == []


def test_files_stay_short():
    long = {
        str(path.relative_to(SOURCE)): count
        for path in SOURCE.rglob("*.py")
        if "migrations" not in path.parts and (count := len(path.read_text("utf-8").splitlines())) > LONGEST
    }
    assert long == {}


@pytest.mark.django_db
def test_models_and_migrations_agree():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_settings_are_in_the_example_and_the_reference():
    assert settings_pages.ENV_EXAMPLE.read_text("utf-8") == settings_pages.env_example(), (
        "run: python tests/house/settings_pages.py"
    )
    assert settings_pages.REFERENCE.read_text("utf-8") == settings_pages.reference(), (
        "run: python tests/house/settings_pages.py"
    )


def test_every_setting_is_told_in_a_sentence():
    for name, field in settings_pages.Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_every_chore_is_known_to_the_worker():
    from prosa import queue

    holders = {
        "prosa." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
        if path.name != "queue.py"
        and any(
            line.startswith(("@chore", "@periodic", "@queue.chore", "@queue.periodic"))
            for line in path.read_text("utf-8").splitlines()
        )
    }
    assert holders == set(queue.CHORES)


def test_no_shell_leftovers_are_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    # Without git (an unpacked archive) everything counts that lies in our folders.
    names = listed.stdout.splitlines() or [
        str(path.relative_to(ROOT))
        for folder in ("src", "tests", "docs")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    ]
    assert "src/prosa/conf.py" in names
    bad = [name for name in names if name.endswith((".pyc", ".orig", ".rej", ".sqlite3", ".log")) or name == ".env"]
    assert bad == []
