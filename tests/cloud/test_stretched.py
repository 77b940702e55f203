"""Networks that span two real Neutrons: kept in Central's, made in the pods that need them."""

from __future__ import annotations

from typing import Any

from tenants import Project, admin_cloud, eventually

CIDR = "10.20.0.0/24"


def network_of(project: Project, name: str = "net1", **more: Any) -> Any:
    """A network with a subnet."""
    network = project.tenant.network.create_network(name=name, **more)
    project.tenant.network.create_subnet(
        network_id=network.id, cidr=CIDR, ip_version=4, name=f"sub-{name}"
    )
    return network


def inside(project: Project, region: str) -> dict[str, list[Any]]:
    """What a pod's Neutron has of the project, by kind."""
    network = admin_cloud(region).network
    return {
        "networks": list(network.networks(project_id=project.id)),
        "subnets": list(network.subnets(project_id=project.id)),
        "ports": list(network.ports(project_id=project.id)),
        "groups": list(network.security_groups(project_id=project.id)),
        "addresses": list(network.address_groups(project_id=project.id)),
    }


def test_servers_of_two_zones_are_on_one_network_with_addresses_of_their_own(spanning: Project):
    net = network_of(spanning)
    servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
    assert [server.availability_zone for server in servers] == ["az1", "az2"]
    addresses = [server.addresses["net1"][0]["addr"] for server in servers]
    assert len(set(addresses)) == 2
    ports = list(spanning.tenant.network.ports(network_id=net.id, device_owner="compute:az1"))
    ports += spanning.tenant.network.ports(network_id=net.id, device_owner="compute:az2")
    assert {port.device_id for port in ports} == {server.id for server in servers}
    assert {port.fixed_ips[0]["ip_address"] for port in ports} == set(addresses)
    assert {port.status for port in ports} == {"ACTIVE"}
    interfaces = [i for s in servers for i in spanning.tenant.compute.server_interfaces(s)]
    assert {i.port_id for i in interfaces} == {port.id for port in ports}
    assert {i.net_id for i in interfaces} == {net.id}
    gateways, pools, macs = set(), [], set()
    for region in ("Pod1", "Pod2"):
        found = inside(spanning, region)
        (own,) = found["networks"]
        assert (own.name, own.description) == ("net1", f"trio2o:{net.id}")
        (subnet,) = found["subnets"]
        assert subnet.cidr == CIDR
        gateways.add(subnet.gateway_ip)
        pools += [pool["start"] for pool in subnet.allocation_pools]
        macs |= {port.mac_address for port in found["ports"] if port.device_owner != "network:dhcp"}
    assert len(gateways) == 2 and "10.20.0.1" in gateways
    assert len(pools) == 2 and not set(pools) & set(addresses)
    assert macs == {port.mac_address for port in ports}
    for server in servers:
        spanning.tenant.compute.delete_server(server)
    for server in servers:
        spanning.tenant.compute.wait_for_delete(server, wait=60, interval=0.5)
    spanning.tenant.network.delete_network(net)  # at once, as Terraform does
    for region in ("Pod1", "Pod2"):
        found = eventually(
            lambda region=region: (
                not any(inside(spanning, region)[k] for k in ("networks", "subnets", "ports"))
            ),
            10,
        )
        assert found
    assert not list(spanning.tenant.network.networks(project_id=spanning.id))
