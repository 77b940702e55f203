"""A Keystone and pods to test the appliance against: real HTTP servers on loopback.

They run on a reactor in one background thread. Rows change in that thread only: by requests, or by
helpers marked `in_reactor`, which any thread may call. Settings are plain attributes.
"""

import functools
import json
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qs, unquote
from weakref import WeakSet

from twisted.internet import reactor as _reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python import log, threadable
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

if TYPE_CHECKING:
    from fakes import Cloud

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]  # keys that begin with "_" are never shown
Reply = tuple[int, Any]  # status, body: bytes, None or a value for JSON

reactor: Any = _reactor
INTERNAL = "http://pod-internal.example:1234"  # the host that pods name in their links
UNAUTHORIZED = "The request you have made requires authentication."
FAULTS = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest"}


def in_reactor(work: Callable[P, T]) -> Callable[P, T]:
    """Do a helper's work in the reactor's thread, whichever thread calls it."""

    @functools.wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        if threadable.isInIOThread():
            return work(*args, **kwargs)
        return blockingCallFromThread(reactor, work, *args, **kwargs)

    return call


def stable_id(*parts: str) -> str:
    """The same 32 hex digits for the same parts, in every run."""
    return uuid.uuid5(uuid.NAMESPACE_URL, ":".join(parts)).hex


def public(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def links(path: str, *rels: str) -> list[Row]:
    return [{"rel": rel, "href": INTERNAL + path} for rel in rels or ("self", "bookmark")]


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


class Fault(Exception):
    """An error answer; each service gives it its own shape."""

    def __init__(self, status: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind


@dataclass
class Call:
    """A request as it arrived; what follows `body` is filled in while it is served."""

    service: str
    method: str
    path: str  # as sent, still percent-encoded
    query: dict[str, list[str]]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    token: Row = field(default_factory=dict)
    version: tuple[int, ...] = ()
    in_path: str = ""  # "/<project>" if the path names one
    out: dict[str, str] = field(default_factory=dict)  # headers of the answer

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def part(self, key: str) -> Row:
        """The object under the one key of the body."""
        found: Any = self.json.get(key) if isinstance(self.json, dict) else None
        if not isinstance(found, dict):
            raise Fault(400, f"Invalid input for field/attribute {key}.")
        return found

    def header(self, name: str) -> str:
        values = [v for k, v in self.headers if k.lower() == name.lower().encode()]
        return values[-1].decode("latin-1") if values else ""

    def one(self, key: str, default: str = "") -> str:
        return self.query.get(key, [default])[-1]

    @property
    def project(self) -> str:
        return str(self.token.get("project", {}).get("id", ""))

    @property
    def admin(self) -> bool:
        return any(role["name"] == "admin" for role in self.token.get("roles", ()))

    def lists(self, row: Row) -> bool:
        everything = self.admin and self.one("all_tenants").lower() in ("1", "true")
        return everything or row["_project"] == self.project


class Faults:
    """What goes wrong, set by a test at any time. `when` narrows all of it to some calls."""

    when: Callable[[Call], bool] | None = None
    delay: float = 0.0  # seconds between the work and the answer
    hang: bool = False  # does nothing, never answers
    drop: bool = False  # does nothing, cuts the connection
    fail: tuple[int, bytes] | None = None  # does nothing, answers this
    serve_redirect: str | None = None  # does nothing, answers 302 to this URL
    set_cookie: str | None = None
    reset_after_request: bool = False  # does the work, then cuts the connection
    break_off: bool = False  # does the work, sends half of the answer, cuts the connection
    hold: threading.Event | None = None  # sends half of the answer, and the rest once this is set
    before_answer: Callable[[str, str], object] | None = None  # (method, path); may block

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.own_calls: list[Call] = []  # those that the appliance makes for itself

    def clear_faults(self) -> None:
        for name in Faults.__annotations__:
            self.__dict__.pop(name, None)
        self.calls.clear()
        self.own_calls.clear()

    def calls_to(self, method: str, pattern: str = "") -> list[Call]:
        """The recorded calls with this method and a path in which the expression is found."""
        return [c for c in list(self.calls) if c.method == method and re.search(pattern, c.path)]

    def own_calls_to(self, method: str, pattern: str = "") -> list[Call]:
        """The same of the calls that the appliance made for itself."""
        own = list(self.own_calls)
        return [c for c in own if c.method == method and re.search(pattern, c.path)]

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return Counter((call.method, call.path) for call in list(self.calls))


class Service(Resource):
    """One API on one port: records calls, applies faults, turns failures into answers."""

    isLeaf = True
    type = prefix = ""

    def __init__(self, cloud: "Cloud", faults: Faults) -> None:
        Resource.__init__(self)
        self.cloud, self.faults, self.site = cloud, faults, Site(self, timeout=None)
        self.channels: WeakSet[Any] = WeakSet()
        self.port = 0
        self.listener: Any = None
        self.listen()

    def listen(self) -> None:
        if self.listener is None:
            self.listener = reactor.listenTCP(self.port, self.site, interface="127.0.0.1")
            self.port = self.listener.getHost().port
            self.url = f"http://127.0.0.1:{self.port}"

    @in_reactor
    def stop(self) -> Any:
        """Refuse new connections and cut those that are open."""
        for channel in list(self.channels):
            channel.transport.abortConnection()
        listener, self.listener = self.listener, None
        return listener and listener.stopListening()

    def render(self, request: Request) -> int:
        path, _, query = request.uri.decode("latin-1").partition("?")
        named = request.requestHeaders.getAllRawHeaders()
        headers = [(name, value) for name, values in named for value in values]
        body = request.content.read() if request.content else b""
        asked = parse_qs(query, keep_blank_values=True)
        call = Call(self.type, request.method.decode(), path, asked, headers, body)
        caller = self.cloud.keystone.find(call.header("X-Auth-Token")) or {}
        own = self.type != "identity" and caller.get("user", {}).get("name") == "trio2o"
        (self.faults.own_calls if own else self.faults.calls).append(call)
        self.channels.add(request.channel)
        ensureDeferred(self.serve(request, call)).addErrback(self.give_up, request)
        return NOT_DONE_YET

    def give_up(self, failure: Failure, request: Request) -> None:
        log.err(failure)
        cut(request)

    async def serve(self, request: Request, call: Call) -> None:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        faults = Faults() if self.faults.when and not self.faults.when(call) else self.faults
        if faults.hang:
            return
        if faults.drop:
            cut(request)
            return
        if faults.serve_redirect:
            call.out["Location"] = faults.serve_redirect
        status, body = (302, b"") if faults.serve_redirect else faults.fail or self.work(call)
        if faults.before_answer:
            await deferToThread(faults.before_answer, call.method, call.path)
        if faults.delay:
            await deferLater(reactor, faults.delay)
        if gone or faults.reset_after_request:
            cut(request)
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = b"" if body is None else data
        request.setResponseCode(status)
        length = {"Content-Length": str(len(data))} if status != 204 else {}
        for name, value in ({"Content-Type": "application/json"} | length | call.out).items():
            request.setHeader(name, value)
        if faults.set_cookie:
            request.setHeader("Set-Cookie", faults.set_cookie)
        half = len(data) // 2 if faults.break_off or faults.hold else 0
        request.write(data[:half])
        if faults.hold:
            await deferToThread(faults.hold.wait, 5)
        if faults.break_off:
            cut(request)
            return
        request.write(data[half:])
        request.finish()

    def work(self, call: Call) -> Reply:
        try:
            path = [unquote(part) for part in self.enter(call).split("/") if part]
            return self.handle(call, path)
        except Fault as fault:
            return fault.status, self.fault_body(fault)
        except ValueError:  # from JSON, from numbers
            return 400, self.fault_body(Fault(400, "Malformed request body"))
        except Exception:
            log.err()
            return 500, self.fault_body(Fault(500, "Unexpected API Error."))

    def enter(self, call: Call) -> str:
        """Check token, version and prefix; what is left of the path is handled."""
        open_path = self.open_paths(call)
        if open_path:
            return open_path
        call.token = self.cloud.keystone.find(call.header("X-Auth-Token")) or {}
        if not call.token:
            call.out["WWW-Authenticate"] = f'Keystone uri="{self.cloud.keystone.url}/v3"'
            raise Fault(401, UNAUTHORIZED)
        path = call.path.removeprefix(self.prefix)
        named = re.match("/([0-9a-f]{32})(?=/)", path) if self.type != "identity" else None
        if named and named[1] != call.project:
            raise Fault(400, f"Malformed request URL: project_id '{named[1]}' is not the context's")
        call.in_path = named[0] if named else ""
        return path.removeprefix(call.in_path)

    def open_paths(self, call: Call) -> str:
        """The path again if it needs no token."""
        return call.path if call.path in ("/", self.prefix, self.prefix + "/") else ""

    def handle(self, call: Call, path: list[str]) -> Reply:
        raise NotImplementedError

    def fault_body(self, fault: Fault) -> Row:
        name = "error" if fault.status == 401 else FAULTS.get(fault.status, "computeFault")
        return {name: {"code": fault.status, "message": fault.message}}

    def admin_only(self, call: Call) -> None:
        if not call.admin:
            raise Fault(403, "Policy doesn't allow this to be performed.")


def cut(request: Request) -> None:
    if request.channel is not None:
        channel: Any = request.channel
        channel.transport.abortConnection()
