"""The second step: set up, asked for at every door, slow to guess, and with a way out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from prosa.business.people import Membership
from prosa.desk import second_factor
from prosa.desk.access import seat_of
from prosa.desk.models import AuditEntry

PASSWORD = "um-segredo-bem-longo"
Desk = Callable[[Membership], Client]


@pytest.fixture
def user(bia: Membership) -> User:
    found: User = bia.user
    found.set_password(PASSWORD)
    found.save()
    return found


def code_of(user: User) -> str:
    """What the phone shows; the next one may be used at once."""
    device = TOTPDevice.objects.get(user=user)
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1, throttling_failure_count=0)
    made = TOTP(device.bin_key)
    made.time = time.time()
    return f"{made.token():06d}"


def rested(user: User) -> None:
    for model in (TOTPDevice, StaticDevice):
        model.objects.filter(user=user).update(throttling_failure_count=0, throttling_failure_timestamp=None)


def turned_on(client: Client, user: User) -> list[str]:
    """Set it up as a person does; the recovery codes."""
    assert client.post("/agent/account/two-step/begin", {"password": PASSWORD}).status_code == 302
    page = client.get("/agent/account/two-step").content.decode()
    assert "data:image/svg+xml" in page
    assert client.post("/agent/account/two-step/confirm", {"code": "000000"}).status_code == 422
    rested(user)
    shown = client.post("/agent/account/two-step/confirm", {"code": code_of(user)}).content.decode()
    return re.findall(r">([a-z2-9]{5}-[a-z2-9]{5})<", shown)


def password_given(user: User, door: str = "/agent/login") -> tuple[Client, Any]:
    client = Client()
    return client, client.post(door, {"username": user.username, "password": PASSWORD, "next": ""})


def test_it_takes_the_password_and_a_code_to_turn_it_on(bia: Membership, user: User, at_desk: Desk):
    client, other = at_desk(bia), at_desk(bia)
    assert client.post("/agent/account/two-step/begin", {"password": "errada"}).status_code == 422
    assert not TOTPDevice.objects.exists()
    codes = turned_on(client, user)
    assert len(set(codes)) == 10
    stored = set(StaticToken.objects.values_list("token", flat=True))
    assert not stored & {code.replace("-", "") for code in codes}
    assert TOTPDevice.objects.get(user=user).confirmed
    assert client.get("/agent/dashboard").status_code == 200
    # Browsers that never gave a code are out.
    assert other.get("/agent/dashboard")["Location"].startswith("/agent/login")
    assert AuditEntry.objects.filter(kind="second_step_on", user=user, business=bia.business).exists()
    assert codes[0] not in client.get("/agent/account/two-step").content.decode()


@pytest.mark.parametrize("door", ["/agent/login", "/admin/login/"])
def test_the_password_alone_shows_nothing_at_any_door(bia: Membership, user: User, at_desk: Desk, door: str):
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    turned_on(at_desk(bia), user)
    AuditEntry.objects.all().delete()
    client, _answer = password_given(user, door)
    for address in (
        "/agent/dashboard",
        "/agent/account",
        "/agent/list",
        "/agent/account/two-step",
        "/admin/",
        "/admin/auth/user/",
    ):
        away = client.get(address)
        assert away.status_code == 302, address
        assert away["Location"] == f"/agent/second?next={address}"
    assert client.post("/agent/account/two-step/off", {"password": PASSWORD}).status_code == 302
    assert client.post("/agent/available", {"on": "0"}).status_code == 302
    assert client.get("/agent/list", headers={"HX-Request": "true"}).status_code == 401
    request = RequestFactory().get("/agent/stream")  # the event stream asks for its seat by itself
    request.user, request.session = user, client.session
    assert seat_of(request) is None
    assert TOTPDevice.objects.filter(confirmed=True).exists()
    assert not AuditEntry.objects.filter(kind="signed_in").exists()
    assert client.post("/agent/second", {"code": code_of(user), "next": "/admin/"})["Location"] == "/admin/"
    assert client.get("/agent/dashboard").status_code == client.get("/admin/").status_code == 200
    assert AuditEntry.objects.filter(kind="signed_in", user=user).count() == 1


def test_a_code_works_once(bia: Membership, user: User, at_desk: Desk):
    turned_on(at_desk(bia), user)
    code = code_of(user)
    client, answer = password_given(user)
    assert answer["Location"] == "/agent/second?next=/agent/dashboard"
    assert client.post("/agent/second", {"code": f"{code[:3]} {code[3:]}"})["Location"] == "/agent/dashboard"
    client, _answer = password_given(user)
    assert client.post("/agent/second", {"code": code}).status_code == 422
    assert client.get("/agent/dashboard").status_code == 302


def test_wrong_codes_are_written_down_and_make_one_wait(bia: Membership, user: User, at_desk: Desk):
    turned_on(at_desk(bia), user)
    client, _answer = password_given(user)
    rested(user)
    for wrong in ("", "abc", "99999999999999999999", "ççç", "000000x"):
        assert client.post("/agent/second", {"code": wrong}).status_code == 422
    rested(user)
    TOTPDevice.objects.update(throttling_failure_count=9)
    assert client.post("/agent/second", {"code": "000000"}).status_code == 422
    said = client.post("/agent/second", {"code": code_of_untouched(user)})
    assert said.status_code == 422
    assert "Wait" in said.content.decode()
    assert client.get("/agent/dashboard").status_code == 302
    failed = AuditEntry.objects.filter(kind="second_step_failed", user=user, business=bia.business)
    assert failed.exists()
    assert failed.latest("pk").address == "127.0.0.1"


def code_of_untouched(user: User) -> str:
    device = TOTPDevice.objects.get(user=user)
    made = TOTP(device.bin_key)
    made.time = time.time()
    return f"{made.token():06d}"


def test_a_recovery_code_signs_in_once(bia: Membership, user: User, at_desk: Desk):
    codes = turned_on(at_desk(bia), user)
    client, _answer = password_given(user)
    assert client.post("/agent/second", {"code": codes[0].upper().replace("-", " ")}).status_code == 302
    assert client.get("/agent/dashboard").status_code == 200
    assert second_factor.codes_left(user) == 9
    assert AuditEntry.objects.filter(kind="recovery_used", user=user).exists()
    again, _answer = password_given(user)
    assert again.post("/agent/second", {"code": codes[0]}).status_code == 422
    rested(user)
    # New ones replace the old ones, and need the password.
    assert client.post("/agent/account/two-step/codes", {"password": "errada"}).status_code == 422
    page = client.post("/agent/account/two-step/codes", {"password": PASSWORD}).content.decode()
    fresh = re.findall(r">([a-z2-9]{5}-[a-z2-9]{5})<", page)
    assert len(fresh) == 10
    assert again.post("/agent/second", {"code": codes[1]}).status_code == 422
    rested(user)
    assert again.post("/agent/second", {"code": fresh[0]}).status_code == 302


def test_recovery_codes_outlive_a_change_of_the_secret_key(bia: Membership, user: User, settings: Any):
    codes = second_factor.new_codes(user)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-another-secret-key-another"
    assert second_factor.check(user, codes[0]) == ""
    assert second_factor.check(user, codes[0]) != ""


def test_anothers_codes_do_not_help(bia: Membership, rui: Membership, user: User, at_desk: Desk):
    turned_on(at_desk(bia), user)
    theirs = second_factor.new_codes(rui.user)
    client, _answer = password_given(user)
    assert client.post("/agent/second", {"code": theirs[0]}).status_code == 422


def test_it_is_turned_off_with_the_password(bia: Membership, user: User, at_desk: Desk):
    client = at_desk(bia)
    turned_on(client, user)
    assert client.post("/agent/account/two-step/off", {"password": "errada"}).status_code == 422
    assert TOTPDevice.objects.exists()
    assert client.post("/agent/account/two-step/off", {"password": PASSWORD}).status_code == 302
    assert not TOTPDevice.objects.exists()
    assert not StaticDevice.objects.exists()
    _client, answer = password_given(user)
    assert answer["Location"] == "/agent/dashboard"


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_to_another_site(bia: Membership, user: User, at_desk: Desk, onward: str):
    turned_on(at_desk(bia), user)
    client, _answer = password_given(user)
    assert client.post("/agent/second", {"code": code_of(user), "next": onward})["Location"] == "/agent/dashboard"


def test_the_admin_shows_whose_phone_is_asked_but_no_secret(admin_client: Client, user: User):
    device = TOTPDevice.objects.create(user=user, name="Prosa", confirmed=True)
    page = admin_client.get("/admin/otp_totp/totpdevice/").content.decode()
    page += admin_client.get(f"/admin/otp_totp/totpdevice/{device.pk}/change/").content.decode()
    assert user.username in page
    assert device.key not in page
