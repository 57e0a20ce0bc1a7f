"""Who gets in, who is put out, and what strangers may ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from prosa.business.models import Business
from prosa.business.people import Invitation, Membership, Role
from prosa.desk.models import SignedIn

Member = Callable[..., Membership]
Desk = Callable[[Membership], Client]
PASSWORD = "um-segredo-bem-longo"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(member: Member) -> Membership:
    return member("Ada", Role.OWNER)


def with_password(member: Membership, email: str = "") -> User:
    user: User = member.user
    user.email = email or f"{user.username}@example.com"
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(user: User, onward: str = "") -> Client:
    client = Client()
    client.post("/agent/login", {"username": user.username, "password": PASSWORD, "next": onward})
    return client


def invitation(of: Client, email: str, role: str = "agent") -> str:
    mail.outbox.clear()
    assert of.post("/agent/members/invite", {"email": email, "role": role}).status_code == 302
    found = re.search(r"/agent/invitation/[\w-]+", str(mail.outbox[0].body))
    assert found
    return found[0]


def left(member: Membership, *, back: bool = False) -> None:
    Membership.objects.filter(pk=member.pk).update(left_at=None if back else timezone.now())


# ── sessions ──


def test_a_session_from_before_somebody_worked_here_owes_the_second_step(bia: Membership):
    user = with_password(bia)
    TOTPDevice.objects.create(user=user, name="Prosa", confirmed=True)
    left(bia)
    thief = sign_in(user)
    left(bia, back=True)
    for address in ("/agent/dashboard", "/agent/account", "/agent/audit"):
        assert thief.get(address)["Location"] == f"/agent/second?next={address}"


@pytest.mark.parametrize("end", ["others", "reset", "second step"])
def test_sessions_from_before_somebody_worked_here_are_ended_too(
    bia: Membership, ada: Membership, at_desk: Desk, end: str, monkeypatch: pytest.MonkeyPatch
):
    user = with_password(bia)
    left(bia)
    link = invitation(at_desk(ada), user.email)
    early = sign_in(user, link)
    assert early.post(link)["Location"] == "/agent/dashboard"
    forgotten = sign_in(user)
    here = sign_in(user)
    assert here.get("/agent/account").content.decode().count("<li>") >= 3
    keys = {each.session.session_key for each in (early, forgotten)}
    if end == "others":
        here.post("/agent/account/sessions/end")
    elif end == "second step":
        here.post("/agent/account/two-step/begin", {"password": PASSWORD})
        monkeypatch.setattr(TOTPDevice, "verify_token", lambda _self, _code: True)
        here.post("/agent/account/two-step/confirm", {"code": "123456"})
    else:
        from prosa.desk import sessions

        sessions.end_others(user, None)
    for client in (early, forgotten):
        assert client.get("/agent/account").status_code == 302
    # The event streams look for the rows of their sessions.
    from django.contrib.sessions.models import Session

    assert not Session.objects.filter(session_key__in=keys).exists()


def test_who_signs_in_over_somebody_elses_session_is_listed(bia: Membership, rui: Membership):
    one, other = with_password(bia), with_password(rui)
    client = sign_in(one)
    client.force_login(other)
    assert SignedIn.objects.get(user=other).session_key == client.session.session_key


def test_of_people_who_do_not_work_here_nothing_but_the_session_is_known(db: None):
    stranger = User.objects.create_user("kunde", "kunde@example.com", PASSWORD)
    sign_in(stranger)
    row = SignedIn.objects.get()
    assert (row.browser, row.address) == ("", None)


# ── invitations of who left ──


@pytest.mark.parametrize("how", ["removed", "demoted", "elsewhere"])
def test_who_is_sent_away_does_not_come_back_by_their_own_invitation(
    ada: Membership, member: Member, at_desk: Desk, how: str, business: Business
):
    max_ = member("Max", Role.ADMIN)
    with_password(max_, "max@example.com")
    link = invitation(at_desk(max_), "max2@example.com", "admin")
    client = at_desk(ada)
    if how == "removed":
        client.post(f"/agent/members/{max_.pk}/remove", {"sure": "1"})
    elif how == "demoted":
        client.post(f"/agent/members/{max_.pk}", {"role": "agent", "capacity": "6"})
    else:  # in the admin, by a script
        Membership.objects.filter(pk=max_.pk).update(role=Role.VIEWER)
    assert Client().get(link).status_code == 404
    assert Client().post(link, {"name": "M", "password": PASSWORD}).status_code == 404
    assert not User.objects.filter(email="max2@example.com").exists()
    if how != "elsewhere":
        assert Invitation.objects.get(email="max2@example.com").revoked_at
        assert "max2@example.com" in client.get("/agent/audit?kind=invitation_withdrawn").content.decode()


def test_who_is_demoted_is_not_raised_by_an_older_invitation(ada: Membership, member: Member, at_desk: Desk):
    max_ = member("Max", Role.ADMIN)
    user = with_password(max_, "max@example.com")
    business = ada.business
    Invitation.objects.create(
        business=business, email="MAX@example.com", role="admin", token_hash="h", invited_by=ada.user,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    mine = Invitation.objects.create(
        business=business, email="x@example.com", role="agent", token_hash="g", invited_by=ada.user,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    at_desk(ada).post(f"/agent/members/{max_.pk}", {"role": "agent", "capacity": "6"})
    assert Invitation.objects.get(email__iexact=user.email).revoked_at
    mine.refresh_from_db()
    assert mine.revoked_at is None
