"""What goes to Meta: every recorded body, media, typing, checks."""

import hashlib
import json
from pathlib import Path

import pytest

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud, body
from prosa.contracts import Attachment, Identity, InboxConfig, Option, OutboundMessage, Reply
from prosa.errors import NotAllowed, PermanentError, TemporaryError, TooLarge
from prosa.http import Client
from prosa.testing import StubServer

OUTBOUND = Path(__file__).parent / "fixtures/whatsapp_cloud/outbound"
whatsapp = WhatsAppCloud()
TO = (Identity("bsuid", "US.13491208655302741918"), Identity("phone", "12025550143", "12025550143"))
TRACKER = "prosa:msg:7c9e6679-7425-40de-944b-e07fc1f90ae7"


def message(kind, text="", **more):
    return OutboundMessage(kind, text, **{"to": TO, **more})


MESSAGES = {
    "text": message("text", "Your order 1234 shipped.", payload={"preview_url": False}, tracker=TRACKER),
    "text_reply_context": message("text", "Replying to that message", reply_to="wamid.INBOUND"),
    "text_to_bsuid": message("text", "Hello", to=TO[:1]),
    "image_by_id": message("image", "caption up to 1024 chars", attachment=Attachment("image", ref="1037543291543636")),
    "image_by_link": message("image", "c", attachment=Attachment("image", url="https://cdn.example/img.jpg")),
    "video_by_id": message("video", "v", attachment=Attachment("video", ref="1037543291543639")),
    "audio_voice": message("audio", attachment=Attachment("audio", ref="1037543291543638", voice=True)),
    "document_by_id": message("document", "Invoice", attachment=Attachment("document", ref="1037543291543637", filename="invoice-1234.pdf")),
    "sticker_by_id": message("sticker", attachment=Attachment("sticker", ref="1037543291543640")),
    "interactive_buttons": message(
        "buttons",
        "Body (max 1024)",
        payload={
            "header": "Header (max 60)",
            "footer": "Footer (max 60)",
            "options": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}, {"id": "human", "title": "Talk to a human"}],
        },
    ),
    "interactive_list": message(
        "list",
        "Body (max 4096)",
        payload={
            "header": "Choose",
            "footer": "Footer",
            "button": "Options",
            "sections": [
                {
                    "title": "Orders",
                    "rows": [
                        {"id": "track", "title": "Track order", "description": "Where is it?"},
                        {"id": "return", "title": "Return item", "description": "Start a return"},
                    ],
                }
            ],
        },
    ),
    "interactive_cta_url": message("cta", "Open your order", payload={"button": "See order", "url": "https://shop.example/o/1234"}),
    "interactive_flow": message(
        "interactive",
        "Book",
        payload={
            "type": "flow",
            "action": {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3", "flow_token": "prosa-flow-1", "flow_id": "1234567890", "flow_cta": "Book",
                    "flow_action": "navigate", "flow_action_payload": {"screen": "FIRST"},
                },
            },
        },
    ),
    "interactive_location_request": message(
        "interactive", "Where are you?", payload={"type": "location_request_message", "action": {"name": "send_location"}}
    ),
    "location": message("location", payload={"latitude": 38.8977, "longitude": -77.0365, "name": "Shop", "address": "1 Example Street"}),
    "contacts": message(
        "contacts",
        payload={
            "contacts": [
                {
                    "name": {"formatted_name": "Support Team", "first_name": "Support"},
                    "phones": [{"phone": "+1 202-555-0100", "type": "WORK", "wa_id": "12025550100"}],
                }
            ]
        },
    ),
    "reaction": message("reaction", "👍", reply_to="wamid.INBOUND"),
    "template": message(
        "template",
        payload={
            "template": "order_confirmation",
            "language": "en_US",
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Sheena"}, {"type": "text", "text": "1234"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "stop-updates"}]},
            ],
        },
    ),
    "template_named_params": message(
        "template",
        payload={
            "template": "order_confirmation2",
            "language": "en_US",
            "components": [{"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Sheena"}]}],
        },
    ),
}  # fmt: skip


def test_every_recorded_body_is_a_case():
    recorded = {path.stem for path in OUTBOUND.glob("*.json") if not path.stem.startswith(("response_", "mark_"))}
    assert recorded == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_bodies(name):
    assert body.body(MESSAGES[name]) == json.loads((OUTBOUND / f"{name}.json").read_bytes())


# ── limits ──


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (TO, {"to": "+12025550143"}),
        ((Identity("phone", "5511987654321", "551187654321"),), {"to": "+551187654321"}),  # as Meta knows them
        ((Identity("phone", "5511987654321", "whatsapp:+5511987654321"),), {"to": "+5511987654321"}),
        ((Identity("phone", "5511987654321"),), {"to": "+5511987654321"}),
        (TO[:1], {"recipient": "US.13491208655302741918"}),
    ],
)
def test_recipients(to, expected):
    assert body.recipient(to) == expected


def test_what_is_too_long_is_shortened_and_ids_survive():
    made = body.body(message("buttons", "b" * 2000, payload={"options": [{"id": "i" * 300, "title": "t" * 30}] * 5}))
    buttons = made["interactive"]["action"]["buttons"]
    assert len(buttons) == 3
    assert buttons[0]["reply"] == {"id": "i" * 256, "title": "t" * 19 + "…"}
    assert len(made["interactive"]["body"]["text"]) == 1024
    made = body.body(
        message("list", "b", payload={"options": [{"id": str(one), "title": "t" * 30} for one in range(12)]})
    )
    (section,) = made["interactive"]["action"]["sections"]
    assert len(section["rows"]) == 10
    assert section["rows"][0] == {"id": "0", "title": "t" * 23 + "…", "description": "t" * 30}
    made = body.body(message("image", "c" * 2000, attachment=Attachment("image", ref="1"), tracker="t" * 600))
    assert len(made["image"]["caption"]) == 1024
    assert len(made["biz_opaque_callback_data"]) == 512
    assert "caption" not in body.body(message("audio", "hm", attachment=Attachment("audio", ref="1")))["audio"]


@pytest.mark.parametrize("broken", [message("image"), message("hologram"), message("text", "x", to=())])
def test_what_cannot_be_sent(broken):
    with pytest.raises(PermanentError):
        body.body(broken)


# ── composing ──


def kinds(reply):
    return [bubble.kind for bubble in whatsapp.compose(reply)]


def test_markdown_becomes_marks_and_links_a_preview():
    (bubble,) = whatsapp.compose(Reply("**Tea** is [here](https://shop.example)"))
    assert bubble.text == "*Tea* is here (https://shop.example)"
    assert bubble.payload == {"preview_url": True}
    (bubble,) = whatsapp.compose(Reply("**Tea**"))
    assert bubble.payload == {}


def test_a_long_answer_is_few_bubbles_broken_at_paragraphs():
    paragraph = "word " * 300
    bubbles = whatsapp.compose(Reply("\n\n".join([paragraph.strip()] * 6)))
    assert len(bubbles) == 3
    assert all(bubble.text.startswith("word") and bubble.text.endswith("word") for bubble in bubbles)


def options(count, title="Choice"):
    return tuple(Option(f"o{number}", f"{title} {number}") for number in range(count))


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (options(1), ["buttons"]),
        (options(3), ["buttons"]),
        (options(4), ["list"]),
        (options(10), ["list"]),
        (options(11), ["text"]),
        (options(3, "A title beyond twenty"), ["list"]),
        ((Option("a", "Tea", "green or black"),), ["list"]),
        ((Option("a", "  "),), ["text"]),
    ],
)
def test_options_become_buttons_a_list_or_lines(choices, expected):
    assert kinds(Reply("Which one?", choices)) == expected


def test_many_options_are_numbered():
    (bubble,) = whatsapp.compose(Reply("Which one?", options(11)))
    assert bubble.text.startswith("Which one?\n\n1. Choice 0\n2. Choice 1")


def test_a_long_question_leaves_its_end_with_the_buttons():
    bubbles = whatsapp.compose(Reply("\n\n".join(["word " * 100] * 4) + "\n\nWhich one?", options(2)))
    assert [bubble.kind for bubble in bubbles] == ["text", "buttons"]
    assert bubbles[-1].text.endswith("Which one?")
    assert len(bubbles[-1].text) <= 1024


# ── over HTTP ──

FILE = b"%PDF-1.4 something"
SHA256 = hashlib.sha256(FILE).hexdigest()


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
        "token": "EAAFICTIONALtoken",
        "phone_number_id": "1065",
        "app_secret": "s3cret",
        "waba_id": "77",
        "graph_url": server.url,
    }
    return InboxConfig(1, 1, "whatsapp_cloud", "shop", "1065", given)


async def test_a_send_says_who_it_reached(client, server, inbox):
    server.answers(200, (OUTBOUND / "response_ok.json").read_bytes()).answers(
        200, (OUTBOUND / "response_ok_bsuid.json").read_bytes()
    )
    sent = await whatsapp.send(client, inbox, MESSAGES["text"])
    assert (sent.provider_id, sent.status) == ("wamid.OUTBOUND", "sent")
    assert sent.identities == (Identity("phone", "12025550143", "12025550143"),)
    sent = await whatsapp.send(client, inbox, MESSAGES["text_to_bsuid"])
    assert sent.identities == (Identity("bsuid", "US.13491208655302741918"),)
    asked = server.requests[0]
    assert (asked.method, asked.path) == ("POST", "/v25.0/1065/messages")
    assert asked.headers["authorization"] == "Bearer EAAFICTIONALtoken"
    assert asked.json() == json.loads((OUTBOUND / "text.json").read_bytes())
    assert asked.query == {}


async def test_a_local_file_is_uploaded_and_sent_by_its_id(client, server, inbox, tmp_path):
    file = tmp_path / "invoice.pdf"
    file.write_bytes(FILE)
    server.answers(200, (OUTBOUND / "response_media_upload.json").read_bytes()).answers(
        200, (OUTBOUND / "response_ok.json").read_bytes()
    )
    bubble = message(
        "document", "Invoice", media_path=str(file), attachment=Attachment("document", filename="invoice-1234.pdf")
    )
    await whatsapp.send(client, inbox, bubble)
    upload, post = server.requests
    assert upload.path == "/v25.0/1065/media"
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert FILE in upload.body
    assert b"application/pdf" in upload.body
    assert b'name="messaging_product"' in upload.body
    assert post.json()["document"] == {"id": "1037543291543636", "caption": "Invoice", "filename": "invoice-1234.pdf"}


async def test_a_lost_upload_may_be_repeated(client, server, inbox, tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"jpeg")
    server.hangs_up()
    with pytest.raises(TemporaryError):
        await whatsapp.send(client, inbox, message("image", media_path=str(file)))
    with pytest.raises(PermanentError):
        await whatsapp.send(client, inbox, message("image", media_path=str(tmp_path / "none.jpg")))


async def test_typing_also_marks_as_read_and_never_fails(client, server, inbox):
    server.answers(200, {"success": True}).answers(500, b"oops")
    for _ in range(2):
        await whatsapp.show_typing(client, inbox, TO, "wamid.INBOUND")
    assert server.requests[0].json() == json.loads((OUTBOUND / "mark_read_and_typing.json").read_bytes())


async def read(media):
    return b"".join([chunk async for chunk in media.chunks])


async def test_a_file_is_fetched_with_the_token_and_its_checksum(client, server, inbox):
    known = {
        "url": f"{server.url}/files/1?ext=2",
        "mime_type": "application/pdf",
        "sha256": SHA256,
        "file_size": len(FILE),
    }
    server.answers(200, known).answers(200, FILE)
    media = await whatsapp.fetch(client, inbox, Attachment("document", ref="555", filename="a.pdf"))
    assert (media.mime_type, media.size, media.sha256, media.filename) == (
        "application/pdf",
        len(FILE),
        SHA256,
        "a.pdf",
    )
    assert await read(media) == FILE
    where, what = server.requests
    assert (where.path, where.query) == ("/v25.0/555", {"phone_number_id": "1065"})
    assert (what.path, what.headers["authorization"]) == ("/files/1", "Bearer EAAFICTIONALtoken")


async def test_files_that_are_gone_and_files_that_may_come(client, server, inbox):
    file = Attachment("image", ref="555")
    missing = {"error": {"code": 100, "error_subcode": 33, "message": "Unsupported get request."}}
    server.answers(400, missing)
    with pytest.raises(PermanentError):
        await whatsapp.fetch(client, inbox, file)
    server.answers(200, {"url": f"{server.url}/files/1"}).answers(404)
    with pytest.raises(PermanentError):
        await whatsapp.fetch(client, inbox, file)
    server.answers(200, {"url": f"{server.url}/files/1"}).answers(503)
    with pytest.raises(TemporaryError):
        await whatsapp.fetch(client, inbox, file)
    server.answers(503)
    with pytest.raises(TemporaryError):
        await whatsapp.fetch(client, inbox, file)
    server.answers(200, {"url": "http://169.254.169.254/latest/meta-data"})
    with pytest.raises(NotAllowed):
        await whatsapp.fetch(client, inbox, file)


async def test_a_file_beyond_the_limit_is_dropped(client, server, inbox, monkeypatch):
    from prosa import conf

    monkeypatch.setattr(conf, "settings", lambda: conf.Settings(media_max_bytes=10, secret_key="x" * 40))
    server.answers(200, {"url": f"{server.url}/files/1"}).answers(200, FILE)
    media = await whatsapp.fetch(client, inbox, Attachment("image", ref="555"))
    with pytest.raises(TooLarge):
        await read(media)


async def test_the_credentials_test(client, server, inbox):
    server.answers(200, {"display_phone_number": "+1 202-555-0100", "verified_name": "Shop", "quality_rating": "RED"})
    server.answers(200, {"data": []})
    levels = [(finding.level, finding.subject) for finding in await whatsapp.check(client, inbox)]
    assert levels == [("ok", "shop"), ("warning", "shop"), ("error", "shop")]
    server.answers(400, (OUTBOUND / "response_error_190_token.json").read_bytes())
    (finding,) = await whatsapp.check(client, inbox)
    assert finding.level == "error"
    assert "Session has expired" in finding.text
    assert finding.fix
    assert "EAAFICTIONALtoken" not in repr(finding)


async def test_the_proof_is_sent_when_asked_for(client, server, inbox):
    import dataclasses

    server.answers(200, {})
    await whatsapp.check(client, dataclasses.replace(inbox, settings={"appsecret_proof": True}))
    assert len(server.requests[0].query["appsecret_proof"]) == 64
