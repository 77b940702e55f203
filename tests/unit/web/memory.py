"""The appliance in memory: its own wiring, from the bytes of a client to the bytes that servers
behind it get, and back. A test holds both ends of every connection, and the clock.

    world = Memory()
    client = world.client("compute")
    client.say(request("/v2.1/servers/..."))
    world.pod.asked, client.reply

Only threads, files and periodic looks are left out. Keystone answers by itself; pods and Glance
answer what `says` returns, or, while it returns None, what the test says on a link.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import sqlalchemy as sa
from attrs import evolve, frozen
from edge import Client
from origins import Link
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from trio2o import service
from trio2o.domain.values import ACTIVE, Pod, Route
from trio2o.message import Headers, header
from trio2o.reconcile import Lease
from trio2o.service import FACES, Appliance
from trio2o.settings import IdentitySettings, Settings
from trio2o.store._schema import metadata
from trio2o.store.pods import add_pod
from trio2o.store.routes import record_routes
from trio2o.web import Table, mount

ID = "0f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
PROJECT = "0123456789abcdef0123456789abcdef"
TOKEN, ADMIN = "a-token-of-mine", "a-token-of-an-admin"
# a reactor in memory takes every name for this machine's: servers are told apart by their ports
KEYSTONE = "http://keystone:5000/v3"
GLANCE = "http://glance:9292/glance"
PORTS = {"compute": 8774, "volume": 8776, "network": 9696}
TYPES = {"compute": "compute", "volume": "block-storage", "network": "network"}
VERSIONS = {"compute": ("/v2.1", "2.1", "2.100"), "volume": ("/v3", "3.0", "3.71")}
ROOTS = {"compute": "/nova/v2.1", "volume": "/cinder/v3", "network": "/neutron/v2.0"}
THINGS = {
    "compute": ("/v2.1/servers", "server"),
    "volume": ("/v3/volumes", "volume"),
    "network": ("/v2.0/networks", "network"),
    "image": ("/v2/images", "image"),
}
"""Where a face makes, lists and shows things, and what one is called."""


def host(face: str, number: int = 1) -> str:
    """Of the server behind a face: a pod's, or the real Glance."""
    if face == "image":
        return "glance:9292"
    return f"pod{number}:{PORTS[face] + number}"


@frozen
class Heard:
    """A request as a server behind got it. `link` is where to answer."""

    method: str
    target: bytes
    headers: Headers
    body: bytes
    link: Link

    def all(self, name: str) -> list[bytes]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]


Says = Callable[[Heard], bytes | None]


def reply(status: int = 200, document: Any = None, *lines: str, body: bytes | None = None) -> bytes:
    """An answer, whole, of JSON or of other bytes."""
    text = json.dumps(document).encode() if body is None else body
    kind = ["Content-Type: application/json"] if body is None else []
    head = (f"HTTP/1.1 {status} x", *kind, *lines, f"Content-Length: {len(text)}", "", "")
    return "\r\n".join(head).encode("latin-1") + text


class Server:
    """One origin behind. `asked` are the requests that came whole."""

    def __init__(self, says: Says) -> None:
        self.says = says
        self.links: list[Link] = []
        self.asked: list[Heard] = []
        self._read: dict[Link, int] = {}

    def look(self) -> bool:
        """Read what came since, and answer it; whether anything came."""
        moved = False
        for link in self.links:
            rest = link.value()[self._read.get(link, 0) :]
            while link.open and (found := _request(rest, link)):
                heard, size = found
                self._read[link] = self._read.get(link, 0) + size
                rest = rest[size:]
                self.asked.append(heard)
                moved = True
                if (text := self.says(heard)) is not None:
                    link.say(text)
        return moved

    @property
    def last(self) -> Heard:
        return self.asked[-1]

    def say(self, *pieces: bytes) -> None:
        """Say something on the connection on which the last request came."""
        self.last.link.say(*pieces)


def _request(text: bytes, link: Link) -> tuple[Heard, int] | None:
    """A request at the start of these bytes, and its size; None while it is not whole."""
    head, end, rest = text.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.split(b"\r\n")
    method, target, version = first.split(b" ")
    assert version == b"HTTP/1.1"
    headers = tuple((name, value) for name, _, value in (line.partition(b": ") for line in lines))
    size, body = int(header(headers, b"content-length") or 0), b""
    if header(headers, b"transfer-encoding") is not None:
        size = 0
        while (found := rest[size:].partition(b"\r\n"))[1]:
            length = int(found[0], 16)
            body += found[2][:length]
            size += len(found[0]) + length + 4
            if not length:
                break
        else:
            return None
    if len(rest) < size:
        return None
    body = body or rest[:size]
    return Heard(method.decode(), target, headers, body, link), len(head) + 4 + size


def keystone(heard: Heard) -> bytes:
    """Keystone: two callers, three regions, the services in each."""
    path = urlsplit(heard.target.decode()).path.removeprefix("/v3")
    until = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
    if path == "/auth/tokens" and heard.method == "POST":
        return reply(201, {"token": {"expires_at": until}}, "X-Subject-Token: our-own")
    if path == "/auth/tokens":
        roles = {TOKEN: ["member"], ADMIN: ["admin"], "our-own": ["admin", "service"]}
        (subject,) = heard.all("x-subject-token")
        if (found := roles.get(subject.decode("latin-1"))) is None:
            return reply(404, {})
        token = {
            "user": {"id": "u" * 32, "name": "me", "domain": {"id": "default"}},
            "project": {"id": PROJECT, "name": "mine", "domain": {"id": "default"}},
            "roles": [{"name": name} for name in found],
            "expires_at": until,
        }
        return reply(200, {"token": token})
    if path == "/regions":
        names = ("RegionOne", "Pod1", "Pod2", "Central")
        return reply(200, {"regions": [{"id": name} for name in names]})
    if path == "/services":
        types = [*TYPES.values(), "image"]
        return reply(200, {"services": [{"id": one, "type": one} for one in types]})
    urls = {("Central", "image"): GLANCE}
    for number in (1, 2):
        for name in PORTS:
            urls[(f"Pod{number}", TYPES[name])] = f"http://{host(name, number)}{ROOTS[name]}"
    rows = [
        {"region_id": region, "service_id": kind, "interface": "internal", "url": url}
        for (region, kind), url in urls.items()
    ]
    return reply(200, {"endpoints": rows})


def absent(heard: Heard) -> bytes:
    """A pod that has nothing."""
    return reply(404, {"itemNotFound": {"code": 404, "message": "none"}})


@cache
def _database(pods: int) -> tuple[sa.Connection, bytes]:
    """A database in memory, and what is in it when a world begins."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for number in range(pods + 1):
            name = f"Pod{number}" if number else "RegionOne"
            zone = f"az{number}" if number else ""
            add_pod(connection, Pod(f"id-{number}", 0, name, zone, "", "", ACTIVE, "2026"))
        routes = [
            Route(kind, ID, "id-1", ID, PROJECT) for _, kind in THINGS.values() if kind != "image"
        ]
        record_routes(connection, routes)
    connection = engine.connect()
    raw: Any = connection.connection.driver_connection
    return connection, raw.serialize()


class _Store:
    """The store's own functions on a database in memory, at once. Who came last has it."""

    pods = 2

    def __init__(self, reactor: Any, url: str) -> None:
        self._connection, begun = _database(self.pods)
        self._connection.rollback()
        raw: Any = self._connection.connection.driver_connection
        raw.deserialize(begun)

    async def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        return query(self._connection)

    async def write(self, change: Callable[[sa.Connection], Any]) -> Any:
        with self._connection.begin_nested():
            return change(self._connection)

    async def add(self, put: Callable[[sa.Connection, Any], None], rows: Any) -> None:
        put(self._connection, rows)


class _Lease(Lease):
    """Another process's: passes are not what the edge is about."""

    async def renew(self) -> None:
        self.holder = "another"


class _Appliance(Appliance):
    def _every(self, seconds: float, work: Any) -> None:
        """The clock is the test's."""


@cache
def _long(kind: Any) -> Table:
    """The face's table, all of it found by Klein."""
    rows = [evolve(row, hot=False) for row in kind.operations]
    return mount(kind.version, rows, with_project=kind.name in ("compute", "volume"))


class Memory:
    """An appliance with two pods, or none. `pod` is Pod1's server for a face's things, `glance` the
    image service; `way` is "hot" or "long": whether Klein finds every row."""

    def __init__(
        self, way: str = "hot", settings: Settings | None = None, *, pods: int = 2
    ) -> None:
        _Store.pods = pods
        self.reactor = MemoryReactorClock()
        # treq hands out bodies by it, in turns of the reactor that there is none of
        task._theCooperator = task.Cooperator(scheduler=partial(self.reactor.callLater, 0))
        self.servers: dict[int, Server] = {}
        self.keystone = self._server(KEYSTONE, keystone)
        self.glance = self._server(GLANCE, lambda heard: None)
        for number in (1, 2):
            for name in PORTS:
                self.pod(name, number).says = absent if name == "network" else _versions(name)
        settings = settings or Settings()
        identity = IdentitySettings(auth_url=KEYSTONE, password="secret")
        self.appliance = _Appliance(self.reactor, evolve(settings, identity=identity))
        none = mock.Mock()
        names = {"Store": _Store, "Lease": _Lease, "lock_state": none, "cooperate": none}
        with mock.patch.multiple(service, gc=none, **names):
            self.appliance.started = Deferred.fromCoroutine(self.appliance._start())
            self.settle()
        assert self.appliance.started.called, "it waits for something"
        self.appliance.started.addErrback(lambda failure: failure.raiseException())
        self.sites = {site.face.name: site for site in self.appliance.sites}
        for kind in FACES if way == "long" else ():
            self.sites[kind.name]._table = _long(kind)
        self.wait(10.0)  # connections of the start are idle no more
        for server in self.servers.values():
            if server is not self.keystone:
                server.says = lambda heard: None
            server.asked.clear()
            server.links.clear()

    def _server(self, url: str, says: Says) -> Server:
        port = urlsplit(url).port
        assert port
        return self.servers.setdefault(port, Server(says))

    def pod(self, face: str, number: int = 1) -> Server:
        """The server behind a face: a pod's, or the real Glance."""
        return self._server(f"http://{host(face, number)}", lambda heard: None)

    def client(self, face: str, peer: str = "192.0.2.7") -> Through:
        return Through(self, face, peer)

    def settle(self) -> None:
        """All that follows without time going by, but for a turn of the reactor."""
        for _ in range(1000):
            moved = self._connect() + sum(server.look() for server in self.servers.values())
            due = [c for c in self.reactor.getDelayedCalls() if c.getTime() <= self.now]
            if not moved and not due:
                return
            self.reactor.advance(0)
        raise AssertionError("it goes on and on")

    def _connect(self) -> bool:
        waiting, self.reactor.tcpClients = self.reactor.tcpClients, []
        for _, port, factory, _, _ in waiting:
            link = Link(self.reactor, factory.buildProtocol(None))
            self.servers[port].links.append(link)
        return bool(waiting)

    @property
    def now(self) -> float:
        now: float = self.reactor.seconds()
        return now

    def wait(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.settle()


def _versions(name: str) -> Says:
    path, least, most = VERSIONS[name]
    entry = {"id": path[1:] if name == "compute" else "v3.0", "min_version": least, "version": most}
    return lambda heard: reply(200, {"versions": [entry]})


class Through(Client):
    """A client of a whole appliance. `methods` are those of its calls, where that matters."""

    methods: tuple[str, ...] = ()

    def __init__(self, world: Memory, face: str, peer: str) -> None:
        self.world = world
        self.connect(world.sites[face], world.reactor)
        self.channel.peer = peer
        self.face_name = face

    def say(self, *pieces: bytes) -> None:
        super().say(*pieces)
        self.world.settle()

    def leave(self) -> None:
        super().leave()
        self.world.settle()
