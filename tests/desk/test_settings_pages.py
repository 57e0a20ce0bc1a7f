"""What all settings pages share: the business they are of, the question before what cannot be undone, and the log of it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from prosa.business.models import Business, Guideline
from prosa.business.people import Invitation, Membership, Role, Team
from prosa.channels.models import Inbox
from prosa.contacts.models import Fact
from prosa.conversations.models import Conversation, Label
from prosa.desk import frame, resetting
from prosa.desk.models import AuditEntry, CannedReply, Knock, SignedIn

Member = Callable[..., Membership]
Desk = Callable[[Membership], Client]
PASSWORD = "um-segredo-bem-longo"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(member: Member) -> Membership:
    return member("Ada", Role.OWNER)


@pytest.fixture
def furnished(business: Business) -> Business:
    """A business with one of everything."""
    Label.objects.create(business=business, name="troca")
    Team.objects.create(business=business, name="Vendas")
    CannedReply.objects.create(business=business, shortcut="oi", text="Olá!")
    business.outlets.create(way="slack", name="Canal", address={"url": "https://hooks.slack.com/services/x"})
    Invitation.objects.create(
        business=business, email="x@example.com", token_hash="h", expires_at=timezone.now() + timedelta(days=1)
    )
    return business


def kinds(business: Business) -> list[str]:
    return list(AuditEntry.objects.filter(business=business).order_by("pk").values_list("kind", flat=True))


def pages(business: Business, member: Membership) -> list[str]:
    rows = {"team": business.teams, "label-keep": business.labels, "outlet": business.outlets}
    return [
        *(reverse(f"desk:{each.name}") for each in frame.ENTRIES),
        reverse("desk:team-new"),
        reverse("desk:team", args=[rows["team"].get().pk]),
        reverse("desk:outlet", args=[rows["outlet"].filter(member=None).get().pk]),
        reverse("desk:canned-one", args=[CannedReply.objects.get(business=business).pk]),
        reverse("desk:member", args=[member.pk]),
    ]


# ── of which business ──


def test_every_form_of_every_page_says_of_which_business_it_is(
    ada: Membership, bia: Membership, furnished: Business, at_desk: Desk
):
    at_desk(ada)
    client = at_desk(ada)
    for address in pages(furnished, bia):
        page = client.get(address).content.decode()
        for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", page, re.DOTALL):
            if reverse("desk:logout") in form or "/agent/business/" in form:
                continue
            assert f'name="for_business" value="{furnished.pk}"' in form, (address, form[:200])


def test_a_page_left_open_never_changes_another_business(ada: Membership, elsewhere: Business, at_desk: Desk):
    Membership.objects.create(business=elsewhere, user=ada.user, role=Role.OWNER)
    client = at_desk(ada)
    client.post(reverse("desk:choose", args=[ada.business.pk]))
    page = client.get("/agent/members").content.decode()
    (meant,) = set(re.findall(r'name="for_business" value="(\d+)"', page))
    client.post(reverse("desk:choose", args=[elsewhere.pk]))
    answer = client.post("/agent/members/invite", {"email": "x@example.com", "role": "admin", "for_business": meant})
    assert answer.status_code == 409
    said = answer.content.decode()
    assert "Nothing was changed" in said
    assert reverse("desk:choose", args=[ada.business.pk]) in said
    assert ada.business.name in said
    assert elsewhere.name in said
    assert not Invitation.objects.exists()
    assert client.post("/agent/labels/new", {"name": "x", "for_business": "٣"}).status_code == 409
    client.post(reverse("desk:choose", args=[ada.business.pk]))
    client.post("/agent/members/invite", {"email": "x@example.com", "role": "admin", "for_business": meant})
    assert Invitation.objects.get().business == ada.business


# ── are you sure? ──


def test_what_cannot_be_undone_is_asked_first_also_without_scripts(
    ada: Membership, bia: Membership, furnished: Business, at_desk: Desk
):
    client = at_desk(ada)
    asked = 0
    for address in pages(furnished, bia):
        page = client.get(address).content.decode()
        for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", page, re.DOTALL):
            if 'class="danger"' not in form or "two-step" in form:
                continue
            action = re.search(r'action="([^"]+)"', form)
            assert action
            if action[1] == reverse("desk:sessions-end"):  # one signs in again
                continue
            fields = {name: html.unescape(text) for name, text in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
            shown = client.post(action[1], fields, headers={"Referer": f"http://testserver{address}"})
            assert shown.status_code == 200, action[1]
            text = shown.content.decode()
            assert f"<h1>{html.escape(fields['ask'])}</h1>" in text
            assert f'href="http://testserver{address}"' in text
            fields = {name: html.unescape(text) for name, text in re.findall(r'name="(\w+)" value="([^"]*)"', text)}
            assert fields["sure"] == "1"
            assert client.post(action[1], fields).status_code == 302
            asked += 1
            if asked == 6:
                break
    assert asked == 6
    for model in (Label, Team, CannedReply):
        assert not model.objects.exists()
    assert not furnished.outlets.filter(member=None).exists()
    assert Invitation.objects.get().revoked_at
    bia.refresh_from_db()
    assert bia.left_at


# ── sessions ──


def test_one_browser_is_signed_out_and_the_last_use_is_shown(ada: Membership, bia: Membership, at_desk: Desk):
    here, there, other = at_desk(bia), at_desk(bia), at_desk(ada)
    for client in (here, there, other):
        client.get("/agent/account")
    rows = {each.session_key: each for each in SignedIn.objects.all()}
    row = rows[str(there.session.session_key)]
    assert row.seen_at
    assert (row.seen_at.minute, row.seen_at.second) == (0, 0)
    page = here.get("/agent/account").content.decode()
    end = reverse("desk:session-end", args=[row.pk])
    assert end in page
    assert "used about" in page
    assert reverse("desk:session-end", args=[rows[str(here.session.session_key)].pk]) not in page
    other.post(end)
    assert there.get("/agent/account").status_code == 200
    here.post(end)
    assert there.get("/agent/account").status_code == 302
    assert here.get("/agent/account").status_code == 200
    assert here.post(end).status_code == 302
    assert "sessions_ended" in kinds(bia.business)


def test_rows_of_sessions_that_are_over_are_forgotten(bia: Membership, at_desk: Desk):
    from django.contrib.sessions.models import Session

    here, there = at_desk(bia), at_desk(bia)
    Session.objects.filter(pk=there.session.session_key).delete()
    Knock.objects.create(key="x", created_at=timezone.now() - timedelta(days=2))
    resetting.forget()
    assert SignedIn.objects.get().session_key == here.session.session_key
    assert not Knock.objects.exists()


# ── the log ──


def test_the_log_tells_wrong_passwords_sign_outs_and_what_was_made(
    ada: Membership, at_desk: Desk, talk: Callable[..., Conversation]
):
    user: User = ada.user
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    client.post("/agent/login", {"username": "ada", "password": "errada"})
    client.post("/agent/login", {"username": "ninguem", "password": "errada"})
    client.post("/agent/login", {"username": "ada", "password": PASSWORD})
    client.post("/agent/canned", {"shortcut": "oi", "text": "Olá!"})
    reply = CannedReply.objects.get()
    client.post(f"/agent/canned/{reply.pk}", {"shortcut": "oi", "text": "Olá, {name}!"})
    client.post(f"/agent/canned/{reply.pk}/delete")
    client.post("/agent/labels/new", {"name": "troca", "colour": "red"})
    label = Label.objects.get()
    client.post(f"/agent/labels/{label.pk}", {"name": "trocas", "colour": "red"})
    client.post(f"/agent/labels/{label.pk}/remove")
    for on in ("0", "0", "1"):
        client.post("/agent/available", {"on": on})
    conversation = talk()
    fact = Fact.objects.create(business=ada.business, contact=conversation.contact, text="Mora em Recife", key="a")
    client.post(f"/agent/c/{conversation.pk}/forget/{fact.pk}")
    client.post("/agent/logout")
    assert kinds(ada.business) == [
        "password_failed", "signed_in", "canned_made", "canned_changed", "canned_deleted", "label_made", "label_changed",
        "label_removed", "away", "available", "fact_erased", "signed_out",
    ]  # fmt: skip
    assert "Recife" not in str(list(AuditEntry.objects.values_list("subject", "data")))
    page = at_desk(ada).get("/agent/audit").content.decode()
    for said in ("Wrong password", "Signed out", "Canned reply deleted", "Label made", "remembered"):
        assert said in page


def test_while_sign_in_is_paused_tries_do_not_fill_the_log(ada: Membership):
    ada.user.set_password(PASSWORD)
    ada.user.save()
    for _ in range(9):
        Client().post("/agent/login", {"username": "ada", "password": "errada"})
    assert 1 <= kinds(ada.business).count("password_failed") <= 6


def test_the_log_tells_what_was_changed_in_the_admin_to_its_business_only(
    admin_user: User, business: Business, elsewhere: Business, ada: Membership, at_desk: Desk
):
    from django.contrib.admin.models import CHANGE, DELETION, LogEntry

    inbox = Inbox.objects.create(
        business=business, slug="wa", kind="whatsapp_cloud", name="Balcão", routing_key="1", credentials={}
    )
    changed = [{"changed": {"fields": ["credentials", "name"]}}]
    for thing, flag, message in (
        (inbox, CHANGE, changed),
        (business, CHANGE, [{"changed": {"fields": ["handoff keywords"]}}]),
        (Guideline.objects.get(business=elsewhere), CHANGE, changed),
        (admin_user, CHANGE, changed),
        (inbox, DELETION, []),
    ):
        LogEntry.objects.log_actions(admin_user.pk, [thing], flag, message, single_object=True)
    assert kinds(business) == ["admin_changed", "admin_changed", "admin_deleted"]
    assert kinds(elsewhere) == ["admin_changed"]
    page = at_desk(ada).get("/agent/audit").content.decode()
    assert "Balcão" in page
    assert "credentials" in page
    assert "handoff keywords" in page
    assert elsewhere.name not in page
    assert "admin_changed" in page  # to narrow it by


# ── a forgotten password ──


def test_an_address_gets_one_link_in_a_while(bia: Membership, ada: Membership, monkeypatch: pytest.MonkeyPatch):
    for each in (bia, ada):
        each.user.email = f"{each.user.username}@example.com"
        each.user.set_password(PASSWORD)
        each.user.save()
    monkeypatch.setattr(resetting, "defer_once", lambda chore, _key, **arguments: chore(**arguments))
    answers = {Client().post("/agent/reset", {"email": "BIA@example.com"}).content for _ in range(3)}
    assert len(answers) == 1
    Client().post("/agent/reset", {"email": "ada@example.com"})
    assert [each.to for each in mail.outbox] == [["bia@example.com"], ["ada@example.com"]]
    Knock.objects.update(created_at=timezone.now() - resetting.PER_ADDRESS)
    Client().post("/agent/reset", {"email": "bia@example.com"})
    assert len(mail.outbox) == 3
    assert "example" not in str(list(Knock.objects.values()))


def test_a_client_asks_for_so_many_links_and_then_waits(bia: Membership, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(resetting, "defer_once", lambda _chore, _key, **arguments: asked.append(arguments["email"]))

    def ask(number: int, address: str) -> Any:
        return Client(REMOTE_ADDR=address).post("/agent/reset", {"email": f"n{number}@example.com"})

    for number in range(resetting.MOST_PER_CLIENT):
        assert ask(number, f"2001:db8::{number}").status_code == 200
    over = ask(99, "2001:db8::99")
    assert over.status_code == 429
    assert int(over["Retry-After"]) > 0
    assert 'role="alert"' in over.content.decode()
    assert len(asked) == resetting.MOST_PER_CLIENT
    assert ask(100, "203.0.113.9").status_code == 200
