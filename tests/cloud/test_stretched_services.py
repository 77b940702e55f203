"""What stands on routers, floating IPs and ports of networks that span two real Neutrons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack import exceptions
from tenants import STRETCHED, Project, admin_cloud, cloud, eventually, reconcile
from test_stretched import inside, network_of, outside_of, ports_of, routers_in

pytestmark = pytest.mark.release


def admin(region: str = STRETCHED) -> Any:
    return cloud("admin", "admin", "admin", region).network


def ask(network: Any, method: str, path: str, **body: Any) -> Any:
    """What is answered, which must be a success."""
    answer = network.request(path, method, json=body or None)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def floats_in(project: Project, region: str) -> list[Any]:
    return list(admin_cloud(region).network.ips(project_id=project.id))


def forwards_of(region: str, floating: Any) -> list[dict[str, Any]]:
    path = f"/floatingips/{floating.id}/port_forwardings"
    found: list[dict[str, Any]] = ask(admin_cloud(region).network, "GET", path)["port_forwardings"]
    return found


def deleted(project: Project, *servers: Any) -> None:
    for server in servers:
        project.tenant.compute.delete_server(server)
    for server in servers:
        project.tenant.compute.wait_for_delete(server, wait=60, interval=0.3)


def torn_down(project: Project, servers: list[Any], router: Any, net: Any) -> None:
    deleted(project, *servers)
    network = project.tenant.network
    network.remove_interface_from_router(router, net.subnet_ids[0])
    network.delete_router(router)
    network.delete_network(net)


def nothing_is_left(project: Project, *more: Callable[[str], Any]) -> bool:
    def left(region: str) -> list[Any]:
        kinds = inside(project, region)
        found = [one for name in ("networks", "subnets", "ports") for one in kinds[name]]
        return found + routers_in(project, region) + [one for look in more for one in look(region)]

    return eventually(lambda: not left("Pod1") and not left("Pod2"), 30)


def test_ports_are_forwarded_to_servers_of_both_pods_from_the_pod_of_the_address(spanning: Project):
    network, net = spanning.tenant.network, network_of(spanning)
    with outside_of(spanning) as outside:
        router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        network.add_interface_to_router(router, net.subnet_ids[0])
        servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
        (near,), (far,) = (ports_of(spanning, server) for server in servers)
        floating = network.create_ip(floating_network_id=outside.id)
        path = f"/floatingips/{floating.id}/port_forwardings"

        def forward(port: Any, inner: Any, outer: Any, ranged: str = "") -> str:
            way = {"protocol": "tcp", "internal_port_id": port.id}
            way["internal_ip_address"] = port.fixed_ips[0]["ip_address"]
            way |= {f"internal_port{ranged}": inner, f"external_port{ranged}": outer}
            return str(ask(network, "POST", path, port_forwarding=way)["port_forwarding"]["id"])

        first = forward(near, 80, 8080)
        ids = [first, forward(far, 443, 8443), forward(far, "20:30", "120:130", "_range")]
        assert len(ask(network, "GET", path)["port_forwardings"]) == 3
        (one,) = floats_in(spanning, "Pod1")
        (two,) = floats_in(spanning, "Pod2")
        assert one.floating_ip_address == floating.floating_ip_address
        middle, outer = (
            two.floating_ip_address,
            {w["external_port_range"]: w for w in forwards_of("Pod1", one)},
        )
        told = {
            key: (w["internal_ip_address"], w["internal_port_range"]) for key, w in outer.items()
        }
        address = near.fixed_ips[0]["ip_address"]
        assert told == {
            "8080:8080": (address, "80:80"),
            "8443:8443": (middle, "8443:8443"),
            "120:130": (middle, "120:130"),
        }
        inner = {
            w["external_port_range"]: w["internal_port_range"] for w in forwards_of("Pod2", two)
        }
        assert inner == {"8443:8443": "443:443", "120:130": "20:30"}
        assert reconcile(spanning.appliance)["drift"] == 0
        change = {"internal_port": 81, "internal_ip_address": address, "internal_port_id": near.id}
        ask(network, "PUT", f"{path}/{first}", port_forwarding=change)
        assert 81 in [w.get("internal_port") for w in forwards_of("Pod1", one)]
        with pytest.raises(exceptions.ConflictException, match="in use by Port Forwarding"):
            network.delete_ip(floating, ignore_missing=False)
        # a port that has a floating IP of its own is not forwarded to, but it may get one later
        own = network.create_ip(floating_network_id=outside.id, port_id=near.id)
        (below,) = (ip for ip in floats_in(spanning, "Pod1") if ip.port_id)
        lost = next(w for w in forwards_of("Pod1", one) if w.get("internal_port") == 81)
        ask(
            admin_cloud("Pod1").network,
            "DELETE",
            f"/floatingips/{one.id}/port_forwardings/{lost['id']}",
        )
        assert reconcile(spanning.appliance)["failed"] == 0
        assert 81 in [w.get("internal_port") for w in forwards_of("Pod1", one)]
        again = admin_cloud("Pod1").network.get_ip(below.id)
        assert (again.port_id, again.fixed_ip_address) == (below.port_id, address)
        assert reconcile(spanning.appliance)["drift"] == 0
        network.delete_ip(own)
        for id in ids:
            ask(network, "DELETE", f"{path}/{id}")
        assert not floats_in(spanning, "Pod1") and not floats_in(spanning, "Pod2")
        network.delete_ip(floating)
        torn_down(spanning, servers, router, net)
        assert nothing_is_left(spanning)


def test_a_routers_helpers_and_limits_are_where_it_is(spanning: Project):
    """Conntrack helpers in each pod; QoS policies of gateway and floating IPs in the gateway's."""
    network, net, top = spanning.tenant.network, network_of(spanning), admin("Central")
    policies = [top.create_qos_policy(name=name, project_id=spanning.id) for name in "ab"]
    for policy in policies:
        top.create_qos_bandwidth_limit_rule(policy, max_kbps=1000, direction="egress")
    with outside_of(spanning) as outside:
        gateway = {"network_id": outside.id, "qos_policy_id": policies[0].id}
        router = admin().create_router(
            name="r", project_id=spanning.id, external_gateway_info=gateway
        )
        network.add_interface_to_router(router, net.subnet_ids[0])
        servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
        path = f"/routers/{router.id}/conntrack_helpers"
        helper = {"protocol": "udp", "port": 69, "helper": "tftp"}
        assert eventually(lambda: all(routers_in(spanning, r) for r in ("Pod1", "Pod2")), 30)
        made = ask(admin(), "POST", path, conntrack_helper=helper)["conntrack_helper"]

        def helpers(region: str) -> list[Any]:
            (own,) = routers_in(spanning, region)
            url = f"/routers/{own.id}/conntrack_helpers"
            found = ask(admin_cloud(region).network, "GET", url)["conntrack_helpers"]
            return [{name: one[name] for name in helper} for one in found]

        assert helpers("Pod1") == helpers("Pod2") == [helper]
        (far,) = ports_of(spanning, servers[1])
        floating = network.create_ip(
            floating_network_id=outside.id, port_id=far.id, qos_policy_id=policies[1].id
        )

        def limited() -> tuple[Any, Any]:
            """The names of the gateway's and the floating IP's policy in the gateway's pod."""
            there = admin_cloud("Pod1").network
            names = {p.id: p.name for p in there.qos_policies(project_id=spanning.id)}
            (own,), (ip,) = routers_in(spanning, "Pod1"), floats_in(spanning, "Pod1")
            info = own.external_gateway_info
            return names.get(info.get("qos_policy_id")), names.get(ip.qos_policy_id)

        assert limited() == ("a", "b")
        assert [ip.qos_policy_id for ip in floats_in(spanning, "Pod2")] == [None]
        assert not list(admin_cloud("Pod2").network.qos_policies(project_id=spanning.id))
        assert reconcile(spanning.appliance)["drift"] == 0
        gateway = {"network_id": outside.id, "qos_policy_id": None}
        admin().update_router(router, external_gateway_info=gateway)
        network.update_ip(floating, qos_policy_id=policies[0].id)
        assert limited() == (None, "a")
        ask(admin(), "DELETE", f"{path}/{made['id']}")
        assert helpers("Pod1") == helpers("Pod2") == []
        network.delete_ip(floating)
        torn_down(spanning, servers, router, net)
        assert reconcile(spanning.appliance)["failed"] == 0
        look = lambda region: admin_cloud(region).network.qos_policies(project_id=spanning.id)  # noqa: E731
        assert nothing_is_left(spanning, look)
    for policy in policies:
        top.delete_qos_policy(policy)


def test_a_trunk_is_in_the_pod_of_its_parent_port_with_its_subports(spanning: Project):
    network, net, more = spanning.tenant.network, network_of(spanning), None
    more = network_of(spanning, "net2", "10.21.0.0/24")
    parent, *subs = (network.create_port(network_id=one.id) for one in (net, more, more))

    def entry(number: int) -> dict[str, Any]:
        sub = {"port_id": subs[number].id, "segmentation_type": "vlan"}
        return sub | {"segmentation_id": 101 + number}

    trunk = network.create_trunk(name="t", port_id=parent.id, sub_ports=[entry(0)])

    def inside_of(region: str) -> list[tuple[str, str, dict[str, int]]]:
        """Of a pod's trunks: names, and the MACs of the parent's and, by number, of the others."""
        there = admin_cloud(region).network
        macs = {p.id: p.mac_address for p in there.ports(project_id=spanning.id)}
        return [
            (
                t.name,
                macs[t.port_id],
                {macs[s["port_id"]]: s["segmentation_id"] for s in t.sub_ports},
            )
            for t in there.trunks(project_id=spanning.id)
        ]

    assert not inside_of("Pod1") and not inside_of("Pod2")
    server = spanning.server("az2", networks=[{"port": parent.id}])
    first, second = (sub.mac_address for sub in subs)
    assert inside_of("Pod2") == [("t", parent.mac_address, {first: 101})]
    assert [n.name for n in inside(spanning, "Pod2")["networks"]].count("net2") == 1
    details = network.get_port(parent.id).trunk_details
    assert details["trunk_id"] == trunk.id
    assert [sub["port_id"] for sub in details["sub_ports"]] == [subs[0].id]
    network.add_trunk_subports(trunk, [entry(1)])
    network.update_trunk(trunk, name="u")
    assert inside_of("Pod2") == [("u", parent.mac_address, {first: 101, second: 102})]
    network.delete_trunk_subports(trunk, [{"port_id": subs[0].id}])
    assert inside_of("Pod2") == [("u", parent.mac_address, {second: 102})]
    assert first not in {p.mac_address for p in inside(spanning, "Pod2")["ports"]}
    assert reconcile(spanning.appliance)["drift"] == 0
    # what the pod refuses is refused, and not told as done
    with pytest.raises(exceptions.ConflictException, match=f"Trunk {trunk.id} is currently in use"):
        network.delete_trunk(trunk)
    other = spanning.server("az1", networks=[{"uuid": net.id}])
    (bound,) = ports_of(spanning, other)
    with pytest.raises(exceptions.ConflictException, match=f"Port {bound.id} is currently in use"):
        network.create_trunk(port_id=bound.id)
    assert [t.id for t in network.trunks(project_id=spanning.id)] == [trunk.id]
    with pytest.raises(exceptions.ConflictException, match="still in use"):
        spanning.server("az1", networks=[{"port": subs[1].id}])
    assert network.get_port(subs[1].id).device_id == ""
    deleted(spanning, server, other)
    assert eventually(lambda: not inside_of("Pod2"), 30)
    network.delete_trunk(trunk)
    for one in (net, more):
        for port in network.ports(network_id=one.id):
            network.delete_port(port)
        network.delete_network(one)
    assert nothing_is_left(spanning)


def test_labels_follow_routers_and_local_ips_the_ports_that_have_them(spanning: Project):
    network, net = spanning.tenant.network, network_of(spanning)
    router = network.create_router(name="r")
    network.add_interface_to_router(router, net.subnet_ids[0])
    servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
    ports = [ports_of(spanning, server)[0] for server in servers]
    label = {"name": "m", "project_id": spanning.id}
    made = ask(admin(), "POST", "/metering/metering-labels", metering_label=label)
    id = made["metering_label"]["id"]
    rule = {"metering_label_id": id, "direction": "ingress", "remote_ip_prefix": "192.0.2.0/24"}
    ask(admin(), "POST", "/metering/metering-label-rules", metering_label_rule=rule)
    address = "10.20.0.222"
    local = {"network_id": net.id, "local_ip_address": address, "name": "l"}
    local = ask(network, "POST", "/local_ips", local_ip=local)["local_ip"]
    path = f"/local_ips/{local['id']}/port_associations"
    for port in ports:
        ask(network, "POST", path, port_association={"fixed_port_id": port.id})
    assert {one["fixed_port_id"] for one in ask(network, "GET", path)["port_associations"]} == {
        port.id for port in ports
    }

    def labels(region: str) -> list[str]:
        there = admin_cloud(region).network
        mine = there.get(f"/metering/metering-labels?project_id={spanning.id}").json()
        ids = [one["id"] for one in mine["metering_labels"]]
        rules = there.get("/metering/metering-label-rules").json()["metering_label_rules"]
        return [r["remote_ip_prefix"] for r in rules if r["metering_label_id"] in ids]

    def locals_in(region: str) -> list[tuple[str, list[str]]]:
        there = admin_cloud(region).network
        mine = there.get(f"/local_ips?project_id={spanning.id}").json()["local_ips"]
        url = "/local_ips/{}/port_associations"
        ends = [there.get(url.format(one["id"])).json()["port_associations"] for one in mine]
        return [
            (one["local_ip_address"], [end["fixed_ip"] for end in some])
            for one, some in zip(mine, ends, strict=True)
        ]

    assert reconcile(spanning.appliance)["failed"] == 0
    for region, port in zip(("Pod1", "Pod2"), ports, strict=True):
        assert labels(region) == ["192.0.2.0/24"]
        assert locals_in(region) == [(address, [port.fixed_ips[0]["ip_address"]])]
    assert reconcile(spanning.appliance)["drift"] == 0
    other = network_of(spanning, "other", "10.21.0.0/24", availability_zone_hints=["az2"])
    there = ask(network, "POST", "/local_ips", local_ip={"network_id": other.id})["local_ip"]
    refused = network.post(
        f"/local_ips/{there['id']}/port_associations",
        json={"port_association": {"fixed_port_id": ports[0].id}},
    )
    assert refused.status_code == 400
    assert f"is for availability zone az2, and port {ports[0].id} is in az1" in refused.text
    ask(network, "DELETE", f"/local_ips/{there['id']}")
    network.delete_network(other)
    for port in ports:
        ask(network, "DELETE", f"{path}/{port.id}")
    ask(network, "DELETE", f"/local_ips/{local['id']}")
    ask(admin(), "DELETE", f"/metering/metering-labels/{id}")
    assert reconcile(spanning.appliance)["failed"] == 0
    assert [(labels(region), locals_in(region)) for region in ("Pod1", "Pod2")] == [([], [])] * 2
    torn_down(spanning, servers, router, net)
    assert nothing_is_left(spanning)


def test_ndp_proxies_lead_to_ports_of_both_pods_from_the_pod_of_the_gateway(spanning: Project):
    """Pods route IPv6 within address scopes, and between pods over a network that both have."""
    network, net, ours = spanning.tenant.network, network_of(spanning), admin()
    scope = ours.create_address_scope(name="s", ip_version=6, is_shared=True)
    pool = ours.create_subnet_pool(
        name="p", prefixes=["2001:db8::/32"], address_scope_id=scope.id, is_shared=True
    )
    with outside_of(spanning) as outside:
        six = {"ip_version": 6, "subnet_pool_id": pool.id}
        ours.create_subnet(network_id=outside.id, is_dhcp_enabled=False, **six)
        modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        subnet = network.create_subnet(network_id=net.id, **six, **modes)
        router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        for one in (net.subnet_ids[0], subnet.id):
            network.add_interface_to_router(router, one)
        servers = [spanning.server(zone, networks=[{"uuid": net.id}]) for zone in ("az1", "az2")]
        ports = [ports_of(spanning, server)[0] for server in servers]
        ask(network, "PUT", f"/routers/{router.id}", router={"enable_ndp_proxy": True})
        body = {"router_id": router.id, "name": "x"}
        made = [
            ask(network, "POST", "/ndp_proxies", ndp_proxy=body | {"port_id": port.id})["ndp_proxy"]
            for port in ports
        ]
        assert ask(network, "GET", "/ndp_proxies?name=x")["ndp_proxies"] == made
        addresses = {one["ip_address"] for one in made}
        assert addresses == {
            ip["ip_address"] for p in ports for ip in p.fixed_ips if ":" in ip["ip_address"]
        }

        def told(region: str) -> tuple[set[str], bool, set[str]]:
            """A pod's proxies, whether its router has them, and where ::/1 leads."""
            there, (own,) = admin_cloud(region).network, routers_in(spanning, region)
            ways = {r["nexthop"] for r in own.routes if r["destination"] in ("::/1", "8000::/1")}
            proxies = ask(there, "GET", "/ndp_proxies")["ndp_proxies"]
            mine = {p["ip_address"] for p in proxies if p["project_id"] == spanning.id}
            shown = ask(there, "GET", f"/routers/{own.id}")["router"]["enable_ndp_proxy"]
            return mine, shown, ways

        assert told("Pod1") == (addresses, True, set())
        (near,) = [s for s in inside(spanning, "Pod1")["subnets"] if s.ip_version == 6]
        assert told("Pod2") == (set(), False, {near.gateway_ip})
        outer = [ip["ip_address"] for ip in router.external_gateway_info["external_fixed_ips"]]
        (own,) = routers_in(spanning, "Pod1")
        info = own.external_gateway_info["external_fixed_ips"]
        assert sorted(outer) == sorted(ip["ip_address"] for ip in info)
        assert reconcile(spanning.appliance)["drift"] == 0
        with pytest.raises(exceptions.ConflictException, match="more ndp proxies still in use"):
            network.remove_interface_from_router(router, subnet.id)
        deleted(spanning, servers[1])
        assert eventually(lambda: told("Pod1")[0] == {made[0]["ip_address"]}, 30)
        ask(network, "DELETE", f"/ndp_proxies/{made[0]['id']}")
        assert told("Pod1")[0] == set()
        network.remove_interface_from_router(router, subnet.id)
        torn_down(spanning, servers[:1], router, net)
        assert nothing_is_left(spanning)
    ours.delete_subnet_pool(pool)
    ours.delete_address_scope(scope)
    assert reconcile(spanning.appliance)["failed"] == 0
    for region in ("Pod1", "Pod2"):
        left = admin_cloud(region).network
        assert not [*left.subnet_pools(), *left.address_scopes()]


def test_a_servers_port_has_its_hosts_name_at_the_top_and_in_the_pod(spanning: Project):
    network, net = spanning.tenant.network, network_of(spanning)
    own = network.create_port(network_id=net.id, dns_name="web")
    made = [("Web", [{"port": own.id}]), ("My host", [{"uuid": net.id}])]
    servers = [
        spanning.server(zone, name, networks=networks)
        for zone, (name, networks) in zip(("az1", "az2"), made, strict=True)
    ]
    for server, region, name in zip(servers, ("Pod1", "Pod2"), ("web", "my-host"), strict=True):

        def names(server: Any = server, region: str = region) -> tuple[list[str], list[str]]:
            ports = ports_of(spanning, server), inside(spanning, region)["ports"]
            told = [[p.dns_name for p in some if p.device_id == server.id] for some in ports]
            return told[0], told[1]

        assert eventually(lambda name=name, names=names: names() == ([name], [name]), 30), names()
        (port,) = ports_of(spanning, server)
        address = port.fixed_ips[0]["ip_address"]
        entry = {"hostname": name, "fqdn": f"{name}.lab.test.", "ip_address": address}
        assert port.dns_assignment == [entry]
    assert reconcile(spanning.appliance)["drift"] == 0
    deleted(spanning, *servers)
    assert network.get_port(own.id).dns_name == ""
    network.delete_port(own)
    network.delete_network(net)
    assert nothing_is_left(spanning)
