"""Who is writing just now: told to the customer while an answer is being made, and told to the desk of the customer.

A courtesy, and never a reason to fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from prosa import sql
from prosa.channels import base
from prosa.contracts import Identity, InboxConfig, Typing
from prosa.http import Client
from prosa.sql import Texts

if TYPE_CHECKING:
    from prosa.conversations.entrance import Entrance

log = logging.getLogger(__name__)
queries = sql.load(__file__, "presence.sql")

TOPIC = "types"
"""Of ``realtime``, with the conversation's number: its customer is writing."""
PAUSE_S = 2.0
"""A customer is not told of more often, in one process."""
MOST_REMEMBERED = 4096

_told: dict[tuple[int, str], float] = {}

AGAIN_S = 20.0
"""WhatsApp shows typing for 25 seconds at most (FACTS 1.8)."""
FIRST_S = 1.0
"""How long a ready answer waits for the first request: arriving after the answer, it would show typing for nothing."""
REQUEST_S = 5.0


@contextlib.asynccontextmanager
async def typing(client: Client, inbox: InboxConfig, to: Sequence[Identity], message_id: str) -> AsyncIterator[None]:
    """Mark ``message_id`` as read and show typing for as long as the block runs, where the channel can."""
    provider = base.provider(inbox.kind)
    if type(provider).show_typing is base.Provider.show_typing:
        yield
        return
    shown = asyncio.Event()

    async def keep() -> None:
        try:
            while True:
                async with asyncio.timeout(REQUEST_S):
                    await provider.show_typing(client, inbox, to, message_id)
                shown.set()
                await asyncio.sleep(AGAIN_S)
        except Exception as error:  # noqa: BLE001 - a courtesy
            log.debug("Typing could not be shown: %s", type(error).__name__)
        finally:
            shown.set()

    task = asyncio.create_task(keep())
    try:
        yield
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await shown.wait()
    finally:
        task.cancel()


async def tell(door: Entrance, inbox: InboxConfig, typing: Typing) -> None:
    """Tell whoever looks at it that the customer writes in their newest conversation on this inbox; a stranger has none.

    :raises Unavailable: the database cannot be reached.
    """
    now, who = time.monotonic(), (inbox.id, typing.senders[0].key)
    if _told.get(who, 0.0) > now - PAUSE_S:
        return
    if len(_told) >= MOST_REMEMBERED:
        _told.clear()
    _told[who] = now
    keys = Texts([sender.key for sender in typing.senders])
    async with door.connection() as connection:
        await connection.execute(
            queries.tell, {"inbox_id": inbox.id, "business_id": inbox.business_id, "keys": keys}, prepare=True
        )
