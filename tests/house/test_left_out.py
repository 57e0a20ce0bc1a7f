"""Where CI=true, a test that does not run is a failure that names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

@pytest.mark.skipif(True, reason="Chromium is not installed")
def test_in_a_browser(): pass

@pytest.mark.xfail(reason="not written yet")
def test_of_tomorrow(): assert False

def test_that_runs(): pass
"""


@pytest.mark.parametrize(
    ("ci", "code", "spread"),
    [("true", 1, []), ("true", 1, ["-n", "1"]), ("", 0, [])],
    ids=["alone", "spread", "at home"],
)
def test_what_is_left_out_counts(tmp_path: Path, ci: str, code: int, spread: list[str]):
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", *spread, str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"CI": ci, "PYTHONPATH": str(Path(__file__).parents[1])}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    named = "test_cases.py::test_in_a_browser: Chromium is not installed" in done.stdout
    assert named is bool(code)
    assert ("test_cases.py::test_of_tomorrow: not written yet" in done.stdout) is bool(code)
