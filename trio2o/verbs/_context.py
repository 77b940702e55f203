"""What a verb is given, and what a table is made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import Factory, frozen

from trio2o.definitions import Definitions
from trio2o.domain.resources import Resource
from trio2o.domain.values import Caller, Pod
from trio2o.domain.versions import ANY, Microversions, Range, Version
from trio2o.message import Answer, Call, Headers, end_to_end, with_header, without
from trio2o.pods import Pods, Target
from trio2o.routes import Routes
from trio2o.store import Store


class Positions(OrderedDict[tuple[Any, ...], Any]):
    """Where pages of lists ended lately: bounded, and losing it changes no answer's rows."""

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > 10_000:
            self.popitem(last=False)


@frozen
class Surface:
    """What the verbs have to know of a face: its service, its public URL, its resources.

    `tops` are ids of pods that tenants know by another, with that.
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


@frozen
class Context:
    """One call's surroundings. `below` is the raw path behind version and project.

    `with_project` tells whether the client wrote its project in the path; `deadline` is absolute.
    `definitions` are those of each kind. `parts` is the face's own, opaque to the verbs.
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

    @property
    def target(self) -> Target:
        return Target(self.surface.service, self.caller.project_id, self.with_project)

    @property
    def version_headers(self) -> Headers:
        """The headers that pin the version, so that every pod speaks the same."""
        known = self.surface.microversions
        return known.headers(self.version) if known and self.version else ()

    def link(self, query: Iterable[tuple[str, str]]) -> str:
        """This call's own URL, as the client wrote it, with another query."""
        project = f"/{self.caller.project_id}" if self.with_project else ""
        path = f"/{self.surface.version}{project}{self.below.decode('latin-1')}"
        return f"{self.surface.url}{path}?{urlencode(list(query))}"

    async def send(self, pod: Pod, call: Call) -> Answer:
        """The pod's answer to a call of this context. Raises as `Pods.send`."""
        stream = self.operation.stream
        return await self.pods.send(pod, self.target, call, self.deadline, stream=stream)


Verb = Callable[[Call, Context], Awaitable[Answer]]


@frozen
class Operation:
    """One row of an API. `open` rows need no token; `policy` is named where the top decides."""

    method: str
    path: str
    verb: Verb
    action: str = ""
    versions: Range = ANY
    policy: str = ""
    stream: bool = False
    open: bool = False


_OURS = (b"host", b"content-length", b"expect", b"accept-encoding", b"cookie")
_THEIRS = (b"content-length", b"server", b"date", b"set-cookie", b"alt-svc")


def below(call: Call, context: Context) -> Call:
    """The client's call as pods get it: path below the version, one pinned version."""
    known = context.surface.microversions
    headers = without(end_to_end(call.headers), (*_OURS, *(known.names if known else ())))
    headers = with_header(headers, b"X-Openstack-Request-Id", context.request_id.encode())
    return Call(
        call.method,
        context.below,
        call.query,
        (*headers, *context.version_headers),
        call.body,
    )


def answer_headers(headers: Headers) -> Headers:
    """What of a pod's headers reaches the client."""
    return without(end_to_end(headers), _THEIRS)


def json_answer(status: int, body: Any, headers: Headers = ()) -> Answer:
    """An answer of our own."""
    content = (b"Content-Type", b"application/json")
    return Answer(status, (content, *headers), msgspec.json.encode(body))
