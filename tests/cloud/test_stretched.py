"""Networks that span two real Neutrons: kept in Central's, made in the pods that need them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openstack import exceptions
from tenants import (
    STRETCHED,
    Project,
    RealAppliance,
    admin_cloud,
    eventually,
    own_project,
    reconcile,
)

pytestmark = pytest.mark.release

CIDR = "10.20.0.0/24"


def network_of(project: Project, name: str = "net1", cidr: str = CIDR, **more: Any) -> Any:
    """A network with a subnet."""
    network = project.tenant.network.create_network(name=name, **more)
    subnet = project.tenant.network.create_subnet(
        network_id=network.id, cidr=cidr, ip_version=4, name=f"sub-{name}"
    )
    network.subnet_ids = [subnet.id]
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

    def ports_of(zone: str) -> list[Any]:
        return list(
            spanning.tenant.network.ports(network_id=net.id, device_owner=f"compute:{zone}")
        )

    eventually(lambda: {p.status for z in ("az1", "az2") for p in ports_of(z)} == {"ACTIVE"}, 10)
    ports = ports_of("az1") + ports_of("az2")
    assert {port.device_id for port in ports} == {server.id for server in servers}
    assert {port.fixed_ips[0]["ip_address"] for port in ports} == set(addresses)
    told = get(spanning.tenant.network, f"/ports/{ports[0].id}", fields="status")
    assert told == {"port": {"status": "ACTIVE"}}
    with pytest.raises(exceptions.ConflictException, match="already has an attached device"):
        spanning.tenant.network.update_port(ports[0], binding_vnic_type="direct")
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
        macs |= {p.mac_address for p in found["ports"] if not p.device_owner.startswith("network:")}
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
            30,
        )
        assert found
    assert not list(spanning.tenant.network.networks(project_id=spanning.id))


def ports_of(project: Project, server: Any) -> list[Any]:
    return list(project.tenant.network.ports(device_id=server.id))


def test_a_hint_keeps_a_network_to_its_zone_and_a_server_elsewhere_is_refused(spanning: Project):
    network = spanning.tenant.network
    net = network_of(spanning, availability_zone_hints=["az2"])
    assert net.availability_zone_hints == ["az2"]
    one = network.create_network(name="one", availability_zone_hints=["Pod1"])
    wide = network_of(spanning, "wide")
    for wanted, ids in (("az2", [net.id]), ("Pod1", [one.id])):
        query = {"availability_zone_hints": wanted, "project_id": spanning.id}
        assert [row["id"] for row in get(network, "/networks", **query)["networks"]] == ids
    with pytest.raises(exceptions.NotFoundException, match="AvailabilityZone az9 could not"):
        network.create_network(name="none", availability_zone_hints=["az9"])
    with pytest.raises(exceptions.BadRequestException, match=f"{net.id}.*az2.*az1"):
        spanning.server("az1", networks=[{"uuid": net.id}])
    assert not list(network.ports(network_id=net.id))
    unpinned = spanning.tenant.compute.create_server(
        name="follows", image_id=spanning.image, flavor_id="1", networks=[{"uuid": net.id}]
    )
    server = spanning.tenant.compute.wait_for_server(unpinned, wait=60, interval=0.5)
    assert server.availability_zone == "az2"
    assert network.get_network(net.id).availability_zones == ["az2"]
    assert network.get_network(wide.id).availability_zones == []


def get(proxy: Any, path: str, **query: Any) -> Any:
    answer = proxy.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rules_and_shares_that_pods_have_of_the_tops_are_not_shown_beside_these(spanning: Project):
    network, net = spanning.tenant.network, network_of(spanning)
    body = {"object_type": "network", "object_id": net.id, "action": "access_as_shared"}
    share = network.create_rbac_policy(**body, target_project_id="d" * 32)
    spanning.server("az2", networks=[{"uuid": net.id}])
    top = spanning.at("Central").network
    for path, rows in (
        ("/security-group-rules", "security_group_rules"),
        ("/rbac-policies", "rbac_policies"),
    ):
        shown = get(network, path, fields="id")[rows]
        assert shown and shown == get(top, path, fields="id")[rows]
        there = get(admin_cloud("Pod2").network, path, project_id=spanning.id)[rows]
        assert there
        for row in there:
            assert network.delete(f"{path}/{row['id']}").status_code == 404
    network.delete_rbac_policy(share, ignore_missing=False)


def test_a_port_made_before_the_boot_is_used_and_left_free(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    net = network_of(spanning)
    port = network.create_port(
        network_id=net.id, name="mine", fixed_ips=[{"ip_address": "10.20.0.77"}]
    )
    server = spanning.server("az2", networks=[{"port": port.id}])
    assert server.addresses["net1"][0]["addr"] == "10.20.0.77"
    assert server.addresses["net1"][0]["OS-EXT-IPS-MAC:mac_addr"] == port.mac_address
    shown = network.get_port(port.id)
    assert (shown.device_id, shown.device_owner) == (server.id, "compute:az2")
    assert shown.status == "ACTIVE"
    by_status = get(network, "/ports", network_id=net.id, status="ACTIVE")["ports"]
    assert [row["id"] for row in by_status] == [port.id]
    with pytest.raises(exceptions.ConflictException, match="still in use"):
        spanning.server("az1", networks=[{"port": port.id}])
    compute.delete_server(server)
    compute.wait_for_delete(server, wait=60, interval=0.5)
    shown = network.get_port(port.id)
    assert (shown.device_id, shown.device_owner, shown.status) == ("", "", "DOWN")
    # another zone may have it now
    server = spanning.server("az1", networks=[{"port": port.id}])
    assert server.addresses["net1"][0]["addr"] == "10.20.0.77"
    assert not [
        p for p in inside(spanning, "Pod2")["ports"] if not p.device_owner.startswith("network:")
    ]
    network.update_port(port, name="renamed", is_admin_state_up=False)
    bottoms = [p for p in inside(spanning, "Pod1")["ports"] if p.device_id == server.id]
    assert [(p.name, p.is_admin_state_up) for p in bottoms] == [("renamed", False)]


def test_interfaces_come_and_go_by_the_tops_ids(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    net = network_of(spanning)
    other = network.create_network(name="net2")
    subnet = network.create_subnet(network_id=other.id, cidr="10.30.0.0/24", ip_version=4)
    server = spanning.server("az1", networks=[{"uuid": net.id}])
    made = compute.create_server_interface(server, net_id=other.id)
    assert made.net_id == other.id
    port = network.get_port(made.port_id)
    assert port.fixed_ips == made.fixed_ips and port.fixed_ips[0]["subnet_id"] == subnet.id
    assert port.device_id == server.id
    shown = eventually(
        lambda: {i.net_id for i in compute.server_interfaces(server)} == {net.id, other.id}
    )
    assert shown
    assert compute.get_server_interface(port.id, server).net_id == other.id
    compute.delete_server_interface(port.id, server)
    assert eventually(lambda: not list(network.ports(network_id=other.id, device_id=server.id)), 90)
    network.delete_network(other)
    assert not [n for n in inside(spanning, "Pod1")["networks"] if n.name == "net2"]


def test_networks_left_to_choose_are_chosen_at_the_top(spanning: Project):
    compute = spanning.tenant.compute

    def boot(**more: Any) -> Any:
        made = compute.create_server(name="x", image_id=spanning.image, flavor_id="1", **more)
        return compute.wait_for_server(made, wait=60, interval=0.5)

    assert boot(networks="none", availability_zone="az1").addresses == {}
    network_of(spanning)
    assert list(boot(networks="auto", availability_zone="az2").addresses) == ["net1"]
    network_of(spanning, "net2")
    with pytest.raises(exceptions.ConflictException, match="Multiple possible networks"):
        boot(networks="auto")


def rules_in(project: Project, region: str, name: str) -> set[tuple[Any, ...]]:
    """What the rules of a pod's group say, remote address groups by their addresses."""
    network = admin_cloud(region).network
    (group,) = network.security_groups(project_id=project.id, name=name)
    lists = {
        a.id: tuple(sorted(a.addresses)) for a in network.address_groups(project_id=project.id)
    }
    return {
        (r["direction"], r["ethertype"], r["protocol"], r["port_range_min"],
         r["remote_group_id"], lists.get(r["remote_address_group_id"]))
        for r in group.security_group_rules
    }  # fmt: skip


def test_groups_are_equal_in_the_pods_that_use_them_and_hold_over_pods(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    net = network_of(spanning)
    web = network.create_security_group(name="web")
    for rule in list(web.security_group_rules):
        network.delete_security_group_rule(rule["id"])
    ssh = network.create_security_group_rule(
        security_group_id=web.id, direction="ingress", protocol="tcp", port_range_min=22,
        port_range_max=22,
    )  # fmt: skip
    one = spanning.server("az1", networks=[{"uuid": net.id}], security_groups=[{"name": "web"}])
    assert [g["name"] for g in one.security_groups] == ["web"]
    assert rules_in(spanning, "Pod1", "web") == {("ingress", "IPv4", "tcp", 22, None, None)}
    two = spanning.server("az2", networks=[{"uuid": net.id}])
    assert [g["name"] for g in two.security_groups] == ["default"]
    (address,) = [a["addr"] for a in two.addresses["net1"]]
    everyone = (f"{address}/32",)
    expected = {
        *(("egress", version, None, None, None, None) for version in ("IPv4", "IPv6")),
        *(("ingress", version, None, None, None, everyone) for version in ("IPv4", "IPv6")),
    }
    assert eventually(lambda: rules_in(spanning, "Pod2", "default") == expected, 30)
    # a group that is added at the top is there in the pod, and its members are everywhere
    default = next(iter(network.security_groups(project_id=spanning.id, name="default")))
    compute.add_security_group_to_server(one, {"name": "default"})
    assert {g["name"] for g in compute.get_server(one.id).security_groups} == {"web", "default"}
    ours = sorted(f"{a['addr']}/32" for a in (one.addresses["net1"][0], two.addresses["net1"][0]))
    for region in ("Pod1", "Pod2"):
        assert eventually(
            lambda region=region: (
                ("ingress", "IPv4", None, None, None, tuple(ours))
                in rules_in(spanning, region, "default")
            ),
            30,
        ), region
    (port,) = ports_of(spanning, one)
    assert set(port.security_group_ids) == {web.id, default.id}
    # a change of rules reaches the pods before it is answered
    network.delete_security_group_rule(ssh)
    network.create_security_group_rule(
        security_group_id=web.id, direction="ingress", protocol="udp", port_range_min=53,
        port_range_max=53, remote_group_id=default.id,
    )  # fmt: skip
    assert rules_in(spanning, "Pod1", "web") == {("ingress", "IPv4", "udp", 53, None, tuple(ours))}
    compute.remove_security_group_from_server(one, {"name": "web"})
    assert [g["name"] for g in compute.get_server(one.id).security_groups] == ["default"]
    shown = get(compute, f"/servers/{one.id}/os-security-groups")["security_groups"]
    assert [(g["id"], g["name"]) for g in shown] == [(default.id, "default")]
    network.delete_security_group(web)
    assert [g.name for g in inside(spanning, "Pod1")["groups"]] == ["default"]


def test_pods_own_networks_are_served_beside_those_of_the_top(spanning: Project):
    pod, network = spanning.at("Pod2").network, spanning.tenant.network
    own = pod.create_network(name="own")
    pod.create_subnet(network_id=own.id, cidr="10.40.0.0/24", ip_version=4)
    net = network_of(spanning)
    listed = list(network.networks(project_id=spanning.id))
    assert [row.id for row in listed] == sorted([own.id, net.id])
    assert [row.id for row in network.networks(project_id=spanning.id, limit=1)] == sorted(
        [own.id, net.id]
    )
    assert network.get_network(own.id).availability_zones == ["az2"]
    port = network.create_port(network_id=own.id, name="p")
    assert pod.get_port(port.id).name == "p"
    server = spanning.tenant.compute.create_server(
        name="both", image_id=spanning.image, flavor_id="1",
        networks=[{"uuid": net.id}, {"uuid": own.id}],
    )  # fmt: skip
    server = spanning.tenant.compute.wait_for_server(server, wait=60, interval=0.5)
    assert server.availability_zone == "az2"
    assert set(server.addresses) == {"net1", "own"}
    assert network.update_network(own, name="mine").name == "mine"
    assert [row.name for row in network.security_groups(project_id=spanning.id)] == ["default"]


def test_a_router_has_no_gateway_of_a_pods_own_and_subnets_of_the_top(spanning: Project):
    network, name = spanning.tenant.network, f"own-{spanning.name}"
    net = network_of(spanning)
    admin = admin_cloud("Pod1").network
    wire = {"provider_network_type": "flat", "provider_physical_network": name}
    outside = admin.create_network(name=name, is_router_external=True, **wire)
    gateway = {"external_gateway_info": {"network_id": outside.id}}
    try:
        admin.create_subnet(network_id=outside.id, cidr="203.0.113.0/24", ip_version=4)
        own = network.create_router(name="own", **gateway)
        assert [r.id for r in admin.routers(project_id=spanning.id)] == [own.id]
        both = f"Subnet {net.subnet_ids[0]} .* router {own.id} is Pod1's own"
        with pytest.raises(exceptions.BadRequestException, match=both):
            network.add_interface_to_router(own, net.subnet_ids[0])
        ours = network.create_router(name="ours")
        network.add_interface_to_router(ours, net.subnet_ids[0])
        both = f"Router {ours.id} .* network {outside.id} is Pod1's own"
        with pytest.raises(exceptions.BadRequestException, match=both):
            network.update_router(ours, **gateway)
        assert not network.get_router(ours.id).external_gateway_info
        assert not [p for p in network.ports(device_id=own.id) if "interface" in p.device_owner]
        network.remove_interface_from_router(ours, net.subnet_ids[0])
        for router in (ours, own):
            network.delete_router(router)
    finally:
        for router in admin.routers(project_id=spanning.id):
            admin.delete_router(router)
        admin.delete_network(outside)


def test_servers_made_at_once_have_addresses_of_the_top(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    net = network_of(spanning)
    other = spanning.server("az2", networks=[{"uuid": net.id}])
    compute.create_server(
        name="many", image_id=spanning.image, flavor_id="1", networks=[{"uuid": net.id}],
        availability_zone="az1", min_count=3, max_count=3,
    )  # fmt: skip

    def ready() -> list[Any]:
        many = [s for s in compute.servers() if s.name.startswith("many")]
        return many if len(many) == 3 and {s.status for s in many} == {"ACTIVE"} else []

    servers = [*eventually(ready, 90), other]
    told = {s.id: s.addresses["net1"][0]["addr"] for s in servers}
    assert len(set(told.values())) == 4

    def held() -> dict[str, str]:
        ports = network.ports(network_id=net.id)
        return {p.device_id: p.fixed_ips[0]["ip_address"] for p in ports if p.device_id in told}

    assert eventually(lambda: held() == told, 60)
    macs = {s.addresses["net1"][0]["OS-EXT-IPS-MAC:mac_addr"] for s in servers}
    assert macs == {p.mac_address for p in network.ports(network_id=net.id) if p.device_id in told}
    (subnet,) = inside(spanning, "Pod1")["subnets"]
    assert len(subnet.allocation_pools) == 1  # what DHCP has, and nothing else
    for server in servers:
        compute.delete_server(server)
    for server in servers:
        compute.wait_for_delete(server, wait=60, interval=0.5)
    network.delete_network(net)
    assert not inside(spanning, "Pod1")["ports"]


def routers_in(project: Project, region: str) -> list[Any]:
    return list(admin_cloud(region).network.routers(project_id=project.id))


def test_a_router_joins_networks_whose_servers_are_in_different_pods(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    nets = [network.create_network(name=f"net{n}") for n in (1, 2)]
    subnets = [
        network.create_subnet(network_id=net.id, cidr=f"10.5{n}.0.0/24", ip_version=4)
        for n, net in enumerate(nets, 1)
    ]
    router = network.create_router(name="r")
    assert not routers_in(spanning, "Pod1")  # a pod without any of it holds nothing
    network.add_interface_to_router(router, subnets[0].id)
    one = spanning.server("az1", networks=[{"uuid": nets[0].id}])
    two = spanning.server("az2", networks=[{"uuid": nets[1].id}])
    network.add_interface_to_router(router, subnets[1].id)
    bridge: dict[str, str] = {}
    for region, far in (("Pod1", "10.52.0.0/24"), ("Pod2", "10.51.0.0/24")):
        (own,) = eventually(
            lambda region=region: [r for r in routers_in(spanning, region) if r.routes], 30
        )
        assert (own.name, own.description) == ("r", f"trio2o:{router.id}")
        (route,) = own.routes
        assert route["destination"] == far
        bridge[region] = route["nexthop"]
        ports = admin_cloud(region).network.ports(device_id=own.id)
        addresses = {ip["ip_address"] for port in ports for ip in port.fixed_ips}
        near = "10.51.0.1" if region == "Pod1" else "10.52.0.1"
        assert near in addresses and len(addresses) == 2
        bridge[f"own {region}"] = next(iter(addresses - {near}))
    assert bridge["Pod1"] == bridge["own Pod2"] and bridge["Pod2"] == bridge["own Pod1"]
    # a server of the first network in the other zone: its router there needs no route
    three = spanning.server("az2", networks=[{"uuid": nets[0].id}])

    def direct() -> bool:
        (own,) = routers_in(spanning, "Pod2")
        ports = list(admin_cloud("Pod2").network.ports(device_id=own.id))
        return own.routes == [] and len(ports) == 3

    assert eventually(direct, 60)
    for server in (one, two, three):
        compute.delete_server(server)
    for server in (one, two, three):
        compute.wait_for_delete(server, wait=60, interval=0.5)
    for subnet in subnets:
        network.remove_interface_from_router(router, subnet.id)
    network.delete_router(router)
    for net in nets:
        network.delete_network(net)
    for region in ("Pod1", "Pod2"):
        assert not routers_in(spanning, region)
        left = inside(spanning, region)
        assert not (left["networks"] or left["subnets"] or left["ports"])
    assert not [n for n in admin_cloud("Central").network.networks() if router.id in n.description]


@contextlib.contextmanager
def outside_of(project: Project, region: str = "Pod1") -> Iterator[Any]:
    """An external network that a pod has; the project's routers go with it."""
    admin = admin_cloud(STRETCHED).network
    outside = admin.create_network(
        name=f"ext-{project.name}",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=f"x{project.name}",
        availability_zone_hints=[region],
    )
    try:
        admin.create_subnet(
            network_id=outside.id, cidr="203.0.113.0/24", ip_version=4, is_dhcp_enabled=False
        )
        yield outside
    finally:
        for ip in admin.ips(project_id=project.id):
            for way in admin.port_forwardings(ip):
                admin.delete_port_forwarding(way, ip)
            admin.delete_ip(ip)
        for left in admin.routers(project_id=project.id):
            for port in admin.ports(device_id=left.id, device_owner="network:router_interface"):
                admin.remove_interface_from_router(left, port_id=port.id)
            admin.delete_router(left)
        admin.delete_network(outside)
    assert not [n for n in admin_cloud(region).network.networks() if n.name == outside.name]


def two_servers_behind(project: Project, outside: Any) -> tuple[Any, Any, Any, list[Any]]:
    """A network with a router to the outside and a server in each zone."""
    network = project.tenant.network
    net = network_of(project)
    subnet = next(iter(network.subnets(network_id=net.id)))
    router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
    network.add_interface_to_router(router, subnet.id)
    servers = [project.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
    return net, subnet, router, servers


def torn_down(project: Project, net: Any, subnet: Any, router: Any, servers: list[Any]) -> None:
    """Delete these as Terraform does, and see that no pod has anything of them."""
    network, compute = project.tenant.network, project.tenant.compute
    for server in servers:
        compute.delete_server(server)
    for server in servers:
        compute.wait_for_delete(server, wait=60, interval=0.5)
    network.remove_interface_from_router(router, subnet.id)
    network.delete_router(router)
    network.delete_network(net)
    center = admin_cloud("Central").network
    assert not [n for n in center.networks() if router.id in n.description]
    for region in ("Pod1", "Pod2"):
        assert not routers_in(project, region)
        left = inside(project, region)
        assert not (left["networks"] or left["subnets"] or left["ports"])
        assert not list(admin_cloud(region).network.ips(project_id=project.id))
        assert not [n for n in admin_cloud(region).network.networks() if n.name == "router bridge"]


def test_a_gateway_is_in_its_pod_and_the_others_reach_it_over_the_bridge(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute
    with outside_of(spanning) as outside:
        net, subnet, router, servers = two_servers_behind(spanning, outside)
        (address,) = [ip["ip_address"] for ip in router.external_gateway_info["external_fixed_ips"]]

        def joined() -> bool:
            one, two = routers_in(spanning, "Pod1"), routers_in(spanning, "Pod2")
            if not one or not two or not two[0].routes:
                return False
            (ip,) = one[0].external_gateway_info["external_fixed_ips"]
            assert ip["ip_address"] == address
            over = two[0].external_gateway_info
            assert over["enable_snat"] is False
            bridge = admin_cloud("Pod2").network.get_network(over["network_id"])
            assert bridge.name == "router bridge"
            return [route["destination"] for route in two[0].routes] == ["0.0.0.0/1", "128.0.0.0/1"]

        assert eventually(joined, 60)
        (port,) = ports_of(spanning, servers[0])
        floating = network.create_ip(floating_network_id=outside.id, port_id=port.id)
        (own,) = admin_cloud("Pod1").network.ips(project_id=spanning.id)
        assert own.floating_ip_address == floating.floating_ip_address
        assert own.fixed_ip_address == port.fixed_ips[0]["ip_address"]
        shown = eventually(
            lambda: len(compute.get_server(servers[0].id).addresses["net1"]) == 2, 30
        )
        assert shown
        network.update_ip(floating, port_id=None)
        assert not list(admin_cloud("Pod1").network.ips(project_id=spanning.id))
        network.update_ip(floating, port_id=port.id)
        assert list(admin_cloud("Pod1").network.ips(project_id=spanning.id))
        network.delete_ip(floating)
        assert not list(admin_cloud("Pod1").network.ips(project_id=spanning.id))
        torn_down(spanning, net, subnet, router, servers)


def test_a_floating_ip_leads_to_a_port_of_another_pod_over_the_bridge(spanning: Project):
    network, compute = spanning.tenant.network, spanning.tenant.compute

    def ips(region: str) -> list[tuple[str, str, str]]:
        """What a pod's floating IPs lead to: address, fixed address, the port's mark."""
        there = admin_cloud(region).network
        return [
            (
                ip.floating_ip_address,
                ip.fixed_ip_address,
                there.get_port(ip.port_id).description if ip.port_id else "",
            )
            for ip in there.ips(project_id=spanning.id)
        ]

    def has(*wanted: Any) -> bool:
        """Whether the pods have, within the time of a slow machine, so many floating IPs."""
        return bool(eventually(lambda: [len(ips("Pod1")), len(ips("Pod2"))] == [*wanted], 60))

    def shows(server: Any, *wanted: str) -> bool:
        """Whether all ways to see a server's addresses tell these."""
        listed = {s.id: s.addresses["net1"] for s in compute.servers(details=True)}
        told = [
            compute.get_server(server.id).addresses["net1"],
            listed[server.id],
            get(compute, f"/servers/{server.id}/ips")["addresses"]["net1"],
            get(compute, f"/servers/{server.id}/ips/net1")["net1"],
        ]
        return [[one["addr"] for one in some] for some in told] == [list(wanted)] * 4

    with outside_of(spanning) as outside:
        net, subnet, router, servers = two_servers_behind(spanning, outside)
        ports = [ports_of(spanning, server)[0] for server in servers]
        fixed = [port.fixed_ips[0]["ip_address"] for port in ports]
        floating = network.create_ip(floating_network_id=outside.id, port_id=ports[1].id)
        address = floating.floating_ip_address
        # outside -> an address on the bridge in the gateway's pod, that -> the port in the port's
        assert has(1, 1)
        ((external, middle, held),) = ips("Pod1")
        assert external == address and middle.startswith("100.64.0.")
        assert ips("Pod2") == [(middle, fixed[1], f"trio2o:{ports[1].id}")]
        holder = admin_cloud("Central").network.get_port(held.removeprefix("trio2o:"))
        assert holder.device_id == f"trio2o-floating:{floating.id}"
        assert eventually(lambda: shows(servers[1], fixed[1], address), 60)
        assert reconcile(spanning.appliance)["drift"] == 0
        # it moves to the gateway's pod and back, and is the same to the tenant
        network.update_ip(floating, port_id=ports[0].id)
        assert has(1, 0)
        assert ips("Pod1") == [(address, fixed[0], f"trio2o:{ports[0].id}")]
        assert eventually(lambda: shows(servers[0], fixed[0], address), 60)
        assert eventually(lambda: shows(servers[1], fixed[1]), 60)
        network.update_ip(floating, port_id=ports[1].id)
        assert has(1, 1)
        assert [one[0] for one in ips("Pod1")] == [address]
        assert [one[2] for one in ips("Pod2")] == [f"trio2o:{ports[1].id}"]
        network.update_ip(floating, port_id=None)
        assert has(0, 0)
        network.update_ip(floating, port_id=ports[1].id)
        assert has(1, 1)
        network.delete_ip(floating)
        assert has(0, 0)
        ours = list(admin_cloud("Central").network.ports(device_owner="network:dhcp"))
        assert not [port for port in ours if floating.id in port.device_id]
        # left on a port whose server goes, it stands in nothing's way
        network.create_ip(floating_network_id=outside.id, port_id=ports[1].id)
        for server in servers:
            compute.delete_server(server)
        for server in servers:
            compute.wait_for_delete(server, wait=60, interval=0.5)
        for ip in network.ips():
            assert ip.port_id is None
            network.delete_ip(ip)
        torn_down(spanning, net, subnet, router, [])


def test_a_network_that_is_shared_is_used_by_another_project_in_both_pods(
    spanning: Project, stretched: RealAppliance
):
    net = network_of(spanning)
    for other in own_project(stretched, STRETCHED):
        with pytest.raises(exceptions.BadRequestException):
            other.server("az1", networks=[{"uuid": net.id}])
        spanning.tenant.network.create_rbac_policy(
            object_id=net.id, object_type="network", action="access_as_shared",
            target_project_id=other.id,
        )  # fmt: skip
        servers = [other.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
        assert all(list(server.addresses) == ["net1"] for server in servers)
        for region in ("Pod1", "Pod2"):
            (own,) = inside(spanning, region)["networks"]
            (shared,) = admin_cloud(region).network.rbac_policies(object_id=own.id)
            assert shared.target_project_id == other.id
        for server in servers:
            other.tenant.compute.delete_server(server)
        for server in servers:
            other.tenant.compute.wait_for_delete(server, wait=60, interval=0.5)


def test_servers_asked_for_at_once_make_a_network_once_in_each_pod(spanning: Project):
    net = network_of(spanning)

    def boot(zone: str) -> Any:
        return spanning.server(zone, networks=[{"uuid": net.id}])

    with ThreadPoolExecutor(4) as many:
        servers = list(many.map(boot, ["az1", "az2"] * 2))
    assert len({server.addresses["net1"][0]["addr"] for server in servers}) == 4
    for region in ("Pod1", "Pod2"):
        found = inside(spanning, region)
        assert [len(found[kind]) for kind in ("networks", "subnets", "groups")] == [1, 1, 1]
        serving = ("network:dhcp", "network:distributed")
        assert len([p for p in found["ports"] if p.device_owner in serving]) == 1
