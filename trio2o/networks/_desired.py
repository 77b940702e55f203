"""What each pod should have: a pure function of the top Neutron and of where ports are wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

from attrs import evolve, field, frozen

from trio2o.domain.values import LEASED, SUBPORT, Attachment, Pod
from trio2o.networks import _things as things
from trio2o.networks._things import Key, Ref, Row, Wanted, mark


@frozen
class Top:
    """What the top Neutron holds, by id; as much of it as was read."""

    networks: dict[str, Row] = field(factory=dict)
    subnets: dict[str, Row] = field(factory=dict)
    ports: dict[str, Row] = field(factory=dict)
    groups: dict[str, Row] = field(factory=dict)
    addresses: dict[str, Row] = field(factory=dict)
    shares: list[Row] = field(factory=list)
    routers: dict[str, Row] = field(factory=dict)
    floating: dict[str, Row] = field(factory=dict)
    policies: dict[str, Row] = field(factory=dict)
    trunks: dict[str, Row] = field(factory=dict)
    local_ips: dict[str, Row] = field(factory=dict)
    labels: dict[str, Row] = field(factory=dict)
    scopes: dict[str, Row] = field(factory=dict)
    pools: dict[str, Row] = field(factory=dict)
    proxies: dict[str, Row] = field(factory=dict)

    @cached_property
    def bridges(self) -> list[Row]:
        """The networks of ours that join the pods of routers."""
        ours = things.bridge_mark("")
        return [n for n in self.networks.values() if n["description"].startswith(ours)]

    @cached_property
    def _by_device(self) -> dict[str, list[Row]]:
        return _by(self.ports.values(), "device_id")

    @cached_property
    def by_address(self) -> dict[tuple[str, str], Row]:
        """The ports, by subnet and address."""
        return {
            (ip["subnet_id"], ip["ip_address"]): port
            for port in self.ports.values()
            for ip in port["fixed_ips"]
        }

    def of_device(self, device_id: str) -> list[Row]:
        return self._by_device.get(device_id, [])

    @cached_property
    def _subnets(self) -> dict[str, list[Row]]:
        return _by(self.subnets.values(), "network_id")

    @cached_property
    def _devices(self) -> dict[str, list[Row]]:
        held = [row for row in self.ports.values() if row["device_id"].startswith(things.RESERVED)]
        held.sort(key=lambda row: (row.get("created_at") or "", row["id"]))
        return _by(held, "device_id", "network_id")

    @cached_property
    def _shares(self) -> dict[str, list[Row]]:
        return _by(self.shares, "object_id")

    @cached_property
    def _members(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for port in self.ports.values():
            for id in port.get("security_groups") or ():
                found.setdefault(id, []).append(port)
        return found

    def subnets_of(self, network_id: str) -> list[Row]:
        return self._subnets.get(network_id, [])

    def pool_of(self, subnet: Row) -> Row | None:
        """The pool of an IPv6 subnet."""
        return (
            self.pools.get(subnet.get("subnetpool_id", "")) if subnet["ip_version"] == 6 else None
        )

    def scope_of(self, network_id: str) -> str:
        """The address scope of a network's IPv6, which is routed to no other; '' is one, too."""
        pools = map(self.pool_of, self.subnets_of(network_id))
        return next((pool["address_scope_id"] or "" for pool in pools if pool), "")

    def shares_of(self, network_id: str) -> list[Row]:
        return self._shares.get(network_id, [])

    def reserved(self, device_id: str, network_id: str) -> list[Row]:
        """The port that holds addresses as this device, if any: the oldest, should two have been
        made at once."""
        return self._devices.get(f"{device_id}/{network_id}", [])[:1]

    def members(self, group_id: str) -> list[str]:
        """The addresses of a group's ports, allowed pairs included, as CIDRs."""
        found: set[str] = set()
        for port in self._members.get(group_id, ()):
            found |= {str(ip_network(ip["ip_address"])) for ip in port["fixed_ips"]}
            pairs = port.get("allowed_address_pairs") or ()
            found |= {str(ip_network(pair["ip_address"], strict=False)) for pair in pairs}
        return sorted(found)


def _by(rows: Iterable[Row], *names: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault("/".join(row[name] for name in names), []).append(row)
    return found


@frozen
class Place:
    """A pod with what it is told apart by: its names of physical networks, by the top's."""

    pod: Pod
    physical: Mapping[str, str] = {}


def automatic(subnet: Row) -> bool:
    """Whether addresses follow from MACs (IPv6)."""
    return subnet["ip_version"] == 6 and subnet["ipv6_address_mode"] in (
        "slaac",
        "dhcpv6-stateless",
    )


def unspanned(row: Row, pods: Sequence[Pod]) -> str:
    """What is wrong with a network that is needed in these pods, if anything.

    The same VXLAN in two pods joins nothing: a Neutron's agents build tunnels among themselves.
    """
    kind = row.get("provider:network_type")
    if len(pods) < 2 or kind in ("vlan", "flat"):
        return ""
    names = " and ".join(sorted(pod.pod_name for pod in pods))
    said = f"Network {row['id']} is a {kind} network, and only a vlan spans pods"
    return f"{said}: it is needed in {names}."


def needed(top: Top, attachments: Iterable[Attachment]) -> dict[str, set[str]]:
    """The networks that each pod (by id) should have: of its ports, and of local IPs of these."""
    found: dict[str, set[str]] = {}
    local: dict[str, list[str]] = {}
    for row in top.local_ips.values():
        for one in row["port_associations"]:
            local.setdefault(one["fixed_port_id"], []).append(row["network_id"])
    for at in attachments:
        port = top.ports.get(at.port_id)
        for id in (port["network_id"], *local.get(at.port_id, ())) if port else ():
            if id in top.networks:
                found.setdefault(at.pod_id, set()).add(id)
    return found


@frozen
class Reserve:
    """Addresses to be held at the top for a pod; `port` is the one to be widened, if any."""

    network_id: str
    project_id: str
    device_id: str
    subnet_ids: tuple[str, ...]
    port: Row | None = None


def reservations(
    top: Top, pod: Pod, networks: Iterable[str], homes: Mapping[str, str]
) -> list[Reserve]:
    """What is missing of a pod's reserved addresses: DHCP's, and a gateway's where it is not at
    home. They are `network:dhcp` ports, which go by themselves with their subnet."""
    found = []
    for id in networks:
        subnets = top.subnets_of(id)
        wanted = {
            things.dhcp(pod.pod_name): [
                s for s in subnets if s["enable_dhcp"] and not automatic(s)
            ],
            things.gateway(pod.pod_name): [
                s for s in subnets if s["gateway_ip"] and homes.get(s["id"]) != pod.pod_id
            ],
        }
        if top.networks[id]["description"].startswith(things.bridge_mark("")):
            wanted[things.bridge(pod.pod_name)] = subnets
        for device, rows in wanted.items():
            held = next(iter(top.reserved(device, id)), None)
            have = {ip["subnet_id"] for ip in held["fixed_ips"]} if held else set()
            lacking = tuple(row["id"] for row in rows if row["id"] not in have)
            if lacking:
                project = top.networks[id]["project_id"]
                found.append(Reserve(id, project, device, lacking, held))
    return found


def desired(
    place: Place,
    top: Top,
    attachments: Sequence[Attachment],
    homes: Mapping[str, str],
    also: Iterable[str] = (),
) -> dict[Key, Wanted]:
    """All that a pod should have of the top's. `also` are networks it should have besides."""
    own = [one for one in attachments if one.pod_id == place.pod.pod_id]
    networks = needed(top, own).get(place.pod.pod_id, set()) | {
        n for n in also if n in top.networks
    }
    wanted: list[Wanted] = []
    for id in sorted(networks):
        wanted.append(_network(top.networks[id], top.subnets_of(id), place))
        wanted += [*_shares(top, id), *_pools(top, id)]
        wanted += [_subnet(top, row, place.pod, own, homes) for row in top.subnets_of(id)]
        wanted += [_reserved(row, top) for row in top.reserved(things.dhcp(place.pod.pod_name), id)]
    held = [one for one in own if one.port_id in top.ports]
    held = [one for one in held if top.ports[one.port_id]["network_id"] in top.networks]
    ports = [top.ports[one.port_id] for one in held if one.stage != LEASED]
    there = {port["id"] for port in ports}
    for row in top.local_ips.values():
        if row["local_port_id"] in top.ports:
            wanted += _local_ip(row, there, top)
    for port in ports:
        wanted.append(port_wanted(port, top))
    wanted += [trunk_wanted(t, there) for t in top.trunks.values() if t["port_id"] in there]
    wanted += policies_wanted(top, [*(top.networks[id] for id in networks), *ports])
    groups = {id for one in held for id in top.ports[one.port_id].get("security_groups") or ()}
    wanted += groups_wanted(top, groups)
    return {one.key: one for one in wanted}


def policies_wanted(top: Top, users: Iterable[Row]) -> list[Wanted]:
    """The QoS policies of networks and ports, with their rules."""
    ids = {row.get("qos_policy_id") or "" for row in users} & set(top.policies)
    return [policy_wanted(top.policies[id]) for id in sorted(ids)]


def policy_wanted(row: Row) -> Wanted:
    body = {"name": row["name"], "rules": row["rules"]}
    return Wanted(things.QOS, row["id"], row["project_id"], body)


def policy_of(row: Row) -> Ref | None:
    id = row.get("qos_policy_id")
    return Ref(things.QOS.path, id) if id else None


def groups_wanted(top: Top, groups: Iterable[str]) -> list[Wanted]:
    """Security groups with their rules, and the address groups that stand for remote groups."""
    wanted: list[Wanted] = []
    remotes: dict[str, str] = {}
    for id in sorted(groups):
        if (group := top.groups.get(id)) is None:
            continue
        wanted.append(_group(group))
        for rule in group["security_group_rules"]:
            wanted.append(_rule(rule, group))
            if (remote := rule["remote_group_id"]) or (
                remote := rule.get("remote_address_group_id")
            ):
                remotes[remote] = group["project_id"]
    for id, project in sorted(remotes.items()):
        row = top.addresses.get(id)
        addresses = sorted(row["addresses"]) if row else top.members(id)
        name = row["name"] if row else f"members of {id}"
        project = row["project_id"] if row else project
        body = {"name": name, "addresses": addresses}
        wanted.append(Wanted(things.ADDRESSES, id, project, body))
    return wanted


def _network(row: Row, subnets: Iterable[Row], place: Place) -> Wanted:
    body = {
        name: row[name]
        for name in ("name", "admin_state_up", "mtu", "port_security_enabled", "router:external")
        if row.get(name) is not None
    }
    body["qos_policy_id"] = policy_of(row)
    if row["description"].startswith(things.bridge_mark("")):
        body["router:external"] = True  # of the routers that have their gateway over it
    for name in ("network_type", "segmentation_id", "physical_network"):
        if (value := row.get(f"provider:{name}")) is not None:
            known = place.physical.get(value, value) if name == "physical_network" else value
            body[f"provider:{name}"] = known
    first: Row = {}
    if any(subnet["ipv6_address_mode"] for subnet in subnets):
        # these have DHCP on from the start: an agent would take the address of the reserved port
        first["admin_state_up"] = False
    return Wanted(things.NETWORK, row["id"], row["project_id"], body, first)


def _pools(top: Top, network_id: str) -> list[Wanted]:
    """The pools of a network's subnets with their address scopes, by which pods route IPv6."""
    found = []
    for row in filter(None, map(top.pool_of, top.subnets_of(network_id))):
        if scope := top.scopes.get(row["address_scope_id"] or ""):
            body = {"ip_version": scope["ip_version"]}
            found.append(Wanted(things.SCOPE, scope["id"], scope["project_id"], body))
        found.append(pool_wanted(row))
    return found


def pool_wanted(row: Row) -> Wanted:
    body = {name: row[name] for name in things.POOL.changes}
    if scope := row["address_scope_id"]:
        body["address_scope_id"] = Ref(things.SCOPE.path, scope)
    return Wanted(things.POOL, row["id"], row["project_id"], body)


def _shares(top: Top, network_id: str) -> list[Wanted]:
    """Who else may use a network, else the pod's Nova does not find it."""
    return [
        Wanted(
            things.RBAC,
            share_key(row["object_id"], row["action"], row["target_tenant"]),
            row["project_id"],
            {
                "object_type": "network",
                "object_id": Ref(things.NETWORK.path, network_id),
                "action": row["action"],
                "target_tenant": row["target_tenant"],
            },
        )
        for row in top.shares_of(network_id)
        if not (row["action"] == "access_as_external" and row["target_tenant"] == "*")
    ]


def share_key(network_id: str, action: str, target: str) -> str:
    return f"{network_id}/{action}/{target}"


def _subnet(
    top: Top, row: Row, pod: Pod, own: Sequence[Attachment], homes: Mapping[str, str]
) -> Wanted:
    def held(device: str) -> list[str]:
        return [
            ip["ip_address"]
            for port in top.reserved(device, row["network_id"])
            for ip in port["fixed_ips"]
            if ip["subnet_id"] == row["id"]
        ]

    dhcp = held(things.dhcp(pod.pod_name))
    gateway = row["gateway_ip"]
    if gateway and homes.get(row["id"]) != pod.pod_id:
        gateway = next(iter(held(things.gateway(pod.pod_name))), None)
    leased = [
        ip["ip_address"]
        for one in own
        if one.stage == LEASED and one.port_id in top.ports
        for ip in top.ports[one.port_id]["fixed_ips"]
        if ip["subnet_id"] == row["id"]
    ]
    body = {
        name: row[name]
        for name in ("name", "ip_version", "cidr", "dns_nameservers", "host_routes", "enable_dhcp")
    }
    body |= {"network_id": Ref(things.NETWORK.path, row["network_id"]), "gateway_ip": gateway}
    first: Row = {}
    if pool := top.pool_of(row):
        body["subnetpool_id"] = Ref(things.POOL.path, pool["id"])
    if automatic(row):
        body |= {name: row[name] for name in ("ipv6_ra_mode", "ipv6_address_mode")}
    else:
        if row["ip_version"] == 6:
            body |= {
                name: row[name]
                for name in ("ipv6_ra_mode", "ipv6_address_mode")
                if row[name] is not None
            }
        # the pod gives out only what the top reserved for it
        body["allocation_pools"] = pools([*dhcp, *leased])
        if not body["allocation_pools"]:
            first["allocation_pools"] = None  # none at all can only be had by a change
        if dhcp and not row["ipv6_address_mode"]:  # Neutron has these only with DHCP on
            first["enable_dhcp"] = False  # on before its port is there it takes an address itself
    return Wanted(things.SUBNET, row["id"], row["project_id"], body, first)


def pools(addresses: Iterable[str]) -> list[dict[str, str]]:
    """Ranges of single addresses and of their neighbours."""
    found: list[list[Any]] = []
    for one in sorted({ip_address(text) for text in addresses}, key=int):
        if found and int(found[-1][1]) + 1 == int(one):
            found[-1][1] = one
        else:
            found.append([one, one])
    return [{"start": str(start), "end": str(end)} for start, end in found]


def fixed_ips(ips: Iterable[Row], top: Top) -> list[Row]:
    """Addresses as they are asked for in a pod."""
    fixed = []
    for ip in ips:
        subnet = top.subnets.get(ip["subnet_id"])
        one: Row = {"subnet_id": Ref(things.SUBNET.path, ip["subnet_id"])}
        if subnet is None or not automatic(subnet):  # such an address follows from the MAC
            one["ip_address"] = ip["ip_address"]
        fixed.append(one)
    return fixed


def _reserved(row: Row, top: Top) -> Wanted:
    """The port of the pod's DHCP, there before its agents would make one."""
    body = {
        "name": "",
        "network_id": Ref(things.NETWORK.path, row["network_id"]),
        "mac_address": row["mac_address"],
        "device_owner": "network:dhcp",
        "device_id": things.DHCP,
        "fixed_ips": fixed_ips(row["fixed_ips"], top),
    }
    return Wanted(things.PORT, row["id"], row["project_id"], body)


def port_wanted(row: Row, top: Top) -> Wanted:
    body = {
        "name": row["name"],
        "network_id": Ref(things.NETWORK.path, row["network_id"]),
        "mac_address": row["mac_address"],
        "fixed_ips": fixed_ips(row["fixed_ips"], top),
        "admin_state_up": row["admin_state_up"],
        "security_groups": [Ref(things.GROUP.path, id) for id in row.get("security_groups") or ()],
        "allowed_address_pairs": list(row.get("allowed_address_pairs") or ()),
        "qos_policy_id": policy_of(row),
        "extra_dhcp_opts": list(row.get("extra_dhcp_opts") or ()),
    }
    if row.get("port_security_enabled") is not None:
        body["port_security_enabled"] = row["port_security_enabled"]
    if row.get("dns_name"):  # the pod's Nova writes it where there is none
        body["dns_name"] = row["dns_name"]
    if row.get("binding:vnic_type"):
        body["binding:vnic_type"] = row["binding:vnic_type"]
    return Wanted(things.PORT, row["id"], row["project_id"], body)


def trunk_wanted(row: Row, ports: Collection[str]) -> Wanted:
    """A trunk with those of its subports that are among the pod's."""
    body = {
        "name": row["name"],
        "admin_state_up": row["admin_state_up"],
        "port_id": Ref(things.PORT.path, row["port_id"]),
        "sub_ports": [
            one | {"port_id": Ref(things.PORT.path, one["port_id"])}
            for one in row["sub_ports"]
            if one["port_id"] in ports
        ],
    }
    return Wanted(things.TRUNK, row["id"], row["project_id"], body)


def _local_ip(row: Row, ports: Collection[str], top: Top) -> list[Wanted]:
    """A local IP where ports have it: its own port is in each such pod, as it is on each host."""
    some = [
        {"fixed_port_id": Ref(things.PORT.path, one["fixed_port_id"]), "fixed_ip": one["fixed_ip"]}
        for one in row["port_associations"]
        if one["fixed_port_id"] in ports
    ]
    if not some:
        return []
    held = port_wanted(top.ports[row["local_port_id"]] | {"security_groups": []}, top)
    held.body["device_owner"] = "network:local_ip"
    body = {
        "name": row["name"],
        "local_port_id": Ref(things.PORT.path, row["local_port_id"]),
        "local_ip_address": row["local_ip_address"],
        "ip_mode": row["ip_mode"],
        "port_associations": some,
    }
    return [held, Wanted(things.LOCAL_IP, row["id"], row["project_id"], body)]


def label_wanted(row: Row) -> Wanted:
    """A label by which agents meter what routers let through."""
    body = {name: row[name] for name in ("name", "shared", "metering_label_rules")}
    return Wanted(things.LABEL, row["id"], row["project_id"], body)


def subports(trunks: Iterable[Row], attached: Iterable[Attachment]) -> dict[str, Attachment]:
    """Where the subports of trunks should be, by id: each where the parent port is."""
    at = {one.port_id: one for one in attached if one.stage not in (LEASED, SUBPORT)}
    return {
        one["port_id"]: evolve(
            parent,
            port_id=one["port_id"],
            server_id="",
            claim=trunk["id"],
            ours=False,
            stage=SUBPORT,
        )
        for trunk in trunks
        if (parent := at.get(trunk["port_id"]))
        for one in trunk["sub_ports"]
        if one["port_id"] not in at
    }


def _group(row: Row) -> Wanted:
    body = {"name": row["name"], "description": mark(row["id"])}
    if row.get("stateful") is not None:
        body["stateful"] = row["stateful"]
    return Wanted(things.GROUP, row["id"], row["project_id"], body)


_SAME = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
)


def rule_key(group_id: str, row: Row, remote: str) -> str:
    """Rules are told by what they say: two that say the same cannot be in one group."""
    return "/".join([group_id, *(str(row.get(name)) for name in _SAME), remote])


def _rule(row: Row, group: Row) -> Wanted:
    remote = row["remote_group_id"] or row.get("remote_address_group_id") or ""
    body = {name: row[name] for name in _SAME if row[name] is not None}
    body["security_group_id"] = Ref(things.GROUP.path, group["id"])
    if remote:
        body["remote_address_group_id"] = Ref(things.ADDRESSES.path, remote)
    id = rule_key(group["id"], row, remote)
    return Wanted(things.RULE, id, group["project_id"], body)
