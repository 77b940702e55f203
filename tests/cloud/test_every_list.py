"""Each list of each API that is served has the rows of both pods, in the shape of one."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from tenants import Project, RealAppliance, admin_cloud

from trio2o.faces import BaseFace
from trio2o.faces.compute import ComputeFace
from trio2o.faces.network import NetworkFace
from trio2o.faces.volume import VolumeFace

PORTS = {"compute": 774, "volume": 776, "network": 696}
SERVED = ("Gather", "Anywhere", "Definitive", "Since")


def lists(face: type[BaseFace]) -> list[str]:
    """Paths of lists as the table has them: GET, nothing to fill in."""
    return [
        row.path
        for row in face.operations
        if row.method == "GET" and "{" not in row.path and type(row.verb).__name__ in SERVED
    ]


def rows(answer: requests.Response) -> dict[str, Any]:
    return {key: value for key, value in answer.json().items() if isinstance(value, list)}


@pytest.mark.parametrize("face", [ComputeFace, VolumeFace, NetworkFace])
@pytest.mark.parametrize("who", ["tenant", "admin"])
def test_a_list_has_what_the_pods_have(
    face: type[BaseFace], who: str, appliance: RealAppliance, project: Project
):
    token = admin_cloud("RegionOne").auth_token if who == "admin" else project.token
    network = project.network("az1")
    project.tenant.network.create_port(network_id=network.id)
    project.server("az2")
    project.volume("az1")
    checked = 0
    for path in lists(face):
        headers = {"X-Auth-Token": token}
        ours = requests.get(appliance.url(face.name) + path, headers=headers, timeout=60)
        assert "X-Trio2o-Unavailable-Pods" not in ours.headers, path
        pods = [
            requests.get(
                f"http://127.0.0.1:{base}{PORTS[face.name]}{path}", headers=headers, timeout=60
            )
            for base in (11, 12)
        ]
        assert ours.status_code == pods[0].status_code, (path, ours.text)
        if ours.status_code != 200:
            continue
        theirs = [rows(answer) for answer in pods]
        for key, shown in rows(ours).items():
            if key.endswith("links"):
                continue
            assert len(shown) <= sum(len(one[key]) for one in theirs), path
            assert len(shown) >= max(len(one[key]) for one in theirs), path
            for one in theirs:
                if one[key] and isinstance(one[key][0], dict):
                    assert set(shown[0]) & set(one[key][0]), path
            checked += 1
    assert checked > 1
