"""A Keystone and pods to test the appliance against: real HTTP servers on loopback.

They run on a reactor in one background thread. Rows change in that thread only: by requests, or by
helpers marked `in_reactor`, which any thread may call. Settings are plain attributes.
"""

import functools
import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from fake_http import (
    UNAUTHORIZED,
    Call,
    Fault,
    Faults,
    Reply,
    Row,
    Service,
    in_reactor,
    reactor,
    stable_id,
    stamp,
)
from fake_services import Cinder, Glance, Neutron, Nova, Placement, PodService


class FakeKeystone(Service, Faults):
    """Keystone v3. Every user (of the one password) holds its roles on every project."""

    type, prefix = "identity", "/v3"
    users: ClassVar = {"demo": ["member"], "admin": ["admin"], "trio2o": ["admin", "service"]}
    password: str = "secret"

    def __init__(self, cloud: "Cloud") -> None:
        Faults.__init__(self)
        self.issued: list[str] = []  # every token ever made
        Service.__init__(self, cloud, self)

    down = property(lambda self: self.drop, lambda self, value: setattr(self, "drop", value))

    def clear(self) -> None:
        self.tokens: dict[str, tuple[Row, float]] = {}
        self.rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        for name in ("demo", "admin", "service"):
            self.project(name)
        self.register("RegionOne", "identity", "keystone", f"{self.url}/v3")

    @in_reactor
    def register(self, region: str, type: str, name: str, url: str) -> None:
        """Put a service of a region into the catalog, internal and public."""
        self.rows["regions"].setdefault(region, {"id": region, "description": ""})
        service: Row = {"id": stable_id(type), "type": type, "name": name, "enabled": True}
        self.rows["services"].setdefault(service["id"], service)
        for interface in ("internal", "public"):
            row: Row = {
                "id": stable_id(region, type, interface),
                "interface": interface,
                "url": url,
            }
            row |= {"service_id": service["id"], "region_id": region, "region": region}
            self.rows["endpoints"][row["id"]] = row | {"enabled": True}

    @in_reactor
    def project(self, name: str) -> str:
        """The id of a project given by name or id; it is made if there is none."""
        row = {"id": stable_id("project", name), "name": name, "domain_id": "default"}
        if name not in self.rows["projects"]:
            self.rows["projects"].setdefault(row["id"], row | {"enabled": True})
        return name if name in self.rows["projects"] else row["id"]

    @in_reactor
    def token(
        self,
        project: str | None,
        user: str = "demo",
        roles: Iterable[str] = ("member",),
        expires_in: float = 3600,
        access_rules: list[Row] | None = None,
    ) -> str:
        """Make a token; with access rules it is one of an application credential."""
        domain, now = {"id": "default", "name": "Default"}, time.time()
        body: Row = {"methods": ["password"], "issued_at": stamp(now)}
        body["user"] = {"id": stable_id("user", user), "name": user, "domain": domain}
        body["expires_at"] = stamp(now + expires_in)
        if project is not None:
            body["project"] = self.rows["projects"][self.project(project)] | {"domain": domain}
            body["roles"] = [{"id": stable_id("role", role), "name": role} for role in roles]
        if access_rules is not None:
            rules = [{"id": uuid.uuid4().hex} | rule for rule in access_rules]
            credential = {"id": uuid.uuid4().hex, "name": "ac", "restricted": True}
            body["application_credential"] = credential | {"access_rules": rules}
        token = "gAAAAA" + "".join(uuid.uuid4().hex for _ in range(5))
        self.tokens[token] = (body, now + expires_in)
        self.issued.append(token)
        return token

    def find(self, token: str) -> Row | None:
        body, expiry = self.tokens.get(token, (None, 0.0))
        return body if expiry > time.time() else None

    def shown(self, call: Call, token: str) -> Row:
        """A token's body with the catalog."""
        call.out["X-Subject-Token"] = token
        body, services = self.tokens[token][0], []
        project = body.get("project", {}).get("id", "")
        for service in self.rows["services"].values():
            rows = [e for e in self.rows["endpoints"].values() if e["service_id"] == service["id"]]
            urls = [re.sub(r"[$%]\((project|tenant)_id\)s", project, row["url"]) for row in rows]
            found = [row | {"url": url} for row, url in zip(rows, urls, strict=True)]
            services.append(service | {"endpoints": found})
        return {"token": body if "nocatalog" in call.query else body | {"catalog": services}}

    def fault_body(self, fault: Fault) -> Row:
        return {"error": {"code": fault.status, "message": fault.message, "title": "Error"}}

    def open_paths(self, call: Call) -> str:
        issue = (call.method, call.path) == ("POST", "/v3/auth/tokens")
        return "/auth/tokens" if issue else super().open_paths(call)

    def issue(self, call: Call) -> Reply:
        auth = call.part("auth")
        asked, wish = auth["identity"]["password"]["user"], auth.get("scope", {}).get("project")
        who = {stable_id("user", name): name for name in self.users}
        user = who.get(asked.get("id")) or asked.get("name")
        rows = [r for r in self.rows["projects"].values() if wish]
        found = [
            r["id"] for r in rows if r["id"] == wish.get("id") or r["name"] == wish.get("name")
        ]
        if user not in self.users or asked["password"] != self.password or (wish and not found):
            raise Fault(401, UNAUTHORIZED)
        token = self.token(found[0] if found else None, user, self.users[user])
        return 201, self.shown(call, token)

    def handle(self, call: Call, path: list[str]) -> Reply:
        version = {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z"}
        version |= {"links": [{"rel": "self", "href": f"{self.url}/v3/"}]}  # type: ignore[dict-item]
        match (call.method, *path):
            case ("GET",):
                return 300, {"versions": {"values": [version]}}
            case "GET", "v3":
                return 200, {"version": version}
            case "POST", "auth", "tokens":
                return self.issue(call)
            case "GET", "auth", "tokens":
                subject = call.header("X-Subject-Token")
                found = self.find(subject) or {}
                bound = found.get("application_credential", {}).get("access_rules")
                if not found or (bound and not call.header("OpenStack-Identity-Access-Rules")):
                    raise Fault(404, "Could not find token.")
                return 200, self.shown(call, subject)
            case _, ("projects" | "regions" | "services" | "endpoints") as kind, *rest:
                return self.keep(call, kind, rest)
        raise Fault(404, "Not Found")

    def keep(self, call: Call, kind: str, rest: list[str]) -> Reply:
        """List, show and change the rows of the catalog."""
        rows, one = self.rows[kind], kind[:-1]
        if call.method == "GET" and not rest:
            wanted = {key: values[-1] for key, values in call.query.items()}.items()
            return 200, {kind: [row for row in rows.values() if wanted <= row.items()], "links": {}}
        if call.method != "GET":
            self.admin_only(call)
        if call.method == "POST":
            row: Row = {"id": uuid.uuid4().hex, "enabled": True} | call.part(one)
            rows[row["id"]] = row
            return 201, {one: row}
        if rest[0] not in rows:
            raise Fault(404, f"Could not find {one}: {rest[0]}.")
        if call.method == "DELETE":
            del rows[rest[0]]
            return 204, None
        rows[rest[0]] |= call.part(one) if call.method == "PATCH" else {}
        return 200, {one: rows[rest[0]]}


class FakePod(Faults):
    """One cloud: Nova, Cinder, Neutron and Placement, a port each, and the rows of all of them."""

    page_cap: int = 1000
    refuse: int | None = None  # POST /flavors answers this
    zones: tuple[str, ...] = ("nova",)
    hosts: tuple[str, ...] = ()
    room: bool = True  # Placement finds a host
    free: float = 0.5  # which part of its memory and storage is free
    compute_range: tuple[str, str] = ("2.1", "2.96")
    volume_range: tuple[str, str] = ("3.0", "3.70")

    def __init__(self, cloud: "Cloud", name: str) -> None:
        super().__init__()
        self.cloud, self.name = cloud, name
        self.rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self.compute, self.volume = Nova(cloud, self), Cinder(cloud, self)
        self.network, self.placement = Neutron(cloud, self), Placement(cloud, self)
        self.services: tuple[PodService, ...] = (
            self.compute,
            self.volume,
            self.network,
            self.placement,
        )
        self.clear()

    def clear(self) -> None:
        """Forget rows, settings, faults and calls; listen again; be in the catalog."""
        self.clear_faults()
        for name in FakePod.__annotations__:
            self.__dict__.pop(name, None)
        self.rows.clear()
        self.up()
        self.add_flavor("1", "m1.tiny")
        default = {"id": stable_id(self.name, "type"), "name": "__DEFAULT__", "_project": ""}
        self.rows["types"][default["id"]] = default
        register = self.cloud.keystone.register
        register(self.name, "compute", "nova", f"{self.compute.url}/v2.1")
        register(self.name, "volumev3", "cinderv3", f"{self.volume.url}/v3/$(project_id)s")
        register(self.name, "network", "neutron", self.network.url)
        register(self.name, "placement", "placement", self.placement.url)

    def down(self) -> None:
        """Refuse connections, and cut those that are open."""
        for service in self.services:
            service.stop()

    @in_reactor
    def up(self) -> None:
        for service in self.services:
            service.listen()

    @in_reactor
    def move(self) -> None:
        """Listen on other ports from now on: who knew the old ones knows nothing of these."""
        self.down()
        for service in self.services:
            service.port = 0

    def put(self, kind: str, project: str, defaults: Row, fields: Row) -> str:
        row = {"id": str(uuid.uuid4()), **defaults, "_project": project, "_actions": []} | fields
        self.rows[kind][row["id"]] = row
        return str(row["id"])

    @in_reactor
    def add_flavor(self, id: str, name: str, **fields: Any) -> str:
        row: Row = {"id": id, "name": name, "vcpus": 1, "ram": 512, "disk": 1, "swap": ""}
        row |= {"os-flavor-access:is_public": True, "OS-FLV-DISABLED:disabled": False}
        row |= {"OS-FLV-EXT-DATA:ephemeral": 0, "rxtx_factor": 1.0, "description": None}
        row |= {"_specs": fields.pop("extra_specs", {}), "_projects": []}
        return self.put("flavors", "", row, fields | {"swap": fields.get("swap") or ""})

    @in_reactor
    def add_server(
        self, project: str, name: str = "server", created: str = "", **fields: Any
    ) -> str:
        """Put a server in, behind the appliance's back; `id` is among the fields."""
        key = self.cloud.keystone.project(project)
        now = f"{created[:19] or self.cloud.time()}Z"
        row: Row = {"name": name, "status": "ACTIVE", "tenant_id": key, "created": now}
        row |= {"user_id": stable_id("user", "demo"), "updated": now, "hostId": stable_id(key)}
        row |= {"metadata": {}, "addresses": {}, "image": "", "key_name": None, "locked": False}
        row |= {"OS-EXT-STS:vm_state": "active", "OS-EXT-AZ:availability_zone": self.zones[0]}
        row |= {"os-extended-volumes:volumes_attached": [], "description": None, "tags": []}
        row |= {"security_groups": [{"name": "default"}], "x-vendor:thing": {"kept": [1, None]}}
        row |= {"_flavor": self.rows["flavors"]["1"], "_deleted": False, "_attached": {}}
        return self.put("servers", key, row, fields)

    @in_reactor
    def add_volume(
        self, project: str, name: str | None = "volume", created: str = "", **fields: Any
    ) -> str:
        key = self.cloud.keystone.project(project)
        row: Row = self.stored(name, created) | {"size": 1, "volume_type": "__DEFAULT__"}
        row |= {"availability_zone": self.zones[0], "attachments": [], "bootable": "false"}
        row |= {"snapshot_id": None, "source_volid": None, "encrypted": False, "multiattach": False}
        row |= {"os-vol-tenant-attr:tenant_id": key, "x-vendor:thing": {"kept": [1, None]}}
        return self.put("volumes", key, row, fields)

    @in_reactor
    def add_snapshot(
        self, project: str, name: str | None = "snapshot", created: str = "", **fields: Any
    ) -> str:
        """Put a snapshot of the volume `volume_id` in."""
        key = self.cloud.keystone.project(project)
        row = self.stored(name, created) | {"os-extended-snapshot-attributes:project_id": key}
        size = self.rows["volumes"].get(fields.get("volume_id", ""), {"size": 1})["size"]
        return self.put("snapshots", key, row | {"size": size}, fields)

    def stored(self, name: str | None, created: str) -> Row:
        row: Row = {"name": name, "description": None, "status": "available", "metadata": {}}
        now = f"{created[:19] or self.cloud.time()}.000000"
        return row | {"created_at": now, "updated_at": None, "user_id": stable_id("user", "demo")}

    @in_reactor
    def add_resource(self, many: str, project: str, **fields: Any) -> str:
        """Put a row into a collection of Neutron's, named as in a body ("security_groups")."""
        key, now = self.cloud.keystone.project(project), f"{self.cloud.time()}Z"
        row: Row = {"name": "", "description": "", "status": "ACTIVE", "admin_state_up": True}
        row |= {"created_at": now, "updated_at": now, "revision_number": 1, "tags": []}
        row |= {"project_id": key, "tenant_id": key, "shared": False}
        if many == "ports":
            row |= {"device_id": "", "device_owner": "", "fixed_ips": [], "status": "DOWN"}
        return self.put(many, key, row, fields)

    def add_network(self, project: str, name: str = "net", **fields: Any) -> str:
        return self.add_resource("networks", project, name=name, **fields)


class FakeImages(Faults):
    """The one Glance of all pods, in the region "Central"."""

    def __init__(self, cloud: "Cloud") -> None:
        super().__init__()
        self.cloud = cloud
        self.rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self.glance = Glance(cloud, self)
        self.clear()

    def clear(self) -> None:
        self.clear_faults()
        self.rows.clear()
        self.glance.listen()
        self.cloud.keystone.register("Central", "image", "glance", self.glance.url)


class Cloud:
    """A Keystone, its pods, and their Glance."""

    now: str | Callable[[], str] | None = None  # what time it is; None: the real time

    def __init__(self) -> None:
        self.pods: dict[str, FakePod] = {}
        self.keystone = FakeKeystone(self)
        self.keystone.clear()
        self.images = FakeImages(self)

    @classmethod
    def start(cls) -> "Cloud":
        """A new cloud; the reactor's thread is started with the first."""
        if not reactor.running:
            running = threading.Event()
            reactor.callWhenRunning(running.set)
            run = functools.partial(reactor.run, installSignalHandlers=False)
            threading.Thread(target=run, name="fakes", daemon=True).start()
            running.wait()
        return in_reactor(cls)()

    def time(self) -> str:
        now = self.now() if callable(self.now) else self.now
        return (now or stamp(time.time()))[:19]

    @in_reactor
    def pod(self, name: str) -> FakePod:
        """The pod of this name; it is made if there is none."""
        if name not in self.pods:
            self.pods[name] = FakePod(self, name)
        return self.pods[name]

    @in_reactor
    def reset(self, move: bool = False) -> None:
        """Between tests: no rows, calls, faults or tokens; ports stay unless pods `move`."""
        self.now = None
        self.keystone.clear_faults()
        self.keystone.clear()
        self.images.clear()
        for pod in self.pods.values():
            if move:
                pod.move()
            pod.clear()
