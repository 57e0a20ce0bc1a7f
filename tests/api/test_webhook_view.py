"""In a host project without the ASGI door, Django's view stores and answers the same."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.conversations.models import Message, WebhookEvent
from prosa.postgres import shared

SECRET = "secret-of-the-app"
NUMBER = "106500000000001"


@pytest.fixture
def inbox(surroundings: Any) -> Inbox:
    business = Business.objects.create(name="Shop", slug="shop")
    credentials = {"app_secret": SECRET, "phone_number_id": NUMBER, "token": "t"}
    return Inbox.objects.create(
        business=business, kind="whatsapp_cloud", name="W", slug="w", routing_key=NUMBER, credentials=credentials, verify_token="ours"
    )  # fmt: skip


def body(text: str = "oi") -> bytes:
    message = {
        "from": "5511987650001",
        "id": "wamid.1",
        "timestamp": "1790000000",
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "5511987650001"}],
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


def post(raw: bytes, path: str = "/webhook/whatsapp_cloud/w/", secret: str = SECRET) -> Any:
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return Client(enforce_csrf_checks=True).post(
        path, raw, content_type="application/json", headers={"x-hub-signature-256": signature}
    )


def test_a_signed_webhook_is_stored_once(inbox: Inbox):
    assert [post(body()).status_code for _ in range(2)] == [200, 200]
    assert Message.objects.get().text == "oi"
    assert WebhookEvent.objects.count() == 2


async def test_it_is_the_same_under_asgi(inbox: Inbox):
    raw = body("olá")
    signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    response = await AsyncClient().post("/webhook/whatsapp_cloud/w/", raw, content_type="application/json", headers={"x-hub-signature-256": signature})  # fmt: skip
    assert response.status_code == 200
    assert (await Message.objects.aget()).text == "olá"


def test_the_bare_address_knows_the_provider_by_its_signature(inbox: Inbox):
    assert post(body(), "/webhook").status_code == 200
    assert Message.objects.count() == 1


def test_what_the_door_refuses_the_view_refuses(inbox: Inbox):
    assert post(body(), secret="another").status_code == 403
    assert post(body(), "/webhook/whatsapp_cloud/other/").status_code == 404
    assert post(b"x" * (4 * 1024 * 1024 + 1)).status_code == 413
    assert Client().put("/webhook/whatsapp_cloud/w/").status_code == 405
    assert WebhookEvent.objects.count() == 0


def test_a_signed_body_nobody_knows_is_kept(inbox: Inbox):
    assert post(b"\x00 not json").status_code == 200
    assert WebhookEvent.objects.get().outcome == "unparsed"


def test_the_handshake(inbox: Inbox):
    query = {"hub.mode": "subscribe", "hub.verify_token": "ours", "hub.challenge": "42"}
    response = Client().get("/webhook/whatsapp_cloud/w/", query)
    assert (response.status_code, response.content) == (200, b"42")
    assert Client().get("/webhook/whatsapp_cloud/w/", query | {"hub.verify_token": "x"}).status_code == 403


def test_without_database_the_provider_is_asked_to_come_again(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(shared, "dsn", lambda: f"postgresql://nobody@/nothing?host={tmp_path}")
    response = post(body())
    assert (response.status_code, response["retry-after"]) == (503, "5")


def test_the_api_works_without_the_door(inbox: Inbox):
    from tests.api.conftest import shop

    _, key = shop("aurora")
    response = Client().post("/api/v1/messages", {"user_id": "a", "text": "b"}, content_type="application/json", headers={"x-api-key": key, "prefer": "wait=0"})  # fmt: skip
    assert (response.status_code, response.json()["status"]) == (202, "waiting")
    assert Message.objects.get().text == "b"
