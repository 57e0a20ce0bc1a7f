"""What was said before this process began: the world is in memory, the conversation is in the database."""

from __future__ import annotations

from prosa.contracts import Json
from prosa.conversations.models import Conversation, Message
from prosa.simulator.world import Bubble, Customer, Line, Thread

SHOWN = ("sent", "delivered", "read", "played")
"""Statuses of ours that mean the phone got the message."""
MOST = 60


def identity_keys(line: Line, customer: Customer) -> list[str]:
    """How Prosa may know this customer (``contracts.Identity.key``)."""
    from prosa import phones

    if line.kind == "rest":
        return [f"user:{customer.phone or customer.username}"]
    phone = [f"phone:{phones.canonical(customer.phone)}"] if customer.phone else []
    return [f"bsuid:{customer.user_id}", *phone]


async def conversation_id(line: Line, customer: Customer) -> int | None:
    """The newest conversation of the two."""
    found = Conversation.objects.filter(
        inbox_id=line.inbox_id, contact__identities__key__in=identity_keys(line, customer)
    )
    return await found.order_by("-id").values_list("id", flat=True).afirst()


async def restore(thread: Thread) -> None:
    """Fill a thread nobody has looked at yet with its last messages. Files are not brought back."""
    if thread.restored:
        return
    thread.restored = True
    line, customer = thread.line, thread.customer
    messages = (
        Message.objects.filter(
            conversation__inbox_id=line.inbox_id,
            conversation__contact__identities__key__in=identity_keys(line, customer),
            provider_id__isnull=False,
        )
        .exclude(kind__in=["reaction", "system"])
        .distinct()
        .order_by("-id")[:MOST]
    )
    newer = dict(thread.bubbles)
    older = [
        bubble async for message in messages if (bubble := _bubble(message)) is not None and bubble.id not in newer
    ]
    thread.bubbles.clear()
    thread.bubbles.update({bubble.id: bubble for bubble in reversed(older)} | newer)


def _bubble(message: Message) -> Bubble | None:
    mine = message.direction == "in"
    if not mine and message.status not in SHOWN:
        return None
    payload: Json = message.payload or {}
    status = "read" if mine else {"played": "read"}.get(message.status, message.status)
    bubble = Bubble(str(message.provider_id), "customer" if mine else "business", "text", message.text, status)
    bubble.at = int(message.sent_at.timestamp() * 1000)
    bubble.reply_to = message.reply_to
    if not mine and isinstance(payload.get("options"), list):
        bubble.kind = "interactive"
        bubble.choices = {
            "type": "list" if len(payload["options"]) > 3 else "button",
            "button": "",
            "options": payload["options"],
        }
    return bubble
