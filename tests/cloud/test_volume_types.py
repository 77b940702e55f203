"""Volume types, group types, QoS specs and default types: one at the top, one in each pod."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cinder import Cinder
from tenants import Project, RealAppliance, admin_cloud, eventually

PODS = ("Pod1", "Pod2")


class Admin:
    """The appliance's types, and what the pods have of them. All is taken away after the test."""

    def __init__(self, appliance: RealAppliance) -> None:
        self.top = Cinder.of_admin(appliance)
        self.pods = {name: Cinder.of_admin(appliance, name) for name in PODS}
        self.made: list[str] = []

    def make(self, path: str, key: str, **fields: Any) -> Any:
        made = self.top.post(path, {key: {"name": f"test-{uuid.uuid4().hex[:8]}", **fields}})[key]
        self.made.append(f"{path}/{made['id']}")
        return made

    def in_pods(self, path: str, key: str, name: str) -> list[Any]:
        query = "" if key == "qos_specs" else "?is_public=None"
        listed = [pod.get(path + query)[key] for pod in self.pods.values()]
        return [next((row for row in rows if row["name"] == name), None) for rows in listed]

    def types(self, name: str) -> list[Any]:
        return self.in_pods("/types", "volume_types", name)

    def clean(self) -> None:
        for path in reversed(self.made):
            if path.startswith("/qos-specs"):
                path += "?force=True"  # noqa: PLW2901
            gone = eventually(
                lambda path=path: self.top.call("DELETE", path).status_code in (202, 404), 60
            )
            assert gone


@pytest.fixture
def admin(appliance: RealAppliance) -> Iterator[Admin]:
    one = Admin(appliance)
    yield one
    one.clean()


def test_a_type_has_one_id_and_is_used_in_both_pods_by_id_and_name(admin: Admin, project: Project):
    kind = admin.make("/types", "volume_type", description="d")
    bottoms = [row["id"] for row in admin.types(kind["name"])]
    assert kind["id"] == bottoms[0] != bottoms[1]
    listed = list(admin.top.get("/types")["volume_types"])
    assert [row["id"] for row in listed if row["name"] == kind["name"]] == [kind["id"]]
    assert [row["name"] for row in listed].count("__DEFAULT__") == 1
    first = admin.top.get("/types?limit=1")
    second = admin.top.get(f"/types?limit=1&marker={first['volume_types'][0]['id']}")
    assert first["volume_types"] + second["volume_types"] == listed[:2]

    cinder = Cinder.of(project)
    for zone, named in (("az1", kind["id"]), ("az2", kind["id"]), ("az2", kind["name"])):
        shown = cinder.get(f"/volumes/{project.volume(zone, volume_type=named).id}")["volume"]
        assert (shown["volume_type"], shown["volume_type_id"]) == (kind["name"], kind["id"])
    listed = cinder.get("/volumes/detail")["volumes"]
    assert {row["volume_type_id"] for row in listed} == {kind["id"]}
    plain = project.volume("az2", "plain")
    retype = {"os-retype": {"new_type": kind["id"], "migration_policy": "never"}}
    cinder.post(f"/volumes/{plain.id}/action", retype)
    eventually(lambda: cinder.get(f"/volumes/{plain.id}")["volume"]["volume_type_id"] == kind["id"])
    refused = admin.top.call("DELETE", f"/types/{kind['id']}")
    assert refused.status_code == 400
    assert None not in admin.types(kind["name"])
    unknown = {"volume": {"size": 1, "volume_type": str(uuid.uuid4())}}
    assert cinder.call("POST", "/volumes", unknown).status_code == 404


def test_extra_specs_are_the_same_in_every_pod_but_those_that_are_one_pods_own(admin: Admin):
    kind = admin.make("/types", "volume_type", extra_specs={"volume_backend_name": "gold"})
    path = f"/types/{kind['id']}/extra_specs"
    admin.top.post(path, {"extra_specs": {"trio2o:Pod2:volume_backend_name": "fake"}})

    def values() -> list[str]:
        return [row["extra_specs"]["volume_backend_name"] for row in admin.types(kind["name"])]

    assert values() == ["gold", "fake"]
    change = {"volume_backend_name": "silver"}
    assert admin.top.call("PUT", f"{path}/volume_backend_name", change).status_code == 200
    assert values() == ["silver", "fake"]
    shown = admin.top.get(f"/types/{kind['id']}")["volume_type"]["extra_specs"]
    assert shown == change | {"trio2o:Pod2:volume_backend_name": "fake"}
    gone = admin.top.call("DELETE", f"{path}/trio2o:Pod2:volume_backend_name")
    assert gone.status_code == 202
    assert values() == ["silver", "silver"]
    assert all(row["extra_specs"] == change for row in admin.types(kind["name"]))


def test_a_type_for_an_az_is_made_there(admin: Admin, project: Project):
    specs = {"RESKEY:availability_zones": "az2"}
    kind = admin.make("/types", "volume_type", extra_specs=specs)
    # this pod is sent no AZ, for it was added without a name of its own for it
    assert "RESKEY:availability_zones" not in admin.types(kind["name"])[1]["extra_specs"]
    assert admin.top.get(f"/types/{kind['id']}")["volume_type"]["extra_specs"] == specs
    cinder = Cinder.of(project)
    made = cinder.post("/volumes", {"volume": {"size": 1, "volume_type": kind["name"]}})
    assert cinder.until(f"/volumes/{made['volume']['id']}")["availability_zone"] == "az2"


def test_encryption_access_and_defaults_are_carried_to_both_pods(admin: Admin, project: Project):
    kind = admin.make("/types", "volume_type")
    path = f"/types/{kind['id']}"
    wish = {"provider": "luks", "cipher": "aes", "key_size": 256, "control_location": "front-end"}
    made = admin.top.post(f"{path}/encryption", {"encryption": wish})["encryption"]
    assert made["volume_type_id"] == kind["id"]
    for pod, row in zip(admin.pods.values(), admin.types(kind["name"]), strict=True):
        told = pod.get(f"/types/{row['id']}/encryption")
        assert {name: told[name] for name in wish} == wish
    change = {"encryption": {"key_size": 128}}
    encryption = f"{path}/encryption/{made['encryption_id']}"
    assert admin.top.call("PUT", encryption, change).status_code == 200
    assert admin.top.get(f"{path}/encryption")["key_size"] == 128
    assert admin.top.call("DELETE", encryption).status_code == 202
    for pod, row in zip(admin.pods.values(), admin.types(kind["name"]), strict=True):
        assert pod.get(f"/types/{row['id']}/encryption") == {}

    tenant = Cinder.of(project)
    private = {"volume_type": {"is_public": False}}
    assert admin.top.call("PUT", path, private).status_code == 200
    assert tenant.call("GET", path).status_code == 404
    admin.top.post(f"{path}/action", {"addProjectAccess": {"project": project.id}})
    assert tenant.get(path)["volume_type"]["id"] == kind["id"]
    (row,) = admin.top.get(f"{path}/os-volume-type-access")["volume_type_access"]
    assert row == {"volume_type_id": kind["id"], "project_id": project.id}

    default = f"/default-types/{project.id}"
    told = {"default_type": {"volume_type": kind["name"]}}
    answer = admin.top.call("PUT", default, told)
    assert answer.json()["default_type"]["volume_type_id"] == kind["id"]
    assert tenant.get("/types/default")["volume_type"]["id"] == kind["id"]
    assert project.volume("az2").volume_type == kind["name"]
    assert admin.top.call("DELETE", default).status_code == 204
    assert [pod.call("GET", default).status_code for pod in admin.pods.values()] == [404, 404]


def test_qos_specs_are_put_to_types_in_both_pods(admin: Admin):
    kind = admin.make("/types", "volume_type")
    spec = admin.make("/qos-specs", "qos_specs", consumer="back-end", iops="10")
    path = f"/qos-specs/{spec['id']}"
    associate = f"{path}/associate?vol_type_id={kind['id']}"
    assert admin.top.call("GET", associate).status_code == 202
    (told,) = admin.top.get(f"{path}/associations")["qos_associations"]
    assert told["id"] == kind["id"]
    assert admin.top.get(f"/types/{kind['id']}")["volume_type"]["qos_specs_id"] == spec["id"]
    assert all(row["qos_specs_id"] for row in admin.types(kind["name"]))
    admin.top.call("PUT", path, {"qos_specs": {"iops": "20", "bps": "1"}})
    admin.top.call("PUT", f"{path}/delete_keys", {"keys": ["bps"]})
    found = admin.in_pods("/qos-specs", "qos_specs", spec["name"])
    assert [row["specs"] for row in found] == [{"iops": "20"}] * 2
    assert admin.top.call("GET", f"{path}/disassociate_all").status_code == 202
    assert not any(row["qos_specs_id"] for row in admin.types(kind["name"]))


def test_groups_live_in_one_pod_with_their_volumes_and_snapshots(admin: Admin, project: Project):
    kind = admin.make("/group_types", "group_type", description="d")
    specs = f"/group_types/{kind['id']}/group_specs"
    admin.top.post(specs, {"group_specs": {"k": "v"}})
    found = admin.in_pods("/group_types", "group_types", kind["name"])
    assert [row["group_specs"] for row in found] == [{"k": "v"}] * 2
    assert found[0]["id"] != found[1]["id"]

    cinder = Cinder.of(project)
    default = cinder.get("/types/default")["volume_type"]["id"]
    wish = {"group_type": kind["id"], "volume_types": [default], "availability_zone": "az2"}
    group = cinder.post("/groups", {"group": wish | {"name": "g"}})["group"]
    shown = cinder.until(f"/groups/{group['id']}")
    assert (shown["group_type"], shown["volume_types"]) == (kind["id"], [default])
    assert shown["availability_zone"] == "az2"
    here, there = project.volume("az2"), project.volume("az1")
    add = {"group": {"add_volumes": there.id}}
    refused = cinder.call("PUT", f"/groups/{group['id']}", add)
    assert refused.status_code == 400
    assert "az1" in refused.text
    assert "az2" in refused.text
    add = {"group": {"add_volumes": here.id}}
    assert cinder.call("PUT", f"/groups/{group['id']}", add).status_code == 202
    eventually(lambda: cinder.get(f"/volumes/{here.id}")["volume"]["group_id"] == group["id"])
    cinder.until(f"/groups/{group['id']}")
    made = cinder.post(
        "/volumes", {"volume": {"size": 1, "group_id": group["id"], "volume_type": default}}
    )
    assert cinder.until(f"/volumes/{made['volume']['id']}")["availability_zone"] == "az2"

    taken = cinder.post("/group_snapshots", {"group_snapshot": {"group_id": group["id"]}})
    snapshot = cinder.until(f"/group_snapshots/{taken['group_snapshot']['id']}")
    assert snapshot["group_type_id"] == kind["id"]
    copy = cinder.post(
        "/groups/action", {"create-from-src": {"group_snapshot_id": snapshot["id"], "name": "copy"}}
    )
    cinder.until(f"/groups/{copy['group']['id']}")
    names = [row["name"] for row in cinder.get("/groups?limit=2&sort=name:asc")["groups"]]
    assert names == ["copy", "g"]
    assert len(cinder.get("/groups/detail")["groups"]) == 2
    assert len(cinder.get("/group_snapshots/detail?limit=1", "3.29")["group_snapshots"]) == 1
    for id in (copy["group"]["id"],):
        cinder.post(f"/groups/{id}/action", {"delete": {"delete-volumes": True}})
    cinder.call("DELETE", f"/group_snapshots/{snapshot['id']}")
    eventually(lambda: not cinder.get("/group_snapshots")["group_snapshots"])
    cinder.post(f"/groups/{group['id']}/action", {"delete": {"delete-volumes": True}})
    eventually(lambda: not cinder.get("/groups")["groups"])


def test_types_with_the_client(admin: Admin, project: Project):
    block = admin_cloud().block_storage
    kind = block.create_type(name=f"test-{uuid.uuid4().hex[:8]}")
    admin.made.append(f"/types/{kind.id}")
    block.update_type_extra_specs(kind, description_key="1")
    assert block.get_type(kind).extra_specs == {"description_key": "1"}
    assert [row["ID"] for row in project.cli_json("volume", "type", "list")].count(kind.id) == 1
    made = project.cli(
        "cinder", "create", "--volume-type", kind.name, "--availability-zone", "az2", "1"
    )
    assert made.returncode == 0, made.stderr
    assert kind.name in made.stdout


def test_messages_of_both_pods_are_listed_shown_and_deleted(admin: Admin, project: Project):
    # no backend is such, and the scheduler leaves a message
    kind = admin.make("/types", "volume_type", extra_specs={"nowhere": "1"})
    cinder = Cinder.of(project)
    for zone in ("az1", "az2", "az1"):
        wish = {"size": 1, "volume_type": kind["name"], "availability_zone": zone}
        made = cinder.post("/volumes", {"volume": wish})["volume"]
        cinder.until(f"/volumes/{made['id']}", "error")
    pods = [Cinder.of(project, pod).get("/messages")["messages"] for pod in PODS]
    listed = cinder.get("/messages")["messages"]
    # this release of Cinder lists messages of all projects, and shows a project's own
    assert all(pods)
    assert len(listed) == sum(len(rows) for rows in pods)
    assert {row["id"] for row in listed} == {row["id"] for rows in pods for row in rows}
    times = [row["created_at"] for row in listed]
    assert times == sorted(times, reverse=True)
    first = cinder.get("/messages?limit=2")
    marker = first["messages"][-1]["id"]
    assert first["messages"] + cinder.get(f"/messages?marker={marker}")["messages"] == listed
    own = {volume.id for volume in project.tenant.block_storage.volumes()}
    messages = [row for row in listed if row["resource_uuid"] in own]
    assert len(messages) >= 3
    for message in messages:
        path = f"/messages/{message['id']}"
        assert cinder.get(path)["message"]["resource_uuid"] == message["resource_uuid"]
        assert cinder.call("DELETE", path).status_code == 204
        assert cinder.call("GET", path).status_code == 404
