"""WhatsApp Cloud API: what every channel keeps."""

import hashlib
import hmac
from pathlib import Path

import pytest

from prosa import testing
from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import WebhookRequest
from prosa.errors import ChannelBroken, PermanentError, SlowDown, TemporaryError, UnknownOutcome, WindowClosed

FIXTURES = Path(__file__).parent / "fixtures/whatsapp_cloud"


def error(name: str) -> bytes:
    return (FIXTURES / f"outbound/response_error_{name}.json").read_bytes()


def code(number: int) -> dict:
    return {"error": {"message": f"(#{number}) something", "type": "OAuthException", "code": number}}


class TestWhatsAppCloud(testing.ChannelContract):
    provider = WhatsAppCloud()
    credentials = {
        "token": "EAAFICTIONALtoken",
        "phone_number_id": "106500000000001",
        "app_secret": "fictional-app-secret",
    }
    message = (FIXTURES / "text_username_with_phone.json").read_bytes()
    limit = 4096
    api_credential = "graph_url"
    previous_secret = "app_secret_previous"
    accepted = {"messages": [{"id": "wamid.OUTBOUND"}], "contacts": [{"input": "+12025550143", "wa_id": "12025550143"}]}
    # FACTS 1.9: built on the code, not on the status.
    failures = (
        (400, error("190_token"), ChannelBroken),
        (400, error("130429_throughput"), SlowDown),
        (400, error("131056_pair_rate"), SlowDown),
        (400, error("131047_window"), WindowClosed),
        (400, error("131009_param"), PermanentError),
        (400, error("131062_bsuid"), PermanentError),
        (400, error("131016_unavailable"), TemporaryError),
        (500, error("131047_window"), WindowClosed),
        (400, code(1), TemporaryError),
        (400, code(2), TemporaryError),
        (500, code(131000), TemporaryError),
        (400, code(0), ChannelBroken),
        (400, code(3), ChannelBroken),
        (400, code(10), ChannelBroken),
        (403, code(200), ChannelBroken),
        (403, code(299), ChannelBroken),
        (400, code(131005), ChannelBroken),
        (400, code(131042), ChannelBroken),
        (400, code(131048), ChannelBroken),
        (400, code(131031), ChannelBroken),
        (400, code(368), ChannelBroken),
        (400, code(4), SlowDown),
        (400, code(80007), SlowDown),
        (400, code(131026), PermanentError),
        (400, code(131050), PermanentError),
        (400, code(132000), PermanentError),
        (400, code(132069), PermanentError),
        (400, code(999999), PermanentError),
        (200, code(131047), WindowClosed),
        (502, b"<html>", UnknownOutcome),
        (404, b"not json", PermanentError),
        (400, {"error": "a string"}, PermanentError),
        (400, {"error": {"code": True}}, PermanentError),
        (400, {"error": {"code": 424242, "is_transient": True}}, TemporaryError),
    )

    def sign(self, body: bytes, secret: str | None = None) -> WebhookRequest:
        key = self.credentials["app_secret"] if secret is None else secret
        signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={signature}"}
        return WebhookRequest(
            "POST", "/webhook/whatsapp_cloud/shop/", b"", headers, body, "https://bot.example/webhook"
        )

    async def test_the_pair_limit_is_told_from_the_numbers(self, client, server):
        server.answers(400, error("131056_pair_rate")).answers(400, error("130429_throughput"))
        with pytest.raises(SlowDown) as pair:
            await self.deliver(client, server)
        with pytest.raises(SlowDown) as number:
            await self.deliver(client, server)
        assert (pair.value.pair, number.value.pair) == (True, False)
        assert (pair.value.code, number.value.code) == ("131056", "130429")
