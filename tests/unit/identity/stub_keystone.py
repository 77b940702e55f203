"""A Keystone behind an `IAgent`, and a `Keystone` of ours that calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from trio2o.identity import Keystone
from trio2o.settings import IdentitySettings

START = 1_800_000_000.0
"""The time of day at which tests begin."""


def moment(seconds: float) -> str:
    """A moment as Keystone writes it, so many seconds after the start."""
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@implementer(IResponse)
class Response:
    version = (b"HTTP", 1, 1)
    phrase = b""
    request = previousResponse = None  # noqa: N815

    def __init__(self, code: int, body: Any = None, **headers: str) -> None:
        self.code = code
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.content = b"" if body is None else content
        self.length = len(self.content)
        self.headers = Headers()
        for name, value in headers.items():
            self.headers.addRawHeader(name.replace("_", "-"), value)

    def deliverBody(self, protocol: Any) -> None:  # noqa: N802
        protocol.dataReceived(self.content)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, previous: Any) -> None:  # noqa: N802
        """Nothing is redirected here."""


@frozen
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


def token(seconds: float = 3600.0, **more: Any) -> dict[str, Any]:
    """What Keystone says of a token that ends so many seconds after the start."""
    body = {
        "expires_at": moment(seconds),
        "user": {"id": "me", "name": "My", "domain": {"id": "d1", "name": "D"}},
        "project": {"id": "p1", "name": "P", "domain": {"id": "d2", "name": "E"}},
        "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}],
    }
    return {"token": body | more}


@implementer(IAgent)
class StubAgent:
    """Answers as Keystone would. `own_ends`: when our own tokens end; `say` may answer first."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tokens: dict[str, Any] = {}
        self.own: list[str] = []
        self.refused: set[str] = set()
        self.own_ends = 3600.0
        self.say: Callable[[Call], Response | Exception | Deferred[Any] | None] = lambda call: None

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        assert uri.startswith(b"http://keystone:5000/v3/"), uri
        assert headers is not None
        sent = {
            name.decode().lower(): values[0].decode() for name, values in headers.getAllRawHeaders()
        }
        # treq's producer of bytes has them in a file
        body = json.loads(bodyProducer._inputFile.getvalue()) if bodyProducer else None
        call = Call(
            method.decode(), uri.decode().removeprefix("http://keystone:5000/v3"), sent, body
        )
        self.calls.append(call)
        found = self.say(call) or self.answer(call)
        if isinstance(found, Exception):
            return Deferred.fromCoroutine(_fail(found))
        return found if isinstance(found, Deferred) else succeed(found)

    def answer(self, call: Call) -> Response:
        if call.method == "POST":
            self.own.append(f"own-{len(self.own) + 1}")
            return Response(201, token(self.own_ends), X_Subject_Token=self.own[-1])
        if call.headers.get("x-auth-token") not in set(self.own) - self.refused:
            return Response(401, {"error": {"code": 401}})
        if call.path.startswith("/auth/tokens"):
            found = self.tokens.get(call.headers["x-subject-token"])
            return (
                Response(404, {"error": {"code": 404}}) if found is None else Response(200, found)
            )
        return Response(404)

    def count(self, method: str, path: str = "/auth/tokens") -> int:
        return len([c for c in self.calls if c.method == method and c.path.startswith(path)])


async def _fail(error: Exception) -> None:
    raise error


class World:
    def __init__(self) -> None:
        self.clock, self.agent = Clock(), StubAgent()
        self.settings = IdentitySettings(
            auth_url="http://keystone:5000/v3/", password="secret", timeout=15.0
        )
        self.keystone = Keystone(self.clock, self.now, self.agent, self.settings)

    def now(self) -> float:
        return START + self.clock.seconds()
