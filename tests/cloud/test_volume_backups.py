"""Backups stay with their volumes' pods, are listed together, restored, exported and imported."""

from __future__ import annotations

import pytest
from cinder import Cinder
from openstack import exceptions
from tenants import Project


def test_backups_of_both_pods_are_one_list_and_restored_where_they_are(project: Project):
    block, cinder = project.tenant.block_storage, Cinder.of(project)
    one, two = project.volume("az1"), project.volume("az2")
    made = [block.create_backup(volume_id=volume.id, name=volume.name) for volume in (one, two)]
    for backup in made:
        block.wait_for_status(backup, wait=60, interval=0.5)
    listed = list(block.backups(details=True))
    assert {(b.name, b.availability_zone) for b in listed} == {
        ("vol-az1", "az1"),
        ("vol-az2", "az2"),
    }
    whole = cinder.get("/backups/detail?sort=created_at:asc&with_count=True&limit=1")
    oldest = min(listed, key=lambda backup: (backup.created_at, backup.id))
    assert [row["id"] for row in whole["backups"]] == [oldest.id]
    assert whole["count"] == 2
    assert [b.id for b in block.backups(limit=1)] == [b.id for b in listed]

    with pytest.raises(exceptions.BadRequestException) as refused:
        block.restore_backup(made[0], volume=two)
    for word in (made[0].id, two.id, "az1", "az2"):
        assert word in str(refused.value)
    assert block.get_volume(two).status == "available"
    block.restore_backup(made[0], volume=one)
    cinder.until(f"/volumes/{one.id}")

    restored = cinder.post(f"/backups/{made[1].id}/restore", {"restore": {"name": "again"}})
    new = cinder.until(f"/volumes/{restored['restore']['volume_id']}")
    assert (new["availability_zone"], new["id"]) == ("az2", restored["restore"]["volume_id"])
    from_backup = block.create_volume(size=1, backup_id=made[1].id, name="from-backup")
    block.wait_for_status(from_backup, wait=60, interval=0.5)
    assert project.at("Pod2").block_storage.get_volume(from_backup.id).name == "from-backup"


def test_a_backup_that_is_imported_into_another_pod_is_in_both(project: Project):
    tenant, admin = Cinder.of(project), Cinder.of_admin(project.appliance)
    volume = project.volume("az2")
    backup = tenant.post("/backups", {"backup": {"volume_id": volume.id, "name": "b"}})["backup"]
    tenant.until(f"/backups/{backup['id']}")
    record = admin.get(f"/backups/{backup['id']}/export_record")
    record["backup-record"]["availability_zone"] = "az1"
    there = Cinder.of_admin(project.appliance, "Pod1")
    try:
        made = admin.post("/backups/import_record", record)["backup"]
        assert made["id"] == backup["id"]
        there.until(f"/backups/{backup['id']}")
        every = admin.get("/backups/detail?all_tenants=1")["backups"]
        copies = [row["availability_zone"] for row in every if row["id"] == backup["id"]]
        assert sorted(copies) == ["az1", "az2"]
        # the tenant's own is not hidden behind the admin's copy
        assert tenant.get(f"/backups/{backup['id']}")["backup"]["name"] == "b"
    finally:
        there.call("DELETE", f"/backups/{backup['id']}")


def test_backups_made_with_the_clients_are_what_they_are_elsewhere(project: Project):
    volume = project.volume("az2")
    made = project.cli_json("volume", "backup", "create", "--name", "cli", volume.id)
    Cinder.of(project).until(f"/backups/{made['id']}")
    assert [row["Name"] for row in project.cli_json("volume", "backup", "list")] == ["cli"]
    shown = project.cli("cinder", "backup-show", made["id"])
    assert shown.returncode == 0
    assert "az2" in shown.stdout
