"""A circuit breaker: stop asking someone who does not answer, and find out later whether they are back."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Counts consecutive failures of one server; opens at ``failures``, for ``open_seconds``.

    Once that time is over one caller at a time may try (the probe). A success closes the breaker, a failure opens it
    for as long again. Not thread-safe: it belongs to one event loop.
    """

    def __init__(
        self, *, failures: int = 5, open_seconds: float = 20.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def rest(self) -> float:
        """Seconds until a request may be tried; 0 when one may be sent now."""
        return max(0.0, self._opened_at + self._open_seconds - self._clock()) if self.open else 0.0

    @property
    def open(self) -> bool:
        """True from the last failure too many until the next success."""
        return self._failures >= self._limit

    def allows(self) -> bool:
        """Whether a request may be sent now. A True must be followed by ``succeeded``, ``failed`` or ``abandoned``."""
        if not self.open:
            return True
        if self._probing or self._clock() - self._opened_at < self._open_seconds:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0
        self._probing = False

    def failed(self) -> None:
        """The server could not be reached, was too late, or said it cannot work now."""
        self._failures += 1
        self._probing = False
        if self.open:
            self._opened_at = self._clock()

    def abandoned(self) -> None:
        """We went away before it could answer (cancelled), which says nothing about the server."""
        self._probing = False
