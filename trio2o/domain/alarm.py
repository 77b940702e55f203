"""The one timer of a connection."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any


class Alarm:
    """Calls `then` when it is `due` (inf: never). A timer that is armed is left alone while it is
    early enough, and looks again: most calls touch none."""

    __slots__ = ("_clock", "_rings", "_timer", "due", "then")

    def __init__(self, clock: Any, then: Callable[[], None]) -> None:
        self._clock, self.then = clock, then
        self.due = self._rings = inf
        self._timer: Any = None

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` so long from now (0: never), in place of what was to be called."""
        self.then = then
        due = self.due = self._clock.seconds() + seconds if seconds else inf
        if due < self._rings:
            self._arm(due)

    def at(self, due: float) -> None:
        """Ring at this time of the clock's."""
        self.due = due
        if due < self._rings:
            self._arm(due)

    def stop(self) -> None:
        self.due = self._rings = inf
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _arm(self, due: float) -> None:
        self.stop()
        self.due = self._rings = due
        self._timer = self._clock.callLater(max(due - self._clock.seconds(), 0), self._look)

    def _look(self) -> None:
        due, self._timer = self.due, None
        self.due = self._rings = inf
        if due <= self._clock.seconds():
            self.then()
        elif due < inf:
            self._arm(due)
