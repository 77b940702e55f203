"""Neutrons in memory: as much of them as the reconciler relies on, with their refusals."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from world import answer, pod

from trio2o.domain.errors import PodTimeout, PodUnavailable
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.store._schema import metadata

Row = dict[str, Any]
WHEN = "2026-01-01T00:00:00Z"

DEFAULTS: dict[str, Row] = {
    "qos/policies": {"name": "", "rules": []},
    "networks": {
        "name": "", "admin_state_up": True, "mtu": 1450, "port_security_enabled": True,
        "shared": False, "router:external": False,
    },
    "subnets": {
        "name": "", "ip_version": 4, "gateway_ip": None, "enable_dhcp": True,
        "dns_nameservers": [], "host_routes": [], "ipv6_ra_mode": None, "ipv6_address_mode": None,
        "subnetpool_id": None,
    },
    "address-scopes": {"name": "", "ip_version": 6},
    "subnetpools": {
        "name": "", "prefixes": [], "default_prefixlen": 64, "min_prefixlen": 64,
        "max_prefixlen": 128, "ip_version": 6, "address_scope_id": None,
    },
    "ndp-proxies": {"name": ""},
    "ports": {
        "name": "", "device_id": "", "device_owner": "", "admin_state_up": True,
        "allowed_address_pairs": [], "port_security_enabled": True, "extra_dhcp_opts": [],
        "binding:vnic_type": "normal", "status": "DOWN", "created_at": WHEN, "updated_at": WHEN,
        "revision_number": 1,
    },
    "security-groups": {"name": "", "stateful": True},
    "address-groups": {"name": "", "addresses": []},
    "security-group-rules": {
        "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None,
        "remote_ip_prefix": None, "remote_group_id": None, "remote_address_group_id": None,
    },
    "rbac-policies": {},
    "metering/metering-labels": {"name": "", "shared": False, "metering_label_rules": []},
    "local_ips": {"name": "", "ip_mode": "translate", "port_associations": []},
    "trunks": {"name": "", "admin_state_up": True, "sub_ports": [], "status": "DOWN"},
    "floatingips": {
        "port_id": None, "router_id": None, "fixed_ip_address": None, "port_forwardings": [],
    },
    "routers": {
        "name": "", "admin_state_up": True, "external_gateway_info": None, "routes": [],
        "conntrack_helpers": [], "enable_ndp_proxy": False,
    },
}  # fmt: skip
SAYS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max",
        "remote_ip_prefix", "remote_group_id", "remote_address_group_id")  # fmt: skip

PARTS = ("_rules", "port_forwardings", "conntrack_helpers", "port_associations")

GO_ALONG = ("network:dhcp", "network:distributed")
"""Owners of ports that go with their network or subnet."""

_IDS = random.Random(1)


def number_ids(seed: int) -> None:
    """Ids from here on are the same in each run: what is picked among sorted ids is, too."""
    _IDS.seed(seed)


def new_id() -> str:
    return str(uuid.UUID(int=_IDS.getrandbits(128), version=4))


class Refusal(Exception):
    def __init__(self, status: int, kind: str) -> None:
        self.answer = answer(status, {"NeutronError": {"type": kind, "message": kind}})


class NoAddress(Refusal, IndexError):
    """Nothing is left of a network's pools."""


class Neutron:
    """One Neutron's rows by collection. `ovn`: it serves DHCP from a port of its own, which it
    makes with the network, and for which it takes an address of the pools."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {kind: {} for kind in DEFAULTS}
        self.dns = self.agent = self.ovn = False
        self.ndp = True

    def __call__(self, call: Call) -> Answer:
        path = call.path.decode().strip("/").replace("qos/", "qos|").replace("ing/", "ing|")
        words = path.split("/")
        words[0] = words[0].replace("|", "/")
        if words[0] == "metering/metering-label-rules":
            return self._label_rule(call, words[1:])
        kind, id = words[0], words[1] if len(words) > 1 else ""
        if kind == "quotas":
            return answer(200, {"quota": {}})
        rows = self.rows[kind]
        key, plural = _keys(kind)
        body = json.loads(call.body) if call.body else {}
        try:
            if "dns_name" in body.get(key, {}) and not self.dns:
                raise Refusal(400, "Unrecognized attribute(s) 'dns_name'")
            if "enable_ndp_proxy" in body.get(key, {}) and not self.ndp:
                raise Refusal(400, "Unrecognized attribute(s) 'enable_ndp_proxy'")
            if kind == "ndp-proxies" and not self.ndp:
                raise Refusal(404, "HTTPNotFound")
            if call.method == "GET":
                if id and id not in rows:
                    raise Refusal(404, "NotFound")
                if len(words) > 2:
                    return answer(200, {words[2]: rows[id][words[2]]})
                if id:
                    return answer(200, {key: self.shown(kind, rows[id])})
                found = [self.shown(kind, row) for row in self._found(kind, call)]
                return answer(200, {plural: found})
            if len(words) > 2 and words[2].endswith(PARTS):
                return self._part(rows[id], words[2:], call.method, body)
            if call.method == "POST":
                return answer(201, {key: self.shown(kind, self.create(kind, dict(body[key])))})
            if id not in rows:
                raise Refusal(404, "NotFound")
            if call.method == "DELETE":
                self.delete(kind, id)
                return Answer(204)
            if kind == "routers" and len(words) > 2:
                self._interface(rows[id], words[2], body["port_id"])
            elif words[2:] == ["onboard_network_subnets"]:
                for subnet in self.subnets(body["network_id"]):
                    if subnet["ip_version"] == 6:
                        subnet["subnetpool_id"] = id
                        rows[id]["prefixes"].append(subnet["cidr"])
            elif kind == "trunks" and len(words) > 2:
                self._subports(rows[id], words[2], body["sub_ports"])
            elif words[-1].endswith("_prefixes"):
                had = set(rows[id]["prefixes"])
                how = had.union if "add" in words[-1] else had.difference
                rows[id]["prefixes"] = sorted(how(body["prefixes"]))
            elif len(words) > 2:
                self._addresses(rows[id], words[2], body["addresses"])
            else:
                self._change(kind, rows[id], body[key])
            return answer(200, {key: self.shown(kind, rows[id])})
        except Refusal as refusal:
            return refusal.answer

    def _label_rule(self, call: Call, words: list[str]) -> Answer:
        name, labels = "metering_label_rules", self.rows["metering/metering-labels"]
        if call.method == "GET":
            ids = [id for key, id in parse_qsl(call.query.decode()) if key == "metering_label_id"]
            told = [
                rule | {"metering_label_id": id}
                for id in ids or labels
                for rule in labels[id][name]
            ]
            return answer(200, {name: told})
        if call.method == "POST":
            rule = {"id": new_id()} | json.loads(call.body)["metering_label_rule"]
            labels[rule["metering_label_id"]][name].append(rule)
            return answer(201, {"metering_label_rule": rule})
        for label in labels.values():
            label[name] = [rule for rule in label[name] if rule["id"] != words[0]]
        return Answer(204)

    def shown(self, kind: str, row: Row) -> Row:
        apart = ("metering_label_rules", "port_associations")
        apart += ("description",) if kind == "address-scopes" else ()
        apart += () if self.ndp else ("enable_ndp_proxy",)
        row = {name: value for name, value in row.items() if name not in apart}
        if kind == "security-groups":
            rules = self.rows["security-group-rules"].values()
            return row | {
                "security_group_rules": [r for r in rules if r["security_group_id"] == row["id"]]
            }
        if kind == "ports":
            mine = [t for t in self.rows["trunks"].values() if t["port_id"] == row["id"]]
            details = {"trunk_id": mine[0]["id"], "sub_ports": mine[0]["sub_ports"]} if mine else {}
            return row | ({"trunk_details": details} if mine else {})
        if kind == "networks":
            subnets = [s["id"] for s in self.subnets(row["id"])]
            return row | {"subnets": subnets}
        return row

    def subnets(self, network_id: str) -> list[Row]:
        return [s for s in self.rows["subnets"].values() if s["network_id"] == network_id]

    def _found(self, kind: str, call: Call) -> list[Row]:
        asked: dict[str, set[str]] = {}
        for name, value in parse_qsl(call.query.decode()):
            if name not in ("fields", "limit"):
                asked.setdefault(name, set()).add(value)

        if kind == "ndp-proxies" and asked.keys() - {"name"}:
            raise Refusal(400, "HTTPBadRequest")  # invalid attribute for filtering

        def fits(row: Row) -> bool:
            for name, values in asked.items():
                have = row.get(name)
                if not values & set(have if isinstance(have, list) else [str(have)]):
                    return False
            return True

        return [row for _, row in sorted(self.rows[kind].items()) if fits(row)]

    def _part(self, thing: Row, words: list[str], method: str, body: Row) -> Answer:
        """Rules of a QoS policy, one of a type and direction; port forwardings, helpers."""
        name = "rules" if words[0].endswith("_rules") else words[0]
        if method == "DELETE":
            id = "fixed_port_id" if name == "port_associations" else "id"
            thing[name] = [part for part in thing[name] if part[id] != words[1]]
            if name == "port_forwardings" and not thing[name]:
                thing["router_id"] = None
            return Answer(204)
        part = {"id": new_id()} | body[words[0][:-1]]
        if name == "rules":
            part |= {"qos_policy_id": thing["id"], "type": words[0].removesuffix("_rules")}
            same = ["type", "direction"]
        elif name == "port_forwardings":
            if thing["port_id"] or any(
                f["port_id"] == part["internal_port_id"] for f in self.rows["floatingips"].values()
            ):
                raise Refusal(409, "PortHasBindingFloatingIP")
            self._has("ports", part["internal_port_id"])
            way = part["internal_port_id"], part["internal_ip_address"]
            router = self._router_of(thing, *way)
            if thing["router_id"] not in (None, router):
                raise Refusal(400, "BadRequest")
            thing["router_id"] = router
            same = ["protocol", "external_port"]
        elif name == "port_associations":
            self._has("ports", part["fixed_port_id"])
            same = ["fixed_port_id"]
        else:
            same = ["protocol", "port", "helper"]
        if any([o.get(n) for n in same] == [part.get(n) for n in same] for o in thing[name]):
            raise Refusal(409, "Conflict")
        thing[name].append(part)
        return answer(201, {words[0][:-1]: part})

    def create(self, kind: str, body: Row) -> Row:
        row = {"id": new_id(), "description": "", "project_id": ""} | DEFAULTS[kind] | body
        row = json.loads(json.dumps(row))
        if kind in ("networks", "ports", "security-groups") and row["name"] != "default":
            self.default_group(row["project_id"])
        getattr(self, f"_new_{kind.replace('-', '_')}", lambda row: None)(row)
        self.rows[kind][row["id"]] = row
        if self.ovn and kind == "networks":
            own = {"network_id": row["id"], "device_owner": "network:distributed", "fixed_ips": []}
            self.create("ports", own)
        if row.get("ipv6_address_mode") == "slaac":
            for port in self.rows["ports"].values():
                if ip := self._automatic(port).get(row["id"]):
                    port["fixed_ips"].append({"subnet_id": row["id"], "ip_address": ip})
        elif self.ovn and kind == "subnets":
            try:
                self._serve(row)
            except Refusal:
                del self.rows[kind][row["id"]]
                raise
        if kind == "security-groups":
            for version in ("IPv4", "IPv6"):
                self.rule(row, direction="egress", ethertype=version)
        return row

    def _serve(self, subnet: Row) -> None:
        """Where DHCP is on, OVN's port has an address."""
        ports = [p for p in self.rows["ports"].values() if p["network_id"] == subnet["network_id"]]
        port = next((p for p in ports if p["device_owner"] == "network:distributed"), None)
        if port is None:  # a stranger deleted it
            return
        others = [ip for ip in port["fixed_ips"] if ip["subnet_id"] != subnet["id"]]
        if subnet["enable_dhcp"] and others == port["fixed_ips"]:
            used = {ip["ip_address"] for one in ports for ip in one["fixed_ips"]}
            if (address := next(self._unused(subnet, used), None)) is not None:
                others.append({"subnet_id": subnet["id"], "ip_address": address})
                port["fixed_ips"] = others
                return
            raise Refusal(409, "IpAddressGenerationFailure")
        if not subnet["enable_dhcp"]:
            port["fixed_ips"] = others

    def rule(self, group: Row, **body: Any) -> Row:
        body |= {"security_group_id": group["id"], "project_id": group["project_id"]}
        return self.create("security-group-rules", body)

    def default_group(self, project_id: str) -> Row:
        for group in self.rows["security-groups"].values():
            if (group["name"], group["project_id"]) == ("default", project_id):
                return group
        group = self.create("security-groups", {"name": "default", "project_id": project_id})
        for version in ("IPv4", "IPv6"):
            self.rule(group, direction="ingress", ethertype=version, remote_group_id=group["id"])
        return group

    def _new_networks(self, row: Row) -> None:
        segment = row.setdefault("provider:segmentation_id", None)
        row.setdefault("provider:network_type", "vlan")
        row.setdefault("provider:physical_network", "bridge")
        others = self.rows["networks"].values()
        if segment and any(n["provider:segmentation_id"] == segment for n in others):
            raise Refusal(409, "VlanIdInUse")

    def _new_subnets(self, row: Row) -> None:
        self._has("networks", row["network_id"])
        if pool := row["subnetpool_id"]:
            self._has("subnetpools", pool)
            prefixes = map(ip_network, self.rows["subnetpools"][pool]["prefixes"])
            if not any(ip_network(row["cidr"]).subnet_of(prefix) for prefix in prefixes):
                raise Refusal(400, "SubnetAllocationError")
        if not row.get("allocation_pools"):
            whole = ip_network(row["cidr"])
            last = whole[-1 if whole.version == 6 else -2]
            row["allocation_pools"] = [{"start": str(whole[2]), "end": str(last)}]
        if (
            self.agent
            and row["enable_dhcp"]
            and self.rows["networks"][row["network_id"]]["admin_state_up"]
        ):
            self.rows["subnets"][row["id"]] = row
            fixed = [{"subnet_id": row["id"], "ip_address": row["allocation_pools"][0]["start"]}]
            body = {"network_id": row["network_id"], "fixed_ips": fixed}
            self.create("ports", body | {"device_owner": "network:dhcp", "device_id": "agent"})

    def _new_ports(self, row: Row) -> None:
        if self.dns:
            row.setdefault("dns_name", "")
        self._has("networks", row["network_id"])
        row.setdefault("mac_address", "fa:" + row["id"][:8])
        groups = [self.default_group(row["project_id"])["id"]]
        if row["device_owner"].startswith("network:"):
            groups = []
        for group in row.setdefault("security_groups", groups):
            self._has("security-groups", group)
        self._owned(row)
        row["fixed_ips"] = self._addressed(row, row.get("fixed_ips"))

    def _owned(self, port: Row) -> None:
        """A router's port has a router, or OVN's driver fails."""
        joins = port["device_owner"] == "network:router_interface"
        if self.ovn and joins and port["device_id"] not in self.rows["routers"]:
            raise Refusal(500, "HTTPInternalServerError")

    def _addressed(self, port: Row, fixed: list[Row] | None) -> list[Row]:
        auto = self._automatic(port)
        used = {
            ip["ip_address"]
            for other in self.rows["ports"].values()
            if other["id"] != port["id"] and other["network_id"] == port["network_id"]
            for ip in other["fixed_ips"]
        }
        if fixed is None:
            subnets = [s for s in self.subnets(port["network_id"]) if s["id"] not in auto]
            free = [s for s in subnets if next(self._unused(s, used), None)] + subnets
            firsts = {s["ip_version"]: s["id"] for s in free[::-1]}
            fixed = [{"subnet_id": firsts[version]} for version in sorted(firsts)]
        for ip in fixed:
            if ip.get("ip_address", own := auto.get(ip["subnet_id"])) != own and own:
                raise Refusal(400, "AllocationOnAutoAddressSubnet")
        found = []
        for ip in (ip for ip in fixed if ip["subnet_id"] not in auto):
            self._has("subnets", ip["subnet_id"])
            subnet = self.rows["subnets"][ip["subnet_id"]]
            address = ip.get("ip_address") or next(self._unused(subnet, used), None)
            if address is None:
                raise NoAddress(409, "IpAddressGenerationFailure")
            if address in used:
                raise Refusal(409, "IpAddressAlreadyAllocated")
            used.add(address)
            found.append({"subnet_id": subnet["id"], "ip_address": address})
        return found + [{"subnet_id": id, "ip_address": it} for id, it in auto.items()]

    @staticmethod
    def _unused(subnet: Row, used: set[str]) -> Iterator[str]:
        taken = used | {subnet["gateway_ip"]}
        for pool in subnet["allocation_pools"]:
            start, end = ip_address(pool["start"]), ip_address(pool["end"])
            all = (str(type(start)(number)) for number in range(int(start), int(end) + 1))
            yield from (address for address in all if address not in taken)

    def _automatic(self, port: Row) -> dict[str, str]:
        """A port's addresses of SLAAC, by subnet: of all such, and of none if it is a router's."""
        if port["device_owner"] == "network:router_interface":
            return {}
        number = int(port["mac_address"][3:], 16)
        return {
            s["id"]: str(ip_network(s["cidr"])[number])
            for s in self.subnets(port["network_id"])
            if s["ipv6_address_mode"] == "slaac"
        }

    def _new_security_group_rules(self, row: Row) -> None:
        self._has("security-groups", row["security_group_id"])
        if row["remote_address_group_id"]:
            self._has("address-groups", row["remote_address_group_id"])
        same = [row[name] for name in SAYS] + [row["security_group_id"]]
        for other in self.rows["security-group-rules"].values():
            if [other[name] for name in SAYS] + [other["security_group_id"]] == same:
                raise Refusal(409, "SecurityGroupRuleExists")

    def _has(self, kind: str, id: str) -> None:
        if id not in self.rows[kind]:
            raise Refusal(404, "NotFound")

    def _change(self, kind: str, row: Row, body: Row) -> None:
        if "name" in body and row["name"] == "default" and kind == "security-groups":
            raise Refusal(409, "SecurityGroupCannotUpdateDefault")
        if "routes" in body:
            self._check_routes(row, body["routes"])
        if "external_gateway_info" in body:
            self._gateway(row, body["external_gateway_info"])
        if kind == "routers":
            info = body.get("external_gateway_info", row["external_gateway_info"])
            valid = bool(info) and any(":" in ip["ip_address"] for ip in info["external_fixed_ips"])
            valid = valid and bool(self._scope(info["network_id"]))
            if body.setdefault("enable_ndp_proxy", valid) and not valid:
                raise Refusal(400, "RouterGatewayNotValid")
        if kind == "floatingips" and "port_id" in body:
            row["port_id"] = None
            self._associate(row, body)
        if "extra_dhcp_opts" in body:  # what is not named stays
            told = {o["opt_name"]: o for o in (*row["extra_dhcp_opts"], *body["extra_dhcp_opts"])}
            body["extra_dhcp_opts"] = [o for o in told.values() if o["opt_value"] is not None]
        if kind == "ports":
            self._owned(row | body)
            if "mac_address" in body:  # addresses follow it
                auto = self._automatic(row)
                left = [ip for ip in row["fixed_ips"] if ip["subnet_id"] not in auto]
                new = self._automatic(row | body).items()
                row["fixed_ips"] = left + [{"subnet_id": i, "ip_address": a} for i, a in new]
        if "fixed_ips" in body:
            body["fixed_ips"] = self._addressed(row, body["fixed_ips"])
        if self.ovn and kind == "subnets" and not row["ipv6_address_mode"]:
            self._serve(row | body)
        row |= body
        if kind == "ports":
            row["revision_number"] += 1

    def _new_routers(self, row: Row) -> None:
        self._gateway(row, row["external_gateway_info"])

    def _gateway(self, router: Row, info: Row | None) -> None:
        """The gateway's port is Neutron's own; no floating IP may lose its way."""
        ports, floating = self.rows["ports"], self.rows["floatingips"].values()
        old = [p for p in self._held(router) if p["device_owner"] == "network:router_gateway"]
        network = info and info["network_id"]
        used = any(f["router_id"] == router["id"] for f in floating)
        proxies = self.rows["ndp-proxies"].values()
        if info is None and any(p["router_id"] == router["id"] for p in proxies):
            raise Refusal(409, "RouterGatewayInUseByNDPProxy")
        if used and old and old[0]["network_id"] != network:
            raise Refusal(409, "RouterExternalGatewayInUseByFloatingIp")
        for port in old:
            del ports[port["id"]]
        had = router["external_gateway_info"] or {}
        if info and "qos_policy_id" in had:  # what is not named stays
            info.setdefault("qos_policy_id", had["qos_policy_id"])
        if info:
            self._has("networks", network)
            if not self.rows["networks"][network]["router:external"]:
                raise Refusal(400, "BadRequest")
            body = {"network_id": network, "fixed_ips": info.get("external_fixed_ips")}
            body |= {"device_id": router["id"], "device_owner": "network:router_gateway"}
            info["external_fixed_ips"] = self.create("ports", body)["fixed_ips"]

    def _new_floatingips(self, row: Row) -> None:
        network = row["floating_network_id"]
        self._has("networks", network)
        if not self.rows["networks"][network]["router:external"]:
            raise Refusal(400, "BadRequest")
        self._associate(row, dict(row))
        address = row.get("floating_ip_address")
        four = [subnet for subnet in self.subnets(network) if subnet["ip_version"] == 4]
        if not four:
            raise Refusal(400, "BadRequest")
        ip = {"subnet_id": four[0]["id"]}
        body = {"network_id": network, "device_owner": "network:floatingip"}
        body |= {"fixed_ips": [ip | {"ip_address": address} if address else ip]}
        made = self.create("ports", body | {"device_id": row["id"]})
        row["floating_ip_address"] = made["fixed_ips"][0]["ip_address"]

    def _associate(self, row: Row, body: Row) -> None:
        ports, id = self.rows["ports"], body.get("port_id")
        row["router_id"] = row["fixed_ip_address"] = None
        if id is None:
            return
        self._has("ports", id)
        fixed = body.get("fixed_ip_address") or ports[id]["fixed_ips"][0]["ip_address"]
        if any(f["port_id"] == id and f is not row for f in self.rows["floatingips"].values()):
            raise Refusal(409, "FloatingIPPortAlreadyAssociated")
        if row["port_forwardings"]:
            raise Refusal(409, "FipInUseByPortForwarding")
        row |= {"router_id": self._router_of(row, id, fixed), "fixed_ip_address": fixed}

    def _router_of(self, floating: Row, port_id: str, address: str) -> str:
        """The router that leads a floating IP to a port's address: it has the subnet of that."""
        ports = self.rows["ports"]
        joined = {
            p["device_id"] for p in ports.values()
            if p["device_owner"] == "network:router_interface"
            and p["network_id"] == ports[port_id]["network_id"] and self._near(p, address)
        }  # fmt: skip
        for port in ports.values():
            gateway = port["device_owner"] == "network:router_gateway"
            fits = port["network_id"] == floating["floating_network_id"]
            if gateway and fits and port["device_id"] in joined:
                return str(port["device_id"])
        raise Refusal(404, "ExternalGatewayForFloatingIPNotFound")

    def _scope(self, network_id: str) -> str | None:
        pools = (self.rows["subnetpools"].get(s["subnetpool_id"]) for s in self.subnets(network_id))
        return next((pool["address_scope_id"] for pool in pools if pool), None)

    def _new_ndp_proxies(self, row: Row) -> None:
        """A port's address in the scope of its router's external network."""
        self._has("ports", row["port_id"])
        router, port = self.rows["routers"][row["router_id"]], self.rows["ports"][row["port_id"]]
        if not router["enable_ndp_proxy"]:
            raise Refusal(409, "RouterNDPProxyNotEnable")
        (own,) = (ip for ip in port["fixed_ips"] if ip["ip_address"] == row["ip_address"])
        joined = [ip["subnet_id"] for held in self._held(router) for ip in held["fixed_ips"]]
        if own["subnet_id"] not in joined:
            raise Refusal(400, "InvalidAddress")
        outside = self._scope(router["external_gateway_info"]["network_id"])
        if outside is None or self._scope(port["network_id"]) != outside:
            raise Refusal(409, "AddressScopeConflict")

    def _held(self, router: Row) -> list[Row]:
        return [p for p in self.rows["ports"].values() if p["device_id"] == router["id"]]

    def _near(self, port: Row, address: str) -> bool:
        subnets = [self.rows["subnets"][ip["subnet_id"]] for ip in port["fixed_ips"]]
        return any(ip_address(address) in ip_network(subnet["cidr"]) for subnet in subnets)

    def _interface(self, router: Row, action: str, port_id: str) -> None:
        self._has("ports", port_id)
        port = self.rows["ports"][port_id]
        if action == "add_router_interface":
            mine = {ip["subnet_id"] for p in self._held(router) for ip in p["fixed_ips"]}
            if port["device_id"] or mine & {ip["subnet_id"] for ip in port["fixed_ips"]}:
                raise Refusal(409, "PortInUse")
            port |= {"device_id": router["id"], "device_owner": "network:router_interface"}
            return
        if port["device_id"] != router["id"]:
            raise Refusal(404, "RouterInterfaceNotFound")
        if any(
            f["router_id"] == router["id"]
            and ports[f["port_id"]]["network_id"] == port["network_id"]
            for ports in [self.rows["ports"]]
            for f in self.rows["floatingips"].values()
            if f["port_id"]
        ):
            raise Refusal(409, "RouterInterfaceInUseByFloatingIP")
        if any(self._near(port, route["nexthop"]) for route in router["routes"]):
            raise Refusal(409, "RouterInterfaceInUseByRoute")
        proxies = [p for p in self.rows["ndp-proxies"].values() if p["router_id"] == router["id"]]
        if any(self._near(port, proxy["ip_address"]) for proxy in proxies):
            raise Refusal(409, "RouterInterfaceInUseByNDPProxy")
        del self.rows["ports"][port_id]

    def _check_routes(self, router: Row, routes: list[Row]) -> None:
        held = self._held(router)
        own = {ip["ip_address"] for port in held for ip in port["fixed_ips"]}
        for route in routes:
            if route["nexthop"] in own or not any(self._near(p, route["nexthop"]) for p in held):
                raise Refusal(400, "InvalidRoutes")

    def _new_trunks(self, row: Row) -> None:
        """A port that a server uses gets no trunk any more."""
        self._has("ports", row["port_id"])
        self._free(row["port_id"])
        if self.rows["ports"][row["port_id"]]["device_owner"] == "compute:nova":
            raise Refusal(409, "ParentPortInUse")
        some, row["sub_ports"] = row["sub_ports"], []
        self._subports(row, "add_subports", some)

    def _free(self, port_id: str) -> None:
        for trunk in self.rows["trunks"].values():
            if port_id in (trunk["port_id"], *(one["port_id"] for one in trunk["sub_ports"])):
                raise Refusal(409, "TrunkPortInUse")

    def _subports(self, trunk: Row, action: str, some: list[Row]) -> None:
        ids = [one["port_id"] for one in some]
        if action == "remove_subports":
            if set(ids) - {one["port_id"] for one in trunk["sub_ports"]}:
                raise Refusal(404, "SubPortNotFound")
            trunk["sub_ports"] = [o for o in trunk["sub_ports"] if o["port_id"] not in ids]
            return
        numbers = {one["segmentation_id"] for one in trunk["sub_ports"]}
        for one in some:
            self._has("ports", one["port_id"])
            self._free(one["port_id"])
            if self.rows["ports"][one["port_id"]]["device_id"]:
                raise Refusal(409, "PortInUse")
            if one["segmentation_id"] in numbers:
                raise Refusal(409, "DuplicateSubPort")
        trunk["sub_ports"] = [*trunk["sub_ports"], *some]

    def _addresses(self, row: Row, action: str, which: list[str]) -> None:
        have = set(row["addresses"])
        if action == "add_addresses":
            if have & set(which):
                raise Refusal(400, "AddressesAlreadyExist")
            have |= set(which)
        else:
            if set(which) - have:
                raise Refusal(404, "AddressesNotFound")
            have -= set(which)
        row["addresses"] = sorted(have)

    def delete(self, kind: str, id: str) -> None:
        ports, rules = self.rows["ports"], self.rows["security-group-rules"]
        if kind == "routers":
            if any("interface" in p["device_owner"] for p in self._held(self.rows[kind][id])):
                raise Refusal(409, "RouterInUse")
            self._gateway(self.rows[kind][id], None)
        if kind == "ports":
            for row in self.rows["floatingips"].values():
                if row["port_id"] == id:
                    row |= {"port_id": None, "router_id": None, "fixed_ip_address": None}
                if forwards := row["port_forwardings"]:
                    left = [one for one in forwards if one["internal_port_id"] != id]
                    row |= {
                        "port_forwardings": left,
                        "router_id": left and row["router_id"] or None,
                    }
        if kind == "floatingips" and self.rows[kind][id]["port_forwardings"]:
            raise Refusal(409, "FipInUseByPortForwarding")
        if kind == "floatingips":
            for port in [p["id"] for p in ports.values() if p["device_id"] == id]:
                del ports[port]
        local = self.rows["local_ips"]
        if kind == "local_ips" and local[id]["port_associations"]:
            raise Refusal(409, "LocalIPInUse")
        if kind == "ports":
            if any(row["local_port_id"] == id for row in local.values()):
                raise Refusal(409, "ServicePortInUse")
            self._free(id)
            for row in local.values():
                had = row["port_associations"]
                row["port_associations"] = [one for one in had if one["fixed_port_id"] != id]
            proxies = self.rows["ndp-proxies"]
            for proxy in [p["id"] for p in proxies.values() if p["port_id"] == id]:
                del proxies[proxy]
        named = {"subnetpools": "subnets", "address-scopes": "subnetpools"}.get(kind, "quotas")
        if any(id in one.values() for one in self.rows.get(named, {}).values()):
            raise Refusal(409, "InUse")
        if kind == "trunks":
            parent = ports[self.rows[kind][id]["port_id"]]
            if parent["device_owner"] == "compute:nova":
                raise Refusal(409, "TrunkInUse")
        owners, users = ("network:router_", "network:floatingip"), ("routers", "floatingips")
        used = kind == "ports" and any(ports[id]["device_id"] in self.rows[user] for user in users)
        if used and ports[id]["device_owner"].startswith(owners):
            raise Refusal(409, "L3PortInUse")
        if kind == "networks":
            mine = [p for p in ports.values() if p["network_id"] == id]
            if any(p["device_owner"] not in GO_ALONG for p in mine):
                raise Refusal(409, "NetworkInUse")
            for port in mine:
                del ports[port["id"]]
            for subnet in self.subnets(id):
                del self.rows["subnets"][subnet["id"]]
            shares = self.rows["rbac-policies"]
            for share in [s["id"] for s in shares.values() if s["object_id"] == id]:
                del shares[share]
        if kind == "subnets":
            mine = [p for p in ports.values() if any(i["subnet_id"] == id for i in p["fixed_ips"])]
            if any(
                p["device_owner"] not in GO_ALONG and id not in self._automatic(p) for p in mine
            ):
                raise Refusal(409, "SubnetInUse")
            for port in ports.values():
                port["fixed_ips"] = [i for i in port["fixed_ips"] if i["subnet_id"] != id]
            for port in mine:
                if not port["fixed_ips"]:
                    del ports[port["id"]]
        if kind == "security-groups":
            if any(id in p["security_groups"] for p in ports.values()):
                raise Refusal(409, "SecurityGroupInUse")
            if any(
                r["remote_group_id"] == id and r["security_group_id"] != id for r in rules.values()
            ):
                raise Refusal(409, "SecurityGroupInUse")
            for rule in [r["id"] for r in rules.values() if r["security_group_id"] == id]:
                del rules[rule]
        if kind == "address-groups" and any(
            r["remote_address_group_id"] == id for r in rules.values()
        ):
            raise Refusal(409, "AddressGroupInUse")
        if kind == "qos/policies":
            users = [*ports.values(), *self.rows["networks"].values()]
            users += self.rows["floatingips"].values()
            gateways = (r["external_gateway_info"] for r in self.rows["routers"].values())
            users += [info for info in gateways if info]
            if any(row.get("qos_policy_id") == id for row in users):
                raise Refusal(409, "QosPolicyInUse")
        del self.rows[kind][id]


def _keys(kind: str) -> tuple[str, str]:
    if kind == "qos/policies":
        return "policy", "policies"
    plural = kind.rpartition("/")[2].replace("-", "_")
    return (plural[:-3] + "y" if plural[-3:] == "ies" else plural[:-1]), plural


class Crash(Exception):
    """The appliance ends here."""


class Region:
    """`Pods` over Neutrons in memory, and Novas that know which servers there are.

    `fail` says of each call but reads, by its number, what happens: "crash before", "crash after",
    "unreachable", "broken" (done, but not answered).
    """

    def __init__(self, count: int) -> None:
        self.center: Pod = pod(0, pod_id="Central", pod_name="Central", az_name="")
        self.all = tuple(pod(number) for number in range(1, count + 1))
        self.neutrons = {one.pod_id: Neutron() for one in (self.center, *self.all)}
        self.servers: set[str] = set()
        self.status = "ACTIVE"
        self.down: set[str] = set()
        self.fail: Callable[[Pod, Call], str] = lambda pod, call: ""
        self.writes: list[str] = []

    @property
    def top(self) -> Neutron:
        return self.neutrons["Central"]

    def get(self, pod_id: str) -> Pod | None:
        return next((one for one in self.all if one.pod_id == pod_id), None)

    def serving(self, service: str) -> tuple[Pod, ...]:
        return self.all

    def is_down(self, pod: Pod, service: str) -> bool:
        return pod.pod_id in self.down

    async def send(self, pod: Pod, target: Any, call: Call, deadline: float, **more: Any) -> Answer:
        if pod.pod_id in self.down:
            raise PodUnavailable(pod.pod_name, "down")
        if target.service == "compute":
            id = call.path.decode().split("/")[-1]
            host = {"OS-EXT-SRV-ATTR:hostname": f"host-of-{id}", "status": self.status}
            return answer(200, {"server": host}) if id in self.servers else answer(404, {})
        how = "" if call.method == "GET" else self.fail(pod, call)
        if how == "crash before":
            raise Crash
        if how == "unreachable":
            raise PodUnavailable(pod.pod_name, "unreachable")
        if call.method != "GET":
            self.writes.append(f"{pod.pod_name} {call.method} {call.path.decode()}")
        said = self.neutrons[pod.pod_id](call)
        if how == "crash after":
            raise Crash
        if how == "broken":
            raise PodTimeout(pod.pod_name, "broken")
        return said


class Store:
    """The store's tables in memory, without threads."""

    def __init__(self) -> None:
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        metadata.create_all(engine)
        self.connection = engine.connect()

    async def read(self, query: Callable[[Any], Any]) -> Any:
        return query(self.connection)

    async def write(self, change: Callable[[Any], Any]) -> Any:
        found = change(self.connection)
        self.connection.commit()
        return found
