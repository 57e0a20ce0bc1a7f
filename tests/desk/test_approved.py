"""Approved templates at the desk: chosen and sent also when the window is closed, never to who asked for silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from prosa.business.people import Membership
from prosa.channels.models import Inbox
from prosa.channels.providers.whatsapp_cloud import templates
from prosa.contacts.models import Contact
from prosa.conversations.models import Conversation, Message, State
from prosa.desk import approved
from prosa.errors import ChannelBroken
from prosa.simulator.graph_templates import TEMPLATES

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
VALUES = {"body.1": "Ana", "body.2": "Loja", "body.3": "o pedido"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which inboxes were asked for; all have the double's templates."""
    found: list[int] = []

    def ask(inbox: Inbox) -> Any:
        found.append(inbox.pk)
        return templates.read(TEMPLATES)

    monkeypatch.setattr(approved, "_ask", ask)
    approved._known.clear()
    return found


def silent(conversation: Conversation) -> Conversation:
    Conversation.objects.filter(pk=conversation.pk).update(last_inbound_at=timezone.now() - timedelta(hours=30))
    conversation.refresh_from_db()
    return conversation


def at(name: str, conversation: Conversation) -> str:
    return reverse(f"desk:{name}", args=[conversation.pk])


def template(name: str) -> str:
    return next(str(each["id"]) for each in TEMPLATES if each["name"] == name)


def test_they_are_shown_with_their_places(bia: Membership, at_desk: Desk, talk: Talk, asked: list[int]):
    conversation = silent(talk())
    page = at_desk(bia).get(at("templates", conversation)).content.decode()
    assert "retomar_conversa" in page
    assert "cupom_de_volta" not in page
    assert 'name="body.3" required' in page
    assert 'placeholder="o seu pedido"' in page
    assert '<mark data-place="body.1">' in page
    assert "End of the link of the button “Acompanhar”" in page


def test_the_channel_is_asked_every_ten_minutes(
    bia: Membership, at_desk: Desk, talk: Talk, asked: list[int], monkeypatch: pytest.MonkeyPatch
):
    conversation, client = talk(), at_desk(bia)
    for _ in range(3):
        client.get(at("templates", conversation))
    assert len(asked) == 1
    Inbox.objects.update(credentials={"token": "new"})  # another account may be behind it
    client.get(at("templates", conversation))
    assert len(asked) == 2
    monkeypatch.setattr(approved, "FRESH_S", 0.0)
    client.get(at("templates", conversation))
    assert len(asked) == 3


def test_one_is_sent_after_the_window_has_closed_and_once(bia: Membership, at_desk: Desk, talk: Talk, asked: list[int]):
    conversation, client = silent(talk()), at_desk(bia)
    assert client.post(at("reply", conversation), {"text": "oi"}).status_code == 422
    values = {"template": template("retomar_conversa"), "key": "k", "epoch": conversation.epoch, **VALUES}
    for _ in range(2):
        assert client.post(at("template", conversation), values | {"epoch": ""}).status_code == 204
    sent = Message.objects.get(direction="out")
    assert (sent.kind, sent.author, sent.status, sent.sender) == ("template", "agent", "queued", bia)
    assert sent.text.startswith("Olá Ana, aqui é da Loja. Podemos continuar a nossa conversa sobre o pedido?")
    assert (sent.payload["template"], sent.payload["language"]) == ("retomar_conversa", "pt_BR")
    conversation.refresh_from_db()
    assert (conversation.state, conversation.assignee) == (State.AGENT_ACTIVE, bia)
    assert "Sim, continuar" in client.get(at("conversation", conversation)).content.decode()


def test_what_is_not_right_is_told_and_nothing_is_sent(bia: Membership, at_desk: Desk, talk: Talk, asked: list[int]):
    conversation, client = silent(talk()), at_desk(bia)
    for values in (
        {"template": "1"},
        {"template": template("retomar_conversa"), "body.1": "Ana"},
        {"template": template("cupom_de_volta")},
    ):
        assert client.post(at("template", conversation), values).status_code == 422
    epoch = client.post(at("template", conversation), {"template": template("hello_world"), "epoch": "99"})
    assert epoch.status_code == 409
    Contact.objects.update(opted_out_at=timezone.now())
    refused = client.post(at("template", conversation), {"template": template("hello_world")})
    assert refused.status_code == 422
    assert "no more messages" in refused.content.decode()
    assert not Message.objects.filter(direction="out").exists()


def test_a_channel_that_refuses_is_told_calmly(
    bia: Membership, at_desk: Desk, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    def ask(_inbox: Inbox) -> Any:
        raise ChannelBroken("Meta refused with 190: token EAAB…")

    monkeypatch.setattr(approved, "_ask", ask)
    approved._known.clear()
    page = at_desk(bia).get(at("templates", talk())).content.decode()
    assert "refuses to show its templates" in page
    assert "EAAB" not in page


def test_channels_without_templates_have_no_button(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    assert 'id="choose-template"' in client.get(at("conversation", conversation)).content.decode()
    Inbox.objects.update(kind="rest")
    assert 'id="choose-template"' not in client.get(at("conversation", conversation)).content.decode()
    assert client.get(at("templates", conversation)).status_code == 404
