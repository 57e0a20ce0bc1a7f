"""What the machine is, and what processes cost on it. Linux only: everything is read from ``/proc``."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """Enough to tell two tables apart."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    return {
        "cpu": f"{os.cpu_count()} × {model}",
        "memory_gib": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 1),
    }


def tree(*roots: int) -> set[int]:
    """These processes and all their living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, queue = set(), list(roots)
    while queue:
        pid = queue.pop()
        if pid not in found:
            found.add(pid)
            queue += children[pid]
    return found


def cpu_s(*roots: int) -> float:
    """CPU seconds of these process trees so far, children that ended and were waited for included."""
    return sum(sum(int(part) for part in fields[11:15]) for pid in tree(*roots) if (fields := _stat(pid))) * TICK_S


def pss_mb(pids: Iterable[int]) -> float:
    """Memory in MB; a page shared by n processes counts 1/n in each."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def rss_mb(pid: int) -> float:
    """Resident memory of one process in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
