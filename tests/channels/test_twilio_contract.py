"""Twilio: what every channel keeps."""

import base64
import hashlib
import hmac
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st

from prosa import testing
from prosa.channels.providers.twilio import Twilio
from prosa.contracts import WebhookRequest
from prosa.errors import ChannelBroken, PermanentError, SlowDown, UnknownOutcome, WindowClosed

FIXTURES = Path(__file__).parent / "fixtures/twilio"
URL = "https://bot.example/webhook/twilio/shop/?channel=7"


def code(number: int) -> dict:
    return {"code": number, "message": "something", "more_info": "https://www.twilio.com/docs/errors", "status": 400}


class TestTwilio(testing.ChannelContract):
    provider = Twilio()
    credentials = {
        "account_sid": "AC00000000000000000000000000000001",
        "auth_token": "fictionalauthtoken",
        "number": "+1 202-555-0100",
    }
    message = (FIXTURES / "inbound_text.form").read_bytes()
    content_type = "application/x-www-form-urlencoded"
    limit = 1600
    api_credential = "api_url"
    previous_secret = "auth_token_previous"
    accepted = {"sid": "SM00000000000000000000000000000032", "status": "queued"}
    failures = (
        (400, (FIXTURES / "rest_error_21211_invalid_to.json").read_bytes(), PermanentError),
        (429, (FIXTURES / "rest_error_429.json").read_bytes(), SlowDown),
        (400, code(63016), WindowClosed),
        (400, code(63018), SlowDown),
        (401, code(20003), ChannelBroken),
        (401, b"", ChannelBroken),
        (400, code(63007), ChannelBroken),
        (400, code(63024), PermanentError),
        (400, code(21610), PermanentError),
        (400, code(21617), PermanentError),
        (500, code(20500), UnknownOutcome),
        (502, b"<html>", UnknownOutcome),
        (400, {"code": "63016"}, PermanentError),
        (404, b"[]", PermanentError),
    )

    def sign(self, body: bytes, secret: str | None = None) -> WebhookRequest:
        key = self.credentials["auth_token"] if secret is None else secret
        fields = sorted(set(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
        signed = URL + "".join(name + value for name, value in fields)
        signature = base64.b64encode(
            hmac.new(key.encode(), signed.encode("utf-8", "replace"), hashlib.sha1).digest()
        ).decode()
        headers = {"content-type": self.content_type, "x-twilio-signature": signature}
        return WebhookRequest("POST", "/webhook/twilio/shop/", b"channel=7", headers, body, URL)

    def broken(self, data: st.DataObject):
        yield from super().broken(data)
        fields = parse_qsl(self.message.decode(), keep_blank_values=True)
        index = data.draw(st.integers(0, len(fields) - 1))
        fields[index] = (fields[index][0], data.draw(st.text(max_size=20) | st.just("x" * 300)))
        extra = data.draw(
            st.sampled_from((
                [], [("NumMedia", "99"), ("MediaUrl0", "")], [("MediaUrl0", "::"), ("MediaContentType0", "")], [("Latitude", "x")],
                [("MessageStatus", "delivered")], [("MessageStatus", "exploded")], [("MessageType", "hologram"), ("Body", "")],
                [("ListId", "1")], [("ButtonPayload", "")], [("ChannelMetadata", "{")],
            ))
        )  # fmt: skip
        yield urlencode(fields + extra, errors="replace").encode()
