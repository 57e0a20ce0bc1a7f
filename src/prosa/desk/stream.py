"""Real time: one event stream per tab tells which conversations changed, as rows ready to be put into the list.

In each process one board hears of changes, looks them all up at once a few times a second, draws every row once per
language, and hands it to the tabs of that business. A tab that cannot keep up, or was away, is told to look again.

Events, with JSON:

- ``row``: a conversation changed. ``{"id", "state", "assignee", "team", "snoozed", "at", "state_at", "epoch", "last", "typing":
  [member…], "inbound": the customer's newest message, "read": {member: message}, "given", "escalated", "asked" (a
  question of the assistant's, of "asked_team"), "now": moments in milliseconds, "pane": a mark that changes with the pane about the customer, "html"}``
- ``read``: the tab's own person has read a conversation, here or elsewhere. ``{"id", "upto": message}``
- ``looking``: who else has the conversation of this tab before them. ``{"id", "names"}``
- ``types``: the customer of a conversation writes just now, for the next few seconds. ``{"id"}``
- ``refresh``: something may have been missed; ``ready`` instead of the first one when nothing was
- ``still``: every 15 s, so that the page and proxies know the connection lives
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import weakref
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DataError, InterfaceError, OperationalError, connection
from django.template.loader import render_to_string
from django.utils import timezone, translation

from prosa import realtime, sql
from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.business.users import active
from prosa.conversations.models import Conversation
from prosa.conversations.presence import TOPIC as TYPES
from prosa.desk import assignment, presence, queues

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
MOST_CHARACTERS = 1_000_000
"""As many of them may wait for it, however few the events."""
MOST_AT_ONCE = 400
SLACK_S = 5.0
"""How much before a page was drawn the last change must have been: clocks differ, and drawing takes a moment."""

IN_DATABASE = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")
"""Session engines whose sessions can be looked for."""
REFRESH = "event: refresh\ndata: {}\n\n"
READY = "event: ready\ndata: {}\n\n"
STILL = "event: still\ndata: {}\n\n"

_boards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Board] = weakref.WeakKeyDictionary()


class Tab:
    """One open desk. ``session`` is the key of the session it was opened in, ``key`` the name its page gave itself."""

    def __init__(self, business_id: int, member_id: int, language: str, session: str = "", key: str = "") -> None:
        self.business_id, self.member_id, self.language = business_id, member_id, language
        self.session, self.key = session, key
        self._events: deque[str] = deque()
        self._waiting = 0  # characters
        self._wake = asyncio.Event()
        self._over = False

    def tell(self, event: str) -> None:
        """Hand over one event. What nobody fetches in time is forgotten when it is too much: the tab must look again."""
        if len(self._events) >= MOST_WAITING or (self._events and self._waiting + len(event) > MOST_CHARACTERS):
            self._events.clear()
            self._waiting, event = 0, REFRESH
        self._events.append(event)
        self._waiting += len(event)
        self._wake.set()

    def end(self) -> None:
        """Its person may no longer look."""
        self._over = True
        self._wake.set()

    async def next(self) -> str | None:
        """The next event, None at the end."""
        while not self._events and not self._over:
            self._wake.clear()
            await self._wake.wait()
        if self._over:
            return None
        event = self._events.popleft()
        self._waiting -= len(event)
        return event


class Board:
    """What the tabs of this event loop are shown. It works as long as there are any, whatever goes wrong meanwhile."""

    def __init__(self) -> None:
        self._tabs: dict[int, set[Tab]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._told_at = 0.0
        self._heard_at: float | None = None  # of the clock, when something last changed or the hearing began

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
                group.create_task(self._always(self._tell_places, with_database))
                group.create_task(self._always(self._tell_typing, with_database))
                group.create_task(self._always(self._look_who_is_here, with_database))
        finally:
            self._heard_at = None
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
            self._heard_at = time.time()
            if self._told_at:
                self._all(REFRESH)  # back after an error
            while True:
                self._told_at = loop.time()
                numbers = await self._gathered(news)
                self._heard_at = time.time()
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

    async def _tell_places(self, thread: ThreadPoolExecutor) -> None:
        """Who read what, to their own tabs; who looks at what, to those who look at it too."""
        loop = asyncio.get_running_loop()
        async with realtime.follow("place") as news:
            while True:
                numbers = await news.numbers()
                if numbers is None or len(numbers) > MOST_AT_ONCE:
                    continue  # after a lost connection the tabs look again, and say where they are
                tabs = self._every()
                told = await loop.run_in_executor(thread, _placed, numbers, tabs)
                for tab, event in told:
                    tab.tell(event)
                await asyncio.sleep(TICK_S)

    async def _tell_typing(self, thread: ThreadPoolExecutor) -> None:
        """Which customers write just now, to all of their business; a page shows it where it has the conversation open."""
        loop = asyncio.get_running_loop()
        async with realtime.follow(TYPES) as news:
            while True:
                numbers = await news.numbers()
                if numbers is None or len(numbers) > MOST_AT_ONCE:
                    continue  # who goes on writing says so again
                businesses = set(self._tabs)
                for conversation_id, business_id in await loop.run_in_executor(thread, _whose, numbers, businesses):
                    for tab in self._tabs.get(business_id, ()):
                        tab.tell(f"event: types\ndata: {json.dumps({'id': conversation_id})}\n\n")
                await asyncio.sleep(TICK_S)

    def quiet_since(self, at: float) -> bool:
        """Is it certain that nothing changed since this moment (of the clock), so that a page drawn then is still true?"""
        return self._heard_at is not None and self._heard_at < at - SLACK_S

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


def _whose(numbers: Iterable[int], businesses: Iterable[int]) -> list[tuple[int, int]]:
    """Those of these conversations that are of these businesses, and of which."""
    try:
        found = Conversation.objects.filter(pk__in=list(numbers), business__in=list(businesses))
        return list(found.values_list("pk", "business_id"))
    except Exception:
        connection.close()
        raise


def _drawn(numbers: Iterable[int], wanted: set[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """The rows of these conversations as events, by business and language."""
    try:
        with connection.cursor() as hand:
            hand.execute(
                queries.changed.decode(),
                {"ids": list(numbers), "businesses": list({business for business, _ in wanted})},
            )
            found = hand.fetchall()
        by_business: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        for business_id, conversation_id, last, typing, read, given, escalated, pane in found:
            by_business[business_id][conversation_id] = {
                "last": last,
                "typing": typing or [],
                "read": dict(read or ()),
                "given": given,
                "escalated": escalated,
                "pane": pane,
            }
        drawn: dict[tuple[int, str], str] = {}
        for business_id, changed in by_business.items():
            languages = {language for business, language in wanted if business == business_id}
            try:
                rows = _rows(Business(pk=business_id), list(changed))
                for language in languages:
                    with translation.override(language):
                        drawn[business_id, language] = "".join(_event(row, changed[row.id]) for row in rows)
            except (OperationalError, InterfaceError):  # the connection: nothing can be drawn for anybody
                raise
            except Exception:  # one business in trouble must not keep the others
                log.exception("The board of the desk stumbled over business %s; its tabs look again.", business_id)
                drawn |= {(business_id, language): REFRESH for language in languages}
    except Exception:
        connection.close()  # it may be the connection that is broken, and nobody else closes it
        raise
    return drawn


def _rows(business: Business, numbers: list[int]) -> list[queues.Row]:
    """The rows of one business. One that cannot be read is left out: it must not keep the others, nor the other businesses."""
    try:
        return queues.rows_of(business, numbers)
    except DataError:
        if len(numbers) == 1:
            log.exception("Conversation %s of business %s cannot be shown in the list.", numbers[0], business.pk)
            return []
    return [row for number in numbers for row in _rows(business, [number])]


def version(conversation: Conversation) -> str:
    """The mark of what the pane about the customer shows now; another one when that changes."""
    with connection.cursor() as hand:
        hand.execute(queries.changed.decode(), {"ids": [conversation.pk], "businesses": [conversation.business_id]})
        found = hand.fetchone()
    return str(found[-1]) if found else ""


def _event(row: queues.Row, more: dict[str, Any]) -> str:
    data = {
        "id": row.id,
        "state": row.state,
        "assignee": row.assignee_id,
        "team": row.team_id,
        "snoozed": row.snoozed,
        "at": row.at.isoformat(),
        "state_at": row.state_at.isoformat(),
        "epoch": row.epoch,
        "inbound": row.inbound,
        "asked": int(row.asked_at.timestamp() * 1000) if row.asked_at else None,
        "asked_team": row.asked_team_id,
        "now": int(timezone.now().timestamp() * 1000),
        **more,
        "html": render_to_string("desk/row.html", {"row": row}),
    }
    return f"event: row\ndata: {json.dumps(data)}\n\n"


async def events(
    member: Membership, language: str, session: str = "", key: str = "", drawn_at: float = 0.0
) -> AsyncIterator[str]:
    """The stream of one tab, until it goes away or its person may no longer look.

    ``key``: the name its page gave itself; ``drawn_at``: when the page was drawn (seconds of our clock), 0 when it has been
    without a stream since then.
    """
    tab = Tab(member.business_id, member.pk, language, session, key)
    here = board()
    quiet = bool(drawn_at) and here.quiet_since(drawn_at)
    here.open(tab)
    try:
        yield READY if quiet else REFRESH
        while True:
            try:
                event = await asyncio.wait_for(tab.next(), KEEP_ALIVE_S)
            except TimeoutError:
                event = STILL
            if event is None:
                return
            yield event
    finally:
        here.close(tab)


def _placed(numbers: Iterable[int], tabs: list[Tab]) -> list[tuple[Tab, str]]:
    """What these tabs are told of the places their people, and others, have in these conversations."""
    try:
        told: list[tuple[Tab, str]] = []
        read = presence.read_up_to(numbers, {tab.member_id for tab in tabs})
        for member_id, conversation_id, upto in read:
            event = f"event: read\ndata: {json.dumps({'id': conversation_id, 'upto': upto})}\n\n"
            told += [(tab, event) for tab in tabs if tab.member_id == member_id]
        keys = {tab.key: tab for tab in tabs if tab.key}
        for conversation_id, lookers in presence.lookers(numbers).items():
            for key in {each.tab for each in lookers} & keys.keys():
                names = presence.others(lookers, keys[key].member_id)
                event = f"event: looking\ndata: {json.dumps({'id': conversation_id, 'names': names})}\n\n"
                told.append((keys[key], event))
    except Exception:
        connection.close()
        raise
    return told


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
        presence.still(tab.key for tab in tabs if tab.key and tab.member_id in members)
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
