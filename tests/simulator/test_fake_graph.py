"""The Graph double answers like Meta (FACTS 1, fixtures/whatsapp_cloud)."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from prosa.simulator import meta_webhooks
from prosa.simulator.world import Bubble, Customer, File

FIXTURES = Path(__file__).parents[1] / "channels" / "fixtures" / "whatsapp_cloud" / "outbound"
REQUESTS = [
    pytest.param(path.read_text(), id=path.stem)
    for path in sorted(FIXTURES.glob("*.json"))
    if not path.name.startswith(("response", "mark_read"))
]
UPLOADED = {
    "1037543291543636": "image/jpeg",
    "1037543291543637": "application/pdf",
    "1037543291543638": "audio/ogg",
    "1037543291543639": "video/mp4",
    "1037543291543640": "image/webp",
}
ANA = Customer("5511988887777", "Ana", phone="5511988887777")
TEXT: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "+5511988887777",
    "type": "text",
    "text": {"body": "Olá"},
    "biz_opaque_callback_data": "prosa:msg:7",
}


async def call(stage: Any, method: str, path: str, *, token: str = "EAASIM-token", **kwargs: Any) -> tuple[int, Any]:
    url = path if path.startswith("http") else stage.graph + path
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers={"Authorization": f"Bearer {token}"}, **kwargs) as answer,
    ):
        body = await answer.read()
        return answer.status, json.loads(body) if "json" in answer.content_type else body


async def send(stage: Any, **changes: Any) -> tuple[int, Any]:
    return await call(stage, "POST", f"/{stage.whatsapp.key}/messages", json=TEXT | changes)


def told(stage: Any) -> list[dict[str, Any]]:
    return [json.loads(each.body)["entry"][0]["changes"][0]["value"]["statuses"][0] for each in stage.door.heard]


async def test_a_text_is_accepted_shown_and_reported_with_its_tracker(stage: Any) -> None:
    status, body = await send(stage)
    assert status == 200
    assert body["contacts"] == [{"input": "+5511988887777", "wa_id": "5511988887777"}]
    wamid = body["messages"][0]["id"]
    assert wamid.startswith("wamid.")
    await stage.world.settle()
    assert [(each["id"], each["status"], each["biz_opaque_callback_data"]) for each in told(stage)] == [
        (wamid, "sent", "prosa:msg:7"),
        (wamid, "delivered", "prosa:msg:7"),
    ]
    bubble = stage.world.thread_to(stage.whatsapp, "5511988887777").bubbles[wamid]
    assert (bubble.text, bubble.status) == ("Olá", "delivered")


async def test_every_webhook_is_signed_over_its_raw_bytes(stage: Any) -> None:
    await send(stage)
    await stage.world.settle()
    assert len(stage.door.heard) == 2
    for heard in stage.door.heard:
        expected = hmac.new(b"app-secret", heard.body, hashlib.sha256).hexdigest()
        assert heard.headers["x-hub-signature-256"] == f"sha256={expected}"


def test_json_is_escaped_as_meta_does() -> None:
    assert meta_webhooks.encode({"a": "é/😀"}) == b'{"a":"\\u00e9\\/\\ud83d\\ude00"}'


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "5511988887777"}, 131009),
        ({"to": "", "recipient": ""}, 131008),
        ({"text": {"body": ""}}, 131008),
        ({"text": {}}, 131008),
        ({"text": "Olá"}, 131008),
        ({"text": {"body": "x" * 4097}}, 100),
        ({"type": "poem"}, 100),
        ({"messaging_product": "sms"}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        ({"type": "image", "image": {"id": "1"}}, 131009),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": [{"type": "reply", "reply": {"id": str(n), "title": str(n)}} for n in range(4)]}}}, 131009),
        ({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "x" * 21}}]}}}, 100),
        ({"type": "interactive", "interactive": {"type": "list", "body": {"text": "?"}, "action": {"button": "Go", "sections": [{"rows": [{"id": str(n), "title": str(n)} for n in range(11)]}]}}}, 131009),
        ({"type": "template", "template": {"name": "hi"}}, 131008),
        ({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": 7}}}, 100),
    ],
)  # fmt: skip
async def test_what_meta_refuses_is_refused_and_not_shown(stage: Any, changes: dict[str, Any], code: int) -> None:
    status, body = await send(stage, **changes)
    assert (status, body["error"]["code"]) == (400, code)
    await stage.world.settle()
    assert stage.world.threads() == []
    assert stage.door.heard == []


async def test_limits_are_allowed_up_to_the_last_character(stage: Any) -> None:
    status, _ = await send(stage, text={"body": "x" * 4096})
    assert status == 200


async def test_a_wrong_token_and_an_unknown_number(stage: Any) -> None:
    status, body = await call(stage, "POST", f"/{stage.whatsapp.key}/messages", token="other", json=TEXT)
    assert (status, body["error"]["code"]) == (401, 190)
    status, body = await call(stage, "POST", "/999/messages", json=TEXT)
    assert (status, body["error"]["code"], body["error"]["error_subcode"]) == (400, 100, 33)


@pytest.mark.parametrize("request_body", REQUESTS)
async def test_every_fixture_of_a_request_is_accepted(stage: Any, request_body: str) -> None:
    for number, kind in UPLOADED.items():
        stage.world.keep(File(number, kind, b"x"))
    body = json.loads(request_body.replace("https://cdn.example", stage.url))
    status, answer = await call(stage, "POST", f"/{stage.whatsapp.key}/messages", json=body)
    assert (status, list(answer)) == (200, ["messaging_product", "contacts", "messages"])


async def test_a_user_without_phone_is_reached_by_user_id(stage: Any) -> None:
    someone = Customer("realsheena", "Sheena", username="realsheena")
    stage.world.thread(stage.whatsapp, someone)
    status, body = await call(
        stage,
        "POST",
        f"/{stage.whatsapp.key}/messages",
        json={k: v for k, v in TEXT.items() if k != "to"} | {"recipient": someone.user_id},
    )
    assert status == 200
    assert body["contacts"] == [{"input": someone.user_id, "user_id": someone.user_id}]
    assert len(stage.world.thread(stage.whatsapp, someone).bubbles) == 1


async def test_read_and_typing(stage: Any) -> None:
    thread = stage.world.thread(stage.whatsapp, ANA)
    for number in range(3):
        stage.world.put(thread, Bubble(f"wamid.{number}", "customer", "text", "oi", status="delivered"))
    status, body = await call(
        stage,
        "POST",
        f"/{stage.whatsapp.key}/messages",
        json={
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.1",
            "typing_indicator": {"type": "text"},
        },
    )
    assert (status, body) == (200, {"success": True})
    assert [bubble.status for bubble in thread.bubbles.values()] == ["read", "read", "delivered"]
    assert [each.data["on"] for each in stage.world.since(f"{stage.world.birth}-0") if each.name == "typing"] == [True]


async def test_media_goes_up_and_comes_down_with_the_token_only(stage: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("messaging_product", "whatsapp")
    form.add_field("type", "image/png")
    binary = bytes(range(256)) * 3 + b"\r\n--x\r\n\r\n"
    form.add_field("file", binary, filename="a.png", content_type="image/png")
    status, body = await call(stage, "POST", f"/{stage.whatsapp.key}/media", data=form)
    assert status == 200
    status, described = await call(stage, "GET", f"/{body['id']}")
    assert (described["sha256"], described["file_size"], described["mime_type"]) == (
        hashlib.sha256(binary).hexdigest(),
        len(binary),
        "image/png",
    )
    assert await call(stage, "GET", described["url"]) == (200, binary)
    assert (await call(stage, "GET", described["url"], token="other"))[0] == 401
    assert (await call(stage, "GET", described["url"].replace("ext=", "ext=9")))[0] == 404
    assert (await send(stage, type="image", image={"id": body["id"], "caption": "c"}))[0] == 200
    assert (await send(stage, type="audio", audio={"id": body["id"]}))[0] == 400


async def test_too_large_an_image_is_refused(stage: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("messaging_product", "whatsapp")
    form.add_field("file", io.BytesIO(b"x" * (5 * 1024 * 1024 + 1)), filename="a.jpg", content_type="image/jpeg")
    status, body = await call(stage, "POST", f"/{stage.whatsapp.key}/media", data=form)
    assert (status, body["error"]["code"]) == (400, 131053)


async def test_a_linked_file_is_fetched_or_reported_broken(stage: Any) -> None:
    await send(stage, type="image", image={"link": f"{stage.url}/nothing-here.png"})
    await stage.world.settle()
    assert [(each["status"], each["errors"][0]["code"]) for each in told(stage)] == [("failed", 131053)]


async def test_the_number_can_be_looked_at(stage: Any) -> None:
    status, body = await call(stage, "GET", f"/{stage.whatsapp.key}?fields=display_phone_number")
    assert (status, body["id"], body["display_phone_number"]) == (200, "106500000000001", "+5511900000001")


@pytest.mark.parametrize(("kind", "status", "code"), [("rate_limited", 429, 130429), ("broken", 500, 131000)])
async def test_refusing_mischief_strikes_as_often_as_told(stage: Any, kind: str, status: int, code: int) -> None:
    stage.world.mischief.add(kind, times=2)
    assert [(s, b["error"]["code"]) for s, b in [await send(stage), await send(stage)]] == [(status, code)] * 2
    assert stage.world.threads() == []
    assert (await send(stage))[0] == 200


async def test_a_dropped_connection_was_nevertheless_accepted(stage: Any) -> None:
    stage.world.mischief.add("drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(stage)
    await stage.world.settle()
    assert [each["biz_opaque_callback_data"] for each in told(stage)] == ["prosa:msg:7"] * 2


async def test_silence_duplicates_and_disorder(stage: Any) -> None:
    stage.world.mischief.add("silent")
    await send(stage)
    await stage.world.settle()
    assert stage.door.heard == []
    stage.world.mischief.add("duplicate")
    await send(stage)
    await stage.world.settle()
    assert [each["status"] for each in told(stage)] == ["sent", "sent", "delivered", "delivered"]
    stage.door.heard.clear()
    stage.world.mischief.add("out_of_order", seconds=0)
    await send(stage)
    await stage.world.settle()
    assert [each["status"] for each in told(stage)] == ["delivered", "sent"]
    stage.door.heard.clear()
    stage.world.mischief.add("undelivered")
    await send(stage)
    await stage.world.settle()
    assert [(each["status"], each.get("errors", [{}])[0].get("code")) for each in told(stage)] == [
        ("sent", None),
        ("failed", 131026),
    ]


async def test_mischief_by_http_is_for_this_machine_and_this_site(stage: Any) -> None:
    url = f"{stage.url}/simulator/mischief"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={"kind": "late", "seconds": 0.01, "times": None}) as answer:
            assert [rule["kind"] for rule in (await answer.json())["rules"]] == ["late"]
        async with session.post(url, json={"kind": "nonsense"}) as answer:
            assert answer.status == 400
        for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with session.post(url, json={"clear": True}, headers=headers) as answer:
                assert answer.status in {403, 404}
        async with session.post(url, data="clear=1") as answer:
            assert answer.status == 405
        assert [rule.kind for rule in stage.world.mischief.rules] == ["late"]
        async with session.delete(url) as answer:
            assert answer.status == 200
    assert stage.world.mischief.rules == []
