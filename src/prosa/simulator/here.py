"""The world of this process, shared by the doubles and the phone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from prosa.simulator.world import Line, World


@lru_cache(maxsize=1)
def world() -> World:
    """The one world whose numbers are the inboxes of this installation."""
    made = World()
    made.find_lines = _inboxes
    return made


async def _inboxes() -> Iterable[Line]:
    from prosa.simulator.inboxes import lines  # the doubles alone need no database

    return await lines()
