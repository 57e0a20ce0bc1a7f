"""Setup makes what is missing, renews what the environment says, and leaves the rest alone."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from prosa import conf
from prosa.business.models import Business, Guideline
from prosa.business.people import Membership, Role
from prosa.channels.models import ApiKey, Inbox
from prosa.cli import apikey
from prosa.cli.demo import SLUG
from prosa.cli.setup import setup
from prosa.errors import ConfigurationError
from prosa.knowledge.models import ApprovedAnswer

pytestmark = pytest.mark.django_db


@pytest.fixture
def surroundings(monkeypatch):
    """Variables for ``conf.settings()``."""

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        conf.settings.cache_clear()

    yield put
    conf.settings.cache_clear()


def quiet(_text: str) -> None:
    pass


def test_the_demo_is_made_once_and_what_was_edited_stays(surroundings):
    made = setup(quiet, demo=True)
    assert made.admin == "admin"
    assert len(made.password) >= 12
    assert get_user_model().objects.get(username="admin").check_password(made.password)
    business = Business.objects.get()
    assert business.slug == SLUG
    assert set(business.inboxes.values_list("kind", flat=True)) == {"whatsapp_cloud", "twilio", "rest"}
    assert ApprovedAnswer.objects.count() == 8
    Guideline.objects.update(text="mine")
    before = {inbox.kind: (inbox.pk, inbox.credentials) for inbox in Inbox.objects.all()}

    surroundings(PROSA_PORT="9001")
    again = setup(quiet, demo=True)
    assert again.password == ""
    assert Guideline.objects.get().text == "mine"
    assert Business.objects.count() == 1
    assert ApprovedAnswer.objects.count() == 8
    after = {inbox.kind: (inbox.pk, inbox.credentials) for inbox in Inbox.objects.all()}
    assert after["whatsapp_cloud"][0] == before["whatsapp_cloud"][0]
    assert after["whatsapp_cloud"][1]["app_secret"] == before["whatsapp_cloud"][1]["app_secret"]
    assert ":9001/" in after["whatsapp_cloud"][1]["graph_url"]


def test_inboxes_come_from_the_environment(surroundings):
    surroundings(
        WHATSAPP_TOKEN="EAA1", WHATSAPP_PHONE_NUMBER_ID="111", WHATSAPP_APP_SECRET="s1", WHATSAPP_VERIFY_TOKEN="v1",
        TWILIO_ACCOUNT_SID="AC1", TWILIO_AUTH_TOKEN="t1", TWILIO_WHATSAPP_NUMBER="whatsapp:+14155238886",
        PROSA_PUBLIC_URL="https://bot.example", PROSA_ADMIN_EMAIL="dona@loja.example", PROSA_ADMIN_PASSWORD="uma senha longa",
    )  # fmt: skip
    made = setup(quiet)
    assert (made.admin, made.password) == ("dona@loja.example", "")
    assert get_user_model().objects.get(username="dona@loja.example").check_password("uma senha longa")
    whatsapp = Inbox.objects.get(kind="whatsapp_cloud")
    assert (whatsapp.routing_key, whatsapp.verify_token, whatsapp.is_default) == ("111", "v1", True)
    assert whatsapp.credentials["app_secret"] == "s1"
    assert Inbox.objects.get(kind="twilio").credentials["number"] == "+14155238886"
    assert Inbox.objects.filter(kind="rest").exists()
    assert ("https://bot.example/webhook/whatsapp_cloud/main/") in dict(made.webhooks).values()

    # A new token is taken over; a renamed inbox stays renamed.
    Inbox.objects.filter(pk=whatsapp.pk).update(name="Loja")
    surroundings(WHATSAPP_TOKEN="EAA2")
    setup(quiet)
    whatsapp.refresh_from_db()
    assert (whatsapp.name, whatsapp.credentials["token"]) == ("Loja", "EAA2")
    assert Inbox.objects.filter(kind="whatsapp_cloud").count() == 1


def test_an_existing_account_keeps_its_password(surroundings):
    setup(quiet)
    user = get_user_model().objects.get(username="admin")
    user.set_password("chosen by its owner")
    user.save()
    surroundings(PROSA_ADMIN_PASSWORD="another one")
    assert setup(quiet).password == ""
    user.refresh_from_db()
    assert user.check_password("chosen by its owner")


def test_a_real_inbox_does_not_answer_for_the_demo(surroundings):
    surroundings(WHATSAPP_TOKEN="EAA1", WHATSAPP_PHONE_NUMBER_ID="111")
    setup(quiet, demo=True)
    assert Inbox.objects.get(routing_key="111").business.slug != SLUG


def test_api_keys(surroundings):
    setup(quiet)
    key = apikey.issue("test", None)
    assert ApiKey.objects.get().matches(key)
    with pytest.raises(ConfigurationError, match="no REST inbox 'other'"):
        apikey.issue("test", "other")


def test_the_administrator_owns_the_first_business(surroundings):
    setup(quiet)
    place = Membership.objects.get()
    assert (place.user.get_username(), place.business, place.role) == ("admin", Business.objects.get(), Role.OWNER)
    # What was changed since stays.
    Membership.objects.update(role=Role.VIEWER)
    setup(quiet)
    assert Membership.objects.get().role == Role.VIEWER
