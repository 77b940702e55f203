"""A pod of an older release beside a newer one: one range of versions, the same fields for all.

The older one is Pod2 behind a proxy that offers and takes fewer microversions, in a region of its
own; the appliance over it and Pod1 is one of these tests' own too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from appliance import FACES, free_ports
from tenants import Project, RealAppliance, admin_cloud, eventually

BEHIND = "http://127.0.0.1:12774"
TOP, OLD = "Trio2oOld", "PodOld"
HOP = ("connection", "transfer-encoding", "content-length", "host", "keep-alive")


class OldNova(ThreadingHTTPServer):
    """Pod2's Nova as if it knew no microversion above `most`."""

    most = "2.79"
    daemon_threads = True


class OneCall(BaseHTTPRequestHandler):
    server: OldNova
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        asked = re.fullmatch(r"compute 2\.(\d+)", self.headers.get("OpenStack-API-Version", ""))
        if asked and int(asked[1]) > int(self.server.most.partition(".")[2]):
            text = f"Version 2.{asked[1]} is not supported by the API. "
            text += f"Minimum is 2.1 and maximum is {self.server.most}."
            fault = {"computeFault": {"code": 406, "message": text}}
            return self.say(406, {"Content-Type": "application/json"}, json.dumps(fault).encode())
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
        answer = requests.request(
            self.command, BEHIND + self.path, headers=headers, data=body, timeout=60
        )
        content = answer.content
        if self.path in ("/", "/v2.1/"):
            content = re.sub(
                rb'"version": "2\.\d+"', f'"version": "{self.server.most}"'.encode(), content
            )
        return self.say(answer.status_code, dict(answer.headers), content)

    do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

    def say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in (*HOP, "content-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def old(appliance: RealAppliance) -> Iterator[OldNova]:
    """The older Nova, in the catalog as a region beside Pod2's other services."""
    server = OldNova(("127.0.0.1", 0), OneCall)
    Thread(target=server.serve_forever, daemon=True).start()
    identity = admin_cloud("RegionOne").identity
    there = {one.service_id: one.url for one in identity.endpoints(region_id="Pod2")}
    _forget(identity, OLD)
    identity.create_region(id=OLD)
    for service_id, url in there.items():
        url = url.replace(":12774", f":{server.server_port}")
        for interface in ("public", "internal"):
            identity.create_endpoint(
                service_id=service_id, interface=interface, url=url, region_id=OLD
            )
    try:
        yield server
    finally:
        _forget(identity, OLD)
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def both(old: OldNova, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    """An appliance over Pod1 and the older one."""
    folder = tmp_path_factory.mktemp("old")
    one = RealAppliance(folder, dict(zip(FACES, free_ports(len(FACES)), strict=True)))
    given = [f"service.state={folder / 'state'}", f"service.region={TOP}"]
    given += ["identity.password=trio2o", "pods.refresh=2"]
    for face, port in one.ports.items():
        given += [f"faces.{face}.listen=tcp:{port}:interface=127.0.0.1"]
        given += [f"faces.{face}.url=http://127.0.0.1:{port}"]
    words = [word for item in given for word in ("--set", item)]
    command = [sys.executable, "-m", "trio2o.commands", "init", "-o", one.config, *words]
    assert subprocess.run(command, check=False).returncode == 0
    identity = admin_cloud("RegionOne").identity
    try:
        one.start()
        for arguments in (
            ("register",),
            ("pod", "add", TOP),
            ("pod", "add", "Pod1", "--az", "az1"),
            ("pod", "add", OLD, "--az", "az2"),
        ):
            done = one.command(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        yield one
    finally:
        one.end()
        _forget(identity, TOP)


def _forget(identity: Any, region: str) -> None:
    if identity.find_region(region) is not None:
        for endpoint in list(identity.endpoints(region_id=region)):
            identity.delete_endpoint(endpoint)
        identity.delete_region(region)


def offered(both: RealAppliance) -> str:
    document = requests.get(both.url("compute") + "/v2.1/", timeout=30).json()
    return str(document["version"]["version"])


def test_pods_of_two_releases_are_one_nova(both: RealAppliance, old: OldNova, project: Project):
    def ask(method: str, path: str, version: str, **more: Any) -> requests.Response:
        headers = {"X-Auth-Token": project.token, "OpenStack-API-Version": f"compute {version}"}
        url = f"{both.url('compute')}/v2.1{path}"
        return requests.request(method, url, headers=headers, timeout=60, **more)

    assert eventually(lambda: offered(both) == "2.79", 30)
    ids = {}
    for zone in ("az1", "az2"):
        wish = {"name": zone, "imageRef": project.image, "flavorRef": "1", "networks": "none"}
        body = {"server": wish | {"availability_zone": zone}}
        made = ask("POST", "/servers", "latest", json=body)
        assert made.status_code == 202, made.text
        assert made.headers["OpenStack-API-Version"] == "compute 2.79"
        ids[zone] = made.json()["server"]["id"]
    eventually(
        lambda: all(
            row["status"] == "ACTIVE"
            for row in ask("GET", "/servers/detail", "2.1").json()["servers"]
        ),
        90,
    )
    for version in ("2.1", "2.47", "2.73", "2.79", "latest"):
        shown = [ask("GET", f"/servers/{id}", version) for id in ids.values()]
        assert len({one.headers["OpenStack-API-Version"] for one in shown}) == 1
        fields = [set(one.json()["server"]) for one in shown]
        assert fields[0] == fields[1], version
        rows = ask("GET", "/servers/detail", version).json()["servers"]
        assert {row["id"] for row in rows} == set(ids.values())
        assert set(rows[0]) == set(rows[1])
    for path in ("/servers", f"/servers/{ids['az1']}", f"/servers/{ids['az2']}"):
        refused = ask("GET", path, "2.80")
        assert refused.status_code == 406
        assert refused.json()["computeFault"]["message"] == (
            "Version 2.80 is not supported by the API. Minimum is 2.1 and maximum is 2.79."
        )
        assert refused.headers["OpenStack-API-Version"] == "compute 2.80"
    # the pod is upgraded
    old.most = "2.90"
    eventually(lambda: offered(both) == "2.90", 30)
    names = {
        ask("GET", f"/servers/{id}", "2.90").json()["server"]["OS-EXT-SRV-ATTR:hostname"]
        for id in ids.values()
    }
    assert names == {"az1", "az2"}
    # and taken back: what it refuses is told at once, and then offered no more
    old.most = "2.60"
    eventually(lambda: ask("GET", f"/servers/{ids['az2']}", "2.90").status_code == 406, 10)
    eventually(lambda: offered(both) == "2.60", 10)
    assert ask("GET", f"/servers/{ids['az1']}", "2.61").status_code == 406
    for id in ids.values():
        assert ask("DELETE", f"/servers/{id}", "2.1").status_code == 204
