"""``prosa bench NAME``: the benchmarks of a source checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prosa.errors import ConfigurationError


def run(name: str, options: Sequence[str]) -> int:
    """Run ``benchmarks/NAME.py`` with the options. Returns its exit code.

    :raises ConfigurationError: this is no checkout, or it has no such benchmark.
    """
    folder = _folder()
    known = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if name not in known:
        raise ConfigurationError(f"There is no benchmark {name!r}.\nKnown ones: {', '.join(known) or 'none'}.")
    return subprocess.run([sys.executable, str(folder / f"{name}.py"), *options], check=False).returncode  # noqa: S603  a file of ours


def _folder() -> Path:
    for root in (Path.cwd(), Path(__file__).resolve().parents[3]):
        if (root / "benchmarks").is_dir() and (root / "pyproject.toml").is_file():
            return root / "benchmarks"
    raise ConfigurationError("Benchmarks are part of the source, not of the package.\nRun this in a checkout of Prosa.")
