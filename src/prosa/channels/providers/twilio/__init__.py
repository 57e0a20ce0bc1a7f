"""WhatsApp through Twilio.

Twilio repeats a webhook only when it could not connect, so what was missed is fetched (:meth:`Twilio.missed`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from prosa.channels import signatures
from prosa.channels.base import Credential, Provider
from prosa.channels.base import gettext_noop as _
from prosa.channels.providers.twilio import body, form
from prosa.channels.providers.twilio.api import Api
from prosa.channels.wire import identifier, string
from prosa.contracts import (
    Attachment,
    Finding,
    Identity,
    InboundMessage,
    InboxConfig,
    Media,
    OutboundMessage,
    Parsed,
    Receipt,
    Reply,
    Sent,
    WebhookRequest,
)
from prosa.errors import PermanentError, ProsaError, TemporaryError, UnknownOutcome
from prosa.http import Client
from prosa.phones import canonical

log = logging.getLogger(__name__)


class Twilio(Provider):
    """One inbox is one WhatsApp sender. Messages and status callbacks arrive at the same address."""

    kind = "twilio"
    label = "WhatsApp (Twilio)"
    proves_number = True
    credentials = (
        Credential("account_sid", _("Account SID"), secret=False),
        Credential("auth_token", _("Auth token"), help=_("Signs Twilio's webhooks and our calls.")),
        Credential("auth_token_previous", _("Previous auth token"), required=False, help=_("Still accepted while you rotate the token.")),
        Credential("number", _("WhatsApp number"), secret=False, help=_("With country code, e.g. +14155238886.")),
        Credential("api_url", _("API address"), secret=False, required=False, help=_("Only for a proxy or a test double.")),
    )  # fmt: skip
    window = timedelta(hours=24)
    pace = (6.0, 45)  # WhatsApp's own, whoever is in between
    number_rate = 80.0
    voice_notes = True
    fetches_files = True
    ok_type = "text/xml"
    ok_body = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

    def claims(self, request: WebhookRequest) -> bool:
        """Signed by Twilio."""
        return "x-twilio-signature" in request.headers

    def verify(self, inbox: InboxConfig, request: WebhookRequest) -> bool:
        """Over the public address and every field, with the auth token or the previous one."""
        return signatures.twilio(
            (inbox.credentials.get("auth_token", ""), inbox.credentials.get("auth_token_previous", "")),
            request.url,
            request.body,
            request.headers.get("x-twilio-signature", ""),
            content_type=request.headers.get("content-type", ""),
            settings=request.headers.get("x-twilio-webhooks-signature-settings", ""),
        )

    def parse(self, body: bytes, content_type: str = "") -> Parsed:
        """One message or one status."""
        return form.parse(body)

    def routing_key(self, credentials: Mapping[str, str]) -> str:
        """The digits of our number, as in ``To``."""
        return canonical(credentials.get("number", ""))

    def compose(self, reply: Reply) -> Sequence[OutboundMessage]:
        """As few bubbles as fit; options as numbered lines."""
        return body.compose(reply)

    async def send(self, client: Client, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        """Queue one message at Twilio."""
        api = Api(client, inbox)
        fields = {"From": self._number(inbox), "To": body.recipient(message.to), **body.content(message)}
        if inbox.public_url:
            fields["StatusCallback"] = f"{inbox.public_url.rstrip('/')}/webhook/{self.kind}/{inbox.slug}/"
        answer = await api.post(f"{api.account}/Messages.json", fields)
        if not (provider_id := string(answer.get("sid"))):
            raise UnknownOutcome("Twilio took the message and gave it no id.\nLook for it before repeating it.")
        return Sent(provider_id)

    async def show_typing(
        self, client: Client, inbox: InboxConfig, to: Sequence[Identity], last_message_id: str
    ) -> None:
        """Blue ticks and three dots, for 25 seconds or until the answer."""
        api = Api(client, inbox)
        try:
            await api.post(
                f"{api.messaging}/v2/Indicators/Typing.json", {"channel": "whatsapp", "messageId": last_message_id}
            )
        except ProsaError as error:
            log.debug("Typing was not shown in inbox %s: %s", inbox.id, type(error).__name__)

    async def fetch(self, client: Client, inbox: InboxConfig, attachment: Attachment) -> Media:
        """From the file's own address; our credentials go to Twilio only, not to the CDN it redirects to."""
        from prosa.conf import settings  # pydantic takes its time; parsing does not need it

        api, url = Api(client, inbox), attachment.url or attachment.ref
        parts = urlsplit(url)
        ours = parts.netloc == urlsplit(api.base).netloc or (
            parts.scheme == "https" and (parts.hostname or "").endswith(".twilio.com")
        )
        stream = await client.stream(url, auth=api.auth if ours else None, limit=settings().media_max_bytes)
        if stream.status != 200:
            await stream.close()
            what = f"Twilio answered {stream.status} for this {attachment.kind}."
            if stream.status in (400, 401, 403, 404, 410):
                raise PermanentError(f"{what}\nAsk the customer to send it again.")
            raise TemporaryError(f"{what}\nIt will be tried again.")
        mime_type = attachment.mime_type or stream.headers.get("content-type", "")
        return Media(mime_type, stream.size, attachment.sha256, attachment.filename, stream.chunks)

    async def check(self, client: Client, inbox: InboxConfig) -> Sequence[Finding]:
        """Ask Twilio for the account."""
        try:
            api = Api(client, inbox)
            account = await api.get(f"{api.account}.json")
        except ProsaError as error:
            what, _newline, fix = str(error).partition("\n")
            return [Finding("error", inbox.slug, what, fix)]
        status = string(account.get("status"))
        if status != "active":
            return [
                Finding(
                    "error", inbox.slug, f"The Twilio account is {status or 'unknown'}.", "Open the Twilio console."
                )
            ]
        return [
            Finding("ok", inbox.slug, f"The token works for {string(account.get('friendly_name')) or 'this account'}.")
        ]

    async def missed(self, client: Client, inbox: InboxConfig, since: datetime) -> Parsed:
        """What Twilio has from and to our number since then, as webhooks would have told it, oldest first."""
        api, number = Api(client, inbox), self._number(inbox)
        after = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        messages: list[InboundMessage] = []
        receipts: list[Receipt] = []
        for row in await api.messages({"To": number, "DateSent>": after}):
            sid = identifier(row.get("sid"))
            if sid and string(row.get("direction")) == "inbound":
                fields = form.as_form(row)
                if string(row.get("num_media")) not in ("", "0"):
                    fields |= await api.files(sid)
                messages.extend(form.inbound(sid, fields, _date(row.get("date_sent"))).messages)
        for row in await api.messages({"From": number, "DateSent>": after}):
            sid, status = identifier(row.get("sid")), string(row.get("status"))
            if sid and status in form.STATUSES:
                receipts.append(form.receipt(sid, status, form.as_form(row), _date(row.get("date_updated"))))
        messages.sort(key=lambda message: message.sent_at)
        return Parsed(messages=tuple(messages), receipts=tuple(receipts))

    async def find_sent(
        self, client: Client, inbox: InboxConfig, message: OutboundMessage, since: datetime
    ) -> Receipt | None:
        """A message with the same words to the same person, made since then; of a voice note, any file without words."""
        words, file = body.words(message), message.kind in form.MEDIA_KINDS
        earliest = since - timedelta(seconds=2)  # Twilio tells whole seconds
        query = {"From": self._number(inbox), "To": body.recipient(message.to)}
        for row in await Api(client, inbox).messages(query, pages=1):
            status, made = string(row.get("status")), _date(row.get("date_created"))
            if (
                made < earliest
                or string(row.get("body")) != words
                or file != (string(row.get("num_media")) not in ("", "0"))
            ):
                continue
            if status in form.STATUSES or status in form.ON_ITS_WAY:
                shown = status if status in form.STATUSES else "sent"
                return form.receipt(identifier(row.get("sid")), shown, form.as_form(row), made)
        return None

    def _number(self, inbox: InboxConfig) -> str:
        return f"whatsapp:+{self.routing_key(inbox.credentials)}"


def _date(value: object) -> datetime:
    """Twilio's REST dates are RFC 2822; now when there is none."""
    try:
        return parsedate_to_datetime(string(value)).astimezone(UTC)
    except (ValueError, TypeError, IndexError):
        return datetime.now(UTC)
