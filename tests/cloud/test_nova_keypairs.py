"""Keypairs over two real Novas: one key, whatever pod a server is in."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from openstack import exceptions
from tenants import Project, admin_cloud, eventually

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9xkC3sOz9Gm0wP4n1m3V7vX1oXy0hG0N1gG9k1m0aA someone"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8l6mJ0fX3v7mC1y8r0p5n2wq4kq3zS2uV8c0d5e6fG someone"


def names(cloud: Any) -> list[str]:
    return [key.name for key in cloud.compute.keypairs()]


def reconcilers(project: Project, method: str, path: str = "") -> Any:
    headers = {"X-Auth-Token": admin_cloud("RegionOne").auth_token}
    url = f"{project.appliance.url('admin')}/v1.0/reconcilers{path}"
    answer = requests.request(method, url, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_key_serves_servers_in_every_zone(project: Project):
    tenant = project.tenant
    made = tenant.compute.create_keypair(name="mine", public_key=PUBLIC)
    assert made.private_key is None
    for zone in ("az1", "az2"):
        assert project.server(zone, key_name="mine").key_name == "mine"
    for pod in ("Pod1", "Pod2"):
        there = project.at(pod).compute.get_keypair("mine")
        assert there.fingerprint == made.fingerprint
    assert names(tenant) == ["mine"]
    shown = tenant.compute.get_keypair("mine")
    assert (shown.public_key, shown.user_id) == (PUBLIC, made.user_id)
    with pytest.raises(exceptions.ConflictException, match="already exists"):
        tenant.compute.create_keypair(name="mine", public_key=PUBLIC)
    tenant.compute.delete_keypair("mine")
    assert names(tenant) == names(project.at("Pod1")) == names(project.at("Pod2")) == []
    assert tenant.compute.find_keypair("mine") is None


def test_a_generated_key_is_told_once_and_is_in_every_pod(project: Project):
    tenant = project.tenant
    answer = tenant.compute.post(
        "/os-keypairs", json={"keypair": {"name": "made"}}, microversion="2.91"
    )
    assert answer.status_code == 201
    made = answer.json()["keypair"]
    assert "PRIVATE KEY" in made["private_key"]
    assert "private_key" not in json.dumps(
        tenant.compute.get("/os-keypairs/made", microversion="2.91").json()
    )
    for pod in ("Pod1", "Pod2"):
        assert project.at(pod).compute.get_keypair("made").fingerprint == made["fingerprint"]


def test_what_nova_refuses_is_refused_in_its_words(project: Project):
    compute, pod = project.tenant.compute, project.at("Pod1").compute
    for body in (
        {"keypair": {"name": "x", "public_key": "nonsense"}},
        {"keypair": {"public_key": PUBLIC}},
        {"keypair": {"name": "", "public_key": PUBLIC}},
        {"keypair": {"name": "x" * 300, "public_key": PUBLIC}},
        {"keypair": {"name": "x", "public_key": PUBLIC, "odd": 1}},
        {"keypair": {"name": "x"}},
        {},
    ):
        for version in ("2.1", "2.92"):
            if version == "2.1" and body == {"keypair": {"name": "x"}}:
                continue  # that makes a key
            ours = compute.post("/os-keypairs", json=body, microversion=version)
            theirs = pod.post("/os-keypairs", json=body, microversion=version)
            assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), body
    for path in ("/os-keypairs/unknown", "/os-keypairs?limit=x", "/os-keypairs?marker=no"):
        ours = compute.get(path, microversion="2.60")
        theirs = pod.get(path, microversion="2.60")
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), path
    assert names(project.tenant) == []


def test_keys_come_by_name_in_pages_and_in_the_shape_of_each_version(project: Project):
    compute = project.tenant.compute
    for name in ("c", "a", "b"):
        compute.create_keypair(name=name, public_key=PUBLIC)
    first = compute.get("/os-keypairs?limit=1", microversion="2.35").json()
    path = first["keypairs_links"][0]["href"].partition("/v2.1")[2]
    second = compute.get(path, microversion="2.35").json()
    assert [item["keypair"]["name"] for item in second["keypairs"]] == ["b"]
    whole = compute.get("/os-keypairs?limit=1", microversion="2.10").json()
    assert len(whole["keypairs"]) == 3
    page = compute.get("/os-keypairs?limit=2&marker=a", microversion="2.35").json()
    assert [item["keypair"]["name"] for item in page["keypairs"]] == ["b", "c"]
    assert page["keypairs_links"][0]["href"].startswith(project.appliance.url("compute"))
    pod = project.at("Pod1").compute
    for version in ("2.1", "2.2", "2.10", "2.35", "2.92"):
        for path in ("/os-keypairs", "/os-keypairs/a"):
            ours = compute.get(path, microversion=version).json()
            theirs = pod.get(path, microversion=version).json()
            one, other = (
                body.get("keypair") or body["keypairs"][0]["keypair"] for body in (ours, theirs)
            )
            assert set(one) == set(other), (version, path)
            own = ("id", "created_at")
            assert {k: v for k, v in one.items() if k not in own} == {
                k: v for k, v in other.items() if k not in own
            }
    deleted = compute.delete("/os-keypairs/a", microversion="2.1")
    assert deleted.status_code == 202
    assert compute.delete("/os-keypairs/b", microversion="2.2").status_code == 204


def test_an_admin_has_keys_for_others_and_nobody_else_has(project: Project):
    admin, user = admin_cloud(), project.tenant.current_user_id
    made = admin.compute.create_keypair(name="given", public_key=PUBLIC, user_id=user)
    assert made.user_id == user
    assert names(project.tenant) == ["given"]
    assert [key.name for key in admin.compute.keypairs(user_id=user)] == ["given"]
    other = admin.current_user_id
    for path in (f"/os-keypairs?user_id={other}", f"/os-keypairs/x?user_id={other}"):
        ours = project.tenant.compute.get(path, microversion="2.60")
        theirs = project.at("Pod1").compute.get(path, microversion="2.60")
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    admin.compute.delete_keypair("given", user_id=user)
    assert names(project.tenant) == []


def test_keys_that_were_in_a_pod_before_are_taken_up(project: Project):
    project.at("Pod2").compute.create_keypair(name="old", public_key=PUBLIC)
    assert names(project.tenant) == ["old"]
    server = project.server("az1", key_name="old")
    assert server.key_name == "old"
    assert names(project.at("Pod1")) == ["old"]


def test_another_key_of_the_same_name_is_left_alone_and_reported(project: Project):
    project.at("Pod1").compute.create_keypair(name="k", public_key=PUBLIC)
    project.at("Pod2").compute.create_keypair(name="k", public_key=OTHER)
    assert names(project.tenant) == ["k"]
    kept = project.tenant.compute.get_keypair("k").public_key
    right, wrong = ("az1", "az2") if kept == PUBLIC else ("az2", "az1")
    assert project.server(right, key_name="k").key_name == "k"
    with pytest.raises(exceptions.ConflictException, match="another key pair"):
        project.server(wrong, key_name="k")
    assert project.at("Pod2").compute.get_keypair("k").public_key == OTHER
    told = reconcilers(project, "GET")
    keys = [problem["key"] for problem in told["problems"]]
    assert f"{project.tenant.current_user_id}/k" in keys
    assert "keypairs" in [loop["name"] for loop in told["reconcilers"]]


def test_a_key_that_vanished_from_a_pod_is_put_back_by_a_pass(project: Project):
    project.tenant.compute.create_keypair(name="k", public_key=PUBLIC)
    project.at("Pod2").compute.delete_keypair("k")
    told = reconcilers(project, "POST", "/keypairs/run")["reconciler"]
    assert told["mended"] >= 1
    assert names(project.at("Pod2")) == ["k"]


def test_the_openstack_client_makes_and_uses_a_key(project: Project, tmp_path: Any):
    file = tmp_path / "key.pub"
    file.write_text(PUBLIC)
    project.cli_json("keypair", "create", "--public-key", str(file), "cli")
    assert [row["Name"] for row in project.cli_json("keypair", "list")] == ["cli"]
    server = project.server("az2", key_name="cli")
    assert project.cli_json("server", "show", server.id)["key_name"] == "cli"
    assert project.cli("openstack", "keypair", "delete", "cli").returncode == 0
    eventually(lambda: project.cli_json("keypair", "list") == [])
