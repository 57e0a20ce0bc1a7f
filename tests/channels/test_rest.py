"""The REST channel: nothing through the door, one bubble, delivered when stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.channels.base import registered
from prosa.channels.providers.rest import Rest
from prosa.contracts import InboxConfig, Option, OutboundMessage, Reply, WebhookRequest
from prosa.errors import BadInput
from prosa.http import Client

rest = Rest()
inbox = InboxConfig(1, 1, "rest", "api", "", {})


def test_the_house_offers_three_channels():
    assert {"whatsapp_cloud", "twilio", "rest"} <= set(registered())


@given(body=st.binary())
def test_nothing_comes_through_the_door(body):
    request = WebhookRequest(
        "POST", "/webhook/rest/api/", b"", {"authorization": "Bearer x"}, body, "https://bot.example/"
    )
    assert not rest.verify(inbox, request)
    assert not rest.claims(request)
    assert rest.handshake(inbox, {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}) is None
    with pytest.raises(BadInput):
        rest.parse(body)


def test_markdown_stays_and_is_one_bubble():
    text = "# Prices\n\n**Tea** is 3.\n\n" + "and so on. " * 1000
    (bubble,) = rest.compose(Reply(text))
    assert bubble.text == text.strip()


def test_options_come_with_the_text():
    (bubble,) = rest.compose(Reply("Which?", (Option("a", "Tea"), Option("b", "Coffee", "strong"))))
    assert bubble.text == "Which?"
    assert bubble.payload["options"] == [
        {"id": "a", "title": "Tea", "description": ""},
        {"id": "b", "title": "Coffee", "description": "strong"},
    ]


@given(text=st.text(), times=st.integers(1, 1000))
def test_no_text_is_lost(text, times):
    whole = text * times
    assert "".join(bubble.text for bubble in rest.compose(Reply(whole))) == whole.strip()


async def test_a_send_is_delivered_at_once():
    async with Client() as client:
        sent = await rest.send(client, inbox, OutboundMessage("text", "Hi", tracker="42"))
    assert (sent.provider_id, sent.status) == ("rest-42", "delivered")
