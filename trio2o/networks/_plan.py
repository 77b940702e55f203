"""From what a pod should have and what it has: the steps between. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from trio2o.networks import _things as things
from trio2o.networks._desired import rule_key, share_key
from trio2o.networks._things import Create, Delete, Found, Key, Kind, Ref, Row, Step, Update, Wanted

_RANK = {kind.path: rank for rank, kind in enumerate(things.KINDS)}


def plan(wanted: Mapping[Key, Wanted], found: Mapping[Key, Found]) -> list[Step]:
    """Creations first, each kind behind those that it names; then changes; deletions last.

    Nothing for a pod that has what it should.
    """
    creates: list[Step] = []
    updates: list[Step] = []
    deletes: list[Step] = []
    for key in sorted(wanted, key=lambda key: _RANK[key.kind]):
        one = wanted[key]
        have = found.get(key)
        if have is None:
            creates.append(Create(one))
            if first := one.made_with:
                updates.append(Update(one, {name: one.body[name] for name in first}))
            continue
        if have.row is not None and (changes := _changes(one, have.row)):
            updates.append(Update(one, changes, have.row))
    for key in sorted(found, key=lambda key: -_RANK[key.kind]):
        have = found[key]
        if key.kind == things.RULE.path and _group_of(key) not in wanted:
            continue  # it goes with its group
        gone = have.spare if key in wanted else (have.bottom_id, *have.spare)
        deletes += [Delete(key, id) for id in gone]
    return [*creates, *updates, *deletes]


def _group_of(rule: Key) -> Key:
    return Ref(things.GROUP.path, rule.id.partition("/")[0])


def _changes(wanted: Wanted, row: Row) -> Row:
    """The members that may be changed and are not as they should be."""
    names = [name for name in wanted.kind.changes if name in wanted.body]
    if wanted.kind is things.GROUP and row.get("name") == "default":
        names.remove("name")  # Neutron's own, which nobody may rename
    if "subnetpool_id" in names and row["subnetpool_id"]:
        names.remove("subnetpool_id")  # that of the pool: there is no change
    for name in {*things.NEW_WORDS} & set(names) - set(row):
        names.remove(name)
    if "fixed_ips" in names:
        row = row | {"fixed_ips": _asked_for(wanted.body["fixed_ips"], row["fixed_ips"])}
    return {
        name: wanted.body[name]
        for name in names
        if _normal(name, wanted.body[name], row) != _normal(name, row.get(name), row)
    }


def _asked_for(wanted: list[Row], found: list[Row]) -> list[Row]:
    """Fixed IPs without the addresses that follow from a MAC, which are not asked for."""
    free = {ip["subnet_id"] for ip in wanted if "ip_address" not in ip}
    return [{"subnet_id": ip["subnet_id"]} if ip["subnet_id"] in free else ip for ip in found]


def _normal(name: str, value: Any, row: Row) -> Any:
    """A value in which order and what Neutron adds by itself make no difference."""
    if name == "allocation_pools":
        return _ranges(value or ())
    if name == "fixed_ips":
        return sorted((str(ip["subnet_id"]), ip.get("ip_address") or "") for ip in value or ())
    if name == "allowed_address_pairs":
        own = row.get("mac_address")
        return sorted((p["ip_address"], p.get("mac_address") or own) for p in value or ())
    if name == "extra_dhcp_opts":
        return sorted((o["opt_name"], o["opt_value"], o.get("ip_version", 4)) for o in value or ())
    if name == "external_gateway_info":
        if not value:
            return None
        ips = [(str(i["subnet_id"]), i["ip_address"]) for i in value["external_fixed_ips"]]
        network, policy = str(value["network_id"]), str(value.get("qos_policy_id"))
        return network, value.get("enable_snat", True), sorted(ips), policy
    if name in ("host_routes", "routes"):
        return sorted((r["destination"], r["nexthop"]) for r in value or ())
    if name in _PARTS:
        return sorted(says(part) for part in value or ())
    if name in ("security_groups", "addresses", "prefixes"):
        return sorted(map(str, value or ()))
    return value


_PARTS = {kind.parts.name for kind in things.KINDS if kind.parts} - {"addresses", "prefixes"}

_NAMES = (
    *("id", "qos_policy_id", "metering_label_id", "local_ip_id"),
    *("tags", "description", "host", "local_ip_address"),
)
"""What Neutron calls a part of a thing by, and what it does not go by."""


def body_of(part: Row) -> Row:
    """What a part of a thing says: a rule of a QoS policy, a port forwarding."""
    kept = {k: v for k, v in part.items() if k not in _NAMES and v is not None}
    # a range of one port is told twice
    return {k: v for k, v in kept.items() if not (k[-6:] == "_range" and k[:-6] in kept)}


def says(part: Row) -> list[tuple[str, str]]:
    return sorted((k, str(v)) for k, v in body_of(part).items())


def _ranges(value: Iterable[Mapping[str, str]]) -> list[tuple[int, int]]:
    """Pools that touch are one: Neutron keeps what was asked for apart, or does not."""
    found: list[list[int]] = []
    ends = sorted((int(ip_address(p["start"])), int(ip_address(p["end"]))) for p in value)
    for start, end in ends:
        if found and found[-1][1] + 1 >= start:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return [(start, end) for start, end in found]


def recognise(
    rows: Mapping[str, list[Row]],
    defaults: Mapping[str, str],
    known: Mapping[str, Key] = MappingProxyType({}),
) -> tuple[dict[Key, Found], dict[str, Key]]:
    """What of a pod's rows (by kind) is ours, by key; and the keys by the pod's ids.

    `defaults` are the `default` groups that are wanted here, by project: a pod's own stands for
    it, for such a group can be neither made nor renamed. What there is twice is spare but for the
    first. `known` are keys of what is named but not among the rows.
    """
    keys: dict[str, Key] = dict(known)
    own: dict[Key, list[Row]] = {}

    def add(kind: Kind, id: str, row: Row) -> None:
        key = Ref(kind.path, id)
        keys[row["id"]] = key
        own.setdefault(key, []).append(row)

    for kind in things.KINDS:
        if kind in (things.RULE, things.RBAC, things.INTERFACE):
            continue
        for row in sorted(rows.get(kind.path, ()), key=lambda row: str(row["id"])):
            id = things.marked(row)
            if kind is things.GROUP and row["name"] == "default":
                id = defaults.get(row["project_id"], "") or id
            if id:
                add(kind, id, row)
    for group in rows.get(things.GROUP.path, ()):
        if (key := keys.get(group["id"])) is not None:
            for rule in group["security_group_rules"]:
                remote = rule.get("remote_address_group_id")
                told = keys[remote].id if remote in keys else remote or ""
                if rule.get("remote_group_id"):
                    told = f"in the pod: {rule['remote_group_id']}"
                add(things.RULE, rule_key(key.id, rule, told), rule)
    for share in rows.get(things.RBAC.path, ()):
        if (key := keys.get(share["object_id"])) is not None:
            if share["action"] == "access_as_external" and share["target_tenant"] == "*":
                continue  # it comes and goes with the network's own attribute
            add(things.RBAC, share_key(key.id, share["action"], share["target_tenant"]), share)
    for port in rows.get(things.PORT.path, ()):
        # an interface is told by its port: one of ours, held by a router of ours
        held = keys.get(port["device_id"], Ref("", "")).kind == "routers"
        if port["id"] in keys and held and port["name"] != things.JOINING:
            joined = {"id": f"{port['device_id']}/{port['id']}"}
            own.setdefault(Ref(things.INTERFACE.path, keys[port["id"]].id), []).append(joined)
    found = {
        key: Found(some[0]["id"], translated(some[0], keys), tuple(row["id"] for row in some[1:]))
        for key, some in own.items()
    }
    return found, keys


_NAMED = [
    "security_groups",
    "port_id",
    "qos_policy_id",
    "fixed_ips",
    "external_gateway_info",
    "port_forwardings",
    "sub_ports",
    "port_associations",
    "address_scope_id",
]


def translated(row: Row, keys: Mapping[str, Key]) -> Row:
    """The row with keys in place of the pod's ids, where they are compared."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: told(one) for name, one in value.items()}
        if isinstance(value, list):
            return [told(one) for one in value]
        return keys.get(value, value) if isinstance(value, str) else value

    return row | {name: told(row[name]) for name in _NAMED if name in row}
