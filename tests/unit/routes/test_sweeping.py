"""A sweep asks each pod for what changed, and learns where it is and whose."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from helpers import result_of
from msgspec.structs import replace
from twisted.internet.task import Clock
from world import Pods, Routes, answer, pod, route

from trio2o.domain.values import Pod
from trio2o.faces.resources import SERVER, SWEPT, VOLUME
from trio2o.message import Answer, Call
from trio2o.reconcile import Counted
from trio2o.routes import Sweep, _sweep

ONE = pod(1)
PROJECT = "os-vol-tenant-attr:tenant_id"


class Cloud(Pods):
    """One pod with these volumes and servers."""

    def __init__(self) -> None:
        super().__init__({ONE: self.say})
        self.rows: dict[str, list[dict[str, Any]]] = {"servers": [], "volumes": []}
        self.old = False
        self.refuses = False

    def speaks(self, pod: Pod, service: str, version: Any) -> bool:
        return not self.old

    def say(self, call: Call) -> Answer:
        if self.refuses:
            return answer(400, {"badRequest": {}})
        kind = call.path.split(b"/")[1].decode()
        marker = parse_qs(call.query.decode()).get("marker", [""])[0]
        return answer(200, {kind: [row for row in self.rows[kind] if row["id"] > marker]})

    def queries(self, kind: str) -> list[dict[str, list[str]]]:
        path = f"/{kind}/detail".encode()
        return [parse_qs(call.query.decode()) for _, call in self.sent if call.path == path]


class Known(Routes):
    def __init__(self) -> None:
        super().__init__()
        self.passed: dict[tuple[str, str], float] = {}

    async def known(self, resource: Any, id: str) -> Any:
        return self.kept.get((resource.type, id))

    async def swept(self, pod_id: str, kind: str) -> float | None:
        return self.passed.get((pod_id, kind))

    async def put_swept(self, pod_id: str, kind: str, seen: float) -> None:
        self.passed[pod_id, kind] = seen


class World:
    def __init__(self) -> None:
        self.cloud, self.routes, self.time = Cloud(), Known(), 1_700_000_000.0

        async def own_token() -> str:
            return "our own"

        pods: Any = self.cloud
        known: Any = self.routes
        self.sweep = Sweep(Clock(), lambda: self.time, known, pods, SWEPT, own_token)

    def run(self) -> Counted:
        return result_of(self.sweep.run())


def volume(id: str, project: str) -> dict[str, Any]:
    return {"id": id, "status": "available", PROJECT: project}


def test_what_is_new_is_learned_with_its_project_and_once() -> None:
    world = World()
    world.cloud.rows = {
        "servers": [{"id": "s", "status": "ACTIVE", "tenant_id": "p"}],
        "volumes": [volume("v", "p")],
    }
    assert (world.run().drift, world.run().drift) == (2, 0)
    assert world.routes.kept[(VOLUME.type, "v")].project_id == "p"
    assert world.routes.kept[(SERVER.type, "s")].pod_id == ONE.pod_id


def test_a_volume_that_another_project_took_has_a_new_owner() -> None:
    world = World()
    world.routes.kept[(VOLUME.type, "v")] = route(VOLUME, "v", ONE, project_id="old")
    world.cloud.rows["volumes"] = [volume("v", "new")]
    assert world.run().mended == 1
    assert world.routes.kept[(VOLUME.type, "v")].project_id == "new"


def test_a_server_that_is_told_deleted_is_forgotten() -> None:
    world = World()
    world.routes.kept[(SERVER.type, "s")] = route(SERVER, "s", ONE)
    world.cloud.rows["servers"] = [{"id": "s", "status": "DELETED", "tenant_id": "p"}]
    assert (world.run().mended, world.run().mended) == (1, 0)
    assert world.routes.kept[(SERVER.type, "s")].deleted_at


def test_a_second_pass_asks_for_what_changed_since_the_first() -> None:
    world = World()
    world.run()
    world.time += 3600
    world.run()
    first, second = world.cloud.queries("volumes")
    assert "updated_at" not in first
    assert second["updated_at"] == ["gte:2023-11-14T22:12:20Z"]
    assert world.cloud.queries("servers")[1]["changes-since"] == ["2023-11-14T22:12:20Z"]
    headers = [dict(call.headers)[b"OpenStack-API-Version"] for _, call in world.cloud.sent]
    assert set(headers) == {b"compute 2.71", b"volume 3.60"}


def test_a_pod_that_does_not_know_the_filter_is_asked_for_everything() -> None:
    world = World()
    world.cloud.old = True
    world.run()
    world.run()
    assert not any("updated_at" in query for query in world.cloud.queries("volumes"))
    assert "changes-since" in world.cloud.queries("servers")[1]
    assert not any(b"OpenStack-API-Version" in dict(call.headers) for _, call in world.cloud.sent)


def test_a_pass_that_fails_looks_back_as_far_the_next_time() -> None:
    world = World()
    world.cloud.refuses = True
    assert world.run().failed == 2
    world.cloud.refuses = False
    world.run()
    assert "updated_at" not in world.cloud.queries("volumes")[1]


def test_pages_are_followed_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(_sweep, "PAGE", 2)
    rows = [volume(f"v{n}", "p") for n in range(3)]

    def two(call: Call) -> Answer:
        found = world.cloud.say(call)
        return replace(
            found,
            body=json.dumps(
                {key: listed[:2] for key, listed in json.loads(found.body).items()}
            ).encode(),
        )

    world.cloud.rows["volumes"], world.cloud.answers = rows, {ONE: two}
    assert world.run().looked == 3
    assert [query.get("marker") for query in world.cloud.queries("volumes")] == [None, ["v1"]]
