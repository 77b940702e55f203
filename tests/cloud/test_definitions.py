"""What must be the same everywhere, over two real Novas."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tenants import Project, RealAppliance, admin_cloud, eventually, lab

PODS = ("Pod1", "Pod2")


def operator(appliance: RealAppliance, method: str, path: str, body: Any = None) -> Any:
    """A call of the admin API; what it says."""
    token = admin_cloud("RegionOne").auth_token
    url = appliance.url("admin") + "/v1.0" + path
    answer = requests.request(method, url, json=body, headers={"X-Auth-Token": token}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def run(appliance: RealAppliance, name: str = "flavors") -> Any:
    found = operator(appliance, "POST", f"/reconcilers/{name}/run")["reconciler"]
    assert found["error"] == "", found
    return found


def ask(cloud: Any, method: str, path: str, body: Any = None, version: str = "2.61") -> Any:
    answer = cloud.compute.request(path, method, json=body, microversion=version)
    assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
    return answer.json() if answer.content else None


def wish(id: str, **fields: Any) -> Any:
    return {"flavor": {"id": id, "name": id, "ram": 64, "vcpus": 1, "disk": 1} | fields}


def shown(region: str, id: str) -> Any:
    """A flavor in a pod itself, but for its links; None if there is none."""
    found = admin_cloud(region).compute.get(f"/flavors/{id}", microversion="2.61")
    if found.status_code == 404:
        return None
    flavor = found.json()["flavor"]
    if not flavor["os-flavor-access:is_public"]:
        access = ask(admin_cloud(region), "GET", f"/flavors/{id}/os-flavor-access")
        flavor["access"] = sorted(one["tenant_id"] for one in access["flavor_access"])
    return {name: value for name, value in flavor.items() if name != "links"}


@pytest.fixture
def id(appliance: RealAppliance) -> Iterator[str]:
    """An id, and name, for a flavor that is gone again after the test, from the pods too."""
    id = f"test-{uuid.uuid4().hex[:8]}"
    yield id
    eventually(lambda: lab("fault", "Pod2", "heal") is not None)
    for region in (None, *PODS):
        cloud = admin_cloud(region) if region else admin_cloud()
        for one in list(cloud.compute.flavors(is_public=None)):
            if one.name.startswith(id):
                cloud.compute.delete_flavor(one.id)
    run(appliance)


@pytest.fixture
def admin(appliance: RealAppliance) -> Any:
    run(appliance)
    return admin_cloud()


def test_a_flavor_with_specs_and_access_is_the_same_in_both_pods(
    project: Project, admin: Any, id: str
):
    private = {"os-flavor-access:is_public": False, "swap": 16, "rxtx_factor": 2.0}
    made = ask(admin, "POST", "/flavors", wish(id, description="d", **private))["flavor"]
    assert made["description"] == "d"
    specs = {"extra_specs": {"hw:numa_nodes": "1", "own": "x"}}
    assert ask(admin, "POST", f"/flavors/{id}/os-extra_specs", specs) == specs
    ask(admin, "PUT", f"/flavors/{id}/os-extra_specs/own", {"own": "y"})
    ask(admin, "DELETE", f"/flavors/{id}/os-extra_specs/hw:numa_nodes")
    ask(admin, "POST", f"/flavors/{id}/action", {"addTenantAccess": {"tenant": project.id}})
    ask(admin, "PUT", f"/flavors/{id}", {"flavor": {"description": "e"}})
    assert shown("Pod1", id) == shown("Pod2", id)
    assert shown("Pod2", id) | {"access": [project.id]} == shown("Pod2", id)
    assert (shown("Pod2", id)["extra_specs"], shown("Pod2", id)["swap"]) == ({"own": "y"}, 16)
    # the project sees and uses it, in both AZs
    assert id in {flavor.id for flavor in project.tenant.compute.flavors()}
    servers = [project.server(zone, flavor_id=id) for zone in ("az1", "az2")]
    assert {server.flavor.name for server in servers} == {id}
    ask(admin, "POST", f"/flavors/{id}/action", {"removeTenantAccess": {"tenant": project.id}})
    assert id not in {flavor.id for flavor in project.tenant.compute.flavors()}
    assert project.tenant.compute.get(f"/flavors/{id}").status_code == 404
    found = admin.compute.get(f"/flavors/{id}/os-extra_specs/none")
    assert found.status_code == 404 and "has no extra specs" in found.text
    ask(admin, "DELETE", f"/flavors/{id}")
    assert shown("Pod1", id) is shown("Pod2", id) is None
    assert run(project.appliance)["drift"] == 0


def test_the_openstack_client_makes_changes_and_deletes_one(
    appliance: RealAppliance, admin: Any, id: str
):
    made = admin.compute.create_flavor(name=id, ram=64, vcpus=1, disk=1)
    assert shown("Pod1", made.id) == shown("Pod2", made.id) is not None
    admin.compute.create_flavor_extra_specs(made, {"own": "1"})
    admin.compute.update_flavor_extra_specs_property(made, "own", "2")
    assert admin.compute.fetch_flavor_extra_specs(made).extra_specs == {"own": "2"}
    assert shown("Pod2", made.id)["extra_specs"] == {"own": "2"}
    again = admin.compute.post("/flavors", json=wish(made.id, name="another"))
    assert again.status_code == 409
    assert again.json()["conflictingRequest"]["message"].endswith("already exists.")
    admin.compute.delete_flavor(made, ignore_missing=False)
    assert shown("Pod1", made.id) is shown("Pod2", made.id) is None


def test_pages_of_flavors_are_those_of_one_cloud(admin: Any, id: str):
    for number in range(3):
        ask(admin, "POST", "/flavors", wish(f"{id}-{number}"))
    whole = ask(admin, "GET", "/flavors/detail")["flavors"]
    pages, path = [], "/flavors/detail?limit=2"
    while path:
        page = ask(admin, "GET", path)
        pages += page["flavors"]
        links = page.get("flavors_links", [])
        path = links[0]["href"].partition("/v2.1")[2] if links else ""
    assert pages == whole
    alone = ask(admin_cloud("Pod1"), "GET", "/flavors/detail")["flavors"]
    assert [row["id"] for row in whole] == [row["id"] for row in alone]


def test_what_a_stopped_pod_missed_it_gets_when_it_returns(
    project: Project, appliance: RealAppliance, admin: Any, id: str
):
    for name in ("old", "kept"):
        ask(admin, "POST", "/flavors", wish(f"{id}-{name}"))
    lab("fault", "Pod2", "stop")
    ask(admin, "POST", "/flavors", wish(f"{id}-new"))
    ask(admin, "POST", f"/flavors/{id}-kept/os-extra_specs", {"extra_specs": {"own": "1"}})
    ask(admin, "DELETE", f"/flavors/{id}-old")
    listed = {flavor.id for flavor in admin.compute.flavors()}
    assert {f"{id}-new", f"{id}-kept"} <= listed and f"{id}-old" not in listed
    appliance.end()
    appliance.start()
    lab("fault", "Pod2", "heal")
    eventually(lambda: shown("Pod2", f"{id}-new") == shown("Pod1", f"{id}-new"), 60)
    eventually(lambda: shown("Pod2", f"{id}-kept") == shown("Pod1", f"{id}-kept"), 60)
    eventually(lambda: shown("Pod2", f"{id}-old") is None, 60)
    assert shown("Pod1", f"{id}-new") is not None and shown("Pod1", f"{id}-old") is None
    assert run(appliance)["drift"] == 0


def test_what_a_pod_has_by_itself_is_taken_up_or_reported(
    project: Project, appliance: RealAppliance, admin: Any, id: str
):
    one, two = admin_cloud("Pod1"), admin_cloud("Pod2")
    ask(two, "POST", "/flavors", wish(f"{id}-own"))
    ask(two, "POST", f"/flavors/{id}-own/os-extra_specs", {"extra_specs": {"own": "1"}})
    ask(one, "POST", "/flavors", wish(f"{id}-a"))
    ask(two, "POST", "/flavors", wish(f"{id}-a", ram=128))
    ask(one, "POST", "/flavors", wish(f"{id}-b"))
    ask(two, "POST", "/flavors", wish(f"{id}-c", name=f"{id}-b"))
    assert run(appliance)["failed"] == 2
    assert shown("Pod1", f"{id}-own") == shown("Pod2", f"{id}-own")
    problems = {
        one["key"]: one["pod_name"]
        for one in operator(appliance, "GET", "/reconcilers")["problems"]
    }
    assert problems == {f"{id}-a": "Pod2", f"{id}-b": "Pod2"}
    # the pod is passed over, or the flavor is not known there
    server = project.server("", flavor_id=f"{id}-a")
    assert server.availability_zone == "az1"
    body = {"name": "n", "imageRef": project.image, "flavorRef": f"{id}-a", "networks": "none"}
    body["availability_zone"] = "az2"
    refused = project.tenant.compute.post("/servers", json={"server": body}, microversion="2.37")
    assert (refused.status_code, list(refused.json())) == (400, ["badRequest"])
    # the operator decides
    assert f"{id}-a" in appliance.command("definition", "problems").stdout
    for key, right in ((f"{id}-a", "Pod2"), (f"{id}-b", "top")):
        done = appliance.command("definition", "choose", "flavor", key, right)
        assert done.returncode == 0, done.stderr
    assert shown("Pod1", f"{id}-a") == shown("Pod2", f"{id}-a")
    assert shown("Pod1", f"{id}-a")["ram"] == 128
    assert shown("Pod1", f"{id}-b") == shown("Pod2", f"{id}-b") is not None
    assert shown("Pod2", f"{id}-c") is None
    assert operator(appliance, "GET", "/reconcilers")["problems"] == []
    assert run(appliance)["drift"] == 0


def test_what_changed_in_one_pod_is_put_right(appliance: RealAppliance, admin: Any, id: str):
    ask(admin, "POST", "/flavors", wish(id))
    body = {"extra_specs": {"foreign": "1"}}
    ask(admin_cloud("Pod2"), "POST", f"/flavors/{id}/os-extra_specs", body)
    found = run(appliance)
    assert (found["drift"], found["mended"]) == (1, 1)
    assert shown("Pod2", id) == shown("Pod1", id)
    ask(admin_cloud("Pod1"), "DELETE", f"/flavors/{id}")
    assert run(appliance)["mended"] == 1
    assert shown("Pod1", id) == shown("Pod2", id) is not None
