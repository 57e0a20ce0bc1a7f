"""When a business has people at work: its week, its holidays, its time zone. Pure: the clock and the rows are given.

A week is ``{"mon": "09:00-12:00, 13:00-18:00", …}``; a day that is missing or empty is closed, and a week without any day
means always open. ``24:00`` ends a day; a span that ends before it begins goes past midnight.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_AHEAD = 31
"""Days within which the next opening is looked for."""

_SPAN = re.compile(r"\s*(\d{1,2})(?:[:h](\d{2})?)?\s*(?:-|–|às|a|to)\s*(\d{1,2})(?:[:h](\d{2})?)?\s*")
_DAY = 24 * 60

Span = tuple[int, int]
"""Minutes of the day from which and to which it is open; the second may lie beyond midnight."""


def spans(text: str) -> list[Span]:
    """``"09:00-12:00, 13h-18h"`` as minutes, in order.

    :raises ValueError: it is no such list, or its spans overlap; the message is for developers.
    """
    found: list[Span] = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;]", text))):
        match = _SPAN.fullmatch(part)
        if match is None:
            raise ValueError(f"not hours: {part!r}")
        begin_h, begin_m, end_h, end_m = (int(group or 0) for group in match.groups())
        begin, end = begin_h * 60 + begin_m, end_h * 60 + end_m
        if begin_m > 59 or end_m > 59 or begin >= _DAY or end > _DAY or begin == end:
            raise ValueError(f"not hours: {part!r}")
        found.append((begin, end if end > begin else end + _DAY))
    found.sort()
    if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(found)):
        raise ValueError(f"hours overlap: {text!r}")
    return found


@dataclass(frozen=True, slots=True)
class Hours:
    """The opening hours of one business. ``holidays`` has the spans of days that differ; an empty list is closed."""

    zone: ZoneInfo
    week: Mapping[str, list[Span]] = field(default_factory=dict)
    holidays: Mapping[date, list[Span]] = field(default_factory=dict)

    @property
    def always(self) -> bool:
        """Has nobody said when it is open?"""
        return not any(self.week.values())

    def open_at(self, at: datetime) -> bool:
        """Are people at work at ``at`` (aware)?"""
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = self._of(local.date()), self._of(local.date() - timedelta(days=1))
        return any(begin <= minute < end for begin, end in today) or any(minute < end - _DAY for _, end in yesterday)

    def next_opening(self, at: datetime) -> datetime | None:
        """When it opens next, in the business's own time; ``at`` itself when it is open. None: not within a month."""
        if self.open_at(at):
            return at.astimezone(self.zone)
        local = at.astimezone(self.zone)
        for ahead in range(LOOK_AHEAD + 1):
            day = local.date() + timedelta(days=ahead)
            for begin, _end in self._of(day):
                opening = datetime.combine(day, time(begin // 60, begin % 60), self.zone)
                if opening > local:
                    return opening
        return None

    def _of(self, day: date) -> list[Span]:
        if day in self.holidays:
            return list(self.holidays[day])
        if self.always:
            return [(0, _DAY)]
        return list(self.week.get(DAYS[day.weekday()], ()))


def read(week: Mapping[str, str] | None, holidays: Mapping[str, str] | None, zone: ZoneInfo) -> Hours:
    """Hours as they are stored; ``holidays`` by ISO date. What cannot be read counts as closed: the forms let none of it in."""
    return Hours(
        zone,
        {day: _readable(text) for day, text in (week or {}).items() if day in DAYS},
        {date.fromisoformat(day): _readable(text) for day, text in (holidays or {}).items()},
    )


def _readable(text: object) -> list[Span]:
    try:
        return spans(text if isinstance(text, str) else "")
    except ValueError:
        return []
