"""What operators ask Nova, and what Nova shows of other services, over two real Novas."""

from __future__ import annotations

from typing import Any

import pytest
from tenants import Project, admin_cloud, eventually


def ask(cloud: Any, method: str, path: str, version: str, **more: Any) -> Any:
    answer = cloud.compute.request(path, method, microversion=version, **more)
    assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
    return answer.json() if answer.content else None


def status(cloud: Any, method: str, path: str, version: str, **more: Any) -> int:
    found: int = cloud.compute.request(path, method, microversion=version, **more).status_code
    return found


@pytest.fixture
def admin(project: Project) -> Any:
    return admin_cloud()


@pytest.mark.parametrize("version", ["2.1", "2.33", "2.52", "2.53", "2.88"])
def test_hypervisors_of_all_pods_are_listed_and_shown(admin: Any, version: str):
    rows = ask(admin, "GET", "/os-hypervisors/detail", version)["hypervisors"]
    assert [row["hypervisor_hostname"] for row in rows] == ["pod1-node1", "pod2-node1"]
    for row in rows:
        shown = ask(admin, "GET", f"/os-hypervisors/{row['id']}", version)["hypervisor"]
        assert (shown["id"], shown["service"]) == (row["id"], row["service"])
    assert len({str(row["id"]) for row in rows}) == 2
    if version != "2.1":
        first = ask(admin, "GET", "/os-hypervisors?limit=1", version)
        assert [row["id"] for row in first["hypervisors"]] == [rows[0]["id"]]
        marker = f"/os-hypervisors?limit=1&marker={rows[0]['id']}"
        assert [row["id"] for row in ask(admin, "GET", marker, version)["hypervisors"]] == [
            rows[1]["id"]
        ]


def test_a_hypervisor_is_searched_for_in_all_pods(admin: Any):
    found = ask(admin, "GET", "/os-hypervisors/pod2/search", "2.52")["hypervisors"]
    assert [row["hypervisor_hostname"] for row in found] == ["pod2-node1"]
    assert len(ask(admin, "GET", "/os-hypervisors/node1/search", "2.52")["hypervisors"]) == 2
    assert status(admin, "GET", "/os-hypervisors/nothing/search", "2.52") == 404
    path = "/os-hypervisors?hypervisor_hostname_pattern="
    assert len(ask(admin, "GET", f"{path}pod1", "2.53")["hypervisors"]) == 1
    assert status(admin, "GET", f"{path}nothing", "2.53") == 404


def test_statistics_are_those_of_both_pods(admin: Any):
    ours = ask(admin, "GET", "/os-hypervisors/statistics", "2.87")["hypervisor_statistics"]
    parts = [
        ask(admin_cloud(pod), "GET", "/os-hypervisors/statistics", "2.87")["hypervisor_statistics"]
        for pod in ("Pod1", "Pod2")
    ]
    assert ours["count"] == 2
    assert ours["vcpus"] == sum(part["vcpus"] for part in parts)


def test_a_service_is_disabled_by_its_uuid_and_by_its_host(admin: Any):
    def services(version: str) -> list[Any]:
        rows = ask(admin, "GET", "/os-services?binary=nova-compute", version)["services"]
        return [row for row in rows if row["host"] == "pod2-node1"]

    (service,) = services("2.53")
    assert service["zone"] == "az2"
    try:
        path = f"/os-services/{service['id']}"
        ask(admin, "PUT", path, "2.53", json={"status": "disabled", "disabled_reason": "test"})
        assert services("2.53")[0]["disabled_reason"] == "test"
    finally:
        body = {"host": "pod2-node1", "binary": "nova-compute"}
        ask(admin, "PUT", "/os-services/enable", "2.52", json=body)
    assert services("2.1")[0]["status"] == "enabled"
    assert status(admin, "PUT", "/os-services/enable", "2.52", json=body | {"host": "x"}) == 404


def test_hosts_are_shown_by_name(admin: Any):
    names = {row["host_name"] for row in ask(admin, "GET", "/os-hosts", "2.42")["hosts"]}
    assert names == {"pod1-node1", "pod2-node1"}
    host = ask(admin, "GET", "/os-hosts/pod2-node1", "2.42")["host"]
    assert host[0]["resource"]["host"] == "pod2-node1"
    assert status(admin, "GET", "/os-hosts/unknown", "2.42") == 404


def test_usage_and_limits_are_of_both_pods(project: Project):
    project.server("az1")
    project.server("az2")
    limits = ask(project.tenant, "GET", "/limits", "2.60")["limits"]["absolute"]
    assert (limits["totalInstancesUsed"], limits["maxTotalInstances"]) == (2, 10)
    used = ask(project.tenant, "GET", f"/os-quota-sets/{project.id}/detail", "2.60")["quota_set"]
    assert used["instances"]["in_use"] == 2
    path = f"/os-simple-tenant-usage/{project.id}?detailed=1"
    for version in ("2.1", "2.40"):

        def usage_of_both(version: str = version) -> Any:
            """MySQL rounds `launched_at` up: Nova counts a server from the next second on."""
            told = ask(project.tenant, "GET", path, version)["tenant_usage"]
            names = sorted(row["name"] for row in told.get("server_usages", []))
            return told if names == ["vm-az1", "vm-az2"] else None

        usage = eventually(usage_of_both)
        whole = sum(row["hours"] for row in usage["server_usages"])
        assert usage["total_hours"] == pytest.approx(whole)
    first = ask(project.tenant, "GET", f"{path}&limit=1", "2.40")
    assert len(first["tenant_usage"]["server_usages"]) == 1
    (link,) = first["tenant_usage_links"]
    assert link["href"].startswith(project.appliance.url("compute"))
    total = admin_cloud()
    rows = ask(total, "GET", "/os-simple-tenant-usage", "2.40")["tenant_usages"]
    assert project.id in {row["tenant_id"] for row in rows}


def test_a_quota_is_written_to_every_pod(project: Project, admin: Any):
    path = f"/os-quota-sets/{project.id}"
    ask(admin, "PUT", path, "2.60", json={"quota_set": {"instances": 7}})
    assert ask(project.tenant, "GET", path, "2.60")["quota_set"]["instances"] == 7
    for pod in ("Pod1", "Pod2"):
        there = ask(admin_cloud(pod), "GET", path, "2.60")["quota_set"]
        assert there["instances"] == 7
    assert status(admin, "DELETE", path, "2.60") == 202
    assert ask(project.tenant, "GET", path, "2.60")["quota_set"]["instances"] == 10
    assert status(admin, "PUT", path, "2.60", json={"quota_set": {"nonsense": 1}}) == 400


def test_a_quota_that_a_later_pod_refuses_is_changed_in_none(project: Project, admin: Any):
    project.server("az2")  # so that Pod2 has more than none, and Pod1 has not
    path = f"/os-quota-sets/{project.id}"
    ask(admin, "PUT", path, "2.60", json={"quota_set": {"instances": 7}})
    assert status(admin, "PUT", path, "2.60", json={"quota_set": {"instances": 0}}) == 400
    for pod in ("Pod1", "Pod2"):
        there = ask(admin_cloud(pod), "GET", path, "2.60")["quota_set"]
        assert there["instances"] == 7, pod


def test_events_reach_the_servers_of_both_pods(project: Project, admin: Any):
    servers = [project.server("az1").id, project.server("az2").id]
    unknown = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"

    def send(*ids: str) -> Any:
        events = [{"name": "network-changed", "server_uuid": id} for id in ids]
        path = "/os-server-external-events"
        return admin.compute.post(path, json={"events": events}, microversion="2.60")

    both = send(*servers)
    assert (both.status_code, [e["code"] for e in both.json()["events"]]) == (200, [200, 200])
    mixed = send(servers[1], unknown, servers[0])
    assert mixed.status_code == 207
    assert [e["code"] for e in mixed.json()["events"]] == [200, 404, 200]
    assert [e["server_uuid"] for e in mixed.json()["events"]] == [servers[1], unknown, servers[0]]
    alone = admin_cloud("Pod1").compute.post(
        "/os-server-external-events",
        json={"events": [{"name": "network-changed", "server_uuid": unknown}]},
        microversion="2.60",
    )
    assert send(unknown).status_code == alone.status_code


def test_images_are_shown_by_nova_up_to_2_35(project: Project):
    rows = ask(project.tenant, "GET", "/images/detail", "2.35")["images"]
    image = next(row for row in rows if row["name"] == "cirros")
    hrefs = {link["rel"]: link["href"] for link in image["links"]}
    assert hrefs["self"].startswith(project.appliance.url("compute"))
    assert hrefs["alternate"].startswith(project.appliance.url("image"))
    assert ask(project.tenant, "GET", f"/images/{image['id']}", "2.1")["image"] == image
    assert status(project.tenant, "GET", "/images", "2.36") == 404


def test_volumes_are_shown_and_made_by_nova_up_to_2_35(project: Project):
    tenant = project.tenant
    body = {"volume": {"size": 1, "display_name": "v", "availability_zone": "az2"}}
    made = ask(tenant, "POST", "/os-volumes", "2.35", json=body)["volume"]
    assert made["availabilityZone"] == "az2"
    volume = tenant.block_storage.wait_for_status(
        tenant.block_storage.get_volume(made["id"]), interval=0.5
    )
    assert project.at("Pod2").block_storage.get_volume(made["id"]).name == "v"
    other = project.volume("az1")
    listed = ask(tenant, "GET", "/os-volumes", "2.35")["volumes"]
    assert {row["id"] for row in listed} == {other.id, volume.id}
    order = [(row["createdAt"], row["id"]) for row in listed]
    assert order == sorted(order, reverse=True)
    (first,) = ask(tenant, "GET", "/os-volumes?limit=1", "2.35")["volumes"]
    assert first["id"] == listed[0]["id"]
    snapshot = {"snapshot": {"volume_id": volume.id, "display_name": "s"}}
    id = ask(tenant, "POST", "/os-snapshots", "2.35", json=snapshot)["snapshot"]["id"]
    assert [r["id"] for r in ask(tenant, "GET", "/os-snapshots", "2.35")["snapshots"]] == [id]
    tenant.block_storage.wait_for_status(tenant.block_storage.get_snapshot(id), interval=0.5)
    assert status(tenant, "DELETE", f"/os-snapshots/{id}", "2.35") == 202


def test_groups_and_addresses_are_shown_by_nova_up_to_2_35(project: Project):
    tenant = project.tenant
    groups = ask(tenant, "GET", "/os-security-groups", "2.35")["security_groups"]
    assert [group["name"] for group in groups] == ["default"]
    wish = {"security_group": {"name": "web", "description": "d"}}
    group = ask(tenant, "POST", "/os-security-groups", "2.35", json=wish)["security_group"]
    rule = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 80, "to_port": 80}
    rule |= {"cidr": "0.0.0.0/0"}
    made = ask(
        tenant, "POST", "/os-security-group-rules", "2.35", json={"security_group_rule": rule}
    )["security_group_rule"]
    shown = ask(tenant, "GET", f"/os-security-groups/{group['id']}", "2.35")["security_group"]
    assert [one["id"] for one in shown["rules"]] == [made["id"]]
    assert status(tenant, "DELETE", f"/os-security-group-rules/{made['id']}", "2.35") == 202
    assert status(tenant, "DELETE", f"/os-security-groups/{group['id']}", "2.35") == 202
    assert ask(tenant, "GET", "/os-floating-ips", "2.35") == {"floating_ips": []}
    network = project.network("az2")
    shown = ask(tenant, "GET", f"/os-tenant-networks/{network.id}", "2.35")["network"]
    assert shown["label"] == network.name
