"""One connection of a client: requests in, one after the other, and their answers out.

Heads are read by `read_head`; time and size are bounded while receiving; errors have the API's
own shape.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Protocol

from attrs import frozen
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import NO_BODY_CODES, RESPONSES

from trio2o.domain.alarm import Alarm
from trio2o.domain.errors import BadRequest, Fault, TooLarge
from trio2o.domain.streams import Inflow, write_at_once
from trio2o.domain.tasks import Gate, Task
from trio2o.message import Aborted, Answer, Body, Call, Stream, has_breaks
from trio2o.web._head import BEYOND, NONE, Head, HeadTooLarge, read_head
from trio2o.web._pipeline import Found

# Twisted's classes have no types that a subclass could use
_ChunkedTransferDecoder: Any = http._ChunkedTransferDecoder
_IdentityTransferDecoder: Any = http._IdentityTransferDecoder
_Malformed: Any = http._MalformedChunkedDataError

BEHIND = 16 * 1024
"""Bytes that are read behind a request that is being answered, at most."""

CLOSING = 15.0
"""Seconds that a client has to take what is left, once we close."""

LEAVING = 30.0
"""Seconds that a client may go on sending a body that was answered before its end."""

STATUS = {status: b"HTTP/1.1 %d %s" % (status, reason) for status, reason in RESPONSES.items()} | {
    413: b"HTTP/1.1 413 Content Too Large",
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
}


@frozen
class Limits:
    """What one request may use. Sizes in bytes, times in seconds (0: any).

    `whole_bytes` bounds a body that is read into memory, whatever may be streamed.
    """

    header_bytes: int = 16384
    body_bytes: int = 1048576
    whole_bytes: int = 1048576
    header_seconds: float = 15.0
    body_seconds: float = 120.0
    idle_seconds: float = 75.0


class TooSlow(Fault):
    status = 408


class Exchange(Struct, eq=False):
    """A request and what becomes of it. `gone`: nobody waits for the answer any more.

    `share` is the project that the connection had its turn for, then that of its next one.
    """

    head: Head
    found: Found
    share: str = ""
    task: Task | None = None
    gone: bool = False


class Site(Protocol):
    """What a channel's site does for it. While it is `draining`, each answer is the last.

    `of` tells whose a request is, and takes what led there off its path. `turn` is `Shares`'.
    """

    draining: bool
    limits: Limits

    def turn(self, share: str) -> Deferred[None] | None: ...
    def of(self, head: Head) -> Site: ...
    def find(self, head: Head) -> Found: ...
    def serve(self, channel: Channel, exchange: Exchange, body: Body) -> None: ...
    def left(self, exchange: Exchange) -> None: ...
    def own(self, fault: Fault, call: Call) -> Answer: ...
    def date(self) -> bytes: ...


class _Chunked(_ChunkedTransferDecoder):  # type: ignore[misc]
    """Chunks without extensions: nobody sends them but to be misread. `announced` is told of the
    size of each before it comes."""

    announced: Callable[[int], None]

    def _dataReceived_CHUNK_LENGTH(self) -> bool:  # noqa: N802
        end = self._buffer.find(b"\r\n")
        if b";" in (self._buffer[:end] if end >= 0 else self._buffer):
            raise _Malformed("chunk extensions are not taken")
        more: bool = super()._dataReceived_CHUNK_LENGTH()
        if more:
            self.announced(self.length)
        return more


class Channel(TwistedProtocol):
    """One connection. Its answers come by `answer`."""

    transport: Any
    peer = ""

    def __init__(self, clock: Any, site: Site, limits: Limits, lost: Callable[[Channel], None]):
        self._limits, self._lost = limits, lost
        self._port = self._site = site
        self._buffer = b""
        self._fields = NONE
        self._share = ""
        self._turn: Deferred[None] | None = None
        self._in_turn = False
        self._exchange: Exchange | None = None
        self._decoder: Any = None
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = self._most = 0
        self._inflow: Inflow | None = None
        self._receiving = self._pumping = self._ending = self._leaving = False
        self._holds: set[str] = set()
        self._full = False
        self._room = Gate()
        self._writing: Stream | None = None
        self._alarm = Alarm(clock, self.close)

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.registerProducer(self, True)
        self._alarm.wait(self._limits.idle_seconds, self.close)

    # requests in

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._ending:
            return
        if self._decoder is not None:
            self._feed(data)
            self._pump()
            return
        self._buffer = self._buffer + data if self._buffer else data
        if self._is_free():
            self._pump()
        elif len(self._buffer) > BEHIND:
            self._hold("behind")

    def _pump(self) -> None:
        """Begin what is in the buffer, request after request, as far as they are answered."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._is_free() and self._has_turn() and self._begin() and not self._full:
                pass
        finally:
            self._pumping = False

    def _is_free(self) -> bool:
        busy = self._exchange or self._decoder or self._turn or self._ending
        return not busy

    def _has_turn(self) -> bool:
        """Whether it is the turn of who sent the last request here, most likely of this one too:
        to read a head takes half of what a call costs us."""
        if self._in_turn or not self._buffer:
            return True
        if self._share:
            self._turn = turn = self._port.turn(self._share)
            if turn is not None:
                turn.addCallbacks(self._turned, lambda _: None)
                return False
        self._in_turn = True
        return True

    def _turned(self, _: object) -> None:
        self._turn, self._in_turn = None, True
        self._let("behind")
        self._pump()

    def _give_up_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()

    def _begin(self) -> bool:
        """Take a request from the buffer; False if there is no whole head yet."""
        while self._buffer.startswith(b"\r\n"):
            self._buffer = self._buffer[2:]
        buffer, most = self._buffer, self._limits.header_bytes
        end = buffer.find(b"\r\n\r\n")
        text = buffer[: end + 2] if end >= 0 else buffer
        if len(text) > most and len(text) - 2 * text.count(b"\r\n") > most:
            self.refuse(HeadTooLarge(f"The head of a request may have {most} bytes."))
            return False
        if end < 0:
            if buffer and buffer != b"\r" and not self._receiving:
                self._receiving = True
                self._alarm.wait(self._limits.header_seconds, self._out_of_time)
            return False
        self._receiving = False
        self._buffer = buffer[end + 4 :]
        try:
            head = read_head(text, self._fields)
            self._fields = head.fields
            self._take(head)
        except Fault as fault:
            self.refuse(fault)
        return True

    def _take(self, head: Head) -> None:
        self._site = site = self._port.of(head)
        self._limits, found = site.limits, site.find(head)
        if head.length == 0:
            self._serve(head, found, b"")
            return
        limits, stream = self._limits, bool(found.rows) and found.rows[0].stream
        most = limits.body_bytes
        if not stream:
            most = min(most or limits.whole_bytes, limits.whole_bytes)
        if most and head.length is not None and head.length > most:
            raise self._too_large(most)
        self._head, self._size, self._most, self._pieces = head, 0, most, []
        self._found = found
        if head.length is None:
            self._decoder = _Chunked(self._received, self._whole)
            self._decoder.announced = self._announced
        else:
            self._decoder = _IdentityTransferDecoder(head.length, self._received, self._whole)
        if limits.body_seconds:
            self._alarm.wait(limits.body_seconds, self._out_of_time)
        else:
            self._alarm.wait(limits.idle_seconds, self.close)
        rest, self._buffer = self._buffer, b""
        if stream:
            self._inflow = inflow = Inflow(head.length, _Asked(self), self._unwanted)
            inflow.hold()  # until the call was found good
            if rest:
                self._feed(rest)
            if not self._ending:
                self._serve(head, found, inflow)
            return
        if head.waits and not rest:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if rest:
            self._feed(rest)

    @staticmethod
    def _too_large(most: int) -> TooLarge:
        return TooLarge(f"The body of a request may have {most} bytes.")

    def _feed(self, data: bytes) -> None:
        try:
            self._decoder.dataReceived(data)
        except _Malformed:
            self.refuse(BadRequest("Malformed request"))

    def _announced(self, size: int) -> None:
        most = self._most or BEYOND
        if self._size + size > most:
            self.refuse(self._too_large(most))

    def _received(self, data: bytes) -> None:
        if self._ending:
            return
        self._size += len(data)
        if self._inflow is not None:
            self._inflow.push(data)
        else:
            self._pieces.append(data)
        if not self._limits.body_seconds and not self._leaving and not self._ending:
            self._alarm.wait(self._limits.idle_seconds, self.close)

    def _whole(self, rest: bytes) -> None:
        self._decoder = None
        if self._ending:
            return
        self._buffer = rest
        inflow, self._inflow = self._inflow, None
        if self._leaving:
            self.close()
        elif inflow is not None:
            self._alarm.wait(0, self.close)
            inflow.end()
        else:
            body, self._pieces = b"".join(self._pieces), []
            assert self._head is not None
            self._serve(self._head, self._found, body)

    def _out_of_time(self) -> None:
        self.refuse(TooSlow("The request was not received in time."))

    def wanted(self, more: bool) -> None:
        """Whether the reader of a streamed body wants more of it now."""
        if self._ending:
            return
        if not more:
            self._hold("body")
            if not self._limits.body_seconds:
                self._alarm.wait(0, self.close)
            return
        if self._head is not None and self._head.waits and not self._size:
            self._head.waits = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._limits.body_seconds and self._decoder is not None:
            self._alarm.wait(self._limits.idle_seconds, self.close)
        self._let("body")

    def _unwanted(self) -> None:
        self._let("body")

    def _hold(self, why: str) -> None:
        if not self._holds:
            self.transport.pauseProducing()
        self._holds.add(why)

    def _let(self, why: str) -> None:
        if why in self._holds:
            self._holds.remove(why)
            if not self._holds:
                self.transport.resumeProducing()

    # answers out

    def _serve(self, head: Head, found: Found, body: Body) -> None:
        self._exchange = exchange = Exchange(head, found, self._share)
        self._in_turn = False
        if self._decoder is None:
            self._alarm.due = inf
        self._site.serve(self, exchange, body)

    async def answer(self, exchange: Exchange, answer: Answer) -> None:
        """Write an answer, unless nobody waits for it. It is written whole on return."""
        body = answer.body
        if exchange.gone:
            if not isinstance(body, bytes):
                body.abort(Aborted("the client went away"))
            return
        head = exchange.head
        early = self._decoder is not None
        bare = head.method == "HEAD" or answer.status in NO_BODY_CODES
        length = len(body) if isinstance(body, bytes) else body.length
        last = head.last or early or self._site.draining
        last = last or (length is None and head.old and not bare)
        chunked = length is None and not bare and not head.old
        more = [b"Connection: close"] if last else []
        if chunked:
            more.append(b"Transfer-Encoding: chunked")
        text = self._text(answer, length, more)
        if bare or isinstance(body, bytes):
            write_at_once(self.transport, text if bare else text + body)  # type: ignore[operator]
            if not isinstance(body, bytes):
                body.abort(Aborted("no body is wanted"))
        else:
            self.transport.write(text)
            if not await self._copy(exchange, body, chunked):
                return
        self._answered(exchange, last)

    def _text(self, answer: Answer, length: int | None, more: list[bytes]) -> bytes:
        """The head of an answer."""
        status = answer.status
        lines = [STATUS.get(status) or b"HTTP/1.1 %d Unknown" % status]
        lines += [name + b": " + value for name, value in answer.headers]
        lines.append(self._site.date())
        if length is not None and status not in NO_BODY_CODES:
            lines.append(b"Content-Length: %d" % length)
        lines += (*more, b"", b"")
        if has_breaks(lines):
            lines = [b" ".join(line.split()) for line in lines]
        return b"\r\n".join(lines)

    async def _copy(self, exchange: Exchange, body: Stream, chunked: bool) -> bool:
        """Write a stream as fast as the client takes it; whether all of it was written."""
        self._writing = body
        try:
            while not exchange.gone and (piece := await body.read()):
                if exchange.gone:
                    break
                self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                await self._room.passed()
        except Exception:
            # the head is sent: a clean end would be believed
            if not exchange.gone:
                self._abort()
            return False
        finally:
            self._writing = None
        if exchange.gone:
            return False
        if chunked:
            self.transport.write(b"0\r\n\r\n")
        return True

    def _answered(self, exchange: Exchange, last: bool) -> None:
        exchange.gone = True
        self._exchange, self._share = None, exchange.share
        if self._decoder is not None:
            # who is still sending would not see the answer if we closed at once
            self._leaving = True
            if self._inflow is not None:
                self._inflow.abort(Aborted("it was answered"))
            self._alarm.wait(LEAVING, self.close)
        elif last or self._site.draining:
            self.close()
        else:
            self._alarm.wait(self._limits.idle_seconds, self.close)
            self._let("behind")
            if self._buffer and not self._full:
                self._pump()

    def refuse(self, fault: Fault) -> None:
        """Answer with an error, and close: what follows on this connection is not read."""
        if self._ending:
            return
        self._ending = True
        if self._writing is None and not self._leaving:
            unread = Call("-", b"-", peer=self.peer)
            answer = self._site.own(fault, unread)
            assert isinstance(answer.body, bytes)
            text = self._text(answer, len(answer.body), [b"Connection: close"])
            self.transport.write(text + answer.body)
        self.close()

    # ends

    def close(self) -> None:
        """Nothing more is read; what was written may still be taken, for a while."""
        self._ending = True
        self._give_up_turn()
        self._buffer = b""
        self._leave(Aborted("the connection was closed"))
        self.transport.unregisterProducer()
        self._alarm.wait(CLOSING, self._abort)
        self.transport.loseConnection()

    def rest(self) -> None:
        """Close unless a request is being received or answered."""
        if self._is_free():
            self.close()

    def _abort(self) -> None:
        self._ending = True
        self.transport.abortConnection()

    def _leave(self, why: Aborted) -> None:
        """Nobody waits for an answer any more."""
        exchange, self._exchange = self._exchange, None
        inflow, self._inflow = self._inflow, None
        if exchange is not None:
            exchange.gone = True
            if self._writing is not None:
                self._writing.abort(why)
            self._room.open()
            self._site.left(exchange)
        if inflow is not None:
            inflow.end(why)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802
        self._ending = True
        self._give_up_turn()
        self._pieces = []
        self._leave(Aborted("the client went away"))
        self._alarm.stop()
        self._lost(self)

    # the transport tells how much the client takes

    def pauseProducing(self) -> None:  # noqa: N802
        self._full = True
        self._room.close()
        if self._writing is not None:
            self._alarm.wait(self._limits.idle_seconds, self._abort)

    def resumeProducing(self) -> None:  # noqa: N802
        self._full = False
        if self._writing is not None:
            self._alarm.wait(0, self.close)
        self._room.open()
        if self._buffer:
            self._pump()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is lost: `connectionLost` says so itself."""


class _Asked:
    """A channel as the source of a body that is pulled."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def pauseProducing(self) -> None:  # noqa: N802
        self._channel.wanted(False)

    def resumeProducing(self) -> None:  # noqa: N802
        self._channel.wanted(True)
