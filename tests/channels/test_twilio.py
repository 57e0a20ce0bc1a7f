"""Twilio: every recorded form read as FACTS 2 says, and the REST API asked as its description says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from prosa.channels.providers.twilio import Twilio
from prosa.contracts import Attachment, Identity, InboxConfig, Option, OutboundMessage, Parsed, Reply
from prosa.errors import BadInput, PermanentError, TemporaryError
from prosa.http import Client
from prosa.testing import StubServer

FIXTURES = Path(__file__).parent / "fixtures/twilio"
twilio = Twilio()
BSUID = Identity("bsuid", "US.13491208655302741918")
PHONE = Identity("phone", "12025550143", "+12025550143")
NUMBER = "12025550100"
FORM = "application/x-www-form-urlencoded"


def raw(name):
    return (FIXTURES / f"{name}.form").read_bytes()


def parsed(name, **changes):
    fields = dict(parse_qsl(raw(name).decode(), keep_blank_values=True))
    from urllib.parse import urlencode

    return twilio.parse(urlencode(fields | changes).encode(), FORM)


# fixture: kind, text, file's MIME type, what its payload must hold
MESSAGES = {
    "inbound_text": ("text", "Does it come in another color?", "", {}),
    "inbound_text_unicode_plus": ("text", "Olá! 1+1=2 & café ☕ 😀", "", {}),
    "inbound_bsuid_only": ("text", "message from a username-only user", "", {}),
    "inbound_messaging_service": ("text", "via messaging service", "", {}),
    "inbound_forwarded": ("text", "forwarded text", "", {"forwarded": True}),
    "inbound_reply_to_message": ("text", "yes, that one", "", {}),
    "inbound_referral_ctwa": ("text", "Hi, saw your ad", "", {}),
    "inbound_button_quick_reply": ("button", "Talk to a human", "", {"id": "human", "title": "Talk to a human"}),
    "inbound_list_reply": ("list", "Track order", "", {"id": "track", "title": "Track order"}),
    "inbound_location": (
        "location", "[location: Fictional HQ, 1 Example Street, Exampleville (38.8977, -77.0365)]", "", {"latitude": "38.8977", "name": "Fictional HQ"},
    ),
    "inbound_image_caption": ("image", "photo of the item", "image/jpeg", {}),
    "inbound_video": ("video", "[video]", "video/mp4", {}),
    "inbound_voice": ("audio", "[audio]", "audio/ogg", {}),
    "inbound_sticker": ("sticker", "[sticker]", "image/webp", {}),
    "inbound_document": ("document", "invoice.pdf", "application/pdf", {}),
    "inbound_contact_vcard": ("contacts", "[contact]", "text/vcard", {}),
    "fallback_url_call": ("text", "retry via fallback", "", {}),
}  # fmt: skip
STATUSES = {
    "status_sent": ("sent", "", ""),
    "status_delivered": ("delivered", "", ""),
    "status_read": ("read", "", ""),
    "status_failed_63016": (
        "failed", "63016",
        "Failed to send freeform message because you are outside the allowed window. If you are using WhatsApp, please use a Message Template.",
    ),
    "status_failed_63018_rate": ("failed", "63018", ""),
    "status_undelivered_63024": ("failed", "63024", "Invalid message recipient"),
}  # fmt: skip
OURS = {"rest_create_message_request", "rest_create_content_template_request"}


def test_every_recorded_form_is_a_case():
    assert {path.stem for path in FIXTURES.glob("*.form")} == {*MESSAGES, *STATUSES, *OURS}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name):
    kind, text, mime_type, payload = MESSAGES[name]
    found = twilio.parse(raw(name), FORM)
    (message,) = found.messages
    assert (found.receipts, found.strange) == ((), ())
    assert (message.kind, message.text, message.routing_key, message.wakes) == (kind, text, NUMBER, True)
    assert [file.mime_type for file in message.attachments] == ([mime_type] if mime_type else [])
    assert {key: message.payload.get(key) for key in payload} == payload
    assert message.provider_id == dict(parse_qsl(raw(name).decode()))["MessageSid"]
    assert message.sender_name == "Sheena Nelson"
    assert message.senders == ((BSUID,) if name == "inbound_bsuid_only" else (BSUID, PHONE))


@pytest.mark.parametrize("name", STATUSES)
def test_statuses(name):
    status, code, text = STATUSES[name]
    found = twilio.parse(raw(name), FORM)
    (receipt,) = found.receipts
    assert (found.messages, found.strange) == ((), ())
    assert (receipt.status, receipt.error_code, receipt.error_text) == (status, code, text)
    assert (receipt.routing_key, receipt.recipients) == (NUMBER, (PHONE,))
    assert receipt.provider_id.startswith("SM")


@pytest.mark.parametrize("status", ["queued", "sending", "accepted", "scheduled"])
def test_what_is_on_its_way_is_no_news(status):
    assert parsed("status_sent", MessageStatus=status, SmsStatus=status) == Parsed()


def test_an_unknown_status_is_strange():
    assert parsed("status_sent", MessageStatus="teleported") == Parsed(strange=("status teleported",))


def test_an_unknown_type_still_gets_an_answer():
    found = parsed("inbound_text", MessageType="hologram", Body="")
    assert (found.messages[0].kind, found.messages[0].text) == ("unsupported", "[unsupported message: hologram]")
    assert found.messages[0].wakes
    assert found.strange == ("message type hologram",)


def test_an_sms_to_the_same_number_is_not_whatsapp():
    found = parsed("inbound_text", From="+12025550143")
    assert (found.messages, found.strange) == ((), ("message that is not WhatsApp",))


def test_replies_files_and_referrals():
    (message,) = twilio.parse(raw("inbound_reply_to_message")).messages
    assert message.reply_to == "SM00000000000000000000000000000061"
    (message,) = twilio.parse(raw("inbound_document")).messages
    (file,) = message.attachments
    assert (file.kind, file.filename) == ("document", "invoice.pdf")
    assert file.url.endswith("/Media/ME00000000000000000000000000000007")
    (message,) = twilio.parse(raw("inbound_referral_ctwa")).messages
    assert message.payload["referral"]["ctwa_clid"] == "ARAkFICTIONALclickid"
    (message,) = twilio.parse(raw("inbound_text")).messages
    assert "referral" not in message.payload


def test_several_files():
    url = "https://api.twilio.com/a"
    more = {"MediaUrl1": url, "MediaContentType1": "image/png", "MediaUrl2": url, "MediaContentType2": ""}
    (message,) = parsed("inbound_image_caption", NumMedia="nonsense", **more).messages
    assert len(message.attachments) == 3


@pytest.mark.parametrize(
    "body", [b"", b"a=b", b"{}", b"\xff\x00", b"MessageSid=", b"MessageSid=" + b"x" * 300, b"=&=&=", b"%00%ff"]
)
def test_what_is_no_webhook(body):
    with pytest.raises(BadInput):
        twilio.parse(body, FORM)


def test_the_answer_is_empty_twiml():
    assert twilio.ok_body.decode() == (FIXTURES / "twiml_empty.xml").read_text().strip()
    assert twilio.ok_type == "text/xml"


@pytest.mark.parametrize("number", ["+1 202-555-0100", "whatsapp:+12025550100", "12025550100"])
def test_the_routing_key_is_the_number_however_it_was_typed(number):
    assert twilio.routing_key({"number": number}) == NUMBER


def test_options_are_numbered():
    (bubble,) = twilio.compose(Reply("**Which?**", (Option("a", "Tea"), Option("b", "Coffee"))))
    assert (bubble.kind, bubble.text) == ("text", "*Which?*\n\n1. Tea\n2. Coffee")


# ── over HTTP ──


@pytest.fixture
async def server():
    async with StubServer() as running:
        yield running


@pytest.fixture
async def client(server):
    async with Client(allow=[server.url]) as opened:
        yield opened


@pytest.fixture
def inbox(server):
    given = {
        "account_sid": "AC00000000000000000000000000000001", "auth_token": "fictionalauthtoken", "number": "+12025550100", "api_url": server.url,
    }  # fmt: skip
    return InboxConfig(1, 1, "twilio", "shop", NUMBER, given, public_url="https://prosa.example")


def message(kind="text", text="Hello from Prosa", **more):
    return OutboundMessage(kind, text, **{"to": (BSUID, PHONE), **more})


ACCOUNT = "/2010-04-01/Accounts/AC00000000000000000000000000000001"


async def test_a_send_is_the_recorded_form(client, server, inbox):
    server.answers(201, (FIXTURES / "rest_create_message_response.json").read_bytes())
    sent = await twilio.send(client, inbox, message())
    assert (sent.provider_id, sent.status) == ("SM00000000000000000000000000000032", "sent")
    asked = server.requests[0]
    assert (asked.method, asked.path) == ("POST", f"{ACCOUNT}/Messages.json")
    assert asked.headers["authorization"].startswith("Basic ")
    recorded = dict(parse_qsl(raw("rest_create_message_request").decode()))
    recorded["StatusCallback"] = "https://prosa.example/webhook/twilio/shop/"
    assert asked.form() == recorded


async def test_a_template_is_the_recorded_form(client, server, inbox):
    server.answers(201, {"sid": "MM1"})
    payload = {"template": "HX00000000000000000000000000000001", "variables": {"1": "Sheena", "2": "1234"}}
    await twilio.send(client, inbox, message("template", "", payload=payload))
    recorded = dict(parse_qsl(raw("rest_create_content_template_request").decode()))
    assert {**server.requests[0].form(), "StatusCallback": ""} == {**recorded, "StatusCallback": ""}


@pytest.mark.parametrize(
    ("bubble", "fields"),
    [
        (message(to=(BSUID,)), {"To": "whatsapp:US.13491208655302741918"}),
        (message(to=(Identity("phone", "5511987654321", "551187654321"),)), {"To": "whatsapp:+551187654321"}),
        (message("image", "A cup", attachment=Attachment("image", url="https://cdn.example/c.jpg")), {"MediaUrl": "https://cdn.example/c.jpg", "Body": "A cup"}),
        (message("location", "", payload={"latitude": 1.5, "longitude": -2, "name": "Shop"}), {"PersistentAction": "geo:1.5,-2|Shop", "Body": "Shop"}),
        (message("buttons", "Which?", payload={"options": [{"id": "a", "title": "Tea"}]}), {"Body": "Which?\n\n1. Tea"}),
        (message("cta", "Look", payload={"url": "https://shop.example"}), {"Body": "Look\n\nhttps://shop.example"}),
    ],
)  # fmt: skip
async def test_other_kinds(client, server, inbox, bubble, fields):
    server.answers(201, {"sid": "SM1"})
    await twilio.send(client, inbox, bubble)
    asked = server.requests[0].form()
    assert {name: asked.get(name) for name in fields} == fields


@pytest.mark.parametrize(
    "bubble", [message("image", media_path="/tmp/a.jpg"), message("sticker"), message("hologram"), message("contacts")]
)
async def test_what_twilio_cannot_send(client, server, inbox, bubble):
    with pytest.raises(PermanentError):
        await twilio.send(client, inbox, bubble)
    assert server.requests == []


async def test_typing(client, server, inbox):
    server.answers(200, {"success": True}).answers(400, {"code": 1})
    for _ in range(2):
        await twilio.show_typing(client, inbox, (PHONE,), "SM1")
    assert server.requests[0].path == "/v2/Indicators/Typing.json"
    assert server.requests[0].form() == {"channel": "whatsapp", "messageId": "SM1"}


async def test_files_come_with_credentials_that_stay_at_twilio(client, server, inbox):
    async with StubServer() as cdn, Client(allow=[server.url, cdn.url]) as both:
        server.answers(307, b"", {"Location": f"{cdn.url}/real"})
        cdn.answers(200, b"bytes").answers(200, b"bytes")
        media = await twilio.fetch(
            both, inbox, Attachment("image", url=f"{server.url}{ACCOUNT}/Media/ME1", mime_type="image/jpeg")
        )
        assert b"".join([chunk async for chunk in media.chunks]) == b"bytes"
        assert (media.mime_type, media.size) == ("image/jpeg", 5)
        assert "authorization" in server.requests[0].headers
        assert "authorization" not in cdn.requests[0].headers
        # an address that is not Twilio's gets none in the first place
        media = await twilio.fetch(both, inbox, Attachment("image", url=f"{cdn.url}/x"))
        assert b"".join([chunk async for chunk in media.chunks]) == b"bytes"
        assert "authorization" not in cdn.requests[1].headers


@pytest.mark.parametrize(
    ("status", "expected"), [(404, PermanentError), (403, PermanentError), (500, TemporaryError), (429, TemporaryError)]
)
async def test_files_that_do_not_come(client, server, inbox, status, expected):
    server.answers(status)
    with pytest.raises(expected):
        await twilio.fetch(client, inbox, Attachment("image", url=f"{server.url}/x"))


SINCE = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def row(sid, **more):
    return {
        "sid": sid, "direction": "inbound", "from": "whatsapp:+12025550143", "to": "whatsapp:+12025550100", "body": "hi", "num_media": "0",
        "status": "received", "date_sent": "Fri, 20 Nov 2026 12:00:05 +0000", "date_created": "Fri, 20 Nov 2026 12:00:04 +0000",
        "date_updated": "Fri, 20 Nov 2026 12:00:06 +0000", "error_code": None, "error_message": None, **more,
    }  # fmt: skip


async def test_what_was_missed_is_found_as_its_webhook_would_have_told_it(client, server, inbox):
    newer = row("SM2", date_sent="Fri, 20 Nov 2026 12:01:00 +0000", num_media="1", body="")
    server.answers(200, {"messages": [newer], "next_page_uri": f"{ACCOUNT}/Messages.json?Page=1"})
    server.answers(200, {"messages": [row("SM1"), row("SM9", direction="outbound-api")], "next_page_uri": None})
    server.answers(
        200, {"media_list": [{"content_type": "image/jpeg", "uri": f"{ACCOUNT}/Messages/SM2/Media/ME1.json"}]}
    )
    out = {"direction": "outbound-api", "from": "whatsapp:+12025550100", "to": "whatsapp:+12025550143"}
    failed = row("SM3", **out, status="undelivered", error_code=63024, error_message="Invalid recipient")
    server.answers(200, {"messages": [failed, row("SM4", **out, status="queued")]})
    found = await twilio.missed(client, inbox, SINCE)
    assert [one.provider_id for one in found.messages] == ["SM1", "SM2"]  # oldest first
    first, second = found.messages
    assert (first.text, first.senders, first.routing_key) == ("hi", (PHONE,), NUMBER)
    assert first.sent_at == datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)
    assert (second.kind, second.text) == ("image", "[image]")
    assert second.attachments[0].url == f"{server.url}{ACCOUNT}/Messages/SM2/Media/ME1"
    (receipt,) = found.receipts
    assert (receipt.provider_id, receipt.status, receipt.error_code) == ("SM3", "failed", "63024")
    assert receipt.at == datetime(2026, 11, 20, 12, 0, 6, tzinfo=UTC)
    asked = server.requests[0].query
    assert (asked["To"], asked["DateSent>"]) == ("whatsapp:+12025550100", "2026-11-20T12:00:00Z")
    assert server.requests[3].query["From"] == "whatsapp:+12025550100"


async def test_missing_while_twilio_is_away_is_temporary(client, server, inbox):
    server.answers(503)
    with pytest.raises(TemporaryError):
        await twilio.missed(client, inbox, SINCE)


async def test_a_send_of_unknown_outcome_is_looked_for(client, server, inbox):
    out = {
        "direction": "outbound-api",
        "from": "whatsapp:+12025550100",
        "to": "whatsapp:+12025550143",
        "body": "Hello from Prosa",
    }
    old = row("SM0", **out, status="read", date_created="Fri, 20 Nov 2026 11:59:00 +0000")
    server.answers(
        200,
        {"messages": [row("SM5", **(out | {"body": "other"}), status="sent"), row("SM6", **out, status="queued"), old]},
    )
    receipt = await twilio.find_sent(client, inbox, message(), SINCE)
    assert (receipt.provider_id, receipt.status) == ("SM6", "sent")
    assert server.requests[0].query["To"] == "whatsapp:+12025550143"
    server.answers(200, {"messages": [old]})
    assert await twilio.find_sent(client, inbox, message(), SINCE) is None
    server.answers(200, {"messages": [old]})
    assert (await twilio.find_sent(client, inbox, message(), SINCE - timedelta(minutes=5))).provider_id == "SM0"


async def test_the_credentials_test(client, server, inbox):
    server.answers(200, {"status": "active", "friendly_name": "Shop"}).answers(200, {"status": "suspended"}).answers(
        401, {"code": 20003}
    )
    levels = [(await twilio.check(client, inbox))[0].level for _ in range(3)]
    assert levels == ["ok", "error", "error"]
    assert server.requests[0].path == f"{ACCOUNT}.json"
