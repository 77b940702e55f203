"""A volume that goes to another project, and what goes with it."""

from __future__ import annotations

import time

import requests
from cinder import Cinder
from tenants import Project, admin_cloud


def owner_of(project: Project, kind: str, id: str) -> str:
    headers = {"X-Auth-Token": admin_cloud("RegionOne").auth_token}
    url = f"{project.appliance.url('admin')}/v1.0/routings/{kind}:{id}"
    return str(requests.get(url, headers=headers, timeout=30).json()["routing"]["project_id"])


def test_a_transfer_is_accepted_by_a_project_that_cannot_see_it(project: Project, other: Project):
    giver, taker = Cinder.of(project), Cinder.of(other)
    volume = project.volume("az2")
    snapshot = giver.post("/snapshots", {"snapshot": {"volume_id": volume.id, "name": "s"}})
    snapshot = giver.until(f"/snapshots/{snapshot['snapshot']['id']}")
    wish = {"transfer": {"volume_id": volume.id, "name": "gift"}}
    transfer = giver.post("/volume-transfers", wish)["transfer"]
    assert [t["name"] for t in giver.get("/volume-transfers")["transfers"]] == ["gift"]
    assert taker.call("GET", f"/volume-transfers/{transfer['id']}").status_code == 404

    path = f"/volume-transfers/{transfer['id']}/accept"
    wrong = taker.call("POST", path, {"accept": {"auth_key": "0" * 16}})
    assert wrong.status_code == 400
    taken = taker.post(path, {"accept": {"auth_key": transfer["auth_key"]}})["transfer"]
    assert taken["volume_id"] == volume.id
    assert taker.get(f"/volumes/{volume.id}")["volume"]["availability_zone"] == "az2"
    assert giver.call("GET", f"/volumes/{volume.id}").status_code == 404
    assert owner_of(project, "volume", volume.id) == other.id
    assert owner_of(project, "snapshot", snapshot["id"]) == other.id
    assert giver.get("/volume-transfers")["transfers"] == []


def test_a_transfer_that_was_made_in_a_pod_is_accepted_too(project: Project, other: Project):
    volume = project.volume("az2")
    wish = {"transfer": {"volume_id": volume.id, "name": "gift"}}
    transfer = Cinder.of(project, "Pod2").post("/volume-transfers", wish)["transfer"]
    done = other.cli(
        "openstack",
        *("volume", "transfer", "request", "accept"),
        *("--auth-key", transfer["auth_key"], transfer["id"]),
    )
    assert done.returncode == 0, done.stderr
    assert [v.id for v in other.tenant.block_storage.volumes()] == [volume.id]


def test_lists_of_transfers_are_those_of_one_cinder_in_each_version(project: Project):
    cinder = Cinder.of(project)
    for zone in ("az1", "az2", "az1"):
        wish = {"transfer": {"volume_id": project.volume(zone).id, "name": zone}}
        cinder.post("/volume-transfers", wish)
        time.sleep(1)  # Cinder keeps whole seconds, and of one second the ids decide

    def names(path: str, version: str) -> list[str]:
        return [row["name"] for row in cinder.get(path, version)["transfers"]]

    assert names("/volume-transfers/detail", "3.58") == ["az1", "az2", "az1"]
    assert names("/os-volume-transfer?limit=1&offset=1", "3.0") == ["az2"]
    assert names("/volume-transfers?sort=created_at:asc", "3.59") == ["az1", "az2", "az1"]
    first = cinder.get("/volume-transfers?limit=2", "3.59")
    assert "transfers_links" in first
    marker = first["transfers"][-1]["id"]
    assert len(names(f"/volume-transfers?limit=2&marker={marker}", "3.59")) == 1
