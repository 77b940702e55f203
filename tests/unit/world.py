"""A call's surroundings in memory: pods that are functions, routes that are a dictionary."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from attrs import evolve
from twisted.internet.task import Clock

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.values import ACTIVE, Binding, Caller, Pod, Route
from trio2o.faces.resources import SERVER, VOLUME
from trio2o.message import Answer, Call
from trio2o.pods import Target
from trio2o.verbs import Context, Operation, Surface

PROJECT = "0123456789abcdef0123456789abcdef"
JSON = ((b"Content-Type", b"application/json"),)

Ask = Callable[[Call], Answer]


def pod(number: int, zone: str = "", **fields: Any) -> Pod:
    values = {
        "pod_id": f"id-{number}",
        "number": number,
        "pod_name": f"Pod{number}",
        "az_name": zone or f"az{number}",
        "pod_az_name": "nova",
        "dc_name": "",
        "state": ACTIVE,
        "created_at": "2026-01-01T00:00:00",
    }
    return Pod(**(values | fields))


def answer(status: int, body: Any = None, *headers: tuple[bytes, bytes]) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    return Answer(status, (*JSON, *headers), content)


class Endpoint:
    prefix = "/pod"


class Pods:
    """`Pods` with functions behind it. `down` are those that a breaker holds to be down."""

    def __init__(self, answers: dict[Pod, Ask]) -> None:
        self.answers = answers
        self.down: set[Pod] = set()
        self.sent: list[tuple[str, Call]] = []
        self.bound: list[Binding] = []

    @property
    def all(self) -> tuple[Pod, ...]:
        return tuple(self.answers)

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in self.answers if pod.pod_id == pod_id), None)

    def serving(self, service: str) -> tuple[Pod, ...]:
        return tuple(self.answers)

    def is_down(self, pod: Pod, service: str) -> bool:
        return pod in self.down

    def endpoint(self, pod: Pod, service: str) -> Endpoint:
        return Endpoint()

    def bindings(self, project_id: str) -> dict[str, Binding]:
        return {one.az_name: one for one in self.bound if one.tenant_id == project_id}

    def note(self, binding: Binding) -> None:
        self.bound.append(binding)

    def zones(self) -> dict[str, list[Pod]]:
        names = sorted({zone.name for pod in self.all for zone in pod.azs})
        return {name: [pod for pod in self.all if pod.is_in(name)] for name in names}

    async def send(
        self, pod: Pod, target: Target, call: Call, deadline: float, **more: object
    ) -> Answer:
        if pod in self.down:
            raise PodUnavailable(pod.pod_name, "down")
        self.sent.append((pod.pod_name, call))
        return self.answers[pod](call)

    async def reload(self) -> None:
        pass


class Routes:
    """`Routes` that never ask a pod."""

    def __init__(self, *found: Route) -> None:
        self.kept = {(route.type, route.top_id): route for route in found}
        self.elsewhere: Route | None = None

    async def own_token(self) -> str:
        return "our own"

    async def find(self, resource: Resource, id: str, caller: Caller, deadline: float) -> Any:
        found = self.kept.get((resource.type, id))
        return found and evolve(found, details="")

    async def known(self, resource: Resource, id: str) -> Route | None:
        return self.kept.get((resource.type, id))

    async def again(self, route: Route) -> Route | None:
        """What another process is said to have made of it."""
        return self.elsewhere

    async def learn(self, found: Any) -> None:
        self.kept |= {(route.type, route.top_id): route for route in found}

    def has_all(self, resource: Resource, id: str) -> bool:
        return False

    async def note(self, resource: Resource, pod: Pod, rows: Any) -> None:
        """Nothing is learned by listing here."""

    async def of_pod(self, resource: Resource, pod: Pod, project_id: str | None) -> Any:
        return [
            route
            for route in self.kept.values()
            if (route.type, route.pod_id, route.deleted_at) == (resource.type, pod.pod_id, "")
            and project_id in (None, route.project_id)
        ]

    async def forget(self, route: Route) -> None:
        await self.learn([evolve(route, deleted_at="2026-01-02T00:00:00")])


def route(resource: Resource, id: str, pod: Pod, **fields: Any) -> Route:
    return Route(resource.type, id, pod.pod_id, id, **({"project_id": PROJECT} | fields))


def caller(**fields: Any) -> Caller:
    return Caller("token", "user", **({"project_id": PROJECT, "roles": ()} | fields), expires_at=9)


def context(pods: Pods, routes: Routes | None = None, **fields: Any) -> Context:
    surface = Surface(
        "compute",
        "http://top:1",
        "v2.1",
        resources={"server": SERVER, "volume": VOLUME},
        images_url="http://images:2",
    )
    values: dict[str, Any] = {
        "surface": surface,
        "caller": caller(),
        "operation": Operation("GET", "/v2.1/servers", verb=None),  # type: ignore[arg-type]
        "params": {},
        "below": b"/servers",
        "with_project": False,
        "version": None,
        "request_id": "req-1",
        "deadline": 10.0,
        "pods": pods,
        "routes": routes or Routes(),
        "store": Store(pods),
        "clock": Clock(),
        "now": lambda: 1_700_000_000.0,
    }
    return Context(**(values | fields))


class Store:
    """Keeps bindings as the store's functions would, first come first served."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods
        self.order: list[str] = []

    async def write(self, change: Callable[[Any], Any]) -> Any:
        self.order.append(f"wrote behind {len(self.pods.sent)} calls")
        return change(None)


class Table:
    """One pod's list as Nova answers it: newest first, pages by marker, links to the next."""

    def __init__(self, rows: list[dict[str, Any]], cap: int = 1000) -> None:
        self.rows, self.cap = rows, cap

    def __call__(self, call: Call) -> Answer:
        if call.path != b"/servers/detail" and call.path != b"/servers":
            id = call.path.rpartition(b"/")[2].decode()
            found = [row for row in self.rows if row["id"] == id]
            return answer(200, {"server": found[0]}) if found else answer(404, {})
        query = dict(parse_qsl(call.query.decode()))
        names, falls = query.get("sort_key"), query.get("sort_dir", "desc") == "desc"
        rows = sorted(self.rows, key=lambda row: row["id"])
        key = {"display_name": "name"}.get(names or "", "created")
        rows.sort(key=lambda row: row[key], reverse=falls)
        if marker := query.get("marker"):
            ids = [row["id"] for row in rows]
            if marker not in ids:
                return answer(400, {"badRequest": {"message": f"marker [{marker}] not found"}})
            rows = rows[ids.index(marker) + 1 :]
        limit = min(int(query.get("limit", self.cap)), self.cap)
        more = {"servers_links": [{"rel": "next", "href": "x"}]} if len(rows) >= limit else {}
        return answer(200, {"servers": rows[:limit], **more})
