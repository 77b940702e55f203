"""The compute face over two real Novas, through openstacksdk."""

from __future__ import annotations

import pytest
from openstack import exceptions
from tenants import Project, admin_cloud, eventually


def names(servers) -> list[str]:
    return [server.name for server in servers]


def test_servers_land_in_the_pod_of_their_zone_and_are_listed_together(project: Project):
    one, two = project.server("az1"), project.server("az2")
    assert one.availability_zone == "az1" and two.availability_zone == "az2"
    assert names(project.at("Pod1").compute.servers()) == ["vm-az1"]
    assert names(project.at("Pod2").compute.servers()) == ["vm-az2"]
    # newest first, as one Nova orders them: of those made in one second, the lower id
    same = one.created_at == two.created_at
    newest = ["vm-az1", "vm-az2"] if same and one.id < two.id else ["vm-az2", "vm-az1"]
    assert names(project.tenant.compute.servers()) == newest
    assert names(project.tenant.compute.servers(details=False)) == newest
    assert project.tenant.compute.get_server(two.id).status == "ACTIVE"


def test_pages_followed_to_the_end_are_the_whole_list(project: Project):
    for number in range(3):
        for zone in ("az1", "az2"):
            project.server(zone, f"vm-{number}-{zone}")
    whole = names(project.tenant.compute.servers())
    assert len(whole) == 6
    for limit in (1, 2, 4):
        assert names(project.tenant.compute.servers(limit=limit)) == whole
        assert names(project.tenant.compute.servers(limit=limit, details=False)) == whole
    only = names(project.tenant.compute.servers(availability_zone="az2"))
    assert only == [name for name in whole if name.endswith("az2")]


def test_every_row_below_a_server_reaches_its_pod(project: Project):
    compute = project.tenant.compute
    server = project.server("az2", metadata={"a": "1"})
    compute.set_server_metadata(server, b="http://127.0.0.1:12774/v2.1/servers/x")
    metadata = compute.get_server_metadata(server).metadata
    assert metadata == {"a": "1", "b": "http://127.0.0.1:12774/v2.1/servers/x"}
    assert compute.update_server(server, name="renamed").name == "renamed"
    compute.add_tag_to_server(server, "blue")
    assert compute.get_server(server).tags == ["blue"]
    compute.stop_server(server)
    compute.wait_for_server(server, status="SHUTOFF", interval=0.5, wait=60)
    compute.start_server(server)
    compute.wait_for_server(server, status="ACTIVE", interval=0.5, wait=60)
    compute.reboot_server(server, "HARD")
    compute.wait_for_server(server, status="ACTIVE", interval=0.5, wait=60)
    compute.lock_server(server)
    compute.unlock_server(server)
    assert compute.get_server_console_output(server, length=5) is not None
    actions = {action.action for action in compute.server_actions(server)}
    assert {"create", "stop", "start", "reboot"} <= actions
    resized = compute.resize_server(server, "2")
    assert resized is None
    compute.wait_for_server(server, status="VERIFY_RESIZE", interval=0.5, wait=90)
    compute.confirm_server_resize(server)
    compute.wait_for_server(server, status="ACTIVE", interval=0.5, wait=60)
    compute.delete_server(server)
    eventually(lambda: not list(compute.servers()))
    with pytest.raises(exceptions.NotFoundException, match=f"Instance {server.id} could not be"):
        compute.get_server(server.id)


def test_an_action_is_found_under_the_request_id_that_the_client_was_given(project: Project):
    server = project.server("az1")
    answer = project.tenant.compute.post(
        f"/servers/{server.id}/action", json={"os-stop": None}, microversion="2.1"
    )
    assert answer.status_code == 202
    request_id = answer.headers["x-openstack-request-id"]
    found = project.tenant.compute.get(
        f"/servers/{server.id}/os-instance-actions/{request_id}", microversion="2.21"
    )
    assert found.json()["instanceAction"]["action"] == "stop"


def test_an_image_of_a_server_appears_in_the_image_face(project: Project):
    server = project.server("az1")
    image = project.tenant.compute.create_server_image(server, "snapshot", wait=True, timeout=60)
    assert project.tenant.image.get_image(image.id).name == "snapshot"
    old = project.tenant.compute.post(
        f"/servers/{server.id}/action", json={"createImage": {"name": "old"}}, microversion="2.1"
    )
    assert old.status_code == 202
    assert old.headers["Location"].startswith(project.appliance.url("image"))


def test_links_and_location_point_at_the_appliance(project: Project):
    compute, url = project.tenant.compute, project.appliance.url("compute")
    body = {"name": "x", "imageRef": project.image, "flavorRef": "1", "networks": "none"}
    made = compute.post("/servers", json={"server": body}, microversion="2.37")
    assert made.status_code == 202
    id = made.json()["server"]["id"]
    assert made.headers["Location"] == f"{url}/v2.1/servers/{id}"
    shown = compute.get(f"/servers/{id}", microversion="2.1").json()["server"]
    assert {link["href"] for link in shown["links"]} == {
        f"{url}/v2.1/servers/{id}",
        f"{url}/servers/{id}",
    }
    assert shown["flavor"]["links"][0]["href"] == f"{url}/flavors/1"
    assert shown["image"]["links"][0]["href"] == f"{url}/images/{project.image}"


def test_a_flavor_is_made_in_every_pod_under_one_id_and_goes_from_all(project: Project):
    admin = admin_cloud()
    flavor = admin.compute.create_flavor(name=f"f-{project.name}", ram=64, vcpus=1, disk=1)
    try:
        for region in ("Pod1", "Pod2"):
            assert project.at(region).compute.get_flavor(flavor.id).name == flavor.name
        listed = [item.id for item in project.tenant.compute.flavors()]
        assert listed.count(flavor.id) == 1 and listed == sorted(listed)
        paged = [item.id for item in project.tenant.compute.flavors(limit=1)]
        assert paged == listed
        admin.compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "shared"})
        for region in ("Pod1", "Pod2"):
            specs = admin_cloud(region).compute.fetch_flavor_extra_specs(flavor).extra_specs
            assert specs == {"hw:cpu_policy": "shared"}
    finally:
        admin.compute.delete_flavor(flavor)
    for region in ("Pod1", "Pod2"):
        assert project.at(region).compute.find_flavor(flavor.id) is None


def test_a_flavor_that_one_pod_refuses_is_made_in_none(project: Project):
    admin, there = admin_cloud(), admin_cloud("Pod2")
    name = f"f-{project.name}"
    taken = there.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
    try:
        with pytest.raises(exceptions.ConflictException, match="already exists"):
            admin.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
        assert admin_cloud("Pod1").compute.find_flavor(name) is None
    finally:
        there.compute.delete_flavor(taken)


def test_zones_and_aggregates_are_the_pods(project: Project):
    zones = {zone.name: zone.state for zone in project.tenant.compute.availability_zones()}
    assert zones == {"az1": {"available": True}, "az2": {"available": True}}
    with pytest.raises(exceptions.ForbiddenException):
        list(project.tenant.compute.availability_zones(details=True))
    listed = {item.name: item.availability_zone for item in admin_cloud().compute.aggregates()}
    assert listed == {"ag_Pod1": "az1", "ag_Pod2": "az2"}


def test_an_unknown_zone_is_refused_in_novas_words(project: Project):
    with pytest.raises(exceptions.BadRequestException, match="zone is not available"):
        project.tenant.compute.create_server(
            name="x",
            image_id=project.image,
            flavor_id="1",
            networks="none",
            availability_zone="az9",
        )


def test_an_image_that_embeds_a_snapshot_pins_its_pod(project: Project):
    tenant = project.tenant
    tenant.block_storage.set_volume_bootable_status(project.volume("az2", "root"), True)
    volume = tenant.block_storage.find_volume("root")
    device = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume"}
    server = tenant.compute.create_server(
        name="from-volume",
        flavor_id="1",
        networks="none",
        block_device_mapping=[device | {"boot_index": 0}],
    )
    tenant.compute.wait_for_server(server, wait=60, interval=0.5)
    image = tenant.compute.create_server_image(server, "hidden", wait=True, timeout=60)
    wish = {"name": "again", "flavorRef": "1", "imageRef": image.id, "networks": "none"}
    refused = tenant.compute.post(
        "/servers", json={"server": wish | {"availability_zone": "az1"}}, microversion="2.60"
    )
    assert refused.status_code == 400
    for word in ("az1", "az2"):
        assert word in refused.json()["badRequest"]["message"]
    made = tenant.compute.post("/servers", json={"server": wish}, microversion="2.60")
    assert made.status_code == 202
    again = tenant.compute.wait_for_server(
        tenant.compute.get_server(made.json()["server"]["id"]), wait=60, interval=0.5
    )
    assert again.availability_zone == "az2"
    copy = tenant.block_storage.post(
        "/volumes", json={"volume": {"size": 1, "imageRef": image.id}}, microversion="3.60"
    )
    assert copy.status_code == 202
    assert copy.json()["volume"]["availability_zone"] == "az2"
    tenant.compute.delete_server(again)
    tenant.compute.delete_server(server)
    eventually(lambda: not list(tenant.compute.servers()))
    tenant.image.delete_image(image)


def test_a_shelved_server_comes_back_in_its_zone_and_in_no_other(project: Project):
    compute, server = project.tenant.compute, project.server("az2")
    compute.shelve_server(server)
    compute.wait_for_server(server, status="SHELVED_OFFLOADED", wait=60, interval=0.5)

    def unshelve(zone: str) -> int:
        body = {"unshelve": {"availability_zone": zone}}
        path = f"/servers/{server.id}/action"
        status: int = compute.post(path, json=body, microversion="2.77").status_code
        return status

    assert unshelve("az1") == 400
    assert unshelve("az2") == 202
    compute.wait_for_server(server, wait=60, interval=0.5)


def test_a_host_that_an_admin_names_pins_its_pod(project: Project):
    admin = admin_cloud()
    body = {"name": "x", "flavorRef": "1", "imageRef": project.image, "networks": "none"}
    for field, name in (("host", "pod2-node1"), ("hypervisor_hostname", "pod2-node1")):
        made = admin.compute.post(
            "/servers", json={"server": body | {field: name}}, microversion="2.74"
        )
        assert made.status_code == 202, made.text
        server = admin.compute.get_server(made.json()["server"]["id"])
        assert admin.compute.wait_for_server(server, wait=60, interval=0.5).availability_zone == (
            "az2"
        )
        admin.compute.delete_server(server)
    unknown = body | {"host": "nowhere"}
    ours = admin.compute.post("/servers", json={"server": unknown}, microversion="2.74")
    theirs = admin_cloud("Pod1").compute.post(
        "/servers", json={"server": unknown}, microversion="2.74"
    )
    assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
