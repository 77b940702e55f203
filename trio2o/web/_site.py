"""A site: one face on one or more listening ports."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NO_BODY_CODES
from twisted.web.resource import IResource

from trio2o.domain.errors import Fault, MethodNotAllowed, TooLarge
from trio2o.domain.tasks import Gate
from trio2o.message import Aborted, Answer, Body, Call, Stream
from trio2o.web._channel import Channel, Limits
from trio2o.web._pipeline import Face, Pipeline, Row

# Twisted's classes have no types that a subclass could use
_Request: Any = server.Request
_Site: Any = server.Site

PIECE = 64 * 1024

SAFE = ("GET", "HEAD")


class FileStream:
    """A request body that Twisted spooled to a file."""

    def __init__(self, file: Any, length: int) -> None:
        self._file, self.length = file, length
        self._over: Aborted | None = None

    async def read(self) -> bytes:
        if self._over is not None:
            raise self._over
        piece: bytes = self._file.read(PIECE)
        return piece

    def abort(self, why: Exception) -> None:
        self._over = Aborted(str(why))
        self._file.close()


class FaceRequest(_Request):  # type: ignore[misc]
    """A request whose body is counted while it comes, and never parsed as a form."""

    received = 0
    defaultContentType = None  # noqa: N815 - an answer has what the pod gave it, and no more

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self.received += len(data)
        limit = self.channel.limits.body_bytes
        if limit and self.received > limit:
            self.channel.refuse(TooLarge(f"The body of a request may have {limit} bytes."))
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        self.content.seek(0, 0)
        self.args: dict[bytes, list[bytes]] = {}
        self.method, self.uri, self.clientproto = command, path, version
        self.path = self.channel.site.face.normal(path.partition(b"?")[0])
        self.process()

    def getRequestHostname(self) -> bytes:  # noqa: N802
        """Nothing depends on what the client calls us."""
        return b"localhost"

    def process(self) -> None:
        self.site = self.channel.site
        self.prepath: list[bytes] = []
        self.postpath = [unquote_to_bytes(piece) for piece in self.path.split(b"/")[1:]]
        self.render(self.site.resource)

    def parseCookies(self) -> None:  # noqa: N802
        """Cookies mean nothing here."""


class _Writer:
    """Writes a stream to a client as fast as the client takes it (`IPushProducer`)."""

    def __init__(self, request: Any, body: Stream) -> None:
        self._request, self._body = request, body
        self._room = Gate()
        self._stopped = False
        self._timer: Any = None

    async def run(self) -> None:
        self._request.registerProducer(self, True)
        try:
            while not self._stopped and (piece := await self._body.read()):
                self._request.write(piece)
                await self._room.passed()
        except Exception:
            # the head is sent: a clean end would be believed
            if not self._stopped:
                self._request.channel.forceAbortClient()
        finally:
            self._stop_timer()
            if not self._stopped:
                self._request.unregisterProducer()

    def pauseProducing(self) -> None:  # noqa: N802
        self._room.close()
        channel = self._request.channel
        if self._timer is None and channel is not None and channel.limits.idle_seconds:
            self._timer = channel.callLater(channel.limits.idle_seconds, self._stalled)

    def resumeProducing(self) -> None:  # noqa: N802
        self._stop_timer()
        self._room.open()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _stalled(self) -> None:
        """A client that takes nothing holds a place at a pod."""
        self._timer = None
        if self._request.channel is not None:
            self._request.channel.forceAbortClient()

    def stopProducing(self) -> None:  # noqa: N802
        self._stopped = True
        self._stop_timer()
        self._body.abort(Aborted("the client went away"))
        self.resumeProducing()


class FaceSite(_Site):  # type: ignore[misc]
    """A face, its Klein resource and its limits, as a factory of channels.

    Calls run as tasks of their own: reads end with their client, all else runs to its end.
    """

    noisy = False
    requestFactory = FaceRequest  # noqa: N815

    def __init__(
        self, reactor: Any, face: Face, resource: IResource, pipeline: Pipeline, limits: Limits
    ) -> None:
        super().__init__(resource, reactor=reactor)
        self.face, self._pipeline, self.limits = face, pipeline, limits
        self.running: set[Deferred[Any]] = set()
        self.channels: set[Channel] = set()
        self.draining = False
        """Each connection is closed behind its next answer, and says so."""

    def close_idle(self) -> None:
        """Close the connections on which nothing is under way."""
        for channel in list(self.channels):
            if channel.is_idle:
                channel.loseConnection()

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        channel = Channel()
        channel.factory = self
        channel.site = self
        channel.requestFactory = self.requestFactory
        channel.limits, channel.fault = self.limits, self.own
        channel.callLater = self.reactor.callLater
        return channel

    def log(self, request: Any) -> None:
        """No access log yet (Twisted's own would go to the service's log)."""

    def own(self, fault: Fault) -> Answer:
        """An error of a call that no operation saw."""
        answer = self.face.fault(fault)
        told = (b"X-Openstack-Request-Id", f"req-{uuid.uuid4()}".encode())
        return Answer(answer.status, (*answer.headers, told), answer.body)

    async def answer(
        self, request: Any, rows: Sequence[Row], segments: Sequence[str], project: str
    ) -> None:
        """Serve a request and write its answer."""
        streamed = bool(rows) and rows[0].stream
        if not streamed and request.received > self.limits.whole_bytes:
            limit = self.limits.whole_bytes
            await write(request, self.own(TooLarge(f"A body may have {limit} bytes.")))
            return
        call = _call(request, streamed)
        task = Deferred.fromCoroutine(
            self._pipeline.serve(self.face, rows, call, segments, project)
        )
        self.running.add(task)
        answered: Deferred[Answer] = Deferred(lambda _: None)

        def done(result: Answer | Failure) -> None:
            self.running.discard(task)
            if not answered.called:
                answered.callback(result)
            elif isinstance(result, Answer) and not isinstance(result.body, bytes):
                result.body.abort(Aborted("the client went away"))

        task.addBoth(done)
        if call.method in SAFE:
            request.notifyFinish().addErrback(lambda _: task.cancel())
        try:
            answer = await answered
        except CancelledError:
            return
        if isinstance(answer.body, bytes):
            await write(request, answer)
            return
        # a drain waits for a stream that is still being written
        written = Deferred.fromCoroutine(write(request, answer))
        self.running.add(written)
        written.addBoth(self._written, written)
        await written

    def _written(self, result: Any, written: Deferred[Any]) -> Any:
        self.running.discard(written)
        return result

    async def wrong_method(self, request: Any, allowed: Sequence[str]) -> None:
        fault = MethodNotAllowed("The method is not allowed for this resource.", tuple(allowed))
        answer = self.own(fault)
        allow = (b"Allow", ", ".join(allowed).encode())
        await write(request, Answer(answer.status, (*answer.headers, allow), answer.body))


def _call(request: Any, stream: bool) -> Call:
    headers = tuple(
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )
    body: Body
    if stream:
        file = request.content
        file.seek(0, 2)
        length = file.tell()
        file.seek(0)
        body = FileStream(file, length)
        # else Twisted closes it when the client leaves, and what came whole goes on
        request.content = BytesIO()
    else:
        body = request.content.read()
    _, _, query = request.uri.partition(b"?")
    peer = getattr(request.getClientAddress(), "host", "")
    return Call(request.method.decode("ascii"), request.path, query, headers, body, peer)


async def write(request: Any, answer: Answer) -> None:
    """Write an answer, unless the client has gone."""
    body = answer.body
    if request.finished or request._disconnected:
        if not isinstance(body, bytes):
            body.abort(Aborted("the client went away"))
        return
    request.setResponseCode(answer.status)
    for name, value in answer.headers:
        request.responseHeaders.addRawHeader(name, value)
    bare = answer.status in NO_BODY_CODES
    if isinstance(body, bytes):
        if not bare:
            request.setHeader(b"Content-Length", b"%d" % len(body))
            if request.method != b"HEAD":
                request.write(body)
        return
    if body.length is not None and not bare:
        request.setHeader(b"Content-Length", b"%d" % body.length)
    if request.method == b"HEAD" or bare:
        body.abort(Aborted("no body is wanted"))
    else:
        await _Writer(request, body).run()
