"""Deliveries: what was decided leaves the house, in order, each bubble once.

``Outbox.deliver`` is the handler of the lane ``deliveries``. A bubble is marked ``sending`` together with the check that
it may leave. When we then do not learn whether the provider took it (time-out, crash in between), it is ``unconfirmed``:
its lane waits up to half a minute for the provider's receipt to tell; if none comes within two minutes although the
inbox's receipts flow, it is sent once more; otherwise people are shown that nobody knows.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage

from prosa import sql, telemetry
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.channels.inboxes import queries as inbox_queries
from prosa.contracts import Attachment, InboxConfig, OutboundMessage, Sent
from prosa.conversations import intents
from prosa.conversations.begin import identify
from prosa.conversations.dispatch import Claim, Release, backoff
from prosa.conversations.inbound import TRACKER
from prosa.conversations.media import links, voicing
from prosa.conversations.media.voicing import Voicing
from prosa.errors import (
    ChannelBroken,
    PermanentError,
    ProsaError,
    SlowDown,
    TemporaryError,
    UnknownOutcome,
    WindowClosed,
)
from prosa.http import Client
from prosa.postgres.connections import Pool, fetch_all, fetch_one

log = logging.getLogger(__name__)
queries = sql.load(__file__, "outbox.sql")

HOLD_S = 30.0
"""How long an unconfirmed bubble holds back those behind it."""
RESEND_S = 120.0
"""How long a receipt may take before an unconfirmed bubble is sent once more."""
LAST_TRY = 10
"""Tries of a bubble the provider did not accept: about eight minutes, longer than most outages."""
LONGEST_PAIR_WAIT_S = 3600.0
SEND_TIMEOUT_S = 60.0
LONGEST_WAIT_S = 2.0
"""For a slot of the inbox's rate; beyond it the place in the lane is given to other inboxes."""


@dataclass(frozen=True, slots=True)
class _Outgoing:
    id: int
    status: str
    author: str
    attempts: int
    resends: int
    age: float
    message: OutboundMessage


class _Pacer:
    """An inbox's sending rate, shared by all workers through the database, booked a few slots at a time."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[int, float]] = {}

    async def book(self, pool: Pool, inbox: InboxConfig, rate: float) -> float:
        """Seconds until this inbox's next slot, which is ours."""
        left, at = self._slots.get(inbox.id, (0, 0.0))
        if left == 0:
            block = max(1, int(rate / 8))
            async with pool.connection() as connection:
                row = await fetch_one(connection, queries.book, {"inbox_id": inbox.id, "seconds": block / rate})
            left, at = block, time.monotonic() + (row[0] if row else 0.0)
        self._slots[inbox.id] = (left - 1, at)
        return max(0.0, at - time.monotonic())


class Outbox:
    """The handler of the lane, with what it needs."""

    def __init__(self, pool: Pool, inboxes: Inboxes, client: Client) -> None:
        self._pool, self._inboxes, self._client = pool, inboxes, client
        self._pacer = _Pacer()
        self._voicing = Voicing(pool)

    async def deliver(self, claim: Claim) -> Release:
        """Send what waits in one conversation, the oldest first, until nothing is left or something must wait."""
        while True:
            async with self._pool.connection() as connection:
                rows = await fetch_all(connection, queries.queue, {"conversation_id": claim.conversation_id})
            if not rows:
                await intents.close(self._pool, claim.conversation_id)
                return Release()
            inbox = self._inboxes.get(rows[0][10])
            if inbox is None:
                return Release(again_in=60, error="The inbox is not in service: see `prosa doctor`.")
            to = identify(rows[0][-1] or ())
            queue = [_read(row, to) for row in rows]
            unsure = list(itertools.takewhile(lambda outgoing: outgoing.status != "queued", queue))
            hold, looks = await self._look_after(inbox, unsure)
            if hold is not None:
                return Release(again_in=hold)
            if len(unsure) == len(queue):
                return Release(again_in=min(looks, default=None))
            outgoing = queue[len(unsure)]
            if voicing.is_spoken(outgoing.message):
                message = await self._voicing.prepare(outgoing.id, claim.conversation_id, outgoing.message)
                outgoing = replace(outgoing, message=message)
            outgoing = replace(outgoing, message=links.addressed(inbox, outgoing.id, outgoing.message))
            with telemetry.span("send", message=outgoing.id, channel=inbox.kind):
                release = await self._leave(inbox, rows[0][11], claim.conversation_id, outgoing)
            if release is not None:
                return replace(release, again_in=min([release.again_in or 0.0, *looks]))
            if len(queue) == 1:
                return Release()  # what came since has set the row's run_at again

    async def _look_after(self, inbox: InboxConfig, unsure: Sequence[_Outgoing]) -> tuple[float | None, list[float]]:
        """The bubbles of unknown fate at the head of the lane: seconds it must hold for them, and until the next looks."""
        looks: list[float] = []
        for outgoing in unsure:
            if outgoing.status == "sending":
                # Nobody else sends in this lane, so whoever began this is gone: first look, or one of ours that was cut off.
                await self._end(outgoing, "unconfirmed", code="cut_off")
                outgoing = replace(outgoing, status="unconfirmed", age=0.0)  # noqa: PLW2901 - the same bubble, a moment later
            wait = await self._unconfirmed(inbox, outgoing)
            if wait is None:
                continue
            if outgoing.age < HOLD_S:
                return min(wait, HOLD_S - outgoing.age), looks
            looks.append(wait)
        return None, looks

    async def _leave(
        self, inbox: InboxConfig, business_id: int, conversation_id: int, outgoing: _Outgoing
    ) -> Release | None:
        """Send one bubble; a Release when the lane must wait, None to go on with the next."""
        provider = base.provider(inbox.kind)
        if provider.number_rate:
            # Before the bubble is marked: while it waits it has not left, and a person may still take over.
            wait = await self._pacer.book(self._pool, inbox, provider.number_rate)
            if wait > LONGEST_WAIT_S:
                return Release(again_in=wait)
            await asyncio.sleep(wait)
        interval, size = provider.pace or (0.0, 0)
        burst = interval * (size - 1) if size else 0.0
        async with self._pool.connection() as connection:
            row = await fetch_one(
                connection,
                queries.begin,
                {
                    "conversation_id": conversation_id, "business_id": business_id, "message_id": outgoing.id, "pace": interval,
                    "burst": burst, "window": provider.window.total_seconds() if provider.window else 0,
                },
            )  # fmt: skip
        verdict, wait, closes = row or ("gone", 0.0, False)
        if verdict == "wait":
            return Release(again_in=wait)
        if verdict != "sending":
            return None
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                sent = await provider.send(self._client, inbox, outgoing.message)
        except TimeoutError:
            await self._end(outgoing, "unconfirmed", code="no_answer")
            return Release(again_in=HOLD_S)
        except UnknownOutcome as error:
            await self._end(outgoing, "unconfirmed", error=str(error), code=error.code)
            return Release(again_in=0)
        except TemporaryError as error:
            return await self._later(inbox, conversation_id, outgoing, error, burst)
        except PermanentError as error:
            return await self._refused(inbox, outgoing, error)
        except asyncio.CancelledError:
            await asyncio.shield(self._end(outgoing, "unconfirmed", code="cut_off"))
            raise
        await self._accepted(inbox, outgoing, sent)
        if closes:
            await intents.close(self._pool, conversation_id)
        return None

    async def _refused(self, inbox: InboxConfig, outgoing: _Outgoing, error: PermanentError) -> Release | None:
        """It will never be accepted as it is: a voice note goes out as text, everything else has failed."""
        if voicing.is_spoken(outgoing.message) and not isinstance(error, ChannelBroken | WindowClosed):
            await self._voicing.as_text(outgoing.id, outgoing.message)
            return Release(again_in=0)
        await self._end(outgoing, "failed", error=str(error), code=error.code)
        if isinstance(error, ChannelBroken):
            await self._trouble(inbox, str(error))
        return None

    async def _accepted(self, inbox: InboxConfig, outgoing: _Outgoing, sent: Sent) -> None:
        await self._end(outgoing, sent.status, provider_id=sent.provider_id)
        if inbox.troubled:
            await self._trouble(inbox, "")

    async def _later(
        self, inbox: InboxConfig, conversation_id: int, outgoing: _Outgoing, error: TemporaryError, burst: float
    ) -> Release:
        """It was not accepted: put it back, slow down whom it concerns, come again."""
        if outgoing.attempts + 1 >= LAST_TRY:
            await self._end(outgoing, "failed", error=str(error), code=error.code)
            return Release(again_in=0)
        delay = error.retry_after if error.retry_after is not None else backoff(outgoing.attempts + 1)
        async with self._pool.connection() as connection:
            if isinstance(error, SlowDown) and error.pair:
                delay = max(delay, min(4.0**outgoing.attempts, LONGEST_PAIR_WAIT_S))
                await connection.execute(
                    queries.slow_pair, {"conversation_id": conversation_id, "seconds": delay, "burst": burst}
                )
            elif isinstance(error, SlowDown):
                await connection.execute(queries.slow_inbox, {"inbox_id": inbox.id, "seconds": delay})
            await connection.execute(
                queries.requeue,
                {"message_id": outgoing.id, "error_code": error.code, "error": str(error), "resends": 0},
            )
        return Release(again_in=delay)

    async def _unconfirmed(self, inbox: InboxConfig, outgoing: _Outgoing) -> float | None:
        """What to do about a bubble nobody knows the fate of. Seconds until the next look, None when it is settled."""
        provider = base.provider(inbox.kind)
        since = datetime.now(UTC) - timedelta(seconds=outgoing.age + 60)
        try:
            receipt = await provider.find_sent(self._client, inbox, outgoing.message, since)
        except ProsaError:
            receipt = None
        if receipt is not None:
            await self._end(outgoing, receipt.status, provider_id=receipt.provider_id)
            return None
        if outgoing.age < RESEND_S:
            return max(0.1, (HOLD_S if outgoing.age < HOLD_S else RESEND_S) - outgoing.age)
        async with self._pool.connection() as connection:
            row = await fetch_one(connection, queries.statuses_flow, {"inbox_id": inbox.id, "seconds": RESEND_S})
            if provider.tracks and row and row[0] and outgoing.resends == 0:
                await connection.execute(
                    queries.requeue, {"message_id": outgoing.id, "error_code": "", "error": "", "resends": 1}
                )
                return 0.0
        await self._end(outgoing, "failed", code="unknown_outcome")
        return None

    async def _trouble(self, inbox: InboxConfig, text: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(inbox_queries.trouble, {"inbox_id": inbox.id, "text": text})

    async def _end(
        self, outgoing: _Outgoing, status: str, *, provider_id: str | None = None, error: str = "", code: str = ""
    ) -> None:
        telemetry.note(message=outgoing.id, outcome=status)
        async with self._pool.connection() as connection:
            await fetch_one(
                connection,
                queries.end,
                {
                    "message_id": outgoing.id, "status": status, "provider_id": provider_id, "error": sql.clean(error[:2000]).decode(),
                    "error_code": code[:40],
                },
            )  # fmt: skip


def _read(row: Any, to: Any) -> _Outgoing:
    (
        message_id,
        status,
        author,
        kind,
        text,
        payload,
        reply_to,
        attempts,
        resends,
        age,
        _,
        _,
        ref,
        url,
        mime,
        filename,
        voice,
        file,
        _,
    ) = row
    attachment = (
        Attachment(kind, ref or "", url or "", mime or "", "", filename or "", 0, bool(voice))
        if ref is not None
        else None
    )
    return _Outgoing(
        id=message_id,
        status=status,
        author=author,
        attempts=attempts,
        resends=resends,
        age=age or 0.0,
        message=OutboundMessage(
            kind=kind,
            text=text,
            to=to,
            reply_to=reply_to,
            attachment=attachment,
            media_path=default_storage.path(file) if file else "",
            payload=json.loads(payload) if isinstance(payload, str) else payload or {},
            tracker=f"{TRACKER}{message_id}",
        ),
    )
