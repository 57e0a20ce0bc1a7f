"""The courtesy of a read mark and of "typing…" while an answer is being made. Never a reason to fail."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from prosa.channels import base
from prosa.contracts import Identity, InboxConfig
from prosa.http import Client

log = logging.getLogger(__name__)

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
