"""What comes in from a channel and what goes out to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Json = dict[str, Any]


# ── people ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Identity:
    """One way a person is known.

    ``kind``: ``phone``, ``bsuid`` (WhatsApp's business-scoped user id), ``parent_bsuid``, ``username``,
    ``user`` (an id the caller of the REST API gave), ``signed`` (the same, signed by the business's site), later ``psid``, ``email``…
    ``value``: canonical, what we match by (for phones: ``prosa.phones.canonical``, digits only).
    ``address``: exactly what the provider sent, what we send to; equals ``value`` when empty.
    """

    kind: str
    value: str
    address: str = ""

    @property
    def key(self) -> str:
        """``kind:value``, unique within a business."""
        return f"{self.kind}:{self.value}"


# ── what comes in ─────────────────────────────────────────────────────────────────────────────────

InboundKind = Literal[
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "list",
    "flow", "reaction", "order", "system", "edit", "revoke", "unsupported",
]  # fmt: skip

MediaKind = Literal["image", "audio", "video", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a message. ``ref`` is the provider's media id (or its URL when it has none)."""

    kind: str
    ref: str = ""
    url: str = ""
    mime_type: str = ""
    sha256: str = ""
    filename: str = ""
    size: int = 0
    voice: bool = False


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message a customer sent.

    ``routing_key`` says which inbox of ours it reached (WhatsApp: ``metadata.phone_number_id``; Twilio: ``To``).
    ``senders`` holds every identity the payload proves, strongest first.
    ``text`` is what a reader (person or model) reads: the body, the caption, the button's title, or a
    short description for kinds without words. ``payload`` keeps the kind's own data.
    ``wakes`` is False for what asks for no answer (reactions, system notes, revokes, group messages).
    """

    provider_id: str
    routing_key: str
    senders: tuple[Identity, ...]
    kind: str
    text: str
    sent_at: datetime
    sender_name: str = ""
    attachments: tuple[Attachment, ...] = ()
    reply_to: str = ""
    payload: Json = field(default_factory=dict)
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class Typing:
    """A customer is writing just now, where the channel tells. It is over by itself after a few seconds; nothing is stored.

    ``senders`` as in :class:`InboundMessage`.
    """

    senders: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message of ours. ``status``: sent, delivered, read, played or failed.

    ``tracker`` is the opaque string given with the send, when the provider returns it.
    ``recipients`` are identities the receipt proves (a corrected ``wa_id``, a BSUID).
    """

    provider_id: str
    routing_key: str
    status: str
    at: datetime
    tracker: str = ""
    error_code: str = ""
    error_text: str = ""
    pricing: Json = field(default_factory=dict)
    recipients: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """A person of the business wrote to the customer from outside Prosa (their own phone, another tool)."""

    provider_id: str
    routing_key: str
    recipients: tuple[Identity, ...]
    kind: str
    text: str
    sent_at: datetime
    attachments: tuple[Attachment, ...] = ()
    payload: Json = field(default_factory=dict)
    recipient_name: str = ""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """The same person under a new identity (``user_changed_number``, ``user_changed_user_id``)."""

    routing_key: str
    old: tuple[Identity, ...]
    new: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the account or the channel, not about a conversation.

    ``level``: info, warning or error. ``topic`` is the provider's own name for it.
    """

    routing_key: str
    topic: str
    level: str
    text: str
    payload: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything one webhook POST held, in its order. ``strange`` names what was recognised but not understood."""

    messages: tuple[InboundMessage, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    takeovers: tuple[Takeover, ...] = ()
    changes: tuple[IdentityChange, ...] = ()
    notices: tuple[Notice, ...] = ()
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboxConfig:
    """An inbox as the hot path and the providers see it: decrypted, immutable, cached per process.

    Durations in milliseconds or seconds as named. ``credentials`` keys are those the provider declares.
    """

    id: int
    business_id: int
    kind: str
    slug: str
    routing_key: str
    credentials: Mapping[str, str]
    verify_token: str = ""
    active: bool = True
    is_default: bool = False
    troubled: bool = False
    quiet_ms: int = 1500
    max_quiet_ms: int = 6000
    reopen_s: int = 86400
    public_url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Without credentials: this object ends up in tracebacks."""
        return f"InboxConfig(id={self.id}, kind={self.kind!r}, slug={self.slug!r})"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request at the door. ``headers`` have lower-case names; ``url`` is the public one, as the provider signed it."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str = ""


# ── what goes out ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Option:
    """A choice shown to the customer: a reply button or a list row. ``id`` comes back when it is chosen."""

    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One bubble, already within the channel's limits and in its own marks (see ``Provider.compose``).

    ``kind``: text, image, audio, video, document, sticker, buttons, list, cta, location, contacts, reaction, template.
    ``payload``: what the kind needs beyond text (``options``, ``button``, ``url``, ``template``, ``language``,
    ``components``, ``latitude``…), plain JSON. ``attachment`` for media kinds; ``media_path`` is a local file to upload.
    ``tracker`` is sent along where the provider returns it on receipts.
    """

    kind: str
    text: str = ""
    to: tuple[Identity, ...] = ()
    reply_to: str = ""
    attachment: Attachment | None = None
    media_path: str = ""
    payload: Json = field(default_factory=dict)
    tracker: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted a message. ``status`` is ``sent`` (accepted) or, for channels we serve ourselves,
    ``delivered``. ``identities``: what the answer proves about the recipient."""

    provider_id: str
    status: str = "sent"
    identities: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """A file on its way from a provider. Iterate ``chunks`` once; sizes in bytes, -1 when unknown."""

    mime_type: str
    size: int
    sha256: str
    filename: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``prosa doctor`` or of a credentials test. ``level``: ok, info, warning or error; ``fix`` is the next move."""

    level: str
    subject: str
    text: str
    fix: str = ""
