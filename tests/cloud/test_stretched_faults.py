"""What remains when pods freeze and the appliance dies in the middle of boots: nothing lost,
nothing twice, nothing left."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any

import pytest
import requests
from openstack import exceptions
from tenants import STRETCHED, Project, admin_cloud, eventually, lab, reconcile
from test_stretched import inside, network_of

pytestmark = pytest.mark.release

CLAIM = 60.0
"""Seconds of `network.claim_seconds` in the fixture."""


def asking(project: Project, network: Any, zone: str, name: str) -> threading.Thread:
    """A boot that is asked for, whatever becomes of it."""
    body = {
        "name": name, "imageRef": project.image, "flavorRef": "1", "availability_zone": zone,
        "networks": [{"uuid": network.id}],
    }  # fmt: skip
    url = f"{project.appliance.url('compute')}/v2.1/servers"
    headers = {"X-Auth-Token": project.token, "OpenStack-API-Version": "compute 2.90"}

    def ask() -> None:
        with contextlib.suppress(requests.RequestException):
            requests.post(url, json={"server": body}, headers=headers, timeout=90)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def whole(project: Project, network: Any) -> None:
    """Each port at the top is a server's that there is, and in its pod once; no more is there."""
    servers = {}
    for region in ("Pod1", "Pod2"):
        servers |= {server.id: region for server in project.at(region).compute.servers()}
    center = admin_cloud("Central").network
    tops = [
        p for p in center.ports(network_id=network.id) if not p.device_owner.startswith("network:")
    ]
    assert {port.device_id for port in tops} == set(servers), (tops, servers)
    assert len(tops) == len(servers)
    for region in ("Pod1", "Pod2"):
        ports = [
            p for p in inside(project, region)["ports"] if not p.device_owner.startswith("network:")
        ]
        mine = {f"trio2o:{p.id}" for p in tops if servers[p.device_id] == region}
        assert {port.description for port in ports} == mine
        assert len(ports) == len(mine)


def test_whenever_the_appliance_is_killed_in_a_boot_a_pass_makes_things_whole(spanning: Project):
    appliance = spanning.appliance
    network = network_of(spanning)
    for number, seconds in enumerate((0.3, 0.8, 1.5, 2.5, 4.0)):
        thread = asking(spanning, network, f"az{number % 2 + 1}", f"killed-{number}")
        time.sleep(seconds)
        appliance.end(signal.SIGKILL)
        thread.join()
        appliance.start()
    time.sleep(CLAIM + 1)
    assert eventually(lambda: reconcile(appliance)["failed"] == 0, 60)
    whole(spanning, network)
    assert eventually(lambda: reconcile(appliance)["drift"] == 0, 60)


def test_a_pod_that_freezes_in_a_boot_is_made_whole_when_it_is_back(spanning: Project):
    appliance = spanning.appliance
    network = network_of(spanning)
    spanning.server("az1", networks=[{"uuid": network.id}])
    thread = asking(spanning, network, "az2", "frozen")
    time.sleep(0.7)
    lab("fault", "Pod2", "freeze")
    try:
        # the other pod goes on, the network changes, and is deleted nowhere
        spanning.server("az1", "meanwhile", networks=[{"uuid": network.id}])
        spanning.tenant.network.update_network(network.id, name="renamed")
        assert reconcile(appliance)["name"] == "networks"
    finally:
        lab("fault", "Pod2", "heal")
    thread.join()
    time.sleep(CLAIM + 1)
    assert eventually(lambda: reconcile(appliance)["failed"] == 0, 90)
    whole(spanning, network)
    for region in ("Pod1", "Pod2"):
        assert {own.name for own in inside(spanning, region)["networks"]} <= {"renamed"}


def test_a_network_that_is_no_vlan_stays_in_one_pod(spanning: Project):
    admin = admin_cloud(STRETCHED).network
    network = admin.create_network(
        name="tunnels", project_id=spanning.id, provider_network_type="vxlan"
    )
    spanning.tenant.network.create_subnet(network_id=network.id, cidr="10.21.0.0/24", ip_version=4)
    spanning.server("az1", networks=[{"uuid": network.id}])
    said = "is a vxlan network, and only a vlan spans pods: it is needed in Pod1 and Pod2"
    with pytest.raises(exceptions.BadRequestException, match=said):
        spanning.server("az2", networks=[{"uuid": network.id}])
    assert not inside(spanning, "Pod2")["networks"]
    assert [port.device_owner for port in spanning.tenant.network.ports()].count("compute:az2") == 0
