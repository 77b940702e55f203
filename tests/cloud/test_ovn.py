"""A network that spans a pod with OVN: packets as OVN's own flows would carry them (ovn-trace)."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from tenants import Project, admin_cloud, eventually
from test_stretched import network_of

from tests.lab import settings, topology

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(not settings.is_ovn(2), reason="LAB_OVN=2 gives the second pod OVN"),
]


def trace(network_id: str, inport: str, source: Any, target: Any) -> str:
    """What is done with a new ping between two of the top's ports that comes in at a port of the
    pod's switch."""
    (mac, address), (to_mac, to_address) = (
        (port.mac_address, port.fixed_ips[0]["ip_address"]) for port in (source, target)
    )
    packet = f'inport == "{inport}" && eth.src == {mac} && eth.dst == {to_mac} && ip.ttl == 64'
    packet += f" && ip4.src == {address} && ip4.dst == {to_address} && icmp4.type == 8"
    database = f"--db={topology.ovn_database(2, 'south')}"
    how = [database, "--minimal", "--no-friendly-names", "--ct=new"]
    command = ["ovn-trace", *how, f"neutron-{network_id}", packet]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_ovn_carries_packets_to_the_other_pod_and_admits_the_groups_members_there(
    spanning: Project,
):
    network = spanning.tenant.network
    net = network_of(spanning)
    other = network.create_security_group(name="other")
    groups = {"one": ("az1", "default"), "two": ("az2", "default"), "stranger": ("az1", "other")}
    ports = {}
    for name, (zone, group) in groups.items():
        server = spanning.server(
            zone, name, networks=[{"uuid": net.id}], security_groups=[{"name": group}]
        )
        (ports[name],) = network.ports(device_id=server.id)
    assert ports["stranger"].security_group_ids == [other.id]
    below = admin_cloud("Pod2").network
    (bottom,) = below.networks(description=f"trio2o:{net.id}")
    (mine,) = below.ports(description=f"trio2o:{ports['two'].id}")
    segments = [s.id for s in below.segments(network_id=bottom.id)]
    assert bottom.provider_network_type == "vlan" and len(segments) == 1
    wire = f"provnet-{segments[0]}"  # Neutron's name of the port that leads out of the switch
    assert f'output("{wire}")' in trace(bottom.id, mine.id, ports["two"], ports["one"])
    admitted = f'output("{mine.id}")'
    eventually(lambda: admitted in trace(bottom.id, wire, ports["one"], ports["two"]), 20)
    assert admitted not in trace(bottom.id, wire, ports["stranger"], ports["two"])
