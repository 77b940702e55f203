"""Two appliances over one PostgreSQL, one of them of two processes: either serves what the other
made, and goes on when the other is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from appliance import FACES, free_ports
from postgresql import Cluster
from tenants import REGION, Project, RealAppliance, admin_cloud, eventually

LEASE = 4.0


def started(folder: Path, store: str, workers: int) -> RealAppliance:
    folder.mkdir()
    one = RealAppliance(folder, dict(zip(FACES, free_ports(len(FACES)), strict=True)))
    given = [
        f"service.state={folder / 'state'}",
        f"service.region={REGION}",
        f"service.workers={workers}",
        f"store.url={store}",
        f"reconcile.lease={LEASE}",
        "identity.password=trio2o",
        "pods.refresh=5",
    ]
    for face, port in one.ports.items():
        given += [f"faces.{face}.listen=tcp:{port}:interface=127.0.0.1"]
        given += [f"faces.{face}.url=http://127.0.0.1:{port}"]
    words = [word for item in given for word in ("--set", item)]
    command = [sys.executable, "-m", "trio2o.commands", "init", "-o", one.config, *words]
    assert subprocess.run(command, check=False).returncode == 0
    one.start()
    return one


@pytest.fixture
def both(
    tmp_path: Path, postgresql: Cluster, project: Project
) -> Iterator[tuple[RealAppliance, RealAppliance]]:
    made: list[RealAppliance] = []
    url = postgresql.database()
    try:
        for name, workers in (("one", 1), ("two", 2)):
            made.append(started(tmp_path / name, url, workers))
        for words in ((REGION,), ("Pod1", "--az", "az1"), ("Pod2", "--az", "az2")):
            done = made[0].command("pod", "add", *words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield made[0], made[1]
    finally:
        for one in made:
            one.end()


def ask(one: RealAppliance, token: str, method: str, path: str, body: Any = None) -> Any:
    face = "admin" if path.startswith("/v1.0") else "compute"
    return requests.request(
        method, one.url(face) + path, json=body, headers={"X-Auth-Token": token}, timeout=60
    )


def test_either_serves_what_the_other_made_and_goes_on_alone(
    both: tuple[RealAppliance, RealAppliance], project: Project
):
    one, two = both
    admin = admin_cloud("RegionOne").auth_token
    eventually(lambda: len(ask(two, admin, "GET", "/v1.0/pods").json()["pods"]) == 3, 2)

    def create(where: RealAppliance, zone: str) -> str:
        wish = {"name": f"vm-{zone}", "imageRef": project.image, "flavorRef": "1"}
        body = {"server": wish | {"availability_zone": zone}}
        made = ask(where, project.token, "POST", "/v2.1/servers", body)
        assert made.status_code == 202, made.text
        return str(made.json()["server"]["id"])

    def shown(where: RealAppliance, id: str) -> Any:
        answer = ask(where, project.token, "GET", f"/v2.1/servers/{id}")
        return answer.json()["server"] if answer.status_code == 200 else None

    def listed(where: RealAppliance) -> set[str]:
        answer = ask(where, project.token, "GET", "/v2.1/servers").json()
        return {row["id"] for row in answer["servers"]}

    servers = {create(one, "az1"), create(two, "az2"), create(two, "az1"), create(one, "az2")}
    for where in both:
        assert listed(where) == servers
        assert all(shown(where, id) for id in servers)
        for id in servers:
            routing = ask(where, admin, "GET", f"/v1.0/routings/server:{id}").json()["routing"]
            assert routing["project_id"] == project.id
    bindings = [ask(w, admin, "GET", "/v1.0/bindings").json()["pod_bindings"] for w in both]
    assert bindings[0] == bindings[1]
    assert len([row for row in bindings[0] if row["tenant_id"] == project.id]) == 2

    def holder(where: RealAppliance) -> str:
        return str(ask(where, admin, "GET", "/v1.0/reconcilers").json()["holder"])

    first = holder(one)
    assert holder(two) == first and int(first.split(":")[1]) == one.process.pid  # type: ignore[union-attr]
    ran = ask(two, admin, "POST", "/v1.0/reconcilers/routes/run")
    assert ran.status_code == 200 and ran.json()["reconciler"]["failed"] == 0, ran.text

    one.end(signal.SIGKILL)
    assert listed(two) == servers
    gone = servers.pop()
    eventually(lambda: shown(two, gone)["status"] == "ACTIVE")
    assert ask(two, project.token, "DELETE", f"/v2.1/servers/{gone}").status_code == 204
    eventually(lambda: shown(two, gone) is None)
    servers.add(create(two, "az1"))
    eventually(lambda: holder(two) != first, LEASE + 1)
    ran = ask(two, admin, "POST", "/v1.0/reconcilers/routes/run")
    assert ran.status_code == 200 and ran.json()["reconciler"]["failed"] == 0, ran.text
    one.start()
    assert listed(one) == listed(two) == servers
    assert shown(one, gone) is None
