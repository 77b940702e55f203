"""Bodies that arrive on a connection, and the one consumer that pulls them."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.tcp import Connection

from trio2o.message import Aborted

PIECE = 64 * 1024


def write_at_once(transport: Any, data: bytes) -> None:
    """Write what a socket takes now, and leave the rest to its transport.

    Else each message costs a turn of the reactor and two changes of what it polls.
    """
    if isinstance(transport, Connection) and transport.connected:
        idle = not (transport.dataBuffer or transport._tempDataBuffer or transport.disconnecting)
        if idle:
            try:
                sent = transport.socket.send(data)
            except OSError:
                sent = 0  # the transport meets the error itself
            if sent == len(data):
                return
            data = data[sent:] if sent else data
    transport.write(data)


class Held(Protocol):
    """A connection that can be held back."""

    def pauseProducing(self) -> None: ...  # noqa: N802
    def resumeProducing(self) -> None: ...  # noqa: N802


class Inflow:
    """A `Stream` of what `push` was given. Its connection is held while nobody reads.

    `give_up` is called once if the reader aborts before the end.
    """

    def __init__(self, length: int | None, source: Held, give_up: Callable[[], None]) -> None:
        self.length = length
        self._source, self._give_up = source, give_up
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._held = False
        self._over: Exception | None = None
        self._done = False
        self._waiting: Deferred[None] | None = None

    def push(self, data: bytes) -> None:
        """More of the body came."""
        if self._over is not None:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > PIECE:
            self.hold()
        self._wake()

    def hold(self) -> None:
        """Hold the connection until somebody reads."""
        if not self._held:
            self._held = True
            self._source.pauseProducing()

    def end(self, why: Exception | None = None) -> None:
        """No more comes: all of it is there, or with `why` it broke off."""
        if self._done:
            return
        self._done = True
        if self._over is None and why is not None:
            self._over = Aborted(str(why))
        self._release()
        self._wake()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._source.resumeProducing()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def read(self) -> bytes:
        while not self._pieces:
            if self._over is not None:
                raise self._over
            if self._done:
                return b""
            self._release()
            if self._pieces or self._done:
                continue
            self._waiting = Deferred()
            await self._waiting
        piece = self._pieces.popleft()
        if len(piece) > PIECE:
            self._pieces.appendleft(piece[PIECE:])
            piece = piece[:PIECE]
        self._size -= len(piece)
        return piece

    def abort(self, why: Exception) -> None:
        if self._over is None and not self._done:
            self._over = Aborted(str(why))
            self._pieces.clear()
            self._give_up()
            self._wake()
