"""The frame of reconcilers: when they pass, and what they found."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from txaio.tx import make_logger

from trio2o.domain.errors import Unavailable
from trio2o.domain.tasks import Fresh
from trio2o.store import EPOCH

log = make_logger()

BROKEN_OFF = "The pass was broken off: this process ends, or lost the lease."

NOTES = 100
"""Notes of a pass that are shown; `failed` counts all."""


@define
class Counted:
    """What a pass found: definitions looked at, differences, those mended, those that failed.

    `notes` say for an operator what was left as it is.
    """

    looked: int = 0
    drift: int = 0
    mended: int = 0
    failed: int = 0
    notes: list[str] = field(factory=list)


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
    under_way: Deferred[Counted] | None = None


async def _nothing(name: str, told: int) -> None:
    """Where there is one process, nobody has to be told."""


class Passes:
    """Runs each reconciler again and again, and early when it is woken. One pass at a time."""

    def __init__(self, clock: Any, now: Callable[[], float], interval: float) -> None:
        """`interval` is the time between passes, in seconds."""
        self._clock, self._now, self._interval = clock, now, interval
        self._states: dict[str, _State] = {}
        self._running: Fresh[str, Counted] = Fresh()
        self.running = False
        self.epoch: int | None = None
        self.elsewhere: Callable[[str], None] = lambda name: None
        """Told what is woken while another process passes."""
        self.began: Callable[[str], int] = lambda name: 0
        self.ended: Callable[[str, int], Awaitable[None]] = _nothing
        """Told when a pass has ended, and what `began` said of it."""

    def add(self, reconciler: Reconciler) -> None:
        self._states[reconciler.name] = _State(reconciler)

    def start(self, epoch: int | None = None) -> None:
        """Pass from now on. What is written by passes is refused in a later epoch of the lease."""
        self.running, self.epoch = True, epoch
        for name in self._states:
            self._plan(name, self._interval)

    def stop(self) -> None:
        """Pass no more, and break off what is under way."""
        self.running, self.epoch = False, None
        for state in self._states.values():
            if state.timer is not None and state.timer.active():
                state.timer.cancel()
            if state.under_way is not None:
                state.under_way.cancel()

    def names(self) -> tuple[str, ...]:
        return tuple(self._states)

    def wake(self, name: str, seconds: float = 1.0) -> None:
        """Have the next pass soon: something changed that may have to be settled."""
        if self.running:
            self._plan(name, seconds)
        else:
            self.elsewhere(name)

    def wake_all(self) -> None:
        """A pod was added, or answers again: it may lack what the others have."""
        for name in self._states:
            self.wake(name)

    def _plan(self, name: str, seconds: float) -> None:
        state = self._states[name]
        if not self.running:
            return
        if state.timer is not None and state.timer.active():
            if state.timer.getTime() <= self._clock.seconds() + seconds:
                return
            state.timer.cancel()
        state.timer = self._clock.callLater(seconds, self._begin, name)

    def _begin(self, name: str) -> None:
        Deferred.fromCoroutine(self.run(name)).addErrback(lambda _: None)

    async def run(self, name: str) -> Counted:
        """A pass that begins now, or once the one that is under way has ended: that one may have
        passed by what changed since it began."""
        waits = self._states[name].under_way is not None

        async def begin() -> Counted:
            if waits and not self.running:
                raise Unavailable(BROKEN_OFF)
            return await self._pass(name)

        return await self._running.run(name, begin)

    async def _pass(self, name: str) -> Counted:
        state = self._states[name]
        begun, told = time.monotonic(), self.began(name)
        EPOCH.set(self.epoch)
        try:
            state.under_way = Deferred.fromCoroutine(state.reconciler.run())
            state.counted, state.error = await state.under_way, ""
        except CancelledError:
            raise Unavailable(BROKEN_OFF) from None
        except Exception as error:
            state.error, state.counted = str(error) or type(error).__name__, Counted(failed=1)
            log.error(
                "reconciler {name} failed\n{traceback}", name=name, traceback=traceback.format_exc()
            )
            raise
        else:
            return state.counted
        finally:
            state.under_way = None
            state.last, state.seconds = self._now(), time.monotonic() - begun
            if self.running:  # else it was broken off, and is for the next holder to make
                self._plan(name, self._interval)
                await self.ended(name, told)

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
            "notes": counted.notes[:NOTES],
            "error": state.error,
            "next": self._now() + left if waits else 0.0,
        }
