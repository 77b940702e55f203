"""The volume face over two real Cinders, and attaching through the compute face."""

from __future__ import annotations

import pytest
from openstack import exceptions
from tenants import Project, eventually


def names(rows) -> list[str]:
    return [row.name for row in rows]


def test_volumes_land_in_the_pod_of_their_zone_and_are_listed_together(project: Project):
    one, two = project.volume("az1"), project.volume("az2")
    assert (one.availability_zone, two.availability_zone) == ("az1", "az2")
    assert names(project.at("Pod1").block_storage.volumes()) == ["vol-az1"]
    assert names(project.at("Pod2").block_storage.volumes()) == ["vol-az2"]
    block = project.tenant.block_storage
    whole = names(block.volumes())
    assert set(whole) == {"vol-az1", "vol-az2"}
    assert names(block.volumes(limit=1)) == whole
    assert names(block.volumes(details=False, limit=1)) == whole
    for sort, order in (("name:asc", ["vol-az1", "vol-az2"]), ("name", ["vol-az2", "vol-az1"])):
        found = block.get(f"/volumes?sort={sort}&limit=5").json()["volumes"]
        assert [row["name"] for row in found] == order
    assert names(block.volumes(name="vol-az2")) == ["vol-az2"]


def test_what_is_made_of_a_volume_is_in_its_pod(project: Project):
    block = project.tenant.block_storage
    volume = project.volume("az2")
    snapshot = block.create_snapshot(volume_id=volume.id, name="snap")
    block.wait_for_status(snapshot, wait=60, interval=0.5)
    assert names(block.snapshots()) == ["snap"]
    copy = block.create_volume(size=1, snapshot_id=snapshot.id, name="from-snap")
    clone = block.create_volume(size=1, source_volume_id=volume.id, name="clone")
    for made in (copy, clone):
        block.wait_for_status(made, wait=60, interval=0.5)
    assert set(names(project.at("Pod2").block_storage.volumes())) == {
        "vol-az2",
        "from-snap",
        "clone",
    }
    assert names(project.at("Pod1").block_storage.volumes()) == []
    with pytest.raises(exceptions.BadRequestException, match=f"{snapshot.id}.*az2.*az1"):
        block.create_volume(size=1, snapshot_id=snapshot.id, availability_zone="az1")


def test_every_row_below_a_volume_reaches_its_pod(project: Project):
    block = project.tenant.block_storage
    volume = project.volume("az1")
    block.set_volume_metadata(volume, a="1")
    assert block.get_volume(volume).metadata == {"a": "1"}
    assert block.update_volume(volume, name="renamed").name == "renamed"
    block.extend_volume(volume, 2)
    eventually(lambda: block.get_volume(volume).size == 2)
    block.set_volume_bootable_status(volume, True)
    eventually(lambda: block.get_volume(volume).is_bootable)
    snapshot = block.create_snapshot(volume_id=volume.id, name="s")
    block.wait_for_status(snapshot, wait=60, interval=0.5)
    block.set_snapshot_metadata(snapshot, b="2")
    assert block.get_snapshot(snapshot).metadata == {"b": "2"}
    block.delete_snapshot(snapshot)
    eventually(lambda: not list(block.snapshots()))
    block.delete_volume(volume)
    eventually(lambda: not list(block.volumes()))
    with pytest.raises(exceptions.NotFoundException, match=f"Volume {volume.id} could not be"):
        block.get_volume(volume.id)


def test_a_volume_is_attached_to_a_server_of_its_pod_and_to_no_other(project: Project):
    compute, block = project.tenant.compute, project.tenant.block_storage
    here, there = project.server("az1"), project.server("az2")
    volume = project.volume("az1")
    with pytest.raises(exceptions.BadRequestException) as refused:
        compute.create_volume_attachment(there, volume_id=volume.id)
    for word in (there.id, volume.id, "az1", "az2"):
        assert word in str(refused.value)
    assert block.get_volume(volume).status == "available"
    compute.create_volume_attachment(here, volume_id=volume.id)
    eventually(lambda: block.get_volume(volume).status == "in-use")
    assert [item.volume_id for item in compute.volume_attachments(here)] == [volume.id]
    compute.delete_volume_attachment(here, volume.id)
    eventually(lambda: block.get_volume(volume).status == "available")


def test_a_server_goes_where_the_volume_is_that_it_boots_from(project: Project):
    volume = project.volume("az2")
    project.tenant.block_storage.set_volume_bootable_status(volume, True)
    mapping = {
        "uuid": volume.id,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": 0,
    }
    server = project.tenant.compute.create_server(
        name="from-volume", flavor_id="1", networks="none", block_device_mapping=[mapping]
    )
    server = project.tenant.compute.wait_for_server(server, wait=60, interval=0.5)
    assert server.availability_zone == "az2"
    with pytest.raises(exceptions.BadRequestException, match=f"{volume.id}.*az2.*az1"):
        project.tenant.compute.create_server(
            name="x",
            flavor_id="1",
            networks="none",
            availability_zone="az1",
            block_device_mapping=[mapping],
        )


def test_types_are_shown_once_and_taken_by_id_in_every_zone(project: Project):
    block = project.tenant.block_storage
    types = {item.name: item.id for item in block.types()}
    assert list(types) == ["__DEFAULT__"]
    assert block.get_type(types["__DEFAULT__"]).name == "__DEFAULT__"
    for zone in ("az1", "az2"):
        assert project.volume(zone, volume_type=types["__DEFAULT__"]).status == "available"
    zones = {zone.name for zone in block.availability_zones()}
    assert zones == {"az1", "az2"}
