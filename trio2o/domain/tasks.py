"""Coroutines side by side: one run shared by many, and many runs awaited by one."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults
from twisted.python.failure import Failure

K = TypeVar("K")
T = TypeVar("T")


class Once(Generic[K, T]):
    """Runs a coroutine for a key; whoever asks meanwhile shares its result or its error.

    Who is cancelled leaves; the run goes on for the others.
    """

    def __init__(self) -> None:
        self._waiting: dict[K, list[Deferred[T]]] = {}

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        first = key not in self._waiting
        waiting = self._waiting.setdefault(key, [])
        turn: Deferred[T] = Deferred(lambda left: waiting.remove(left) if left in waiting else None)
        waiting.append(turn)
        if first:
            Deferred.fromCoroutine(start()).addBoth(self._done, key)
        return await turn

    def _done(self, result: Any, key: K) -> None:
        for turn in self._waiting.pop(key):
            turn.callback(result)


class Turns(Generic[K]):
    """For each key one at a time; the others wait in order."""

    def __init__(self) -> None:
        self._waiting: dict[K, list[Deferred[None]]] = {}

    @asynccontextmanager
    async def of(self, key: K) -> AsyncIterator[None]:
        if key in self._waiting:
            turn: Deferred[None] = Deferred(lambda left: self._waiting[key].remove(left))
            self._waiting[key].append(turn)
            await turn
        else:
            self._waiting[key] = []
        try:
            yield
        finally:
            if self._waiting[key]:
                self._waiting[key].pop(0).callback(None)
            else:
                del self._waiting[key]


class Fresh(Generic[K, T]):
    """Runs a coroutine for a key, one at a time; whoever asks meanwhile shares the next run, for
    the one that is under way may not have seen what it is about."""

    def __init__(self) -> None:
        self._turns: Turns[K] = Turns()
        self._next: dict[K, object] = {}
        self._sharing: Once[object, T] = Once()

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        token = self._next.setdefault(key, object())
        return await self._sharing.run(token, lambda: self._begin(key, start))

    async def _begin(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._turns.of(key):
            del self._next[key]
            return await start()


class Gate:
    """Where a producer waits while its consumer is full. It is open at first."""

    def __init__(self) -> None:
        self._opened: Deferred[None] | None = None

    def close(self) -> None:
        if self._opened is None:
            self._opened = Deferred()

    def open(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(None)

    async def passed(self) -> None:
        """Returns once the gate is open."""
        if self._opened is not None:
            await self._opened


class Task:
    """A coroutine that runs by itself, awaiting Deferreds; nobody waits for what it returns.

    (`Deferred.fromCoroutine`, with a context of its own and a result to await, takes three times
    as long.) `ended` is called where it did not end at once.
    """

    __slots__ = ("_awaited", "_run", "ended", "over")

    def __init__(self, run: Coroutine[Deferred[Any], None, None]) -> None:
        self._run = run
        self.over = False
        self.ended: Callable[[Task], None] | None = None
        self._step()

    def _step(self, result: Any = None) -> None:
        try:
            if isinstance(result, Failure):
                awaited = result.throwExceptionIntoGenerator(self._run)
            else:
                awaited = self._run.send(None)
            self._awaited: Deferred[Any] = awaited
        except BaseException as end:
            self.over = True
            if self.ended is not None:
                self.ended(self)
            if not isinstance(end, StopIteration):
                raise
        else:
            awaited.addBoth(self._step)

    def cancel(self) -> None:
        """Cancel what it waits for."""
        self._awaited.cancel()


async def together(runs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, run at once. Raises the first error as it was raised."""
    started = [Deferred.fromCoroutine(run) for run in runs]
    try:
        return await gatherResults(started, consumeErrors=True)
    except FirstError as first:
        first.subFailure.raiseException()
        raise


async def within(clock: Any, seconds: float, run: Coroutine[Any, Any, None]) -> bool:
    """Wait for a run, but no longer than this; whether it ended. It goes on all the same.

    Raises its error, if that comes in time.
    """
    ended = Deferred.fromCoroutine(run)
    limit: Deferred[None] = Deferred()
    timer = clock.callLater(seconds, limit.callback, None)
    try:
        await DeferredList(
            [ended, limit], fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
        )
        return bool(timer.active())
    except FirstError as first:
        first.subFailure.raiseException()
        raise
    finally:
        if timer.active():
            timer.cancel()
