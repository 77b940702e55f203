"""What Neutron has for all projects is the same in every pod, though nothing has a unique name."""

import json
from typing import Any

from cinder_world import PODS, World, no, said
from helpers import result_of

from trio2o.definitions import NEUTRON_KINDS
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call

ROWS = {
    "flavors": ("flavor", "flavors"),
    "service_profiles": ("service_profile", "service_profiles"),
    "default-security-group-rules": ("default_security_group_rule", "default_security_group_rules"),
    "security-groups-default-statefulness": ("security_groups_default_statefulness",) * 2,
}
RULE = {"direction": "egress", "ethertype": "IPv4", "used_in_default_sg": True}


class Neutron:
    """One pod's; `knows` are the collections that it has."""

    def __init__(self, pod: Pod) -> None:
        self.pod, self.made, self.down = pod, 0, False
        self.things: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in ROWS}
        self.changes: list[str] = []
        self.add("default-security-group-rules", **RULE)

    def add(self, path: str, **fields: Any) -> dict[str, Any]:
        self.made += 1
        id = f"{path[:3]}-{self.made}-{self.pod.pod_name}"
        more = {"service_profiles": []} if path == "flavors" else {}
        self.things[path][id] = {"id": id, "description": "", **more, **fields}
        return self.things[path][id]

    def answer(self, call: Call) -> Answer:
        path, *rest = call.path.decode().strip("/").split("/")
        if path not in self.things:
            return said(404, {"NeutronError": {"message": "no such thing"}})
        things, (key, rows) = self.things[path], ROWS[path]
        body = json.loads(call.body) if call.body else {}
        if call.method != "GET":
            self.changes.append(f"{call.method} {call.path.decode()}")
        if rest and rest[0] not in things:
            return said(404, {"NeutronError": {"message": "could not be found"}})
        match (call.method, *rest):
            case ("GET",):
                return said(200, {rows: list(things.values())})
            case ("POST",):
                return said(201, {key: self.add(path, **body[key])})
            case "GET", id:
                return said(200, {key: things[id]})
            case "PUT", id:
                things[id] |= body[key]
                return said(200, {key: things[id]})
            case "DELETE", id:
                del things[id]
            case "POST", id, _:
                profile = body["service_profile"]["id"]
                assert profile in self.things["service_profiles"]
                things[id]["service_profiles"].append(profile)
            case "DELETE", id, _, profile:
                things[id]["service_profiles"].remove(profile)
            case _:
                return no(405)
        return said(204)


def world() -> World:
    return World(cloud=Neutron, kinds=NEUTRON_KINDS)


def things(world: World, number: int, path: str) -> list[dict[str, Any]]:
    neutron: Any = world.cinder(number)
    return [
        {name: value for name, value in one.items() if name != "id"}
        for one in neutron.things[path].values()
    ]


def flavor(world: World, **more: Any) -> str:
    body = {"flavor": {"name": "f", "service_type": "L3", "enabled": True, **more}}
    key, status = world.change("network_flavor", "POST", "/flavors", body=body)
    assert status == 201
    return key


def test_two_flavors_of_one_name_are_two_in_every_pod() -> None:
    here = world()
    keys = [flavor(here, description=words) for words in ("one", "two")]
    assert [one["description"] for one in things(here, 2, "flavors")] == ["one", "two"]
    assert here.change("network_flavor", "DELETE", "/flavors/{id}", keys[0])[1] == 204
    assert [one["description"] for one in things(here, 2, "flavors")] == ["two"]
    here.run()
    assert not here.problems()


def test_a_flavors_profiles_have_each_pods_own_ids() -> None:
    here = world()
    key = flavor(here)
    profile, _ = here.change(
        "service_profile",
        "POST",
        "/service_profiles",
        body={"service_profile": {"driver": "", "metainfo": "{}", "enabled": True}},
    )
    places = here.definitions["service_profile"].places
    other = places.ids_in(PODS[1])[profile]
    assert other != profile
    path = "/flavors/{id}/service_profiles"
    body = {"service_profile": {"id": profile}}
    assert here.change("network_flavor", "POST", path, key, body)[1] == 204
    assert things(here, 1, "flavors")[0]["service_profiles"] == [profile]
    assert things(here, 2, "flavors")[0]["service_profiles"] == [other]
    assert here.change("network_flavor", "DELETE", f"{path}/{profile}", key)[1] == 204
    assert things(here, 2, "flavors")[0]["service_profiles"] == []
    here.run()
    assert not here.problems()


def test_profiles_of_one_pod_are_adopted_each() -> None:
    here = world()
    for metainfo in ("a", "b", "b"):
        here.cinder(1).add("service_profiles", driver="", metainfo=metainfo, enabled=True)
    here.cinder(2).add("service_profiles", driver="", metainfo="b", enabled=True)
    here.run()
    assert sorted(one["metainfo"] for one in things(here, 2, "service_profiles")) == ["a", "b", "b"]
    assert not here.problems()


def test_a_pods_own_default_rules_stay_its_own_until_one_is_changed() -> None:
    here = world()
    here.cinder(2).add("default-security-group-rules", **RULE | {"direction": "ingress"})
    here.run()
    path = "default-security-group-rules"
    assert [len(things(here, number, path)) for number in (1, 2)] == [1, 2]
    id = next(iter(here.cinder(1).things[path]))
    assert here.change("default_group_rule", "DELETE", f"/{path}/{{id}}", id)[1] == 204
    assert [len(things(here, number, path)) for number in (1, 2)] == [0, 1]


def test_a_pod_that_does_not_know_of_a_kind_is_no_trouble_to_the_pass() -> None:
    here = world()
    here.cinder(2).things = {}
    for definitions in here.definitions.values():
        assert result_of(definitions.run()).failed == 0
