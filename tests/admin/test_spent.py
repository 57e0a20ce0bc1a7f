"""What conversations cost: on their own page, beside the limits on the budget's, and as a table."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from tests.admin.test_conversations import page_of, think

from prosa.contacts.models import Contact
from prosa.contracts import Usage
from prosa.conversations.expenses import Expense
from prosa.conversations.models import Conversation
from prosa.costs import ledger, spending
from prosa.costs.models import Budget, UsageDay


@pytest.fixture
def budget(business):
    return Budget.objects.create(
        business=business, conversation_soft=Decimal(1), conversation_hard=Decimal(2), turn_hard=Decimal("0.5")
    )


def words(response):
    return " ".join(response.content.decode().split())


def test_a_conversation_costs_what_its_answers_cost(admin_client, conversation, budget):
    assert "answer of a model" not in words(admin_client.get(page_of(conversation)))
    think(conversation, model="m:a", cost=Decimal("0.25"))
    think(conversation, model="m:a", cost=Decimal("0.5"), outcome="superseded")
    think(conversation, model="", requests=0)
    page = words(admin_client.get(page_of(conversation)))
    assert "US$ 0.75 · 2 answers of models · 37 % of its limit" in page
    assert "≥" not in page


def test_what_has_no_price_is_visibly_unknown(admin_client, conversation):
    think(conversation, model="m:odd", cost=None)
    page = words(admin_client.get(page_of(conversation)))
    assert "this model's price is not known</strong> · 1 answer of a model" in page.replace("&#x27;", "'")
    think(conversation, model="m:a", cost=Decimal("0.5"))
    assert "≥ US$ 0.50 · 2 answers of models · 1 of unknown price" in words(admin_client.get(page_of(conversation)))


def test_the_budget_shows_the_dearest_of_today_beside_its_limits(admin_client, conversation, budget):
    page = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    assert [each["spent"] for each in admin_client.get(page).context["spending"]["others"]] == [0, 0]
    business = conversation.business
    others = [
        Conversation.objects.create(
            business=business, inbox=conversation.inbox, contact=Contact.objects.create(business=business, name=name)
        )
        for name in ("Bia", "Caio")
    ]
    think(conversation, cost=Decimal("0.2"))
    think(conversation, cost=Decimal("0.2"))
    think(others[0], cost=Decimal("0.3"))
    think(others[1], cost=Decimal(9), finished_at=timezone.now() - timedelta(days=3))
    shown = admin_client.get(page)
    talk, answer = shown.context["spending"]["others"]
    assert (talk["spent"], talk["bar"].percent, talk["bar"].mark, talk["bar"].level) == (Decimal("0.4"), 20, 50, "calm")
    assert (answer["spent"], answer["bar"].percent) == (Decimal("0.3"), 60)
    assert page_of(conversation) in shown.content.decode()


@pytest.mark.parametrize("language", ["pt-br", "es", "en"])
def test_without_such_limits_there_is_nothing_to_compare(admin_client, business, language):
    budget = Budget.objects.create(business=business, day_hard=Decimal(1))
    page = admin_client.get(reverse("admin:prosa_costs_budget_change", args=[budget.pk]), headers={"accept-language": language})  # fmt: skip
    assert page.context["spending"]["others"] == []


def test_the_ledger_is_a_table(admin_client, client, business, budget):
    today = spending.standing(business.pk).day
    made = {
        "business": business,
        "day": today,
        "purpose": "turn",
        "requests": 1,
        "input_tokens": 10,
        "output_tokens": 5,
    }
    UsageDay.objects.create(**made, model="m:a", cost=Decimal("0.25"))
    UsageDay.objects.create(**made, model="m:a", cost=Decimal("0.5"), slot=3)
    UsageDay.objects.create(**made, model="=cmd()", unpriced_requests=1)
    address = reverse("admin:prosa_costs_budget_usage", args=[budget.pk])
    rows = list(csv.DictReader(io.StringIO(admin_client.get(address).content.decode())))
    assert [(row["day"], row["model"], row["requests"], row["cost"]) for row in rows] == [
        (str(today), "'=cmd()", "1", ""),
        (str(today), "m:a", "2", "0.75000000"),
    ]
    assert admin_client.get(reverse("admin:prosa_costs_budget_usage", args=[999_999])).status_code == 404
    clerk = User.objects.create_user("clerk", password="x", is_staff=True)
    client.force_login(clerk)
    assert client.get(address).status_code in (403, 404)
    clerk.user_permissions.add(Permission.objects.get(codename="view_budget"))
    client.force_login(User.objects.get(pk=clerk.pk))
    assert client.get(address).status_code == 200


def test_what_it_cost_beside_its_answers_is_in_the_sum_that_the_gate_reads(admin_client, conversation, budget):
    think(conversation, cost=Decimal("0.25"))
    used = ledger.packed(
        [ledger.Entry("m:ear", Usage(requests=1, input_tokens=5, cost=Decimal("0.5")), "transcription")]
    )
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(
                "SELECT prosa_conversations_spend(%s, %s, '2026-01-01', %s)",
                [conversation.pk, conversation.business_id, used],
            )
        cursor.execute("SELECT prosa_conversations_spent(%s)", [conversation.pk])
        assert cursor.fetchone()[0] == [Decimal("1.25"), Decimal("0.25")]
    assert UsageDay.objects.get().cost == Decimal(1)
    page = words(admin_client.get(page_of(conversation)))
    assert "US$ 1.25 · 1 answer of a model · US$ 1.00 of it for voice, summaries and help · 62 % of its limit" in page
    (shown, _) = admin_client.get(reverse("admin:prosa_costs_budget_change", args=[budget.pk])).context["spending"][
        "others"
    ]
    assert shown["spent"] == Decimal("1.25")
    conversation.delete()
    assert not Expense.objects.exists()
