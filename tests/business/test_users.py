"""Users of host projects have a name to sign in with; nothing else is sure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.db.models import Q

from prosa.business import users
from prosa.business.people import Membership


def test_who_has_no_names_is_called_by_what_they_sign_in_with():
    plain = SimpleNamespace(get_username=lambda: "vend-7")
    assert not hasattr(AbstractBaseUser, "get_full_name")
    assert users.called(plain) == users.first_name(plain) == "vend-7"
    assert users.called(User(username="bia")) == users.first_name(User(username="bia")) == "bia"
    bia = User(username="bia", first_name="Bia", last_name="Souza")
    assert (users.called(bia), users.first_name(bia)) == ("Bia Souza", "Bia")
    assert users.name_of(Membership(user=bia)) == "Bia Souza"


def test_nobody_is_asked_for_a_switch_they_do_not_have(monkeypatch: pytest.MonkeyPatch):
    assert users.active("user__") == Q(user__is_active=True)
    assert users.has_field("last_name")
    monkeypatch.setattr(users, "has_field", lambda _name: False)
    assert users.active("user__") == Q()
