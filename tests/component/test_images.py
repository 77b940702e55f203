"""The image face passes to the one Glance that all pods share."""

import hashlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance import Appliance, Client, eventually
from fakes import Cloud

IMAGES = "/v2/images"
MEBIBYTE = 1024 * 1024
RAW = {"Content-Type": "application/octet-stream"}


def create(demo: Client, **fields: Any) -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"} | fields
    answer = demo.ask("POST", "image", IMAGES, body)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    assert answer.headers["Location"] == demo.appliance.public("image") + f"{IMAGES}/{id}"
    return id


def test_an_image_lives_through_the_face(demo: Client, cloud: Cloud) -> None:
    id = create(demo, my_property="kept")
    image = demo.get("image", f"{IMAGES}/{id}")
    assert (image["self"], image["my_property"]) == (f"{IMAGES}/{id}", "kept")
    patch = json.dumps([{"op": "replace", "path": "/name", "value": "new"}])
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    answer = demo.ask("PATCH", "image", f"{IMAGES}/{id}", data=patch, headers=kind)
    assert (answer.status_code, answer.json()["name"]) == (200, "new")
    assert demo.ids("image", IMAGES) == [id]
    assert demo.ask("DELETE", "image", f"{IMAGES}/{id}").status_code == 204
    gone = demo.ask("GET", "image", f"{IMAGES}/{id}")
    assert (gone.status_code, gone.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")


@pytest.mark.parametrize("chunked", [False, True])
def test_data_goes_up_and_down_unchanged(demo: Client, cloud: Cloud, chunked: bool) -> None:
    data = os.urandom(3 * MEBIBYTE + 17)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(data), 50_000):
            yield data[start : start + 50_000]

    path = f"{IMAGES}/{create(demo)}/file"
    sent: Any = pieces() if chunked else data
    assert demo.ask("PUT", "image", path, data=sent, headers=RAW).status_code == 204
    (row,) = cloud.images.rows["images"].values()
    assert hashlib.sha256(row["_data"]).digest() == hashlib.sha256(data).digest()
    answer = demo.ask("GET", "image", path)
    assert answer.content == data
    assert answer.headers["Content-Length"] == str(len(data))
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_large_data_does_not_stay_in_memory(
    demo: Client, appliance: Appliance, cloud: Cloud
) -> None:
    def resident() -> int:
        assert appliance.process is not None
        text = Path(f"/proc/{appliance.process.pid}/status").read_text()
        (line,) = (line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    data = bytes(64 * MEBIBYTE)
    path = f"{IMAGES}/{create(demo)}/file"
    demo.ask("PUT", "image", path, data=data[:MEBIBYTE], headers=RAW)
    before = resident()
    assert demo.ask("PUT", "image", path, data=data, headers=RAW).status_code == 204
    assert demo.ask("GET", "image", path).content == data
    assert resident() - before < 20 * MEBIBYTE


def test_a_client_that_reads_slowly_holds_no_image_in_memory(
    demo: Client, appliance: Appliance, cloud: Cloud
) -> None:
    path = f"{IMAGES}/{create(demo)}/file"
    data = os.urandom(32 * MEBIBYTE)
    demo.ask("PUT", "image", path, data=data, headers=RAW)
    with socket.create_connection(("127.0.0.1", appliance.ports["image"])) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {demo.token}\r\n\r\n"
        client.sendall(head.encode())
        got = client.recv(1000)
        assert got.startswith(b"HTTP/1.1 200")
        assert demo.ids("image", IMAGES)  # others are served meanwhile
        digest, rest = hashlib.sha256(), got.partition(b"\r\n\r\n")[2]
        count = len(rest)
        digest.update(rest)
        while count < len(data):
            piece = client.recv(1 << 16)
            assert piece
            count += len(piece)
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(data).digest()


def test_a_glance_that_is_away_is_503_and_harms_nothing_else(demo: Client, cloud: Cloud) -> None:
    cloud.images.drop = True
    answer = demo.ask("GET", "image", IMAGES)
    assert answer.status_code in (503, 504)
    assert "message" in answer.text or answer.json()
    demo.server("az1")
    cloud.images.drop = False
    eventually(lambda: demo.ask("GET", "image", IMAGES).status_code == 200)


def test_an_upload_of_which_the_client_left_ends(
    demo: Client, appliance: Appliance, cloud: Cloud
) -> None:
    path = f"{IMAGES}/{create(demo)}/file"
    with socket.create_connection(("127.0.0.1", appliance.ports["image"])) as client:
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {demo.token}\r\n"
        client.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + bytes(1000))
    assert demo.ask("PUT", "image", path, data=b"whole", headers=RAW).status_code == 204
    (row,) = cloud.images.rows["images"].values()
    assert row["_data"] == b"whole"


def test_without_a_token_nothing_reaches_glance(appliance: Appliance, cloud: Cloud) -> None:
    before = len(cloud.images.calls)
    for token in ("", "gAAAAAwrong"):
        assert appliance.request("GET", "image", IMAGES, token=token).status_code == 401
    assert len(cloud.images.calls) == before


def test_an_image_of_an_unknown_id_is_404(demo: Client) -> None:
    assert demo.ask("GET", "image", f"{IMAGES}/{uuid.uuid4()}").status_code == 404
