"""What was made or deleted in a pod without us is known after a pass."""

from __future__ import annotations

from typing import Any

import requests
from tenants import Project, admin_cloud, eventually


def test_what_happens_behind_our_back_is_known_after_a_pass(project: Project):
    headers = {"X-Auth-Token": admin_cloud("RegionOne").auth_token}
    base = f"{project.appliance.url('admin')}/v1.0"

    def sweep() -> Any:
        answer = requests.post(f"{base}/reconcilers/routes/run", headers=headers, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()["reconciler"]

    def routing(id: str) -> Any:
        answer = requests.get(f"{base}/routings/server:{id}", headers=headers, timeout=30)
        return answer.json()["routing"] if answer.status_code == 200 else None

    there = project.at("Pod2").compute
    image = project.image
    made = there.create_server(name="x", image_id=image, flavor_id="1", networks="none")
    assert routing(made.id) is None
    told = sweep()
    assert told["drift"] >= 1 and told["failed"] == 0
    known = routing(made.id)
    assert (known["pod_name"], known["project_id"]) == ("Pod2", project.id)
    sweep()  # the first pass asks what is there; from the second on they tell what is gone too
    assert sweep()["drift"] == 0
    there.wait_for_server(made, wait=60, interval=0.5)
    there.delete_server(made)
    eventually(lambda: not list(there.servers()))
    sweep()
    assert routing(made.id)["deleted_at"]
