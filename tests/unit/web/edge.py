"""An edge in memory: a face, its channel, and a client whose bytes and clock a test holds."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import evolve, frozen
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from trio2o.domain.errors import Fault, NotFound
from trio2o.domain.versions import ANY, Microversions, Range
from trio2o.message import Aborted, Answer, Call
from trio2o.web import FaceSite, Found, Limits, Shares, mount

LIMITS = Limits(
    header_bytes=1024,
    body_bytes=100,
    whole_bytes=100,
    header_seconds=5.0,
    body_seconds=10.0,
    idle_seconds=30.0,
)


@frozen
class Op:
    """An operation's row."""

    method: str
    path: str
    action: str = ""
    versions: Range = ANY
    policy: str = ""
    open: bool = False
    stream: bool = False
    hot: bool = False


ROWS = (
    Op("GET", "/"),
    Op("GET", "/v1/things"),
    Op("HEAD", "/v1/things"),
    Op("POST", "/v1/things"),
    Op("GET", "/v1/things/{id}"),
    Op("PUT", "/v1/things/{id}"),
    Op("PATCH", "/v1/things/{id}"),
    Op("DELETE", "/v1/things/{id}"),
    Op("OPTIONS", "/v1/things/{id}"),
    Op("PUT", "/v1/files/{id}", stream=True),
)


LONG = mount("v1", ROWS, with_project=True, slashes=True)
HOT = mount("v1", [evolve(row, hot=True) for row in ROWS], with_project=True, slashes=True)
"""The same table, found by Klein and found before it."""


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error, in the shape of this face."""
    return {"oops": {"code": status, "message": message}}


class Face:
    """A small API. What the pipeline asks of it may be changed in a test."""

    name, types = "thing", ("thing", "thingv1")
    microversions: Microversions | None = None
    unversioned: frozenset[str] = frozenset()
    takes_any_media_type = False
    wrong_project = "{asked} is not {own}"
    range = ANY
    app = LONG
    handler: Callable[[Any, Call, Any], Awaitable[Answer]]

    def normal(self, path: bytes) -> bytes:
        return path

    def offered(self) -> Range:
        return self.range

    def fault(self, fault: Fault) -> Answer:
        body = json.dumps(error(fault.status, fault.message)).encode()
        return Answer(fault.status, ((b"Content-Type", b"application/json"),), body)

    async def perform(self, row: Any, call: Call, asked: Any) -> Answer:
        return await self.handler(row, call, asked)


class Asker:
    """Who waits for an answer."""

    share = ""


class Served:
    """A pipeline that keeps the calls, and answers what `answer` says. All are of one `share`."""

    shares: Shares

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.below: list[tuple[list[str], str]] = []
        self.answer: Callable[[Call], Awaitable[Answer]] = self.plain
        self.share = ""

    def refused(self, face: Face, call: Call, request_id: str, answer: Answer) -> None:
        """Told of what no operation saw."""

    async def plain(self, call: Call) -> Answer:
        return Answer(200, ((b"Content-Type", b"text/plain"),), b"yes")

    async def serve(self, face: Face, found: Found, call: Call, asker: Asker) -> Answer:
        asker.share = self.share
        if not found.rows:
            return face.fault(NotFound("no such thing"))
        self.calls.append(call)
        self.below.append((list(found.segments), found.project))
        return await self.answer(call)


class Link(StringTransport):
    """A client's connection. What is written once it is aborted goes nowhere."""

    def __init__(self) -> None:
        super().__init__(lenient=True)

    def write(self, data: bytes) -> None:
        if not self.disconnected:
            super().write(data)

    def writeSequence(self, data: Sequence[bytes]) -> None:  # noqa: N802
        self.write(b"".join(data))

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None


@frozen
class Reply:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers[b"content-type"] == b"application/json"
        return json.loads(self.body)


def _unchunked(text: bytes) -> tuple[bytes | None, bytes]:
    """A body that came in chunks (None: not all of it did), and what is behind it."""
    body = b""
    while True:
        size, end, rest = text.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not end or len(rest) < length + 2:
            return None, b""
        assert rest[length : length + 2] == b"\r\n"
        body, text = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, text


class Client:
    """One connection to a face, on a clock."""

    def __init__(self, limits: Limits = LIMITS, pipeline: Any = None, face: Any = None) -> None:
        clock, self.served = Clock(), pipeline or Served()
        self.face = face or Face()
        self.connect(FaceSite(clock, self.face, self.face.app, self.served, limits), clock)

    def connect(self, site: FaceSite, clock: Any) -> None:
        self.clock, self.site, self.link = clock, site, Link()
        self.channel = site.buildProtocol(None)
        self.channel.makeConnection(self.link)
        self.link.protocol = self.channel

    @property
    def calls(self) -> list[Call]:
        return self.served.calls

    @property
    def closed(self) -> bool:
        return self.link.disconnecting

    def say(self, *pieces: bytes) -> None:
        """Send bytes as a transport would: none once the connection is being closed."""
        for piece in pieces:
            if not self.closed:
                self.channel.dataReceived(piece)

    def leave(self) -> None:
        """The client's end is closed, as Twisted's transports tell it."""
        if self.link.producer is not None:
            self.link.producer.stopProducing()
        self.channel.connectionLost(Failure(ConnectionLost()))

    def replies(self, *methods: str, partly: bool = False) -> list[Reply]:
        """What was answered so far; `methods` tells which answers have no body. `partly`: the last
        may not be whole yet, and is left out then."""
        found, rest = [], self.link.value()
        while rest:
            head, end, rest = rest.partition(b"\r\n\r\n")
            assert end, head
            first, *lines = head.split(b"\r\n")
            headers = {}
            for line in lines:
                name, _, value = line.partition(b": ")
                headers[name.lower()] = value
            size = int(headers.get(b"content-length", b"0"))
            if methods[len(found) : len(found) + 1] == ("HEAD",):
                size = 0
            elif headers.get(b"transfer-encoding") == b"chunked":
                body, rest = _unchunked(rest)
                rest = b"%b%b" % (body or b"", rest)
                size = -1 if body is None else len(body)
            if size < 0 or len(rest) < size:
                assert partly
                return found
            found.append(Reply(int(first.split(b" ")[1]), headers, rest[:size]))
            rest = rest[size:]
        return found

    @property
    def reply(self) -> Reply:
        (only,) = self.replies()
        return only

    def refused(self, status: int) -> Any:
        """The message of the one answer, which is an error that closed the connection."""
        reply = self.reply
        assert self.closed
        assert reply.status == status
        assert reply.headers[b"connection"] == b"close"
        assert self.calls == []
        found = reply.json
        assert found == error(status, found["oops"]["message"])
        return found["oops"]["message"]


def request(target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request with a Host header."""
    start = f"{method} {target} HTTP/1.1", "Host: a"
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join((*start, *lines, *length, "", "")).encode("latin-1") + body


class Pieces:
    """A stream of pieces; an exception among them is raised. `more` waits for the test."""

    def __init__(self, *pieces: bytes | Exception, length: int | None = None) -> None:
        self.pieces, self.length = list(pieces), length
        self.reads = 0
        self.aborted: list[Exception] = []

    async def read(self) -> bytes:
        if self.aborted:
            raise Aborted("aborted")
        self.reads += 1
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abort(self, why: Exception) -> None:
        self.aborted.append(why)
