"""Uses are added up; what has no price is counted apart."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from psycopg.conninfo import make_conninfo

from prosa import conf
from prosa.business.models import Business
from prosa.contracts import Usage
from prosa.costs import gate, ledger, spending
from prosa.costs.gate import Step, Verdict
from prosa.costs.models import Budget, BudgetNotice, UsageDay
from prosa.postgres.connections import connect

DAY = date(2026, 11, 20)


@pytest.fixture
async def wire(transactional_db):
    from django.db import connection

    dsn = make_conninfo(conf.settings().database_url, dbname=connection.settings_dict["NAME"])
    async with await connect(dsn) as opened:
        yield opened


@pytest.fixture
def shop(transactional_db):
    return Business.objects.create(name="Loja", slug="loja")


def use(cost, requests=1):
    return Usage(100, 10, 40, requests, Decimal(cost) if cost else None)


async def test_uses_of_a_day_add_up_by_model_and_purpose(shop, wire):
    first = [ledger.Entry("m:b", use("0.2")), ledger.Entry("m:a", use("0.1"), "embedding")]
    assert await ledger.book(wire, shop.pk, DAY, first) == Decimal("0.3")
    assert await ledger.book(wire, shop.pk, DAY, [ledger.Entry("m:b", use(None, 2))], slot=16) is None
    assert await ledger.book(wire, shop.pk, DAY, [ledger.Entry("m:b", use("0.5"))], slot=1) == Decimal("0.5")
    rows = await (
        await wire.execute(
            "select model, purpose, slot, requests, input_tokens, output_tokens, cached_tokens, cost, unpriced_requests"
            " from prosa_costs_usageday order by 1, 2, 3"
        )
    ).fetchall()
    assert rows == [
        ("m:a", "embedding", 0, 1, 100, 10, 40, Decimal("0.1"), 0),
        ("m:b", "turn", 0, 3, 200, 20, 80, Decimal("0.2"), 2),
        ("m:b", "turn", 1, 1, 100, 10, 40, Decimal("0.5"), 0),
    ]


async def test_nothing_asked_is_nothing_booked(shop, wire):
    assert await ledger.book(wire, shop.pk, DAY, [ledger.Entry("offline", Usage(cost=Decimal(0)))]) == 0
    assert (await (await wire.execute("select count(*) from prosa_costs_usageday")).fetchone())[0] == 0


async def test_a_step_is_told_once_a_day(shop, wire):
    for spent in ("1", "2"):
        await ledger.notice(wire, shop.pk, DAY, Verdict(Step.SHORT, "day", Decimal(spent)))
    await ledger.notice(wire, shop.pk, DAY + timedelta(days=1), Verdict(Step.SHORT, "day", Decimal(3)))
    rows = await (await wire.execute("select day, spent from prosa_costs_budgetnotice order by 1")).fetchall()
    assert rows == [(DAY, Decimal(1)), (DAY + timedelta(days=1), Decimal(3))]


def test_a_day_is_the_business_own_and_no_one_elses(db):
    far = [
        Business.objects.create(name=zone, slug=str(place), timezone=zone)
        for place, zone in enumerate(["Pacific/Kiritimati", "Pacific/Honolulu"])
    ]
    east, west = (spending.standing(each.pk).day for each in far)
    assert (east - west).days == 1
    UsageDay.objects.create(business=far[0], day=east, model="m", purpose="turn", cost=Decimal(5))
    UsageDay.objects.create(business=far[1], day=east, model="m", purpose="turn", cost=Decimal(7))
    assert [spending.standing(each.pk).day_spent for each in far] == [5, 0]


def test_the_standing_brings_the_limits(business):
    assert spending.standing(business.pk) == gate.Standing(spending.standing(business.pk).day)
    Budget.objects.create(
        business=business, day_soft=Decimal("0.5"), turn_hard=Decimal(2), cheap_model="offline", at_limit="handoff",
        request_tokens=5000, answer_tokens=400,
    )  # fmt: skip
    found = spending.standing(business.pk)
    assert (found.per_day, found.per_turn) == (gate.Limit(Decimal("0.5")), gate.Limit(None, Decimal(2)))
    assert (found.cheap_model, found.at_limit) == ("offline", "handoff")
    assert (found.request_tokens, found.answer_tokens) == (5000, 400)


def test_notices_of_today_only_and_the_furthest_of_each(business):
    today = spending.standing(business.pk).day
    Budget.objects.create(business=business, cheap_model="openai-chat:small")
    for step, day in [("short", today), ("cheaper", today), ("handoff", today - timedelta(days=1))]:
        BudgetNotice.objects.create(business=business, day=day, step=step, scope="day", spent=1)
    (told,) = spending.notices()
    assert (told.business, told.name, told.level) == ("Doces da Ana", spending.words(Step.SHORT)[0], "warning")


def test_models_without_a_price_are_named_until_they_have_one(business):
    today = datetime.now(UTC).date()
    UsageDay.objects.create(business=business, day=today, model="m:x", purpose="turn", requests=3, unpriced_requests=3)
    assert spending.unpriced(timedelta(days=7)) == ["m:x"]
    from prosa.costs.models import ModelPrice

    ModelPrice.objects.create(pattern="m:*", input=1, valid_from=date(2020, 1, 1))
    assert spending.unpriced(timedelta(days=7)) == []
