"""What is told of calls that real clients make to real clouds."""

from __future__ import annotations

import json
from typing import Any

import requests
from tenants import Project, RealAppliance, admin_cloud, eventually


def lines(appliance: RealAppliance, name: str, project: Project) -> list[dict[str, Any]]:
    """The lines of a log that are about a project."""
    found = (appliance.folder / name).read_text().splitlines()
    return [json.loads(line) for line in found if project.id in line]


def test_a_volumes_life_is_in_the_logs_and_the_metrics(
    appliance: RealAppliance, project: Project
) -> None:
    tenant = project.tenant
    volume = tenant.block_storage.create_volume(size=1, availability_zone="az2")
    tenant.block_storage.wait_for_status(volume, "available", wait=60)
    tenant.block_storage.delete_volume(volume)

    def audited() -> list[dict[str, Any]]:
        events = lines(appliance, "audit.jsonl", project)
        return events if {e["action"] for e in events} >= {"create", "delete"} else []

    events = {event["action"]: event for event in eventually(audited, 20)}
    for action in ("create", "delete"):
        event = events[action]
        assert (event["outcome"], event["target"]["id"]) == ("success", volume.id)
        assert event["target"]["typeURI"] == "service/volume/volumes"
        assert event["target"]["host"] == {"id": "Pod2"}

    shows = [
        line
        for line in lines(appliance, "access.jsonl", project)
        if line["operation"] == "GET /v3/volumes/{id}" and line["status"] == 200
    ]
    assert shows and all(line["pod"] == "Pod2" for line in shows)
    assert all(0 < line["pod_seconds"] <= line["seconds"] for line in shows)

    admin = admin_cloud("RegionOne")
    url = f"http://127.0.0.1:{appliance.ports['admin']}"
    headers = {"X-Auth-Token": admin.auth_token}
    text = requests.get(f"{url}/metrics", headers=headers, timeout=10).text
    wanted = 'operation="POST /v3/volumes",pod="Pod2",status="202"'
    assert any(
        line.startswith("trio2o_requests_total{") and wanted in line for line in text.splitlines()
    )
    pods = requests.get(f"{url}/healthcheck/pods", timeout=10).json()["pods"]
    assert {pod["pod_name"]: pod["ready"] for pod in pods} == {"Pod1": True, "Pod2": True}

    written = "".join(
        (appliance.folder / name).read_text() for name in ("access.jsonl", "audit.jsonl")
    )
    for secret in (admin.auth_token, tenant.auth_token, "gAAAA"):
        assert secret not in written and secret not in text
