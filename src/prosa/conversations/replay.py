"""Reading stored webhooks again, after what was wrong with them has been mended."""

from __future__ import annotations

from collections.abc import Sequence

from asgiref.sync import async_to_sync

from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import InboxConfig, WebhookRequest
from prosa.conversations.inbound import Arrival, queries, read, store_alone
from prosa.postgres import shared
from prosa.postgres.connections import connect, fetch_one


def replay(event_ids: Sequence[int]) -> dict[int, str]:
    """Read stored webhooks again with today's parsers and inboxes. What they held before is not doubled.

    :returns: the new outcome of each event that exists.
    """
    return async_to_sync(_replay)(event_ids)


async def _replay(event_ids: Sequence[int]) -> dict[int, str]:
    outcomes: dict[int, str] = {}
    async with await connect(shared.dsn(), "prosa replay", lock_timeout="10s") as connection:
        known = Inboxes()
        await known.load(connection)
        for event_id in event_ids:
            row = await fetch_one(connection, queries.event, {"id": event_id})
            if row is None:
                continue
            inbox_id, kind, body, content_type = row
            arrival = _again(known, inbox_id, kind, bytes(body), content_type)
            arrival.event_id = event_id
            if arrival.outcome != "unparsed":
                await store_alone(connection, arrival)
            await connection.execute(
                queries.replayed, {"id": event_id, "outcome": arrival.outcome, "error": arrival.error}
            )
            outcomes[event_id] = arrival.outcome
    return outcomes


def _again(known: Inboxes, inbox_id: int | None, kind: str, body: bytes, content_type: str) -> Arrival:
    provider = base.registered().get(kind)
    inbox = known.get(inbox_id) if inbox_id else None
    if inbox is None:
        inbox = next(iter(known.of_kind(kind)), None)
    if provider is None or inbox is None:
        return Arrival(kind, body, content_type, None, "unrouted", "There is no inbox of this kind any more.")
    request = WebhookRequest("POST", "", b"", {"content-type": content_type}, body)
    return read(_Trusting(provider, inbox.business_id), inbox, known, request)


class _Trusting:
    """A provider whose stored webhooks were verified when they came. Routing stays within the business they came to."""

    def __init__(self, provider: base.Provider, business_id: int) -> None:
        self.kind, self.parse = provider.kind, provider.parse
        self._business_id = business_id

    def verify(self, inbox: InboxConfig, _request: WebhookRequest) -> bool:
        return inbox.business_id == self._business_id
