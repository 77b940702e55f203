"""Calls that are particular to Nova, each as one Nova answers it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from tenants import Project, admin_cloud, eventually, unlike

PODS = {"az1": "http://127.0.0.1:11774", "az2": "http://127.0.0.1:12774"}


def ask(
    project: Project, method: str, path: str, version: str = "2.90", **more: Any
) -> requests.Response:
    """A call of the tenant (or with another `token`, at another `base`), errors not raised."""
    base = more.pop("base", "") or project.appliance.url("compute")
    headers = {"X-Auth-Token": more.pop("token", "") or project.token}
    headers["OpenStack-API-Version"] = f"compute {version}"
    return requests.request(method, f"{base}/v2.1{path}", headers=headers, timeout=60, **more)


def same(project: Project, zone: str, method: str, path: str, version: str, **more: Any) -> Any:
    """The answer, which is the same through us and in the pod directly."""
    base = PODS[zone]
    ours = ask(project, method, path, version, **more)
    theirs = ask(project, method, path, version, base=base, **more)

    def document(answer: requests.Response, base: str) -> Any:
        return json.loads(answer.text.replace(base, "")) if answer.text else None

    found = unlike(
        (ours.status_code, document(ours, project.appliance.url("compute"))),
        (theirs.status_code, document(theirs, base)),
    )
    assert found == "", f"{method} {path} at {version} {more.get('json')}: {found}"
    return ours


def booted(project: Project, body: dict[str, Any], **more: Any) -> Any:
    """A server of this body that came up, as it is shown."""
    wish = {"name": "x", "flavorRef": "1", "networks": "none"} | body
    made = ask(project, "POST", "/servers", json={"server": wish}, **more)
    assert made.status_code == 202, made.text
    return up(project, made.json()["server"]["id"])


def up(project: Project, id: str, status: str = "ACTIVE") -> Any:
    def look() -> Any:
        server = ask(project, "GET", f"/servers/{id}").json()["server"]
        assert server["status"] != "ERROR" or status == "ERROR", server.get("fault")
        return server if server["status"] == status else None

    return eventually(look, 90)


def clear(project: Project) -> None:
    """Servers that were booted from volumes go before the volumes can."""
    for server in ask(project, "GET", "/servers").json()["servers"]:
        ask(project, "DELETE", f"/servers/{server['id']}")
    eventually(lambda: not ask(project, "GET", "/servers").json()["servers"], 90)


def test_servers_made_at_once_are_in_one_pod_and_are_found_at_once(project: Project):
    wish = {"name": "many", "imageRef": project.image, "flavorRef": "1", "networks": "none"}
    wish |= {"min_count": 2, "max_count": 3, "availability_zone": "az2"}
    made = ask(project, "POST", "/servers", json={"server": wish | {"return_reservation_id": True}})
    assert made.status_code == 202 and list(made.json()) == ["reservation_id"]
    path = f"/servers/detail?reservation_id={made.json()['reservation_id']}"
    rows = ask(project, "GET", path).json()["servers"]
    assert sorted(row["name"] for row in rows) == ["many-1", "many-2", "many-3"]
    for row in rows:
        assert ask(project, "GET", f"/servers/{row['id']}").status_code == 200
        assert ask(project, "GET", f"/servers/{row['id']}", base=PODS["az2"]).status_code == 200
    first = ask(project, "POST", "/servers", json={"server": wish})
    assert set(first.json()) == {"server"}
    whole = ask(project, "GET", "/servers").json()["servers"]
    assert len(whole) == 6
    eventually(
        lambda: all(
            row["status"] == "ACTIVE"
            for row in ask(project, "GET", "/servers/detail").json()["servers"]
        ),
        120,
    )
    for row in whole:
        assert ask(project, "DELETE", f"/servers/{row['id']}").status_code == 204
    eventually(lambda: not ask(project, "GET", "/servers").json()["servers"], 90)
    for count in ({"min_count": 0}, {"min_count": 3, "max_count": 2}, {"max_count": "x"}):
        wrong = json.dumps({"server": wish | {"availability_zone": "nova"} | count})
        ours, theirs = (
            ask(project, "POST", "/servers", data=data, base=base)
            for data, base in ((wrong.replace('"nova"', '"az1"'), ""), (wrong, PODS["az1"]))
        )
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
        assert ours.status_code == 400


def test_block_devices_of_every_kind_are_in_the_servers_pod(project: Project):
    storage = project.tenant.block_storage
    volume = project.volume("az2", "data")
    root = project.volume("az2", "root", image_id=project.image)
    snapshot = storage.create_snapshot(volume_id=volume.id, name="s")
    storage.wait_for_status(snapshot, wait=60, interval=0.5)
    image = {"boot_index": 0, "uuid": project.image, "source_type": "image"}
    volumes: list[dict[str, Any]] = [
        {"uuid": volume.id, "source_type": "volume"},
        {"uuid": snapshot.id, "source_type": "snapshot", "volume_size": 1},
        {"source_type": "blank", "volume_size": 1},
    ]
    for device in volumes:
        device |= {"destination_type": "volume", "boot_index": -1, "delete_on_termination": False}
    local = image | {"destination_type": "local"}
    one = booted(project, {"imageRef": project.image, "block_device_mapping_v2": [local, *volumes]})
    assert one["OS-EXT-AZ:availability_zone"] == "az2"
    attached = ask(project, "GET", f"/servers/{one['id']}/os-volume_attachments").json()
    ids = [row["volumeId"] for row in attached["volumeAttachments"]]
    assert len(ids) == 3 and volume.id in ids
    for id in ids:  # also those that Nova made
        assert storage.get_volume(id).availability_zone == "az2"
    device = {"uuid": root.id, "source_type": "volume", "destination_type": "volume"}
    two = booted(project, {"block_device_mapping_v2": [device | {"boot_index": 0}]})
    assert (two["OS-EXT-AZ:availability_zone"], two["image"]) == ("az2", "")
    made = image | {"destination_type": "volume", "volume_size": 1, "delete_on_termination": True}
    three = booted(project, {"availability_zone": "az1", "block_device_mapping_v2": [made]})
    assert three["OS-EXT-AZ:availability_zone"] == "az1"
    other = project.volume("az1", "other")
    refused = ask(
        project,
        "POST",
        "/servers",
        json={
            "server": {
                "name": "x",
                "imageRef": project.image,
                "flavorRef": "1",
                "networks": "none",
                "block_device_mapping_v2": [
                    local,
                    volumes[1],
                    device | {"uuid": other.id, "boot_index": -1},
                ],
            }
        },
    )
    assert refused.status_code == 400
    assert all(word in refused.text for word in ("az1", "az2"))
    assert storage.get_volume(other.id).status == "available"
    clear(project)


def test_a_volume_of_another_pod_is_not_attached_and_not_swapped_in(project: Project):
    storage = project.tenant.block_storage
    server = project.server("az1")
    mine, next_one, far = (
        project.volume(zone, name) for zone, name in (("az1", "a"), ("az1", "b"), ("az2", "c"))
    )
    path = f"/servers/{server.id}/os-volume_attachments"
    refused = ask(project, "POST", path, json={"volumeAttachment": {"volumeId": far.id}})
    assert refused.status_code == 400 and "Pod2" in refused.text
    made = ask(project, "POST", path, json={"volumeAttachment": {"volumeId": mine.id}})
    assert made.status_code == 200
    eventually(lambda: storage.get_volume(mine.id).status == "in-use", 60)
    swap = f"{path}/{mine.id}"
    admin = admin_cloud().auth_token
    refused = ask(
        project, "PUT", swap, json={"volumeAttachment": {"volumeId": far.id}}, token=admin
    )
    assert refused.status_code == 400
    assert [storage.get_volume(v.id).status for v in (far, mine)] == ["available", "in-use"]
    unknown = {"volumeAttachment": {"volumeId": "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"}}
    same(project, "az1", "POST", path, "2.90", json=unknown)
    same(project, "az1", "PUT", swap, "2.90", json=unknown, token=admin)
    same(project, "az1", "PUT", swap, "2.90", json={"volumeAttachment": {"volumeId": next_one.id}})
    kept = {"volumeAttachment": {"volumeId": mine.id, "delete_on_termination": True}}
    assert ask(project, "PUT", swap, json=kept).status_code == 202
    shown = ask(project, "GET", swap).json()["volumeAttachment"]
    assert shown["delete_on_termination"] is True
    assert ask(project, "DELETE", swap).status_code == 202
    eventually(lambda: storage.get_volume(mine.id).status == "available", 60)


def test_an_interface_is_one_of_the_servers_pod(project: Project):
    server = project.server("az1")
    near, far = project.network("az1"), project.network("az2", "10.8.0.0/24")
    path = f"/servers/{server.id}/os-interface"
    port = project.tenant.network.create_port(network_id=far.id)
    for wish in ({"port_id": port.id}, {"net_id": far.id}):
        refused = ask(project, "POST", path, json={"interfaceAttachment": wish})
        assert refused.status_code == 400 and "Pod2" in refused.text
    assert not project.tenant.network.get_port(port.id).device_id
    own = project.tenant.network.create_port(network_id=near.id)
    made = ask(project, "POST", path, json={"interfaceAttachment": {"port_id": own.id}})
    assert made.status_code == 200, made.text
    rows = ask(project, "GET", path).json()["interfaceAttachments"]
    assert [row["port_id"] for row in rows] == [own.id]
    same(project, "az1", "GET", path, "2.90")
    assert ask(project, "DELETE", f"{path}/{own.id}").status_code == 202
    eventually(lambda: not ask(project, "GET", path).json()["interfaceAttachments"], 60)
    same(project, "az1", "DELETE", f"{path}/6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55", "2.90")


def test_what_this_lab_cannot_do_is_refused_as_the_pod_refuses_it(project: Project):
    server = project.server("az2")
    action = f"/servers/{server.id}/action"
    for name in ("os-getVNCConsole", "os-getSPICEConsole", "os-getSerialConsole"):
        same(project, "az2", "POST", action, "2.1", json={name: {"type": "novnc"}})
        same(project, "az2", "POST", action, "2.90", json={name: {"type": "novnc"}})
    for wish in ({"protocol": "vnc", "type": "novnc"}, {"protocol": "x", "type": "y"}):
        path = f"/servers/{server.id}/remote-consoles"
        same(project, "az2", "POST", path, "2.6", json={"remote_console": wish})
    for path in ("diagnostics", "topology", "os-server-password", "os-security-groups"):
        same(project, "az2", "GET", f"/servers/{server.id}/{path}", "2.90")
    admin = admin_cloud().auth_token
    live = {"host": "pod1-node1", "block_migration": "auto"}
    for body, version in (
        ({"evacuate": {"host": "pod1-node1"}}, "2.90"),
        ({"evacuate": {}}, "2.90"),
        ({"os-migrateLive": live}, "2.90"),
        ({"os-migrateLive": live | {"disk_over_commit": False}}, "2.1"),
        ({"migrate": {"host": "nowhere"}}, "2.90"),
        ({"migrate": {"host": 7}}, "2.90"),
        ({"confirmResize": None}, "2.1"),
        ({"nonsense": None}, "2.1"),
        ({"unshelve": None}, "2.1"),
        ({"restore": None}, "2.1"),
        ({"addSecurityGroup": {"name": "nothing"}}, "2.1"),
        ({"removeSecurityGroup": {"name": "nothing"}}, "2.1"),
        ({"resize": {"flavorRef": "nothing"}}, "2.1"),
        ({"rebuild": {"imageRef": "nothing"}}, "2.1"),
        ({"addFloatingIp": {"address": "192.0.2.1"}}, "2.1"),
    ):
        for token in ("", admin):
            refused = same(project, "az2", "POST", action, version, json=body, token=token)
            assert refused.status_code >= 400, body


def test_images_of_servers_are_in_the_image_face_at_once(project: Project):
    image, server = project.tenant.image, project.server("az1")
    action = f"/servers/{server.id}/action"

    def made(body: dict[str, Any], version: str) -> str:
        answer = ask(project, "POST", action, version, json=body)
        assert answer.status_code == 202, answer.text
        if version == "2.44":
            location = answer.headers["Location"]
            assert location.startswith(project.appliance.url("image") + "/images/")
            assert not answer.content
            id = location.rpartition("/")[2]
        else:
            assert "Location" not in answer.headers and set(answer.json()) == {"image_id"}
            id = answer.json()["image_id"]
        assert image.get_image(id).id == id
        eventually(lambda: image.get_image(id).status == "active", 60)
        eventually(lambda: not up(project, server.id)["OS-EXT-STS:task_state"], 60)
        return id

    ids = [
        made({"createImage": {"name": f"image-{version}"}}, version) for version in ("2.44", "2.45")
    ]
    backup = {"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}}
    first = made(backup, "2.44")
    taken = image.get_image(first).created_at  # Glance counts seconds; of one, Nova keeps either
    eventually(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > taken)
    second = made(backup, "2.45")
    eventually(lambda: image.find_image(first) is None, 60)  # one is kept, in whatever pod
    assert {*ids, second} <= {row.id for row in image.images(owner=project.id)}
    assert ask(project, "POST", action, json={"shelve": None}).status_code == 202
    up(project, server.id, "SHELVED_OFFLOADED")
    assert image.find_image("vm-az1-shelved").owner == project.id
    again = booted(project, {"imageRef": ids[0], "availability_zone": "az2"})
    assert again["image"]["id"] == ids[0]


def test_security_groups_are_taken_on_and_off(project: Project):
    network = project.network("az1")
    server = project.server("az1", networks=[{"uuid": network.id}])
    group = project.tenant.network.create_security_group(name="web")  # where its project is
    path, action = f"/servers/{server.id}/os-security-groups", f"/servers/{server.id}/action"

    def names() -> list[str]:
        rows = ask(project, "GET", path).json()["security_groups"]
        return sorted(row["name"] for row in rows)

    assert names() == ["default"]
    for name in ("web", group.id):
        body = {"addSecurityGroup": {"name": name}}
        assert ask(project, "POST", action, json=body).status_code == 202
        assert names() == ["default", "web"]
        body = {"removeSecurityGroup": {"name": name}}
        assert ask(project, "POST", action, json=body).status_code == 202
        assert names() == ["default"]


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_actions_are_found_under_the_request_id_of_every_call(project: Project, zone: str):
    wish = {"name": "x", "imageRef": project.image, "flavorRef": "1", "networks": "none"}
    made = ask(project, "POST", "/servers", json={"server": wish | {"availability_zone": zone}})
    id = made.json()["server"]["id"]
    up(project, id)
    given = [("create", made.headers["X-Openstack-Request-Id"])]
    for name in ("os-stop", "os-start"):
        done = ask(project, "POST", f"/servers/{id}/action", json={name: None})
        assert done.headers["X-Openstack-Request-Id"] == done.headers["X-Compute-Request-Id"]
        given.append((name.removeprefix("os-"), done.headers["X-Openstack-Request-Id"]))
        up(project, id, "SHUTOFF" if name == "os-stop" else "ACTIVE")
    path = f"/servers/{id}/os-instance-actions"
    for action, request_id in given:
        shown = same(project, zone, "GET", f"{path}/{request_id}", "2.84").json()["instanceAction"]
        assert shown["action"] == action
    first = ask(project, "GET", f"{path}?limit=1", "2.58").json()
    assert [row["action"] for row in first["instanceActions"]] == ["start"]
    link = first["links"][0]["href"]
    assert link.startswith(project.appliance.url("compute"))
    rest = requests.get(
        link,
        headers={"X-Auth-Token": project.token, "OpenStack-API-Version": "compute 2.58"},
        timeout=60,
    ).json()
    assert [row["action"] for row in rest["instanceActions"]] == ["stop"]
    same(project, zone, "GET", f"{path}?marker=req-nothing", "2.58")
    ask(project, "DELETE", f"/servers/{id}")
    eventually(lambda: ask(project, "GET", f"/servers/{id}").status_code == 404, 60)
    same(project, zone, "GET", path, "2.21")  # a deleted server has its actions still
