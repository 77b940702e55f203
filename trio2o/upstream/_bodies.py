"""Bodies on their way: ours to a server, and a server's to us."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from trio2o.domain.tasks import Gate
from trio2o.message import Aborted, Stream

PIECE = 64 * 1024


@implementer(IBodyProducer)
@define
class BytesProducer:
    """A request body that is in memory."""

    body: bytes

    @property
    def length(self) -> int:
        return len(self.body)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """All of it was given at once."""

    resumeProducing = stopProducing = pauseProducing  # noqa: N815


@implementer(IBodyProducer)
class StreamProducer:
    """A request body that is read from a stream as the connection takes it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.length = UNKNOWN_LENGTH if stream.length is None else stream.length
        self._stopped = False
        self._room = Gate()

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802
        return Deferred.fromCoroutine(self._copy(consumer))

    async def _copy(self, consumer: Any) -> None:
        while not self._stopped and (piece := await self._stream.read()):
            consumer.write(piece)
            await self._room.passed()

    def pauseProducing(self) -> None:  # noqa: N802
        self._room.close()

    def resumeProducing(self) -> None:  # noqa: N802
        self._room.open()

    def stopProducing(self) -> None:  # noqa: N802
        self._stopped = True
        self._stream.abort(Aborted("the server behind went away"))
        self.resumeProducing()


class AnswerStream(Protocol):
    """The body of a server's answer. The connection is paused while nobody reads."""

    def __init__(self, length: int | None, ended: Callable[[], None]) -> None:
        self.length = length
        self._ended = ended
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._over: Exception | None = None
        self._done = False
        self._waiting: Deferred[None] | None = None

    @property
    def _producer(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._over is not None:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > PIECE and self._producer is not None:
            self._producer.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802
        if self._done:
            return
        self._done = True
        # PotentialDataLoss: HTTP/1.0, where the end of the connection is the end of the body
        if self._over is None and reason and not reason.check(ResponseDone, PotentialDataLoss):
            self._over = Aborted(f"the answer broke off: {reason.getErrorMessage()}")
        self._ended()
        self._wake()

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
            if self._producer is not None:
                self._producer.resumeProducing()
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
            if self._producer is not None:
                self._producer.loseConnection()
            self._wake()
