"""Pods with answers in a can: python -m tests.bench.canned COUNT ROWS SLOWEST.

Writes their ports and serves until its input ends. Each has so many servers; the first answers at
once, the last after SLOWEST ms, those between in between. One process serves all of them, so that
what a pod costs is never counted as a proxy's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlencode

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
    created = f"2026-11-{1 + number // 10:02}T{number % 10:02}:{pod // 60:02}:{pod % 60:02}Z"
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

    def __init__(self, number: int, delay: float) -> None:
        self.number, self.delay = number, delay
        self.answers: dict[bytes, bytes] = {}

    def fill(self, port: int, count: int) -> None:
        self.url = url = f"http://127.0.0.1:{port}/v2.1"
        rows = [server(self.number, number, url) for number in range(count)]
        newest = sorted(rows, key=lambda row: row["created"], reverse=True)
        least, most = VERSION
        version = {"id": "v2.1", "version": most, "min_version": least, "status": "CURRENT"}
        self.answers = {b"/v2.1/servers/" + r["id"].encode(): answer({"server": r}) for r in rows}
        some = json.dumps({"server": rows[0]}).encode()
        self.some = some.replace(rows[0]["id"].encode(), b"%b")
        self.newest = newest
        self.answers[b"/"] = answer({"versions": [version]})

    def listed(self, target: bytes) -> bytes:
        """A page of servers, newest first."""
        if (found := self.answers.get(target)) is None:
            query = dict(parse_qsl(target.partition(b"?")[2].decode()))
            ids = [row["id"] for row in self.newest]
            start = ids.index(query["marker"]) + 1 if "marker" in query else 0
            rows = self.newest[start : start + int(query.get("limit", 1000))]
            page: dict[str, Any] = {"servers": rows}
            if rows and str(len(rows)) == query.get("limit"):
                after = urlencode(query | {"marker": rows[-1]["id"]})
                href = f"{self.url}/servers/detail?{after}"
                page["servers_links"] = [{"rel": "next", "href": href}]
            found = self.answers[target] = answer(page)
        return found

    def shown(self, path: bytes) -> bytes:
        """A server of any other id, like the first."""
        body = self.some.replace(b"%b", path.rpartition(b"/")[2])
        head = HEAD.format(status="200 OK", length=len(body), id=uuid.uuid4())
        return head.encode() + body

    def made(self) -> dict[str, Any]:
        """What Nova says of a server that it will make."""
        id = str(uuid.uuid4())
        links = [{"rel": rel, "href": f"{self.url}/servers/{id}"} for rel in ("self", "bookmark")]
        groups = [{"name": "default"}]
        made = {"id": id, "links": links, "OS-DCF:diskConfig": "MANUAL", "adminPass": "secret"}
        return made | {"security_groups": groups}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b" ", 2)
                path = target.partition(b"?")[0]
                start = head.lower().find(b"content-length: ") + 16
                if start > 15:
                    await reader.readexactly(int(head[start : head.index(b"\r", start)]))
                if self.delay and path.endswith(b"/detail"):
                    await asyncio.sleep(self.delay)
                if method == b"POST":
                    writer.write(answer({"server": self.made()}, "202 Accepted"))
                else:
                    known = self.listed(target) if path.endswith(b"/detail") else None
                    writer.write(known or self.answers.get(path) or self.shown(path))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(count: int, rows: int, slowest: float) -> None:
    ports = []
    for number in range(1, count + 1):
        pod = Pod(number, slowest / 1000 * number / count)
        listening = await asyncio.start_server(pod.serve, "127.0.0.1", 0)
        ports.append(listening.sockets[0].getsockname()[1])
        pod.fill(ports[-1], rows)
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until who started us is gone


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
