"""What changed, told to whoever is looking: ``publish`` names a thing, ``subscribe`` hears of it in every process.

Only names travel (``conversation:42``, or ``conversation:42,43`` for several), never content: who hears one looks the thing
up and sees what is committed. What is published is PostgreSQL's ``NOTIFY``; who brings it to every process is in ``carriers``.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Iterable
from typing import Self

from django.conf import settings
from django.db import connection

from prosa import conf
from prosa.postgres import shared
from prosa.realtime.carriers import CHANNEL, Carrier, InRedis, Notify, name_of

_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub] = weakref.WeakKeyDictionary()


def publish(topic: str, pk: int) -> None:
    """Say that ``topic`` number ``pk`` changed, when the caller's Django transaction commits (at once without one)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{topic}:{pk}"])


class Subscription:
    """What one reader follows. Use it with ``async with``; iterate it, or ``await`` :meth:`news`.

    However slow the reader, at most one piece of news per topic waits for it: the newest says all. After the connection
    was lost every topic is news, for something may have been missed; look before you wait.
    """

    def __init__(self, hub: _Hub, topics: tuple[str, ...]) -> None:
        self._hub, self.topics = hub, topics
        self._fresh: dict[str, None] = {}
        self._wake = asyncio.Event()

    def tell(self, topic: str, numbers: Iterable[int] | None = None) -> None:
        """Something about ``topic`` changed."""
        self._fresh[topic] = None
        self._wake.set()

    async def news(self) -> set[str]:
        """Wait until something changed; the topics concerned."""
        await self._wake.wait()
        self._wake.clear()
        fresh, self._fresh = set(self._fresh), {}
        return fresh

    async def __aiter__(self) -> AsyncIterator[set[str]]:
        """One set of topics after another, for ever."""
        while True:
            yield await self.news()

    async def __aenter__(self) -> Self:
        self._hub.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub.remove(self)


class Following(Subscription):
    """Who follows all things of one topic and must know which of them changed."""

    def __init__(self, hub: _Hub, topic: str) -> None:
        super().__init__(hub, (topic,))
        self._numbers: set[int] | None = set()

    def tell(self, topic: str, numbers: Iterable[int] | None = None) -> None:
        """These changed; None: the connection was lost meanwhile, so any may have."""
        if numbers is None or self._numbers is None:
            self._numbers = None
        else:
            self._numbers.update(numbers)
        super().tell(topic)

    @property
    def waiting(self) -> bool:
        """Is there news nobody has taken yet?"""
        return bool(self._fresh)

    async def numbers(self) -> set[int] | None:
        """Wait until something changed; the numbers concerned, or None when nobody knows which."""
        await self.news()
        found, self._numbers = self._numbers, set()
        return found


def _hub() -> _Hub:
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = _Hub()
    return found


def subscribe(*topics: str) -> Subscription:
    """Follow topics: ``conversation:42`` is one conversation, ``conversation`` all of them.

    Listening begins at the first subscription of an event loop and is shared by all of them.
    """
    return Subscription(_hub(), topics)


def follow(topic: str) -> Following:
    """Follow all things of ``topic`` (``conversation``) and learn which of them changed."""
    return Following(_hub(), topic)


async def close() -> None:
    """Stop listening in this event loop (at the server's shutdown)."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.stop()


def _carrier() -> Carrier:
    dsn, redis_url = shared.dsn(), conf.settings().redis_url
    return InRedis(redis_url, dsn, name_of(dsn, settings.SECRET_KEY)) if redis_url else Notify(dsn)


class _Hub:
    """What one event loop hears, and its readers."""

    def __init__(self) -> None:
        self._readers: dict[str, set[Subscription]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, reader: Subscription) -> None:
        for topic in reader.topics:
            self._readers.setdefault(topic, set()).add(reader)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(_carrier().run(self._hear, self._refresh))

    def remove(self, reader: Subscription) -> None:
        for topic in reader.topics:
            readers = self._readers.get(topic, set())
            readers.discard(reader)
            if not readers:
                self._readers.pop(topic, None)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _hear(self, payload: str) -> None:
        kind, _colon, numbers = payload.partition(":")
        named = [int(each) for each in numbers.split(",") if each.isdecimal()]
        for topic in {kind, *(f"{kind}:{number}" for number in named)}:
            for reader in self._readers.get(topic, ()):
                reader.tell(topic, named)

    def _refresh(self) -> None:
        for topic, readers in self._readers.items():
            for reader in readers:
                reader.tell(topic)
