"""What the panes of the desk show, and what can be done in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.contacts.models import Fact, Identity
from prosa.conversations.models import Attachment, Conversation, Label, Message, State, Turn
from prosa.desk import about

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


def rows(client: Client, **asked: Any) -> str:
    return client.get("/agent/list", asked).content.decode()


# ── filters ──


def test_the_list_is_narrowed_by_what_the_address_says(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk):
    mine, his, plain = talk("Ana"), talk("Caio"), talk("Duda")
    team = Team.objects.create(business=bia.business, name="Vendas")
    label = Label.objects.create(business=bia.business, name="troca")
    mine.labels.add(label)
    Conversation.objects.filter(pk=his.pk).update(assignee=rui, team=team)
    client = at_desk(bia)
    for asked, wanted in (
        ({"label": label.pk}, {mine.pk}),
        ({"assignee": rui.pk}, {his.pk}),
        ({"team": team.pk}, {his.pk}),
        ({"inbox": mine.inbox_id}, {mine.pk, his.pk, plain.pk}),
        ({"label": label.pk, "assignee": rui.pk}, set()),
        ({"label": "x' OR 1"}, {mine.pk, his.pk, plain.pk}),
    ):
        page = rows(client, queue="waiting", **asked)
        assert {pk for pk in (mine.pk, his.pk, plain.pk) if f'id="row-{pk}"' in page} == wanted
    page = client.get("/agent/dashboard", {"queue": "waiting", "label": label.pk}).content.decode()
    assert f'<option value="{label.pk}" selected>troca</option>' in page
    assert 'data-narrowed="1"' in page
    assert 'data-narrowed=""' in client.get("/agent/dashboard").content.decode()


def test_the_next_page_keeps_filters(bia: Membership, at_desk: Desk, talk: Talk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("prosa.desk.queues.page.__defaults__", (None, "", 1))
    label = Label.objects.create(business=bia.business, name="troca")
    for name in ("Ana", "Bela"):
        talk(name).labels.add(label)
    page = rows(at_desk(bia), queue="waiting", label=label.pk)
    assert f"label={label.pk}" in page.partition('class="more"')[2]


# ── labels ──


def test_administrators_make_change_and_remove_labels(member: Any, at_desk: Desk, talk: Talk):
    client = at_desk(member("Ada", Role.ADMIN))
    client.post(reverse("desk:label-new"), {"name": "  troca   rápida ", "colour": "blue"})
    label = Label.objects.get()
    assert (label.name, label.colour) == ("troca rápida", "blue")
    talk().labels.add(label)
    assert "troca rápida" in client.get(reverse("desk:labels")).content.decode()
    client.post(reverse("desk:label-keep", args=[label.pk]), {"name": "Troca", "colour": "no such"})
    label.refresh_from_db()
    assert (label.name, label.colour) == ("Troca", "grey")
    client.post(reverse("desk:label-remove", args=[label.pk]))
    assert not Label.objects.exists()
    assert Conversation.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "TROCA"])
def test_a_label_that_cannot_be_is_refused_in_words(member: Any, at_desk: Desk, name: str):
    ada = member("Ada", Role.ADMIN)
    Label.objects.create(business=ada.business, name="troca")
    answer = at_desk(ada).post(reverse("desk:label-new"), {"name": name, "colour": "red"}, follow=True)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert Label.objects.count() == 1


def test_labels_are_the_administrators_and_of_one_business(
    bia: Membership, member: Any, at_desk: Desk, elsewhere: Business
):
    theirs = Label.objects.create(business=elsewhere, name="deles")
    assert at_desk(bia).get(reverse("desk:labels")).status_code == 403
    assert at_desk(bia).post(reverse("desk:label-new"), {"name": "x"}).status_code == 403
    client = at_desk(member("Ada", Role.ADMIN))
    assert "deles" not in client.get(reverse("desk:labels")).content.decode()
    assert client.post(reverse("desk:label-keep", args=[theirs.pk]), {"name": "x"}).status_code == 404
    assert client.post(reverse("desk:label-remove", args=[theirs.pk])).status_code == 404
    assert Label.objects.get().name == "deles"


# ── the customer ──


def test_identities_are_told_as_people_write_them(talk: Talk):
    conversation = talk()
    contact = conversation.contact
    contact.identities.all().delete()
    for key, address in (
        ("bsuid:BR.1234", ""),
        ("phone:5511987654321", "551187654321"),
        ("email:ana@exemplo.com", ""),
        ("user:7", "ana"),
        ("loja:9", ""),
    ):
        Identity.objects.create(business=conversation.business, contact=contact, key=key, address=address)
    found = about.known(contact)
    assert (found[0].icon, found[0].text, found[0].link) == ("i-phone", "+55 11 98765-4321", "tel:+5511987654321")
    assert {each.text for each in found[1:]} == {"WhatsApp account", "ana@exemplo.com", "ana", "9"}


def test_a_nameless_customer_is_called_by_their_number(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk("")
    conversation.contact.identities.update(key="phone:5511987654321")
    page = at_desk(bia).get(f"/agent/c/{conversation.pk}", headers={"HX-Request": "true"}).content.decode()
    assert '<h2 dir="auto">+55 11 98765-4321</h2>' in page


def test_what_is_remembered_can_be_erased(bia: Membership, member: Any, at_desk: Desk, talk: Talk, elsewhere: Business):
    conversation, theirs = talk(), talk("Eva", of=elsewhere)
    fact = Fact.objects.create(business=bia.business, contact=conversation.contact, text="Mora em Recife", key="a")
    kept = Fact.objects.create(business=elsewhere, contact=theirs.contact, text="Segredo", key="a")
    client = at_desk(bia)
    assert "Mora em Recife" in client.get(f"/agent/c/{conversation.pk}").content.decode()
    assert at_desk(member("Vera", Role.VIEWER)).post(
        reverse("desk:forget", args=[conversation.pk, fact.pk])
    ).status_code == 403  # fmt: skip
    assert client.post(reverse("desk:forget", args=[conversation.pk, kept.pk])).status_code == 404
    assert client.post(reverse("desk:forget", args=[theirs.pk, kept.pk])).status_code == 404
    answer = client.post(reverse("desk:forget", args=[conversation.pk, fact.pk]))
    assert 'id="contact"' in answer.content.decode()
    assert "Recife" not in answer.content.decode()
    assert list(Fact.objects.all()) == [kept]
    event = conversation.events.get(kind="forgotten")
    assert event.actor == f"user:{bia.user_id}"
    assert "Recife" not in str(event.data)


def test_the_pane_tells_other_conversations_and_what_happened(bia: Membership, at_desk: Desk, talk: Talk):
    before = talk()
    Conversation.objects.filter(pk=before.pk).update(state=State.RESOLVED)
    now = Conversation.objects.create(business=bia.business, inbox=before.inbox, contact=before.contact)
    client = at_desk(bia)
    client.post(reverse("desk:move", args=[now.pk, "take"]))
    page = client.get(reverse("desk:contact", args=[now.pk])).content.decode()
    assert reverse("desk:conversation", args=[before.pk]) in page
    assert "Bia" in page.partition("happened")[2] or "bia" in page.partition("happened")[2]


# ── bubbles ──


def test_hostile_and_long_words_are_text(bia: Membership, at_desk: Desk, talk: Talk):
    name = '<img src=x onerror=alert(1)>"&'
    conversation = talk(name)
    Message.objects.filter(conversation=conversation).update(text="<script>alert(1)</script>" + "a" * 900)
    client = at_desk(bia)
    for address in ("/agent/dashboard?queue=all", f"/agent/c/{conversation.pk}", "/agent/list?q=script"):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_ticks_are_named_symbols(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    made = [
        Message.objects.create(
            conversation=conversation, business=bia.business, inbox=conversation.inbox, direction="out",
            author="agent", sender=bia, text="oi", status=status,
        )
        for status in ("queued", "sent", "delivered", "read", "failed", "withdrawn")
    ]  # fmt: skip
    page = at_desk(bia).get(f"/agent/c/{conversation.pk}").content.decode()
    for message, (icon, name) in zip(
        made,
        [("i-clock", "queued"), ("i-check", "sent"), ("i-checks", "delivered"), ("i-checks", "read"),
         ("i-alert", "failed"), ("i-slash", "withdrawn")],
        strict=True,
    ):  # fmt: skip
        bubble = page.partition(f'id="m{message.pk}"')[2].partition("</li>")[0]
        assert f'#{icon}"' in bubble
        assert f'aria-label="{name}"' in bubble


def test_files_are_shown_as_what_they_are(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    message = conversation.messages.get()
    for kind, mime, words in (("image", "image/jpeg", ""), ("audio", "audio/ogg", "bom dia"), ("document", "x/y", "")):
        Attachment.objects.create(
            message=message, kind=kind, mime_type=mime, status="stored", filename=f"{kind}.bin", transcript=words
        )
    page = at_desk(bia).get(f"/agent/c/{conversation.pk}").content.decode()
    assert 'class="picture"' in page
    assert "<audio controls" in page
    assert "bom dia" in page
    assert "document.bin" in page


# ── why ──


def test_why_needs_no_rights_in_the_admin(bia: Membership, member: Any, at_desk: Desk, talk: Talk, elsewhere: Business):
    conversation = talk()
    turn = Turn.objects.create(
        conversation=conversation, business=bia.business, outcome="answered", started_at=conversation.created_at
    )
    Message.objects.create(
        conversation=conversation, business=bia.business, inbox=conversation.inbox, direction="out", author="bot",
        text="O kit custa R$ 10", status="sent", turn=turn,
    )  # fmt: skip
    client = at_desk(bia)
    assert reverse("desk:why", args=[turn.pk]) in client.get(f"/agent/c/{conversation.pk}").content.decode()
    page = client.get(reverse("desk:why", args=[turn.pk])).content.decode()
    assert "O kit custa R$ 10" in page
    assert "/admin/" not in page
    assert at_desk(member("Eva", of=elsewhere)).get(reverse("desk:why", args=[turn.pk])).status_code == 404


# ── what is not there ──


def test_what_is_not_there_is_said_in_the_desks_look(bia: Membership, member: Any, at_desk: Desk, client: Client):
    for address in ("/agent/nowhere", "/agent/c/999999999", "/agent/c/1/no/such", "/agent/why/9"):
        answer = at_desk(bia).get(address)
        assert answer.status_code == 404
        assert reverse("desk:dashboard") in answer.content.decode()
        assert client.get(address).status_code == 302
    gone = member("Lia")
    Membership.objects.filter(pk=gone.pk).update(left_at="2026-01-01T00:00Z")
    answer = at_desk(gone).get("/agent/dashboard")
    assert answer.status_code == 403
    assert reverse("desk:logout") in answer.content.decode()


def test_the_desk_asks_a_constant_number_of_queries(bia: Membership, at_desk: Desk, talk: Talk):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = at_desk(bia)
    conversation = talk()
    counted = []
    for _ in range(2):
        client.get(f"/agent/c/{conversation.pk}?queue=all")
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get(f"/agent/c/{conversation.pk}?queue=all")
        counted.append(len(asked))
        for n in range(12):
            other = talk(f"Cliente {n}")
            other.labels.add(Label.objects.create(business=bia.business, name=f"{n} {other.pk}"))
            Identity.objects.create(business=bia.business, contact=conversation.contact, key=f"user:{other.pk}")
            conversation.events.create(business=bia.business, kind="taken", actor=f"user:{bia.user_id}")
            message = Message.objects.create(
                conversation=conversation, business=bia.business, inbox=conversation.inbox, direction="in",
                author="customer", text="oi",
            )  # fmt: skip
            Attachment.objects.create(message=message, kind="image", status="stored")
    assert counted[0] + 2 >= counted[1]
