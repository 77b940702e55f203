"""A breaker: an origin that failed again and again is left alone for a while."""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field

FAILURES = 5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


@define
class Breaker:
    """Opens after five failures in a row; half-opens for one probe; pauses grow with jitter.

    Failures are what says that the server is away: no connection, a time-out, 502, 503, 504.
    """

    seconds: Callable[[], float]
    failures: int = 0
    _open_until: float = 0.0
    _pause: float = FIRST_PAUSE
    _probing: bool = False
    _jitter: Callable[[], float] = field(default=random.random)

    @property
    def is_open(self) -> bool:
        """Whether the origin is held to be down (also while one probe is on its way)."""
        return self.failures >= FAILURES

    def allows(self, *, probe: bool) -> bool:
        """Whether a call may go now. While open, one probe at a time may, after the pause."""
        if self.failures < FAILURES:
            return True
        if not probe or self._probing or self.seconds() < self._open_until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self.failures, self._pause, self._probing = 0, FIRST_PAUSE, False

    def abandoned(self) -> None:
        """The call was given up by its caller: it says nothing about the origin."""
        self._probing = False

    def failed(self) -> None:
        known, self._probing = self.is_open and not self._probing, False
        self.failures += 1
        if self.is_open and not known:  # what was on its way when it opened makes it no longer
            self._open_until = self.seconds() + self._pause * (0.5 + self._jitter())
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
