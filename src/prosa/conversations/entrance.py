"""Where a Django view finds the door: the one running in this process or, in a host project without it, one for the request."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import psycopg

from prosa.channels.inboxes import Inboxes
from prosa.conversations import door
from prosa.conversations.inbound import Arrival, store_alone
from prosa.conversations.receiver import Unavailable
from prosa.postgres import shared
from prosa.postgres.connections import Connection, connect


class Entrance(Protocol):
    """What both kinds of door offer. Its methods raise :class:`~prosa.conversations.receiver.Unavailable`."""

    inboxes: Inboxes

    async def accept(self, arrival: Arrival) -> None:
        """Return once the arrival is committed."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for a short look."""


class _Alone:
    """A door for one request: every visit to the database makes its own connection, and none is kept while waiting."""

    def __init__(self) -> None:
        self.inboxes = Inboxes()

    async def accept(self, arrival: Arrival) -> None:
        async with self.connection() as connection:
            await store_alone(connection, arrival)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        try:
            made = await connect(shared.dsn(), "prosa view", lock_timeout="10s", statement_timeout="15s")
            async with made:
                yield made
        except (psycopg.OperationalError, OSError) as error:
            raise Unavailable from error


async def entrance() -> Entrance:
    """The door to use now.

    :raises Unavailable: the database cannot be reached, or the door has not read its inboxes yet.
    """
    running = door.current()
    if running is not None:
        if not running.inboxes.loaded:
            raise Unavailable
        return running
    return await alone()


async def alone() -> Entrance:
    """A door for one request, in any event loop.

    :raises Unavailable: the database cannot be reached.
    """
    made = _Alone()
    async with made.connection() as connection:
        await made.inboxes.load(connection)
    return made
