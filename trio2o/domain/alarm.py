"""The one timer of a connection."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any


class Alarm:
    """Calls `then` when it is `due` (inf: never). A timer that is armed is left alone while it is
    early enough, and looks again: most calls touch none."""

    __slots__ = ("_clock", "_timer", "due", "then")

    def __init__(self, clock: Any, then: Callable[[], None]) -> None:
        self._clock, self.then = clock, then
        self.due = inf
        self._timer: Any = None

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` so long from now (0: never), in place of what was to be called."""
        self.then = then
        self.at(self._clock.seconds() + seconds if seconds else inf)

    def at(self, due: float) -> None:
        """Ring at this time of the clock's."""
        self.due = due
        if self._timer is not None and self._timer.getTime() > due:
            self._disarm()
        if self._timer is None and due < inf:
            self._arm(due - self._clock.seconds())

    def stop(self) -> None:
        self.due = inf
        self._disarm()

    def _arm(self, left: float) -> None:
        self._timer = self._clock.callLater(max(left, 0), self._look)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        left = self.due - self._clock.seconds()
        if left <= 0:
            self.due = inf
            self.then()
        elif left < inf:
            self._arm(left)
