"""The image face: the one Glance behind it."""

from __future__ import annotations

import hashlib

import requests
from tenants import Project


def test_an_image_goes_up_and_down_and_can_be_changed(project: Project):
    image = project.tenant.image
    data = bytes(range(256)) * 20_000
    made = image.create_image(
        name="up", data=data, disk_format="raw", container_format="bare", validate_checksum=False
    )
    assert image.get_image(made.id).status == "active"
    got = image.download_image(made, stream=True)
    digest = hashlib.sha256()
    for piece in got.iter_content(65536):
        digest.update(piece)
    assert digest.digest() == hashlib.sha256(data).digest()
    patch = image.patch(
        f"/images/{made.id}",
        data='[{"op": "add", "path": "/colour", "value": "blue"}]',
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    )
    assert patch.status_code == 200 and patch.json()["colour"] == "blue"
    image.add_tag(made, "t")
    assert "t" in image.get_image(made.id).tags
    image.delete_image(made)
    assert image.find_image(made.id) is None


def test_a_chunked_upload_of_unknown_length_is_stored(project: Project):
    url, headers = project.appliance.url("image"), {"X-Auth-Token": project.token}
    body = {"name": "chunked", "disk_format": "raw", "container_format": "bare"}
    made = requests.post(f"{url}/v2/images", json=body, headers=headers, timeout=30)
    assert made.status_code == 201
    assert made.headers["Location"] == f"{url}/v2/images/{made.json()['id']}"
    pieces = (b"x" * 100_000 for _ in range(30))
    sent = requests.put(
        f"{url}/v2/images/{made.json()['id']}/file",
        data=pieces,
        headers=headers | {"Content-Type": "application/octet-stream"},
        timeout=60,
    )
    assert sent.status_code == 204
    assert project.tenant.image.get_image(made.json()["id"]).size == 3_000_000
