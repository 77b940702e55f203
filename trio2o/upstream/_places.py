"""How many calls to one server are under way, and in which order those that wait go on."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

WAITING = 4
"""Calls that may wait for a place, as a multiple of the places."""


class Unreachable(Exception):
    """No byte of the call was sent."""


class Busy(Unreachable):
    """Too many calls to this origin are under way."""


class Places:
    """Places at a server. Shares (projects) that wait take turns, whoever came first.

    No share holds more than `most` places, but the share '', which is ours. Where no more may
    wait, the share that has most waiting gives way.
    """

    def __init__(self, limit: int, most: int = 0) -> None:
        """`most` 0: all of them."""
        self._limit, self._most = limit, most or limit
        self._free = limit
        self._held: dict[str, int] = {}
        self._queues: OrderedDict[str, deque[Deferred[None]]] = OrderedDict()
        self.waiting = 0

    @property
    def in_flight(self) -> int:
        return self._limit - self._free

    def take(self, share: str = "") -> bool:
        """Take a place if there is one for this share at once."""
        held = self._held.get(share, 0)
        if self._free <= 0 or (share and held >= self._most):
            return False
        self._free -= 1
        self._held[share] = held + 1
        return True

    async def wait(self, clock: Any, seconds: float, share: str = "") -> None:
        """Wait for a place, so long at most. Raises `Busy`."""
        if self.waiting >= self._limit * WAITING:
            self._make_room(share)
        queue = self._queues.setdefault(share, deque())
        turn: Deferred[None] = Deferred(lambda turn: self._leave(share, turn))
        queue.append(turn)
        self.waiting += 1
        try:
            await turn.addTimeout(seconds, clock)
        except TimeoutError:
            raise Busy("no place became free in time") from None

    def give(self, share: str = "") -> None:
        """Give a place back; the next share that waits takes it."""
        self._free += 1
        held = self._held[share] - 1
        if held:
            self._held[share] = held
        else:
            del self._held[share]
        for waits, queue in self._queues.items():
            if self.take(waits):
                turn = queue[0]
                self._queues.move_to_end(waits)
                self._leave(waits, turn)
                turn.callback(None)
                return

    def _leave(self, share: str, turn: Deferred[None]) -> None:
        queue = self._queues[share]
        queue.remove(turn)
        self.waiting -= 1
        if not queue:
            del self._queues[share]

    def _make_room(self, share: str) -> None:
        longest = max(self._queues, key=lambda waits: len(self._queues[waits]))
        queue, own = self._queues[longest], self._queues.get(share, ())
        if len(queue) <= len(own) + 1:
            raise Busy("too many calls under way")
        turn = queue[-1]
        self._leave(longest, turn)
        turn.errback(Busy("too many calls under way"))
