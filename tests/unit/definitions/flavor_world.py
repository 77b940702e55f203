"""Pods whose Novas keep flavors in memory, and the definitions of them."""

import json
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from helpers import result_of
from twisted.internet.task import Clock

from trio2o.definitions import Definitions, Means
from trio2o.definitions._flavors import Flavors
from trio2o.domain.errors import PodTimeout, PodUnavailable
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.store._schema import metadata
from trio2o.store.definitions import problems

PODS = tuple(Pod(f"id-{n}", n, f"Pod{n}", f"az{n}", "", "", "active", "2026") for n in (1, 2, 3))


class Killed(BaseException):
    """The appliance ends here."""


def flavor(id: str, **fields: Any) -> dict[str, Any]:
    """A flavor as Nova has it."""
    made = {"id": id, "name": f"name-{id}", "ram": 64, "vcpus": 1, "disk": 1, "swap": 0}
    made |= {"OS-FLV-EXT-DATA:ephemeral": 0, "rxtx_factor": 1.0, "description": None}
    made |= {"os-flavor-access:is_public": True, "extra_specs": {}, "projects": []}
    return made | fields


def said(status: int, body: Any = None) -> Answer:
    return Answer(status, body=b"" if body is None else json.dumps(body).encode())


def no(status: int, why: str = "no") -> Answer:
    return said(status, {"fault": {"code": status, "message": why}})


class Nova:
    """A pod's flavors: id -> what it is."""

    def __init__(self) -> None:
        self.flavors: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refuses: set[str] = set()  # methods
        self.down = self.silent = False

    def answer(self, call: Call) -> Answer:
        path = [unquote(part) for part in call.path.decode().split("/")[2:]]
        body = json.loads(call.body) if call.body else None
        if call.method != "GET":
            self.calls.append(f"{call.method} {'/'.join(path)}")
        if call.method in self.refuses:
            return no(409, "refused")
        match (call.method, *path):
            case "GET", "detail":
                return said(200, {"flavors": list(self.flavors.values())})
            case ("POST",):
                return self.create(body["flavor"])
            case _, id, *rest if id in self.flavors:
                return self.on(self.flavors[id], call.method, rest, body)
        return no(404)

    def create(self, wish: dict[str, Any]) -> Answer:
        made = flavor(**wish)
        names = {one["name"] for one in self.flavors.values()}
        if made["id"] in self.flavors or made["name"] in names:
            return no(409, "exists")
        self.flavors[made["id"]] = made
        return said(200, {"flavor": made})

    def on(self, one: dict[str, Any], method: str, rest: list[str], body: Any) -> Answer:
        match (method, *rest):
            case ("GET",):
                return said(200, {"flavor": one})
            case ("DELETE",):
                del self.flavors[one["id"]]
                return said(202)
            case ("PUT",):
                one["description"] = body["flavor"]["description"]
                return said(200, {"flavor": one})
            case "POST", "os-extra_specs":
                one["extra_specs"] |= body["extra_specs"]
                return said(200, body)
            case "DELETE", "os-extra_specs", name if name in one["extra_specs"]:
                del one["extra_specs"][name]
                return said(200)
            case "POST", "action":
                ((action, wish),) = body.items()
                change = {"add": list.append, "remove": list.remove}[action[:-12]]
                change(one["projects"], wish["tenant"])
            case "GET", "os-flavor-access":
                pass
            case _:
                return no(404)
        access = [{"flavor_id": one["id"], "tenant_id": it} for it in one["projects"]]
        return said(200, {"flavor_access": access})


class World:
    """`kill_at`: the appliance ends at the so-many-th call to a pod, before or after its effect."""

    def __init__(self, count: int = 3, *, mend: bool = True) -> None:
        self.connection = sa.create_engine("sqlite://").connect()
        metadata.create_all(self.connection)
        self.novas = {pod: Nova() for pod in PODS[:count]}
        self.woken: list[str] = []
        self.kill_late = False
        self.mend = mend
        self.restart()

    # what stands in for `Pods` and `Store`

    def serving(self, service: str) -> tuple[Pod, ...]:
        return tuple(self.novas)

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in self.novas if pod.pod_id == pod_id), None)

    def is_down(self, pod: Pod, service: str) -> bool:
        return self.novas[pod].down

    def speaks(self, pod: Pod, service: str, version: Any) -> bool:
        return True

    async def send(self, pod: Pod, target: Any, call: Call, deadline: float) -> Answer:
        nova = self.novas[pod]
        self.kill_at -= 1
        if self.kill_at == 0 and not self.kill_late:
            self.dead = True
        if self.dead:
            raise Killed
        if nova.down:
            raise PodUnavailable(pod.pod_name, "down")
        answer = nova.answer(call)
        if self.kill_at == 0:
            self.dead = True
            raise Killed
        if nova.silent and call.method != "GET":
            raise PodTimeout(pod.pod_name, "silent")
        return answer

    async def read(self, query: Any) -> Any:
        if self.dead:
            raise Killed
        return query(self.connection)

    write = read

    def restart(self) -> None:
        self.dead, self.kill_at = False, 0

        async def token() -> str:
            return "own"

        pods: Any = self
        store: Any = self
        means = Means(Clock(), lambda: "now", store, pods, token)
        self.definitions = Definitions(
            means,
            Flavors(means, lambda kind: self.definitions.places),
            lambda name, seconds: self.woken.append(name),
            mend=self.mend,
        )

    # what tests do

    def nova(self, number: int) -> Nova:
        return self.novas[PODS[number - 1]]

    def call(self, method: str, key: str, rest: str = "", body: Any = None) -> Answer:
        """A client's change, as the face makes it."""
        data = b"" if body is None else json.dumps(body).encode()
        path = f"/flavors/{key}{rest}" if method != "POST" or rest else "/flavors"
        call = Call(method, path.encode(), body=data)

        async def attempt(pod: Pod, bottom: str) -> Answer:
            return await self.send(pod, None, call, 0)

        made = None if rest or method != "POST" else lambda answer: key
        return result_of(self.definitions.change(key, attempt, made))[1]

    def create(self, id: str, **fields: Any) -> Answer:
        return self.call("POST", id, body={"flavor": flavor(id, **fields)})

    def specify(self, id: str, **specs: str) -> Answer:
        return self.call("POST", id, "/os-extra_specs", {"extra_specs": specs})

    def delete(self, id: str) -> Answer:
        return self.call("DELETE", id)

    def run(self) -> Any:
        return result_of(self.definitions.run())

    def keys(self) -> list[str]:
        return [one.key for one in result_of(self.definitions.all())]

    def problems(self) -> dict[str, str]:
        return {f"{one.key} in {one.pod_id}": one.problem for one in problems(self.connection)}

    def everywhere(self, id: str) -> list[Any]:
        """The flavor in each pod: its extra specs, or None."""
        found = (nova.flavors.get(id) for nova in self.novas.values())
        return [one and one["extra_specs"] for one in found]

    def forget_calls(self) -> None:
        for nova in self.novas.values():
            nova.calls.clear()

    def calls(self) -> list[str]:
        """What was changed in pods."""
        return [c for nova in self.novas.values() for c in nova.calls]
