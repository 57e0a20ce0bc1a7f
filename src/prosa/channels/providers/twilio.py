"""WhatsApp through Twilio.

Source: Twilio's "Messages resource", "WhatsApp: message status callbacks" and OpenAPI description of 2026-04. Twilio
repeats a webhook only when it could not connect, so what was missed is fetched (:meth:`Twilio.missed`).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from prosa.channels import signatures
from prosa.channels.base import Credential, Provider
from prosa.channels.base import gettext_noop as _
from prosa.channels.text import numbered, shorten, split, whatsapp
from prosa.channels.wire import identifier, mappings, string
from prosa.contracts import (
    Attachment,
    Finding,
    Identity,
    InboundMessage,
    InboxConfig,
    Json,
    Media,
    OutboundMessage,
    Parsed,
    Receipt,
    Reply,
    Sent,
    WebhookRequest,
)
from prosa.errors import (
    BadInput,
    ChannelBroken,
    PermanentError,
    ProsaError,
    SlowDown,
    TemporaryError,
    UnknownOutcome,
    WindowClosed,
)
from prosa.http import Client, Response
from prosa.phones import canonical

log = logging.getLogger(__name__)

API_URL = "https://api.twilio.com"
MESSAGING_URL = "https://messaging.twilio.com"
TEXT_LIMIT = 1600
MEDIA_PER_MESSAGE = 10
PAGES = 10
STATUSES = {
    "sent": "sent", "delivered": "delivered", "read": "read", "failed": "failed", "undelivered": "failed", "canceled": "failed",
}  # fmt: skip
ON_ITS_WAY = frozenset({"accepted", "scheduled", "queued", "sending"})
MEDIA_KINDS = frozenset({"image", "audio", "video", "document", "sticker"})
_FILENAME = re.compile(r"[^\n/\\]{1,200}\.\w{1,8}")

Action = Literal["broken", "slow", "unknown", "window", "refused"]

ACTIONS: Mapping[int, Action] = {
    63016: "window",
    # our pace, or the account's
    **dict.fromkeys((14107, 20429, 63018), "slow"),
    # credentials, account, sender
    **dict.fromkeys((20003, 20005, 20008, 20404, 21606, 21660, 63007, 63051), "broken"),
    # the channel broke down after taking it
    63012: "unknown",
    # recipient or content
    **dict.fromkeys((21211, 21610, 21614, 21617, 63003, 63005, 63013, 63019, 63021, 63024, 63032, 63049), "refused"),
}
"""What each error code asks of us; codes that are not here follow the HTTP status."""


class Twilio(Provider):
    """One inbox is one WhatsApp sender. Messages and status callbacks arrive at the same address."""

    kind = "twilio"
    label = "WhatsApp (Twilio)"
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
    ok_type = "text/xml"
    ok_body = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

    # ── pure ──

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
        """One message or one status.

        :raises BadInput: it is no form, or names no message.
        """
        pairs = parse_qsl(body.decode("utf-8", "replace").replace("\x00", ""), keep_blank_values=True)
        fields = {name: value.replace("\x00", "") for name, value in pairs}
        provider_id = identifier(fields.get("MessageSid") or fields.get("SmsSid") or fields.get("SmsMessageSid"))
        if not provider_id:
            raise BadInput("The body is no Twilio webhook: it has no MessageSid.\nIt is kept as it came.")
        status = fields.get("MessageStatus") or fields.get("SmsStatus", "")
        if status in ("", "received", "receiving"):
            return _inbound(provider_id, fields)
        if status in ON_ITS_WAY:
            return Parsed()
        if status not in STATUSES:
            return Parsed(strange=(f"status {status[:60]}",))
        return Parsed(receipts=(_receipt(provider_id, status, fields),))

    def routing_key(self, credentials: Mapping[str, str]) -> str:
        """The digits of our number, as in ``To``."""
        return canonical(credentials.get("number", ""))

    def compose(self, reply: Reply) -> Sequence[OutboundMessage]:
        """As few bubbles as fit; options as numbered lines (buttons need an approved template)."""
        parts = (whatsapp(reply.text), numbered(reply.options))
        return [
            OutboundMessage(kind="text", text=piece)
            for piece in split("\n\n".join(part for part in parts if part), TEXT_LIMIT)
        ]

    # ── network ──

    async def send(self, client: Client, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        """Queue one message at Twilio."""
        form = {
            "From": f"whatsapp:+{self.routing_key(inbox.credentials)}",
            "To": _recipient(message.to),
            **_content(message),
        }
        if callback := _callback(inbox):
            form["StatusCallback"] = callback
        answer = await self._call(client, inbox, "POST", "Messages.json", data=form)
        if not (provider_id := string(answer.get("sid"))):
            raise UnknownOutcome("Twilio took the message and gave it no id.\nLook for it before repeating it.")
        return Sent(provider_id)

    async def show_typing(
        self, client: Client, inbox: InboxConfig, to: Sequence[Identity], last_message_id: str
    ) -> None:
        """Blue ticks and three dots, for 25 seconds or until the answer."""
        base = inbox.credentials.get("api_url") or _configured_url() or MESSAGING_URL
        try:
            await client.request(
                "POST",
                f"{base.rstrip('/')}/v2/Indicators/Typing.json",
                data={"channel": "whatsapp", "messageId": last_message_id},
                auth=_auth(inbox),
            )
        except ProsaError as error:
            log.debug("Typing was not shown in inbox %s: %s", inbox.id, type(error).__name__)

    async def fetch(self, client: Client, inbox: InboxConfig, attachment: Attachment) -> Media:
        """From the file's own address; our credentials go to Twilio only, not to the CDN it redirects to."""
        from prosa.conf import settings  # pydantic takes its time; parsing does not need it

        url = attachment.url or attachment.ref
        host, ours = urlsplit(url).hostname or "", urlsplit(_base(inbox)).hostname
        auth = _auth(inbox) if host == ours or host.endswith(".twilio.com") else None
        stream = await client.stream(url, auth=auth, limit=settings().media_max_bytes)
        if stream.status != 200:
            await stream.close()
            if stream.status in (400, 401, 403, 404, 410):
                raise PermanentError(
                    f"Twilio answered {stream.status} for this {attachment.kind}.\nAsk the customer to send it again."
                )
            raise TemporaryError(
                f"Twilio answered {stream.status} for this {attachment.kind}.\nIt will be tried again."
            )
        mime_type = attachment.mime_type or stream.headers.get("content-type", "")
        return Media(mime_type, stream.size, attachment.sha256, attachment.filename, stream.chunks)

    async def check(self, client: Client, inbox: InboxConfig) -> Sequence[Finding]:
        """Ask Twilio for the account."""
        try:
            account = await self._call(client, inbox, "GET", "")
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
        """What Twilio has from and to our number since then, as webhooks would have told it."""
        number = f"whatsapp:+{self.routing_key(inbox.credentials)}"
        messages, receipts = [], []
        for row in await self._list(client, inbox, {"To": number, "DateSent>": _iso(since)}):
            if string(row.get("direction")) == "inbound":
                files = await self._files(client, inbox, row) if string(row.get("num_media")) not in ("", "0") else {}
                messages.extend(
                    _inbound(identifier(row.get("sid")), _as_form(row) | files, _date(row.get("date_sent"))).messages
                )
        for row in await self._list(client, inbox, {"From": number, "DateSent>": _iso(since)}):
            if string(row.get("status")) in STATUSES and (sid := identifier(row.get("sid"))):
                receipts.append(_receipt(sid, string(row.get("status")), _as_form(row), _date(row.get("date_updated"))))
        messages.sort(key=lambda message: message.sent_at)
        return Parsed(messages=tuple(messages), receipts=tuple(receipts))

    async def find_sent(
        self, client: Client, inbox: InboxConfig, message: OutboundMessage, since: datetime
    ) -> Receipt | None:
        """A message with the same words to the same person, made since then."""
        wanted = _content(message)
        number = f"whatsapp:+{self.routing_key(inbox.credentials)}"
        to = _recipient(message.to)
        earliest = since - timedelta(seconds=2)  # Twilio tells whole seconds
        for row in await self._list(client, inbox, {"From": number, "To": to}, pages=1):
            status = string(row.get("status"))
            made = _date(row.get("date_created"))
            if made < earliest or string(row.get("body")) != wanted.get("Body", ""):
                continue
            if status in STATUSES or status in ON_ITS_WAY:
                return _receipt(
                    identifier(row.get("sid")), status if status in STATUSES else "sent", _as_form(row), made
                )
        return None

    async def _list(
        self, client: Client, inbox: InboxConfig, query: Mapping[str, str], pages: int = PAGES
    ) -> list[Json]:
        rows: list[Json] = []
        answer = await self._call(client, inbox, "GET", "Messages.json", params={**query, "PageSize": "200"})
        for page in range(pages):
            rows.extend(mappings(answer.get("messages")))
            following = string(answer.get("next_page_uri"))
            if not following or page + 1 == pages:
                break
            answer = await self._request(client, inbox, "GET", f"{_base(inbox)}{following}")
        return rows

    async def _files(self, client: Client, inbox: InboxConfig, row: Json) -> dict[str, str]:
        sid = identifier(row.get("sid"))
        answer = await self._call(client, inbox, "GET", f"Messages/{sid}/Media.json")
        fields = {}
        for index, file in enumerate(mappings(answer.get("media_list"))):
            fields[f"MediaUrl{index}"] = _base(inbox) + string(file.get("uri")).removesuffix(".json")
            fields[f"MediaContentType{index}"] = string(file.get("content_type"))
        return fields

    async def _call(
        self,
        client: Client,
        inbox: InboxConfig,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Json:
        account = f"{_base(inbox)}/2010-04-01/Accounts/{inbox.credentials.get('account_sid', '')}"
        return await self._request(
            client, inbox, method, f"{account}/{path}" if path else f"{account}.json", params=params, data=data
        )

    async def _request(
        self,
        client: Client,
        inbox: InboxConfig,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Json:
        response = await client.request(method, url, params=params, data=data, auth=_auth(inbox))
        if response.ok:
            return response.json()
        raise failure(response, reading=method == "GET")


def failure(response: Response, *, reading: bool = False) -> ProsaError:
    """The error an answer stands for."""
    answer = response.json()
    code = answer.get("code")
    action = ACTIONS.get(code) if isinstance(code, int) else None
    if action is None:
        status = response.status
        action = (
            "slow" if status == 429 else "broken" if status in (401, 403) else "unknown" if status >= 500 else "refused"
        )
    shown = string(code)
    what = (
        f"Twilio refused with {shown}: {string(answer.get('message'))}"
        if shown
        else f"Twilio answered {response.status}."
    )
    after = response.headers.get("retry-after", "")
    match action:
        case "broken":
            return ChannelBroken(f"{what}\nCheck the inbox's credentials and the account at Twilio.", code=shown)
        case "slow":
            return SlowDown(
                f"{what}\nIt will be sent later.", code=shown, retry_after=float(after) if after.isdigit() else None
            )
        case "window":
            return WindowClosed(f"{what}\nSend a template, or wait for the customer to write.", code=shown)
        case "unknown" if reading:
            return TemporaryError(f"{what}\nIt will be tried again.", code=shown)
        case "unknown":
            return UnknownOutcome(f"{what}\nLook for its result before repeating it.", code=shown)
        case _:
            return PermanentError(f"{what}\nIt will not be tried again.", code=shown)


# ── what comes in ─────────────────────────────────────────────────────────────────────────────────


def _inbound(provider_id: str, fields: Mapping[str, str], sent_at: datetime | None = None) -> Parsed:
    if not fields.get("From", "").startswith("whatsapp:"):
        return Parsed(strange=("message that is not WhatsApp",))
    senders = _people(fields.get("ExternalUserId", ""), fields["From"])
    if not senders:
        return Parsed(strange=("message without sender",))
    files = _attachments(fields)
    kind, text, payload, known = _said(fields, files)
    for name in ("Forwarded", "FrequentlyForwarded"):
        if fields.get(name) == "true":
            payload["forwarded" if name == "Forwarded" else "frequently_forwarded"] = True
    if referral := {_snake(name[8:]): value for name, value in fields.items() if name.startswith("Referral") and value}:
        if referral != {"num_media": "0"}:
            payload["referral"] = referral
    message = InboundMessage(
        provider_id=provider_id,
        routing_key=canonical(fields.get("To", "")),
        senders=senders,
        kind=kind,
        text=text,
        sent_at=sent_at or datetime.now(UTC),
        sender_name=fields.get("ProfileName", "")[:200],
        attachments=files,
        reply_to=fields.get("OriginalRepliedMessageSid", "")[:250],
        payload=payload,
    )
    return Parsed(messages=(message,), strange=() if known else (f"message type {fields['MessageType'][:60]}",))


def _said(fields: Mapping[str, str], files: Sequence[Attachment]) -> tuple[str, str, Json, bool]:
    """Kind, text, payload, and whether the type was known."""
    body, given = fields.get("Body", ""), fields.get("MessageType", "")
    if given == "location" or fields.get("Latitude"):
        place = {name: fields[key] for name, key in _PLACE.items() if fields.get(key)}
        words = ", ".join(place[name] for name in ("name", "address") if name in place)
        point = f"{place.get('latitude', '')}, {place.get('longitude', '')}"
        return (
            "location",
            body or (f"[location: {words} ({point})]" if words else f"[location: {point}]"),
            dict(place),
            True,
        )
    if fields.get("ListId"):
        title = fields.get("ListTitle") or body
        return "list", title, {"id": fields["ListId"], "title": title}, True
    if given == "button" or fields.get("ButtonPayload"):
        title = fields.get("ButtonText") or body
        return "button", title, {"id": fields.get("ButtonPayload", ""), "title": title}, True
    if given == "contacts":
        return "contacts", body or "[contact]", {}, True
    if files:
        kind = given if given in MEDIA_KINDS else files[0].kind
        what = f"document: {files[0].filename}" if files[0].filename else kind
        return kind, body or f"[{what}]", {}, True
    if body or given in ("text", "interactive", ""):
        return "text", body, {}, given in ("text", "interactive", "")
    known = given in MEDIA_KINDS
    return "unsupported", f"[unsupported message: {given[:60]}]", {"type": given}, known


_PLACE = {"latitude": "Latitude", "longitude": "Longitude", "name": "Label", "address": "Address"}


def _attachments(fields: Mapping[str, str]) -> tuple[Attachment, ...]:
    given, found = fields.get("MessageType", ""), []
    for index in range(MEDIA_PER_MESSAGE):
        url = fields.get(f"MediaUrl{index}", "")
        if not url:
            break
        mime_type = fields.get(f"MediaContentType{index}", "")[:120]
        major = mime_type.partition("/")[0]
        kind = given if given in MEDIA_KINDS else major if major in ("image", "audio", "video") else "document"
        body = fields.get("Body", "")  # Twilio puts a document's name where its caption would be
        filename = body if kind == "document" and _FILENAME.fullmatch(body) else ""
        found.append(Attachment(kind=kind, ref=url, url=url, mime_type=mime_type, filename=filename))
    return tuple(found)


def _receipt(provider_id: str, status: str, fields: Mapping[str, str], at: datetime | None = None) -> Receipt:
    return Receipt(
        provider_id=provider_id,
        routing_key=canonical(fields.get("From", "")),
        status=STATUSES[status],
        at=at or datetime.now(UTC),
        error_code=fields.get("ErrorCode", "")[:40],
        error_text=fields.get("ErrorMessage") or fields.get("ChannelStatusMessage", ""),
        recipients=_people("", fields.get("To", "")),
    )


def _people(user: str, address: str) -> tuple[Identity, ...]:
    """``whatsapp:+12025550143`` is a phone, ``whatsapp:US.1349…`` a business-scoped id; the id first, it stays."""
    found = []
    for raw in (user, address):
        bare = identifier(raw.removeprefix("whatsapp:"))
        if bare[:1].isalpha():
            found.append(Identity("bsuid", bare))
        elif number := canonical(bare):
            found.append(Identity("phone", number, bare))
    return tuple(dict.fromkeys(found))


def _as_form(row: Json) -> dict[str, str]:
    """A row of the Messages resource with the names its webhook would have used."""
    names = {
        "from": "From", "to": "To", "body": "Body", "error_code": "ErrorCode", "error_message": "ErrorMessage",
    }  # fmt: skip
    return {field: string(row.get(name)).replace("\x00", "") for name, field in names.items() if row.get(name)}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# ── what goes out ─────────────────────────────────────────────────────────────────────────────────


def _recipient(to: Sequence[Identity]) -> str:
    for one in to:
        if one.kind == "phone" and (digits := "".join(filter(str.isdecimal, one.address)) or one.value):
            return f"whatsapp:+{digits}"
    for one in to:
        if one.kind == "bsuid":
            return f"whatsapp:{one.value}"
    raise PermanentError("This contact has neither a phone number nor a WhatsApp user id.\nWait until they write.")


def _content(message: OutboundMessage) -> dict[str, str]:
    text, payload = shorten(message.text, TEXT_LIMIT), message.payload
    if message.kind == "template":
        variables = payload.get("components") or payload.get("variables") or {}
        return {
            "ContentSid": string(payload.get("template")),
            "ContentVariables": json.dumps(variables, separators=(",", ":")),
        }
    if message.kind == "location":
        point = f"geo:{string(payload.get('latitude'))},{string(payload.get('longitude'))}"
        label = string(payload.get("name"))
        return {"Body": text or label or point, "PersistentAction": f"{point}|{label}" if label else point}
    if message.kind in MEDIA_KINDS:
        url = message.attachment.url if message.attachment else ""
        if not url:
            raise PermanentError(
                f"Twilio fetches files by address, and this {message.kind} has none.\nGive it a public address."
            )
        return {"MediaUrl": url, **({"Body": text} if text else {})}
    if message.kind in ("text", "buttons", "list", "cta"):
        extra = string(payload.get("url")) if message.kind == "cta" else "\n".join(_choices(payload))
        return {"Body": shorten("\n\n".join(part for part in (message.text, extra) if part), TEXT_LIMIT)}
    raise PermanentError(f"Twilio has no message of kind {message.kind!r}.\nSend it as text.")


def _choices(payload: Json) -> list[str]:
    return [f"{number}. {string(one.get('title'))}" for number, one in enumerate(mappings(payload.get("options")), 1)]


def _callback(inbox: InboxConfig) -> str:
    return f"{inbox.public_url.rstrip('/')}/webhook/{inbox.kind}/{inbox.slug}/" if inbox.public_url else ""


def _auth(inbox: InboxConfig) -> tuple[str, str]:
    account, token = inbox.credentials.get("account_sid", ""), inbox.credentials.get("auth_token", "")
    if not account or not token:
        raise ChannelBroken("The inbox has no account SID or auth token.\nEnter them in the inbox's credentials.")
    return account, token


def _base(inbox: InboxConfig) -> str:
    return (inbox.credentials.get("api_url") or _configured_url() or API_URL).rstrip("/")


def _configured_url() -> str:
    from prosa.conf import settings  # pydantic takes its time; parsing does not need it

    return settings().twilio_api_url


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(value: object) -> datetime:
    """Twilio's REST dates are RFC 2822; now when there is none."""
    try:
        return parsedate_to_datetime(string(value)).astimezone(UTC)
    except (ValueError, TypeError, IndexError):
        return datetime.now(UTC)
