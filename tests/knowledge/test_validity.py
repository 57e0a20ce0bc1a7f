"""An approved answer is given from its first day to its last, as the business's clock has them."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from prosa.business.models import Business
from prosa.knowledge import search
from prosa.knowledge.models import ApprovedAnswer
from prosa.postgres import shared
from prosa.postgres.connections import connect


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_only_answers_valid_today_are_given(zone: str):
    business = await Business.objects.acreate(name="Shop", slug="shop", timezone=zone)
    today, day = timezone.localdate(timezone=ZoneInfo(zone)), timedelta(days=1)
    for name, since, to in (
        ("always", None, None),
        ("today", today, today),
        ("open", today - day, None),
        ("until", None, today),
        ("past", None, today - day),
        ("future", today + day, None),
    ):
        await ApprovedAnswer.objects.acreate(
            business=business, question="Quanto custa o frete?", answer=name, valid_from=since, valid_to=to
        )
    async with await connect(shared.dsn(), "test") as connection:
        found = await search.approved(connection, business.pk, "quanto custa o frete", 10)
    assert {each.answer for each in found} == {"always", "today", "open", "until"}


def test_the_last_day_is_not_before_the_first():
    today = timezone.localdate()
    with pytest.raises(ValidationError):
        ApprovedAnswer(valid_from=today, valid_to=today - timedelta(days=1)).clean()
