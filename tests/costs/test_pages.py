"""The budget page shows what the gate reads, says what is unknown, and leads to where it is set."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.urls import reverse

from prosa.channels.models import Inbox
from prosa.contacts.models import Contact
from prosa.conversations import begin
from prosa.conversations.models import Conversation
from prosa.costs import checks, gate, spending
from prosa.costs.models import BY_PERSON, FROM_CATALOGUE, Budget, BudgetNotice, ModelPrice, UsageDay


@pytest.fixture
def budget(business):
    return Budget.objects.create(business=business, day_soft=Decimal(1), day_hard=Decimal(4))


@pytest.fixture
def used(business):
    today = spending.standing(business.pk).day

    def add(model, cost, requests=1, **more):
        return UsageDay.objects.create(
            business=business, day=today, model=model, purpose="turn", requests=requests, input_tokens=1000, output_tokens=10,
            cost=Decimal(cost) if cost else None, unpriced_requests=0 if cost else requests, **more,
        )  # fmt: skip

    return add


def page(client, budget):
    return client.get(reverse("admin:prosa_costs_budget_change", args=[budget.pk]))


def test_the_page_shows_what_the_gate_reads(admin_client, business, budget, used):
    used("m:dear", "2.5")
    used("m:small", "0.25", slot=3)
    inbox = Inbox.objects.create(business=business, kind="rest", name="R", slug="r", routing_key="r", credentials={})
    contact = Contact.objects.create(business=business, name="Ana")
    conversation = Conversation.objects.create(business=business, inbox=inbox, contact=contact)
    with connection.cursor() as cursor:
        cursor.execute(begin.queries.context.decode(), {"conversation_id": conversation.pk})
        names = [column.name for column in cursor.description]
        row = cursor.fetchone()[names.index("standing")]
    import json

    read = gate.read(row if isinstance(row, dict) else json.loads(row))
    shown = page(admin_client, budget).context["spending"]
    assert shown["standing"] == read
    assert (read.day_spent, shown["step"]) == (Decimal("2.75"), gate.judge(read).step)
    assert shown["step"] is gate.Step.SHORT


def test_a_calm_day_and_an_empty_one(admin_client, budget):
    answer = page(admin_client, budget)
    assert answer.status_code == 200
    assert answer.context["spending"]["step"] is gate.Step.NORMAL
    assert "No model was asked in this time" in answer.content.decode()


def test_what_has_no_price_is_named_with_a_link_to_set_it(admin_client, budget, used):
    used("m:dear", "0.5")
    used("m:odd name", None, requests=3)
    html = page(admin_client, budget).content.decode()
    assert "≥ US$ 0.50" in html
    assert "m:odd name: 3 requests" in html
    link = reverse("admin:prosa_costs_modelprice_add") + "?pattern=m%3Aodd%20name"
    assert link in html
    form = admin_client.get(link).context["adminform"].form
    assert form.initial["pattern"] == "m:odd name"


def test_a_saved_price_is_a_persons(admin_client, admin_user):
    row = ModelPrice.objects.create(pattern="m:x", input=1, output=2, valid_from="2026-01-01", source=FROM_CATALOGUE)
    data = {"pattern": "m:x", "input": "3", "output": "4", "cached": "", "valid_from": "2026-01-01"}
    answer = admin_client.post(reverse("admin:prosa_costs_modelprice_change", args=[row.pk]), data)
    assert answer.status_code == 302, answer.context["errors"]
    row.refresh_from_db()
    assert (row.input, row.source, row.updated_by) == (3, BY_PERSON, admin_user)


def limits(**more):
    names = ("day_soft", "day_hard", "conversation_soft", "conversation_hard", "turn_soft", "turn_hard", "cheap_model")
    return dict.fromkeys(names, "") | {"at_limit": "approved"} | more


def test_limits_are_saved_and_foolish_ones_refused(admin_client, budget):
    address = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    assert admin_client.post(address, limits(day_hard="2.5", cheap_model="offline")).status_code == 302
    budget.refresh_from_db()
    assert (budget.day_soft, budget.day_hard, budget.cheap_model) == (None, Decimal("2.5"), "offline")
    for wrong, field in [
        (limits(day_soft="3", day_hard="2"), "day_soft"),
        (limits(turn_hard="-1"), "turn_hard"),
        (limits(cheap_model="gpt"), "cheap_model"),
    ]:
        answer = admin_client.post(address, wrong)
        assert set(answer.context["adminform"].form.errors) == {field}


def test_every_business_has_a_page_and_the_only_one_opens_at_once(admin_client, business):
    answer = admin_client.get(reverse("admin:prosa_costs_budget_changelist"))
    assert answer.status_code == 302
    assert admin_client.get(answer.url).context["spending"]["business"] == business
    type(business).objects.create(name="Outra", slug="outra")
    html = admin_client.get(reverse("admin:prosa_costs_budget_changelist")).content.decode()
    assert "Outra" in html
    assert "Doces da Ana" in html


def test_who_may_not_see_budgets_sees_none(client, budget):
    user = User.objects.create_user("bia", password="not-used", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_conversation"))
    client.force_login(user)
    assert page(client, budget).status_code == 403
    BudgetNotice.objects.create(
        business=budget.business, day=spending.standing(budget.business_id).day, step="short", scope="day", spent=1
    )
    assert "Budget of Doces da Ana" not in client.get(reverse("admin:index")).content.decode()


def test_the_first_page_and_doctor_tell_that_a_limit_was_reached(admin_client, budget, used):
    assert [finding.level for finding in checks.doctor_checks()] == ["ok"]
    today = spending.standing(budget.business_id).day
    BudgetNotice.objects.create(business=budget.business, day=today, step="approved_only", scope="day", spent=4)
    used("m:odd", None)
    html = admin_client.get(reverse("admin:index")).content.decode()
    assert "Budget of Doces da Ana" in html
    assert reverse("admin:prosa_costs_budget_change", args=[budget.pk]) in html
    assert [finding.level for finding in checks.doctor_checks()] == ["error", "warning"]


@pytest.mark.parametrize(
    ("spent", "soft", "hard", "bar"),
    [
        ("1", None, None, None),
        ("1", None, "4", (25, None, "calm")),
        ("1", "1", "4", (25, 25, "warning")),
        ("9", "1", "4", (100, 25, "danger")),
        ("1", "4", None, (25, None, "calm")),
        ("0", None, "0", (100, None, "danger")),
    ],
)
def test_bars(spent, soft, hard, bar):
    found = spending.bar(Decimal(spent), gate.Limit(Decimal(soft) if soft else None, Decimal(hard) if hard else None))
    assert (found and (found.percent, found.mark, found.level)) == bar


@pytest.mark.parametrize(
    ("amount", "told"),
    [("0", "0.00"), ("1234.5", "1,234.50"), ("0.1", "0.10"), ("0.0123", "0.012"), ("0.00004567", "0.000046")],
)
def test_small_money_keeps_its_digits(amount, told):
    assert spending.money(Decimal(amount)) == told


def test_models_beyond_the_colours_are_drawn_together(business, budget, used):
    for number in range(8):
        used(f"m:{number}", str(8 - number))
    import json

    chart = json.loads(spending.page(budget)["chart"])
    assert [entry["label"] for entry in chart["datasets"]] == ["m:0", "m:1", "m:2", "m:3", "m:4", "others"]
    assert chart["datasets"][5]["data"][-1] == 3 + 2 + 1
    assert len(chart["labels"]) == spending.DAYS
