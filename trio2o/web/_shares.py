"""How many calls of one project are under way: no project takes the time of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from trio2o.domain.errors import TooManyRequests

WAIT = 1.0
"""Seconds that a call beyond the limit waits. Refused at once, it would come again at once."""

WAITING = 4
"""Calls of a project that may wait, as a multiple of those under way."""


class Shares:
    """Calls under way, by project. `limit` may be changed any time (0: any number)."""

    def __init__(self, clock: Any, limit: int = 0) -> None:
        self._clock, self.limit = clock, limit
        self._under_way: dict[str, int] = {}
        self._queues: dict[str, deque[Deferred[None]]] = {}

    def take(self, share: str) -> Awaitable[None] | None:
        """Begin a call; what is to be awaited before, if it has to wait.

        Raises `TooManyRequests`, here or when awaited. Who is nobody ('') is not counted.
        """
        count = self._under_way.get(share, 0)
        if count < self.limit or not self.limit or not share:
            self._under_way[share] = count + 1
            return None
        return self._wait(share)

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
