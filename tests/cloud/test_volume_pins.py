"""Where new volumes go, what Nova makes in Cinder, and a pod that is down."""

from __future__ import annotations

import time

import pytest
from cinder import Cinder
from openstack import exceptions
from tenants import Project, eventually, lab


def test_a_volume_without_an_az_follows_its_project(project: Project):
    project.server("az2")
    made = project.tenant.block_storage.create_volume(size=1, name="follows")
    shown = project.tenant.block_storage.wait_for_status(made, wait=60, interval=0.5)
    assert shown.availability_zone == "az2"


def test_what_a_volume_is_made_of_and_made_beside_pins_it(project: Project):
    block, cinder = project.tenant.block_storage, Cinder.of(project)
    here, server = project.volume("az2"), project.server("az2")
    for hints in ({"same_host": [here.id]}, {"same_host": here.id}):
        wish = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": hints}
        made = cinder.post("/volumes", wish)["volume"]
        assert made["availability_zone"] == "az2"
    # what becomes of it is for the pod to say
    wish = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"local_to_instance": server.id}}
    assert cinder.call("POST", "/volumes", wish).json()["volume"]["availability_zone"] == "az2"
    wish["volume"]["availability_zone"] = "az1"  # type: ignore[index]
    refused = cinder.call("POST", "/volumes", wish)
    assert (refused.status_code, server.id in refused.text) == (400, True)
    in_pod = block.create_volume(size=1, name="own", availability_zone="az2.Pod2")
    shown = block.wait_for_status(in_pod, wait=60, interval=0.5)
    assert shown.availability_zone == "az2"
    with pytest.raises(exceptions.BadRequestException, match="Availability zone 'az9' is invalid"):
        block.create_volume(size=1, availability_zone="az9")


def test_a_volume_of_an_image_that_embeds_a_snapshot_is_made_where_that_is(project: Project):
    cinder, image = Cinder.of(project), project.tenant.image
    volume = project.volume("az2")
    made = cinder.post("/snapshots", {"snapshot": {"volume_id": volume.id}})["snapshot"]
    snapshot = cinder.until(f"/snapshots/{made['id']}")
    mapping = f'[{{"source_type": "snapshot", "snapshot_id": "{snapshot["id"]}"}}]'
    hidden = image.create_image(
        name="hidden",
        disk_format="raw",
        container_format="bare",
        allow_duplicates=True,
        block_device_mapping=mapping,
    )
    wish = {"volume": {"size": 1, "imageRef": hidden.id, "availability_zone": "az1"}}
    refused = cinder.call("POST", "/volumes", wish)
    assert refused.status_code == 400
    assert snapshot["id"] in refused.text
    assert cinder.get("/volumes/detail")["volumes"][0]["id"] == volume.id


def test_what_nova_attaches_is_seen_and_other_pods_are_refused(project: Project):
    compute, cinder = project.tenant.compute, Cinder.of(project)
    server, volume, elsewhere = project.server("az2"), project.volume("az2"), project.volume("az1")
    compute.create_volume_attachment(server, volume_id=volume.id)
    cinder.until(f"/volumes/{volume.id}", "in-use")
    (brief,) = cinder.get("/attachments")["attachments"]
    assert (brief["volume_id"], brief["instance"]) == (volume.id, server.id)
    shown = cinder.get(f"/attachments/{brief['id']}")["attachment"]
    assert (shown["id"], shown["status"]) == (brief["id"], "attached")
    (detail,) = cinder.get(f"/attachments/detail?volume_id={volume.id}")["attachments"]
    assert detail["attached_at"] == shown["attached_at"]

    for call, path in (
        ({"os-attach": {"instance_uuid": server.id, "mountpoint": "/dev/vdc"}}, "/action"),
        ({"revert": {"snapshot_id": _snapshot(cinder, volume.id)}}, "/action"),
    ):
        refused = cinder.call("POST", f"/volumes/{elsewhere.id}{path}", call)
        assert refused.status_code == 400, refused.text
        for word in (elsewhere.id, "az1", "az2"):
            assert word in refused.text
    wish = {"attachment": {"volume_uuid": elsewhere.id, "instance_uuid": server.id}}
    assert cinder.call("POST", "/attachments", wish).status_code == 400
    assert cinder.get(f"/volumes/{elsewhere.id}")["volume"]["status"] == "available"

    reserved = cinder.post("/attachments", {"attachment": {"volume_uuid": elsewhere.id}})
    id = reserved["attachment"]["id"]
    assert cinder.call("DELETE", f"/attachments/{id}").status_code == 200
    assert cinder.call("GET", f"/attachments/{id}").status_code == 404
    compute.delete_volume_attachment(server, volume.id)
    cinder.until(f"/volumes/{volume.id}")


def _snapshot(cinder: Cinder, volume: str) -> str:
    wish = {"snapshot": {"volume_id": volume, "force": True}}
    made = cinder.post("/snapshots", wish, "3.65")["snapshot"]
    cinder.until(f"/snapshots/{made['id']}")
    return str(made["id"])


def test_what_a_pod_that_is_down_has_is_not_denied(project: Project):
    cinder = Cinder.of(project)
    one, two = project.volume("az1"), project.volume("az2")
    lab("fault", "Pod2", "stop")
    try:
        answer = eventually(
            lambda: (
                found
                if (found := cinder.call("GET", "/volumes/detail?with_count=True")).headers.get(
                    "X-Trio2o-Unavailable-Pods"
                )
                else None
            )
        )
        assert [row["id"] for row in answer.json()["volumes"]] == [one.id]
        assert "count" not in answer.json()
        assert cinder.call("GET", "/volumes?name=x").status_code == 503
        assert cinder.call("GET", f"/volumes/{two.id}").status_code == 503
        assert cinder.get(f"/volumes/{one.id}")["volume"]["id"] == one.id
        for path in ("/backups", "/groups", "/attachments", "/messages", "/volume-transfers"):
            found = cinder.call("GET", path)
            assert found.headers["X-Trio2o-Unavailable-Pods"] == "Pod2", path
        assert cinder.get("/types")["volume_types"]
        assert cinder.get("/limits")["limits"]["absolute"]["totalVolumesUsed"] == 1
        made = cinder.post("/volumes", {"volume": {"size": 1, "availability_zone": "az1"}})
        cinder.until(f"/volumes/{made['volume']['id']}")
    finally:
        lab("fault", "Pod2", "heal")
    eventually(lambda: cinder.call("GET", f"/volumes/{two.id}").status_code == 200, 90)
    time.sleep(1)
    assert cinder.get("/volumes?with_count=True")["count"] == 3
