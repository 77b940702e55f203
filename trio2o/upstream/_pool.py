"""One pool of connections to all servers behind us, with deadlines, limits and breakers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    _HTTP11ClientFactory,
)
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IResponse,
)
from zope.interface import implementer

from trio2o.message import Answer, Body, Call
from trio2o.upstream._bodies import AnswerStream, BytesProducer, StreamProducer
from trio2o.upstream._breaker import Breaker
from trio2o.upstream._places import Busy, Places, Unreachable
from trio2o.upstream._trust import Trust

IDLE = 4
"""Seconds an idle connection is kept: below the shortest keep-alive that servers use (5 s)."""

YEAR = 365 * 86400.0

AWAY = (502, 503, 504)


class _Client(HTTP11ClientProtocol):
    """Understands `Connection` in any case and with several options (RFC 9110 7.6.1), and drops
    the headers that it names: Twisted keeps its value to itself."""

    def request(self, request: Any) -> Any:
        answered = super().request(request)
        parser: Any = self._parser
        received = parser.allHeadersReceived

        def seen() -> None:
            values = parser.connHeaders.getRawHeaders(b"connection", ())
            if options := [one.strip().lower() for v in values for one in v.split(b",")]:
                parser.connHeaders.setRawHeaders(b"connection", options)
                for option in options:
                    parser.headers.removeHeader(option)
            received()

        parser.allHeadersReceived = seen
        return answered


class _QuietFactory(_HTTP11ClientFactory):
    """A line in the log for each connection helps nobody."""

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        return _Client(self._quiescentCallback)  # type: ignore[no-untyped-call]


class _Kept(HTTPConnectionPool):
    """Connections that are kept. `fresh` is set when one had to be made."""

    fresh = False

    def _newConnection(self, key: Any, endpoint: Any) -> Any:  # noqa: N802
        self.fresh = True
        return super()._newConnection(key, endpoint)


class Resting(Unreachable):
    """The origin is held to be down, and it is not time to look again."""


class Broken(Exception):
    """The call was sent, or may have been, and no whole answer came."""


@frozen
class Origin:
    """A server: `http://host:port`, without a path."""

    url: bytes

    def __str__(self) -> str:
        return self.url.decode("ascii")


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Where to connect to. Each is made once: the IDNA of a name costs as much as a call's send."""

    def __init__(self, reactor: Any, timeout: float, trust: Trust) -> None:
        self._reactor, self._timeout, self._trust = reactor, timeout, trust
        self._made: dict[tuple[bytes, bytes, int], Any] = {}

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802
        key = (uri.scheme, uri.host, uri.port)
        if key not in self._made:
            host = uri.host.decode("ascii").strip("[]")
            made: Any = HostnameEndpoint(self._reactor, host, uri.port, timeout=self._timeout)
            if uri.scheme == b"https":
                made = wrapClientTLS(self._trust.creator(host), made)
            self._made[key] = made
        return self._made[key]


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
        self._kept: Any = _Kept(reactor)  # type: ignore[no-untyped-call]
        self._kept._factory = _QuietFactory
        self._kept.maxPersistentPerHost = connections
        self._kept.retryAutomatically = False
        self._kept.cachedConnectionTimeout = IDLE
        endpoints = _Endpoints(reactor, connect_timeout, trust or Trust())
        self._agent: Any = Agent.usingEndpointFactory(reactor, endpoints, self._kept)
        self._places: dict[Origin, Places] = {}
        self._breakers: dict[Origin, Breaker] = {}

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: WebHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        sent: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return sent

    def close(self) -> Deferred[None]:
        """Close the connections that are kept."""
        closed: Deferred[None] = self._kept.closeCachedConnections()
        return closed

    def breaker(self, origin: Origin) -> Breaker:
        """What is known of an origin's health."""
        if origin not in self._breakers:
            self._breakers[origin] = Breaker(self._reactor.seconds)
        return self._breakers[origin]

    def places(self, origin: Origin) -> Places:
        """How busy an origin is."""
        places = self._places.get(origin)
        if places is None:
            places = self._places[origin] = Places(self._limit, self._share)
        return places

    async def send(
        self,
        call: Call,
        origin: Origin,
        deadline: float,
        *,
        probe: bool = False,
        share: str = "",
    ) -> Answer:
        """The origin's answer, its body a stream. `deadline` is absolute, for head and body.

        `share` is the project that it is done for: projects take turns where an origin is busy.

        An origin held to be down gets nothing but calls that `probe` it now and then.
        Raises `Unreachable` (`Busy`) if nothing was sent, `Broken` if it is not known.
        """
        breaker = self.breaker(origin)
        if not breaker.allows(probe=probe):
            raise Resting("it did not answer lately")
        places = self.places(origin)
        try:
            await places.take(self._reactor, max(self._left(deadline), 0), share)
        except BaseException:
            breaker.abandoned()
            raise

        def give() -> None:
            places.give(share)

        try:
            answer = await self._exchange(call, origin, deadline, give)
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
        self, call: Call, origin: Origin, deadline: float, give: Callable[[], None]
    ) -> Answer:
        if self._left(deadline) <= 0:
            raise Busy("no time is left")
        while True:
            self._kept.fresh = False
            asked = self._request(call, origin, max(self._left(deadline), 0))
            fresh = self._kept.fresh
            try:
                return self._answer(await asked, deadline, give)
            except (ConnectError, DNSLookupError) as error:
                raise Unreachable(str(error)) from None
            except defer.TimeoutError:
                raise Broken("no answer in time") from None
            except defer.CancelledError:
                raise
            except Exception as error:  # the connection was lost, or what came is no HTTP
                if fresh or call.method not in ("GET", "HEAD"):
                    raise Broken(f"{type(error).__name__}: {error}") from None

    def _left(self, deadline: float) -> float:
        """Seconds until a deadline, which may be infinite; timers cannot be."""
        left: float = min(deadline - self._reactor.seconds(), YEAR)
        return left

    def _request(self, call: Call, origin: Origin, left: float) -> Deferred[IResponse]:
        headers = WebHeaders()
        for name, value in call.headers:
            headers.addRawHeader(name, value)
        request: Deferred[IResponse] = self._agent.request(
            call.method.encode("ascii"), origin.url + call.target, headers, _producer(call)
        )
        # what Twisted says of a request that is cancelled cannot be told from a lost connection
        given_up = False

        def give_up(_: Any) -> None:
            nonlocal given_up
            given_up = True
            request.cancel()

        asked: Deferred[IResponse] = Deferred(give_up)
        request.addBoth(lambda result: None if given_up else asked.callback(result))
        return asked.addTimeout(left, self._reactor)

    def _answer(self, response: Any, deadline: float, give: Callable[[], None]) -> Answer:
        def ended() -> None:
            give()
            if timer.active():
                timer.cancel()

        length = None if response.length is UNKNOWN_LENGTH else response.length
        stream = AnswerStream(length, ended)
        late = Broken("no whole answer in time")
        timer = self._reactor.callLater(max(self._left(deadline), 0), stream.abort, late)
        response.deliverBody(stream)
        headers = tuple(
            (name, value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        )
        return Answer(response.code, headers, stream)


def _producer(call: Call) -> Any:
    body: Body = call.body
    if not isinstance(body, bytes):
        return StreamProducer(body)
    # a POST without a body still says so: Content-Length: 0
    if body or call.method in ("POST", "PUT", "PATCH"):
        return BytesProducer(body)
    return None
