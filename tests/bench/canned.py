"""Pods that answer at once: python -m tests.bench.canned COUNT writes their ports and serves.

One process serves all of them, so that what a pod costs is never counted as a proxy's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any

ROWS = 100
VERSION = ("2.1", "2.90")
HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    "OpenStack-API-Version: compute 2.90\r\nX-OpenStack-Nova-API-Version: 2.90\r\n"
    "Vary: OpenStack-API-Version, X-OpenStack-Nova-API-Version\r\n"
    "X-Openstack-Request-Id: req-{id}\r\nX-Compute-Request-Id: req-{id}\r\n"
    "Server: nginx\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n\r\n"
)


def answer(document: Any, status: str = "200 OK") -> bytes:
    body = json.dumps(document).encode()
    head = HEAD.format(status=status, length=len(body), id=uuid.uuid4())
    return head.encode() + body


def server(pod: int, number: int, url: str) -> dict[str, Any]:
    """A row as Nova shows it, 2.3 KB long."""
    id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{pod}/{number}"))
    links = [{"rel": rel, "href": f"{url}/servers/{id}"} for rel in ("self", "bookmark")]
    address = {"version": 4, "addr": f"10.{pod}.0.{number}", "OS-EXT-IPS:type": "fixed"}
    # the pods' rows lie between one another: the merge takes some of each
    created = f"2026-11-{1 + number // 10:02}T{number % 10:02}:{pod:02}:00Z"
    return {
        "id": id,
        "name": f"server-{number}",
        "status": "ACTIVE",
        "tenant_id": "0123456789abcdef0123456789abcdef",
        "user_id": "fedcba9876543210fedcba9876543210",
        "metadata": {f"key-{n}": f"{url}/is/only/text/{n}" for n in range(8)},
        "hostId": uuid.uuid4().hex + uuid.uuid4().hex[:24],
        "image": {"id": str(uuid.uuid4()), "links": links[:1]},
        "flavor": {
            "vcpus": 1,
            "ram": 512,
            "disk": 1,
            "ephemeral": 0,
            "swap": 0,
            "original_name": "m1.tiny",
            "extra_specs": {"hw:cpu_policy": "shared", "hw:mem_page_size": "small"},
        },
        "created": created,
        "updated": created,
        "addresses": {f"net-{n}": [address | {"OS-EXT-IPS-MAC:mac_addr": "fa"}] for n in range(3)},
        "accessIPv4": "",
        "accessIPv6": "",
        "links": links,
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "nova",
        "config_drive": "",
        "key_name": None,
        "OS-SRV-USG:launched_at": created,
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:power_state": 1,
        "os-extended-volumes:volumes_attached": [{"id": str(uuid.uuid4())}],
        "security_groups": [{"name": "default"}],
        "locked": False,
        "description": None,
        "tags": [],
        "trusted_image_certificates": None,
        "server_groups": [],
        "locked_reason": None,
        "pinned_availability_zone": None,
    }


class Pod:
    """One pod's Nova. Only what the bench asks for is there."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers: dict[bytes, bytes] = {}

    def fill(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/v2.1"
        rows = [server(self.number, number, url) for number in range(ROWS)]
        newest = sorted(rows, key=lambda row: row["created"], reverse=True)
        least, most = VERSION
        version = {"id": "v2.1", "version": most, "min_version": least, "status": "CURRENT"}
        self.answers = {b"/v2.1/servers/" + r["id"].encode(): answer({"server": r}) for r in rows}
        self.answers[b"/v2.1/servers/detail"] = answer({"servers": newest})
        self.answers[b"/"] = answer({"versions": [version]})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        missing = answer({"itemNotFound": {"code": 404, "message": "gone"}}, "404 Not Found")
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].partition(b"?")[0]
                writer.write(self.answers.get(path, missing))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(count: int) -> None:
    ports = []
    for number in range(1, count + 1):
        pod = Pod(number)
        listening = await asyncio.start_server(pod.serve, "127.0.0.1", 0)
        ports.append(listening.sockets[0].getsockname()[1])
        pod.fill(ports[-1])
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until who started us is gone


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
