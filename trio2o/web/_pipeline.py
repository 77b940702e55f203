"""What every call passes, on whichever way it came: identity, rights, version, verb, errors."""

from __future__ import annotations

import math
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from random import getrandbits
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from txaio.tx import make_logger

from trio2o.domain.errors import (
    BadRequest,
    Fault,
    NotAcceptable,
    NotFound,
    PodTimeout,
    PodUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)
from trio2o.domain.values import Caller
from trio2o.domain.versions import ANY, Microversions, Range, Version
from trio2o.identity import KeystoneUnavailable, Policy, Tokens, check_access_rules
from trio2o.message import Answer, Call, Headers, Stream
from trio2o.telemetry import LEFT, Ended, Trace, masked
from trio2o.web._head import heard
from trio2o.web._shares import Shares

log = make_logger()

_REQUEST_ID = re.compile(
    rb"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)

UNEXPECTED = "The server has either erred or is incapable of performing the requested operation."


class Row(Protocol):
    """The part of an operation that the pipeline looks at."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def versions(self) -> Range: ...
    @property
    def policy(self) -> str: ...
    @property
    def open(self) -> bool: ...
    @property
    def stream(self) -> bool: ...
    @property
    def hot(self) -> bool: ...


class Found(Struct, frozen=True):
    """The rows of a path and method, the values of the path's variables, its project ('' = none).

    Without rows the path is unknown, or has other methods: those that are `allowed`.
    """

    rows: tuple[Row, ...] = ()
    segments: tuple[str, ...] = ()
    project: str = ""
    allowed: tuple[str, ...] = ()


class Asked(Struct, frozen=True):
    """What the pipeline found out about a call. `deadline` is absolute."""

    params: Mapping[str, str]
    below: bytes
    with_project: bool
    caller: Caller
    version: Version | None
    request_id: str
    deadline: float
    trace: Trace


class Asker(Protocol):
    """Who waits for an answer. `share` is the project that had its turn, then that of whose turn
    it is before the next call there is read ('' = nobody's)."""

    share: str


class Face(Protocol):
    """An API, as the pipeline and the site see it."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> tuple[str, ...]:
        """The names of its service type, for access rules."""
        ...

    @property
    def microversions(self) -> Microversions | None: ...
    @property
    def unversioned(self) -> frozenset[str]:
        """Paths of documents for which no version is asked and none is told."""
        ...

    @property
    def takes_any_media_type(self) -> bool:
        """Whether bodies may be other than JSON."""
        ...

    @property
    def wrong_project(self) -> str:
        """What is said to a project id in the path that is not the token's."""
        ...

    def normal(self, path: bytes) -> bytes:
        """The path as the table writes it, for APIs that take one path in several spellings."""
        ...

    def offered(self) -> Range:
        """The microversions that are served now."""
        ...

    def fault(self, fault: Fault) -> Answer:
        """An error in this API's shape."""
        ...

    def perform(self, row: Any, call: Call, asked: Asked) -> Awaitable[Answer]:
        """Run the operation's verb."""
        ...


def new_request_id() -> str:
    """`req-` and a random UUID, which is no secret: the system need not be asked for it."""
    text = f"{getrandbits(128):032x}"
    return f"req-{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def request_id_of(said: Mapping[bytes, bytes]) -> str:
    """The call's id: the client's own if it is one, else ours."""
    sent = said.get(b"x-openstack-request-id", b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else new_request_id()


NOBODY = Caller("", "", "", (), 0.0)


_FORWARDED = frozenset(
    (
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port"),
        *(b"x-forwarded-prefix", b"x-forwarded-server", b"x-real-ip", b"forwarded"),
    )
)
"""What a proxy before us tells of the client."""


class _Counted:
    """A stream that tells how many bytes were read of it, once it ended or was given up."""

    def __init__(self, stream: Stream, ended: Callable[[int], None]) -> None:
        self._stream, self._ended = stream, ended
        self.length = stream.length
        self._size = 0
        self._over = False

    async def read(self) -> bytes:
        try:
            piece = await self._stream.read()
        except BaseException:
            self._end()
            raise
        self._size += len(piece)
        if not piece:
            self._end()
        return piece

    def abort(self, why: Exception) -> None:
        self._end()
        self._stream.abort(why)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._ended(self._size)


class Pipeline:
    """The way of a call from its head to its answer. What is public may be changed any time."""

    def __init__(
        self,
        clock: Any,
        tokens: Tokens,
        policy: Policy,
        auth_url: str,
        timeout: float,
        *,
        shares: Shares | None = None,
        ended: Callable[[Ended], None] = lambda _: None,
    ) -> None:
        """`ended` is told of each call when it ends, its body included."""
        self._clock, self._tokens, self._auth_url = clock, tokens, auth_url
        self._ended = ended
        self.policy, self.timeout = policy, timeout
        self.proxies: frozenset[str] = frozenset()
        self.opened: frozenset[str] = frozenset()
        """Paths of rows that an operator opened to everybody."""
        self.shares = shares or Shares(clock)

    async def serve(self, face: Face, found: Found, call: Call, asker: Asker) -> Answer:
        """The answer to a call whose path was `found`; errors are answers too."""
        if (said := call.said) is None:
            kept, said = heard(call.headers)
            call = Call(call.method, call.path, call.query, kept, call.body, said, call.peer)
        peer = call.peer
        if not _FORWARDED.isdisjoint(said):
            call, peer = self._received(call, said)
        trace = Trace(
            face.name,
            call.method,
            call.path,
            call.query,
            peer,
            request_id_of(said),
            self._clock.seconds(),
            found.rows[0] if found.rows else None,
            False,
            found.segments,
        )
        try:
            answer = await self._served(face, found, call, said, trace, asker)
        except CancelledError:
            self._tell(trace, Answer(LEFT), 0)
            raise
        body = answer.body
        if isinstance(body, bytes):
            self._tell(trace, answer, 0 if call.method == "HEAD" else len(body))
            return answer
        counted = _Counted(body, lambda size: self._tell(trace, answer, size))
        return Answer(answer.status, answer.headers, counted)

    def refused(self, face: Face, call: Call, request_id: str, answer: Answer) -> None:
        """A call that no operation saw was answered by its site."""
        now = self._clock.seconds()
        trace = Trace(face.name, call.method, call.path, call.query, call.peer, request_id, now)
        self._tell(trace, answer, len(answer.body) if isinstance(answer.body, bytes) else 0)

    def _received(self, call: Call, said: Mapping[bytes, bytes]) -> tuple[Call, str]:
        """The call without what only a proxy is believed, and the address it came from."""
        peer = call.peer
        if peer in self.proxies:
            told = said.get(b"x-forwarded-for", b"").decode("latin-1")
            return call, told.rpartition(",")[2].strip() or peer
        kept = tuple([item for item in call.headers if item[0].lower() not in _FORWARDED])
        return Call(call.method, call.path, call.query, kept, call.body, said, peer), peer

    def _tell(self, trace: Trace, answer: Answer, size: int) -> None:
        made = answer.body if trace.method == "POST" and answer.ok else b""
        self._ended(
            Ended(
                trace,
                answer.status,
                size,
                self._clock.seconds() - trace.begun,
                time.time(),
                made if isinstance(made, bytes) else b"",
            )
        )

    async def _served(
        self,
        face: Face,
        found: Found,
        call: Call,
        said: Mapping[bytes, bytes],
        trace: Trace,
        asker: Asker,
    ) -> Answer:
        rows, project = found.rows, found.project
        request_id = trace.request_id
        version: Version | None = None
        try:
            caller = trace.caller = await self._caller(face, rows, call, said)
            if face.microversions and not _unversioned(face, rows):
                version = face.microversions.asked(said, face.offered())
            if project and caller is not NOBODY and project != caller.project_id:
                words = face.wrong_project.format(asked=project, own=caller.project_id)
                raise BadRequest(words)
            if rows and not face.takes_any_media_type:
                _check_media_type(said.get(b"content-type"), call)
            row = select(rows, call, version)
            # an action that no row knows is for the pod to refuse
            named = not row.action or row.action.encode() in _text(call)
            trace.row, trace.chosen = row, named
            if row.policy and caller is not NOBODY:
                self.policy.check(row.policy, caller)
            asked = Asked(
                params=dict(zip(_names(row.path), found.segments, strict=False)),
                below=_below(call.path, bool(project)),
                with_project=bool(project),
                caller=caller,
                version=version,
                request_id=request_id,
                trace=trace,
                # an image takes as long as it takes
                deadline=math.inf if row.stream else self._clock.seconds() + self.timeout,
            )
            share = caller.project_id or caller.user_id
            in_turn = asker.share == share
            # behind a proxy the next call there is anybody's
            asker.share = "" if call.peer in self.proxies else share
            if (turn := self.shares.take(share, in_turn=in_turn)) is not None:
                await turn
            try:
                answer = await face.perform(row, call, asked)
            finally:
                self.shares.give(share)
        except Fault as fault:
            if isinstance(fault, NotAcceptable):
                version = fault.version
            answer = self._failed(face, fault, call, request_id)
        except CancelledError:
            raise
        except Exception:
            log.error(
                "{method} {path} [{request_id}]\n{traceback}",
                method=call.method,
                path=masked(call.path),
                request_id=request_id,
                traceback=traceback.format_exc(),
            )
            answer = face.fault(Fault(UNEXPECTED))
        told = _told(face, answer, version, request_id)
        return Answer(answer.status, (*answer.headers, *told), answer.body) if told else answer

    async def _caller(
        self, face: Face, rows: Sequence[Row], call: Call, said: Mapping[bytes, bytes]
    ) -> Caller:
        if (rows and (rows[0].open or self.opened)) and all(
            row.open or row.path in self.opened for row in rows
        ):
            return NOBODY
        token = said.get(b"x-auth-token")
        if not token:
            raise Unauthorized("The request you have made requires authentication.")
        text, serving = token.decode("latin-1"), False
        if service := said.get(b"x-service-token"):
            behind = await self._tokens.caller(service.decode("latin-1"))
            serving = "service" in behind.roles
        caller = self._tokens.known(text, allow_expired=serving)
        if caller is None:
            caller = await self._tokens.caller(text, allow_expired=serving)
        if not serving and caller.access_rules is not None:
            path = call.path.decode("latin-1")
            check_access_rules(caller, face.types, call.method, path)
        return caller

    def _failed(self, face: Face, fault: Fault, call: Call, request_id: str) -> Answer:
        if isinstance(fault, (PodUnavailable, PodTimeout, KeystoneUnavailable)):
            log.warn(
                "{method} {path}: {message} {why} [{request_id}]",
                method=call.method,
                path=masked(call.path),
                message=fault.message,
                why=fault.why,
                request_id=request_id,
            )
        answer = face.fault(fault)
        more: Headers = ()
        if isinstance(fault, Unauthorized):
            more = ((b"WWW-Authenticate", f'Keystone uri="{self._auth_url}"'.encode()),)
        if fault.retry_after:
            more = (*more, (b"Retry-After", str(fault.retry_after).encode()))
        return replace(answer, headers=(*answer.headers, *more))


@lru_cache(maxsize=4096)
def _names(path: str) -> tuple[str, ...]:
    """The names of the variables in a row's path."""
    return tuple(re.findall(r"\{(\w+)\}", path))


def _below(path: bytes, project: bool) -> bytes:
    """The raw path behind the version, and behind the project if there is one."""
    segments = path.split(b"/", 3 if project else 2)
    return b"/" + segments[-1] if len(segments) > (3 if project else 2) else b"/"


def _unversioned(face: Face, rows: Sequence[Row]) -> bool:
    return bool(rows) and rows[0].path in face.unversioned


def select(rows: Sequence[Row], call: Call, version: Version | None) -> Row:
    """The row for a call among those of one path and method: by action, then by version."""
    if not rows:
        raise NotFound("The resource could not be found.")
    found = rows
    if rows[0].action and rows[0].path.endswith("/action"):
        named = _members(call)
        if len(named) != 1:
            raise BadRequest("Malformed request body")
        found = [row for row in rows if row.action == named[0]]
        if not found:
            return rows[0]  # the pod has its own words for an unknown action
    if version is not None:
        found = [row for row in found if row.versions is ANY or version in row.versions]
        if not found:
            raise NotFound("The resource could not be found.")
    return found[0]


def _members(call: Call) -> list[str]:
    """The names in a JSON object. Raises `BadRequest` if the body is none."""
    try:
        return list(msgspec.json.decode(_text(call), type=dict[str, msgspec.Raw]))
    except msgspec.MsgspecError:
        raise BadRequest("Malformed request body") from None


def _text(call: Call) -> bytes:
    return call.body if isinstance(call.body, bytes) else b""


def _check_media_type(kind: bytes | None, call: Call) -> None:
    if kind is None or not call.body:
        return
    kind = kind.split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        raise UnsupportedMediaType("Unsupported Content-Type")


def _told(
    face: Face, answer: Answer, version: Version | None, request_id: str
) -> list[tuple[bytes, bytes]]:
    """Headers that an answer must have and does not have yet."""
    have = {name.lower() for name, _ in answer.headers}
    told = []
    if b"x-openstack-request-id" not in have:
        told.append((b"X-Openstack-Request-Id", request_id.encode()))
    if face.microversions and version is not None and not face.microversions.told(have):
        wanted = (*face.microversions.headers(version), *face.microversions.vary())
        told += [item for item in wanted if item[0].lower() not in have]
    return told
