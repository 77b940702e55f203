"""The frame of reconcilers: when they pass, and what they found."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field
from txaio.tx import make_logger

from trio2o.domain.tasks import Once

log = make_logger()


@define
class Counted:
    """What a pass found: definitions looked at, differences, those mended, those that failed."""

    looked: int = 0
    drift: int = 0
    mended: int = 0
    failed: int = 0


class Reconciler(Protocol):
    """Derives what must happen from what should be and what is. A pass may end at any step."""

    @property
    def name(self) -> str: ...

    async def run(self) -> Counted:
        """One pass over everything."""
        ...


@define
class _State:
    reconciler: Reconciler
    last: float = 0.0
    seconds: float = 0.0
    counted: Counted = field(factory=Counted)
    error: str = ""
    timer: Any = None


class Passes:
    """Runs each reconciler again and again, and early when it is woken. One pass at a time."""

    def __init__(self, clock: Any, now: Callable[[], float], interval: float) -> None:
        """`interval` is the time between passes, in seconds."""
        self._clock, self._now, self._interval = clock, now, interval
        self._states: dict[str, _State] = {}
        self._running: Once[str, Counted] = Once()
        self._stopped = False

    def add(self, reconciler: Reconciler) -> None:
        self._states[reconciler.name] = _State(reconciler)

    def start(self) -> None:
        for name in self._states:
            self._plan(name, self._interval)

    def stop(self) -> None:
        self._stopped = True
        for state in self._states.values():
            if state.timer is not None and state.timer.active():
                state.timer.cancel()

    def names(self) -> tuple[str, ...]:
        return tuple(self._states)

    def wake(self, name: str, seconds: float = 1.0) -> None:
        """Have the next pass soon: something changed that may have to be settled."""
        self._plan(name, seconds)

    def wake_all(self) -> None:
        """A pod was added, or answers again: it may lack what the others have."""
        for name in self._states:
            self.wake(name)

    def _plan(self, name: str, seconds: float) -> None:
        state = self._states[name]
        if self._stopped:
            return
        if state.timer is not None and state.timer.active():
            if state.timer.getTime() <= self._clock.seconds() + seconds:
                return
            state.timer.cancel()
        state.timer = self._clock.callLater(seconds, self._begin, name)

    def _begin(self, name: str) -> None:
        from twisted.internet.defer import Deferred

        Deferred.fromCoroutine(self.run(name)).addErrback(lambda _: None)

    async def run(self, name: str) -> Counted:
        """A pass now, or the end of the one that is under way."""
        return await self._running.run(name, lambda: self._pass(name))

    async def _pass(self, name: str) -> Counted:
        state = self._states[name]
        begun = time.monotonic()
        try:
            state.counted, state.error = await state.reconciler.run(), ""
        except Exception as error:
            state.error = str(error) or type(error).__name__
            log.error(
                "reconciler {name} failed\n{traceback}", name=name, traceback=traceback.format_exc()
            )
            raise
        finally:
            state.last, state.seconds = self._now(), time.monotonic() - begun
            self._plan(name, self._interval)
        return state.counted

    def report(self, name: str) -> dict[str, Any]:
        """How a reconciler stands: times in seconds since 1970, 0 for never."""
        state = self._states[name]
        counted = state.counted
        waits = state.timer is not None and state.timer.active()
        left = state.timer.getTime() - self._clock.seconds() if waits else 0.0
        return {
            "name": name,
            "last": state.last,
            "seconds": round(state.seconds, 3),
            "looked": counted.looked,
            "drift": counted.drift,
            "mended": counted.mended,
            "failed": counted.failed,
            "error": state.error,
            "next": self._now() + left if waits else 0.0,
        }
