"""One pool of connections to all servers behind us, with deadlines, limits and breakers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from attrs import Factory, define, frozen
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.protocol import Factory as ProtocolFactory
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from trio2o.message import Answer, Call, has_breaks, read_answer
from trio2o.upstream._breaker import Breaker
from trio2o.upstream._connection import Broken, Connection, Stale
from trio2o.upstream._own import OwnResponse, produced
from trio2o.upstream._places import Busy, Places, Unreachable
from trio2o.upstream._trust import Trust

IDLE = 4
"""Seconds an idle connection is kept: below the shortest keep-alive that servers use (5 s)."""

YEAR = 365 * 86400.0

AWAY = (502, 503, 504)

_TARGET = re.compile(rb"/[!-~]*")


class Resting(Unreachable):
    """The origin is held to be down, and it is not time to look again."""


@frozen
class Origin:
    """A server: `http://host:port`, without a path."""

    url: bytes

    def __str__(self) -> str:
        return self.url.decode("ascii")


@define(eq=False)
class _Server:
    """What is known of an origin. `idle` are connections that are kept, the oldest first."""

    endpoint: Any
    host: bytes
    places: Places
    breaker: Breaker
    idle: list[Connection] = Factory(list)


@implementer(IAgent)
class Pool:
    """`send` is the data path; `request` (`IAgent`) is for treq and our own calls.

    Nothing is retried but GET and HEAD, where a kept connection turned out to be closed;
    redirects are not followed, cookies not kept, bodies not decoded.
    """

    def __init__(
        self,
        reactor: Any,
        connections: int,
        connect_timeout: float,
        *,
        share: int = 0,
        trust: Trust | None = None,
    ) -> None:
        """`share`: the most of an origin's connections that one project takes (0: all)."""
        self._reactor = reactor
        self._limit, self._share = connections, share
        self._timeout = connect_timeout
        self._trust = trust or Trust()
        self._servers: dict[bytes, _Server] = {}
        self._sweeping: Any = None

    def _server(self, origin: Origin) -> _Server:
        found = self._servers.get(origin.url)
        if found is None:
            found = self._servers[origin.url] = self._new(origin)
        return found

    def _new(self, origin: Origin) -> _Server:
        """Made once for each: the IDNA of a name costs as much as a call's send."""
        parts = urlsplit(origin.url)
        assert parts.hostname is not None
        secure = parts.scheme == b"https"
        port = parts.port or (443 if secure else 80)
        name = parts.hostname.decode("ascii")
        endpoint: Any = HostnameEndpoint(self._reactor, name, port, timeout=self._timeout)
        if secure:
            endpoint = wrapClientTLS(self._trust.creator(name), endpoint)
        places = Places(self._limit, self._share)
        return _Server(endpoint, parts.netloc, places, Breaker(self._reactor.seconds))

    def breaker(self, origin: Origin) -> Breaker:
        """What is known of an origin's health."""
        return self._server(origin).breaker

    def places(self, origin: Origin) -> Places:
        """How busy an origin is."""
        return self._server(origin).places

    async def send(
        self, call: Call, origin: Origin, deadline: float, *, probe: bool = False, share: str = ""
    ) -> Answer:
        """The origin's answer: its body a stream, or bytes if all of it came with the head.

        `deadline` is absolute, for head and body. An origin held to be down gets nothing but
        calls that `probe` it now and then. `share` is the project that it is done for: projects
        take turns where an origin is busy.
        Raises `Unreachable` (`Busy`) if nothing was sent, `Broken` if it is not known.
        """
        server = self._server(origin)
        breaker, places = server.breaker, server.places
        if not breaker.allows(probe=probe):
            raise Resting("it did not answer lately")
        try:
            head = _head(call, server.host)
            if not places.take(share):
                await places.wait(self._reactor, max(self._left(deadline), 0), share)
        except BaseException:
            breaker.abandoned()
            raise
        give = partial(places.give, share)
        try:
            again = call.method in ("GET", "HEAD")
            answer = await self._exchange(server, head, call, deadline, give, again)
        except (Unreachable, Broken) as error:
            give()
            if isinstance(error, Busy):
                breaker.abandoned()
            else:
                breaker.failed()
            raise
        except BaseException:
            give()
            breaker.abandoned()
            raise
        if answer.status in AWAY:
            breaker.failed()
        else:
            breaker.succeeded()
        return answer

    async def _exchange(
        self,
        server: _Server,
        head: bytes,
        call: Call,
        deadline: float,
        over: Callable[[], None],
        again: bool = False,
    ) -> Answer:
        """`again`: a call that found a kept connection closed may be sent on another."""
        if deadline <= self._reactor.seconds():
            raise Busy("no time is left")
        while server.idle:
            connection = server.idle.pop()
            try:
                return await connection.ask(head, call.method, call.body, deadline, over)
            except Stale:
                if not again or not isinstance(call.body, bytes):
                    raise
        connection = await self._connect(server, deadline)
        return await connection.ask(head, call.method, call.body, deadline, over)

    def _left(self, deadline: float) -> float:
        """Seconds until a deadline, which may be infinite; timers cannot be."""
        left: float = min(deadline - self._reactor.seconds(), YEAR)
        return left

    async def _connect(self, server: _Server, deadline: float) -> Connection:
        def built() -> Connection:
            return Connection(self._reactor, free, gone)

        def free(connection: Connection) -> None:
            if len(server.idle) >= self._limit:
                connection.transport.loseConnection()
                return
            connection.idle_since = self._reactor.seconds()
            server.idle.append(connection)
            if self._sweeping is None:
                self._sweeping = self._reactor.callLater(IDLE, self._sweep)

        def gone(connection: Connection) -> None:
            if connection in server.idle:
                server.idle.remove(connection)

        factory: Any = ProtocolFactory.forProtocol(built)
        factory.noisy = False
        connecting: Deferred[Connection] = server.endpoint.connect(factory)
        given_up = False

        def give_up(_: Any) -> None:
            nonlocal given_up
            given_up = True  # the error will be one of those that mean that nobody is there
            connecting.cancel()

        made: Deferred[Connection] = Deferred(give_up)
        connecting.chainDeferred(made)
        try:
            return await made.addTimeout(self._left(deadline), self._reactor)
        except (ConnectError, DNSLookupError, ConnectingCancelledError, defer.TimeoutError) as why:
            if not given_up:
                raise Unreachable(str(why)) from None
            if self._left(deadline) > 0:
                raise CancelledError from None
            raise Unreachable("no connection in time") from None

    def _sweep(self) -> None:
        """Close what was idle for long enough; the rest is looked at when it will be."""
        self._sweeping = None
        now = self._reactor.seconds()
        oldest = now
        for server in self._servers.values():
            while server.idle and server.idle[0].idle_since + IDLE <= now:
                server.idle.pop(0).close()
            if server.idle:
                oldest = min(oldest, server.idle[0].idle_since)
        if oldest < now or any(server.idle for server in self._servers.values()):
            self._sweeping = self._reactor.callLater(oldest + IDLE - now, self._sweep)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept."""
        for server in self._servers.values():
            while server.idle:
                server.idle.pop().close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        return defer.succeed(None)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: WebHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        return Deferred.fromCoroutine(self._own(method, uri, headers, bodyProducer))

    async def _own(
        self, method: bytes, uri: bytes, headers: WebHeaders | None, producer: IBodyProducer | None
    ) -> Any:
        """Neither limits nor breakers: who asks has time-outs of its own, and cancels."""
        parts = urlsplit(uri)
        sent = tuple(
            (name, value)
            for name, values in (headers or WebHeaders()).getAllRawHeaders()
            for value in values
        )
        body = await produced(producer) if producer is not None else b""
        call = Call(method.decode("ascii"), parts.path or b"/", parts.query, sent, body)
        server = self._server(Origin(parts.scheme + b"://" + parts.netloc))
        head = _head(call, server.host)
        answer = await self._exchange(server, head, call, float("inf"), lambda: None)
        return OwnResponse(await read_answer(answer))


def _head(call: Call, host: bytes) -> bytes:
    """The head of a request, whose headers name no host. Raises `ValueError` for what would be
    read as something else."""
    target = call.target
    if not _TARGET.fullmatch(target):
        raise ValueError(f"{target!r} is no path")
    lines = [b"%s %s HTTP/1.1" % (call.method.encode("ascii"), target), b"Host: " + host]
    lines += [name + b": " + value for name, value in call.headers]
    body = call.body
    if isinstance(body, bytes):
        # a POST without a body still says so: Content-Length: 0
        if body or call.method in ("POST", "PUT", "PATCH"):
            lines.append(b"Content-Length: %d" % len(body))
    elif body.length is None:
        lines.append(b"Transfer-Encoding: chunked")
    else:
        lines.append(b"Content-Length: %d" % body.length)
    if has_breaks(lines):
        raise ValueError("a line break in a header")
    return b"\r\n".join((*lines, b"", b""))
