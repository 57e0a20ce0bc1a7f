"""Inboxes: credentials go in and never come out; mistakes are told; the test asks the provider."""

import asyncio
import io

import pytest
from django.core.management import call_command
from django.urls import reverse

from prosa.channels import admin as channels_admin
from prosa.channels import base
from prosa.channels.models import ApiKey, Inbox
from prosa.contracts import Finding
from prosa.errors import TemporaryError

from .conftest import SECRET

ADD = "admin:prosa_channels_inbox_add"


def change(inbox):
    return reverse("admin:prosa_channels_inbox_change", args=[inbox.pk])


def form(business, **changes):
    data = {
        "business": business.pk,
        "name": "Loja 2",
        "slug": "loja-2",
        "active": "on",
        "verify_token": "tok",
        "credential_phone_number_id": "222",
    }
    return data | changes


def errors(answer):
    return answer.context["adminform"].form.errors


def test_the_kind_is_chosen_first(admin_client, db):
    page = admin_client.get(reverse(ADD)).content.decode()
    assert all(f"?kind={kind}" in page for kind in base.registered())
    assert "credential_token" in admin_client.get(reverse(ADD), {"kind": "whatsapp_cloud"}).content.decode()
    assert "?kind=" in admin_client.get(reverse(ADD), {"kind": "no-such-kind"}).content.decode()


def test_a_new_inbox_is_routable_and_its_secrets_sealed(admin_client, business):
    data = form(business, credential_token=SECRET, credential_app_secret="app")
    answer = admin_client.post(f"{reverse(ADD)}?kind=whatsapp_cloud", data)
    assert answer.status_code == 302, errors(answer)
    inbox = Inbox.objects.get(slug="loja-2")
    assert (inbox.kind, inbox.routing_key) == ("whatsapp_cloud", "222")
    assert inbox.credentials == {"token": SECRET, "phone_number_id": "222", "app_secret": "app"}


def test_missing_credentials_are_named(admin_client, business):
    answer = admin_client.post(f"{reverse(ADD)}?kind=whatsapp_cloud", form(business))
    assert set(errors(answer)) == {"credential_token", "credential_app_secret"}


def test_no_page_and_no_export_shows_a_secret(admin_client, inbox):
    admin_client.post(
        change(inbox),
        form(inbox.business, slug="loja", credential_phone_number_id="111", credential_token=f"{SECRET}-new"),
    )
    inbox.refresh_from_db()
    assert inbox.credentials["token"] == f"{SECRET}-new"
    for address in (
        change(inbox),
        reverse("admin:prosa_channels_inbox_changelist"),
        reverse("admin:prosa_channels_inbox_history", args=[inbox.pk]),
    ):
        page = admin_client.get(address)
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
    exported = io.StringIO()
    call_command("dumpdata", "prosa_channels", "admin", stdout=exported)
    assert SECRET not in exported.getvalue()


def test_a_secret_survives_an_invalid_form_unseen(admin_client, inbox):
    answer = admin_client.post(change(inbox), form(inbox.business, slug="bad slug", credential_token="typed-secret"))
    assert "slug" in errors(answer)
    assert "typed-secret" not in answer.content.decode()


def test_empty_keeps_and_the_tick_forgets(admin_client, inbox):
    data = form(inbox.business, slug="loja", credential_phone_number_id="333")
    assert admin_client.post(change(inbox), data).status_code == 302
    inbox.refresh_from_db()
    assert inbox.credentials["token"] == SECRET
    assert inbox.routing_key == "333"
    assert "app_secret_previous" in inbox.credentials
    assert (
        admin_client.post(change(inbox), data | {"forget_app_secret_previous": "on", "forget_token": "on"}).status_code
        == 302
    )
    inbox.refresh_from_db()
    assert "app_secret_previous" not in inbox.credentials
    assert inbox.credentials["token"] == SECRET  # required ones cannot be forgotten


def test_twins_are_refused_with_the_other_named(admin_client, inbox):
    Inbox.objects.filter(pk=inbox.pk).update(is_default=True)
    data = form(
        inbox.business,
        slug="loja",
        is_default="on",
        credential_phone_number_id="111",
        credential_token="t",
        credential_app_secret="a",
    )
    answer = admin_client.post(f"{reverse(ADD)}?kind=whatsapp_cloud", data)
    assert set(errors(answer)) == {"slug", "is_default", "__all__"}
    assert all("WhatsApp" in str(messages) for messages in errors(answer).values())
    assert Inbox.objects.count() == 1


def test_the_page_tells_what_to_paste(admin_client, inbox):
    page = admin_client.get(change(inbox)).content.decode()
    assert "http://testserver/webhook/whatsapp_cloud/loja/" in page
    assert inbox.verify_token in page


# ── the test of the credentials ──


@pytest.fixture
def check(monkeypatch, inbox):
    """Let the provider's check do what the test says."""

    def becomes(function):
        monkeypatch.setattr(type(base.provider("whatsapp_cloud")), "check", function)
        return reverse("admin:prosa_channels_inbox_test", args=[inbox.pk])

    return becomes


def test_findings_are_shown_and_success_ends_the_trouble(admin_client, inbox, check):
    seen = {}

    async def fine(self, client, config):
        seen.update(config.credentials)
        return [Finding("ok", "Token", "works <script>")]

    Inbox.objects.filter(pk=inbox.pk).update(trouble="expired")
    answer = admin_client.post(check(fine), headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert "works &lt;script&gt;" in text
    assert "<html" not in text
    assert seen["token"] == SECRET
    inbox.refresh_from_db()
    assert inbox.trouble == ""


def test_failures_are_findings_not_crashes(admin_client, inbox, check):
    async def broken(self, client, config):
        raise TemporaryError("graph.facebook.com cannot be reached.\nTry again later.")

    Inbox.objects.filter(pk=inbox.pk).update(trouble="expired")
    text = admin_client.post(check(broken)).content.decode()
    assert "cannot be reached" in text
    assert "Try again later." in text
    inbox.refresh_from_db()
    assert inbox.trouble == "expired"


def test_a_hanging_provider_is_given_up(admin_client, check, monkeypatch):
    async def hangs(self, client, config):
        await asyncio.Event().wait()

    monkeypatch.setattr(channels_admin, "CHECK_SECONDS", 0.01)
    assert "did not answer in time" in admin_client.post(check(hangs)).content.decode()


def test_an_inbox_of_a_vanished_kind_still_opens(admin_client, inbox):
    Inbox.objects.filter(pk=inbox.pk).update(kind="gone")
    assert admin_client.get(change(inbox)).status_code == 200
    text = admin_client.post(reverse("admin:prosa_channels_inbox_test", args=[inbox.pk])).content.decode()
    assert "No channel of this kind is installed." in text


def test_only_post_and_only_with_permission(admin_client, staff, inbox):
    address = reverse("admin:prosa_channels_inbox_test", args=[inbox.pk])
    assert admin_client.get(address).status_code == 405
    assert staff("prosa_channels.view_inbox").post(address).status_code == 403


# ── API keys ──


def test_a_key_is_shown_once_and_only_its_fingerprint_kept(admin_client, business):
    inbox = Inbox.objects.create(business=business, kind="rest", name="Site", slug="site")
    answer = admin_client.post(reverse("admin:prosa_channels_apikey_add"), {"inbox": inbox.pk, "name": "loja"})
    key = answer.context["key"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert key in answer.content.decode()
    row = ApiKey.objects.get()
    assert row.matches(key)
    for address in (
        reverse("admin:prosa_channels_apikey_changelist"),
        reverse("admin:prosa_channels_apikey_change", args=[row.pk]),
    ):
        assert key not in admin_client.get(address).content.decode()
    admin_client.post(
        reverse("admin:prosa_channels_apikey_changelist"), {"action": "revoke", "_selected_action": [row.pk]}
    )
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_an_api_inbox_has_an_address_to_post_to_and_no_webhook(admin_client, business):
    inbox = Inbox.objects.create(business=business, kind="rest", name="Site", slug="site")
    page = admin_client.get(change(inbox)).content.decode()
    assert "http://testserver/api/v1/messages" in page
    assert "/webhook/rest/" not in page


def test_an_api_inbox_asks_for_no_token(admin_client, business):
    data = {"business": business.pk, "name": "Site", "slug": "site", "active": "on"}
    assert admin_client.post(f"{reverse(ADD)}?kind=rest", data).status_code == 302
    assert Inbox.objects.get(slug="site").credentials == {}
