"""Server groups are made in a pod when they are first needed there, and go from all."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from helpers import result_of
from test_keypairs import PODS, Pods, Store, said
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.definitions import ServerGroups
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import ServerGroup
from trio2o.message import Answer, Call
from trio2o.store import server_groups as rows
from trio2o.store._schema import metadata

GROUP = ServerGroup("top", "project", "user", "g", "affinity", '{"max_server_per_host":2}')


class Nova:
    """A pod's groups: id -> what was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: dict[str, Any] = {}
        self.members: list[str] = []
        self.away = False
        self.tokens: list[bytes] = []

    def answer(self, call: Call) -> Answer:
        self.tokens.append(dict(call.headers)[b"X-Auth-Token"])
        id = call.path.decode().removeprefix("/os-server-groups").removeprefix("/")
        if call.method == "POST":
            made = f"{self.name}-{len(self.groups)}"
            self.groups[made] = json.loads(call.body)["server_group"]
            return said(200, {"server_group": {"id": made}})
        if id not in self.groups:
            return Answer(404)
        if call.method == "DELETE":
            del self.groups[id]
            return Answer(204)
        return said(200, {"server_group": {"id": id, "members": self.members}})


class World:
    def __init__(self) -> None:
        self.connection = sa.create_engine("sqlite://").connect()
        metadata.create_all(self.connection)
        self.pods = Pods()
        self.pods.novas = {pod: Nova(pod.pod_name) for pod in PODS}  # type: ignore[misc]
        self.pods.get = lambda id: next((p for p in PODS if p.pod_id == id), None)  # type: ignore[attr-defined]
        self.old: set[str] = set()
        self.pods.speaks = lambda pod, service, version: pod.pod_name not in self.old  # type: ignore[attr-defined]

        async def token(project_id: str) -> str:
            return f"own-of-{project_id}"

        self.groups = ServerGroups(
            Clock(),
            lambda: "now",
            Store(self.connection),  # type: ignore[arg-type]
            self.pods,  # type: ignore[arg-type]
            token,
        )
        self.nova(1).groups["top"] = {}
        result_of(self.groups.created(PODS[0], GROUP))

    def nova(self, number: int) -> Nova:
        found: Any = self.pods.novas[PODS[number - 1]]
        return found  # type: ignore[no-any-return]

    def in_pod(self, number: int) -> str:
        return result_of(self.groups.materialise(GROUP, PODS[number - 1]))


@pytest.fixture
def world() -> World:
    return World()


def test_the_pod_that_made_it_has_it_under_the_tenants_id(world: World) -> None:
    assert world.in_pod(1) == "top"
    assert world.groups.tops == {}
    assert result_of(world.groups.of_project("project")) == (evolve(GROUP, number=1),)
    assert result_of(world.groups.of_project("another")) == ()


def test_it_is_made_in_a_pod_once_with_a_token_of_its_project(world: World) -> None:
    assert [world.in_pod(2), world.in_pod(2)] == ["Pod2-0", "Pod2-0"]
    assert world.nova(2).groups == {
        "Pod2-0": {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}
    }
    assert world.nova(2).tokens == [b"own-of-project"]
    assert world.groups.tops == {"Pod2-0": "top"}


def test_an_old_pod_is_told_in_its_own_version(world: World) -> None:
    world.old = {"Pod2"}
    world.in_pod(2)
    assert world.nova(2).groups["Pod2-0"] == {"name": "g", "policies": ["affinity"]}


def test_what_pods_call_it_is_known_after_a_restart(world: World) -> None:
    world.in_pod(2)
    world.groups.tops.clear()
    result_of(world.groups.load())
    assert world.groups.tops == {"Pod2-0": "top"}
    assert world.in_pod(2) == "Pod2-0"


def test_two_who_need_it_at_once_make_it_once(world: World) -> None:
    send, gate = world.pods.send, Deferred[None]()

    async def slow(*args: Any) -> Answer:
        await gate
        return await send(*args)

    world.pods.send = slow  # type: ignore[method-assign]
    both = [Deferred.fromCoroutine(world.groups.materialise(GROUP, PODS[1])) for _ in range(2)]
    gate.callback(None)
    assert [result_of(one) for one in both] == ["Pod2-0", "Pod2-0"]
    assert len(world.nova(2).groups) == 1


def test_members_are_those_of_all_pods_that_answer(world: World) -> None:
    world.in_pod(2)
    world.nova(1).members, world.nova(2).members = ["a"], ["b", "c"]
    found = result_of(world.groups.members(GROUP, "t"))
    assert {pod.pod_name: ids for pod, ids in found.items()} == {"Pod1": ["a"], "Pod2": ["b", "c"]}
    world.nova(2).away = True
    found = result_of(world.groups.members(GROUP, "t"))
    assert {pod.pod_name: ids for pod, ids in found.items()} == {"Pod1": ["a"], "Pod2": []}


def test_a_deleted_group_goes_from_every_pod_and_is_forgotten(world: World) -> None:
    world.in_pod(2)
    result_of(world.groups.delete(GROUP, "t"))
    assert world.nova(1).groups == world.nova(2).groups == {}
    assert world.groups.tops == {}
    assert rows.find_group(world.connection, "top") is None


def test_a_pod_that_was_away_loses_it_at_the_next_pass(world: World) -> None:
    world.in_pod(2)
    world.nova(2).away = True
    result_of(world.groups.delete(GROUP, "t"))
    assert result_of(world.groups.find("top")) is None
    assert result_of(world.groups.of_project("project")) == ()
    assert world.groups.tops == {"Pod2-0": "top"}
    assert result_of(world.groups.run()).failed == 1
    world.nova(2).away = False
    counted = result_of(world.groups.run())
    assert (counted.mended, counted.failed) == (1, 0)
    assert world.nova(2).groups == {}
    assert result_of(world.groups.run()).looked == 0


def test_a_pod_that_cannot_make_it_says_so_and_nothing_is_kept(world: World) -> None:
    world.nova(3).away = True
    with pytest.raises(PodUnavailable):
        world.in_pod(3)
    assert set(rows.counterparts(world.connection, "top")) == {"id-1"}
