"""Kinds of addresses and of ports on networks that span pods."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tenants import STRETCHED, Project, admin_cloud, cloud, eventually, reconcile
from test_stretched import inside, network_of, outside_of, ports_of, routers_in

pytestmark = pytest.mark.release

MODES = ("slaac", "dhcpv6-stateless", "dhcpv6-stateful")


def test_addresses_of_both_versions_are_the_tops_in_each_pod(spanning: Project):
    network = spanning.tenant.network
    net = network_of(spanning)
    for number, mode in enumerate(MODES):
        network.create_subnet(
            network_id=net.id, cidr=f"fd00:0:0:{number}::/64", ip_version=6, name=mode,
            ipv6_ra_mode=mode, ipv6_address_mode=mode,
        )  # fmt: skip
    servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
    every: list[str] = []
    for server, region in zip(servers, ("Pod1", "Pod2"), strict=True):
        (port,) = ports_of(spanning, server)
        addresses = sorted(ip["ip_address"] for ip in port.fixed_ips)
        # all that follow from the MAC, and one of each version that is leased
        assert len(addresses) in (3, 4) and addresses[0].startswith("10.20.0.")
        told = {entry["addr"] for entry in server.addresses["net1"]}
        assert told == set(addresses)
        (bottom,) = [p for p in inside(spanning, region)["ports"] if p.device_id == server.id]
        assert sorted(ip["ip_address"] for ip in bottom.fixed_ips) == addresses
        modes = {s.name: s.ipv6_address_mode for s in inside(spanning, region)["subnets"]}
        assert modes == {"sub-net1": None} | dict(zip(MODES, MODES, strict=True))
        every += addresses
    assert len(set(every)) == len(every)


def test_servers_made_at_once_where_all_addresses_follow_from_macs(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    net = network.create_network(name="net1")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    network.create_subnet(network_id=net.id, cidr="fd11::/64", ip_version=6, **modes)
    compute.create_server(
        name="many", image_id=spanning.image, flavor_id="1", networks=[{"uuid": net.id}],
        availability_zone="az2", min_count=2, max_count=2,
    )  # fmt: skip

    def told() -> dict[str, str]:
        """What Nova tells of the servers, once they are there."""
        many = [s for s in compute.servers() if s.status == "ACTIVE" and s.addresses]
        return {s.id: s.addresses["net1"][0]["addr"] for s in many}

    def held() -> dict[str, str]:
        ports = [p for p in network.ports(network_id=net.id) if "compute" in p.device_owner]
        return {p.device_id: p.fixed_ips[0]["ip_address"] for p in ports}

    assert eventually(lambda: len(told()) == 2 and held() == told(), 90)
    assert reconcile(spanning.appliance)["failed"] == 0 and held() == told()


def test_an_address_that_a_server_gets_later_is_leased_at_the_top_and_reaches_its_pod(
    spanning: Project,
):
    net = network_of(spanning)
    server = spanning.server("az2", networks=[{"uuid": net.id}])
    (port,) = ports_of(spanning, server)
    had = {ip["ip_address"] for ip in port.fixed_ips}
    assert act(spanning, server, "addFixedIp", networkId=net.id) == 202
    (port,) = ports_of(spanning, server)
    (new,) = {ip["ip_address"] for ip in port.fixed_ips} - had

    def has(address: str) -> bool:
        (own,) = [p for p in inside(spanning, "Pod2")["ports"] if p.device_id == server.id]
        return address in {ip["ip_address"] for ip in own.fixed_ips}

    assert has(new)
    shown = spanning.tenant.compute.get_server
    names = lambda: {e["addr"] for e in shown(server.id).addresses["net1"]}  # noqa: E731
    assert eventually(lambda: new in names(), 60)
    assert act(spanning, server, "removeFixedIp", address=new) == 202
    (port,) = ports_of(spanning, server)
    assert new not in {ip["ip_address"] for ip in port.fixed_ips} and not has(new)


def act(project: Project, server: Any, action: str, **body: Any) -> int:
    """The status of an action that newer microversions do not have."""
    url = f"{project.appliance.url('compute')}/v2.1/servers/{server.id}/action"
    headers = {"X-Auth-Token": project.token, "OpenStack-API-Version": "compute 2.43"}
    return requests.post(url, json={action: body}, headers=headers, timeout=60).status_code


def test_dhcp_options_and_allowed_pairs_of_a_port_are_the_pods_too(spanning: Project):
    network = spanning.tenant.network
    net = network_of(spanning)
    options = [{"opt_name": "tftp-server", "opt_value": "192.0.2.1", "ip_version": 4}]
    port = network.create_port(
        network_id=net.id, extra_dhcp_opts=options,
        allowed_address_pairs=[{"ip_address": "10.20.0.200"}],
    )  # fmt: skip
    server = spanning.server("az2", networks=[{"port": port.id}])

    def bottom() -> Any:
        (one,) = [p for p in inside(spanning, "Pod2")["ports"] if p.device_id == server.id]
        pairs = [(pair["ip_address"], pair["mac_address"]) for pair in one.allowed_address_pairs]
        return [(o["opt_name"], o["opt_value"]) for o in one.extra_dhcp_opts], pairs

    mac = port.mac_address
    assert bottom() == ([("tftp-server", "192.0.2.1")], [("10.20.0.200", mac)])
    changes = [{"opt_name": "tftp-server", "opt_value": None}]
    changes += [{"opt_name": "bootfile-name", "opt_value": "x"}]
    network.update_port(port, extra_dhcp_opts=changes, allowed_address_pairs=[])
    assert bottom() == ([("bootfile-name", "x")], [])
    (group,) = port.security_group_ids
    network.update_port(port, allowed_address_pairs=[{"ip_address": "10.20.0.0/28"}])
    assert bottom()[1] == [("10.20.0.0/28", mac)]
    members = {f"{port.fixed_ips[0]['ip_address']}/32", "10.20.0.0/28"}

    def told() -> bool:
        return [set(one.addresses) for one in inside(spanning, "Pod2")["addresses"]] == [members]

    assert eventually(told, 30), group


def test_a_qos_policy_is_in_the_pods_that_use_it(spanning: Project):
    network, admin = spanning.tenant.network, admin_cloud("Central").network
    net = network_of(spanning)
    policy = admin.create_qos_policy(name="slow", project_id=spanning.id)
    rule = admin.create_qos_bandwidth_limit_rule(policy, max_kbps=1000, direction="egress")
    try:
        port = network.create_port(network_id=net.id, qos_policy_id=policy.id)
        server = spanning.server("az2", networks=[{"port": port.id}])

        def limits(region: str) -> list[int]:
            there = admin_cloud(region).network
            own = list(there.qos_policies(project_id=spanning.id))
            return [rule["max_kbps"] for one in own for rule in one.rules]

        assert (limits("Pod1"), limits("Pod2")) == ([], [1000])
        (bottom,) = [p for p in inside(spanning, "Pod2")["ports"] if p.device_id == server.id]
        (own,) = admin_cloud("Pod2").network.qos_policies(project_id=spanning.id)
        assert bottom.qos_policy_id == own.id
        ours = cloud("admin", "admin", "admin", STRETCHED).network
        ours.update_qos_bandwidth_limit_rule(rule, policy, max_kbps=2000, direction="egress")
        assert eventually(lambda: limits("Pod2") == [2000], 30)
        network.update_port(port, qos_policy_id=None)
        (bottom,) = [p for p in inside(spanning, "Pod2")["ports"] if p.device_id == server.id]
        assert bottom.qos_policy_id is None
        assert reconcile(spanning.appliance)["failed"] == 0
        assert limits("Pod2") == []
    finally:
        for one in network.ports(network_id=net.id, qos_policy_id=policy.id):
            network.update_port(one, qos_policy_id=None)
        admin.delete_qos_policy(policy)


def test_ipv6_leads_out_by_the_pod_of_the_external_network(spanning: Project):
    network, net = spanning.tenant.network, network_of(spanning)
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    six = network.create_subnet(network_id=net.id, cidr="fd10::/64", ip_version=6, **modes)
    with outside_of(spanning) as outside:
        ours = cloud("admin", "admin", "admin", STRETCHED).network
        ours.create_subnet(
            network_id=outside.id, cidr="2001:db8:f::/64", ip_version=6, is_dhcp_enabled=False
        )
        spanning.server("az2", networks=[{"uuid": net.id}])
        router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        network.add_interface_to_router(router, six.id)
        network.add_interface_to_router(router, net.subnet_ids[0])

        def ways(region: str) -> dict[str, str]:
            own = routers_in(spanning, region)
            return {way["destination"]: way["nexthop"] for r in own for way in r.routes}

        halves = {"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}
        back = {"10.20.0.0/24", "fd10::/64"}
        assert eventually(lambda: set(ways("Pod2")) == halves and set(ways("Pod1")) == back, 60)
        told = {r: routers_in(spanning, r)[0] for r in ("Pod1", "Pod2")}
        addresses = [
            sorted(ip["ip_address"] for ip in one.external_gateway_info["external_fixed_ips"])
            for one in (router, *told.values())
        ]
        assert addresses[0] == addresses[1] and addresses[0][0].startswith("2001:db8:f::")
        # the far one has its gateway on the bridge, over which IPv6 goes both ways
        near = admin_cloud("Pod1").network.ports(device_id=told["Pod1"].id)
        own = {ip["ip_address"] for p in near for ip in p.fixed_ips}
        assert ways("Pod2")["::/1"] == ways("Pod2")["8000::/1"] and ways("Pod2")["::/1"] in own
        assert ways("Pod1")["fd10::/64"] in addresses[2]
        assert reconcile(spanning.appliance)["drift"] == 0


@contextlib.contextmanager
def third(project: Project) -> Iterator[None]:
    """A third pod for as long as this."""
    added = project.appliance.command("pod", "add", "Pod3", "--az", "az3")
    assert added.returncode == 0, added.stdout + added.stderr
    try:
        yield
    finally:
        removed = project.appliance.command("pod", "remove", "Pod3", "--force")
        assert removed.returncode == 0, removed.stdout + removed.stderr


@pytest.mark.skipif(os.environ.get("LAB_PODS") != "3", reason="the lab has two pods")
def test_a_network_and_its_router_are_in_three_pods(spanning: Project):
    network = spanning.tenant.network
    pods = {"az1": "Pod1", "az2": "Pod2", "az3": "Pod3"}
    with third(spanning), outside_of(spanning, "Pod3") as outside:
        nets = {zone: network_of(spanning, zone, f"10.3{zone[2]}.0.0/24") for zone in pods}
        router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        for net in nets.values():
            network.add_interface_to_router(router, net.subnet_ids[0])
        servers = {
            zone: spanning.server(zone, networks=[{"uuid": net.id}]) for zone, net in nets.items()
        }
        hops: dict[str, str] = {}

        def routes() -> bool:
            told = {}
            for zone, region in pods.items():
                found = routers_in(spanning, region)
                if not found:
                    return False
                told[zone] = {route["destination"]: route["nexthop"] for route in found[0].routes}
            others = {
                zone: {f"10.3{other[2]}.0.0/24" for other in pods if other != zone} for zone in pods
            }
            halves = {"0.0.0.0/1", "128.0.0.0/1"}
            out = {"az1": halves, "az2": halves, "az3": set()}
            hops.update(told["az1"] | {"10.31.0.0/24": told["az2"].get("10.31.0.0/24", "")})
            return all(set(told[zone]) == others[zone] | out[zone] for zone in pods)

        assert eventually(routes, 90)
        assert hops["0.0.0.0/1"] == hops["10.33.0.0/24"]
        assert len({hops[f"10.3{number}.0.0/24"] for number in (1, 2, 3)}) == 3
        (far,) = ports_of(spanning, servers["az1"])
        floating = network.create_ip(floating_network_id=outside.id, port_id=far.id)
        (two,) = eventually(lambda: list(admin_cloud("Pod1").network.ips(project_id=spanning.id)))
        (one,) = eventually(lambda: list(admin_cloud("Pod3").network.ips(project_id=spanning.id)))
        assert one.floating_ip_address == floating.floating_ip_address
        assert one.fixed_ip_address == two.floating_ip_address
        assert two.fixed_ip_address == far.fixed_ips[0]["ip_address"]
        network.delete_ip(floating)
        for server in servers.values():
            spanning.tenant.compute.delete_server(server)
        for server in servers.values():
            spanning.tenant.compute.wait_for_delete(server, wait=60, interval=0.5)
        for net in nets.values():
            network.remove_interface_from_router(router, net.subnet_ids[0])
        network.delete_router(router)
        for net in nets.values():
            network.delete_network(net)
        for region in pods.values():
            assert not routers_in(spanning, region)
            left = inside(spanning, region)
            assert not (left["networks"] or left["subnets"] or left["ports"])
