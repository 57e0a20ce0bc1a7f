"""A business names a model that can be asked and a time zone that exists, and leads to its guidelines."""

import pytest
from django.urls import reverse

from prosa import conf
from prosa.agents import llm
from prosa.business.models import Business
from prosa.cli.doctor import KEYS, _businesses


def form(business):
    return {
        "name": business.name, "slug": business.slug, "locale": "pt-br", "timezone": "America/Sao_Paulo", "active": "on", "model": "",
        "fallback_models": "", "request_deadline_s": 30, "turn_deadline_s": 60, "history_tokens": 6000, "quiet_ms": 1500, "max_quiet_ms": 6000,
        "reopen_hours": 24, "max_age_hours": 12, "wait_notice_minutes": 30, "voice_replies": "never", "session_length": 30, "session_unit": "days",
        "failures_before_handoff": 3, "take_minutes": 5, "handback_minutes": 0, "case_minutes": 10,
        "holidays-TOTAL_FORMS": 0, "holidays-INITIAL_FORMS": 0,
    }  # fmt: skip


def test_its_page_leads_to_its_guidelines(admin_client, business):
    page = admin_client.get(reverse("admin:prosa_business_business_change", args=[business.pk])).content.decode()
    assert reverse("admin:prosa_business_guideline_change", args=[business.guideline.pk]) in page
    assert "Version 1" in page


def test_a_new_business_gets_its_guidelines_at_once(admin_client, admin_user):
    class Fresh:
        name, slug = "Nova", "nova"

    answer = admin_client.post(reverse("admin:prosa_business_business_add"), form(Fresh))
    assert answer.status_code == 302, answer.context["errors"]
    made = Business.objects.get(slug="nova").guideline
    assert (made.text, made.version, made.versions.count(), made.updated_by) == ("", 1, 1, admin_user)


def test_a_time_zone_must_exist(admin_client, business):
    address = reverse("admin:prosa_business_business_change", args=[business.pk])
    answer = admin_client.post(address, form(business) | {"timezone": "Brasilia"})
    assert set(answer.context["adminform"].form.errors) == {"timezone"}


@pytest.mark.parametrize("wrong", ["gpt-4.1-mini", "openai-chat:", "nobody:x", "offline:x"])
def test_a_model_must_be_one_we_can_ask(admin_client, business, wrong):
    address = reverse("admin:prosa_business_business_change", args=[business.pk])
    answer = admin_client.post(address, form(business) | {"model": wrong, "fallback_models": f"offline, {wrong}"})
    assert set(answer.context["adminform"].form.errors) == {"model", "fallback_models"}
    answer = admin_client.post(
        address, form(business) | {"model": "openai-chat:llama3.1:8b", "fallback_models": "google:g,, offline"}
    )
    assert answer.status_code == 302, answer.context["errors"]
    business.refresh_from_db()
    assert (business.model, business.fallback_models) == ("openai-chat:llama3.1:8b", "google:g, offline")


def test_doctor_sees_a_business_whose_model_has_no_key(business, monkeypatch):
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    business.model = "anthropic:claude-sonnet-4-5"
    business.save()
    (found,) = _businesses()
    assert (found.level, found.subject, "ANTHROPIC_API_KEY" in found.fix) == ("error", "model of doces", True)


def test_the_names_of_providers_are_those_the_agents_make():
    assert set(conf.MODEL_PROVIDERS) == set(llm._MAKERS) == set(KEYS)


def test_a_business_with_conversations_cannot_be_deleted(admin_client, conversation):
    address = reverse("admin:prosa_business_business_delete", args=[conversation.business_id])
    assert admin_client.post(address, {"post": "yes"}).status_code == 403


def test_its_hours_are_a_line_a_day(admin_client, business):
    address = reverse("admin:prosa_business_business_change", args=[business.pk])
    values = form(business) | {
        "hours_mon": "9h-12, 13:00 às 18", "hours_sat": "22:00-02:00", "holidays-TOTAL_FORMS": 2, "holidays-0-day": "2026-12-25", "holidays-0-name": "Natal",
        "holidays-1-day": "2026-12-24", "holidays-1-hours": "9-13", "handoff_words": "gerente", "tell_handback": "on",
    }  # fmt: skip
    answer = admin_client.post(address, values)
    assert answer.status_code == 302, answer.context["errors"]
    business.refresh_from_db()
    assert business.hours == {"mon": "09:00-12:00, 13:00-18:00", "sat": "22:00-02:00"}
    assert [(str(each), each.hours) for each in business.holidays.all()] == [
        ("2026-12-24", "09:00-13:00"),
        ("2026-12-25 Natal", ""),
    ]
    assert (business.handoff_words, business.tell_handback) == ("gerente", True)
    page = admin_client.get(address).content.decode()
    assert 'value="09:00-12:00, 13:00-18:00"' in page
    # What is emptied is closed; without any line it is always open.
    admin_client.post(address, form(business))
    business.refresh_from_db()
    assert business.hours == {}


@pytest.mark.parametrize("wrong", ["de manhã", "9-25", "09:00-12:00, 11:00-13:00", "9-9", "-"])
def test_hours_that_cannot_be_read_are_shown(admin_client, business, wrong):
    address = reverse("admin:prosa_business_business_change", args=[business.pk])
    values = form(business) | {
        "hours_tue": wrong, "holidays-TOTAL_FORMS": 1, "holidays-0-day": "2026-12-24", "holidays-0-hours": wrong,
    }  # fmt: skip
    answer = admin_client.post(address, values)
    assert set(answer.context["adminform"].form.errors) == {"hours_tue"}
    assert wrong in answer.context["adminform"].form.errors["hours_tue"][0]
    assert set(answer.context["inline_admin_formsets"][0].formset.errors[0]) == {"hours"}
    business.refresh_from_db()
    assert business.hours == {}
