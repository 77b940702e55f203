"""What all faces have in common: from the pipeline to a verb, and errors in the API's shape."""

from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from attrs import Factory, frozen

from trio2o.definitions import Definitions, Keypairs, ServerGroups
from trio2o.domain.errors import Fault
from trio2o.domain.resources import Resource
from trio2o.domain.values import Caller
from trio2o.domain.versions import ANY, Microversions, Range
from trio2o.identity import Catalog, Tokens
from trio2o.message import Answer, Call
from trio2o.networks import Networks
from trio2o.pods import Capacity, Pods
from trio2o.reconcile import Reconcilers
from trio2o.routes import Routes
from trio2o.scheduling import Rules
from trio2o.settings import Settings
from trio2o.store import Store
from trio2o.telemetry import Telemetry
from trio2o.verbs import Context, Operation, Surface, json_answer
from trio2o.web import Asked, Shares, Table

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""Nova's and Cinder's names of errors; all others are a computeFault in both."""


@frozen
class Parts:
    """What the service gives to every face. `health` says why no calls should come ('' = fine),
    `check` raises `Forbidden` for what a caller may not by a rule. `faces` are all, by name."""

    clock: Any
    now: Callable[[], float]
    pods: Pods
    routes: Routes
    store: Store
    settings: Settings
    catalog: Catalog
    tokens: Tokens
    keypairs: Keypairs
    groups: ServerGroups
    definitions: Mapping[str, Definitions]
    reconcilers: Reconcilers
    capacity: Capacity
    telemetry: Telemetry
    shares: Shares
    health: Callable[[], str]
    check: Callable[[str, Caller], None]
    networks: Networks | None = None
    faces: dict[str, Any] = Factory(dict)


def keystone_fault(fault: Fault) -> Answer:
    """An error in the shape of keystonemiddleware, which stands before every OpenStack API."""
    error = {
        "code": fault.status,
        "title": TITLES.get(fault.status, "Internal Server Error"),
        "message": fault.message,
    }
    return json_answer(fault.status, {"error": error})


def _rules(settings: Settings) -> Rules:
    said = settings.scheduling
    return Rules(
        frozenset(said.filters),
        binding=said.binding_multiplier,
        free=said.free_multiplier,
        weight=said.weight_multiplier,
    )


class BaseFace:
    """A face: `operations` is its table, `app` what finds a row of it."""

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]]
    version: ClassVar[str]
    microversions: ClassVar[Microversions | None] = None
    wrong_project: ClassVar[str] = "Malformed request URL"
    unversioned: ClassVar[frozenset[str]] = frozenset()
    takes_any_media_type: ClassVar[bool] = False
    sorted_links: ClassVar[bool] = False
    resources: ClassVar[Mapping[str, Resource]] = {}
    rules: ClassVar[Mapping[str, str]] = {}
    """Defaults of the rules that verbs check."""
    operations: ClassVar[tuple[Operation, ...]]
    app: ClassVar[Table]

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.faces[self.name] = self
        faces = parts.settings.faces
        self.url = getattr(faces, self.name).url.rstrip("/")
        self.surface = Surface(
            service=self.name,
            url=self.url,
            version=self.version,
            microversions=self.microversions,
            resources=self.resources,
            default_zone=parts.settings.scheduling.default_availability_zone,
            images_url=faces.image.url.rstrip("/"),
            tops=ChainMap(
                parts.groups.places.tops, *(one.places.tops for one in parts.definitions.values())
            ),
            rules=_rules(parts.settings),
            sorted_links=self.sorted_links,
            unavailable=parts.settings.lists.unavailable,
            patience=parts.settings.lists.timeout,
        )

    def offered(self) -> Range:
        return self.parts.pods.offered(self.name) if self.microversions else ANY

    def normal(self, path: bytes) -> bytes:
        return path

    def fault(self, fault: Fault) -> Answer:
        """The error as this API words it (a 401 comes from keystonemiddleware everywhere)."""
        if fault.status == 401:
            return keystone_fault(fault)
        return self.shape(fault)

    def shape(self, fault: Fault) -> Answer:
        """The shape of Nova and Cinder: `{"itemNotFound": {"code": 404, "message": "..."}}`."""
        body: dict[str, Any] = {"code": fault.status, "message": fault.message}
        if fault.retry_after:
            body["retryAfter"] = str(fault.retry_after)
        name = FAULT_NAMES.get(fault.status, "computeFault")
        return json_answer(fault.status, {name: body})

    def perform(self, row: Operation, call: Call, asked: Asked) -> Awaitable[Answer]:
        parts = self.parts
        context = Context(
            surface=self.surface,
            caller=asked.caller,
            operation=row,
            params=asked.params,
            below=asked.below,
            with_project=asked.with_project,
            version=asked.version,
            request_id=asked.request_id,
            deadline=asked.deadline,
            pods=parts.pods,
            routes=parts.routes,
            store=parts.store,
            clock=parts.clock,
            now=parts.now,
            definitions=parts.definitions,
            parts=parts,
            trace=asked.trace,
        )
        return row.verb(call, context)
