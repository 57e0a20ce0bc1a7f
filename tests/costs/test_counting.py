"""Free tiers: what was counted is shown, a model whose quota is used up is passed over, and people are told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.urls import reverse

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact
from prosa.contracts import Specialist, Turn, Usage
from prosa.conversations.models import Conversation, Message
from prosa.costs import checks, counting, gate, ledger, spending
from prosa.costs.models import Budget, ModelQuota, UsageDay

FREE, NEXT = "openai-chat:free", "openai-chat:next"


@pytest.fixture
def budget(business):
    return Budget.objects.create(business=business)


def book(business, model, requests, day=None):
    usage = Usage(requests=requests, input_tokens=10, output_tokens=1, cost=Decimal("0.01"))
    with connection.cursor() as cursor:
        day = day or spending.standing(business.pk).day
        cursor.execute("SELECT prosa_costs_book(%s, %s, 0, %s)", [business.pk, day, ledger.packed([ledger.Entry(model, usage)])])  # fmt: skip


def turn(**more):
    return Turn("B", "pt-br", "rest", (), datetime.now(UTC), model=FREE, fallback_models=(NEXT,), **more)


def chain(business, **more):
    standing = spending.standing(business.pk)
    made = gate.apply(turn(**more), gate.judge(standing), standing)
    return (made.model, *made.fallback_models)


def test_a_models_day_is_counted_over_all_businesses(business):
    ModelQuota.objects.create(model=FREE, per_day=5)
    other = Business.objects.create(name="Other", slug="other", timezone=business.timezone)
    book(business, FREE, 2)
    book(other, FREE, 2)
    book(business, FREE, 9, spending.standing(business.pk).day - timedelta(days=1))
    book(business, NEXT, 50)
    assert chain(business) == (FREE, NEXT)
    assert [(each.count, each.most, each.level) for each in counting.requests()] == [(4, 5, "warning")]
    book(other, FREE, 1)
    assert chain(business) == chain(other) == (NEXT,)
    assert counting.requests()[0].level == "danger"


def test_a_minute_is_counted_only_where_it_is_limited(business):
    book(business, FREE, 3)
    ModelQuota.objects.create(model=FREE, per_minute=1_000_000)
    book(business, FREE, 3)
    book(business, NEXT, 3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT model, sum(requests) FROM prosa_costs_usageminute GROUP BY 1")
        assert cursor.fetchall() == [(FREE, 3)]
        # As if all of it were in the present minute, whenever the clock of the test stands.
        cursor.execute("UPDATE prosa_costs_modelquota SET per_minute = 3")
        cursor.execute("UPDATE prosa_costs_usageminute SET minute = date_trunc('minute', now())")
    assert chain(business) == (NEXT,)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE prosa_costs_usageminute SET minute = minute - interval '1 minute'")
    assert chain(business) == (FREE, NEXT)


def test_where_no_model_is_left_none_is_asked(business):
    for name in (FREE, NEXT):
        ModelQuota.objects.create(model=name, per_day=1)
        book(business, name, 1)
    assert chain(business) == ("offline",)


def test_a_specialists_own_model_is_passed_over_too(business):
    ModelQuota.objects.create(model=FREE, per_day=1)
    book(business, FREE, 1)
    standing = spending.standing(business.pk)
    team = (Specialist("a", "", "", model=FREE), Specialist("b", "", "", model=NEXT))
    made = gate.apply(turn(specialists=team), gate.judge(standing), standing)
    assert [each.model for each in made.specialists] == ["", NEXT]
    assert gate.trace(gate.judge(standing), standing)["exhausted"] == [FREE]


def test_the_pages_and_doctor_show_it(admin_client, business, budget):
    quota = ModelQuota.objects.create(model=FREE, per_day=10, per_minute=20)
    book(business, FREE, 3)
    address = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    page = " ".join(admin_client.get(address).content.decode().split())
    assert f"{FREE} today</span> <strong>3 / 10</strong>" in page
    assert "3 / 10" in admin_client.get(reverse("admin:prosa_costs_modelquota_changelist")).content.decode()
    assert [finding.level for finding in checks.doctor_checks()] == ["ok"]
    ModelQuota.objects.filter(pk=quota.pk).update(per_day=3)
    first = admin_client.get(reverse("admin:index")).content.decode()
    assert f"{FREE} today: 3 of 3." in first
    (finding,) = [each for each in checks.doctor_checks() if each.level == "warning"]
    assert FREE in finding.subject


@pytest.mark.parametrize(
    ("given", "problem"),
    [({"model": "nobody:x", "per_day": "3"}, "Write provider:model"), ({"model": FREE}, "Say how many requests"), ({"model": FREE, "per_day": "0"}, "greater than or equal to 1")],
)  # fmt: skip
def test_a_foolish_quota_is_refused(admin_client, given, problem):
    answer = admin_client.post(reverse("admin:prosa_costs_modelquota_add"), {"per_day": "", "per_minute": "", **given})
    assert problem in answer.content.decode()
    assert not ModelQuota.objects.exists()


def test_whatsapp_is_counted_by_the_month(admin_client, business, budget):
    sent = []
    for number, kind in enumerate(["whatsapp_cloud", "rest"]):
        inbox = Inbox.objects.create(business=business, kind=kind, name="I", slug=f"i{number}", routing_key=f"r{number}", credentials={})  # fmt: skip
        contact = Contact.objects.create(business=business, name="Ana")
        talk = Conversation.objects.create(business=business, inbox=inbox, contact=contact)
        for direction, status, form in [
            ("out", "sent", "text"),
            ("out", "read", "template"),
            ("out", "failed", "text"),
            ("in", "", "text"),
        ]:
            sent.append(
                Message.objects.create(
                    conversation=talk,
                    business=business,
                    inbox=inbox,
                    direction=direction,
                    author="bot",
                    kind=form,
                    text="x",
                    status=status,
                )
            )
    Message.objects.filter(pk=sent[0].pk).update(created_at=datetime.now(UTC) - timedelta(days=40))
    day = spending.standing(business.pk).day
    assert counting.messages(business.pk, day, business.timezone) == counting.Messages(1, 1, 1)
    Budget.objects.filter(pk=budget.pk).update(whatsapp_month=1)
    address = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    assert "1 messages sent, 1 of them templates" in admin_client.get(address).content.decode()
    assert [told.meaning for told in spending.notices()] == ["The limit you set is reached."]


def test_a_page_without_free_tiers_shows_none(admin_client, budget):
    page = admin_client.get(reverse("admin:prosa_costs_budget_change", args=[budget.pk]))
    assert page.context["spending"]["counters"] == []


# ── what a saving business is told ──


def test_without_a_cheaper_model_none_is_promised(admin_client, business):
    Business.objects.filter(pk=business.pk).update(model="openai-chat:one", fallback_models="")
    budget = Budget.objects.create(business=business, day_soft=Decimal(1), day_hard=Decimal(9))
    book(business, "m", 1)
    UsageDay.objects.update(cost=Decimal(2))
    address = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    shown = admin_client.get(address).context["spending"]
    assert (shown["step"], shown["step_name"]) == (gate.Step.CHEAPER, "Saving, with the same model")
    assert shown["no_cheap_model"]
    UsageDay.objects.update(cost=Decimal(6))
    assert admin_client.get(address).context["spending"]["step_name"] == "Shorter context"
    Budget.objects.update(cheap_model=NEXT)
    shown = admin_client.get(address).context["spending"]
    assert (shown["step_name"], shown["no_cheap_model"]) == ("Cheaper model, shorter context", False)


@pytest.mark.parametrize("zone", ["Mars/Phobos", "", "Sao Paulo"])
def test_a_zone_nobody_knows_counts_days_as_utc(admin_client, business, zone):
    budget = Budget.objects.create(business=business, conversation_hard=Decimal(1))
    Business.objects.filter(pk=business.pk).update(timezone=zone)
    before = datetime.now(UTC).date()
    assert before <= spending.standing(business.pk).day <= datetime.now(UTC).date()
    address = reverse("admin:prosa_costs_budget_change", args=[budget.pk])
    assert admin_client.get(address).status_code == 200


def test_a_zone_nobody_knows_is_not_saved(business):
    from django.core.exceptions import ValidationError

    business.timezone = "Mars/Phobos"
    with pytest.raises(ValidationError, match="no such time zone"):
        business.save()
