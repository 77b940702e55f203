"""Pods whose Cinders keep types and QoS specs in memory, and the definitions of them."""

import json
from typing import Any
from urllib.parse import parse_qs, unquote

import sqlalchemy as sa
from helpers import result_of
from twisted.internet.task import Clock

from trio2o.definitions import KINDS, Definitions, Means
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.store._schema import metadata
from trio2o.store.definitions import problems

PODS = tuple(Pod(f"id-{n}", n, f"Pod{n}", f"az{n}", "nova", "", "active", "2026") for n in (1, 2))
TYPES = {
    "types": ("volume_type", "volume_types", "extra_specs"),
    "group_types": ("group_type", "group_types", "group_specs"),
}


def said(status: int, body: Any = None) -> Answer:
    return Answer(status, body=b"" if body is None else json.dumps(body).encode())


def no(status: int, why: str = "no") -> Answer:
    return said(status, {"fault": {"code": status, "message": why}})


class Cinder:
    """One pod's: things by the id that it chose."""

    def __init__(self, pod: Pod) -> None:
        self.pod, self.made, self.down = pod, 0, False
        self.things: dict[str, dict[str, dict[str, Any]]] = {
            "types": {},
            "group_types": {},
            "qos-specs": {},
        }
        self.defaults: dict[str, str] = {}
        self.in_use: set[str] = set()
        self.changes: list[str] = []
        self.add("types", name="__DEFAULT__", description="usual", extra_specs={})

    def add(self, path: str, **fields: Any) -> dict[str, Any]:
        self.made += 1
        id = f"{path}-{self.made}-{self.pod.pod_name}"
        thing = {"id": id, "is_public": True, "description": None, "encryption": {}}
        thing |= {"projects": [], **fields}
        self.things[path][id] = thing
        return thing

    def named(self, path: str, name: str) -> dict[str, Any] | None:
        return next((one for one in self.things[path].values() if one["name"] == name), None)

    def answer(self, call: Call) -> Answer:
        if self.down:
            raise PodUnavailable(self.pod.pod_name, "down")
        head, *rest = (unquote(part) for part in call.path.decode().strip("/").split("/"))
        body = json.loads(call.body) if call.body else None
        changes = call.method != "GET" or (rest and rest[-1].endswith(("associate", "_all")))
        if changes:
            self.changes.append(f"{call.method} {call.path.decode()}")
        if head == "default-types":
            return self.default(call.method, rest, body)
        things = self.things[head]
        if not rest:
            return self.collection(head, call.method, body, call.query.decode())
        if rest[0] not in things:
            return no(404, "unknown")
        if head == "qos-specs":
            query = {name: values[0] for name, values in parse_qs(call.query.decode()).items()}
            return self.qos(things[rest[0]], call.method, rest[1:], body, query)
        return self.type(head, things[rest[0]], call.method, rest[1:], body)

    def default(self, method: str, rest: list[str], body: Any) -> Answer:
        if method == "GET":
            rows = [{"project_id": p, "volume_type_id": id} for p, id in self.defaults.items()]
            return said(200, {"default_types": rows})
        if method == "DELETE":
            self.defaults.pop(rest[0], None)
            return said(204)
        id = body["default_type"]["volume_type"]
        if id not in self.things["types"]:
            return no(400, "no such type")
        self.defaults[rest[0]] = id
        return said(200, {"default_type": {"project_id": rest[0], "volume_type_id": id}})

    def collection(self, path: str, method: str, body: Any, query: str) -> Answer:
        if method == "GET":
            key = "qos_specs" if path == "qos-specs" else TYPES[path][1]
            known = key != "qos_specs" or "is_public" not in query
            return said(200, {key: list(self.things[path].values()) if known else []})
        (key, wish), *_ = body.items()
        if self.named(path, wish["name"]):
            return no(409, "the name is taken")
        if path == "qos-specs":
            plain = {"name": wish.pop("name"), "consumer": wish.pop("consumer", "back-end")}
            made = self.add(path, **plain, specs=wish, types=[])
        else:
            specs = TYPES[path][2]
            public = wish.get("os-volume-type-access:is_public", wish.get("is_public", True))
            told = {"name": wish["name"], "description": wish.get("description")}
            told |= {"is_public": public, specs: wish.get(specs, {})}
            made = self.add(path, **told)
        return said(200, {key: made})

    def type(
        self, path: str, one: dict[str, Any], method: str, rest: list[str], body: Any
    ) -> Answer:
        key, _, specs = TYPES[path]
        match (method, *rest):
            case ("GET",):
                return said(200, {key: one})
            case ("DELETE",):
                if one["id"] in self.in_use:
                    return no(400, "it is in use")
                del self.things[path][one["id"]]
                self.defaults = {p: id for p, id in self.defaults.items() if id != one["id"]}
                for spec in self.things["qos-specs"].values():
                    spec["types"] = [id for id in spec["types"] if id != one["id"]]
            case ("PUT",):
                one |= body[key]
            case "POST", name if name == specs:
                one[specs] |= body[specs]
            case "DELETE", name, spec if name == specs and spec in one[specs]:
                del one[specs][spec]
            case "GET", "encryption":
                return said(200, one["encryption"])
            case "POST" | "PUT", "encryption", *_:
                one["encryption"] |= body["encryption"]
            case "DELETE", "encryption", _:
                one["encryption"] = {}
            case "GET", "os-volume-type-access":
                rows = [{"volume_type_id": one["id"], "project_id": p} for p in one["projects"]]
                return said(200, {"volume_type_access": rows})
            case "POST", "action":
                ((action, wish),) = body.items()
                change = list.append if action.startswith("add") else list.remove
                change(one["projects"], wish["project"])
            case _:
                return no(404)
        return said(202, {key: one})

    def qos(
        self, one: dict[str, Any], method: str, rest: list[str], body: Any, query: dict[str, str]
    ) -> Answer:
        type = query.get("vol_type_id", "")
        match (method, *rest):
            case ("GET",):
                return said(200, {"qos_specs": one})
            case ("DELETE",):
                del self.things["qos-specs"][one["id"]]
            case ("PUT",):
                wish = dict(body["qos_specs"])
                one["consumer"] = wish.pop("consumer", one["consumer"])
                one["specs"] |= wish
            case "PUT", "delete_keys":
                for name in body["keys"]:
                    del one["specs"][name]
            case "GET", "associations":
                return said(200, {"qos_associations": [{"id": id} for id in one["types"]]})
            case "GET", "associate" | "disassociate" if type not in self.things["types"]:
                return no(404, "no such type")
            case "GET", "associate":
                one["types"].append(type)
            case "GET", "disassociate":
                one["types"].remove(type)
            case "GET", "disassociate_all":
                one["types"].clear()
            case _:
                return no(404)
        return said(202, {"qos_specs": one})


CINDER_KINDS: Any = tuple(kind for kind in KINDS if kind.service == "volume")


class World:
    """Pods of which each is what `cloud` makes of it, and definitions of these kinds."""

    def __init__(
        self, *, mend: bool = True, cloud: Any = Cinder, kinds: Any = CINDER_KINDS
    ) -> None:
        self.connection = sa.create_engine("sqlite://").connect()
        metadata.create_all(self.connection)
        self.cinders = {pod: cloud(pod) for pod in PODS}

        async def token() -> str:
            return "own"

        self.definitions: dict[str, Definitions] = {}

        def places(kind: str) -> Any:
            return self.definitions[kind].places

        store: Any = self
        pods: Any = self
        means = Means(Clock(), lambda: "now", store, pods, token)
        for kind in (kind(means, places) for kind in kinds):
            self.definitions[kind.name] = Definitions(
                means, kind, lambda name, seconds: None, mend=mend
            )

    def serving(self, service: str) -> tuple[Pod, ...]:
        return PODS

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in PODS if pod.pod_id == pod_id), None)

    def is_down(self, pod: Pod, service: str) -> bool:
        return self.cinders[pod].down

    def speaks(self, pod: Pod, service: str, version: Any) -> bool:
        return True

    async def send(self, pod: Pod, target: Any, call: Call, deadline: float) -> Answer:
        return self.cinders[pod].answer(call)

    async def read(self, query: Any) -> Any:
        return query(self.connection)

    write = read

    def cinder(self, number: int) -> Cinder:
        return self.cinders[PODS[number - 1]]

    def id_in(self, kind: str, key: str, pod: Pod) -> str:
        return self.definitions[kind].places.ids_in(pod).get(key, key)

    def change(
        self, kind: str, method: str, path: str, key: str = "", body: Any = None, named: str = ""
    ) -> tuple[str, int]:
        """A client's change: the definition's key, and the status. `{id}` stands for the id in the
        pod, `{type}` for that of the type `named`."""
        found = [key]

        async def attempt(pod: Pod, bottom: str) -> Answer:
            types = self.id_in("volume_type", named, pod) if named else ""
            raw, _, query = path.replace("{id}", bottom).replace("{type}", types).partition("?")
            data = b"" if body is None else json.dumps(body).replace("{type}", types).encode()
            return await self.send(
                pod, None, Call(method, raw.encode(), query.encode(), (), data), 0
            )

        def made(answer: Answer) -> str:
            found[0] = next(iter(json.loads(answer.body).values()))["id"]
            return found[0]

        new = made if not key else None
        answer = result_of(self.definitions[kind].change(key, attempt, new))[1]
        return found[0], answer.status

    def run(self) -> list[Any]:
        return [result_of(one.run()) for one in self.definitions.values()]

    def problems(self) -> dict[str, str]:
        return {f"{one.kind} {one.pod_id}": one.problem for one in problems(self.connection)}

    def changes(self) -> list[str]:
        """What was changed in pods since this was asked last."""
        found = [change for cinder in self.cinders.values() for change in cinder.changes]
        for cinder in self.cinders.values():
            cinder.changes.clear()
        return found
