"""What Neutron has for all projects, and of each: quotas, flavors, default rules, topologies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tenants import REGION, STRETCHED, Project, admin_cloud

PODS = ("Pod1", "Pod2")
DRIVER = "neutron.services.l3_router.service_providers.single_node.SingleNodeDriver"


def ask(cloud: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and document of a call to a cloud's Neutron."""
    answer = cloud.network.request(path, method, json=body, raise_exc=False)
    return answer.status_code, answer.json() if answer.content else None


@pytest.fixture(scope="module")
def admin() -> Any:
    return admin_cloud(REGION)


def test_a_quota_holds_in_every_pod_and_what_is_used_is_added_up(project: Project, admin: Any):
    one = f"/quotas/{project.id}"
    usual = ask(admin_cloud("Pod1"), "GET", one)
    assert ask(project.tenant, "GET", one) == usual == ask(admin, "GET", f"{one}/default")
    status, said = ask(admin, "PUT", one, {"quota": {"network": 90}})
    assert (status, said["quota"]) == (200, usual[1]["quota"] | {"network": 90})
    assert [ask(admin_cloud(pod), "GET", one) for pod in PODS] == [(200, said)] * 2
    project.network("az1")
    project.network("az2", "10.10.0.0/24")
    told = ask(project.tenant, "GET", f"{one}/details")[1]["quota"]["network"]
    assert told == {"limit": 90, "used": 2, "reserved": 0}
    # each pod has one of them: it is the sum that is more
    less = {"quota": {"network": 1}}
    status, refused = ask(admin, "PUT", one, less)
    words = "Quota limit 1 for network must be greater than or equal to already used 2"
    assert (status, refused["NeutronError"]["message"]) == (400, words)
    assert ask(admin, "GET", one) == (200, said)
    assert ask(admin, "PUT", one, {"quota": {"network": 1, "force": True}})[0] == 200
    assert ask(admin, "PUT", one, {"quota": {"network": 90}}) == (200, said)
    rows = ask(admin, "GET", "/quotas")[1]["quotas"]
    assert [row for row in rows if row["project_id"] == project.id] == [
        said["quota"] | {"project_id": project.id, "tenant_id": project.id}
    ]
    refusals = [("GET", "/quotas", None), ("PUT", one, {"quota": {"network": 5}})]
    for call in refusals:
        assert ask(project.tenant, *call) == ask(project.at("Pod1"), *call)
    wrong: Any = ("PUT", one, {"quota": {"nonsense": 1}})
    assert ask(admin, *wrong) == ask(admin_cloud("Pod1"), *wrong)
    assert ask(admin, "DELETE", one) == (204, None)
    assert ask(admin, "DELETE", one)[0] == 404
    assert [ask(admin_cloud(pod), "GET", one) for pod in PODS] == [usual] * 2


def made(admin: Any, path: str, key: str, **fields: Any) -> Any:
    status, said = ask(admin, "POST", path, {key: fields})
    assert status == 201, said
    return said[key]


def test_a_flavor_and_its_profile_are_in_every_pod_under_the_first_ones_ids(
    project: Project, admin: Any
):
    fields = {"name": project.name, "service_type": "L3_ROUTER_NAT"}
    profile = made(
        admin, "/service_profiles", "service_profile", metainfo=project.name, driver=DRIVER
    )
    flavor = made(admin, "/flavors", "flavor", **fields)
    try:
        one = f"/flavors/{flavor['id']}"
        path, body = f"{one}/service_profiles", {"service_profile": {"id": profile["id"]}}
        assert ask(admin, "POST", path, body)[0] == 201
        assert ask(admin, "POST", path, body)[0] == 409
        there = [ask(admin_cloud(pod), "GET", f"/flavors?name={project.name}")[1] for pod in PODS]
        found = [said["flavors"][0] for said in there]
        assert [len(row["service_profiles"]) for row in found] == [1, 1]
        assert found[0]["service_profiles"] != found[1]["service_profiles"]
        assert found[0] == flavor | {"service_profiles": [profile["id"]]}
        assert ask(admin, "GET", one) == (200, {"flavor": found[0]})
        shown = ask(project.tenant, "GET", f"/flavors?id={flavor['id']}")[1]["flavors"]
        assert shown == [found[0]]
        changed = {"flavor": {"description": "wide"}}
        assert ask(admin, "PUT", one, changed)[1]["flavor"]["description"] == "wide"
        again = ask(admin_cloud("Pod2"), "GET", f"/flavors?name={project.name}")[1]["flavors"]
        assert again == [found[1] | {"description": "wide"}]
        assert ask(project.tenant, "PUT", one, changed) == ask(
            project.at("Pod1"), "PUT", one, changed
        )
        wish = {"name": "r", "flavor_id": flavor["id"], "availability_zone_hints": ["az2"]}
        router = made(project.tenant, "/routers", "router", **wish)
        assert router["flavor_id"] == flavor["id"]
        there = ask(project.at("Pod2"), "GET", f"/routers/{router['id']}")[1]["router"]
        assert there["flavor_id"] == found[1]["id"]
        before = ask(admin, "GET", one)
        assert ask(admin, "DELETE", one)[0] == 409  # a pod has one of it: it stays in all
        assert ask(admin, "GET", one) == before
        assert ask(project.tenant, "DELETE", f"/routers/{router['id']}")[0] == 204
        assert ask(admin, "DELETE", f"/service_profiles/{profile['id']}")[0] == 409
        assert ask(admin, "DELETE", f"{path}/{profile['id']}") == (204, None)
    finally:
        ask(admin, "DELETE", f"/flavors/{flavor['id']}")
        ask(admin, "DELETE", f"/service_profiles/{profile['id']}")
    for pod in (*PODS, REGION):
        assert ask(admin_cloud(pod), "GET", f"/flavors?name={project.name}")[1] == {"flavors": []}
    assert ask(admin, "GET", one) == ask(admin_cloud("Pod1"), "GET", one)


def test_new_groups_of_both_pods_get_a_default_rule(project: Project, admin: Any):
    path, key = "/default-security-group-rules", "default_security_group_rule"
    rule = made(
        admin, path, key,
        direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22,
        used_in_default_sg=False, used_in_non_default_sg=False, description=project.name,
    )  # fmt: skip
    try:
        listed = ask(project.tenant, "GET", path)[1][f"{key}s"]
        assert rule in listed
        mine = f"{path}?description={project.name}"
        there = [ask(admin_cloud(pod), "GET", mine)[1][f"{key}s"] for pod in PODS]
        assert [[row | {"id": rule["id"]} for row in rows] for rows in there] == [[rule]] * 2
        assert ask(admin, "GET", f"{path}/{rule['id']}") == (200, {key: rule})
    finally:
        assert ask(admin, "DELETE", f"{path}/{rule['id']}") == (204, None)
    assert [ask(admin_cloud(pod), "GET", mine)[1] for pod in PODS] == [{f"{key}s": []}] * 2
    assert ask(admin, "DELETE", f"{path}/{rule['id']}") == ask(
        admin_cloud("Pod1"), "DELETE", f"{path}/{rule['id']}"
    )
    states = "/security-groups-default-statefulness"
    for call in (("GET", states), ("GET", f"{states}/none"), ("DELETE", f"{states}/none")):
        assert ask(admin, *call) == ask(admin_cloud("Pod1"), *call)


@pytest.fixture
def outside(request: Any) -> Iterator[str]:
    """A region whose Neutron has what topologies are made of."""
    network, pool = admin_cloud(request.param).network, None
    made = network.create_network(
        name="way-out", is_router_external=True, is_default=True,
        provider_network_type="flat", provider_physical_network="wayout",
    )  # fmt: skip
    try:
        network.create_subnet(network_id=made.id, cidr="198.51.100.0/24", ip_version=4)
        pool = network.create_subnet_pool(
            name="usual", prefixes=["10.77.0.0/16"], default_prefix_length=26, is_default=True,
            is_shared=True,
        )  # fmt: skip
        yield request.param
    finally:
        for one in network.ports(network_id=made.id):
            network.delete_port(one)
        network.delete_network(made)
        if pool is not None:
            network.delete_subnet_pool(pool)


def a_topology(project: Project, region: str) -> None:
    path = f"/auto-allocated-topology/{project.id}"
    tenant = project.tenant
    dry = ask(tenant, "GET", "/auto-allocated-topology/None?fields=dry-run")
    assert dry == ask(project.at(region), "GET", f"{path}?fields=dry-run")
    status, said = ask(tenant, "GET", path)
    assert status == 200
    assert (200, said) == ask(tenant, "GET", path) == ask(project.at(region), "GET", path)
    own = said["auto_allocated_topology"]["id"]
    assert tenant.network.get_network(own).name == "auto_allocated_network"
    assert ask(tenant, "DELETE", path) == (204, None)
    assert ask(tenant, "GET", f"/networks/{own}")[0] == 404


@pytest.mark.parametrize("outside", ["Pod2"], indirect=True)
def test_a_topology_is_made_in_the_pod_that_the_project_uses(project: Project, outside: str):
    project.network("az2")
    a_topology(project, outside)


@pytest.mark.parametrize("outside", ["Central"], indirect=True)
@pytest.mark.release
def test_over_pods_the_top_has_all_of_it(spanning: Project, outside: str):
    a_topology(spanning, outside)
    admin, top = admin_cloud(STRETCHED), admin_cloud("Central")
    one = f"/quotas/{spanning.id}"
    said = ask(admin, "PUT", one, {"quota": {"network": 90}})
    assert said[0] == 200
    assert ask(admin, "GET", "/quotas") == ask(top, "GET", "/quotas")
    assert said == ask(top, "GET", one) == ask(spanning.tenant, "GET", one)
    for path in (f"{one}/default", f"{one}/details", "/default-security-group-rules"):
        assert ask(admin, "GET", path) == ask(top, "GET", path)
    assert ask(admin, "DELETE", one) == (204, None)
    flavor = made(admin, "/flavors", "flavor", name=spanning.name, service_type="L3_ROUTER_NAT")
    assert ask(top, "GET", f"/flavors/{flavor['id']}") == (200, {"flavor": flavor})
    assert ask(admin, "DELETE", f"/flavors/{flavor['id']}") == (204, None)
    gone = f"/flavors/{flavor['id']}"
    assert ask(admin, "GET", gone) == ask(top, "GET", gone)
    for path in ("/service_profiles", "/security-groups-default-statefulness"):
        assert ask(admin, "GET", path) == ask(top, "GET", path)
