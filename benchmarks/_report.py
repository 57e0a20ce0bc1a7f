"""A benchmark's result: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

import _machine

console = Console(stderr=True, highlight=False)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least ``share`` of all do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


@dataclass
class Report:
    """``targets``: per key, ``(">=" or "<=", value)``."""

    name: str
    targets: Mapping[str, tuple[str, float]]
    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def show(self, *, as_json: bool) -> None:
        """Print it to standard output."""
        machine = _machine.describe()
        rounded = [{key: float(f"{value:.4g}") for key, value in part.items()} for part in (self.ratios, self.figures)]
        if as_json:
            sys.stdout.write(
                json.dumps({"name": self.name, "ratios": rounded[0], "figures": rounded[1], "machine": machine}) + "\n"
            )
            return
        table = Table(title=f"{self.name}  ({machine['cpu']}, load {machine['load_1m']})")
        table.add_column("key")
        for column in ("value", "target", ""):
            table.add_column(column, justify="right")
        for part in rounded:
            for key, value in part.items():
                sign, goal = self.targets.get(key, ("", 0.0))
                met = (
                    ""
                    if not sign
                    else "ok"
                    if (value >= goal if sign == ">=" else value <= goal)
                    else "[red]missed[/red]"
                )
                table.add_row(key, f"{value:g}", f"{sign} {goal:g}" if sign else "", met)
            table.add_section()
        Console(highlight=False).print(table)
