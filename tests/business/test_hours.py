"""When people are at work."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.business.hours import DAYS, Hours, spans

SP = ZoneInfo("America/Sao_Paulo")


def hours(week: dict[str, str], holidays: dict[date, str] | None = None, zone: ZoneInfo = SP) -> Hours:
    return Hours(
        zone,
        {day: spans(text) for day, text in week.items()},
        {day: spans(text) for day, text in (holidays or {}).items()},
    )


WEEK = hours({**dict.fromkeys(DAYS[:5], "09:00-12:00, 13:00-18:00"), "sat": "9-13"})


def at(text: str, zone: ZoneInfo = SP) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-20T08:59", False),
        ("2026-11-20T09:00", True),
        ("2026-11-20T12:00", False),
        ("2026-11-20T17:59", True),
        ("2026-11-20T18:00", False),
        ("2026-11-21T12:59", True),
        ("2026-11-22T10:00", False),
    ],
)
def test_the_week(moment: str, open_: bool):
    assert WEEK.open_at(at(moment)) is open_


def test_the_business_has_its_own_time():
    assert WEEK.open_at(datetime(2026, 11, 20, 12, 30, tzinfo=UTC))  # 09:30 in São Paulo
    assert not WEEK.open_at(datetime(2026, 11, 20, 9, 30, tzinfo=UTC))


def test_without_hours_it_is_always_open():
    assert hours({}).always
    assert hours({}).open_at(at("2026-11-22T03:00"))


def test_a_holiday_is_closed_or_keeps_hours_of_its_own():
    kept = hours(dict.fromkeys(DAYS, "09:00-18:00"), {date(2026, 12, 25): "", date(2026, 12, 24): "09:00-12:00"})
    assert not kept.open_at(at("2026-12-25T10:00"))
    assert kept.open_at(at("2026-12-24T10:00"))
    assert not kept.open_at(at("2026-12-24T14:00"))
    assert kept.next_opening(at("2026-12-24T14:00")) == at("2026-12-26T09:00")


def test_past_midnight():
    bar = hours({"fri": "18:00-02:00"})
    assert bar.open_at(at("2026-11-20T23:30"))
    assert bar.open_at(at("2026-11-21T01:59"))
    assert not bar.open_at(at("2026-11-21T02:00"))


def test_when_it_opens_next():
    assert WEEK.next_opening(at("2026-11-20T12:15")) == at("2026-11-20T13:00")
    assert WEEK.next_opening(at("2026-11-21T15:00")) == at("2026-11-23T09:00")
    assert WEEK.next_opening(at("2026-11-20T10:00")) == at("2026-11-20T10:00")
    assert hours({"mon": "9-10"}, {date(2026, 11, 23): ""}).next_opening(at("2026-11-22T10:00")) == at(
        "2026-11-30T09:00"
    )


@pytest.mark.parametrize("text", ["9", "25-26", "09:60-10", "9-12, 11-13", "nove às dez", "9-9"])
def test_what_are_no_hours(text: str):
    with pytest.raises(ValueError, match="hours"):
        spans(text)


@given(st.integers(0, 365 * 24 * 60))
def test_the_next_opening_is_open(minutes: int):
    moment = at("2026-01-01T00:00") + timedelta(minutes=minutes)
    found = WEEK.next_opening(moment)
    assert found is not None
    assert found >= moment
    assert WEEK.open_at(found)
