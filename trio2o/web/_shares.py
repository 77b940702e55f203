"""How many calls of one project are under way: no project takes the time of the others."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from trio2o.domain.errors import TooManyRequests

WAIT = 1.0
"""Seconds that a call beyond the limit waits. Refused at once, it would come again at once."""

WAITING = 4
"""Calls of a project that may wait, as a multiple of those under way."""

AT_ONCE, MOMENT = 4, 0.002
"""Calls of a project that begin within so many seconds, before others have their turn."""

LATELY = 1.0
"""Seconds for which a project that had a call counts as one that takes turns."""


class Shares:
    """Calls under way, by project. `limit` may be changed any time (0: any number).

    Of what a project asks for at once a few calls begin in each turn of the reactor, and projects
    take turns: who asks for little waits for a few of those who ask for much, not for all. Whose
    calls are the only ones waits for nobody.
    """

    def __init__(self, clock: Any, limit: int = 0) -> None:
        self._clock, self.limit = clock, limit
        self._under_way: dict[str, int] = {}
        self._queues: dict[str, deque[Deferred[None]]] = {}
        self._begun: dict[str, int] = {}
        self._since = self._mixed = 0.0
        self._last = ""
        self._late: OrderedDict[str, deque[Deferred[None]]] = OrderedDict()
        self._timer: Any = None

    def take(self, share: str, *, in_turn: bool = False) -> Awaitable[None] | None:
        """Begin a call; what is to be awaited before, if it has to wait. `in_turn`: its turn was
        waited for.

        Raises `TooManyRequests`, here or when awaited. Who is nobody ('') is not counted.
        """
        count = self._under_way.get(share, 0)
        if count < self.limit or not self.limit or not share:
            self._under_way[share] = count + 1
            return None if in_turn or self._is_next(share) else self._turn(share)
        return self._wait(share)

    def turn(self, share: str) -> Deferred[None] | None:
        """Fires when it is the turn of one more call of this project; None if it is now."""
        return None if self._is_next(share) else self._queued(share)

    def _is_next(self, share: str) -> bool:
        """Whether a call of this project may begin at once."""
        now = self._clock.seconds()
        if share != self._last:
            self._last, self._mixed = share, now + LATELY
        if now >= self._since + MOMENT:
            self._since = now
            self._begun.clear()
        begun = self._begun[share] = self._begun.get(share, 0) + 1
        few = begun <= AT_ONCE or now >= self._mixed
        return not share or (few and share not in self._late)

    def _queued(self, share: str) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._late.setdefault(share, deque()).append(turn)
        self._look()
        return turn

    async def _turn(self, share: str) -> None:
        try:
            await self._queued(share)
        except CancelledError:
            self.give(share)
            raise

    def _look(self) -> None:
        if self._timer is None and self._late:
            self._timer = self._clock.callLater(0, self._next)

    def _next(self) -> None:
        """Begin some of the calls that wait for their turn, and the others in the next one."""
        self._timer = None
        for _ in range(AT_ONCE):
            if not self._late:
                break
            share, turns = self._late.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._late[share] = turns
            if not turn.called:  # else nobody waits any more
                turn.callback(None)
        self._look()

    async def _wait(self, share: str) -> None:
        queue = self._queues.setdefault(share, deque())
        if len(queue) >= self.limit * WAITING:
            raise _too_many()
        turn: Deferred[None] = Deferred(queue.remove)
        queue.append(turn)
        try:
            await turn.addTimeout(WAIT, self._clock)
        except TimeoutError:
            raise _too_many() from None
        if not self._is_next(share):
            await self._turn(share)

    def give(self, share: str) -> None:
        """A call that was begun ended; the one that waits longest goes on."""
        if queue := self._queues.get(share):
            queue.popleft().callback(None)
            return
        self._queues.pop(share, None)
        count = self._under_way[share] - 1
        if count:
            self._under_way[share] = count
        else:
            del self._under_way[share]

    @property
    def under_way(self) -> int:
        return sum(self._under_way.values())

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many calls of this project are under way.", retry_after=1)
