"""The REST API as a channel: programs write, and read the answer where they asked."""

from __future__ import annotations

from collections.abc import Sequence

from prosa.channels.base import Credential, Provider
from prosa.channels.base import gettext_noop as _
from prosa.contracts import InboxConfig, OutboundMessage, Parsed, Reply, Sent, WebhookRequest
from prosa.errors import BadInput
from prosa.http import Client

TEXT_LIMIT = 20_000
SIGNED_WITH = "identity_secret"
"""Credential with which ``signature`` of a message is judged: see ``signatures.identity``."""


class Rest(Provider):
    """Messages come through ``/api/v1/messages`` with a key, never through the door; replies are fetched, never pushed."""

    kind = "rest"
    label = _("REST API")
    quiet = False
    webhooks = False
    credentials = (
        Credential(
            SIGNED_WITH,
            _("identity secret"),
            required=False,
            help=_(
                "Your site signs with it whom it has signed in, so that the contact can be linked to that customer."
            ),
        ),
    )

    def verify(self, inbox: InboxConfig, request: WebhookRequest) -> bool:
        """Never: the door takes nothing for this channel."""
        return False

    def parse(self, body: bytes, content_type: str = "") -> Parsed:
        """Nothing that came through the door is for this channel.

        :raises BadInput: always.
        """
        raise BadInput("The REST API has no webhook.\nPOST to /api/v1/messages instead.")

    def compose(self, reply: Reply) -> Sequence[OutboundMessage]:
        """One bubble, in Markdown as it was written; the caller renders it and shows the options."""
        options = [{"id": one.id, "title": one.title, "description": one.description} for one in reply.options]
        text = reply.text.strip()
        pieces = [text[start : start + TEXT_LIMIT] for start in range(0, len(text), TEXT_LIMIT)] or [""]
        if not options:
            return [OutboundMessage(kind="text", text=piece) for piece in pieces if piece]
        last = OutboundMessage(kind="buttons", text=pieces[-1], payload={"options": options})
        return [*(OutboundMessage(kind="text", text=piece) for piece in pieces[:-1]), last]

    async def send(self, client: Client, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        """Stored is delivered."""
        return Sent(f"rest-{message.tracker}", status="delivered")
