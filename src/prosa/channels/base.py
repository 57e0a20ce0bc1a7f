"""What a channel must be able to do. A provider knows its wire format and nothing about tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from prosa.contracts import (
    Attachment,
    Finding,
    Identity,
    InboxConfig,
    Media,
    OutboundMessage,
    Parsed,
    Receipt,
    Reply,
    Sent,
    Template,
    WebhookRequest,
)
from prosa.errors import NotAllowed, PermanentError
from prosa.http import Client


def gettext_noop(msgid: str) -> str:
    """Marks a text for translation; whoever shows it translates it. Providers need no configured Django."""
    return msgid


@dataclass(frozen=True, slots=True)
class Credential:
    """One field of an inbox's form. ``secret`` ones are never shown again."""

    name: str
    label: str
    secret: bool = True
    required: bool = True
    help: str = ""


class Provider(ABC):
    """One kind of channel. Instances are stateless and shared by all inboxes and threads.

    Pure: ``claims``, ``verify``, ``parse``, ``compose``, ``routing_key``. Network, async, through the given client:
    ``send``, ``show_typing``, ``fetch``, ``check``, ``missed``.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    credentials: ClassVar[tuple[Credential, ...]] = ()
    window: ClassVar[timedelta | None] = None
    """How long after the customer's last message free-form text may be sent; None = always."""
    quiet: ClassVar[bool] = True
    """False when each message is answered at once, without a quiet period (REST)."""
    webhooks: ClassVar[bool] = True
    """False when nothing comes through the door (REST)."""
    pace: ClassVar[tuple[float, int] | None] = None
    """Per recipient: seconds per message and burst size, as the provider enforces it."""
    number_rate: ClassVar[float] = 0.0
    """Messages per second one inbox may send; 0 = no limit known."""
    voice_notes: ClassVar[bool] = False
    """True when a bubble of kind ``audio`` with a local file arrives as a voice note."""
    buttons: ClassVar[bool] = False
    """True when options are shown to tap, and the ``id`` of the tapped one comes back in a message's ``payload``."""
    fetches_files: ClassVar[bool] = False
    """True when a file to send needs an address (``Attachment.url``) from which the provider fetches it."""
    proves_number: ClassVar[bool] = False
    """True when a customer's phone number is the channel's own word, not the customer's."""
    tracks: ClassVar[bool] = False
    """True when ``OutboundMessage.tracker`` comes back on receipts."""
    has_templates: ClassVar[bool] = False
    """True when approved templates may be sent, also outside the window."""
    ok_type: ClassVar[str] = "text/plain"
    ok_body: ClassVar[bytes] = b"OK"

    # ── pure ──

    def claims(self, request: WebhookRequest) -> bool:
        """Does this request look signed by this provider? Used for the bare ``/webhook``."""
        return False

    def handshake(self, inbox: InboxConfig, query: Mapping[str, str]) -> str | None:
        """The answer to a ``GET`` verification, or None when it must be refused."""
        return None

    @abstractmethod
    def verify(self, inbox: InboxConfig, request: WebhookRequest) -> bool:
        """Is the request signed with this inbox's secret? Constant time, on the raw bytes."""

    @abstractmethod
    def parse(self, body: bytes, content_type: str = "") -> Parsed:
        """Everything in one POST.

        :raises prosa.errors.BadInput: the body is none of this provider's shapes.
        """

    def routing_key(self, credentials: Mapping[str, str]) -> str:
        """How this provider's webhooks will name an inbox with these credentials; empty when only the URL tells."""
        return ""

    @abstractmethod
    def compose(self, reply: Reply) -> Sequence[OutboundMessage]:
        """A reply as bubbles within this channel's limits and marks (``to`` still empty)."""

    def fill(self, template: Template, values: Mapping[str, str]) -> OutboundMessage:
        """The bubble that sends a template with these values, by the keys of its slots.

        :raises prosa.errors.BadInput: a value is missing or cannot stand where it should.
        """
        raise NotAllowed(f"{self.label} has no templates.")

    # ── network ──

    @abstractmethod
    async def send(self, client: Client, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        """Send one bubble.

        :raises prosa.errors.TemporaryError: not accepted, may be tried again (``SlowDown`` for pacing).
        :raises prosa.errors.UnknownOutcome: the request left, its result is not known.
        :raises prosa.errors.PermanentError: never (``WindowClosed``, ``ChannelBroken``…).
        """

    async def show_typing(
        self, client: Client, inbox: InboxConfig, to: Sequence[Identity], last_message_id: str
    ) -> None:
        """Mark as read and show that an answer is being written, where the channel can. Best effort."""

    async def fetch(self, client: Client, inbox: InboxConfig, attachment: Attachment) -> Media:
        """Open a customer's file at the provider.

        :raises prosa.errors.TemporaryError: may work later.
        :raises prosa.errors.PermanentError: gone, or refused.
        """
        raise NotAllowed(f"{self.label} carries no files.")

    async def templates(self, client: Client, inbox: InboxConfig) -> Sequence[Template]:
        """The approved templates that can be sent with :meth:`fill`.

        :raises prosa.errors.TemporaryError: may work later.
        :raises prosa.errors.PermanentError: refused, or the inbox lacks what it takes.
        """
        return ()

    async def check(self, client: Client, inbox: InboxConfig) -> Sequence[Finding]:
        """Try the credentials without sending anything."""
        return ()

    async def missed(self, client: Client, inbox: InboxConfig, since: datetime) -> Parsed:
        """Messages and receipts the provider has and may never have delivered, where it can be asked."""
        return Parsed()

    async def find_sent(
        self, client: Client, inbox: InboxConfig, message: OutboundMessage, since: datetime
    ) -> Receipt | None:
        """Look whether a send of unknown outcome arrived at the provider, where it can be asked."""
        return None


@lru_cache(maxsize=1)
def registered() -> dict[str, Provider]:
    """All providers by kind."""
    from prosa import plugins

    found: dict[str, Provider] = {}
    offered: Iterable[Iterable[Provider]] = plugins.manager().hook.channel_providers()
    for group in offered:
        for provider in group:
            found.setdefault(provider.kind, provider)
    return found


def provider(kind: str) -> Provider:
    """The provider of a kind.

    :raises PermanentError: none is installed.
    """
    try:
        return registered()[kind]
    except KeyError:
        raise PermanentError(
            f"No channel provider named {kind!r} is installed.\nInstall its package or delete the inbox."
        ) from None
