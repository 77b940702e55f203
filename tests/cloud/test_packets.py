"""Packets over networks that span pods: Neutron's own agents, Open vSwitch, servers that speak.

`make lab-ping`; the lab is used by nothing else meanwhile. Each test prints what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from attrs import define, field
from tenants import (
    STRETCHED,
    Project,
    RealAppliance,
    admin_cloud,
    eventually,
    own_project,
    reconcile,
)

from tests.lab import dataplane
from tests.lab.dataplane.machine import Machine
from tests.lab.dataplane.server import Server, outside, plug

pytestmark = pytest.mark.packets

PODS = {"az1": 1, "az2": 2}
CIDRS = {"wide": "10.61.0.0/24", "near": "10.62.0.0/24", "far": "10.63.0.0/24"}
SIX = {
    "wide": {"slaac": "fd61:1::/64", "dhcpv6-stateful": "fd61:2::/64"},
    "near": {"slaac": "fd62::/64"},
    "far": {"dhcpv6-stateful": "fd63::/64"},
}
"""How servers of a network come by their IPv6 addresses, and the subnets of these."""

SERVERS = {
    "w1": ("wide", "az1"),
    "w2": ("wide", "az2"),
    "n1": ("near", "az1"),
    "f2": ("far", "az2"),
}
"""The network and the zone of each server."""

EDGE = "203.0.113.0/24"
"""The addresses of what is outside."""

WHOLE = 1500 - 20 - 8
"""Bytes of a ping that fill a frame of the MTU; of IPv6's these are 20 less."""

PAIRS = (("n1", "f2"), ("f2", "n1"), ("w1", "f2"), ("w2", "n1"), ("n1", "w2"))
"""Servers that a router joins."""


@define
class Town:
    """What a tenant has, and what stands for its servers."""

    project: Project
    machines: dict[int, Machine]
    networks: dict[str, Any] = field(factory=dict)
    subnets: dict[str, Any] = field(factory=dict)
    subnets6: list[Any] = field(factory=list)
    booted: dict[str, Any] = field(factory=dict)
    servers: dict[str, Server] = field(factory=dict)
    external: Any = None
    router: Any = None

    @property
    def network(self) -> Any:
        return self.project.tenant.network

    def address(self, name: str, start: str = "10.") -> str:
        """What Nova tells of a server: its address that starts so."""
        told = (one["addr"] for one in self.booted[name].addresses[SERVERS[name][0]])
        (found,) = (str(address) for address in told if address.startswith(start))
        return found

    def address6(self, name: str, mode: str) -> str:
        return self.address(name, SIX[SERVERS[name][0]][mode].removesuffix(":/64"))

    def port(self, name: str) -> Any:
        (found,) = self.network.ports(device_id=self.booted[name].id)
        return found

    def open(self, protocol: str, **more: Any) -> Any:
        """A rule that lets in what comes from anywhere."""
        (group,) = self.network.security_groups(project_id=self.project.id, name="default")
        return self.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", protocol=protocol, **more
        )

    def build(self) -> None:
        network = self.network
        for name, cidr in CIDRS.items():
            made = self.networks[name] = network.create_network(name=name)
            self.subnets[name] = network.create_subnet(
                network_id=made.id, cidr=cidr, ip_version=4, name=name
            )
            self.subnets6 += [
                network.create_subnet(
                    network_id=made.id, cidr=cidr, ip_version=6, name=f"{name}-{mode}",
                    ipv6_ra_mode=mode, ipv6_address_mode=mode,
                )
                for mode, cidr in SIX[name].items()
            ]  # fmt: skip
        with ThreadPoolExecutor(len(PODS)) as many:
            list(many.map(self.boot, SERVERS))
        for name in SERVERS:
            assert eventually(lambda name=name: self.port(name).status == "ACTIVE"), name

    def boot(self, name: str) -> None:
        where, zone = SERVERS[name]
        self.booted[name], self.servers[name] = self.server(
            zone, name, uuid=self.networks[where].id
        )

    def server(self, zone: str, name: str, **wanted: str) -> tuple[Any, Server]:
        """A server of Nova's, and what stands for it on the wires of its pod."""
        booted = self.project.server(zone, name, networks=[wanted])
        pod = PODS[zone]
        (bottom,) = admin_cloud(f"Pod{pod}").network.ports(device_id=booted.id)
        return booted, plug(self.machines[pod], name, bottom.id, bottom.mac_address)


def show(text: str) -> None:
    print(f"    {text}", flush=True)


@pytest.fixture(scope="module")
def town(stretched: RealAppliance) -> Iterator[Town]:
    """Three networks, and four servers on them in two pods."""
    with dataplane.up(PODS.values()) as machines:
        for project in own_project(stretched, STRETCHED):
            town = Town(project, machines)
            town.build()
            yield town


def test_dhcp_of_its_own_pod_gives_each_server_what_the_top_says(town: Town):
    gateways = {}
    for name, server in town.servers.items():
        lease = server.dhcp()
        gateways[name] = lease["router"]
        assert lease["mtu"] == "1500"
        told = f"{lease['ip']}/{lease['mask']}, gateway {lease['router']}"
        show(f"{name}: {told}, from {lease['serverid']}")
        assert lease["ip"] == town.address(name)
    assert gateways["w1"] != gateways["w2"]


def test_servers_of_two_pods_are_on_one_wire(town: Town):
    one, two = town.servers["w1"], town.servers["w2"]
    for size in (56, WHOLE):
        assert one.answers(town.address("w2"), size) == 3
        assert two.answers(town.address("w1"), size) == 3
    show(one.run("ip", "neighbour").strip())
    assert town.port("w2").mac_address in one.run("ip", "neighbour", "show", town.address("w2"))


def test_a_packet_is_refused_unless_a_group_lets_it_in(town: Town):
    network, one, w2 = town.network, town.servers["w1"], town.address("w2")
    port = town.port("w2")
    before = list(port.security_group_ids)  # an update changes `port` itself
    shut = network.create_security_group(name="shut")  # lets nothing in
    network.update_port(port, security_groups=[shut.id])
    assert eventually(lambda: one.answers(w2) == 0, 30)
    show(f"w1 -> w2 {w2}: refused, as group 'shut' of w2 has no rule for it")
    network.update_port(port, security_groups=before)
    assert eventually(lambda: one.answers(w2) == 3, 30)
    show(f"w1 -> w2 {w2}: let in, as both are in group 'default', each in its pod")
    network.delete_security_group(shut)


def test_a_port_that_goes_to_another_pod_is_found_there(town: Town):
    network, compute = town.network, town.project.tenant.compute
    port = network.create_port(network_id=town.networks["wide"].id)
    address = port.fixed_ips[0]["ip_address"]
    for zone in PODS:
        booted, server = town.server(zone, "moves", port=port.id)
        assert server.dhcp()["ip"] == address
        for name in ("w1", "w2"):
            one = town.servers[name]
            assert eventually(lambda one=one: one.answers(address) == 3, 30), (zone, name)
            assert port.mac_address in one.run("ip", "neighbour", "show", address)
        show(f"{address} at {port.mac_address} answers w1 and w2 from {zone}")
        compute.delete_server(booted)
        compute.wait_for_delete(booted, wait=60, interval=0.5)
        server.unplug()
    network.delete_port(port)


def test_a_router_joins_networks_whose_servers_are_in_different_pods(town: Town):
    town.router = town.network.create_router(name="r")
    for subnet in town.subnets.values():
        town.network.add_interface_to_router(town.router, subnet.id)
    for one, other in PAIRS:
        server, address = town.servers[one], town.address(other)
        assert eventually(lambda server=server, address=address: server.answers(address) == 3, 60)
        assert server.answers(address, WHOLE) == 3
        show(f"{one} {town.address(one)} -> {other} {address}: {server.hops(address)}")


def test_servers_of_two_pods_have_the_tops_ipv6_addresses_and_are_on_one_wire(town: Town):
    for subnet in town.subnets6:
        town.network.add_interface_to_router(town.router, subnet.id)
    for name, server in town.servers.items():
        for mode in SIX[SERVERS[name][0]]:
            address = town.address6(name, mode)
            if mode == "dhcpv6-stateful":
                assert server.dhcp6()["new_ip6_address"] == address
            assert eventually(lambda server=server, it=address: it in server.addresses6()), name
            show(f"{name}: {address} by {mode}")
    one, two = town.servers["w1"], town.servers["w2"]
    for mode in SIX["wide"]:
        for size in (56, WHOLE - 20):
            for server, address in (
                (one, town.address6("w2", mode)), (two, town.address6("w1", mode)),
            ):  # fmt: skip
                assert eventually(lambda s=server, a=address, n=size: s.answers(a, n) == 3, 30)
    show(one.run("ip", "-6", "neighbour").strip())


def test_a_router_joins_ipv6_networks_whose_servers_are_in_different_pods(town: Town):
    for one, other in PAIRS:
        server = town.servers[one]
        for mode in SIX[SERVERS[other][0]]:
            to = town.address6(other, mode)
            assert eventually(lambda server=server, to=to: server.answers(to) == 3), (one, to)
            assert server.answers(to, WHOLE - 20) == 3
            show(f"{one} -> {other} {to}: {server.hops(to)}")
    counted = reconcile(town.project.appliance)
    assert (counted["drift"], counted["failed"]) == (0, 0), counted["notes"]


@pytest.fixture(scope="module")
def edge(town: Town) -> Iterator[Server]:
    """A computer outside, beside Pod1, and an external network that leads there."""
    admin = admin_cloud(STRETCHED).network
    external = town.external = admin.create_network(
        name=f"outside-{town.project.name}", is_router_external=True,
        provider_network_type="flat", provider_physical_network="extern",
        availability_zone_hints=["Pod1"],
    )  # fmt: skip
    try:
        admin.create_subnet(network_id=external.id, cidr=EDGE, ip_version=4, is_dhcp_enabled=False)
        town.network.update_router(town.router, external_gateway_info={"network_id": external.id})
        yield outside(town.machines[1], "outside", "203.0.113.1/24")
    finally:
        if left := town.network.find_router(town.router.id):
            town.network.update_router(left, external_gateway_info={})
        admin.delete_network(external)


def test_servers_of_both_pods_reach_what_is_outside(town: Town, edge: Server):
    for name, server in town.servers.items():
        assert eventually(lambda server=server: server.answers("203.0.113.1") == 3, 60), name
        show(f"{name} -> 203.0.113.1: {server.hops('203.0.113.1')}")
    # the bridge is the gateway of Pod2's router now
    n1, f2 = town.servers["n1"], town.address6("f2", "dhcpv6-stateful")
    assert eventually(lambda: n1.answers(f2) == 3)
    show(f"n1 -> f2 {f2}: {n1.hops(f2)}")


def test_a_floating_ip_is_reached_from_outside_once_a_group_lets_it_in(town: Town, edge: Server):
    opened = False
    for name in ("w1", "w2", "f2"):
        made = town.network.create_ip(
            floating_network_id=town.external.id, port_id=town.port(name).id
        )
        address = made.floating_ip_address
        if not opened:
            assert edge.answers(address) == 0
            show(f"outside -> {address}: refused by group 'default'")
            town.open("icmp")
            opened = True
        assert eventually(lambda address=address: edge.answers(address) == 3, 60)
        assert edge.answers(address, WHOLE) == 3
        show(f"outside -> {address}: answered by {name} {town.address(name)}")
        for other in set(town.servers) - {name}:
            assert town.servers[other].answers(address) == 3, other
            show(f"{other} {town.address(other)} -> {address}: answered by {name}")
        town.network.delete_ip(made)
        assert eventually(lambda address=address: edge.answers(address) == 0, 30)


def test_ndp_proxies_let_what_is_outside_reach_servers_of_both_pods_in_a_scope(
    town: Town, edge: Server
):
    """IPv6 of an address scope: it is routed to no bridge, and yet to servers of both pods."""
    admin, network = admin_cloud(STRETCHED).network, town.network
    scope = admin.create_address_scope(name="s", ip_version=6, is_shared=True)
    pool = admin.create_subnet_pool(
        name="p", prefixes=["2001:db8::/32"], address_scope_id=scope.id, is_shared=True
    )
    six = {"ip_version": 6, "subnet_pool_id": pool.id}
    beside = admin.create_subnet(
        network_id=town.external.id, cidr="2001:db8:e::/64", is_dhcp_enabled=False, **six
    )
    edge.run("ip", "address", "add", "2001:db8:e::e/64", "dev", edge.tap, "nodad")
    made = network.create_network(name="scoped")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    subnet = network.create_subnet(network_id=made.id, **six, **modes)
    edge.run("ip", "route", "add", subnet.cidr, "dev", edge.tap)  # as proxies answer for them
    gateway = {"network_id": town.external.id}
    router = network.create_router(name="r6", external_gateway_info=gateway)
    network.add_interface_to_router(router, subnet.id)
    town.open("ipv6-icmp", ethertype="IPv6")
    booted = {zone: town.server(zone, f"six-{zone}", uuid=made.id) for zone in PODS}
    url = f"/routers/{router.id}"
    assert network.put(url, json={"router": {"enable_ndp_proxy": True}}).ok
    for zone, (row, server) in booted.items():
        (port,) = network.ports(device_id=row.id)
        (address,) = (ip["ip_address"] for ip in port.fixed_ips)
        assert eventually(lambda s=server, a=address: a in s.addresses6(), 30)
        assert edge.answers(address) == 0
        body = {"router_id": router.id, "port_id": port.id}
        assert network.post("/ndp_proxies", json={"ndp_proxy": body}).status_code == 201
        assert eventually(lambda a=address: edge.answers(a) == 3, 60), zone
        show(f"outside 2001:db8:e::e -> {address} of {zone}: {edge.hops(address)}")
        show(f"{address} -> outside: {server.hops('2001:db8:e::e')}")
    for proxy in network.get("/ndp_proxies").json()["ndp_proxies"]:
        assert network.delete(f"/ndp_proxies/{proxy['id']}").ok
    for row, _ in booted.values():
        town.project.tenant.compute.delete_server(row)
        town.project.tenant.compute.wait_for_delete(row, wait=60, interval=0.5)
    network.remove_interface_from_router(router, subnet.id)
    network.delete_router(router)
    network.delete_network(made)
    network.update_router(town.router, external_gateway_info={})
    admin.delete_subnet(beside)
    admin.delete_subnet_pool(pool)
    admin.delete_address_scope(scope)


def test_what_is_deleted_is_gone_from_the_wires(town: Town):
    network, compute = town.network, town.project.tenant.compute
    for server in town.booted.values():
        compute.delete_server(server)
    for server in town.booted.values():
        compute.wait_for_delete(server, wait=60, interval=0.5)
    for subnet in (*town.subnets.values(), *town.subnets6):
        network.remove_interface_from_router(town.router, subnet.id)
    network.delete_router(town.router)
    for one in town.networks.values():
        network.delete_network(one)
    for machine in town.machines.values():
        left = f"namespaces of agents in {machine.name}"
        assert eventually(lambda machine=machine: not machine.agents_namespaces(), 60), left
