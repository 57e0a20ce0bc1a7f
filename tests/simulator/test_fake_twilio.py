"""The official SDK talks to the Twilio double, and its validator accepts the double's webhooks (FACTS 2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from prosa.simulator import fake_twilio, twilio_webhooks
from prosa.simulator.world import Bubble, Customer, File, new_sid

ANA = Customer("5511988887777", "Ana", phone="5511988887777")
TO = "whatsapp:+5511988887777"


def connect(stage: Any, password: str) -> Client:
    client = Client(stage.twilio.account, password, http_client=TwilioHttpClient(pool_connections=False))
    client.api.base_url = stage.twilio.api_url
    return client


@pytest_asyncio.fixture
async def sdk(stage: Any) -> AsyncIterator[Client]:
    yield connect(stage, "auth-token")


async def send(stage: Any, sdk: Client, **fields: Any) -> Any:
    form = {"from_": f"whatsapp:+{stage.twilio.number}", "to": TO, "body": "Olá 👍"} | fields
    return await asyncio.to_thread(sdk.messages.create, **form)


def told(stage: Any) -> list[dict[str, str]]:
    return [dict(parse_qsl(each.body.decode(), keep_blank_values=True)) for each in stage.door.heard]


async def test_the_sdk_sends_and_reads_a_message(stage: Any, sdk: Client) -> None:
    message = await send(stage, sdk)
    assert (message.status, message.body, message.to, message.direction) == ("queued", "Olá 👍", TO, "outbound-api")
    await stage.world.settle()
    fetched = await asyncio.to_thread(sdk.messages(message.sid).fetch)
    assert (fetched.sid, fetched.status) == (message.sid, "delivered")
    assert [(each["MessageSid"], each["MessageStatus"]) for each in told(stage)] == [
        (message.sid, "sent"),
        (message.sid, "delivered"),
    ]


async def test_the_sdks_validator_accepts_our_status_and_message_webhooks(stage: Any, sdk: Client) -> None:
    await send(stage, sdk)
    await stage.world.settle()
    validator = RequestValidator("auth-token")
    for heard, fields in zip(stage.door.heard, told(stage), strict=True):
        assert validator.validate(stage.twilio.signed_url, fields, heard.headers["x-twilio-signature"])
        assert not validator.validate(
            stage.twilio.signed_url, fields | {"Body": "other"}, heard.headers["x-twilio-signature"]
        )
    fields = twilio_webhooks.message(stage.twilio, ANA, Bubble(new_sid("SM"), "customer", "text", "1+1 & café ☕"))
    signed = twilio_webhooks.signature("auth-token", stage.twilio.signed_url, fields)["X-Twilio-Signature"]
    assert validator.validate(
        stage.twilio.signed_url,
        dict(parse_qsl(twilio_webhooks.encode(fields).decode(), keep_blank_values=True)),
        signed,
    )


async def test_statuses_go_to_the_messages_own_address(stage: Any, sdk: Client) -> None:
    own = stage.twilio.webhook_url.replace("/demo/", "/own/")
    await send(stage, sdk, status_callback=own)
    await stage.world.settle()
    assert [each.path for each in stage.door.heard] == ["/webhook/twilio/own/"] * 2
    stage.door.heard.clear()
    await send(stage, sdk, status_callback=stage.twilio.signed_url)
    await stage.world.settle()
    assert [each.path for each in stage.door.heard] == ["/webhook/twilio/demo/"] * 2


async def test_listing_filters_by_number_and_time_and_pages(stage: Any, sdk: Client) -> None:
    received = Bubble(new_sid("SM"), "customer", "text", "oi")
    fake_twilio.record_inbound(stage.world, stage.twilio, ANA, received)
    sent = [await send(stage, sdk, body=str(number)) for number in range(3)]
    hour = timedelta(hours=1)
    now = datetime.now(UTC)

    def listing(**filters: Any) -> list[str]:
        return [message.sid for message in sdk.messages.list(**filters)]

    assert await asyncio.to_thread(listing, to=TO, date_sent_after=now - hour) == [
        message.sid for message in reversed(sent)
    ]
    assert await asyncio.to_thread(listing, to=TO, page_size=1) == [message.sid for message in reversed(sent)]
    assert await asyncio.to_thread(listing, to=f"whatsapp:+{stage.twilio.number}") == [received.id]
    assert await asyncio.to_thread(listing, date_sent_after=now + hour) == []
    assert len(await asyncio.to_thread(listing, date_sent_before=now + hour)) == 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "whatsapp:+1202"}, 21211),
        ({"from_": "whatsapp:+15550000000"}, 63007),
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 21619),
        ({"media_url": ["ftp://nowhere"]}, 21620),
    ],
)
async def test_what_twilio_refuses_is_refused(stage: Any, sdk: Client, fields: dict[str, Any], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await send(stage, sdk, **fields)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert stage.world.threads() == []


async def test_a_wrong_password_or_account(stage: Any) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await send(stage, connect(stage, "wrong"))
    assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_customers_files_need_the_password_and_lie_elsewhere(stage: Any, sdk: Client) -> None:
    file = stage.world.keep(File(new_sid("ME"), "image/png", b"\x89PNG", "a.png", "image"))
    bubble = Bubble(new_sid("MM"), "customer", "image")
    url = fake_twilio.media_url(stage.twilio, bubble, file, stage.twilio.api_url)
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 401
        login = aiohttp.encode_basic_auth(stage.twilio.account, "auth-token")
        async with session.get(url, headers={"Authorization": login}) as answer:
            assert (answer.status, await answer.read(), len(answer.history)) == (200, b"\x89PNG", 1)


async def test_media_by_link_is_fetched_and_shown(stage: Any, sdk: Client) -> None:
    file = stage.world.keep(File(new_sid("ME"), "image/png", b"\x89PNG", "a.png", "image"))
    message = await send(stage, sdk, body="", media_url=[f"{stage.url}/simulator/twilio/content/{file.id}"])
    await stage.world.settle()
    bubble = stage.world.thread_to(stage.twilio, "5511988887777").bubbles[message.sid]
    assert (bubble.kind, bubble.status, bubble.file and bubble.file["size"]) == ("image", "delivered", 4)


async def test_typing_marks_read(stage: Any) -> None:
    thread = stage.world.thread(stage.twilio, ANA)
    bubble = stage.world.put(thread, Bubble(new_sid("SM"), "customer", "text", "oi", status="delivered"))
    login = aiohttp.encode_basic_auth(stage.twilio.account, "auth-token")
    async with aiohttp.ClientSession() as session:
        form = {"channel": "whatsapp", "messageId": bubble.id}
        async with session.post(
            f"{stage.twilio.api_url}/v2/Indicators/Typing.json", data=form, headers={"Authorization": login}
        ) as answer:
            assert answer.status == 200
    assert bubble.status == "read"


async def test_mischief(stage: Any, sdk: Client) -> None:
    stage.world.mischief.add("rate_limited", target="graph")
    stage.world.mischief.add("rate_limited", target="twilio")
    with pytest.raises(TwilioRestException) as refused:
        await send(stage, sdk)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    stage.world.mischief.clear()
    stage.world.mischief.add("undelivered")
    message = await send(stage, sdk)
    await stage.world.settle()
    assert [(each["MessageStatus"], each.get("ErrorCode")) for each in told(stage)] == [
        ("sent", None),
        ("failed", "63024"),
    ]
    assert (await asyncio.to_thread(sdk.messages(message.sid).fetch)).status == "failed"
