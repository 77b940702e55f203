"""Server groups are made in a pod when they are first needed there, and go from all."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from helpers import result_of
from test_keypairs import PODS, Pods, Store, said
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.definitions import Means, ServerGroups, content
from trio2o.definitions._groups import ONE_POLICY
from trio2o.domain.errors import PodUnavailable
from trio2o.message import Answer, Call
from trio2o.store._schema import metadata
from trio2o.store.definitions import find_definition, problems, settled_of

GROUP = {
    "project_id": "project",
    "user_id": "user",
    "name": "g",
    "policy": "affinity",
    "rules": {"max_server_per_host": 2},
}


class Nova:
    """A pod's groups: id -> what was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: dict[str, Any] = {}
        self.members: list[str] = []
        self.away = self.refuses = False
        self.tokens: list[bytes] = []

    def answer(self, call: Call) -> Answer:
        self.tokens.append(dict(call.headers)[b"X-Auth-Token"])
        id = call.path.decode().removeprefix("/os-server-groups").removeprefix("/")
        if call.method == "POST":
            if self.refuses:
                return said(403, {"forbidden": {"message": "Quota exceeded"}})
            made = f"{self.name}-{len(self.groups)}"
            self.groups[made] = json.loads(call.body)["server_group"]
            return said(200, {"server_group": {"id": made}})
        if id not in self.groups:
            return said(404, {})
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
        self.old: set[str] = set()
        self.pods.speaks = lambda pod, service, version: (
            version < ONE_POLICY or pod.pod_name not in self.old
        )  # type: ignore[method-assign]

        async def token(project_id: str = "") -> str:
            return f"own-of-{project_id}"

        store: Any = Store(self.connection)
        pods: Any = self.pods
        self.groups = ServerGroups(Means(Clock(), lambda: "now", store, pods, token))
        self.nova(1).groups["top"] = {}
        result_of(self.groups.created(PODS[0], "top", GROUP))

    def nova(self, number: int) -> Nova:
        found: Any = self.pods.novas[PODS[number - 1]]
        return found  # type: ignore[no-any-return]

    def in_pod(self, number: int) -> str:
        return result_of(self.groups.materialise("top", PODS[number - 1]))

    def delete(self) -> None:
        found = result_of(self.groups.find("top"))
        assert found is not None
        result_of(self.groups.delete(found))


@pytest.fixture
def world() -> World:
    return World()


def test_the_pod_that_made_it_has_it_under_the_tenants_id(world: World) -> None:
    assert world.in_pod(1) == "top"
    assert world.groups.places.tops == {}
    (found,) = result_of(world.groups.of_project("project"))
    assert (found.key, content(found.document)) == ("top", GROUP)
    assert result_of(world.groups.of_project("another")) == ()


def test_it_is_made_in_a_pod_once_with_a_token_of_its_project(world: World) -> None:
    assert [world.in_pod(2), world.in_pod(2)] == ["Pod2-0", "Pod2-0"]
    assert world.nova(2).groups == {
        "Pod2-0": {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}
    }
    assert world.nova(2).tokens == [b"own-of-project"]
    assert world.groups.places.tops == {"Pod2-0": "top"}


def test_an_old_pod_is_told_in_its_own_version(world: World) -> None:
    world.old = {"Pod2"}
    world.in_pod(2)
    assert world.nova(2).groups["Pod2-0"] == {"name": "g", "policies": ["affinity"]}


def test_what_pods_call_it_is_known_after_a_restart(world: World) -> None:
    world.in_pod(2)
    world.groups.places.tops.clear()
    result_of(world.groups.places.load())
    assert world.groups.places.tops == {"Pod2-0": "top"}
    assert world.in_pod(2) == "Pod2-0"


def test_two_who_need_it_at_once_make_it_once(world: World) -> None:
    send, gate = world.pods.send, Deferred[None]()

    async def slow(*args: Any) -> Answer:
        await gate
        return await send(*args)

    world.pods.send = slow  # type: ignore[method-assign]
    both = [Deferred.fromCoroutine(world.groups.materialise("top", PODS[1])) for _ in range(2)]
    gate.callback(None)
    assert [result_of(one) for one in both] == ["Pod2-0", "Pod2-0"]
    assert len(world.nova(2).groups) == 1


def test_members_are_those_of_all_pods_that_answer(world: World) -> None:
    world.in_pod(2)
    world.nova(1).members, world.nova(2).members = ["a"], ["b", "c"]
    found = result_of(world.groups.members("top", "t"))
    assert {pod.pod_name: ids for pod, ids in found.items()} == {"Pod1": ["a"], "Pod2": ["b", "c"]}
    world.nova(2).away = True
    found = result_of(world.groups.members("top", "t"))
    assert {pod.pod_name: ids for pod, ids in found.items()} == {"Pod1": ["a"], "Pod2": []}


def test_a_deleted_group_goes_from_every_pod_and_is_forgotten(world: World) -> None:
    world.in_pod(2)
    world.delete()
    assert world.nova(1).groups == world.nova(2).groups == {}
    assert world.groups.places.tops == {}
    assert find_definition(world.connection, "server_group", "top") is None


def test_a_pod_that_was_away_loses_it_at_the_next_pass(world: World) -> None:
    world.in_pod(2)
    world.nova(2).away = True
    world.delete()
    assert result_of(world.groups.find("top")) is None
    assert result_of(world.groups.of_project("project")) == ()
    assert world.groups.places.tops == {"Pod2-0": "top"}
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
    told = settled_of(world.connection, "server_group", "top")
    assert {pod_id: one.bottom_id for pod_id, one in told.items()} == {"id-1": "top", "id-3": ""}
    world.nova(3).away = False
    assert world.in_pod(3) == "Pod3-0"


def test_a_pod_that_refuses_it_is_passed_over_with_its_words(world: World) -> None:
    world.nova(2).refuses = True
    with pytest.raises(PodUnavailable) as refused:
        world.in_pod(2)
    assert "Quota exceeded" in refused.value.why
    world.nova(2).refuses = False
    assert world.in_pod(2) == "Pod2-0"
    assert problems(world.connection) == ()
