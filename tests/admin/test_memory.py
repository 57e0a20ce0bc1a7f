"""What is remembered of a customer is seen and erased on their page; how long a talk lasts is the business's."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from prosa.contacts.models import Fact
from prosa.conversations.models import Summary


@pytest.fixture
def fact(conversation):
    return Fact.objects.create(
        business=conversation.business,
        contact=conversation.contact,
        text="É alérgica a <b>amendoim</b>",
        key="e alergica a amendoim",
        conversation_id=conversation.pk,
        message_id=7,
    )


def saved(fact, **changes):
    """The form of a contact's page, as the browser sends it."""
    identity = fact.contact.identities.get()
    return {
        "name": fact.contact.name, "locale": "",
        "identities-TOTAL_FORMS": "1", "identities-INITIAL_FORMS": "1", "identities-0-id": identity.pk, "identities-0-contact": fact.contact_id,
        "facts-TOTAL_FORMS": "1", "facts-INITIAL_FORMS": "1", "facts-0-id": fact.pk, "facts-0-contact": fact.contact_id,
        "facts-0-expires_at_0": "", "facts-0-expires_at_1": "", **changes,
    }  # fmt: skip


def test_who_told_what_and_when_and_it_can_be_erased(admin_client, fact):
    address = reverse("admin:prosa_contacts_contact_change", args=[fact.contact_id])
    page = admin_client.get(address).content.decode()
    assert "É alérgica a &lt;b&gt;amendoim&lt;/b&gt;" in page
    conversation = reverse("admin:prosa_conversations_conversation_change", args=[fact.conversation_id])
    assert f"{conversation}?before=8#message-7" in page
    assert admin_client.post(address, saved(fact, **{"facts-0-DELETE": "on"})).status_code == 302
    assert not Fact.objects.exists()
    assert "amendoim" not in str(list(LogEntry.objects.values_list("change_message", "object_repr")))


def test_nobody_puts_words_into_a_customers_mouth(admin_client, fact):
    address = reverse("admin:prosa_contacts_contact_change", args=[fact.contact_id])
    changed = saved(fact, **{"facts-0-text": "Adora amendoim", "facts-TOTAL_FORMS": "2", "facts-1-text": "Novo"})
    admin_client.post(address, changed)
    assert [each.text for each in Fact.objects.all()] == ["É alérgica a <b>amendoim</b>"]


def test_looking_is_not_erasing(staff, fact):
    address = reverse("admin:prosa_contacts_contact_change", args=[fact.contact_id])
    client = staff("prosa_contacts.view_contact", "prosa_contacts.view_fact")
    assert "amendoim" in client.get(address).content.decode()
    assert client.post(address, saved(fact, **{"facts-0-DELETE": "on"})).status_code == 403
    assert Fact.objects.exists()


def test_the_business_says_how_long_a_talk_lasts(admin_client, business):
    page = admin_client.get(reverse("admin:prosa_business_business_change", args=[business.pk])).content.decode()
    for name in ("session_length", "session_unit", "reset_words"):
        assert f'name="{name}"' in page
    assert "/limpar, /reset, /nova" in page


def test_the_summary_for_a_person_goes_when_the_assistant_has_it_back(admin_client, conversation):
    Summary.objects.create(
        conversation=conversation, business=conversation.business, purpose="handoff", text="Quer <i>trocar</i>."
    )
    address = reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk])
    assert "trocar" not in admin_client.get(address).content.decode()
    type(conversation).objects.update(state="agent_active")
    assert "Quer &lt;i&gt;trocar&lt;/i&gt;." in admin_client.get(address).content.decode()


def test_the_copilot_costs_money_and_so_needs_the_right_to_change(staff, conversation):
    address = reverse("admin:prosa_conversations_conversation_copilot", args=[conversation.pk, "suggest"])
    client = staff("prosa_conversations.view_conversation")
    assert client.post(address).status_code == 403
    shown = client.get(reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk]))
    assert "copilot/suggest" not in shown.content.decode()


@pytest.mark.parametrize(("task", "status"), [("suggest", 405), ("steal", 404)])
def test_only_what_there_is(admin_client, conversation, task, status):
    address = reverse("admin:prosa_conversations_conversation_copilot", args=[conversation.pk, task])
    asked = admin_client.get(address) if status == 405 else admin_client.post(address)
    assert asked.status_code == status
