"""Servers in memory: a pool whose connections a test accepts, reads and answers."""

from __future__ import annotations

from typing import Any

from helpers import result_of
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from trio2o.message import Answer, Call, Headers, whole
from trio2o.upstream import Origin, Pool

ORIGIN = Origin(b"http://10.0.0.1:8774")
GET = Call("GET", b"/v2.1/servers", b"limit=1")
POST = Call("POST", b"/v2.1/servers", body=b"{}")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Link(StringTransport):
    """The server's end of a connection. It ends as in life: a turn of the reactor after."""

    def __init__(self, reactor: Any, protocol: Any) -> None:
        super().__init__(lenient=True)
        self.reactor, self.protocol, self.open = reactor, protocol, True
        protocol.makeConnection(self)

    def loseConnection(self) -> None:  # noqa: N802
        if not self.disconnecting:
            super().loseConnection()
            self.reactor.callLater(0, self.close, ConnectionDone())

    def abortConnection(self) -> None:  # noqa: N802
        self.loseConnection()

    def close(self, why: Exception | None = None) -> None:
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(why or ConnectionLost()))

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.dataReceived(piece)

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None


class Asked:
    """A call that was sent to the pool."""

    def __init__(self, running: Deferred[Any]) -> None:
        self.running = running
        self.ended: list[Any] = []
        running.addBoth(self.ended.append)

    @property
    def answer(self) -> Answer:
        (found,) = self.ended
        if isinstance(found, Failure):
            found.raiseException()
        assert isinstance(found, Answer)
        return found

    @property
    def error(self) -> BaseException | None:
        """What it failed with; None while it runs."""
        return self.ended[0].value if self.ended else None

    @property
    def body(self) -> bytes:
        return result_of(whole(self.answer.body, 10**9))


class World:
    def __init__(self, connections: int = 2) -> None:
        self.reactor = MemoryReactorClock()
        self.pool = Pool(self.reactor, connections, 3.0)

    def send(self, call: Call = GET, deadline: float = 60.0, **how: Any) -> Asked:
        sent = self.pool.send(call, how.pop("origin", ORIGIN), deadline, **how)
        return Asked(Deferred.fromCoroutine(sent))

    @property
    def knocks(self) -> int:
        """Connections that wait to be accepted."""
        return len(self.reactor.tcpClients)

    def accept(self) -> Link:
        _, _, factory, _, _ = self.reactor.tcpClients.pop(0)
        return Link(self.reactor, factory.buildProtocol(None))

    def refuse(self, why: Exception | None = None) -> None:
        _, _, factory, _, _ = self.reactor.tcpClients.pop(0)
        factory.clientConnectionFailed(None, Failure(why or ConnectionRefusedError()))
        self.reactor.advance(0.4)  # no other address was found meanwhile

    def turn(self) -> None:
        """What was to happen in the reactor's next turn."""
        self.reactor.advance(0)

    def kept(self) -> Link:
        """A connection on which a call was answered, kept for the next."""
        asked = self.send()
        link = self.accept()
        link.say(OK)
        assert asked.body == b"hi"
        link.clear()
        return link


def names(headers: Headers) -> list[bytes]:
    return [name.lower() for name, _ in headers]
