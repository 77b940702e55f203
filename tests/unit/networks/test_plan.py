"""What pods should have, and the steps to it, as values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from world import pod

from trio2o.domain.values import Attachment
from trio2o.networks._desired import Place, Top, desired, pools, reservations
from trio2o.networks._plan import plan, recognise
from trio2o.networks._routers import floats, reach, routers_wanted, unheld, versions
from trio2o.networks._things import Create, Delete, Ref, Row, Update, bridge_mark

ONE, TWO = pod(1), pod(2)


def network(id: str, **more: Any) -> Row:
    row = {"id": id, "name": id, "project_id": "p", "description": "", "admin_state_up": True}
    return (
        row | {"mtu": 1450, "provider:network_type": "vlan", "provider:segmentation_id": 7} | more
    )


def subnet(id: str, network_id: str, cidr: str, **more: Any) -> Row:
    row = {"id": id, "name": id, "project_id": "p", "network_id": network_id, "cidr": cidr}
    row |= {"ip_version": 4, "gateway_ip": cidr.replace("0/24", "1"), "enable_dhcp": True}
    row |= {"dns_nameservers": [], "host_routes": []}
    return row | {"ipv6_ra_mode": None, "ipv6_address_mode": None} | more


def port(id: str, network_id: str, subnet_id: str, address: str, **more: Any) -> Row:
    fixed = [{"subnet_id": subnet_id, "ip_address": address}]
    row = {"id": id, "name": "", "project_id": "p", "network_id": network_id, "fixed_ips": fixed}
    row |= {"mac_address": f"fa:{id}", "admin_state_up": True, "security_groups": []}
    return row | {"device_id": "", "device_owner": "", "allowed_address_pairs": []} | more


def by_id(*rows: Row) -> dict[str, Row]:
    return {row["id"]: row for row in rows}


def attached(port_id: str, where: Any, stage: str = "bound") -> Attachment:
    return Attachment(port_id, where.pod_id, "s", "c", True, stage, 0.0)


def top(*ports: Row) -> Top:
    held = [
        port("d1", "n", "s", "10.0.0.2", device_id="trio2o-dhcp:Pod1"),
        port("d2", "n", "s", "10.0.0.3", device_id="trio2o-dhcp:Pod2"),
        port("g2", "n", "s", "10.0.0.4", device_id="trio2o-gateway:Pod2"),
    ]
    return Top(
        by_id(network("n"), network("other")),
        by_id(subnet("s", "n", "10.0.0.0/24")),
        by_id(*held, *ports),
    )


HOMES = {"s": ONE.pod_id}


def test_a_pod_without_a_port_of_a_network_has_nothing_of_it() -> None:
    whole = top(port("a", "n", "s", "10.0.0.9"))
    assert desired(Place(TWO), whole, [attached("a", ONE)], HOMES) == {}


def test_the_gateway_is_the_tenants_at_home_and_a_reserved_one_elsewhere() -> None:
    whole = top(port("a", "n", "s", "10.0.0.9"))
    for where, gateway, dhcp in ((ONE, "10.0.0.1", "10.0.0.2"), (TWO, "10.0.0.4", "10.0.0.3")):
        wanted = desired(Place(where), whole, [attached("a", where)], HOMES)
        body = wanted[Ref("subnets", "s")].body
        assert body["gateway_ip"] == gateway
        assert body["allocation_pools"] == [{"start": dhcp, "end": dhcp}]
        assert wanted[Ref("subnets", "s")].first == {"enable_dhcp": False}


def test_leased_addresses_are_in_the_pool_and_their_ports_are_the_pods_to_make() -> None:
    whole = top(port("a", "n", "s", "10.0.0.9"))
    wanted = desired(Place(ONE), whole, [attached("a", ONE, "leased")], HOMES)
    pool = wanted[Ref("subnets", "s")].body["allocation_pools"]
    assert [one["start"] for one in pool] == ["10.0.0.2", "10.0.0.9"]
    assert Ref("ports", "a") not in wanted


def test_what_is_reserved_for_a_pod_is_dhcp_and_a_gateway_where_it_is_not_at_home() -> None:
    bare = Top(by_id(network("n")), by_id(subnet("s", "n", "10.0.0.0/24")))
    assert [one.device_id for one in reservations(bare, ONE, ["n"], HOMES)] == ["trio2o-dhcp:Pod1"]
    devices = [one.device_id for one in reservations(bare, TWO, ["n"], HOMES)]
    assert devices == ["trio2o-dhcp:Pod2", "trio2o-gateway:Pod2"]
    assert reservations(top(), TWO, ["n"], HOMES) == []


def test_physical_networks_have_the_pods_own_names() -> None:
    whole = Top(by_id(network("n", **{"provider:physical_network": "bridge"})))
    wanted = desired(Place(ONE, {"bridge": "physnet1"}), whole, [], {}, also=["n"])
    assert wanted[Ref("networks", "n")].body["provider:physical_network"] == "physnet1"


def test_an_address_that_follows_from_a_mac_is_not_asked_for() -> None:
    slaac = subnet("v6", "n", "2001:db8::/64", ip_version=6, ipv6_address_mode="slaac")
    whole = Top(
        by_id(network("n")), by_id(slaac), by_id(port("a", "n", "v6", "2001:db8::f816:3eff:fe01"))
    )
    wanted = desired(Place(ONE), whole, [attached("a", ONE)], {"v6": ONE.pod_id})
    assert wanted[Ref("ports", "a")].body["fixed_ips"] == [{"subnet_id": Ref("subnets", "v6")}]


def test_a_subnet_whose_addresses_dhcpv6_gives_out_is_made_with_dhcp_on() -> None:
    modes = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
    row = subnet("v6", "n", "fd00::/64", ip_version=6, gateway_ip="fd00::1", **modes)
    held = port("d1", "n", "v6", "fd00::2", device_id="trio2o-dhcp:Pod1")
    whole = Top(by_id(network("n")), by_id(row), by_id(held))
    wanted = desired(Place(ONE), whole, [], {"v6": ONE.pod_id}, also=["n"])
    # so no agent may serve its network before the port of DHCP is there
    assert wanted[Ref("networks", "n")].first == {"admin_state_up": False}
    one = wanted[Ref("subnets", "v6")]
    assert one.body["enable_dhcp"] and one.body["ipv6_address_mode"] == "dhcpv6-stateful"
    assert one.first == {}


def test_a_plan_makes_what_is_named_first_and_deletes_it_last() -> None:
    whole = top(port("a", "n", "s", "10.0.0.9"))
    wanted = desired(Place(ONE), whole, [attached("a", ONE)], HOMES)
    steps = plan(wanted, {})
    assert [type(step).__name__ for step in steps] == ["Create"] * 4 + ["Update"]
    kinds = [step.wanted.kind.path for step in steps if isinstance(step, Create)]
    assert kinds == ["networks", "subnets", "ports", "ports"]
    found, _ = recognise(
        {
            "networks": [{"id": "N", "description": "trio2o:n"}],
            "subnets": [{"id": "S", "description": "trio2o:s"}],
            "ports": [{"id": "P", "description": "trio2o:a", "device_id": ""}],
        },
        {},
    )
    gone = [step.key.kind for step in plan({}, found) if isinstance(step, Delete)]
    assert gone == ["ports", "subnets", "networks"]


def test_what_bears_no_mark_is_left_alone_and_what_is_there_twice_goes_once() -> None:
    rows = [
        {"id": "A", "description": "trio2o:n", "name": "n"},
        {"id": "B", "description": "trio2o:n", "name": "n"},
        {"id": "C", "description": "the tenant's", "name": "n"},
    ]
    found, keys = recognise({"networks": rows}, {})
    assert "C" not in keys
    wanted = desired(Place(ONE), Top(by_id(network("n"))), [], {}, also=["n"])
    steps = plan(wanted, found)
    assert [step.bottom_id for step in steps if isinstance(step, Delete)] == ["B"]


def test_order_and_neighbouring_pools_make_no_difference() -> None:
    whole = top(port("a", "n", "s", "10.0.0.3"))
    wanted = desired(Place(ONE), whole, [attached("a", ONE, "leased")], HOMES)
    key = Ref("subnets", "s")
    row = dict(wanted[key].body) | {"id": "S", "description": "trio2o:s"}
    row["allocation_pools"] = [
        {"start": "10.0.0.3", "end": "10.0.0.3"}, {"start": "10.0.0.2", "end": "10.0.0.2"}
    ]  # fmt: skip
    found, _ = recognise({"subnets": [row]}, {})
    assert plan({key: wanted[key]}, found) == []
    row["allocation_pools"] = []
    found, _ = recognise({"subnets": [row]}, {})
    (step,) = plan({key: wanted[key]}, found)
    assert isinstance(step, Update) and list(step.changes) == ["allocation_pools"]


@given(st.sets(st.integers(1, 60)))
def test_pools_hold_just_the_addresses_given(numbers: set[int]) -> None:
    found = pools(f"10.0.0.{n}" for n in numbers)
    inside = {
        n
        for one in found
        for n in range(int(one["start"].split(".")[3]), int(one["end"].split(".")[3]) + 1)
    }
    assert inside == numbers
    assert len(found) == len([n for n in numbers if n - 1 not in numbers])


def routed(*hinted: str) -> tuple[Top, dict[str, list[str]]]:
    """Two networks on one router, a server of each in a pod of its own; the bridge is there."""
    bridge = network("b", description=bridge_mark("r"))
    outside = network("e", **{"router:external": True})
    info = {
        "network_id": "e",
        "external_fixed_ips": [{"subnet_id": "x", "ip_address": "203.0.113.9"}],
    }
    router = {"id": "r", "name": "r", "project_id": "p", "admin_state_up": True, "routes": []}
    router["external_gateway_info"] = info if hinted else None
    owner = {"device_id": "r", "device_owner": "network:router_interface"}
    whole = Top(
        by_id(network("n1"), network("n2"), bridge, outside),
        by_id(
            subnet("s1", "n1", "10.1.0.0/24"),
            subnet("s2", "n2", "10.2.0.0/24"),
            subnet("sb", "b", "100.64.0.0/24", gateway_ip=None, enable_dhcp=False),
            subnet("x", "e", "203.0.113.0/24", enable_dhcp=False),
        ),
        by_id(
            port("i1", "n1", "s1", "10.1.0.1", **owner),
            port("i2", "n2", "s2", "10.2.0.1", **owner),
            port("b1", "b", "sb", "100.64.0.1", device_id="trio2o-bridge:Pod1"),
            port("b2", "b", "sb", "100.64.0.2", device_id="trio2o-bridge:Pod2"),
        ),
        routers={"r": router},
    )
    return whole, {"e": list(hinted)}


def router_in(where: Any, *hinted: str) -> Row:
    whole, hints = routed(*hinted)
    pods, homes = (ONE, TWO), {"s1": ONE.pod_id, "s2": TWO.pod_id}
    at = reach(whole, {ONE.pod_id: {"n1"}, TWO.pod_id: {"n2"}}, pods, hints)
    wanted = routers_wanted(Place(where), whole, at, homes, hints, pods, [])
    (router,) = [one for one in wanted if one.kind.path == "routers"]
    return router.body


def test_a_routers_pods_lead_to_each_others_subnets_over_the_bridge() -> None:
    assert router_in(ONE)["routes"] == [{"destination": "10.2.0.0/24", "nexthop": "100.64.0.2"}]
    assert router_in(TWO)["routes"] == [{"destination": "10.1.0.0/24", "nexthop": "100.64.0.1"}]


def test_the_gateway_is_in_the_pod_of_the_external_network_and_all_else_leads_there() -> None:
    here, there = router_in(TWO, "Pod2"), router_in(ONE, "Pod2")
    assert here["external_gateway_info"]["network_id"] == Ref("networks", "e")
    over = there["external_gateway_info"]
    assert (over["network_id"], over["enable_snat"]) == (Ref("networks", "b"), False)
    assert [ip["ip_address"] for ip in over["external_fixed_ips"]] == ["100.64.0.1"]
    # an agent drops a default route that is not its gateway's own
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        assert {"destination": half, "nexthop": "100.64.0.2"} in there["routes"]
    assert [route["destination"] for route in here["routes"]] == ["10.1.0.0/24"]


def both_families(*hinted: str) -> tuple[Top, dict[str, list[str]]]:
    """`routed`, with a SLAAC subnet beside each of the router's."""
    whole, hints = routed(*hinted)
    slaac = {"ip_version": 6, "ipv6_address_mode": "slaac"}
    owner = {"device_id": "r", "device_owner": "network:router_interface"}
    for n in "12":
        cidr, first = f"2001:db8:{n}::/64", f"2001:db8:{n}::"
        whole.subnets[f"v{n}"] = subnet(f"v{n}", f"n{n}", cidr, **slaac, gateway_ip=first)
        whole.ports[f"j{n}"] = port(f"j{n}", f"n{n}", f"v{n}", first, **owner)
    v6 = {"ip_version": 6, "gateway_ip": None, "enable_dhcp": False, "ipv6_address_mode": None}
    whole.subnets["vb"] = subnet("vb", "b", "fd00::/64", **v6)
    for n in "12":
        held = {"subnet_id": "vb", "ip_address": f"fd00::{n}"}
        whole.ports[f"b{n}"]["fixed_ips"].append(held)
    return whole, hints


def in_pod(where: Any, whole: Top, hints: dict[str, list[str]]) -> dict[Ref, Row]:
    homes = {id: pod.pod_id for n, pod in (("1", ONE), ("2", TWO)) for id in (f"s{n}", f"v{n}")}
    at = reach(whole, {ONE.pod_id: {"n1"}, TWO.pod_id: {"n2"}}, (ONE, TWO), hints)
    made = routers_wanted(Place(where), whole, at, homes, hints, (ONE, TWO), [])
    return {one.key: one.body for one in made}


def test_both_families_lead_over_the_bridge_and_out() -> None:
    found = in_pod(ONE, *both_families())
    assert found[Ref("routers", "r")]["routes"] == [
        {"destination": "10.2.0.0/24", "nexthop": "100.64.0.2"},
        {"destination": "2001:db8:2::/64", "nexthop": "fd00::2"},
    ]
    addresses = [ip["ip_address"] for ip in found[Ref("ports", "b1")]["fixed_ips"]]
    assert addresses == ["100.64.0.1", "fd00::1"]
    # Neutron gives chosen SLAAC addresses to routers alone, and to others those that they lack
    for id in ("j1", "i1"):
        fixed = found[Ref("ports", id)]["fixed_ips"]
        assert found[Ref("router-interfaces", id)]["fixed_ips"] == fixed

    router = in_pod(ONE, *both_families("Pod2"))[Ref("routers", "r")]
    for half in ("::/1", "8000::/1"):
        assert {"destination": half, "nexthop": "fd00::2"} in router["routes"]
    over = router["external_gateway_info"]["external_fixed_ips"]
    assert [ip["ip_address"] for ip in over] == ["100.64.0.1", "fd00::1"]


def test_a_bridge_has_the_families_of_its_routers_subnets() -> None:
    assert versions(routed()[0], "r") == {4}
    assert versions(both_families()[0], "r") == {4, 6}


def test_a_floating_ip_holds_an_ipv4_address_of_the_bridge_alone() -> None:
    whole, hints = both_families("Pod2")
    row = {"id": "F", "project_id": "p", "router_id": "r", "port_id": "a"}
    whole.floating["F"] = row
    (one,) = unheld(whole, floats(whole, (ONE, TWO), hints, [attached("a", ONE)]))
    assert one.subnet_ids == ("sb",)


def test_the_ipv6_subnets_of_a_network_are_one_interface() -> None:
    whole, hints = both_families()
    more = {"ip_version": 6, "ipv6_address_mode": "slaac", "gateway_ip": "2001:db8:9::"}
    whole.subnets["v9"] = subnet("v9", "n1", "2001:db8:9::/64", **more)
    whole.ports["j1"]["fixed_ips"].append({"subnet_id": "v9", "ip_address": "2001:db8:9::"})
    held = port("g1", "n1", "v9", "2001:db8:9::5", device_id="trio2o-gateway:Pod1")
    whole.ports["g1"] = held
    mine = in_pod(ONE, whole, hints)[Ref("ports", "j1")]
    assert [ip["ip_address"] for ip in mine["fixed_ips"]] == ["2001:db8:1::", "2001:db8:9::5"]
    assert "mac_address" not in mine  # for one of them another pod is the home


def test_a_router_without_servers_is_in_no_pod() -> None:
    whole, hints = routed()
    assert reach(whole, {}, (ONE, TWO), hints).routers == {}


def floating_in(where: Any, port_in: Any) -> dict[str, Row]:
    """What a pod has of a floating IP of Pod2's network whose port is in a pod, by kind."""
    whole, hints = routed("Pod2")
    network = "n1" if port_in is ONE else "n2"
    subnet_id, address = network.replace("n", "s"), f"10.{network[1]}.0.9"
    held = port("f", "b", "sb", "100.64.0.7", device_id="trio2o-floating:F")
    whole.ports.update(by_id(port("a", network, subnet_id, address), held))
    row = {"id": "F", "project_id": "p", "router_id": "r", "port_id": "a"}
    row |= {"floating_network_id": "e", "floating_ip_address": "203.0.113.20"}
    whole.floating["F"] = row | {"fixed_ip_address": address}
    pods, homes = (ONE, TWO), {"s1": ONE.pod_id, "s2": TWO.pod_id}
    at = reach(whole, {ONE.pod_id: {"n1"}, TWO.pod_id: {"n2"}}, pods, hints)
    some = [attached("a", port_in)]
    wanted = routers_wanted(Place(where), whole, at, homes, hints, pods, some)
    found = {one.kind.path: one for one in wanted if one.id in ("F", "f")}
    return {path: {"id": one.id} | one.body for path, one in found.items()}


def test_a_floating_ip_of_the_gateways_pod_leads_to_its_port_there() -> None:
    (one,) = floating_in(TWO, TWO).values()
    assert (one["id"], one["port_id"]) == ("F", Ref("ports", "a"))
    assert one["floating_ip_address"] == "203.0.113.20"
    assert floating_in(ONE, TWO) == {}


def test_a_floating_ip_of_a_port_elsewhere_leads_there_over_the_bridge() -> None:
    here, there = floating_in(TWO, ONE), floating_in(ONE, ONE)
    assert [ip["ip_address"] for ip in here["ports"]["fixed_ips"]] == ["100.64.0.7"]
    one = here["floatingips"]
    assert (one["id"], one["port_id"]) == ("F", Ref("ports", "f"))
    assert (one["floating_ip_address"], one["fixed_ip_address"]) == ("203.0.113.20", "100.64.0.7")
    assert list(there) == ["floatingips"]
    one = there["floatingips"]
    assert (one["id"], one["port_id"]) == ("f", Ref("ports", "a"))
    assert (one["floating_ip_address"], one["fixed_ip_address"]) == ("100.64.0.7", "10.1.0.9")
    assert one["floating_network_id"] == Ref("networks", "b")
