"""What doctor says about inboxes."""

import pytest
from django.utils import timezone

from prosa import conf
from prosa.business.models import Business
from prosa.channels import checks
from prosa.channels.models import Inbox

WHATSAPP = {"token": "EAAFICTIONAL", "phone_number_id": "1", "app_secret": "s3cret"}


@pytest.fixture
def business(db):
    return Business.objects.create(name="Shop", slug="shop")


@pytest.fixture(autouse=True)
def public_url(monkeypatch):
    def set_to(url, **more):
        made = conf.Settings(public_url=url, secret_key="x" * 40, **more)
        monkeypatch.setattr(checks, "settings", lambda: made)

    set_to("https://bot.example")
    return set_to


def inbox(business, **more):
    return Inbox.objects.create(
        business=business, **{"kind": "whatsapp_cloud", "name": "Shop", "slug": "shop", "credentials": WHATSAPP, **more}
    )


def found():
    return [(finding.level, finding.subject) for finding in checks.doctor_checks()]


def test_no_inbox_is_worth_a_word(business):
    assert found() == [("warning", "inboxes")]
    inbox(business, active=False)
    assert found() == [("warning", "inboxes")]


def test_a_good_inbox_is_fine(business):
    inbox(business)
    inbox(business, kind="rest", slug="api", credentials={})
    assert found() == [("ok", "inbox shop"), ("ok", "inbox api")]


def test_missing_credentials_are_named_and_given_ones_are_not_shown(business):
    inbox(business, credentials={"token": "EAAFICTIONAL"})
    (finding,) = checks.doctor_checks()
    assert (finding.level, finding.text) == ("error", "Credentials are missing: Phone number ID, App secret.")
    assert "EAAFICTIONAL" not in repr(finding)


def test_trouble_and_unknown_kinds_are_errors(business):
    inbox(business, trouble="Meta refused with 190: expired\nCheck it.", trouble_at=timezone.now())
    inbox(business, slug="other", kind="carrier_pigeon")
    findings = list(checks.doctor_checks())
    assert [finding.level for finding in findings] == ["error", "error"]
    assert "190" in findings[0].text
    assert "carrier_pigeon" in findings[1].text
    assert all(finding.fix for finding in findings)


@pytest.mark.parametrize("url", ["", "http://bot.example"])
def test_webhooks_need_https(business, public_url, url):
    public_url(url)
    inbox(business)
    inbox(business, kind="rest", slug="api", credentials={})
    assert found() == [("warning", "inbox shop"), ("ok", "inbox api")]


@pytest.mark.parametrize(
    ("kind", "url", "told"),
    [("twilio", "", True), ("twilio", "https://bot.example", False), ("whatsapp_cloud", "", False)],
)
def test_who_fetches_voice_notes_needs_an_address(business, public_url, kind, url, told):
    credentials = WHATSAPP | {"account_sid": "AC1", "auth_token": "t", "number": "+551130000000"}
    inbox(business, kind=kind, credentials=credentials)
    public_url(url, speech_model="openai:gpt-4o-mini-tts")
    assert any("voice notes" in finding.text for finding in checks.doctor_checks()) is told
    public_url(url)
    assert not any("voice notes" in finding.text for finding in checks.doctor_checks())
