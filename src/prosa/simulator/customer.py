"""A customer writes: their message becomes a real webhook, signed and posted to the door of this very server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from typing import Any, Final

import aiohttp

from prosa.contracts import Identity, Json, Typing
from prosa.errors import BadInput
from prosa.simulator import fake_graph, fake_twilio, meta_webhooks, postman, twilio_webhooks
from prosa.simulator.world import Bubble, Customer, File, Line, Thread, World, new_number, new_sid

KINDS: Final = ("text", "image", "audio", "video", "document", "sticker", "location", "button", "list", "reaction")
MAX_TEXT: Final = 4096
MAX_FILE: Final = 100 * 1024 * 1024
NONCE: Final = re.compile(r"[0-9a-f]{32}")
API_WAIT_S: Final = 120.0


def named(data: Any) -> Customer:
    """The customer the browser describes: ``{"name", "phone"}`` or ``{"name", "username"}``.

    :raises BadInput: neither a phone of 8 to 15 digits nor a user name.
    """
    fields = data if isinstance(data, dict) else {}
    name = " ".join(str(fields.get("name") or "").split())[:60]
    phone = re.sub(r"[\s().+-]", "", str(fields.get("phone") or ""))
    username = str(fields.get("username") or "").strip().lstrip("@").lower()
    if phone and not re.fullmatch(r"[1-9]\d{7,14}", phone):
        raise BadInput("The phone must have 8 to 15 digits with its country code.\nCorrect the number.")
    if not phone and not re.fullmatch(r"[a-z0-9._]{3,30}", username):
        raise BadInput(
            "A customer needs a phone or a user name of 3 to 30 letters, digits, dots or underscores.\nGive one."
        )
    return Customer(id=phone or f"@{username}", name=name, phone=phone, username="" if phone else username)


def placed(data: Json) -> Json:
    """A place on Earth: ``{"latitude", "longitude"}``.

    :raises BadInput: it is none.
    """
    try:
        place = {name: float(data[name]) for name in ("latitude", "longitude")}
    except (KeyError, TypeError, ValueError):
        raise BadInput("A location needs a latitude and a longitude.\nGive both as numbers.") from None
    if not (abs(place["latitude"]) <= 90 and abs(place["longitude"]) <= 180):
        raise BadInput("The location is not on Earth.\nCorrect it.")
    return place


def message_id(line: Line, nonce: str, *, media: bool) -> str:
    """The provider's id of a message the browser named; the same each time, so that sending again repeats it."""
    if line.kind == "twilio":
        return ("MM" if media else "SM") + nonce
    if line.kind == "whatsapp_cloud":
        return "wamid." + base64.b64encode(b"HBgNSIM" + bytes.fromhex(nonce)).decode()
    return nonce


def keep_file(world: World, line: Line, *, mime_type: str, data: bytes, filename: str, kind: str, voice: bool) -> File:
    """Store what the customer attaches where the line's provider will serve it.

    :raises BadInput: it is empty or too large.
    """
    if not 0 < len(data) <= MAX_FILE:
        raise BadInput("The file is empty or larger than 100 MB.\nChoose another one.")
    name = new_sid("ME") if line.kind == "twilio" else new_number()
    return world.keep(File(name, mime_type, data, filename[:200], kind, voice))


async def say(
    world: World,
    line: Line,
    customer: Customer,
    bubble: Bubble,
    *,
    file: File | None = None,
    answered: Json | None = None,
) -> Bubble:
    """Send what the customer wrote. The bubble ends as delivered, or failed with the reason in ``error``.

    A REST line is answered in the background: its replies appear as they come.
    """
    thread = world.thread(line, customer)
    bubble.status, bubble.error = "sending", ""
    if file is not None:
        bubble.file = postman.describe(file)
    if bubble.kind == "reaction":
        target = thread.bubbles.get(bubble.reply_to)
        if target:
            target.reactions["customer"] = bubble.text
            world.put(thread, target)
    else:
        world.put(thread, bubble)
    if line.kind == "rest":
        world.spawn(_ask(world, thread, bubble))
        return bubble
    try:
        await _post(world, thread, bubble, file, answered)
    except postman.Refused as refused:
        bubble.status, bubble.error = "failed", str(refused)
    else:
        bubble.status = "delivered" if bubble.status == "sending" else bubble.status
    if bubble.kind != "reaction":
        world.put(thread, bubble)
    return bubble


async def _post(world: World, thread: Thread, bubble: Bubble, file: File | None, answered: Json | None) -> None:
    line, customer = thread.line, thread.customer
    payload: Any
    if line.kind == "twilio":
        fake_twilio.record_inbound(world, line, customer, bubble)
        url = fake_twilio.media_url(line, bubble, file, line.api_url) if file else ""
        payload = twilio_webhooks.message(line, customer, bubble, file=file, file_url=url, answered=answered)
    else:
        url = fake_graph.attachment_url(file, line.api_url.removesuffix(fake_graph.PREFIX)) if file else ""
        payload = meta_webhooks.message(line, customer, bubble, file=file, file_url=url, answered=answered)
    await postman.post(world, line, payload)


async def types(line: Line, customer: Customer) -> None:
    """The customer has begun to write; nothing is sent if the database is away or the inbox is gone."""
    # Imported here: the doubles alone need no database.
    from prosa.conversations import presence
    from prosa.conversations.entrance import entrance
    from prosa.conversations.receiver import Unavailable
    from prosa.simulator.history import identity_keys

    senders = tuple(Identity(*key.split(":", 1)) for key in identity_keys(line, customer))
    with contextlib.suppress(Unavailable):
        door = await entrance()
        inbox = door.inboxes.get(line.inbox_id)
        if inbox is not None and not line.real:
            await presence.tell(door, inbox, Typing(senders))


# ── the REST line ──


async def _ask(world: World, thread: Thread, bubble: Bubble) -> None:
    world.tell("typing", thread, on=True)
    try:
        answer = await _talk(thread, bubble)
    except postman.Refused as refused:
        bubble.status, bubble.error = "failed", str(refused)
        world.put(thread, bubble)
        return
    finally:
        world.tell("typing", thread, on=False)
    bubble.status = "read"
    world.put(thread, bubble)
    for reply in answer.get("replies") or []:
        identity = f"rest-{reply.get('id', new_number())}"
        if identity not in thread.bubbles:  # a burst's messages all get the burst's answer
            shown = Bubble(identity, "business", "text", str(reply.get("text", "")), "delivered")
            if isinstance(reply.get("options"), list):
                shown.choices = {"type": "button", "options": reply["options"]}
            world.put(thread, shown)


async def _talk(thread: Thread, bubble: Bubble) -> Json:
    """Ask the API, and again where it says the answer will be."""
    customer, base = thread.customer, thread.line.api_url
    question = {"user_id": customer.phone or customer.username, "text": bubble.text, "inbox": thread.line.slug}
    timeout = aiohttp.ClientTimeout(total=API_WAIT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.post(
                f"{base}/seller/bot/", json=question, headers={"Idempotency-Key": bubble.id}
            ) as response:
                status, answer = response.status, await _json(response)
            while status == 202 and isinstance(answer.get("poll"), str):
                await asyncio.sleep(1)
                async with session.get(
                    base + answer["poll"] if answer["poll"].startswith("/") else answer["poll"]
                ) as response:
                    status, answer = response.status, await _json(response)
    except TimeoutError:
        raise postman.Refused("The server did not answer in time.") from None
    except aiohttp.ClientError as error:
        raise postman.Refused(f"The server cannot be reached ({type(error).__name__}).") from None
    if status != 200:
        raise postman.Refused(f"The server answered {status}.", status)
    return answer


async def _json(response: aiohttp.ClientResponse) -> Json:
    try:
        found = await response.json(content_type=None)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
