"""Where new things go over two real clouds: room, traits, tags, bindings, AZ maps, hosts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from openstack import exceptions
from tenants import Project, admin_cloud, cloud

PINNING = "2.104"


def admin_api(project: Project, method: str, path: str, body: Any = None) -> Any:
    token = {"X-Auth-Token": admin_cloud().auth_token}
    url = f"{project.appliance.url('admin')}/v1.0{path}"
    answer = requests.request(method, url, json=body, headers=token, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextmanager
def changed(project: Project, name: str, **fields: Any) -> Iterator[None]:
    """A pod with other members for a while."""
    before = admin_api(project, "GET", f"/pods/{name}")["pod"]
    admin_api(project, "PUT", f"/pods/{name}", {"pod": fields})
    try:
        yield
    finally:
        back = {"pod": {key: before[key] for key in fields}}
        admin_api(project, "PUT", f"/pods/{name}", back)


@contextmanager
def flavor(**specs: str) -> Iterator[Any]:
    """A flavor of 4 GiB in all pods, with extra specs."""
    admin = admin_cloud()
    made = admin.compute.create_flavor(name=f"f-{uuid.uuid4().hex[:8]}", ram=4096, vcpus=1, disk=1)
    try:
        if specs:
            admin.compute.create_flavor_extra_specs(made, specs)
        yield made
    finally:
        admin.compute.delete_flavor(made)


@contextmanager
def full(region: str) -> Iterator[None]:
    """A pod whose host has 1 GiB left."""
    placement = cloud("trio2o", "trio2o", "service", region).placement
    (host,) = placement.get("/resource_providers").json()["resource_providers"]
    path = f"/resource_providers/{host['uuid']}"

    def inventory() -> Any:
        return placement.get(f"{path}/inventories/MEMORY_MB").json()

    used = placement.get(f"{path}/usages").json()["usages"]["MEMORY_MB"]
    before = inventory()
    reserved = before["total"] - used - 1024
    placement.put(f"{path}/inventories/MEMORY_MB", json=before | {"reserved": reserved})
    try:
        yield
    finally:
        back = before | {
            "resource_provider_generation": inventory()["resource_provider_generation"]
        }
        assert placement.put(f"{path}/inventories/MEMORY_MB", json=back).status_code == 200


@contextmanager
def trait(region: str, name: str) -> Iterator[None]:
    """A pod whose host has a trait."""
    placement = cloud("trio2o", "trio2o", "service", region).placement
    (host,) = placement.get("/resource_providers").json()["resource_providers"]
    path = f"/resource_providers/{host['uuid']}/traits"
    placement.put(f"/traits/{name}", microversion="1.6")
    had = placement.get(path, microversion="1.6").json()
    placement.put(path, json=had | {"traits": [*had["traits"], name]}, microversion="1.6")
    try:
        yield
    finally:
        has = placement.get(path, microversion="1.6").json()
        left = has | {"traits": [one for one in has["traits"] if one != name]}
        assert placement.put(path, json=left, microversion="1.6").status_code == 200
        placement.delete(f"/traits/{name}", microversion="1.6")


def boot(project: Project, name: str, **more: Any) -> Any:
    """A server without a network that has become active."""
    compute = project.tenant.compute
    wish = {"name": name, "image_id": project.image, "flavor_id": "1", "networks": "none"}
    return compute.wait_for_server(compute.create_server(**wish | more), wait=60, interval=0.5)


def names(project: Project, region: str) -> list[str]:
    return sorted(server.name for server in project.at(region).compute.servers())


def history(project: Project) -> list[tuple[str, str, bool]]:
    """Which pods the project used for which AZ, and whether it still does."""
    pods = {one["pod_id"]: one["pod_name"] for one in admin_api(project, "GET", "/pods")["pods"]}
    query = f"/bindings?ended=true&tenant_id={project.id}"
    rows = admin_api(project, "GET", query)["pod_bindings"]
    return [(pods[row["pod_id"]], row["az_name"], row["ended_at"] is None) for row in rows]


def test_a_flavor_too_big_for_what_is_left_in_one_pod_goes_to_the_next(project: Project):
    zone = {"az1": {"compute": "east", "volume": "east-vol"}}
    with changed(project, "Pod2", availability_zones=zone), flavor() as big:
        boot(project, "first", availability_zone="az1.Pod1")
        with full("Pod1"):
            boot(project, "big", flavor_id=big.id, availability_zone="az1")
        assert (names(project, "Pod1"), names(project, "Pod2")) == (["first"], ["big"])
        assert history(project) == [("Pod1", "az1", False), ("Pod2", "az1", True)]
        boot(project, "again", availability_zone="az1")
        assert names(project, "Pod2") == ["again", "big"]
        shown = {
            server.name: server.availability_zone for server in project.tenant.compute.servers()
        }
        assert shown == {"first": "az1", "big": "az1", "again": "az1"}


def test_an_az_of_a_pod_that_has_no_hosts_has_no_room(project: Project):
    there = admin_cloud("Pod2").compute
    rack = there.create_aggregate(name=project.name, availability_zone=project.name)
    zones = {
        "az2": {"compute": "east", "volume": "east-vol"},
        "az1": {"compute": project.name, "volume": "vol-of-none"},
    }
    try:
        with changed(project, "Pod2", availability_zones=zones, weight=9):
            boot(project, "s", availability_zone="az1")
            assert (names(project, "Pod1"), names(project, "Pod2")) == (["s"], [])
            assert history(project) == [("Pod1", "az1", True)]
    finally:
        there.delete_aggregate(rack)


def test_a_required_trait_chooses_the_pod_that_has_it(project: Project):
    name = f"CUSTOM_{uuid.uuid4().hex[:8].upper()}"
    with trait("Pod2", name), flavor(**{f"trait:{name}": "required"}) as special:
        boot(project, "special", flavor_id=special.id)
        assert (names(project, "Pod1"), names(project, "Pod2")) == ([], ["special"])


def test_a_flavors_tags_choose_the_pod_and_an_az_without_them_is_refused(project: Project):
    with flavor(**{"trio2o:pod_tags": "gpu"}) as tagged:
        done = project.appliance.command("pod", "set", "Pod2", "--tag", "gpu", "--weight", "2")
        assert done.returncode == 0, done.stderr
        try:
            boot(project, "tagged", flavor_id=tagged.id)
            with pytest.raises(exceptions.BadRequestException, match=r"gpu.*az1"):
                boot(project, "x", flavor_id=tagged.id, availability_zone="az1")
        finally:
            project.appliance.command("pod", "set", "Pod2", "--tag", "", "--weight", "1")
        assert (names(project, "Pod1"), names(project, "Pod2")) == ([], ["tagged"])


def test_a_pods_own_names_of_its_azs_are_never_seen(project: Project):
    zones = {
        "az2": {"compute": "east", "volume": "east-vol"},
        "az3": {"compute": "nova", "volume": "vol-of-none"},
    }
    with changed(project, "Pod2", availability_zones=zones):
        tenant = project.tenant
        assert [one.name for one in tenant.compute.availability_zones()] == ["az1", "az2", "az3"]
        listed = tenant.block_storage.availability_zones()
        assert [one.name for one in listed] == ["az1", "az2", "az3"]
        server, volume = boot(project, "s", availability_zone="az2"), project.volume("az2")
        assert (server.availability_zone, volume.availability_zone) == ("az2", "az2")
        there = project.at("Pod2")
        assert there.compute.get_server(server.id).availability_zone == "east"
        assert there.block_storage.get_volume(volume.id).availability_zone == "east-vol"
        # told by the binding: Cinder has no AZ that means any
        free = tenant.block_storage.create_volume(size=1, name="free")
        free = tenant.block_storage.wait_for_status(free, wait=60, interval=0.5)
        assert there.block_storage.get_volume(free.id).availability_zone == "east-vol"
        assert history(project) == [("Pod2", "az2", True)]
        rows = tenant.compute.get("/servers/detail?availability_zone=az2", microversion="2.83")
        assert [row["id"] for row in rows.json()["servers"]] == [server.id]
        rows = tenant.compute.get("/servers/detail?availability_zone=az3", microversion="2.83")
        assert rows.json()["servers"] == []
        rows = tenant.block_storage.get("/volumes/detail?availability_zone=az2")
        assert {row["id"] for row in rows.json()["volumes"]} == {volume.id, free.id}
        rows = tenant.block_storage.get("/volumes/detail?availability_zone=az3")
        assert rows.json()["volumes"] == []
        with pytest.raises(exceptions.BadRequestException, match="zone is not available"):
            boot(project, "x", availability_zone="az3")
        tenant.compute.create_volume_attachment(server, volume_id=volume.id)


def test_a_server_is_pinned_to_its_own_az_and_to_no_other(project: Project):
    compute = project.tenant.compute
    server = boot(project, "s")  # no AZ: not pinned
    here = compute.get_server(server.id).availability_zone
    other = {"az1": "az2", "az2": "az1"}[here]

    def pin(zone: str | None) -> Any:
        body = {"server": {"pinned_availability_zone": zone}}
        return compute.put(f"/servers/{server.id}", json=body, microversion=PINNING)

    def pinned() -> Any:
        shown = compute.get(f"/servers/{server.id}", microversion=PINNING).json()["server"]
        return shown["pinned_availability_zone"]

    assert pinned() is None
    refused = pin(other)
    assert refused.status_code == 409
    assert refused.json()["conflictingRequest"]["message"] == (
        f"Server can only be pinned to its current availability zone '{here}', "
        f"but '{other}' was requested."
    )
    done = pin(here)
    assert (done.status_code, done.json()["server"]["pinned_availability_zone"]) == (200, here)
    assert pinned() == here
    refused = pin(other)
    assert refused.status_code == 409
    assert refused.json()["conflictingRequest"]["message"] == (
        "Cannot change pinned availability zone directly. "
        "Unpin first by setting pinned_availability_zone to null."
    )
    assert pin(None).status_code == 200
    assert pinned() is None


def test_a_host_behind_the_az_is_in_its_pod(project: Project):
    admin = admin_cloud()
    hosts = {
        region: next(
            one.host for one in admin_cloud(region).compute.services(binary="nova-compute")
        )
        for region in ("Pod1", "Pod2")
    }
    wish = {"name": "forced", "imageRef": project.image, "flavorRef": "1", "networks": "none"}

    def ask(zone: str) -> Any:
        body = {"server": wish | {"availability_zone": zone}}
        return admin.compute.post("/servers", json=body, microversion="2.60")

    refused = ask(f"az1:{hosts['Pod2']}")
    assert refused.status_code == 400
    for word in (hosts["Pod2"], "az1", "az2"):
        assert word in refused.json()["badRequest"]["message"]
    made = ask(f"az2:{hosts['Pod2']}")
    assert made.status_code == 202
    id = made.json()["server"]["id"]
    try:
        server = admin.compute.wait_for_server(admin.compute.get_server(id), wait=60, interval=0.5)
        assert (server.availability_zone, server.compute_host) == ("az2", hosts["Pod2"])
        assert admin_cloud("Pod2").compute.get_server(id).id == id
    finally:
        admin.compute.delete_server(id)
    body = {"server": wish | {"availability_zone": f"az1:{hosts['Pod1']}"}}
    denied = project.tenant.compute.post("/servers", json=body, microversion="2.60")
    assert denied.status_code == 403  # which is the pod's to say


def test_what_no_pod_has_room_for_ends_in_error_as_in_one_cloud(project: Project):
    with flavor(**{"resources:MEMORY_MB": "999999999"}) as huge:
        compute = project.tenant.compute
        wish = {"name": "huge", "imageRef": project.image, "flavorRef": huge.id, "networks": "none"}
        made = compute.post("/servers", json={"server": wish}, microversion="2.60")
        assert made.status_code == 202
        server = compute.get_server(made.json()["server"]["id"])
        with pytest.raises(exceptions.ResourceFailure):
            compute.wait_for_server(server, wait=60, interval=0.5)
        assert "No valid host" in compute.get_server(server.id).fault["message"]
        compute.delete_server(server)
