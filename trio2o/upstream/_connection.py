"""One connection to a server behind us: one exchange at a time, parsed by httptools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from trio2o.domain.alarm import Alarm
from trio2o.domain.streams import Inflow, write_at_once
from trio2o.domain.tasks import Gate
from trio2o.message import HOP_BY_HOP, Aborted, Answer, Stream, without

HEAD = 64 * 1024
"""Bytes of an answer that are not of its body (its head, hints before it, what is between chunks
or behind them) in one piece, at most: the parser keeps them."""

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))

_OURS = HOP_BY_HOP | {b"content-length", b"server", b"date", b"set-cookie", b"alt-svc"}
"""Headers of an answer that end here: of this hop, or of this server."""

_USUAL: tuple[list[bytes], ...] = ([], [b"keep-alive"], [b"close"])


class Broken(Exception):
    """The call was sent, or may have been, and no whole answer came."""


class Stale(Broken):
    """A kept connection ended before a byte of an answer came."""


class Connection(Protocol):
    """`free` is called when it may be used again, `gone` when it ended."""

    transport: Any

    def __init__(
        self, clock: Any, free: Callable[[Connection], None], gone: Callable[[Connection], None]
    ) -> None:
        self._free, self._gone = free, gone
        self._parser = HttpResponseParser(self)
        self._alarm = Alarm(clock, self._late)
        self._asked: Deferred[Answer] | None = None
        self._body: Inflow | None = None
        self._over: Callable[[], None] | None = None
        self._sending: _Outflow | None = None
        self._method = ""
        self.used = False
        self.ended = False
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._options: list[bytes] = []
        self._length: int | None = None
        self._pieces: list[bytes] = []
        self._between = 0
        self._begun = self._head = self._whole = self._keep = self._coded = False

    def ask(
        self,
        head: bytes,
        method: str,
        body: bytes | Stream,
        deadline: float,
        over: Callable[[], None],
    ) -> Deferred[Answer]:
        """Send a call. `over` is called once a call that was answered has ended.

        `deadline` is for the whole answer. Fails with `Broken`, or `Stale`.
        """
        asked: Deferred[Answer] = Deferred(self._cancelled)
        self._asked = asked
        self._method, self._over = method, over
        self._alarm.at(deadline)
        if isinstance(body, bytes):
            write_at_once(self.transport, head + body if body else head)
        else:
            self.transport.write(head)
            self._sending = _Outflow(self, self.transport, body)
            self._sending.start()
        return asked

    def _late(self) -> None:
        if self._asked is not None:
            self._fail(Broken("no answer in time"))
        elif self._body is not None:
            self._body.abort(Broken("no whole answer in time"))

    # what comes

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._asked is None and self._body is None:
            self.transport.abortConnection()  # nobody asked
            return
        self._between += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(Broken(f"what came is no HTTP: {error}"))
            return
        if self._between > HEAD and not self._whole:
            self._fail(Broken("its head does not end"))
            return
        if self._head and self._asked is not None:
            self._deliver(self._asked)
        elif self._whole:
            self._finish()

    def on_message_begin(self) -> None:
        if self._whole:  # a second answer to one call: nobody asked for it
            self._keep = False
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head:  # trailers, which nobody reads
            return
        key = name.lower()
        if key not in _OURS:
            self._headers.append((name, value))
        elif key in _FRAMING:
            self._frame(key, value)

    def on_headers_complete(self) -> None:
        if self._whole:
            return
        self._status: int = self._parser.get_status_code()
        if self._status < 200:
            self._headers, self._options, self._length, self._coded = [], [], None, False
            return
        self._head, self._between = True, 0
        if self._method == "HEAD":
            self._keep = self._parser.should_keep_alive()
            self._whole = True
            self._parser = HttpResponseParser(self)  # this one waits for a body

    def _frame(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            self._coded = True
        else:
            self._options += [option.strip().lower() for option in value.split(b",")]

    def on_body(self, data: bytes) -> None:
        self._between = 0
        if self._whole:
            self._keep = False
        elif self._body is not None:
            self._body.push(data)
        else:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._head and not self._whole:
            self._whole = True
            self._keep = self._parser.should_keep_alive()

    def _deliver(self, asked: Deferred[Answer]) -> None:
        """The head is there, and what came with it."""
        headers = tuple(self._headers)
        if self._options not in _USUAL:  # what is named there is for us alone
            headers = without(headers, self._options)
        if self._whole and self._method != "HEAD":
            body: bytes | Stream = b"".join(self._pieces)
            self._asked = None
            over = self._release()
            asked.callback(Answer(self._status, headers, body))
            over()
            return
        self._body = stream = Inflow(self._length, self.transport, self._drop)
        for piece in self._pieces:
            stream.push(piece)
        self._asked = None
        if self._whole:
            self._finish()
        asked.callback(Answer(self._status, headers, stream))

    def _finish(self) -> None:
        body, self._body = self._body, None
        over = self._release()
        if body is not None:
            body.end()
        over()

    def _release(self) -> Callable[[], None]:
        """The exchange is over; returns whom to tell."""
        over, self._over = self._over, None
        keep = self._keep and self._sending is None
        self._reset()
        if keep and not self.ended:
            self.used = True
            self._free(self)
        else:
            self._stop_sending()
            self.transport.loseConnection()
        return over or (lambda: None)

    # ends

    def close(self) -> None:
        """End it, when nothing is under way."""
        self._alarm.stop()
        self.transport.loseConnection()

    def _drop(self) -> None:
        """The reader of the body gave up: the rest of it is not worth to be waited for."""
        self.transport.abortConnection()

    def _cancelled(self, asked: Deferred[Answer]) -> None:
        self._asked = self._over = None
        self._close()
        asked.errback(CancelledError())

    def _fail(self, why: Exception) -> None:
        asked, self._asked = self._asked, None
        body, self._body = self._body, None
        over, self._over = self._over, None
        self._close()
        if asked is not None:
            asked.errback(why)
        elif body is not None:
            body.end(Broken(f"the answer broke off: {why}"))
            if over is not None:
                over()

    def _stop_sending(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.stop()

    def _close(self) -> None:
        self._alarm.stop()
        self._stop_sending()
        self.transport.abortConnection()

    def sent(self, why: BaseException | None) -> None:
        """The body went out, or broke off: then what was sent must not be taken for a whole."""
        self._sending = None
        if why is not None:
            self._fail(Broken(f"the body broke off: {why}"))

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802
        self.ended = True
        self._alarm.stop()
        self._gone(self)
        why = "closed" if reason is None else reason.getErrorMessage()
        clean = reason is not None and reason.check(ConnectionDone)
        endless = self._length is None and not self._coded
        if self._body is not None and endless and clean:
            body, self._body = self._body, None
            over, self._over = self._over, None
            body.end()
            if over is not None:
                over()
        elif self._asked is not None and self.used and not self._begun:
            self._fail(Stale(why))
        else:
            self._fail(Broken(why))


class _Outflow:
    """A body that is written as the connection takes it (`IPushProducer`)."""

    def __init__(self, connection: Connection, transport: Any, body: Stream) -> None:
        self._connection, self._transport, self._body = connection, transport, body
        self._room = Gate()
        self._stopped = False

    def start(self) -> None:
        self._transport.registerProducer(self, True)
        Deferred.fromCoroutine(self._run()).addBoth(self._ended)

    async def _run(self) -> None:
        left = self._body.length
        chunked = left is None
        while not self._stopped and (piece := await self._body.read()):
            if left is not None:
                left -= len(piece)
                if left < 0:
                    break
            self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await self._room.passed()
        if left:
            raise Aborted("its length is not what was said")
        if chunked and not self._stopped:
            self._transport.write(b"0\r\n\r\n")

    def _ended(self, result: Any) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._transport.unregisterProducer()
        self._connection.sent(result.value if isinstance(result, Failure) else None)

    def stop(self) -> None:
        """No more is wanted: the connection ends, or an answer came before the end."""
        if not self._stopped:
            self._stopped = True
            self._transport.unregisterProducer()
            self._body.abort(Aborted("the server behind went away"))
            self._room.open()

    def pauseProducing(self) -> None:  # noqa: N802
        self._room.close()

    def resumeProducing(self) -> None:  # noqa: N802
        self._room.open()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is lost: it says so itself."""
        self.resumeProducing()
