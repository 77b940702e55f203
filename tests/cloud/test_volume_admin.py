"""What admins see and do in Cinder: services, hosts, pools, quotas, storage under management."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cinder import Cinder
from tenants import Project, RealAppliance, eventually


@pytest.fixture
def admin(appliance: RealAppliance) -> Cinder:
    return Cinder.of_admin(appliance)


@pytest.fixture
def pods(appliance: RealAppliance) -> dict[str, Cinder]:
    return {name: Cinder.of_admin(appliance, name) for name in ("Pod1", "Pod2")}


def backend(pod: Cinder) -> str:
    listed = pod.get("/os-services?binary=cinder-volume")["services"]
    return str(listed[0]["host"])


def test_lists_of_services_hosts_and_pools_are_of_both_pods(admin: Cinder, pods: dict[str, Cinder]):
    for path, key, member in (
        ("/os-services", "services", "host"),
        ("/os-hosts", "hosts", "host_name"),
        ("/scheduler-stats/get_pools", "pools", "name"),
        ("/clusters", "clusters", "name"),
    ):
        ours = [row[member] for row in admin.get(path)[key]]
        assert ours == [row[member] for pod in pods.values() for row in pod.get(path)[key]]
    zones = {row["host"]: row["zone"] for row in admin.get("/os-services")["services"]}
    assert zones[backend(pods["Pod2"])] == "az2"
    assert {row["zone"] for row in admin.get("/os-hosts?zone=az2")["hosts"]} == {"az2"}


def test_calls_for_a_backend_go_to_its_pod(admin: Cinder, pods: dict[str, Cinder]):
    host = backend(pods["Pod2"])
    for call, frozen in (("freeze", True), ("thaw", False)):
        assert admin.call("PUT", f"/os-services/{call}", {"host": host}).status_code == 200
        (row,) = pods["Pod2"].get(f"/os-services?host={host}")["services"]
        assert row["frozen"] is frozen
    assert admin.get(f"/capabilities/{host}") == pods["Pod2"].get(f"/capabilities/{host}")
    assert admin.get(f"/os-hosts/{host}") == pods["Pod2"].get(f"/os-hosts/{host}")
    assert admin.call("PUT", "/os-services/thaw", {"host": "nowhere"}).status_code == 400
    assert admin.call("GET", "/capabilities/nowhere").status_code == 404
    assert admin.call("GET", "/clusters/nowhere").status_code == 404


def test_log_levels_and_workers_are_of_all_pods(admin: Cinder, pods: dict[str, Cinder]):
    wish = {"binary": "cinder-volume", "prefix": "cinder.volume.api"}
    told = admin.call("PUT", "/os-services/get-log", wish).json()["log_levels"]
    assert [row["host"] for row in told] == [backend(pod) for pod in pods.values()]
    assert admin.call("PUT", "/os-services/set-log", wish | {"level": "INFO"}).status_code == 202
    cleaned = admin.call("POST", "/workers/cleanup", {})
    assert (cleaned.status_code, cleaned.json()) == (202, {"cleaning": [], "unavailable": []})


def test_quotas_are_written_to_every_pod_and_usage_is_added_up(
    project: Project, admin: Cinder, pods: dict[str, Cinder]
):
    project.volume("az1")
    project.volume("az2")
    path = f"/os-quota-sets/{project.id}"
    shown = admin.get(f"{path}?usage=True")["quota_set"]
    assert shown["volumes"] == {"limit": 10, "in_use": 2, "reserved": 0}
    assert admin.call("PUT", path, {"quota_set": {"volumes": 7}}).status_code == 200
    assert [pod.get(path)["quota_set"]["volumes"] for pod in pods.values()] == [7, 7]
    absolute = Cinder.of(project).get("/limits")["limits"]["absolute"]
    assert (absolute["maxTotalVolumes"], absolute["totalVolumesUsed"]) == (7, 2)
    assert admin.call("DELETE", path).status_code == 200
    assert [pod.get(path)["quota_set"]["volumes"] for pod in pods.values()] == [10, 10]
    assert admin.get(f"{path}/defaults")["quota_set"]["volumes"] == 10
    assert admin.get("/os-quota-class-sets/default")["quota_class_set"]["volumes"] == 10
    summed = Cinder.of(project).get("/volumes/summary")["volume-summary"]
    assert (summed["total_count"], summed["total_size"]) == (2, 2)


@pytest.fixture
def managed(admin: Cinder) -> Iterator[list[str]]:
    ids: list[str] = []
    yield ids
    for id in ids:
        admin.call("POST", f"/volumes/{id}/action", {"os-force_delete": {}})


def test_storage_is_taken_under_management_in_its_pod_and_let_go(
    admin: Cinder, pods: dict[str, Cinder], managed: list[str]
):
    host = f"{backend(pods['Pod2'])}#fake"
    ref = {"source-name": "any"}
    wish: dict[str, Any] = {"host": host, "ref": ref, "name": "managed"}
    made = admin.post("/manageable_volumes", {"volume": wish})["volume"]
    managed.append(made["id"])
    assert pods["Pod2"].get(f"/volumes/{made['id']}")["volume"]["name"] == "managed"
    for path in ("/manageable_volumes", "/os-snapshot-manage/detail"):
        query = f"{path}?host={host.replace('#', '%23')}"
        assert admin.get(query) == pods["Pod2"].get(query)
    elsewhere = {"volume": wish | {"availability_zone": "az1"}}
    assert admin.call("POST", "/manageable_volumes", elsewhere).status_code == 400
    admin.until(f"/volumes/{made['id']}")
    let_go = admin.call("POST", f"/volumes/{made['id']}/action", {"os-unmanage": {}})
    assert let_go.status_code == 202
    eventually(lambda: admin.call("GET", f"/volumes/{made['id']}").status_code == 404)
