"""Real time: one event stream per tab tells which conversations changed, as rows ready to be put into the list.

In each process one board hears of changes, looks them all up at once a few times a second, draws every row once per
language, and hands it to the tabs of that business. A tab that cannot keep up, or was away, is told to look again.

Events: ``row`` (JSON ``{"id", "state", "assignee", "team", "snoozed", "at", "state_at", "epoch", "last", "typing": [member…],
"html"}``), ``refresh`` (something may have been missed) and, every 15 s, a comment that keeps proxies awake.
"""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.template.loader import render_to_string
from django.utils import timezone, translation

from prosa import realtime, sql
from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.business.users import active
from prosa.desk import assignment, queues

log = logging.getLogger(__name__)
queries = sql.load(__file__, "stream.sql")

TICK_S = 0.06
"""How long changes are gathered, after some were told, before the next are looked up together. The first is told at once."""
KEEP_ALIVE_S = 15.0
SEEN_S = 30.0
"""How often open desks are written down as a sign of their people's presence, and those of who left are closed."""
PAUSE_S = 2.0
"""After an error, before the board tries again."""
MOST_WAITING = 64
"""Events a slow tab may have outstanding before it is told to start over."""
MOST_AT_ONCE = 400

IN_DATABASE = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")
"""Session engines whose sessions can be looked for."""
REFRESH = "event: refresh\ndata: {}\n\n"

_boards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Board] = weakref.WeakKeyDictionary()


class Tab:
    """One open desk. ``session`` is the key of the session it was opened in."""

    def __init__(self, business_id: int, member_id: int, language: str, session: str = "") -> None:
        self.business_id, self.member_id, self.language, self.session = business_id, member_id, language, session
        self._events: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)
        self._behind = self._over = False

    def tell(self, event: str) -> None:
        """Hand over one event, or note that the tab must look again."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._behind = True

    def end(self) -> None:
        """Its person may no longer look."""
        self._over = True
        if not self._events.full():
            self._events.put_nowait(None)

    async def next(self) -> str | None:
        """The next event, None at the end. When some were missed, ``refresh`` instead of what is left."""
        event = await self._events.get()
        if self._over:
            return None
        if self._behind:
            self._behind = False
            while not self._events.empty():
                self._events.get_nowait()
            return REFRESH
        return event


class Board:
    """What the tabs of this event loop are shown. It works as long as there are any, whatever goes wrong meanwhile."""

    def __init__(self) -> None:
        self._tabs: dict[int, set[Tab]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._told_at = 0.0

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
        # A thread and a database connection for all tabs; those of the requests that opened them are closed by then.
        with_database = ThreadPoolExecutor(1, thread_name_prefix="prosa desk")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._always(self._tell_changes, with_database))
                group.create_task(self._always(self._look_who_is_here, with_database))
        finally:
            with_database.submit(_hang_up)
            with_database.shutdown(wait=False)

    async def _always(self, work: Callable[[ThreadPoolExecutor], Awaitable[None]], thread: ThreadPoolExecutor) -> None:
        while True:
            try:
                await work(thread)
            except Exception:
                log.exception("The board of the desk stumbled; it goes on.")
                await asyncio.sleep(PAUSE_S)

    async def _tell_changes(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        async with realtime.follow("conversation") as news:
            if self._told_at:
                self._all(REFRESH)  # back after an error
            while True:
                self._told_at = loop.time()
                numbers = await self._gathered(news)
                if numbers is None or len(numbers) > MOST_AT_ONCE:
                    self._all(REFRESH)
                    continue
                wanted = {(tab.business_id, tab.language) for tab in self._every()}
                if not wanted:
                    continue
                drawn = await loop.run_in_executor(thread, _drawn, numbers, wanted)
                for (business_id, language), events in drawn.items():
                    for tab in self._tabs.get(business_id, ()):
                        if tab.language == language:
                            tab.tell(events)

    async def _gathered(self, news: realtime.Following) -> set[int] | None:
        """The conversations that changed, those of a while together when there are many; None when nobody knows which."""
        numbers = await news.numbers()
        pause = self._told_at + TICK_S - asyncio.get_running_loop().time()
        if numbers is None or pause <= 0:
            return numbers
        await asyncio.sleep(pause)
        if not news.waiting:
            return numbers
        more = await news.numbers()
        return None if more is None else numbers | more

    async def _look_who_is_here(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SEEN_S)
            tabs = self._every()
            here = await loop.run_in_executor(thread, _present, tabs)
            for tab in tabs:
                if tab not in here:
                    tab.end()

    def _every(self) -> list[Tab]:
        return [tab for tabs in self._tabs.values() for tab in tabs]

    def _all(self, event: str) -> None:
        for tab in self._every():
            tab.tell(event)


def board() -> Board:
    """The board of this event loop."""
    loop = asyncio.get_running_loop()
    found = _boards.get(loop)
    if found is None:
        found = _boards[loop] = Board()
    return found


def _hang_up() -> None:
    connection.close()  # that of the thread it is called in


def _drawn(numbers: Iterable[int], wanted: set[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """The rows of these conversations as events, by business and language."""
    try:
        with connection.cursor() as hand:
            hand.execute(
                queries.changed.decode(),
                {"ids": list(numbers), "businesses": list({business for business, _ in wanted})},
            )
            found = hand.fetchall()
        by_business: dict[int, dict[int, tuple[int, list[Any]]]] = defaultdict(dict)
        for business_id, conversation_id, last, typing in found:
            by_business[business_id][conversation_id] = (last, typing or [])
        drawn: dict[tuple[int, str], str] = {}
        for business_id, changed in by_business.items():
            rows = queues.rows_of(Business(pk=business_id), list(changed))
            for language in {language for business, language in wanted if business == business_id}:
                with translation.override(language):
                    drawn[business_id, language] = "".join(_event(row, *changed[row.id]) for row in rows)
    except Exception:
        connection.close()  # it may be the connection that is broken, and nobody else closes it
        raise
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


async def events(member: Membership, language: str, session: str = "") -> AsyncIterator[str]:
    """The stream of one tab, until it goes away or its person may no longer look."""
    tab = Tab(member.business_id, member.pk, language, session)
    here = board()
    here.open(tab)
    try:
        yield "retry: 2000\n\n" + REFRESH
        while True:
            try:
                event = await asyncio.wait_for(tab.next(), KEEP_ALIVE_S)
            except TimeoutError:
                event = ": still here\n\n"
            if event is None:
                return
            yield event
    finally:
        here.close(tab)


def seen(members: Iterable[int]) -> set[int]:
    """Write down that these people are at the desk; those of them who still may be."""
    here = Membership.objects.filter(pk__in=set(members), left_at=None).filter(active("user__"))
    found = list(here.values_list("pk", "business_id", "seen_at"))
    now = timezone.now()
    Membership.objects.filter(pk__in=[pk for pk, _business, _at in found]).update(seen_at=now)
    assignment.welcome({business for _pk, business, at in found if at is None or at < now - assignment.AWAY})
    return {pk for pk, _business, _at in found}


def _present(tabs: list[Tab]) -> set[Tab]:
    """Those whose people still work here and have not signed out."""
    try:
        members = seen(tab.member_id for tab in tabs)
        keys = {tab.session for tab in tabs if tab.session}
        if settings.SESSION_ENGINE in IN_DATABASE:
            keys = set(
                Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list(
                    "pk", flat=True
                )
            )
    except Exception:
        connection.close()
        raise
    return {tab for tab in tabs if tab.member_id in members and (not tab.session or tab.session in keys)}
