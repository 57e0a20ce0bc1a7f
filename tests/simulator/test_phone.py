"""The phone's own addresses: what a customer writes becomes a signed webhook, what happens is streamed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import types
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import pytest_asyncio
from django.test import AsyncClient
from django.urls import include, path
from twilio.request_validator import RequestValidator

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.conversations.models import Conversation, Message
from prosa.simulator import customer as customers
from prosa.simulator import here, inboxes, views
from prosa.simulator.demo import demo_inboxes
from prosa.simulator.world import Customer, Line

NONCE = "0123456789abcdef" * 2
ANA = json.dumps({"name": "Ana", "phone": "5511988887777"})


class Browser(AsyncClient):
    """A client at an address of its own that asks for a host of its own."""

    host = "localhost"
    address = "127.0.0.1"

    def _base_scope(self, **request: Any) -> Any:
        scope = super()._base_scope(**request)
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"host"] + [
            (b"host", self.host.encode())
        ]
        return scope | {"client": (self.address, 40000)}


@pytest_asyncio.fixture
async def phone(stage: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> AsyncIterator[Browser]:
    from prosa.server import urls

    monkeypatch.setattr(views, "settings", lambda: types.SimpleNamespace(development=True))
    monkeypatch.setattr(views, "world", lambda: stage.world)
    monkeypatch.setattr(views.history, "restore", _nothing)
    urlconf = types.ModuleType("phone_urls")
    urlconf.urlpatterns = [path("simulator/", include("prosa.simulator.urls")), *urls.urlpatterns]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urlconf
    settings.ALLOWED_HOSTS = ["*"]
    yield Browser()


async def _nothing(_thread: Any) -> None:
    return None


async def send(phone: Browser, line: str = "whatsapp_cloud/demo", **fields: Any) -> Any:
    return await phone.post(
        "/simulator/api/send/",
        {"line": line, "customer": ANA, "nonce": NONCE, "kind": "text", "text": "Olá 😀"} | fields,
    )


def value(stage: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.door.heard[-1].body)["entry"][0]["changes"][0]["value"]
    return found


async def test_the_page_holds_no_secret_and_no_inline_script(phone: Browser) -> None:
    response = await phone.get("/simulator/")
    page = response.content.decode()
    assert response.status_code == 200
    assert "csrftoken" in response.cookies
    for secret in ("EAASIM-token", "app-secret", "auth-token"):
        assert secret not in page
    assert page.count("<script") == page.count('<script type="module" src=') + page.count('type="application/json"')
    assert " style=" not in page
    assert " onclick=" not in page


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "evil.example"), ("127.0.0.1", "localhost.evil.example"), ("192.168.0.9", "localhost")],
)
async def test_another_name_or_machine_sees_nothing(phone: Browser, address: str, host: str) -> None:
    phone.address, phone.host = address, host
    for page in ("", "api/lines/", "api/stream/", "api/mischief/", "file/1/"):
        assert (await phone.get(f"/simulator/{page}")).status_code == 404


async def test_in_production_there_is_no_phone(phone: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "settings", lambda: types.SimpleNamespace(development=False))
    assert (await phone.get("/simulator/")).status_code == 404


async def test_another_site_cannot_write(stage: Any, phone: Browser) -> None:
    strict = Browser(enforce_csrf_checks=True)
    assert (await send(strict)).status_code == 403
    assert stage.door.heard == []


async def test_a_text_becomes_metas_signed_webhook(stage: Any, phone: Browser) -> None:
    bubble = (await send(phone)).json()["bubble"]
    heard = stage.door.heard[0]
    assert (
        heard.headers["x-hub-signature-256"]
        == "sha256=" + hmac.new(b"app-secret", heard.body, hashlib.sha256).hexdigest()
    )
    assert value(stage)["metadata"] == {"display_phone_number": "5511900000001", "phone_number_id": "106500000000001"}
    assert value(stage)["contacts"][0]["profile"] == {"name": "Ana"}
    message = value(stage)["messages"][0]
    assert (message["id"], message["from"], message["type"], message["text"]) == (
        bubble["id"],
        "5511988887777",
        "text",
        {"body": "Olá 😀"},
    )
    assert bubble["status"] == "delivered"


async def test_a_customer_without_a_number_has_none_in_the_webhook(stage: Any, phone: Browser) -> None:
    await send(phone, customer=json.dumps({"name": "Sheena", "username": "realsheena"}))
    message, contact = value(stage)["messages"][0], value(stage)["contacts"][0]
    assert "from" not in message
    assert "wa_id" not in contact
    assert message["from_user_id"] == contact["user_id"]
    assert contact["profile"]["username"] == "@realsheena"


async def test_a_text_becomes_twilios_signed_form(stage: Any, phone: Browser) -> None:
    bubble = (await send(phone, "twilio/demo", reply_to="SM1")).json()["bubble"]
    heard = stage.door.heard[0]
    fields = dict(parse_qsl(heard.body.decode(), keep_blank_values=True))
    assert RequestValidator("auth-token").validate(stage.twilio.signed_url, fields, heard.headers["x-twilio-signature"])
    assert (fields["MessageSid"], fields["Body"], fields["From"], fields["WaId"]) == (
        bubble["id"],
        "Olá 😀",
        "whatsapp:+5511988887777",
        "5511988887777",
    )
    assert fields["OriginalRepliedMessageSid"] == "SM1"


async def test_a_tap_is_a_reply_with_the_options_id(stage: Any, phone: Browser) -> None:
    answered = json.dumps({"id": "p", "title": "P", "description": "36"})
    await send(phone, kind="list", text="P", reply_to="wamid.1", answered=answered)
    message = value(stage)["messages"][0]
    assert message["interactive"] == {
        "type": "list_reply",
        "list_reply": {"id": "p", "title": "P", "description": "36"},
    }
    assert message["context"] == {"from": "106500000000001", "id": "wamid.1"}
    await send(phone, kind="button", text="P", reply_to="wamid.1", answered=answered, nonce="f" * 32)
    assert value(stage)["messages"][0]["interactive"] == {
        "type": "button_reply",
        "button_reply": {"id": "p", "title": "P"},
    }


async def test_a_reaction_and_its_removal(stage: Any, phone: Browser) -> None:
    await send(phone, kind="reaction", text="👍", reply_to="wamid.1")
    assert value(stage)["messages"][0]["reaction"] == {"message_id": "wamid.1", "emoji": "👍"}
    await send(phone, kind="reaction", text="", reply_to="wamid.1", nonce="f" * 32)
    assert value(stage)["messages"][0]["reaction"] == {"message_id": "wamid.1"}


async def test_a_file_can_be_fetched_from_the_double_and_seen(stage: Any, phone: Browser) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    binary = b"\x89PNG" + bytes(range(256))
    bubble = (
        await send(phone, kind="image", text="veja", file=SimpleUploadedFile("a.png", binary, "image/png"))
    ).json()["bubble"]
    image = value(stage)["messages"][0]["image"]
    assert image["caption"] == "veja"
    import aiohttp

    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer EAASIM-token"}) as session,
        session.get(image["url"]) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, binary)
    shown = await phone.get(f"/simulator/file/{bubble['file']['id']}/")
    assert shown.content == binary
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/png", "nosniff")


@pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", "application/javascript"])
async def test_a_file_that_could_run_is_only_saved(stage: Any, phone: Browser, mime_type: str) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    bubble = (
        await send(phone, kind="document", file=SimpleUploadedFile("a.html", b"<script>alert(1)</script>", mime_type))
    ).json()["bubble"]
    shown = await phone.get(f"/simulator/file/{bubble['file']['id']}/")
    assert shown["Content-Type"] == "application/octet-stream"
    assert shown["Content-Disposition"].startswith("attachment")
    assert "sandbox" in shown["Content-Security-Policy"]


async def test_a_refusal_keeps_the_message_and_sending_again_repeats_its_id(stage: Any, phone: Browser) -> None:
    stage.door.answers = [503]
    first = (await send(phone)).json()["bubble"]
    assert (first["status"], "503" in first["error"]) == ("failed", True)
    second = (await send(phone)).json()["bubble"]
    assert (second["id"], second["status"], second["error"]) == (first["id"], "delivered", "")
    assert [each["id"] for each in (await thread(phone))["bubbles"]] == [first["id"]]


async def test_a_real_inbox_is_not_written_to(stage: Any, phone: Browser) -> None:
    stage.world.add_line(
        Line("whatsapp_cloud", "9", "real", real=True, webhook_url=stage.whatsapp.webhook_url, secret="x")
    )
    response = await send(phone, "whatsapp_cloud/real")
    assert response.status_code == 400
    assert stage.door.heard == []


@pytest.mark.parametrize(
    "fields",
    [{"line": "nowhere/x"}, {"customer": "[]"}, {"customer": "{"}, {"customer": "{}"}, {"nonce": "x"}, {"kind": "poem"}, {"text": "  "}, {"text": "x" * 4097},
     {"answered": "["}, {"answered": "[" * 50_000}, {"kind": "location", "answered": '{"latitude": "x"}'}],
)  # fmt: skip
async def test_nonsense_is_refused_with_its_reason(stage: Any, phone: Browser, fields: dict[str, str]) -> None:
    response = await send(phone, **fields)
    assert (response.status_code, bool(response.json()["error"])) == (400, True)
    assert stage.door.heard == []


async def test_the_api_carries_no_files(stage: Any, phone: Browser) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    stage.world.add_line(Line("rest", "api", "api", api_url=stage.url))
    response = await send(phone, "rest/api", file=SimpleUploadedFile("a.png", b"x", "image/png"))
    assert (response.status_code, "no files" in response.json()["error"]) == (400, True)


async def thread(phone: Browser) -> Any:
    return (await phone.get("/simulator/api/thread/", {"line": "whatsapp_cloud/demo", "customer": ANA})).json()


async def test_showing_a_message_reports_it_read_once(stage: Any, phone: Browser) -> None:
    from prosa.simulator.world import Bubble

    found = stage.world.thread_to(stage.whatsapp, "5511988887777")
    stage.world.put(found, Bubble("wamid.9", "business", "text", "oi", "delivered"))
    for _ in range(2):
        body = {"line": "whatsapp_cloud/demo", "customer": json.loads(ANA), "ids": ["wamid.9", "wamid.unknown"]}
        assert (await phone.post("/simulator/api/read/", body, content_type="application/json")).status_code == 200
    await stage.world.settle()
    assert [(each["id"], each["status"]) for each in value(stage)["statuses"]] == [("wamid.9", "read")]
    assert len(stage.door.heard) == 1


async def test_that_the_customer_is_writing_is_told(phone: Browser, monkeypatch: pytest.MonkeyPatch):
    told = []

    async def types(line: Line, who: Customer) -> None:
        told.append((line.ref, who.phone))

    monkeypatch.setattr(customers, "types", types)
    body = json.dumps({"line": "whatsapp_cloud/demo", "customer": json.loads(ANA)})
    assert (await phone.post("/simulator/api/typing/", body, content_type="application/json")).status_code == 200
    assert told == [("whatsapp_cloud/demo", "5511988887777")]
    assert (await phone.post("/simulator/api/typing/", "{}", content_type="application/json")).status_code == 400
    assert (await phone.get("/simulator/api/typing/")).status_code == 405


@pytest.mark.parametrize("message", [{"type": "text", "text": {"body": "oi"}}, {"type": "image", "image": {"link": "http://127.0.0.1:1/a.png"}}])  # fmt: skip
async def test_what_never_reached_the_phone_is_not_read(stage: Any, phone: Browser, message: dict[str, Any]) -> None:
    stage.world.pace = 0.05  # so that the phone looks before the failure is reported
    stage.world.mischief.add("undelivered")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer EAASIM-token"}) as session:
        body = {"messaging_product": "whatsapp", "to": "+5511988887777", **message}
        async with session.post(f"{stage.graph}/{stage.whatsapp.key}/messages", json=body) as answer:
            sent = (await answer.json())["messages"][0]["id"]
    (bubble,) = (await thread(phone))["bubbles"]
    assert (bubble["id"], bubble["status"], bubble["received"]) == (sent, "sent", False)
    seen = {"line": "whatsapp_cloud/demo", "customer": json.loads(ANA), "ids": [sent]}
    assert (await phone.post("/simulator/api/read/", seen, content_type="application/json")).status_code == 200
    await stage.world.settle()
    told = [
        json.loads(each.body)["entry"][0]["changes"][0]["value"]["statuses"][0]["status"] for each in stage.door.heard
    ]
    assert "read" not in told
    assert told[-1] == "failed"
    assert [each["status"] for each in (await thread(phone))["bubbles"]] == ["failed"]


async def test_the_stream_resumes_where_it_was_and_resets_after_a_restart(stage: Any, phone: Browser) -> None:
    await send(phone)
    cursor = (await thread(phone))["cursor"]
    stage.world.tell("typing", stage.world.threads()[0], on=True)
    assert "event: typing" in await first_event(phone, {"Last-Event-ID": cursor})
    assert "event: reset" in await first_event(phone, {"Last-Event-ID": "another-7"})
    assert not stage.world._listeners


async def first_event(phone: Browser, headers: dict[str, str]) -> str:
    """The first event, heard by a reader that then hangs up as Django lets a browser do: by cancellation."""
    response = await phone.get("/simulator/api/stream/", headers=headers)
    assert response["Content-Type"] == "text/event-stream"
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def read_on() -> None:
        async for chunk in response.streaming_content:
            if b"event:" in chunk:
                heard.put_nowait(chunk.decode())

    reading = asyncio.create_task(read_on())
    first = await asyncio.wait_for(heard.get(), 60)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    return first


# ── with the database ──


@pytest.mark.django_db(transaction=True)
async def test_inboxes_become_lines_and_real_ones_are_known() -> None:
    business = await Business.objects.acreate(name="Ateliê Aurora", slug="aurora")
    for made in demo_inboxes(8000):
        await Inbox.objects.acreate(business=business, **made)
    await Inbox.objects.acreate(
        business=business,
        kind="whatsapp_cloud",
        name="Real",
        slug="real",
        credentials={"phone_number_id": "5", "token": "t"},
    )
    await Inbox.objects.acreate(business=business, kind="whatsapp_cloud", name="Off", slug="off", active=False)
    found = {line.ref: line for line in await inboxes.lines()}
    assert {ref: line.real for ref, line in found.items()} == {
        "whatsapp_cloud/demo": False,
        "whatsapp_cloud/real": True,
        "twilio/demo": False,
        "rest/demo": False,
    }
    assert found["whatsapp_cloud/demo"].key == "106500000000001"
    assert found["twilio/demo"].key == "5511900000002"
    here.world.cache_clear()
    assert len(await here.world().lines()) == 4
    here.world.cache_clear()


@pytest.mark.django_db(transaction=True)
async def test_an_earlier_conversation_is_brought_back_and_found_in_the_admin(
    stage: Any, phone: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(views, "settings", lambda: types.SimpleNamespace(development=True))
    monkeypatch.setattr(views, "world", lambda: stage.world)
    business = await Business.objects.acreate(name="B", slug="b")
    inbox = await Inbox.objects.acreate(business=business, kind="whatsapp_cloud", name="W", slug="w")
    line = stage.world.add_line(Line("whatsapp_cloud", "7", "w", inbox_id=inbox.pk))
    contact = await Contact.objects.acreate(business=business, name="Ana")
    await Identity.objects.acreate(business=business, contact=contact, key="phone:5511988887777")
    conversation = await Conversation.objects.acreate(business=business, inbox=inbox, contact=contact)
    for number, (direction, status, text) in enumerate(
        [("in", "received", "oi"), ("out", "read", "olá"), ("out", "queued", "unseen"), ("out", "withdrawn", "unseen")]
    ):
        await Message.objects.acreate(
            conversation=conversation,
            business=business,
            inbox=inbox,
            direction=direction,
            author="x",
            text=text,
            status=status,
            provider_id=f"w{number}",
        )
    query = {"line": line.ref, "customer": ANA}
    found = (await phone.get("/simulator/api/thread/", query)).json()
    assert [(each["author"], each["text"]) for each in found["bubbles"]] == [("customer", "oi"), ("business", "olá")]
    response = await phone.get("/simulator/conversation/", query)
    assert response["Location"].endswith(f"/conversation/{conversation.pk}/change/")
