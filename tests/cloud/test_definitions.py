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
    run(appliance)
    assert shown("Pod1", f"{id}-own") == shown("Pod2", f"{id}-own")
    found = {
        one["key"]: one["pod_name"]
        for one in operator(appliance, "GET", "/reconcilers")["problems"]
    }
    assert {key: pod for key, pod in found.items() if key.startswith(id)} == {
        f"{id}-a": "Pod2",
        f"{id}-b": "Pod2",
    }
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
    assert id not in appliance.command("definition", "problems").stdout
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


@pytest.fixture
def aggregate(appliance: RealAppliance, admin: Any) -> Iterator[str]:
    """The path of an aggregate that is gone again after the test, from the pods too."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    made = ask(admin, "POST", "/os-aggregates", {"aggregate": {"name": name}}, "2.41")["aggregate"]
    path = f"/os-aggregates/{made['id']}"
    yield path
    lab("fault", "Pod2", "heal")
    shown = ask(admin, "GET", path)["aggregate"]
    for host in shown["hosts"]:
        ask(admin, "POST", f"{path}/action", {"remove_host": {"host": host}})
    ask(admin, "DELETE", path)
    run(appliance, "aggregates")
    assert [in_pod(region, shown["name"]) for region in PODS] == [None, None]


def in_pod(region: str, name: str) -> Any:
    """An aggregate in a pod itself: its hosts and metadata; None if there is none."""
    for row in ask(admin_cloud(region), "GET", "/os-aggregates")["aggregates"]:
        if row["name"] == name:
            return row["hosts"], row["metadata"]
    return None


def act(admin: Any, path: str, action: str, **told: Any) -> Any:
    return ask(admin, "POST", f"{path}/action", {action: told})["aggregate"]


def test_an_aggregate_has_hosts_of_both_pods(admin: Any, aggregate: str):
    name = ask(admin, "GET", aggregate)["aggregate"]["name"]
    act(admin, aggregate, "set_metadata", metadata={"ssd": "true"})
    assert in_pod("Pod1", name) is in_pod("Pod2", name) is None
    for host in ("pod1-node1", "pod2-node1"):
        act(admin, aggregate, "add_host", host=host)
    assert in_pod("Pod1", name) == (["pod1-node1"], {"ssd": "true"})
    assert in_pod("Pod2", name) == (["pod2-node1"], {"ssd": "true"})
    act(admin, aggregate, "set_metadata", metadata={"ssd": None, "net": "fast"})
    ask(admin, "PUT", aggregate, {"aggregate": {"name": f"{name}-new"}})
    assert in_pod("Pod2", f"{name}-new") == (["pod2-node1"], {"net": "fast"})
    shown = ask(admin, "GET", aggregate, version="2.41")["aggregate"]
    assert (shown["name"], shown["metadata"]) == (f"{name}-new", {"net": "fast"})
    assert shown["hosts"] == ["pod1-node1", "pod2-node1"]
    image = str(admin.image.find_image("cirros").id)
    ask(admin, "POST", f"{aggregate}/images", {"cache": [{"id": image}]}, "2.81")
    act(admin, aggregate, "remove_host", host="pod1-node1")
    assert in_pod("Pod1", f"{name}-new") is None


def test_refusals_of_aggregates_are_novas(admin: Any, project: Project, aggregate: str):
    one = admin_cloud("Pod1")
    name = f"ref-{uuid.uuid4().hex[:8]}"
    body = {"aggregate": {"name": name}}
    number = ask(one, "POST", "/os-aggregates", body)["aggregate"]["id"]
    theirs = f"/os-aggregates/{number}"
    try:
        for cloud, path in ((one, theirs), (admin, aggregate)):
            act(cloud, path, "add_host", host="pod1-node1")
        ours_id, their_id = aggregate.rpartition("/")[2], str(number)
        for method, rest, wrong in (
            ("DELETE", "", None),
            ("PUT", "", {"aggregate": {}}),
            ("PUT", "", {"aggregate": {"availability_zone": None}}),
            ("PUT", "", {"aggregate": {"name": "x" * 300}}),
            ("POST", "/action", {"add_host": {"host": "pod1-node1"}}),
            ("POST", "/action", {"add_host": {"host": "unknown"}}),
            ("POST", "/action", {"add_host": {}}),
            ("POST", "/action", {"remove_host": {"host": "unknown"}}),
            ("POST", "/action", {"set_metadata": {"metadata": {"a": 1}}}),
            ("POST", "/action", {"nonsense": {}}),
            ("POST", "/images", {"cache": []}),
        ):
            said = [
                cloud.compute.request(path + rest, method, json=wrong, microversion="2.81")
                for cloud, path in ((one, theirs), (admin, aggregate))
            ]
            texts = [
                said[0].text.replace(f"aggregate {their_id}", "aggregate N"),
                said[1].text.replace(f"aggregate {ours_id}", "aggregate N"),
            ]
            texts[0] = texts[0].replace(f"Aggregate {their_id}", "Aggregate N")
            texts[1] = texts[1].replace(f"Aggregate {ours_id}", "Aggregate N")
            texts[0] = texts[0].replace(name, "NAME")
            shown = ask(admin, "GET", aggregate)["aggregate"]["name"]
            texts[1] = texts[1].replace(shown, "NAME")
            assert (said[1].status_code, texts[1]) == (said[0].status_code, texts[0])
        member = project.tenant.compute.post("/os-aggregates", json=body)
        assert member.status_code == 403
    finally:
        act(one, theirs, "remove_host", host="pod1-node1")
        ask(one, "DELETE", theirs)


def test_the_zone_of_an_aggregate_is_the_tenants(admin: Any, aggregate: str):
    act(admin, aggregate, "set_metadata", metadata={"availability_zone": "az1"})
    shown = act(admin, aggregate, "add_host", host="pod1-node1")
    assert shown["availability_zone"] == "az1"
    assert in_pod("Pod1", shown["name"]) == (["pod1-node1"], {})
    body = {"add_host": {"host": "pod2-node1"}}
    refused = admin.compute.post(f"{aggregate}/action", json=body)
    assert refused.status_code == 409 and "'az2'" in refused.text


def test_an_aggregate_in_a_stopped_pod_is_changed_when_it_returns(
    appliance: RealAppliance, admin: Any, aggregate: str
):
    name = ask(admin, "GET", aggregate)["aggregate"]["name"]
    for host in ("pod1-node1", "pod2-node1"):
        act(admin, aggregate, "add_host", host=host)
    lab("fault", "Pod2", "stop")
    act(admin, aggregate, "set_metadata", metadata={"n": "1"})
    appliance.end()
    appliance.start()
    lab("fault", "Pod2", "heal")
    eventually(lambda: in_pod("Pod2", name) == (["pod2-node1"], {"n": "1"}))
