"""WhatsApp through Meta's Cloud API."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from prosa.channels import signatures
from prosa.channels.base import Credential, Provider
from prosa.channels.base import gettext_noop as _
from prosa.channels.meta import Graph
from prosa.channels.providers.whatsapp_cloud import body, templates, webhook
from prosa.channels.wire import mapping, mappings, string
from prosa.contracts import (
    Attachment,
    Finding,
    Identity,
    InboxConfig,
    Json,
    Media,
    OutboundMessage,
    Parsed,
    Reply,
    Sent,
    Template,
    WebhookRequest,
)
from prosa.errors import NotAllowed, ProsaError, UnknownOutcome
from prosa.http import Client
from prosa.phones import canonical

log = logging.getLogger(__name__)

TEMPLATE_PAGES = 20
"""Of a hundred templates each; an account may have 6,000, and nobody chooses among more than this."""


class WhatsAppCloud(Provider):
    """One inbox is one ``phone_number_id``. Webhooks of many numbers may arrive at one address; each change names its own."""

    kind = "whatsapp_cloud"
    label = "WhatsApp"
    credentials = (
        Credential("token", _("Access token"), help=_("A system user's permanent token with whatsapp_business_messaging.")),
        Credential("phone_number_id", _("Phone number ID"), secret=False, help=_("WhatsApp Manager, API setup. Not the number itself.")),
        Credential("app_secret", _("App secret"), help=_("App settings, Basic. Signs Meta's webhooks.")),
        Credential("app_secret_previous", _("Previous app secret"), required=False, help=_("Still accepted while you rotate the secret.")),
        Credential("waba_id", _("WhatsApp Business account ID"), secret=False, required=False),
        Credential("graph_url", _("Graph address"), secret=False, required=False, help=_("Only for a proxy or a test double.")),
        Credential("graph_version", _("Graph version"), secret=False, required=False, help=_("Default v25.0.")),
    )  # fmt: skip
    window = timedelta(hours=24)
    # 1 message per 6 s and pair, bursts of 45 that borrow from later; 80 per second and number ("Throughput", 2026-09).
    pace = (6.0, 45)
    number_rate = 80.0
    proves_number = True
    tracks = True
    voice_notes = True
    buttons = True
    has_templates = True

    def claims(self, request: WebhookRequest) -> bool:
        """Signed by Meta, or its handshake."""
        return "x-hub-signature-256" in request.headers or (request.method == "GET" and b"hub.mode=" in request.query)

    def handshake(self, inbox: InboxConfig, query: Mapping[str, str]) -> str | None:
        """The challenge, when mode and verify token are right."""
        return signatures.meta_handshake(inbox.verify_token, query)

    def verify(self, inbox: InboxConfig, request: WebhookRequest) -> bool:
        """With the app secret, or the previous one while it is rotated."""
        secrets = (inbox.credentials.get("app_secret", ""), inbox.credentials.get("app_secret_previous", ""))
        return signatures.meta(secrets, request.body, request.headers.get("x-hub-signature-256", ""))

    def parse(self, body: bytes, content_type: str = "") -> Parsed:
        """Every entry, change, message, status, echo and notice of the POST."""
        return webhook.parse(body)

    def routing_key(self, credentials: Mapping[str, str]) -> str:
        """``metadata.phone_number_id`` of each change."""
        return credentials.get("phone_number_id", "")

    def compose(self, reply: Reply) -> Sequence[OutboundMessage]:
        """As few bubbles as fit, in WhatsApp's marks."""
        return body.compose(reply)

    async def send(self, client: Client, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        """Upload its file if there is one, then post it. Success means accepted, not delivered."""
        graph, number = Graph(client, inbox), inbox.credentials.get("phone_number_id", "")
        body.recipient(message.to)  # before anything is uploaded
        media_id = ""
        if message.media_path:
            mime_type = message.attachment.mime_type if message.attachment else ""
            media_id = await graph.upload(f"{number}/media", message.kind, message.media_path, mime_type)
        answer = await graph.post(f"{number}/messages", body.body(message, media_id))
        provider_id = next((string(one.get("id")) for one in mappings(answer.get("messages"))), "")
        if not provider_id:
            raise UnknownOutcome(
                "Meta took the message and gave it no id.\nWhether it was sent will show in its receipt."
            )
        return Sent(provider_id, identities=_proven(answer))

    async def templates(self, client: Client, inbox: InboxConfig) -> Sequence[Template]:
        """The account's approved ones; needs its id (``waba_id``) and the permission whatsapp_business_management."""
        account = inbox.credentials.get("waba_id", "")
        if not account:
            raise NotAllowed(
                "The inbox has no WhatsApp Business account ID.\nAn administrator enters it in the inbox's credentials."
            )
        graph, rows, after = Graph(client, inbox), list[Json](), ""
        for _page in range(TEMPLATE_PAGES):
            more = {"after": after} if after else {}
            answer = await graph.get(
                f"{account}/message_templates", fields=templates.FIELDS, status="APPROVED", limit="100", **more
            )
            rows += mappings(answer.get("data"))
            paging = mapping(answer.get("paging"))
            after = string(mapping(paging.get("cursors")).get("after")) if paging.get("next") else ""
            if not after:
                break
        return templates.read(rows)

    def fill(self, template: Template, values: Mapping[str, str]) -> OutboundMessage:
        """As a body of type ``template``."""
        return templates.fill(template, values)

    async def show_typing(
        self, client: Client, inbox: InboxConfig, to: Sequence[Identity], last_message_id: str
    ) -> None:
        """Blue ticks and three dots, for 25 seconds or until the answer."""
        number = inbox.credentials.get("phone_number_id", "")
        shown = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": last_message_id,
            "typing_indicator": {"type": "text"},
        }
        try:
            await Graph(client, inbox).post(f"{number}/messages", shown)
        except ProsaError as error:
            log.debug("Typing was not shown in inbox %s: %s", inbox.id, type(error).__name__)

    async def fetch(self, client: Client, inbox: InboxConfig, attachment: Attachment) -> Media:
        """By media id, which lives 7 days."""
        return await Graph(client, inbox).media(
            attachment, phone_number_id=inbox.credentials.get("phone_number_id", "")
        )

    async def check(self, client: Client, inbox: InboxConfig) -> Sequence[Finding]:
        """Ask Meta for the number, and whether the account's webhooks come to our app."""
        graph, given, findings = Graph(client, inbox), inbox.credentials, []
        try:
            number = await graph.get(
                given.get("phone_number_id", ""),
                fields="display_phone_number,verified_name,quality_rating,throughput,status",
            )
        except ProsaError as error:
            what, _newline, fix = str(error).partition("\n")
            return [Finding("error", inbox.slug, what, fix)]
        shown = " ".join(
            part for part in (string(number.get("display_phone_number")), string(number.get("verified_name"))) if part
        )
        findings.append(Finding("ok", inbox.slug, f"The token works for {shown or 'this number'}."))
        if (quality := string(number.get("quality_rating"))) in ("YELLOW", "RED"):
            findings.append(
                Finding(
                    "warning", inbox.slug, f"Meta rates the number's quality {quality}.", "Send fewer unasked messages."
                )
            )
        if account := given.get("waba_id"):
            findings.extend(await self._check_subscription(graph, account, inbox))
        return findings

    async def _check_subscription(self, graph: Graph, account: str, inbox: InboxConfig) -> Sequence[Finding]:
        try:
            apps = mappings((await graph.get(f"{account}/subscribed_apps")).get("data"))
        except ProsaError as error:
            what, _newline, fix = str(error).partition("\n")
            return [Finding("warning", inbox.slug, f"The subscription could not be read: {what}", fix)]
        names = ", ".join(string(mapping(app.get("whatsapp_business_api_data")).get("name")) for app in apps)
        if apps:
            return [Finding("ok", inbox.slug, f"The account's webhooks go to: {names}.")]
        fix = "Subscribe your app: POST /{waba_id}/subscribed_apps, or WhatsApp Manager."
        return [Finding("error", inbox.slug, "No app receives this account's webhooks.", fix)]


def _proven(answer: Mapping[str, object]) -> tuple[Identity, ...]:
    """Meta may correct the number (Brazil, Mexico) and adds the user id when it knows it."""
    contact = next(iter(mappings(answer.get("contacts"))), {})
    user, phone = string(contact.get("user_id")), string(contact.get("wa_id"))
    found = [Identity("bsuid", user)] if user else []
    if phone and canonical(phone):
        found.append(Identity("phone", canonical(phone), phone))
    return tuple(found)
