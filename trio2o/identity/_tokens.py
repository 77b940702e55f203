"""Tokens of callers: validated with Keystone, believed for a while (as keystonemiddleware does)."""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any

from attrs import define

from trio2o.domain.errors import Unauthorized
from trio2o.domain.tasks import Once
from trio2o.domain.values import AccessRule, Caller
from trio2o.identity._keystone import Keystone, KeystoneUnavailable, epoch, understood

REFUSED = 10.0
"""Seconds for which a token that Keystone does not know is refused without asking again."""

_NO_TOKEN = (400, 404, 413, 414, 431)
"""What Keystone says of a text that is no good token (the others: too long to be looked at)."""

KEPT = 20000
"""Tokens in memory at most; the least recently used go first."""


@define
class _Known:
    caller: Caller | None
    until: float


class Tokens:
    """Caller of a token. One validation is in flight for a token; nothing is written down."""

    def __init__(
        self,
        now: Callable[[], float],
        keystone: Keystone,
        believed: float,
        looked_up: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`looked_up` is told of each token whether it was known."""
        self._now, self._keystone, self.believed = now, keystone, believed
        self._looked_up = looked_up
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: Once[bytes, _Known] = Once()

    async def caller(self, token: str, *, allow_expired: bool = False) -> Caller:
        """Who holds the token. Raises `Unauthorized`, or `KeystoneUnavailable`.

        `allow_expired` is for calls that carry a valid service token: work that a user began is
        finished after the user's token ended.
        """
        if (caller := self.known(token, allow_expired=allow_expired)) is not None:
            return caller
        key = _key(token, allow_expired)
        self._looked_up(False)
        found = await self._asking.run(key, lambda: self._validate(key, token, allow_expired))
        return self._held(found, token, allow_expired)

    def known(self, token: str, *, allow_expired: bool = False) -> Caller | None:
        """The same, as far as it is in memory; None if Keystone has to be asked."""
        found = self._lookup(_key(token, allow_expired), allow_expired)
        if found is None:
            return None
        self._looked_up(True)
        return self._held(found, token, allow_expired)

    def _held(self, found: _Known, token: str, allow_expired: bool) -> Caller:
        over = found.caller and found.caller.expires_at <= self._now() and not allow_expired
        if found.caller is None or over:
            raise Unauthorized("The request you have made requires authentication.")
        # the cache is keyed by a hash: the token itself is kept by its request alone
        return found.caller.with_token(token)

    @property
    def cached(self) -> int:
        """How many are in memory."""
        return len(self._known)

    def _lookup(self, key: bytes, allow_expired: bool) -> _Known | None:
        known = self._known.get(key)
        if known is None:
            return None
        now = self._now()
        over = known.caller and known.caller.expires_at <= now and not allow_expired
        if known.until <= now or over:
            del self._known[key]
            return _Known(None, now) if over else None
        self._known.move_to_end(key)
        return known

    async def _validate(self, key: bytes, token: str, allow_expired: bool) -> _Known:
        path = "/auth/tokens?allow_expired=1" if allow_expired else "/auth/tokens"
        # without this header Keystone hides tokens that carry access rules
        headers = {"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1.0"}
        reply = await self._keystone.call("GET", path, headers=headers)
        now = self._now()
        if reply.status == 200:
            with understood("GET /auth/tokens"):
                known = _Known(_caller(reply.body["token"]), now + self.believed)
        elif reply.status in _NO_TOKEN:
            known = _Known(None, now + REFUSED)
        else:  # it says nothing of this token: our own credential is not good enough, or it is busy
            raise KeystoneUnavailable(f"GET {path}: {reply.status}")
        self._known[key] = known
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known


def _key(token: str, allow_expired: bool) -> bytes:
    return sha256(token.encode() + (b"\0expired" if allow_expired else b"")).digest()


def _caller(body: dict[str, Any]) -> Caller:
    user, project = body.get("user", {}), body.get("project", {})
    rules = body.get("application_credential", {}).get("access_rules")
    return Caller(
        token="",
        user_id=user.get("id", ""),
        user_name=user.get("name", ""),
        user_domain_id=user.get("domain", {}).get("id", ""),
        project_id=project.get("id", ""),
        project_name=project.get("name", ""),
        project_domain_id=project.get("domain", {}).get("id", ""),
        domain_id=body.get("domain", {}).get("id", ""),
        system_scope="all" if body.get("system", {}).get("all") else "",
        roles=tuple(role["name"] for role in body.get("roles", ())),
        expires_at=epoch(body["expires_at"]),
        access_rules=None
        if rules is None
        else tuple(AccessRule(rule["service"], rule["method"], rule["path"]) for rule in rules),
    )


@lru_cache(maxsize=4096)
def _pattern(path: str) -> re.Pattern[str]:
    # `{name}` and `*` stand for one segment, `**` for any number (Keystone, "access rules")
    pieces = re.split(r"(\*\*|\*|\{[^}]*\})", path)
    meant = {"**": ".*", "*": "[^/]+"}
    return re.compile(
        "".join(
            meant.get(piece, "[^/]+") if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
    )


def check_access_rules(caller: Caller, services: tuple[str, ...], method: str, path: str) -> None:
    """Raise `Unauthorized` if the caller's application credential does not allow this call.

    `services` are the names of this face's service type; `path` is without any prefix of ours.
    """
    if caller.access_rules is None:
        return
    for rule in caller.access_rules:
        fits = rule.service in services and rule.method == method
        if fits and _pattern(rule.path).fullmatch(path):
            return
    raise Unauthorized("The request you have made requires authentication.")
