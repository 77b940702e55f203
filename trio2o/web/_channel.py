"""HTTP/1.1 received strictly: what one reader could take for two things is refused.

Twisted's channel parses; this one says no where Twisted is lenient (RFC 9112; each rule has a
test), answers errors in the API's own shape, and bounds time and size while receiving.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import frozen
from twisted.web import http

from trio2o.domain.errors import BadRequest, Fault, NotImplementedHere, TooLarge
from trio2o.message import Answer

# Twisted's classes have no types that a subclass could use
_HTTPChannel: Any = http.HTTPChannel
_ChunkedTransferDecoder: Any = http._ChunkedTransferDecoder

METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))

_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
}

_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})|%(?:2[fF]|5[cC]|7[fF]|[01][0-9a-fA-F])")


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


class HeadTooLarge(Fault):
    status = 431


class TooSlow(Fault):
    status = 408


def check_path(target: bytes) -> None:
    """Raise `BadRequest` for a path that two readers could understand differently."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") or b"//" in path or b"\\" in path or b"#" in target:
        raise BadRequest("Malformed request URL")
    if _BAD_ESCAPE.search(path) or any(byte > 126 for byte in target):
        raise BadRequest("Malformed request URL")
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("Malformed request URL") from None
    if any(segment in (".", "..") for segment in decoded.split("/")):
        raise BadRequest("Malformed request URL")


class _Chunked(_ChunkedTransferDecoder):  # type: ignore[misc]
    """Chunks without extensions: nobody sends them but to be misread."""

    def _dataReceived_CHUNK_LENGTH(self) -> bool:  # noqa: N802
        end = self._buffer.find(b"\r\n")
        if b";" in (self._buffer[:end] if end >= 0 else self._buffer):
            raise http._MalformedChunkedDataError("chunk extensions are not taken")
        more: bool = super()._dataReceived_CHUNK_LENGTH()
        return more


class Channel(_HTTPChannel):  # type: ignore[misc]
    """One connection of a client. `limits` and `fault` are set by the site."""

    limits: Limits = Limits()
    fault: Callable[[Fault], Answer]
    _timer: Any = None
    _refused = False
    _receiving = False

    def connectionMade(self) -> None:  # noqa: N802
        self.timeOut = self.limits.idle_seconds or None
        self.totalHeadersSize = self.MAX_LENGTH = self.limits.header_bytes
        self.site.channels.add(self)
        super().connectionMade()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, nor its beginning here."""
        return not (self._receiving or self._handlingRequest)

    def checkPersistence(self, request: Any, version: bytes) -> bool:  # noqa: N802
        if self.site.draining:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            return False
        persistent: bool = super().checkPersistence(request, version)
        return persistent

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        self._begin(data)
        super().dataReceived(data)
        self._begin(self._buffer)  # behind a call that was answered at once

    def _begin(self, data: bytes) -> None:
        """A head has begun, if it had not (empty lines before it are no part of it)."""
        idle = not (self._receiving or self._handlingRequest or self._refused)
        if idle and data.strip(b"\r\n"):
            self._receiving = True
            self._allow(self.limits.header_seconds)

    def _allow(self, seconds: float) -> None:
        """From now on this long, whatever trickles in meanwhile (0: any time)."""
        self._stop_timer()
        if seconds:
            self._timer = self.callLater(seconds, self._out_of_time)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _out_of_time(self) -> None:
        self._timer = None
        self.refuse(TooSlow("The request was not received in time."))

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._stop_timer()
        self.site.channels.discard(self)
        super().connectionLost(reason)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        self._begin(line)
        if line[:1] in (b" ", b"\t"):
            return self.refuse(BadRequest("Malformed header: folded lines are not taken"))
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            return self.lineLengthExceeded(line)
        super().lineReceived(line)
        return None

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        size = self.limits.header_bytes
        self.refuse(HeadTooLarge(f"The head of a request may have {size} bytes."))

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        name, _, value = line.partition(b":")
        # behind us, WSGI reads X_Roles as X-Roles
        if b"_" in name:
            self.refuse(BadRequest("Malformed header: underscores are not taken in names"))
            return False
        coded = name.lower() == b"transfer-encoding"
        if coded and (value.strip().lower() != b"chunked" or self._version != b"HTTP/1.1"):
            self.refuse(BadRequest("Transfer-Encoding may be chunked, in HTTP/1.1, and no other"))
            return False
        if not super().headerReceived(line):
            return False
        if coded:
            request = self.requests[-1]
            self._transferDecoder = _Chunked(request.handleContentChunk, self._finishRequestBody)
        return True

    def allHeadersReceived(self) -> None:  # noqa: N802
        if self._refused:
            return
        try:
            self._check_head()
        except Fault as fault:
            self.refuse(fault)
            return
        self._allow(self.limits.body_seconds)
        super().allHeadersReceived()

    def _check_head(self) -> None:
        if self._command not in METHODS:
            raise NotImplementedHere("The method is not known.")
        hosts = self.requests[-1].requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) > 1 or (not hosts and self._version == b"HTTP/1.1"):
            raise BadRequest("A request has one Host header")
        if len(self.requests[-1].requestHeaders.getRawHeaders(b"X-Auth-Token", [])) > 1:
            raise BadRequest("A request has one X-Auth-Token header")
        check_path(self._path)
        limit = self.limits.body_bytes
        if limit and self.length is not None and self.length > limit:
            raise TooLarge(f"The body of a request may have {limit} bytes.")

    def allContentReceived(self) -> None:  # noqa: N802
        self._stop_timer()
        self._receiving = False
        if not self._refused:
            super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        self.refuse(BadRequest("Malformed request"))

    def refuse(self, fault: Fault) -> None:
        """Answer with an error, and close: what follows on this connection is not read."""
        if self._refused:
            return
        self._refused = True
        self._stop_timer()
        answer = self.fault(fault)
        body = answer.body if isinstance(answer.body, bytes) else b""
        lines = [
            b"HTTP/1.1 %d %s" % (answer.status, _REASONS.get(answer.status, b"Error")),
            *(name + b": " + value for name, value in answer.headers),
            b"Content-Length: %d" % len(body),
            b"Connection: close",
        ]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.loseConnection()
