"""Carries the world's webhooks to Prosa's door, signed, over real HTTP, with the mischief asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from prosa.contracts import Json
from prosa.simulator import meta_webhooks, twilio_webhooks
from prosa.simulator.mischief import Plan
from prosa.simulator.world import MEGABYTE, Bubble, File, Line, Thread, World, new_number

TIMEOUT_S = 15.0
"""What Twilio grants a webhook [FACTS 2.5]; Meta's is not published."""

UNDELIVERABLE = {"whatsapp_cloud": 131026, "twilio": 63024}
BROKEN_LINK = {"whatsapp_cloud": 131053, "twilio": 63019}
MAX_LINKED = 16 * MEGABYTE
RANK = {"sent": 1, "delivered": 2, "read": 3, "failed": 4}


class Refused(Exception):
    """The door did not take a webhook. The text says how it answered; ``status`` is 0 when it did not."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


async def post(world: World, line: Line, payload: Any, *, url: str = "", plan: Plan | None = None) -> None:
    """Sign and post one webhook of ``line``; the payload is a mapping in its provider's form.

    ``url``: where to and what is signed, when it is not the line's own. A line with no address hears nothing.

    :raises Refused: the door cannot be reached or did not say 2xx.
    """
    where = url or line.webhook_url
    if not where:
        return
    plan = world.mischief.draw_webhook(_target(line)) if plan is None else plan
    await plan.wait("out_of_order")
    if line.kind == "twilio":
        body = twilio_webhooks.encode(payload)
        headers = twilio_webhooks.signature(line.secret, url or line.signed_url or where, payload)
    else:
        body = meta_webhooks.encode(payload)
        headers = meta_webhooks.signature(line.secret, body)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        for _ in range(2 if "duplicate" in plan else 1):
            await _post_once(session, where, headers, body)


async def _post_once(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: bytes) -> None:
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            if not 200 <= answer.status < 300:
                raise Refused(f"The server answered {answer.status}.", answer.status)
    except TimeoutError:
        raise Refused("The server did not answer in time.") from None
    except aiohttp.ClientError as error:
        raise Refused(f"The server cannot be reached ({type(error).__name__}).") from None


async def report(world: World, thread: Thread, bubble: Bubble, *names: str, error: int = 0) -> None:
    """Show statuses on the phone and post their webhooks, one after the other, ``world.pace`` seconds apart.

    What the door does not take is lost, as at Twilio; Meta would repeat it for days, which nobody waits for here.
    """
    plan = world.mischief.draw_webhook(_target(thread.line))
    ordered = list(reversed(names)) if "out_of_order" in plan else list(names)
    for name in ordered:
        await asyncio.sleep(world.pace)
        if RANK[name] > RANK.get(bubble.status, 0):
            bubble.status = name
        if name == "failed":
            bubble.error = str(error)
        world.put(thread, bubble)
        try:
            await post(
                world,
                thread.line,
                _status(thread, bubble, name, error if name == "failed" else 0),
                url=_callback(thread.line, bubble),
                plan=_without_delay(plan),
            )
        except Refused as refused:
            world.tell("refused", thread, message=bubble.id, status=name, error=str(refused))


async def deliver(world: World, thread: Thread, bubble: Bubble, plan: Plan) -> None:
    """What happens after a business's message was accepted: sent and delivered, or failed, or nothing."""
    if "silent" in plan:
        return
    if "undelivered" in plan:
        await report(world, thread, bubble, "sent", "failed", error=UNDELIVERABLE[thread.line.kind])
        return
    await report(world, thread, bubble, "sent", "delivered")


async def read(world: World, thread: Thread, ids: list[str]) -> None:
    """The customer saw these messages of the business."""
    for message_id in ids:
        bubble = thread.bubbles.get(message_id)
        if bubble is None or bubble.author != "business" or bubble.muted or not bubble.received:
            continue
        if bubble.status in {"sent", "delivered"}:
            bubble.status = "read"  # at once, so that a second look reports nothing
            await report(world, thread, bubble, "read")


def _target(line: Line) -> str:
    return "twilio" if line.kind == "twilio" else "graph"


def _callback(line: Line, bubble: Bubble) -> str:
    """The message's own address for statuses (Twilio's ``StatusCallback``), empty for the line's.

    Our public address may lie behind a tunnel: the line knows the shorter way to it.
    """
    return "" if bubble.callback == line.signed_url else bubble.callback


def _status(thread: Thread, bubble: Bubble, name: str, error: int) -> Any:
    if thread.line.kind == "twilio":
        return twilio_webhooks.status(thread.line, thread.customer, bubble, name, error=error)
    return meta_webhooks.status(thread.line, thread.customer, bubble, name, error=error)


def _without_delay(plan: Plan) -> Plan:
    return Plan({kind: seconds for kind, seconds in plan.strikes.items() if kind != "out_of_order"})


def describe(file: File) -> Json:
    """A file as a bubble carries it."""
    return {
        "id": file.id,
        "mime_type": file.mime_type,
        "filename": file.filename,
        "size": len(file.data),
        "kind": file.kind,
        "voice": file.voice,
    }


async def send_linked(world: World, thread: Thread, bubble: Bubble, link: str, plan: Plan) -> None:
    """Fetch a file the business sent by link, as the provider would, then deliver the message or report failure."""
    shown = bubble.file or {}
    try:
        mime_type, data = await _fetch(link)
    except (aiohttp.ClientError, TimeoutError, Refused):
        await report(world, thread, bubble, "failed", error=BROKEN_LINK[thread.line.kind])
        return
    file = world.keep(File(new_number(), mime_type, data, shown.get("filename", ""), mime_type.split("/")[0]))
    bubble.received = "undelivered" not in plan
    bubble.file = describe(file) | {"voice": bool(shown.get("voice"))}
    if bubble.kind == "media":
        bubble.kind = file.kind if file.kind in {"image", "audio", "video"} else "document"
    world.put(thread, bubble)
    await deliver(world, thread, bubble, plan)


async def _fetch(link: str) -> tuple[str, bytes]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
        session.get(link) as answer,
    ):
        data = b""
        async for chunk in answer.content.iter_chunked(65536):
            data += chunk
            if len(data) > MAX_LINKED:
                break
        if answer.status != 200 or len(data) > MAX_LINKED:
            raise Refused(f"The link answered {answer.status} with {len(data)} bytes.", answer.status)
        return answer.headers.get("Content-Type", "application/octet-stream").split(";")[0].strip(), data
