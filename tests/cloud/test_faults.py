"""A real pod that stops or freezes, and an appliance that is killed or loses its store."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tenants import Project, RealAppliance, eventually, lab


@pytest.fixture
def healed() -> Iterator[None]:
    """Whatever is done to Pod2, it works again afterwards."""
    yield
    lab("fault", "Pod2", "heal")


def get(
    project: Project, path: str, face: str = "compute", version: str = "2.1"
) -> requests.Response:
    url = project.appliance.url(face) + path
    headers = {"X-Auth-Token": project.token, "OpenStack-API-Version": f"compute {version}"}
    return requests.get(url, headers=headers, timeout=60)


def test_a_stopped_pod_is_named_by_lists_and_its_things_are_503(project: Project, healed: None):
    here, there = project.server("az1"), project.server("az2")
    lab("fault", "Pod2", "stop")
    listed = get(project, "/v2.1/servers")
    assert listed.status_code == 200
    assert [row["id"] for row in listed.json()["servers"]] == [here.id]
    assert listed.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    gone = get(project, f"/v2.1/servers/{there.id}")
    assert gone.status_code == 503 and gone.headers["Retry-After"]
    assert "Pod2" in gone.json()["serviceUnavailable"]["message"]
    _shown_as_of_a_down_cell(project, here.id, there)
    assert get(project, f"/v2.1/servers/{here.id}").status_code == 200
    # "none" would be believed, and a second one made
    assert get(project, "/v2.1/servers?name=vm-az2").status_code == 503
    body = {"name": "x", "imageRef": project.image, "flavorRef": "1"}
    for zone, status in (("az2", 503), ("az1", 202)):
        made = requests.post(
            project.appliance.url("compute") + "/v2.1/servers",
            json={"server": body | {"availability_zone": zone}},
            headers={"X-Auth-Token": project.token},
            timeout=60,
        )
        assert made.status_code == status, made.text
    assert "compute down" in project.appliance.command("pod", "list").stdout
    lab("fault", "Pod2", "heal")
    eventually(lambda: get(project, f"/v2.1/servers/{there.id}").status_code == 200, 120)


def _shown_as_of_a_down_cell(project: Project, here: str, there: Any) -> None:
    """From 2.69 on, what Nova says of the servers of a cell that is down."""
    for path, keys in (
        ("/v2.1/servers", {"id", "status", "links"}),
        ("/v2.1/servers/detail", {"id", "status", "links", "tenant_id", "created"}),
    ):
        listed = get(project, path, version="2.69")
        rows = listed.json()["servers"]
        assert [row["id"] for row in rows] == [there.id, here]
        assert set(rows[0]) == keys and rows[0]["status"] == "UNKNOWN"
        assert listed.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
        for query in ("limit=5", "sort_key=uuid", "marker=" + here):
            rows = get(project, f"{path}?{query}", version="2.69").json()["servers"]
            assert there.id not in {row["id"] for row in rows}
    server = get(project, f"/v2.1/servers/{there.id}", version="2.71").json()["server"]
    assert set(server) == {
        *("id", "status", "tenant_id", "created", "links", "image", "flavor", "user_id"),
        *("OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "server_groups"),
    }
    assert (server["status"], server["created"]) == ("UNKNOWN", there.created_at)
    assert server["flavor"]["original_name"] == there.flavor.original_name
    assert server["image"]["id"] == project.image
    assert server["links"][0]["href"].startswith(project.appliance.url("compute"))
    assert (
        "server_groups"
        not in get(project, f"/v2.1/servers/{there.id}", version="2.69").json()["server"]
    )


def test_a_frozen_pod_costs_one_time_out_and_then_nothing(project: Project, healed: None):
    project.server("az1")
    lab("fault", "Pod2", "freeze")
    eventually(
        lambda: (
            "X-Trio2o-Unavailable-Pods" in get(project, "/v2.1/servers").headers
            and get(project, "/v2.1/servers").elapsed.total_seconds() < 2
        ),
        180,
    )


@pytest.mark.parametrize("lose_the_store", [False, True])
def test_what_the_pods_have_is_found_again_after_a_kill(
    project: Project, appliance: RealAppliance, lose_the_store: bool
):
    server, volume = project.server("az2"), project.volume("az2")
    net = project.network("az2")
    appliance.end(signal.SIGKILL)
    if lose_the_store:
        shutil.rmtree(appliance.folder / "state")
    appliance.start()
    if lose_the_store:
        for words in (("Trio2oTest",), ("Pod1", "--az", "az1"), ("Pod2", "--az", "az2")):
            assert appliance.command("pod", "add", *words).returncode == 0
    assert project.tenant.compute.get_server(server.id).availability_zone == "az2"
    assert project.tenant.block_storage.get_volume(volume.id).availability_zone == "az2"
    assert project.tenant.network.get_network(net.id).name == "net-az2"
    project.tenant.compute.delete_server(server.id)
    eventually(lambda: not list(project.tenant.compute.servers()))


def test_a_pod_with_servers_is_not_removed_by_mistake(project: Project, appliance: RealAppliance):
    server = project.server("az1")
    refused = appliance.command("pod", "remove", "Pod1")
    assert refused.returncode != 0 and "still has" in refused.stderr
    assert project.tenant.compute.get_server(server.id).status == "ACTIVE"


def test_no_secret_is_in_the_log(project: Project, appliance: RealAppliance):
    project.server("az1")
    log = appliance.log()
    assert project.token not in log and "trio2o serves" in log.lower()
    assert "identity.password" not in log and "X-Auth-Token" not in log
