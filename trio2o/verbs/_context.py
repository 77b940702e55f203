"""What a verb is given, and what a table is made of."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import Factory, field, frozen
from msgspec import Struct
from msgspec.structs import replace

from trio2o.definitions import Definitions
from trio2o.domain.errors import Fault
from trio2o.domain.resources import Resource
from trio2o.domain.values import Caller, Pod
from trio2o.domain.versions import ANY, Microversions, Range, Version
from trio2o.message import HOP_BY_HOP, Answer, Call, Headers, end_to_end, without
from trio2o.pods import Pods, Target
from trio2o.routes import Routes
from trio2o.scheduling import Rules
from trio2o.store import Store
from trio2o.telemetry import Trace

_OURS = HOP_BY_HOP.union(
    (b"host", b"content-length", b"expect", b"accept-encoding", b"cookie"),
    (b"x-openstack-request-id",),
)


class Positions(OrderedDict[tuple[Any, ...], Any]):
    """Where pages of lists ended lately: bounded, and losing it changes no answer's rows."""

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > 10_000:
            self.popitem(last=False)


@frozen
class Kinds:
    """The kinds of things of a face, by the keys of one and of many in bodies."""

    one: Mapping[str, Resource]
    many: Mapping[str, Resource]

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Kinds:
        known = tuple(resources)
        return cls({kind.key: kind for kind in known}, {kind.rows: kind for kind in known})


@frozen
class Surface:
    """What the verbs have to know of a face: its service, its public URL, its resources.

    `tops` are ids of pods that tenants know by another, with that. `rules` are how a pod is
    chosen. `sorted_links`: queries in its links to next pages are in the order of their names.
    `unavailable` and `patience` are the settings `lists.unavailable` and `lists.timeout`.
    """

    service: str
    url: str
    version: str
    microversions: Microversions | None = None
    resources: Mapping[str, Resource] = {}
    default_zone: str = ""
    images_url: str = ""
    positions: Positions = Factory(Positions)
    tops: Mapping[str, str] = {}
    rules: Rules = Rules()
    sorted_links: bool = False
    unavailable: str = "standard"
    patience: float = math.inf
    kinds: Kinds = field(
        init=False, default=Factory(lambda self: Kinds.of(self.resources.values()), takes_self=True)
    )
    ours: frozenset[bytes] = field(
        init=False,
        default=Factory(
            lambda self: _OURS.union(self.microversions.names if self.microversions else ()),
            takes_self=True,
        ),
    )
    """Headers of a client that pods do not get from it."""
    rewriters: dict[str, Any] = Factory(dict)


class Context(Struct, frozen=True):
    """One call's surroundings. `below` is the raw path behind version and project.

    `with_project` tells whether the client wrote its project in the path; `deadline` is absolute.
    `definitions` are those of each kind. `parts` is the face's own, opaque to the verbs; `memo`
    keeps what one step of the call has found out for the others.
    """

    surface: Surface
    caller: Caller
    operation: Operation
    params: Mapping[str, str]
    below: bytes
    with_project: bool
    version: Version | None
    request_id: str
    deadline: float
    pods: Pods
    routes: Routes
    store: Store
    clock: Any
    now: Callable[[], float]
    definitions: Mapping[str, Definitions] = {}
    parts: Any = None
    memo: dict[Any, Any] = {}
    trace: Trace = msgspec.field(default_factory=Trace)

    @property
    def target(self) -> Target:
        return Target(self.surface.service, self.caller.project_id, self.with_project)

    @property
    def version_headers(self) -> Headers:
        """The headers that pin the version, so that every pod speaks the same."""
        known = self.surface.microversions
        return known.headers(self.version) if known and self.version else ()

    async def own_headers(self) -> Headers:
        """Headers of a call that we make for the caller, after its own passed its access rules:
        they do not bind a call with our token beside the caller's."""
        service = await self.routes.own_token()
        token = (b"X-Auth-Token", self.caller.token.encode())
        return token, (b"X-Service-Token", service.encode())

    def link(self, query: Iterable[tuple[str, str]], marker: str = "") -> str:
        """This call's own URL, as the client wrote it, with this query and the next marker."""
        pairs = list(query)
        if self.surface.sorted_links:
            pairs.sort(key=lambda pair: pair[0])
        names = [name for name, _ in pairs]
        if marker and "marker" in names:
            pairs[names.index("marker")] = ("marker", marker)
        elif marker:
            pairs.append(("marker", marker))
        project = f"/{self.caller.project_id}" if self.with_project else ""
        path = f"/{self.surface.version}{project}{self.below.decode('latin-1')}"
        return f"{self.surface.url}{path}?{urlencode(pairs)}"

    def send(self, pod: Pod, call: Call) -> Awaitable[Answer]:
        """The pod's answer to a call of this context. Raises as `Pods.send`."""
        stream, trace = self.operation.stream, self.trace
        return self.pods.send(pod, self.target, call, self.deadline, stream=stream, trace=trace)

    def send_to_images(self, call: Call) -> Awaitable[Answer]:
        """The real Glance's answer. Raises as `Pods.send`."""
        stream, trace = self.operation.stream, self.trace
        return self.pods.send_to_images(call, self.deadline, stream=stream, trace=trace)

    def ask(self, pod: Pod, call: Call) -> Awaitable[Answer]:
        """As `send`, for one of many pods: it is not waited for as long as one alone would be."""
        deadline = min(self.deadline, self.clock.seconds() + self.surface.patience)
        return self.pods.send(pod, self.target, call, deadline, trace=self.trace)

    async def heard(self, pod: Pod, call: Call) -> Answer | None:
        """As `ask`; None where the pod does not answer, or fails (5xx)."""
        if self.pods.is_down(pod, self.surface.service):
            return None
        try:
            answer = await self.ask(pod, call)
        except Fault:
            return None
        return None if answer.status >= 500 else answer

    async def look(self, pod: Pod, path: str, query: str = "", service: str = "") -> Any:
        """What a pod shows the caller; None if it refuses, or shows no JSON. Raises as `send`."""
        headers = await self.own_headers()
        call = Call("GET", path.encode(), query.encode(), headers)
        if service:
            target = Target(service, self.caller.project_id)
            answer = await self.pods.send(pod, target, call, self.deadline)
        else:
            answer = await self.send(pod, replace(call, headers=(*headers, *self.version_headers)))
        try:
            return msgspec.json.decode(answer.body) if answer.ok else None  # type: ignore[arg-type]
        except msgspec.MsgspecError:
            return None

    def refuses_to_omit(self, *, certain: bool = False, none: bool = False) -> bool:
        """Whether it is a 503 that pods do not answer, and not an answer without what they have.

        `certain`: it is about certain things only, so "none" would be believed. `none`: no pod
        answers.
        """
        how = self.surface.unavailable
        return none or how == "refuse" or (certain and how == "standard")


Verb = Callable[[Call, Context], Awaitable[Answer]]


@frozen
class Operation:
    """One row of an API. `open` rows need no token; `policy` is named where the top decides.

    `hot` rows are found before Klein is asked.
    """

    method: str
    path: str
    verb: Verb
    action: str = ""
    versions: Range = ANY
    policy: str = ""
    stream: bool = False
    open: bool = False
    hot: bool = False


def below(call: Call, context: Context) -> Call:
    """The client's call as pods get it: path below the version, one pinned version."""
    id = (b"X-Openstack-Request-Id", context.request_id.encode())
    ours, said = context.surface.ours, call.said
    if said is not None and b"connection" not in said:
        kept = without(call.headers, ours)
    else:
        kept = end_to_end(call.headers, ours)
    headers = (*kept, id, *context.version_headers)
    return Call(call.method, context.below, call.query, headers, call.body)


def json_answer(status: int, body: Any, headers: Headers = ()) -> Answer:
    """An answer of our own."""
    content = (b"Content-Type", b"application/json")
    return Answer(status, (content, *headers), msgspec.json.encode(body))
