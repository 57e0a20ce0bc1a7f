"""Specialists in the admin, and rules that are only one's."""

from __future__ import annotations

import pytest
from django.urls import reverse

from prosa.agents import specialists
from prosa.business.models import MEMBERS_ONLY, WORDED, Guideline, Specialist

ADD = "admin:prosa_business_specialist_add"


def save(client, business, **fields):
    plain = {"business": business.pk, "name": "sales", "active": "on", "position": 10, "about": "", "instructions": "", "keywords": "", "model": ""}  # fmt: skip
    return client.post(reverse(ADD), plain | fields)


def test_the_names_that_bring_words_are_those_the_agents_know():
    assert set(WORDED) == set(specialists.ROLES)
    assert MEMBERS_ONLY == specialists.ANALYTICS


def test_a_role_the_house_knows_needs_only_its_name(admin_client, business):
    assert save(admin_client, business).status_code == 302
    made = Specialist.objects.get()
    assert (made.name, made.active, made.instructions) == ("sales", True, "")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "analytics"}, "never customers"),
        ({"name": "vets"}, "no words of its own"),
        ({"name": "vets", "about": "pets"}, "no words of its own"),
        ({"model": "gpt-4"}, "provider:model"),
        ({"name": "two words"}, "slug"),
    ],
)
def test_what_cannot_be_played_is_refused_with_words(admin_client, business, fields, says):
    page = save(admin_client, business, **fields)
    assert page.status_code == 200
    assert says in page.content.decode()
    assert not Specialist.objects.exists()


def test_one_of_each_name(admin_client, business):
    save(admin_client, business)
    assert save(admin_client, business).status_code == 200
    assert Specialist.objects.count() == 1


def test_a_rule_can_be_one_specialists(admin_client, business):
    Specialist.objects.create(business=business, name="sales")
    guideline = Guideline.objects.get(business=business)
    address = reverse("admin:prosa_business_guideline_change", args=[guideline.pk])
    assert 'value="sales"' in admin_client.get(address).content.decode()
    rule = {"when": "Perguntar preço", "then": "Diga o da lista", "priority": "50", "active": "on", "specialists": ["sales"]}  # fmt: skip
    given = {
        "text": "Seja gentil.", "note": "", "revision": 0, "in_force": 1, "save": "1",
        "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0, "form-MIN_NUM_FORMS": 0, "form-MAX_NUM_FORMS": 200,
        **{f"form-0-{name}": value for name, value in rule.items()},
    }  # fmt: skip
    assert admin_client.post(address, given).status_code == 302
    guideline.refresh_from_db()
    assert guideline.draft.rules[0]["specialists"] == ["sales"]
    assert "only as sales" in admin_client.get(address).content.decode()


def test_what_is_changed_in_the_list_says_what_it_is(admin_client, business):
    Specialist.objects.create(business=business, name="sales")
    page = admin_client.get(reverse("admin:prosa_business_specialist_changelist")).content.decode()
    assert 'aria-label="Order"' in page
    assert 'aria-label="Active"' in page
