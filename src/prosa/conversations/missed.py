"""Asking providers for what their webhooks never brought (Twilio repeats only failed connections: FACTS 2.5)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prosa import sql
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import InboxConfig, Parsed
from prosa.conversations.inbound import Arrival, store_alone
from prosa.errors import ProsaError
from prosa.http import Client
from prosa.postgres import shared
from prosa.postgres.connections import Connection, connect, fetch_all
from prosa.queue import periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "missed.sql")

AFTER_START = timedelta(hours=24)
OVERLAP = timedelta(minutes=15)
_looked: set[int] = set()
"""Inboxes this process has asked about before. The first time it looks back a day, for it may have been down."""


@periodic("*/5 * * * *")
async def look_for_missed() -> None:
    """Ask for every inbox whose provider can be asked, and take in what we do not have."""
    dsn = shared.dsn()
    async with Client() as client, await connect(dsn, "prosa missed", lock_timeout="10s") as connection:
        known = Inboxes()
        await known.load(connection)
        for inbox in known:
            provider = base.registered().get(inbox.kind)
            if inbox.active and provider is not None and type(provider).missed is not base.Provider.missed:
                await _look(connection, client, provider, inbox)


async def _look(connection: Connection, client: Client, provider: base.Provider, inbox: InboxConfig) -> None:
    since = datetime.now(UTC) - (OVERLAP if inbox.id in _looked else AFTER_START)
    try:
        found = await provider.missed(client, inbox, since)
    except ProsaError as error:
        log.warning(
            "Inbox %s/%s could not be asked for missed messages: %s", inbox.kind, inbox.slug, str(error).split("\n")[0]
        )
        return
    taken = await take_in(connection, inbox, found)
    _looked.add(inbox.id)
    if taken:
        log.warning("Inbox %s/%s: %d messages had never been delivered to us.", inbox.kind, inbox.slug, taken)


async def take_in(connection: Connection, inbox: InboxConfig, found: Parsed) -> int:
    """Store what is new among ``found`` as if webhooks had brought it; returns how many messages were."""
    new = await _unknown(connection, inbox, [message.provider_id for message in found.messages])
    messages = [(inbox, message) for message in found.messages if message.provider_id in new]
    moved = await _moved(connection, inbox, found)
    if not messages and not moved:
        return 0
    body = json.dumps({"missed": sorted(new)}).encode()
    arrival = Arrival(inbox.kind, body, "application/json", inbox, messages=messages)
    arrival.receipts = [(inbox, receipt) for receipt in found.receipts if receipt.provider_id in moved]
    await store_alone(connection, arrival)
    return len(messages)


async def _unknown(connection: Connection, inbox: InboxConfig, provider_ids: Sequence[str]) -> set[str]:
    rows = await fetch_all(connection, queries.unknown, {"inbox_id": inbox.id, "provider_ids": list(provider_ids)})
    return {row[0] for row in rows}


async def _moved(connection: Connection, inbox: InboxConfig, found: Parsed) -> set[str]:
    statuses = {receipt.provider_id: receipt.status for receipt in found.receipts}
    rows = await fetch_all(connection, queries.statuses, {"inbox_id": inbox.id, "provider_ids": list(statuses)})
    return {provider_id for provider_id, status in rows if status != statuses[provider_id]}
