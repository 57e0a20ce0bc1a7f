"""Real time: one event stream per tab tells which conversations changed, as rows ready to be put into the list.

In each process one board hears of changes, looks them all up at once a few times a second, draws every row once per
language, and hands it to the tabs of that business. A tab that cannot keep up, or was away, is told to look again.

Events: ``row`` (JSON ``{"id", "state", "assignee", "team", "snoozed", "at", "state_at", "epoch", "last", "typing": [[member, name]…],
"html"}``), ``refresh`` (something may have been missed) and, every 15 s, a comment that keeps proxies awake.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.template.loader import render_to_string
from django.utils import timezone, translation

from prosa import realtime, sql
from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.desk import queues

queries = sql.load(__file__, "stream.sql")

TICK_S = 0.12
"""How long changes are gathered before they are looked up together."""
KEEP_ALIVE_S = 15.0
SEEN_S = 30.0
"""How often an open desk is written down as a sign of its person's presence."""
MOST_WAITING = 64
"""Events a slow tab may have outstanding before it is told to start over."""
MOST_AT_ONCE = 400

_boards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Board] = weakref.WeakKeyDictionary()


class Tab:
    """One open desk."""

    def __init__(self, business_id: int, language: str) -> None:
        self.business_id, self.language = business_id, language
        self._events: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._behind = False

    def tell(self, event: str) -> None:
        """Hand over one event, or note that the tab must look again."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._behind = True

    async def next(self) -> str:
        """The next event. When some were missed, ``refresh`` instead of what is left."""
        event = await self._events.get()
        if self._behind:
            self._behind = False
            while not self._events.empty():
                self._events.get_nowait()
            return REFRESH
        return event


REFRESH = "event: refresh\ndata: {}\n\n"


class Board:
    """What the tabs of this event loop are shown."""

    def __init__(self) -> None:
        self._tabs: dict[int, set[Tab]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def open(self, tab: Tab) -> None:
        """A tab joins; the first one starts the work."""
        self._tabs[tab.business_id].add(tab)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def close(self, tab: Tab) -> None:
        """A tab is gone; the last one ends the work."""
        tabs = self._tabs[tab.business_id]
        tabs.discard(tab)
        if not tabs:
            del self._tabs[tab.business_id]
        if not self._tabs and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        async with realtime.follow("conversation") as news:
            while True:
                numbers = await news.numbers()
                if numbers is None:
                    self._all(REFRESH)
                    continue
                await asyncio.sleep(TICK_S)
                if news.waiting:
                    more = await news.numbers()
                    if more is None:
                        self._all(REFRESH)
                        continue
                    numbers |= more
                wanted = {(business_id, tab.language) for business_id, tabs in self._tabs.items() for tab in tabs}
                if not wanted:
                    continue
                if len(numbers) > MOST_AT_ONCE:
                    self._all(REFRESH)
                    continue
                for (business_id, language), events in (await _drawn(numbers, wanted)).items():
                    for tab in self._tabs.get(business_id, ()):
                        if tab.language == language:
                            tab.tell(events)

    def _all(self, event: str) -> None:
        for tabs in self._tabs.values():
            for tab in tabs:
                tab.tell(event)


def board() -> Board:
    """The board of this event loop."""
    loop = asyncio.get_running_loop()
    found = _boards.get(loop)
    if found is None:
        found = _boards[loop] = Board()
    return found


@sync_to_async
def _drawn(numbers: Iterable[int], wanted: set[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """The rows of these conversations as events, by business and language."""
    with connection.cursor() as hand:
        hand.execute(
            queries.changed.decode(), {"ids": list(numbers), "businesses": list({business for business, _ in wanted})}
        )
        found = hand.fetchall()
    by_business: dict[int, dict[int, tuple[int, list[Any]]]] = defaultdict(dict)
    for business_id, conversation_id, last, typing in found:
        by_business[business_id][conversation_id] = (last, typing or [])
    drawn: dict[tuple[int, str], str] = {}
    for business_id, changed in by_business.items():
        rows = queues.rows_of(Business.objects.get(pk=business_id), list(changed))
        for language in {language for business, language in wanted if business == business_id}:
            with translation.override(language):
                drawn[business_id, language] = "".join(_event(row, *changed[row.id]) for row in rows)
    return drawn


def _event(row: queues.Row, last: int, typing: list[Any]) -> str:
    data = {
        "id": row.id,
        "state": row.state,
        "assignee": row.assignee_id,
        "team": row.team_id,
        "snoozed": row.snoozed,
        "at": row.at.isoformat(),
        "state_at": row.state_at.isoformat(),
        "epoch": row.epoch,
        "last": last,
        "typing": typing,
        "html": render_to_string("desk/row.html", {"row": row}),
    }
    return f"event: row\ndata: {json.dumps(data)}\n\n"


async def events(member: Membership, language: str) -> AsyncIterator[str]:
    """The stream of one tab, until it goes away or its person may no longer look."""
    tab = Tab(member.business_id, language)
    here = board()
    here.open(tab)
    seen = 0.0
    loop = asyncio.get_running_loop()
    try:
        yield "retry: 2000\n\n" + REFRESH
        while True:
            if loop.time() - seen > SEEN_S:
                seen = loop.time()
                if not await _present(member.pk):
                    return
            try:
                yield await asyncio.wait_for(tab.next(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        here.close(tab)


@sync_to_async
def _present(member_id: int) -> bool:
    return bool(Membership.objects.filter(pk=member_id, left_at=None).update(seen_at=timezone.now()))
