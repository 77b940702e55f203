"""Server groups over two real Novas: one id for the tenant, members in every pod."""

from __future__ import annotations

from typing import Any

import pytest
from openstack import exceptions
from tenants import Project, eventually


def boot(project: Project, group: str, zone: str = "", **more: Any) -> Any:
    body = {"name": "m", "flavorRef": "1", "imageRef": project.image, "networks": "none"}
    if zone:
        body["availability_zone"] = zone
    wish = {"server": body | more, "os:scheduler_hints": {"group": group}}
    compute = project.tenant.compute
    return compute.post("/servers", json=wish, microversion="2.60")


def booted(project: Project, group: str, zone: str = "") -> Any:
    made = boot(project, group, zone)
    assert made.status_code == 202, made.text
    compute = project.tenant.compute
    server = compute.get_server(made.json()["server"]["id"])
    return compute.wait_for_server(server, wait=60, interval=0.5)


def test_a_group_has_members_in_every_pod_under_one_id(project: Project):
    compute = project.tenant.compute
    group = compute.create_server_group(name="g", policy="soft-anti-affinity")
    one, two = booted(project, group.id, "az1"), booted(project, group.id, "az2")
    assert (one.availability_zone, two.availability_zone) == ("az1", "az2")
    shown = compute.get_server_group(group.id)
    assert set(shown.member_ids) == {one.id, two.id}
    assert (shown.project_id, shown.user_id) == (project.id, project.tenant.current_user_id)
    for server in (one, two):
        path = f"/servers/{server.id}"
        groups = compute.get(path, microversion="2.71").json()["server"]["server_groups"]
        assert groups == [group.id]
    rows = compute.get("/servers/detail", microversion="2.100").json()["servers"]
    for row in rows:
        assert row["scheduler_hints"]["group"] in (group.id, [group.id])
    (listed,) = compute.server_groups()
    assert listed.id == group.id and set(listed.member_ids) == {one.id, two.id}
    there = [item.name for item in project.at("Pod2").compute.server_groups()]
    assert there == ["g"]
    compute.delete_server_group(group.id)
    assert list(compute.server_groups()) == []
    for pod in ("Pod1", "Pod2"):
        assert list(project.at(pod).compute.server_groups()) == []


def test_affinity_keeps_members_in_one_pod(project: Project):
    compute = project.tenant.compute
    group = compute.create_server_group(name="close", policy="affinity")
    assert booted(project, group.id, "az2").availability_zone == "az2"
    assert booted(project, group.id).availability_zone == "az2"
    refused = boot(project, group.id, "az1")
    assert refused.status_code == 400
    for word in ("az1", "az2", group.id):
        assert word in refused.json()["badRequest"]["message"]


@pytest.mark.parametrize("version", ["2.1", "2.13", "2.15", "2.63", "2.64", "2.96"])
def test_a_group_is_shown_as_each_version_shows_it(project: Project, version: str):
    compute, pod = project.tenant.compute, project.at("Pod1").compute
    policy = {"policies": ["anti-affinity"]}
    if version in ("2.64", "2.96"):
        policy = {"policy": "anti-affinity", "rules": {"max_server_per_host": 3}}
    body = {"server_group": {"name": "g", **policy}}
    made = compute.post("/os-server-groups", json=body, microversion=version)
    assert made.status_code == 200
    id = made.json()["server_group"]["id"]
    for path in (f"/os-server-groups/{id}", "/os-server-groups", "/os-server-groups?limit=1"):
        ours, theirs = (cloud.get(path, microversion=version) for cloud in (compute, pod))
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), path


def test_what_nova_refuses_is_refused_in_its_words(project: Project):
    compute, pod = project.tenant.compute, project.at("Pod1").compute
    for body in (
        {},
        {"server_group": {"name": "x"}},
        {"server_group": {"name": "", "policies": ["affinity"]}},
        {"server_group": {"name": "x", "policies": ["nonsense"]}},
        {"server_group": {"name": "x", "policies": ["affinity"], "odd": 1}},
    ):
        ours = compute.post("/os-server-groups", json=body, microversion="2.60")
        theirs = pod.post("/os-server-groups", json=body, microversion="2.60")
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), body
    unknown = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
    for method in ("GET", "DELETE"):
        path = f"/os-server-groups/{unknown}"
        ours = compute.request(path, method, microversion="2.60")
        theirs = pod.request(path, method, microversion="2.60")
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    assert boot(project, unknown).status_code == 400


def test_a_group_that_a_pod_had_before_pins_its_pod(project: Project):
    there = project.at("Pod2").compute.create_server_group(name="old", policy="anti-affinity")
    server = booted(project, there.id)
    assert server.availability_zone == "az2"
    assert boot(project, there.id, "az1").status_code == 400


def test_another_projects_group_is_not_found(project: Project):
    group = project.at("Pod1").compute.create_server_group(name="theirs", policy="affinity")
    assert project.tenant.compute.get_server_group(group.id).name == "theirs"
    made = project.tenant.compute.create_server_group(name="mine", policy="affinity")
    project.tenant.compute.delete_server_group(made.id)
    with pytest.raises(exceptions.NotFoundException):
        project.tenant.compute.get_server_group(made.id)
    eventually(lambda: not list(project.at("Pod2").compute.server_groups()))
