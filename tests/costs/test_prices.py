"""Where prices come from, and which goes before which."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from prosa import conf
from prosa.business.models import Specialist
from prosa.costs import prices
from prosa.costs.models import BY_PERSON, FROM_CATALOGUE, ModelPrice

MINI = "openai-chat:gpt-4.1-mini"
LONG_AGO = date(2020, 1, 1)


def cost(model, tokens_in=1_000_000, tokens_out=0, cached=0, told=None):
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosa_costs_cost(%s, %s, %s, %s, %s)", [model, tokens_in, tokens_out, cached, told])
        return cursor.fetchone()[0]


def price(pattern, amount, source=BY_PERSON, since=LONG_AGO, **more):
    return ModelPrice.objects.create(pattern=pattern, input=Decimal(amount), valid_from=since, source=source, **more)


def test_the_models_in_use_get_the_catalogues_price_once(business):
    assert prices.seed() == 1
    assert prices.seed() == 0
    row = ModelPrice.objects.get()
    assert (row.pattern, row.source) == (MINI, FROM_CATALOGUE)
    assert row.input > row.cached > 0
    assert row.output > row.input
    assert cost(MINI) == row.input


def test_a_specialists_model_is_in_use_too(business):
    Specialist.objects.create(business=business, name="sales", model="openai-chat:gpt-4.1")
    assert prices.seed() == 2
    assert ModelPrice.objects.filter(pattern="openai-chat:gpt-4.1").exists()


def test_what_a_person_entered_stays(business):
    mine = price(MINI, "123")
    assert prices.seed() == 0
    assert list(ModelPrice.objects.values_list("pk", "input")) == [(mine.pk, Decimal(123))]


def test_a_catalogue_price_that_changed_holds_from_today_on(business):
    old = price(MINI, "99", FROM_CATALOGUE)
    assert prices.seed() == 1
    assert ModelPrice.objects.filter(pk=old.pk, input=99).exists()
    assert cost(MINI) == prices.catalogue(MINI)[0]


def test_a_server_of_ones_own_does_not_cost_what_its_namesake_does(business, monkeypatch):
    prices.seed()
    settings = conf.settings().model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"})
    monkeypatch.setattr(conf, "settings", lambda: settings)
    assert prices.seed() == 1
    assert not ModelPrice.objects.exists()
    assert cost(MINI) is None


@pytest.mark.parametrize("name", ["nobody:gpt-4.1-mini", "openai:no-such-model-anywhere", "offline"])
def test_what_nobody_knows_has_no_price(name):
    assert prices.catalogue(name) is None


def test_an_unknown_price_is_unknown_and_not_nothing(db):
    assert cost("x:unknown") is None


def test_cached_tokens_are_part_of_those_read_and_cost_their_own_price(db):
    price("x:y", 10, output=Decimal(20), cached=Decimal(1))
    assert cost("x:y", 1_000_000, 500_000, 400_000) == Decimal(6) + Decimal("0.4") + Decimal(10)
    ModelPrice.objects.update(cached=None)
    assert cost("x:y", 1_000_000, 0, 400_000) == Decimal(10)


def test_a_person_goes_before_the_provider_and_the_provider_before_the_catalogue(db):
    price("x:y", 10, FROM_CATALOGUE)
    assert cost("x:y", told=Decimal(7)) == 7
    assert cost("x:y") == 10
    price("x:*", 3)
    assert cost("x:y", told=Decimal(7)) == 3


def test_the_closest_name_wins_then_the_latest_day(db):
    price("x*", 1)
    price("x:y*", 2)
    price("x:y-mini", 3)
    price("x:y-mini", 4, since=date(2021, 1, 1))
    price("x:y-mini", 5, since=date.today() + timedelta(days=9))  # noqa: DTZ011 -- only "not yet"
    assert [cost(name) for name in ("x:z", "x:y-nano", "X:Y-mini")] == [1, 2, 4]


def test_only_the_star_is_a_wildcard(db):
    price("x:a_b%", 1)
    assert cost("x:a_b%") == 1
    assert cost("x:axb1") is None
