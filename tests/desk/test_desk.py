"""What people do at the desk, and what they may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.conversations.lanes import Dispatch, Lane
from prosa.conversations.models import Attachment, Conversation, Label, Message, State
from prosa.desk.models import Note, Place

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


def go(client: Client, name: str, conversation: Conversation, **values: Any) -> Any:
    if name in ("reply", "note", "draft"):
        return client.post(reverse(f"desk:{name}", args=[conversation.pk]), values)
    return client.post(reverse("desk:move", args=[conversation.pk, name]), values)


def of(conversation: Conversation) -> Conversation:
    conversation.refresh_from_db()
    return conversation


# ── who comes in ──


def test_strangers_are_asked_to_sign_in(client: Client, talk: Talk):
    conversation = talk()
    for address in ("/agent/", "/agent/dashboard", "/agent/list", f"/agent/c/{conversation.pk}"):
        answer = client.get(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/agent/login?next=")
    assert client.get("/agent/list", headers={"HX-Request": "true"}).status_code == 401
    assert client.post(f"/agent/c/{conversation.pk}/take").status_code == 302
    assert of(conversation).state == State.AWAITING_AGENT


def test_who_works_nowhere_sees_nothing(member: Any, at_desk: Desk, talk: Talk):
    gone = member("Lia")
    gone.left_at = timezone.now()
    gone.save()
    assert at_desk(gone).get("/agent/dashboard").status_code == 403


def test_a_business_never_sees_anothers(
    bia: Membership, at_desk: Desk, talk: Talk, elsewhere: Business, member: Callable[..., Membership]
):
    theirs = talk("Segredo", of=elsewhere)
    Attachment.objects.create(message=theirs.messages.get(), kind="image", status="stored")
    label = Label.objects.create(business=elsewhere, name="deles")
    other = member("Eva", of=elsewhere)
    mine = talk("Ana")
    client = at_desk(bia)
    assert "Segredo" not in client.get("/agent/dashboard?queue=all").content.decode()
    for address in (f"/agent/c/{theirs.pk}", f"/agent/c/{theirs.pk}/since", f"/agent/c/{theirs.pk}/stretch?before=9"):
        assert client.get(address).status_code == 404
    for name in ("take", "resolve", "reply", "note", "draft", "assign"):
        assert go(client, name, theirs, text="oi").status_code == 404
    assert client.get(f"/agent/file/{Attachment.objects.get().pk}").status_code == 404
    assert client.post(reverse("desk:label", args=[mine.pk, label.pk]), {"on": "1"}).status_code == 404
    assert go(client, "assign", mine, to=f"member:{other.pk}").status_code == 422
    assert of(theirs).state == State.AWAITING_AGENT


def test_a_viewer_looks_and_touches_nothing(member: Any, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(member("Vera", Role.VIEWER))
    page = client.get(f"/agent/c/{conversation.pk}").content.decode()
    assert "oi, sou Ana" in page
    assert 'id="composer"' not in page
    for name in ("take", "resolve", "reply", "note"):
        assert go(client, name, conversation, text="oi").status_code == 403
    assert of(conversation).state == State.AWAITING_AGENT


def test_a_superuser_has_a_place_everywhere(admin_client: Client, talk: Talk):
    conversation = talk()
    assert admin_client.get(f"/agent/c/{conversation.pk}").status_code == 200
    assert Membership.objects.get().role == Role.OWNER


# ── taking and writing ──


def test_a_reply_takes_the_conversation_and_leaves(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk(state=State.BOT)
    assert go(at_desk(bia), "reply", conversation, text="Oi, *Ana*!").status_code == 204
    assert of(conversation).state == State.AGENT_ACTIVE
    assert conversation.assignee == bia
    message = Message.objects.get(direction="out")
    assert (message.author, message.text, message.status, message.sender) == ("agent", "Oi, *Ana*!", "queued", bia)
    assert message.epoch == conversation.epoch
    assert Dispatch.objects.get(conversation=conversation, lane=Lane.DELIVERIES).run_at is not None
    assert conversation.events.get(kind="person_replied").actor == f"user:{bia.user_id}"


def test_pressing_twice_sends_once(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(bia)
    for _ in range(2):
        assert go(client, "reply", conversation, text="Oi!", key="k1").status_code == 204
    assert go(client, "reply", conversation, text="Oi!", key="k2").status_code == 204
    assert Message.objects.filter(direction="out").count() == 2


def test_two_people_at_once_one_is_told(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    seen = conversation.epoch
    assert go(at_desk(bia), "take", conversation, epoch=seen).status_code == 204
    late = go(at_desk(rui), "take", conversation, epoch=seen)
    assert late.status_code == 409
    assert "Bia" in late.content.decode()
    late = go(at_desk(rui), "reply", conversation, text="oi", epoch=seen)
    assert late.status_code == 409
    assert "Bia" in late.content.decode()
    assert of(conversation).assignee == bia
    assert not Message.objects.filter(direction="out").exists()
    # Whoever has looked may still do it.
    assert go(at_desk(rui), "take", conversation, epoch=of(conversation).epoch).status_code == 204
    assert of(conversation).assignee == rui


def test_who_has_it_writes_on_though_their_page_is_a_moment_behind(
    bia: Membership, rui: Membership, at_desk: Desk, talk: Talk
):
    conversation = talk()
    seen = conversation.epoch
    client = at_desk(bia)
    for number in range(3):
        assert go(client, "reply", conversation, text=str(number), epoch=seen).status_code == 204
    assert go(at_desk(rui), "take", conversation).status_code == 204
    assert go(client, "reply", conversation, text="3", epoch=seen).status_code == 409


@pytest.mark.parametrize("text", ["", "   ", "x" * 4097])
def test_what_cannot_be_sent_is_refused_and_changes_nothing(bia: Membership, at_desk: Desk, talk: Talk, text: str):
    conversation = talk()
    assert go(at_desk(bia), "reply", conversation, text=text).status_code == 422
    assert of(conversation).state == State.AWAITING_AGENT


def test_outside_the_window_nothing_is_typed_into_the_void(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    Conversation.objects.update(last_inbound_at=timezone.now() - timedelta(hours=25))
    answer = go(at_desk(bia), "reply", conversation, text="ainda aí?")
    assert answer.status_code == 422
    assert "24" in answer.content.decode()
    assert not Message.objects.filter(direction="out").exists()
    assert "data-closed" in at_desk(bia).get(f"/agent/c/{conversation.pk}").content.decode()


def test_a_blocked_contact_is_not_written_to(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(bia)
    assert go(client, "block", conversation).status_code == 204
    assert go(client, "reply", conversation, text="oi").status_code == 422
    assert go(client, "unblock", conversation).status_code == 204
    assert go(client, "reply", conversation, text="oi").status_code == 204


def test_a_file_goes_out_with_its_words(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    picture = SimpleUploadedFile("../foto.png", b"\x89PNG\r\n\x1a\n" + b"0" * 64, "image/png")
    assert go(at_desk(bia), "reply", conversation, text="olha", file=picture).status_code == 204
    message = Message.objects.get(direction="out")
    attachment = message.attachments.get()
    assert (message.kind, message.text) == ("image", "olha")
    assert (attachment.kind, attachment.status, attachment.filename) == ("image", "stored", "foto.png")
    shown = at_desk(bia).get(f"/agent/file/{attachment.pk}")
    assert shown["Content-Type"] == "image/png"
    assert b"".join(shown) == picture.file.getvalue()  # type: ignore[attr-defined]


def test_a_note_never_leaves(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(bia)
    assert go(client, "note", conversation, text="cliente difícil").status_code == 204
    assert Note.objects.get().text == "cliente difícil"
    assert not Message.objects.filter(direction="out").exists()
    assert of(conversation).state == State.AWAITING_AGENT
    assert "cliente difícil" in client.get(f"/agent/c/{conversation.pk}").content.decode()


def test_a_draft_is_kept_and_colleagues_are_warned(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    assert go(at_desk(bia), "draft", conversation, text="Oi, An").status_code == 204
    assert ">Oi, An</textarea>" in at_desk(bia).get(f"/agent/c/{conversation.pk}").content.decode()
    theirs = at_desk(rui).get(f"/agent/c/{conversation.pk}").content.decode()
    assert "Bia" in theirs
    assert "Oi, An" not in theirs
    go(at_desk(bia), "reply", conversation, text="Oi, Ana!")
    assert Place.objects.get(member=bia).draft == ""
    assert "typing warn" not in at_desk(rui).get(f"/agent/c/{conversation.pk}").content.decode()


# ── moves ──


def test_the_way_of_a_conversation(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk, business: Business):
    conversation = talk()
    team = Team.objects.create(business=business, name="Vendas")
    client = at_desk(bia)
    steps = [
        ("take", {}, State.AGENT_ACTIVE, bia, None),
        ("assign", {"to": f"member:{rui.pk}"}, State.AWAITING_AGENT, rui, None),
        ("assign", {"to": f"team:{team.pk}"}, State.AWAITING_AGENT, None, team),
        ("assign", {"to": ""}, State.AWAITING_AGENT, None, None),
        ("assign", {"to": f"member:{bia.pk}"}, State.AGENT_ACTIVE, bia, None),
        ("snooze", {"until": "tomorrow"}, State.AGENT_ACTIVE, bia, None),
        ("give-back", {}, State.BOT, None, None),
        ("take", {}, State.AGENT_ACTIVE, bia, None),
        ("resolve", {}, State.RESOLVED, bia, None),
        ("reopen", {}, State.AGENT_ACTIVE, bia, None),
    ]
    for name, values, state, assignee, its_team in steps:
        assert go(client, name, conversation, **values).status_code == 204, name
        assert (of(conversation).state, conversation.assignee, conversation.team) == (state, assignee, its_team), name
    assert conversation.events.count() == len(steps)
    assert conversation.snoozed_until is None


def test_a_snoozed_one_is_back_when_the_customer_writes(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(bia)
    go(client, "take", conversation)
    go(client, "snooze", conversation, until="hour")
    row = f'id="row-{conversation.pk}"'
    assert row in client.get("/agent/list?queue=snoozed").content.decode()
    assert row not in client.get("/agent/list?queue=mine").content.decode()
    Conversation.objects.update(last_inbound_id=10**9)
    assert row not in client.get("/agent/list?queue=snoozed").content.decode()
    assert row in client.get("/agent/list?queue=mine").content.decode()


@pytest.mark.parametrize("until", ["yesterday", "2020-01-01T10:00"])
def test_nobody_snoozes_into_the_past(bia: Membership, at_desk: Desk, talk: Talk, until: str):
    conversation = talk()
    assert go(at_desk(bia), "snooze", conversation, until=until).status_code == 422


def test_what_does_not_apply_is_refused_in_words(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk(state=State.RESOLVED)
    answer = go(at_desk(bia), "take", conversation)
    assert answer.status_code == 422
    assert "problem" in answer.content.decode()
    assert go(at_desk(bia), "dance", conversation).status_code == 404
    newer = talk("Ana de novo")
    Conversation.objects.filter(pk=newer.pk).update(contact=conversation.contact)
    assert go(at_desk(bia), "reopen", conversation).status_code == 422


# ── the list ──


def test_the_longest_waiting_comes_first_and_the_rest_by_the_newest(bia: Membership, at_desk: Desk, talk: Talk):
    old, new = talk("Antiga"), talk("Nova")
    now = timezone.now()
    Conversation.objects.filter(pk=old.pk).update(
        state_at=now - timedelta(hours=2), last_inbound_at=now - timedelta(hours=2)
    )
    client = at_desk(bia)
    for queue, first, second in (("waiting", old, new), ("all", new, old)):
        page = client.get(f"/agent/list?queue={queue}").content.decode()
        assert 0 < page.index(f"row-{first.pk}") < page.index(f"row-{second.pk}")


@pytest.mark.parametrize("queue", ["waiting", "all"])
def test_every_page_of_a_queue_holds_each_row_once(bia: Membership, at_desk: Desk, talk: Talk, queue: str):
    made = {talk(f"C{number}").pk for number in range(45)}
    Conversation.objects.update(state_at=timezone.now(), last_inbound_at=timezone.now())
    client = at_desk(bia)
    seen: list[int] = []
    address = f"/agent/list?queue={queue}"
    while address:
        answer = client.get(address)
        seen += [row.id for row in answer.context["page"].rows]
        following = answer.context["page"].next
        address = f"/agent/list?queue={queue}&after={following.replace('+', '%2B')}" if following else ""
    assert len(seen) == 45
    assert set(seen) == made


@pytest.mark.parametrize(
    "query", ["queue=nonsense", "queue=all&after=x", "queue=all&inbox=x&label=9999999999999999999"]
)
def test_strange_addresses_are_no_errors(bia: Membership, at_desk: Desk, talk: Talk, query: str):
    talk()
    assert at_desk(bia).get(f"/agent/list?{query}").status_code == 200
    assert at_desk(bia).get(f"/agent/dashboard?{query}").status_code == 200


def test_opening_a_long_conversation_takes_as_few_queries_as_a_short_one(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk()
    client = at_desk(bia)
    client.get(f"/agent/c/{conversation.pk}")
    with CaptureQueriesContext(connection) as short:
        client.get(f"/agent/c/{conversation.pk}")
    Message.objects.bulk_create(
        Message(
            conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="in", author="customer", text=f"linha {number}"
        )
        for number in range(500)
    )  # fmt: skip
    with CaptureQueriesContext(connection) as long:
        page = client.get(f"/agent/c/{conversation.pk}").content.decode()
    assert len(long) <= len(short)
    assert "linha 499" in page
    assert "linha 100<" not in page
    older = client.get(f"/agent/c/{conversation.pk}/stretch?before={page.split('data-message=')[1].split(chr(34))[1]}")
    assert "linha 430" in older.content.decode()


def test_what_customers_write_is_text(bia: Membership, at_desk: Desk, talk: Talk):
    conversation = talk("<script>alert(1)</script>")
    Message.objects.update(text='<img src=x onerror=alert(1)> *forte* https://ex.br/a_b_c "<b>"')
    page = at_desk(bia).get(f"/agent/c/{conversation.pk}").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<strong>forte</strong>" in page
    assert 'href="https://ex.br/a_b_c"' in page
