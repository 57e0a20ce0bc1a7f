"""Asking about one's business: from its rows alone, by its people alone, with a model and without."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from prosa import conf
from prosa.agents import specialists
from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact
from prosa.conversations import analyst, reports
from prosa.conversations.models import Conversation, Event, Message, Turn
from prosa.costs.models import Budget, UsageDay
from prosa.simulator import fake_llm

PAGE = "admin:prosa_conversations_ask"


def live(business: Business, name: str, question: str, cost: str) -> None:
    """A day in the life of a business: one conversation that went to people, one question, one cost."""
    inbox = Inbox.objects.create(business=business, kind="rest", name=name, slug=name)
    contact = Contact.objects.create(business=business, name=name)
    talk = Conversation.objects.create(business=business, inbox=inbox, contact=contact, state="resolved")
    started = timezone.now() - timedelta(seconds=4)
    turn = Turn.objects.create(
        conversation=talk, business=business, outcome="answered", started_at=started, trace={"offline": "unknown"}
    )  # fmt: skip
    said = {"conversation": talk, "business": business, "inbox": inbox, "turn": turn}
    Message.objects.create(**said, direction="in", author="customer", text=question)
    Message.objects.create(**said, direction="out", author="bot", text="Não sei.")
    Event.objects.create(conversation=talk, business=business, kind="handed_off", actor="bot", data={"reason": name})
    UsageDay.objects.create(
        business=business, day=timezone.localdate(), model=f"model-{name}", purpose="turn", requests=3, cost=Decimal(cost)
    )  # fmt: skip


@pytest.fixture
def two(business: Business) -> Business:
    Business.objects.filter(pk=business.pk).update(timezone="UTC", model="offline")
    business.refresh_from_db()
    live(business, "mine", "Tem glúten? meu e-mail é ana@example.com", "0.25")
    live(Business.objects.create(name="Outra", slug="outra", timezone="UTC"), "theirs", "Abre aos domingos?", "7.77")
    return business


@pytest.fixture
def llm(monkeypatch):
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        yield fake_llm.control
        fake_llm.control.reset()
    monkeypatch.undo()
    conf.settings.cache_clear()


def post(client, business, /, **fields):
    return client.post(reverse(PAGE), {"business": business.pk, "days": 7, "question": "", "report": ""} | fields)


@pytest.mark.parametrize("name", reports.REPORTS)
def test_a_report_is_of_one_business(two, name):
    mine = repr(reports.read(reports.REPORTS[name], two.pk, "UTC", 7).rows)
    theirs = repr(reports.read(reports.REPORTS[name], Business.objects.get(slug="outra").pk, "UTC", 7).rows)
    empty = Business.objects.create(name="Nova", slug="nova")
    assert mine != "()"
    for strange in ("theirs", "domingos", "7.77"):
        assert strange not in mine
    for strange in ("mine", "glúten", "0.25"):
        assert strange not in theirs
    nothing = reports.read(reports.REPORTS[name], empty.pk, "UTC", 366)
    assert not any(cell for row in nothing.rows for cell in row)


def test_what_the_reports_say(two):
    today = timezone.localdate()

    def rows(name):
        return reports.read(reports.REPORTS[name], two.pk, "UTC", 7).rows

    assert rows("conversations") == ((today, "rest", 1),)
    assert rows("messages") == ((today, 1, 1, 0),)
    assert rows("handoffs") == (("mine", 1),)
    assert rows("results") == ((1, 0, 1, 1),)
    assert rows("costs") == ((today, 3, Decimal("0.25"), 0),)
    assert rows("costs_by_model") == (("model-mine", 3, 0, 0, Decimal("0.25"), 0),)
    assert rows("response_times")[0][1] == 1
    ((_, question),) = rows("unanswered")
    assert question.startswith("Tem glúten?")
    assert "ana@example.com" not in question


def test_days_are_the_businesss_own_and_no_more_than_asked_for(two):
    Conversation.objects.filter(business=two).update(created_at=timezone.now() - timedelta(days=8))
    report = reports.REPORTS["conversations"]
    assert reports.read(report, two.pk, "UTC", 7).rows == ()
    assert len(reports.read(report, two.pk, "UTC", 10).rows) == 1
    assert reports.read(report, two.pk, "UTC", 10**6).days == reports.LONGEST_DAYS
    assert reports.read(report, two.pk, "Not/AZone", 10).days == 10


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("quantas conversas tivemos por canal?", "conversations"),
        ("Quanto gastamos esta semana?", "costs"),
        ("¿cuánto costó cada modelo?", "costs_by_model"),
        ("which questions had no answer?", "unanswered"),
        ("em quanto tempo respondemos?", "response_times"),
        ("por que motivo passou para uma pessoa?", "handoffs"),
        ("qual a cor do céu?", None),
    ],
)
def test_words_alone_find_the_report(question, name):
    found = reports.find(question, list(reports.REPORTS.values()))
    assert (found.name if found else None) == name


def test_without_a_model_the_report_is_shown_as_it_is(admin_client, two):
    answer = post(admin_client, two, question="Quanto gastamos?")
    assert answer.context["found"] is not None, answer.context["form"].errors
    assert "0.25 US$" in answer.context["found"].text
    page = answer.content.decode()
    assert "0.25 US$" in page
    assert "Without a model" in page
    assert "<rect" in page
    assert "7.77" not in page
    nothing = post(admin_client, two, question="qual a cor do céu?")
    assert nothing.context["tables"] == []
    assert "No report is about this" in nothing.content.decode()


def test_a_report_by_hand_asks_no_model(admin_client, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub")
    page = post(admin_client, two, question="oi", report="handoffs")
    assert page.context["tables"][0].rows == [[("mine", False), ("1", True)]]
    assert list(llm.requests) == []


def test_with_a_model_the_specialist_answers_from_a_report(admin_client, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub")
    page = post(admin_client, two, question="quantas conversas tivemos?")
    found = page.context["found"]
    assert found.model == "openai-chat:stub"
    assert "conversations: 1" in found.text
    assert [table.title for table in page.context["tables"]] == ["Conversations begun, per day and channel"]
    first = llm.requests[0].body
    assert {each["function"]["name"] for each in first["tools"]} == {f"report_{name}" for name in reports.REPORTS}
    assert "You answer customers" not in first["messages"][0]["content"]
    assert "theirs" not in str([request.body for request in llm.requests])
    used = UsageDay.objects.get(business=two, purpose="analytics")
    assert (used.model, used.requests) == ("openai-chat:stub", 2)


def test_a_model_cannot_ask_for_another_business(admin_client, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub")
    other = Business.objects.get(slug="outra")
    llm.call(("report_costs", {"days": 7, "business_id": other.pk}), ("report_costs", {"days": 10_000}))
    page = post(admin_client, two, question="quanto custou a outra loja?")
    assert "7.77" not in page.content.decode() + str([request.body for request in llm.requests])


def test_a_model_that_fails_leaves_the_report(admin_client, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub-500")
    found = post(admin_client, two, question="Quanto gastamos?").context["found"]
    assert found.model == ""
    assert [table.report.name for table in found.tables] == ["costs"]


def test_an_exhausted_budget_asks_no_model(admin_client, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub")
    Budget.objects.update_or_create(business=two, defaults={"day_hard": Decimal("0.2")})
    found = post(admin_client, two, question="Quanto gastamos?").context["found"]
    assert found.model == ""
    assert list(llm.requests) == []


def test_only_people_of_the_business_get_in(client, staff, two):
    assert "/login/" in client.get(reverse(PAGE)).headers["Location"]
    assert staff().get(reverse(PAGE)).status_code == 403


def test_costs_are_for_those_who_may_see_them(staff, two, llm):
    Business.objects.filter(pk=two.pk).update(model="openai-chat:stub")
    client = staff("prosa_conversations.view_conversation")
    page = post(client, two, question="quantas conversas tivemos?")
    assert not any("cost" in each["function"]["name"] for each in llm.requests[0].body["tools"])
    assert "costs" not in dict(page.context["form"].fields["report"].choices)
    refused = post(client, two, report="costs")
    assert refused.context["found"] is None
    assert "0.25" not in refused.content.decode()


@pytest.mark.parametrize("fields", [{}, {"question": "  "}, {"report": "drop table"}, {"business": "x"}, {"days": "-1"}, {"question": "x" * 2000}])  # fmt: skip
def test_nonsense_is_answered_with_words(admin_client, two, fields):
    page = post(admin_client, two, **fields)
    assert page.status_code == 200
    assert page.context["found"] is None
    assert "prosa-error" in page.content.decode()


def test_everything_a_report_needs_is_declared():
    for report in reports.REPORTS.values():
        query = getattr(reports.queries, report.name).decode()
        assert query.count("%(business_id)s") >= 1
        assert f"WHERE {'u' if 'usageday' in query else 'c'}.business_id = %(business_id)s" in query
    assert {name for name, _ in reports.queries} == set(reports.REPORTS)
    assert specialists.ANALYTICS not in specialists.ROLES
    assert {report.name for report in analyst.allowed(lambda _: False)} == set()
