"""Promise 1, for providers that do not repeat: what a webhook never brought is asked for (FACTS 2.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from tests.walks.house import House

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.channels.providers.twilio import Twilio
from prosa.contracts import Identity, InboundMessage, Parsed, Receipt, Sent
from prosa.conversations import missed
from prosa.errors import TemporaryError

ANA = Identity("phone", "5511987650001", "whatsapp:+5511987650001")


@pytest.fixture
def twilio(business: Business) -> Inbox:
    credentials = {"account_sid": "AC1", "auth_token": "t" * 32, "number": "+551130000000"}
    return Inbox.objects.create(
        business=business, kind="twilio", name="T", slug="t", routing_key="551130000000", credentials=credentials
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When Twilio is asked it answers with the same message and receipt each time."""
    since: list[datetime] = []

    async def missed_ones(self, client, inbox, moment):
        since.append(moment)
        if inbox.slug != "t":
            raise TemporaryError("not now")
        message = InboundMessage(
            "SMlost", "551130000000", (ANA,), "text", "vocês abrem domingo?", timezone.now(), "Ana"
        )
        return Parsed(
            messages=(message,), receipts=(Receipt("SMours", "551130000000", "delivered", datetime.now(UTC)),)
        )

    async def send(self, client, inbox, message):
        return Sent("SMours")

    monkeypatch.setattr(Twilio, "missed", missed_ones)
    monkeypatch.setattr(Twilio, "send", send)
    missed._looked.clear()
    return since


async def test_a_message_no_webhook_brought_is_answered_once(house: House, twilio: Inbox, asked: list[datetime]):
    await house.work()
    await missed.look_for_missed()
    await missed.look_for_missed()
    await house.until(lambda: house.rows("select 1 from prosa_conversations_message where provider_id = 'SMours'"))
    await house.quiet()
    assert [line.text for turn in house.mind.turns for line in turn.question] == ["vocês abrem domingo?"]
    assert house.one("select count(*) from prosa_conversations_webhookevent where kind = 'twilio'") == 1


async def test_the_first_look_goes_back_a_day_and_later_ones_a_little(
    house: House, twilio: Inbox, asked: list[datetime]
):
    await missed.look_for_missed()
    await missed.look_for_missed()
    now = datetime.now(UTC)
    assert now - asked[0] > timedelta(hours=23)
    assert now - asked[1] < timedelta(hours=1)


async def test_receipts_that_never_came_move_the_ticks(house: House, twilio: Inbox, asked: list[datetime]):
    await house.work()
    await missed.look_for_missed()
    await house.until(lambda: house.rows("select 1 from prosa_conversations_message where provider_id = 'SMours'"))
    await missed.look_for_missed()
    assert house.one("select status from prosa_conversations_message where provider_id = 'SMours'") == "delivered"


async def test_one_inbox_that_cannot_be_asked_does_not_keep_the_others_from_it(
    house: House, twilio: Inbox, business: Business, asked: list[datetime]
):
    broken = await Inbox.objects.acreate(
        business=business, kind="twilio", name="B", slug="b", routing_key="551130000001", credentials={}
    )
    await missed.look_for_missed()
    assert len(asked) == 2
    assert broken.pk not in missed._looked
    assert house.one("select count(*) from prosa_conversations_message where provider_id = 'SMlost'") == 1
