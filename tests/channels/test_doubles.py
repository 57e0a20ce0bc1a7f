"""Our providers and the simulator's doubles, which were written apart from each other, understand one another."""

import asyncio
import contextlib
import hashlib
import socket
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn

from prosa.channels.providers.twilio import Twilio
from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import Attachment, Identity, InboxConfig, OutboundMessage, WebhookRequest
from prosa.http import Client
from prosa.simulator import app, customer
from prosa.simulator.wire import Response, serve
from prosa.simulator.world import Bubble, Customer, Line, World

ANA = Customer("5511988887777", "Ana", phone="5511988887777")
TO = (Identity("phone", "5511988887777", "5511988887777"),)
NONCE = "0123456789abcdef0123456789abcdef"
JPEG = b"\xff\xd8\xff\xe0 a picture"
SIGNED_URL = "https://bot.example/webhook/twilio/demo/"


@contextlib.asynccontextmanager
async def listening(application):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(64)
    config = uvicorn.Config(
        application, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        taken.close()


class Stage:
    """A world, a door that keeps what it hears, and an inbox and a line of each kind."""

    def __init__(self, world, heard, url, door, client):
        self.world, self.heard, self.client = world, heard, client
        account = "AC" + "0" * 31 + "1"
        self.whatsapp = InboxConfig(
            1, 1, "whatsapp_cloud", "demo", "106500000000001",
            {"token": "EAASIM-token", "phone_number_id": "106500000000001", "app_secret": "app-secret", "waba_id": "102200000000001", "graph_url": f"{url}/simulator/graph"},
        )  # fmt: skip
        self.twilio = InboxConfig(
            2, 1, "twilio", "demo", "5511900000002",
            {"account_sid": account, "auth_token": "auth-token", "number": "+5511900000002", "api_url": f"{url}/simulator/twilio"},
            public_url="https://bot.example",
        )  # fmt: skip
        self.lines = {
            "whatsapp_cloud": world.add_line(
                Line(
                    "whatsapp_cloud", "106500000000001", "demo", number="5511900000001", account="102200000000001", token="EAASIM-token",
                    secret="app-secret", webhook_url=f"{door}/webhook/whatsapp_cloud/demo/", api_url=f"{url}/simulator/graph",
                )
            ),
            "twilio": world.add_line(
                Line(
                    "twilio", "5511900000002", "demo", number="5511900000002", account=account, token="auth-token", secret="auth-token",
                    webhook_url=f"{door}/webhook/twilio/demo/", signed_url=SIGNED_URL, api_url=f"{url}/simulator/twilio",
                )
            ),
        }  # fmt: skip

    def inbox(self, provider):
        return self.whatsapp if provider.kind == "whatsapp_cloud" else self.twilio

    def parsed(self, provider):
        """Everything heard so far, verified and read."""
        found = []
        for request in self.heard:
            headers = {name.lower(): value for name, value in request.headers.items()}
            webhook = WebhookRequest("POST", request.path, b"", headers, request.body, SIGNED_URL)
            assert provider.verify(self.inbox(provider), webhook)
            found.append(provider.parse(request.body, headers.get("content-type", "")))
        return found


@pytest.fixture
async def stage():
    world, heard = World(pace=0), []

    async def door(scope, receive, send):
        async def note(request):
            heard.append(request)
            return Response(200)

        await serve(scope, receive, send, note)

    async with listening(app.make(world)) as url, listening(door) as door_url, Client(allow=[url]) as client:
        yield Stage(world, heard, url, door_url, client)
        await world.settle()


@pytest.fixture(params=[WhatsAppCloud(), Twilio()], ids=lambda provider: provider.kind)
def provider(request):
    return request.param


async def test_a_customer_writes(stage, provider):
    line = stage.lines[provider.kind]
    name = customer.message_id(line, NONCE, media=False)
    await customer.say(stage.world, line, ANA, Bubble(name, "customer", "text", "1+1 & café ☕"))
    (found,) = stage.parsed(provider)
    (message,) = found.messages
    assert (message.provider_id, message.kind, message.text, message.sender_name) == (
        name,
        "text",
        "1+1 & café ☕",
        "Ana",
    )
    assert message.routing_key == provider.routing_key(stage.inbox(provider).credentials)
    assert ("phone", "5511988887777") in {(one.kind, one.value) for one in message.senders}


async def test_a_customer_sends_a_picture(stage, provider):
    line = stage.lines[provider.kind]
    file = customer.keep_file(
        stage.world, line, mime_type="image/jpeg", data=JPEG, filename="a.jpg", kind="image", voice=False
    )
    await customer.say(
        stage.world, line, ANA, Bubble(customer.message_id(line, NONCE, media=True), "customer", "image", ""), file=file
    )
    (message,) = stage.parsed(provider)[0].messages
    (attachment,) = message.attachments
    media = await provider.fetch(stage.client, stage.inbox(provider), attachment)
    assert b"".join([chunk async for chunk in media.chunks]) == JPEG
    assert media.mime_type == "image/jpeg"
    assert media.sha256 in ("", hashlib.sha256(JPEG).hexdigest())
    assert media.sha256 or provider.kind == "twilio"


async def test_we_answer_and_hear_what_became_of_it(stage, provider):
    inbox = stage.inbox(provider)
    sent = await provider.send(stage.client, inbox, OutboundMessage("text", "Olá 👍", to=TO, tracker="prosa:7"))
    await stage.world.settle()
    receipts = [receipt for found in stage.parsed(provider) for receipt in found.receipts]
    assert [receipt.status for receipt in receipts] == ["sent", "delivered"]
    assert {receipt.provider_id for receipt in receipts} == {sent.provider_id}
    assert {receipt.tracker for receipt in receipts} == ({"prosa:7"} if provider.tracks else {""})


async def test_typing_and_credentials(stage, provider):
    line = stage.lines[provider.kind]
    name = customer.message_id(line, NONCE, media=False)
    await customer.say(stage.world, line, ANA, Bubble(name, "customer", "text", "oi"))
    await provider.show_typing(stage.client, stage.inbox(provider), TO, name)
    assert "error" not in [finding.level for finding in await provider.check(stage.client, stage.inbox(provider))]


async def test_a_picture_is_uploaded(stage, tmp_path):
    file = tmp_path / "cup.jpg"
    file.write_bytes(JPEG)
    bubble = OutboundMessage(
        "image", "A cup", to=TO, media_path=str(file), attachment=Attachment("image", mime_type="image/jpeg")
    )
    assert (await WhatsAppCloud().send(stage.client, stage.whatsapp, bubble)).provider_id


async def test_twilio_is_asked_for_what_was_missed_and_what_was_sent(stage):
    line, twilio = stage.lines["twilio"], Twilio()
    name = customer.message_id(line, NONCE, media=False)
    since = datetime.now(UTC) - timedelta(seconds=5)
    await customer.say(stage.world, line, ANA, Bubble(name, "customer", "text", "anybody?"))
    bubble = OutboundMessage("text", "Yes", to=TO)
    sent = await twilio.send(stage.client, stage.twilio, bubble)
    await stage.world.settle()
    found = await twilio.missed(stage.client, stage.twilio, since)
    assert [(message.provider_id, message.text) for message in found.messages] == [(name, "anybody?")]
    assert [receipt.provider_id for receipt in found.receipts] == [sent.provider_id]
    assert (await twilio.find_sent(stage.client, stage.twilio, bubble, since)).provider_id == sent.provider_id
