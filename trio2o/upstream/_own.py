"""Our own calls, as treq makes and reads them."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers as WebHeaders
from twisted.web.iweb import IResponse
from zope.interface import implementer

from trio2o.message import Answer


class _Kept:
    """Takes what a producer writes."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


async def produced(producer: Any) -> bytes:
    """All that a producer has to say (our own calls are short)."""
    kept = _Kept()
    await producer.startProducing(kept)
    return b"".join(kept.pieces)


@implementer(IResponse)
class OwnResponse:
    """An answer that was read whole."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = previousResponse = None  # noqa: N815

    def __init__(self, answer: Answer) -> None:
        assert isinstance(answer.body, bytes)
        self.code, self._body, self.length = answer.status, answer.body, len(answer.body)
        self.headers = WebHeaders()
        for name, value in answer.headers:
            self.headers.addRawHeader(name, value)

    def deliverBody(self, protocol: Protocol) -> None:  # noqa: N802
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: Any) -> None:  # noqa: N802
        self.previousResponse = response
