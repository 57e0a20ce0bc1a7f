"""The example of a plug-in is one: found by its entry point, and its own test passes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin_minimal"


def run(*command: str, path: Path | None = None) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(EXAMPLE / "src"), path and str(path))))}
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=EXAMPLE, capture_output=True, text=True, check=False, timeout=250
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_where_it_is_installed(tmp_path: Path):
    """As an installer leaves it: the metadata beside the package."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    folder = tmp_path / "prosa_orders-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "\n".join(f"{name} = {where}" for name, where in project["entry-points"]["prosa"].items())
    (folder / "entry_points.txt").write_text(f"[prosa]\n{points}\n")
    look = (
        "import django; django.setup()\n"
        "from prosa.conversations.acts import offers\n"
        "usable, problems = offers.offered()\n"
        "assert not problems, problems\n"
        "print(*(f'{offer.name} {offer.identity}' for offer in usable))"
    )
    assert "order_status number" in run("-c", look, path=tmp_path)


def test_its_own_test_passes():
    assert "5 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", "tests")


def test_the_guide_shows_what_the_contract_has():
    import dataclasses

    from prosa.contracts import Caller, ToolOffer
    from prosa.conversations.acts.offers import WHO

    guide = (EXAMPLE.parents[1] / "docs" / "howto" / "plugin-tools.md").read_text("utf-8")
    rows = [line.split("`")[1] for line in guide.splitlines() if line.startswith("| `")]
    assert set(rows) == {field.name for field in dataclasses.fields(ToolOffer)}
    assert {field.name for field in dataclasses.fields(Caller)} | WHO <= set(guide.replace(",", " ").split("`"))
