"""Calls to Keystone with the appliance's own credential."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from attrs import define, frozen
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent

from trio2o.domain.errors import Unavailable
from trio2o.domain.tasks import Once
from trio2o.settings import IdentitySettings

EARLY = 120.0
"""Seconds before its end that our own token is renewed."""


class KeystoneUnavailable(Unavailable):
    """Keystone did not answer, or not with what it should."""

    def __init__(self, why: str) -> None:
        super().__init__("The identity service is unavailable at the moment.")
        self.why = why


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Raise `KeystoneUnavailable` for an answer that is of another shape than Keystone's."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise KeystoneUnavailable(f"{what}: {type(error).__name__} in its answer") from None


@frozen
class Reply:
    """What Keystone said: `body` is decoded JSON, or None."""

    status: int
    headers: Any
    body: Any


@define
class _OwnToken:
    token: str
    expires_at: float


def epoch(text: str) -> float:
    """Seconds since 1970 of Keystone's `2026-01-31T10:00:00.000000Z`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Keystone:
    """Keystone v3. Own tokens are kept per project until shortly before they end."""

    def __init__(self, clock: Any, now: Any, agent: IAgent, settings: IdentitySettings) -> None:
        """`clock` gives timers; `now` the time of day, in seconds since 1970."""
        self._clock, self._now, self._settings = clock, now, settings
        self._http = HTTPClient(agent)
        self._own: dict[str, _OwnToken] = {}
        self._asking: Once[str, str] = Once()

    @property
    def auth_url(self) -> str:
        return self._settings.auth_url.rstrip("/")

    async def own_token(self, project_id: str = "") -> str:
        """A token of the service user for a project ('' = its own). One request at a time."""
        kept = self._own.get(project_id)
        if kept and kept.expires_at - EARLY > self._now():
            return kept.token
        return await self._asking.run(project_id, lambda: self._authenticate(project_id))

    async def _authenticate(self, project_id: str) -> str:
        settings = self._settings
        project: dict[str, Any] = {"id": project_id}
        if not project_id:
            domain = {"name": settings.project_domain_name}
            project = {"name": settings.project_name, "domain": domain}
        user = {
            "name": settings.username,
            "password": settings.password,
            "domain": {"name": settings.user_domain_name},
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        auth = {"auth": {"identity": identity, "scope": {"project": project}}}
        reply = await self.request("POST", "/auth/tokens", auth, token="")
        if reply.status != 201:
            raise KeystoneUnavailable(f"our own credential was refused ({reply.status})")
        with understood("POST /auth/tokens"):
            token: str = reply.headers.getRawHeaders("X-Subject-Token")[0]
            self._own[project_id] = _OwnToken(token, epoch(reply.body["token"]["expires_at"]))
        return token

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Call as ourselves; a token that is no longer good is replaced once."""
        token = await self.own_token()
        reply = await self.request(method, path, body, token=token, headers=headers)
        if reply.status == 401:
            # another call may have renewed it already
            if (kept := self._own.get("")) is not None and kept.token == token:
                del self._own[""]
            token = await self.own_token()
            reply = await self.request(method, path, body, token=token, headers=headers)
        return reply

    async def get(self, path: str, key: str) -> Any:
        """One key of a document. Raises `KeystoneUnavailable` if it cannot be had."""
        reply = await self.call("GET", path)
        if reply.status != 200 or not isinstance(reply.body, dict) or key not in reply.body:
            raise KeystoneUnavailable(f"GET {path}: {reply.status}")
        return reply.body[key]

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {}, Accept="application/json")
        if token:
            sent["X-Auth-Token"] = token
        if body is not None:
            sent["Content-Type"] = "application/json"
        exchange = Deferred.fromCoroutine(self._exchange(method, path, body, sent))
        try:
            return await exchange.addTimeout(self._settings.timeout, self._clock)
        except Exception as error:
            raise KeystoneUnavailable(f"{method} {path}: {type(error).__name__}") from error

    async def _exchange(self, method: str, path: str, body: Any, headers: Any) -> Reply:
        data = None if body is None else msgspec.json.encode(body)
        response = await self._http.request(
            method,
            self.auth_url + path,
            headers=headers,
            data=data,
            allow_redirects=False,
            unbuffered=False,
        )
        content = await response.content()
        decoded = None
        if content:
            try:
                decoded = msgspec.json.decode(content)
            except msgspec.DecodeError:
                if response.code < 400:
                    raise
        if response.code >= 500:
            raise KeystoneUnavailable(f"status {response.code}")
        return Reply(response.code, response.headers, decoded)
