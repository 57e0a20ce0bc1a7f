"""A business with an inbox, a door and the hands to work it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo
from tests.walks import payloads
from tests.walks.house import Carrier, House, connect_carrier

from prosa import conf, postgres
from prosa.business.models import Business, Guideline
from prosa.channels.models import Inbox


@pytest.fixture
def dsn(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test database; commits are real, and emptied afterwards."""
    found = make_conninfo(conf.settings().database_url, dbname=connection.settings_dict["NAME"])
    monkeypatch.setattr(postgres, "dsn", lambda _settings: found)
    return found


@pytest.fixture
def business(dsn: str) -> Business:
    """A shop that waits only a moment for the end of a burst."""
    made = Business.objects.create(name="Loja", slug="loja", quiet_ms=30, max_quiet_ms=600)
    Guideline.objects.create(business=made, text="Seja gentil.")
    return made


@pytest.fixture
def inbox(business: Business) -> Inbox:
    """Its WhatsApp number."""
    credentials = {"app_secret": payloads.SECRET, "phone_number_id": payloads.NUMBER, "token": payloads.TOKEN}
    return Inbox.objects.create(
        business=business,
        kind="whatsapp_cloud",
        name="W",
        slug="loja",
        routing_key=payloads.NUMBER,
        credentials=credentials,
    )


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    """WhatsApp, as far as it sends."""
    made = Carrier()
    connect_carrier(monkeypatch, made)
    return made


@pytest.fixture
async def house(dsn: str, inbox: Inbox, carrier: Carrier) -> AsyncIterator[House]:
    """A house with one door open and nobody at work yet."""
    made = House(dsn, carrier)
    await made.enter()
    yield made
    await made.leave()
