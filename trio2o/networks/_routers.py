"""Routers over pods: one at the top, one in each pod where a subnet of it is; a bridge joins them.

The bridge is a network of ours at the top, one a router. It is an ordinary interface of its routers
where there is no gateway and where the gateway is, and the gateway of the others. Extra routes lead
to the subnets that are elsewhere, and to the pod of the gateway.

IPv6 is routed within an address scope only, and a bridge is in none: networks that are in one are
also in the pod of the gateway, or else in the first, where they meet; to what is elsewhere, or
outside, the others go by the address that it has on a network of the same scope.

A floating IP of a port elsewhere is two in a row: in the gateway's pod it leads to an address on
the bridge, which in the port's pod leads to the port. So both directions take the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import groupby

from attrs import frozen

from trio2o.domain.values import Attachment, Pod
from trio2o.networks import _things as things
from trio2o.networks._desired import (
    Place,
    Reserve,
    Top,
    automatic,
    fixed_ips,
    label_wanted,
    policies_wanted,
    policy_of,
)
from trio2o.networks._things import Ref, Row, Wanted

ALL = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
"""All of IPv4 and of IPv6, in halves: Neutron's agents drop a default route that is not of the
gateway's subnet whenever they look at the gateway."""

INTERFACES = ("network:router_interface", "network:ha_router_replicated_interface")


Fixed = tuple[Row, str]
"""A subnet and an address of it."""


@frozen
class Reach:
    """Where things are: the networks that each pod (by id) has, and the pods of each router."""

    networks: dict[str, set[str]]
    routers: dict[str, list[Pod]]

    def has(self, pod: Pod, network_id: str) -> bool:
        return network_id in self.networks.get(pod.pod_id, ())


def bridge_of(top: Top, router_id: str) -> Row | None:
    """The network that joins a router's pods, if it was made."""
    mine = things.bridge_mark(router_id)
    return next((row for row in top.bridges if row["description"] == mine), None)


def interfaces(top: Top, router_id: str) -> list[Row]:
    """A router's ports on networks of tenants."""
    return [port for port in top.of_device(router_id) if port["device_owner"] in INTERFACES]


def versions(top: Top, router_id: str) -> set[int]:
    """The IP versions that a router's bridge has: that of floating IPs, and its subnets'."""
    fixed = (ip for port in interfaces(top, router_id) for ip in port["fixed_ips"])
    return {4} | {ip_address(ip["ip_address"]).version for ip in fixed}


def gateway_pod(row: Row, pods: Sequence[Pod], hints: Mapping[str, list[str]]) -> Pod | None:
    """The pod of a router's external network: the one that it is hinted for."""
    info = row.get("external_gateway_info")
    if not info:
        return None
    return external_pod(info["network_id"], pods, hints)


def external_pod(
    network_id: str, pods: Sequence[Pod], hints: Mapping[str, list[str]]
) -> Pod | None:
    """An external network is in one pod: the first that its hints allow."""
    named = hints.get(network_id, [])
    fits = [p for p in pods if any(p.is_in(hint) or p.pod_name == hint for hint in named)]
    return next(iter(fits if named else pods), None)


def reach(
    top: Top, needed: Mapping[str, set[str]], pods: Sequence[Pod], hints: Mapping[str, list[str]]
) -> Reach:
    """From the networks that servers need in each pod: those that routers need besides."""
    networks = {pod.pod_id: set(needed.get(pod.pod_id, ())) for pod in pods}
    routers: dict[str, list[Pod]] = {}
    for id, row in top.routers.items():
        mine = {port["network_id"] for port in interfaces(top, id)}
        home = gateway_pod(row, pods, hints)
        there = [pod for pod in pods if mine & networks[pod.pod_id] or (home is pod and mine)]
        if not any(mine & networks[pod.pod_id] for pod in pods):
            continue  # nobody is there to be routed
        routers[id] = there
        if len(there) > 1:
            hub = home or there[0]
            networks[hub.pod_id] |= {network for network in mine if top.scope_of(network)}
        if home is not None:
            networks[home.pod_id].add(row["external_gateway_info"]["network_id"])
        bridge = bridge_of(top, id)
        if len(there) > 1 and bridge is not None:
            for pod in there:
                networks[pod.pod_id].add(bridge["id"])
    return Reach(networks, routers)


def routers_wanted(
    place: Place,
    top: Top,
    at: Reach,
    homes: Mapping[str, str],
    hints: Mapping[str, list[str]],
    pods: Sequence[Pod],
    attachments: Collection[Attachment],
) -> list[Wanted]:
    """The routers of a pod, their interfaces there, and the floating IPs of ports that it has."""
    wanted: list[Wanted] = []
    for id, there in at.routers.items():
        if place.pod in there:
            home = gateway_pod(top.routers[id], pods, hints)
            wanted += _router(place.pod, top.routers[id], there, home, top, at, homes)
    owners = {
        top.routers[id]["project_id"] for id, there in at.routers.items() if place.pod in there
    }
    for label in top.labels.values():
        if label["project_id"] in owners or (label["shared"] and owners):
            wanted.append(label_wanted(label))
    at_port = {one.port_id: one.pod_id for one in attachments}
    for row in top.proxies.values():
        wanted += _proxy(row, place.pod, top, at, hints, pods, at_port)
    for id, some in groupby(floats(top, pods, hints, attachments), lambda one: one.row["id"]):
        wanted += _floating(top.floating[id], list(some), place.pod, top)
    return wanted


@frozen
class Float:
    """A floating IP that leads to a port, or to some by `forwards`: the pod of its network, that of
    the ports, and what joins them if these differ, with the address that it has there: that of a
    port of the top's called `device_id` (none yet if there is no `held`)."""

    row: Row
    home: Pod
    where: Pod
    forwards: list[Row]
    device_id: str
    bridge: Row | None
    held: Row | None


def ends(row: Row) -> set[str]:
    """The ports that a floating IP leads to."""
    return {row["port_id"], *(way["internal_port_id"] for way in _ways(row))} - {None}


def _ways(row: Row) -> list[Row]:
    """The port forwardings of a floating IP."""
    return row.get("port_forwardings") or []


def floats(
    top: Top, pods: Sequence[Pod], hints: Mapping[str, list[str]], attachments: Iterable[Attachment]
) -> list[Float]:
    """The floating IPs of which both pods are known, in each pod that they lead to."""
    at = {one.port_id: one.pod_id for one in attachments}
    found = []
    for row in top.floating.values():
        router = top.routers.get(row["router_id"] or "")
        home = gateway_pod(router, pods, hints) if router else None
        if home is None:
            continue
        fixed = [ip for port in interfaces(top, row["router_id"]) for ip in port["fixed_ips"]]
        joined = [top.subnets[id] for ip in fixed if (id := ip["subnet_id"]) in top.subnets]
        # Neutron lets a subnet go from a router that forwards there
        ways = [way for way in _ways(row) if _on(way["internal_ip_address"], joined)]
        there = {at.get(port) for port in ends(row | {"port_forwardings": ways})}
        for where in (pod for pod in pods if pod.pod_id in there):
            forwards = [way for way in ways if at.get(way["internal_port_id"]) == where.pod_id]
            device = things.floating(f"{row['id']}:{where.pod_name}" if forwards else row["id"])
            bridge = bridge_of(top, row["router_id"]) if home is not where else None
            held = top.reserved(device, bridge["id"]) if bridge else []
            held_one = next((port for port in held if port["fixed_ips"]), None)
            found.append(Float(row, home, where, forwards, device, bridge, held_one))
    return found


def unheld(top: Top, found: Iterable[Float]) -> list[Reserve]:
    """The addresses on bridges that floating IPs lack."""
    return [
        Reserve(one.bridge["id"], one.bridge["project_id"], one.device_id, subnets)
        for one in found
        if one.bridge is not None and one.held is None
        for some in [top.subnets_of(one.bridge["id"])]
        if (subnets := tuple(row["id"] for row in some if row["ip_version"] == 4))
    ]


def _floating(row: Row, some: Sequence[Float], pod: Pod, top: Top) -> list[Wanted]:
    """What a pod has of a floating IP: itself in the pod of its network, where it leads to ports of
    the pod and to addresses on the bridge; elsewhere such an address, which leads to its ports."""
    found: list[Wanted] = []
    port, fixed, ways = None, None, []
    ready = [one for one in some if one.home is one.where or one.held]
    for one in ready:
        port, fixed, here = row["port_id"], row["fixed_ip_address"], one.forwards
        if one.bridge is not None and one.held is not None:
            middle = one.held["fixed_ips"][0]
            address = middle["ip_address"]
            if pod is one.where:
                body = _leading(one.bridge["id"], address, port, fixed, here)
                found.append(_float(one.held["id"], row, body))
            port, fixed = one.held["id"], address
            here = [_hop(way, port, address) for way in here]
            if pod is one.home:
                subnet = top.subnets[middle["subnet_id"]]
                found.append(_held_port(one.held, [(subnet, address)]))
        ways += here
    if ready and pod is ready[0].home:
        network, address = row["floating_network_id"], row["floating_ip_address"]
        body = _leading(network, address, port, fixed, ways) | {"qos_policy_id": policy_of(row)}
        found += [*policies_wanted(top, [row]), _float(row["id"], row, body)]
    return found


def _float(id: str, row: Row, body: Row) -> Wanted:
    return Wanted(things.FLOATING, id, row["project_id"], body)


def _leading(
    network: str, address: str, port: str | None, fixed: str | None, ways: list[Row]
) -> Row:
    """A floating IP that leads to a port or, by `ways`, to some."""
    return {
        "floating_network_id": Ref(things.NETWORK.path, network),
        "floating_ip_address": address,
        "port_id": Ref(things.PORT.path, port) if port and not ways else None,
        "fixed_ip_address": None if ways else fixed,
        "port_forwardings": [
            way | {"internal_port_id": Ref(things.PORT.path, way["internal_port_id"])}
            for way in ways
        ],
    }


def _hop(way: Row, port: str, address: str) -> Row:
    """A port forwarding to the bridge, where each port is what it is outside."""
    same = {
        name.replace("external", "internal"): way.get(name)
        for name in ("external_port", "external_port_range")
    }
    return way | same | {"internal_port_id": port, "internal_ip_address": address}


def _router(
    pod: Pod,
    row: Row,
    there: Sequence[Pod],
    home: Pod | None,
    top: Top,
    at: Reach,
    homes: Mapping[str, str],
) -> list[Wanted]:
    router = Ref(things.ROUTER.path, row["id"])
    bridge = bridge_of(top, row["id"]) if len(there) > 1 else None
    addresses = {one.pod_id: _bridge_addresses(top, bridge, one) for one in there}
    body: Row = {"name": row["name"], "admin_state_up": row["admin_state_up"]}
    body["external_gateway_info"] = None
    body["conntrack_helpers"] = row.get("conntrack_helpers") or []
    body["enable_ndp_proxy"] = bool(home is pod and row.get("enable_ndp_proxy"))
    found: list[Wanted] = []
    if home is pod:
        body["external_gateway_info"] = _gateway(row["external_gateway_info"])
        found += policies_wanted(top, [row["external_gateway_info"]])
    held: list[Row] = []
    routes: dict[str, str] = {}
    hops = _hops(pod, home or there[0], row["id"], top, at, homes)
    for port in interfaces(top, row["id"]):
        own: list[Fixed] = []
        for ip in port["fixed_ips"]:
            subnet = top.subnets.get(ip["subnet_id"])
            if subnet is None:
                continue
            if at.has(pod, port["network_id"]):
                if address := _own_address(pod, ip, subnet, homes, top):
                    own.append((subnet, address))
                continue
            first_home, version = homes.get(subnet["id"]), subnet["ip_version"]
            if version == 6 and (hop := hops.get(top.scope_of(port["network_id"]))):
                routes[subnet["cidr"]] = hop
                continue
            others = [
                p for p in there if at.has(p, port["network_id"]) and version in addresses[p.pod_id]
            ]
            others.sort(key=lambda p, home=first_home: home != p.pod_id)  # type: ignore[misc]
            if others:
                routes[subnet["cidr"]] = addresses[others[0].pod_id][version]
        held += [subnet for subnet, _ in own]
        found += _interface(router, port, own, top)
    for port in top.reserved(things.bridge(pod.pod_name), bridge["id"]) if bridge else ():
        fixed = port["fixed_ips"]
        both = [(top.subnets[ip["subnet_id"]], ip["ip_address"]) for ip in fixed]
        held += [subnet for subnet, _ in both]
        if home is None or home is pod:
            found += _interface(router, port, both, top)
        else:
            info = {"network_id": port["network_id"], "enable_snat": False}
            body["external_gateway_info"] = _gateway(info | {"external_fixed_ips": fixed})
    if home is not None and home is not pod:
        for version, address in addresses[home.pod_id].items():
            outside = top.scope_of(row["external_gateway_info"]["network_id"])
            hop = hops.get(outside, address) if version == 6 else address
            routes |= dict.fromkeys(ALL[version], hop)
    for route in row.get("routes") or ():
        if _on(route["nexthop"], held):
            routes[route["destination"]] = route["nexthop"]
    body["routes"] = [{"destination": d, "nexthop": n} for d, n in sorted(routes.items()) if n]
    first: Row = {"routes": None}  # they are refused before there is an interface
    return [*found, Wanted(things.ROUTER, row["id"], row["project_id"], body, first)]


def _hops(
    pod: Pod, hub: Pod, router_id: str, top: Top, at: Reach, homes: Mapping[str, str]
) -> dict[str, str]:
    """By address scope: the address of a router in another pod, on a network that this one has."""
    found: dict[str, str] = {}
    for port in interfaces(top, router_id) if hub is not pod else ():
        scope = top.scope_of(port["network_id"])
        for ip in port["fixed_ips"] if scope and at.has(pod, port["network_id"]) else ():
            subnet = top.subnets.get(ip["subnet_id"])
            if subnet and subnet["ip_version"] == 6:
                found.setdefault(scope, _own_address(hub, ip, subnet, homes, top))
    return {scope: address for scope, address in found.items() if address}


def _proxy(
    row: Row,
    pod: Pod,
    top: Top,
    at: Reach,
    hints: Mapping[str, list[str]],
    pods: Sequence[Pod],
    attached: Mapping[str, str],
) -> list[Wanted]:
    """An NDP proxy, in the pod of the gateway, if a pod has the port: elsewhere, another port
    stands for it there, whose address is on the same wire."""
    port, router = top.ports.get(row["port_id"]), top.routers.get(row["router_id"])
    where, address = attached.get(row["port_id"]), ip_address(row["ip_address"])
    if where is None or not port or not router or gateway_pod(router, pods, hints) is not pod:
        return []
    # a port may have lost the address since
    ips = [ip for ip in port["fixed_ips"] if ip_address(ip["ip_address"]) == address]
    if not ips or ips[0]["subnet_id"] not in top.subnets or not at.has(pod, port["network_id"]):
        return []
    found, end = [], port
    if where != pod.pod_id:
        end = port | {"id": row["id"]}
        stands = _held_port(end, ())
        stands.body.update(device_id=router["id"], device_owner="network:ndp_proxy")
        stands.body["fixed_ips"] = fixed_ips(ips, top)
        if automatic(top.subnets[ips[0]["subnet_id"]]):  # it follows from this
            stands.body["mac_address"] = port["mac_address"]
        found.append(stands)
    body = {
        "router_id": Ref(things.ROUTER.path, row["router_id"]),
        "port_id": Ref(things.PORT.path, end["id"]),
        "ip_address": row["ip_address"],
    }
    return [*found, Wanted(things.PROXY, row["id"], row["project_id"], body)]


def _gateway(info: Row) -> Row:
    policy = {"qos_policy_id": policy_of(info)} if "qos_policy_id" in info else {}
    return policy | {
        "network_id": Ref(things.NETWORK.path, info["network_id"]),
        "enable_snat": info.get("enable_snat", True),
        "external_fixed_ips": [
            ip | {"subnet_id": Ref(things.SUBNET.path, ip["subnet_id"])}
            for ip in info["external_fixed_ips"]
        ],
    }


def _on(address: str, subnets: Iterable[Row]) -> bool:
    return any(ip_address(address) in ip_network(subnet["cidr"]) for subnet in subnets)


def _bridge_addresses(top: Top, bridge: Row | None, pod: Pod) -> dict[int, str]:
    """A pod's addresses on a bridge, by IP version."""
    held = top.reserved(things.bridge(pod.pod_name), bridge["id"]) if bridge else []
    fixed = [str(ip["ip_address"]) for port in held for ip in port["fixed_ips"]]
    return {ip_address(address).version: address for address in fixed}


def _own_address(pod: Pod, ip: Row, subnet: Row, homes: Mapping[str, str], top: Top) -> str:
    """The pod's address of an interface: the tenant's own at home, else the reserved one."""
    if homes.get(subnet["id"]) == pod.pod_id:
        return str(ip["ip_address"])
    for port in top.reserved(things.gateway(pod.pod_name), subnet["network_id"]):
        for one in port["fixed_ips"]:
            if one["subnet_id"] == subnet["id"]:
                return str(one["ip_address"])
    return ""


def _interface(router: Ref, port: Row, fixed: Sequence[Fixed], top: Top) -> list[Wanted]:
    if not fixed:
        return []
    wanted = _held_port(port, fixed)
    if [address for _, address in fixed] == [ip["ip_address"] for ip in port["fixed_ips"]]:
        wanted.body["mac_address"] = port["mac_address"]
    joined: Row = {"router": router, "port": Ref(things.PORT.path, port["id"])}
    if any(map(automatic, top.subnets_of(port["network_id"]))):
        # to others than routers Neutron gives SLAAC addresses by itself, and none that are chosen
        joined["fixed_ips"] = wanted.body["fixed_ips"]
        ips = zip(fixed, wanted.body["fixed_ips"], strict=True)
        wanted.first["fixed_ips"] = [ip for (subnet, _), ip in ips if not automatic(subnet)]
    return [wanted, Wanted(things.INTERFACE, port["id"], port["project_id"], joined)]


def _held_port(port: Row, fixed: Iterable[Fixed]) -> Wanted:
    """A port that is no server's, for what the top holds as this one."""
    body = {
        "name": "",
        "network_id": Ref(things.NETWORK.path, port["network_id"]),
        "fixed_ips": [
            {"subnet_id": Ref(things.SUBNET.path, subnet["id"]), "ip_address": address}
            for subnet, address in fixed
        ],
        "security_groups": [],
        "port_security_enabled": False,
    }
    return Wanted(things.PORT, port["id"], port["project_id"], body)
