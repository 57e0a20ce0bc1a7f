from __future__ import annotations

import pytest

from prosa.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, open_seconds=20, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.allows()
        breaker.failed()


def test_opens_at_the_limit_and_not_before(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.allows()
    breaker.failed()
    assert breaker.open
    assert not breaker.allows()


def test_only_failures_in_a_row_count(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.allows()


def test_one_probe_at_a_time_after_the_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 19.9
    assert not breaker.allows()
    clock.now += 0.1
    assert breaker.allows()
    assert not breaker.allows()


def test_a_good_probe_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 20
    assert breaker.allows()
    breaker.succeeded()
    assert not breaker.open
    assert breaker.allows()
    assert breaker.allows()


def test_a_bad_probe_opens_for_as_long_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 20
    fail(breaker, 1)
    clock.now += 19
    assert not breaker.allows()
    clock.now += 1
    assert breaker.allows()


def test_an_abandoned_probe_gives_way_to_the_next(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 20
    assert breaker.allows()
    breaker.abandoned()
    assert breaker.open
    assert breaker.allows()
