"""Nova's old views of networks, where these span pods: what our own network face answers the
caller, in the shapes and with the statuses of Nova 34 over one Neutron."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from attrs import frozen
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, Conflict, Fault, Forbidden, NotFound
from trio2o.domain.tasks import together
from trio2o.domain.values import is_uuid
from trio2o.faces.compute._kinds import GROUP_SHOWN
from trio2o.faces.resources import SERVER
from trio2o.faces.stretched import ask_network, networks_of
from trio2o.message import Answer, Call
from trio2o.networks import Refused
from trio2o.networks import things as kinds
from trio2o.verbs import (
    UNAVAILABLE,
    Context,
    Forward,
    ask_any,
    decode,
    incomplete,
    json_answer,
    value_at,
)

Row = dict[str, Any]

MOST = 1000
"""Nova's `max_limit`."""

TAKEN = Answer(202, ((b"Content-Type", b"application/json"),))
_TAKEN_TOO = Answer(202, ((b"Content-Type", b"text/html; charset=UTF-8"),))


@frozen
class View:
    """A row that the top answers: `say` gives its document, an answer of its own, or None (202).

    `rule` is Nova's name of the right to it, which no pod is there to check.
    """

    rule: str
    say: Callable[[Call, Context], Awaitable[Any]]

    async def __call__(self, call: Call, context: Context) -> Answer:
        context.parts.check(self.rule, context.caller)
        told = await self.say(call, context)
        if told is None or isinstance(told, Answer):
            return told or TAKEN
        lost = context.memo.get(UNAVAILABLE)
        return json_answer(200, told, ((UNAVAILABLE, lost),) if lost else ())


_MISSING = {"network": "Network not found", "floatingip": "Floating IP not found for ID {}"}


async def _ask(
    context: Context,
    method: str,
    key: str,
    id: str = "",
    row: Row | None = None,
    novas: Mapping[int, int] | None = None,
) -> Row:
    """One thing of the network face's; {} where that says nothing. Raises `Fault`, with the
    statuses that Nova makes of Neutron's."""
    if id and key.startswith("security") and not is_uuid(id):
        raise BadRequest("Security group id should be uuid")
    path = f"/{key.replace('_', '-')}s{id and '/'}{quote(id, safe='')}"
    try:
        said = await ask_network(context, method, path, None if row is None else {key: row})
    except Fault as fault:
        if fault.status == 404 and id and key in _MISSING:
            raise NotFound(_MISSING[key].format(id)) from None
        if novas and isinstance(fault, Refused):
            fault.status = novas.get(fault.status, fault.status)
        raise
    found: Row = said.get(key, {})
    return found


async def _rows(context: Context, rows: str, **filters: Any) -> list[Row]:
    said = await ask_network(context, "GET", f"/{rows.replace('_', '-')}", **filters)
    found: list[Row] = said[rows]
    return found


def _check(asked: Any, **members: Callable[[Any], bool]) -> Row:
    """An object of a body. Raises `BadRequest` if it, or a member, is not as it must be."""
    known: Row = asked if isinstance(asked, dict) else {}
    for name, fits in members.items():
        if known is not asked or not fits(known.get(name)):
            told = known.get(name)
            raise BadRequest(f"Invalid input for field/attribute {name}. Value: {told}.")
    return known


_PLAIN = "cidr netmask gateway broadcast dns1 dns2 cidr_v6 gateway_v6 netmask_v6"
_ADMINS = """created_at updated_at deleted_at deleted injected bridge vlan vpn_public_address
vpn_public_port vpn_private_address dhcp_start project_id host bridge_interface multi_host priority
rxtx_base mtu dhcp_server enable_dhcp share_address"""


def _network(row: Row, context: Context) -> Row:
    names = f"{_PLAIN} {_ADMINS if context.caller.is_admin else ''}".split()
    return {**dict.fromkeys(names), "id": row["id"], "label": row["name"]}


def _tenant_network(row: Row, context: Context) -> Row:
    return {"id": row["id"], "label": row["name"], "cidr": "None"}


Shape = Callable[[Row, Context], Row]


async def _networks(shape: Shape, call: Call, context: Context) -> Row:
    if id := context.params.get("id"):
        return {"network": shape(await _ask(context, "GET", "network", id), context)}
    found = await _rows(context, "networks", fields=("id", "name"))
    return {"networks": [shape(row, context) for row in found]}


async def _externals(context: Context) -> list[Row]:
    found = await _rows(context, "networks", fields=("id", "name", "router:external"))
    return [row for row in found if row.get("router:external")]


async def _pools(call: Call, context: Context) -> Row:
    names = [row["name"] or row["id"] for row in await _externals(context)]
    return {"floating_ip_pools": [{"name": name} for name in names]}


async def _floating(rows: Sequence[Row], context: Context) -> list[Row]:
    ids = sorted({row["floating_network_id"] for row in rows})
    found = await together(_ask(context, "GET", "network", id) for id in ids)
    pools = {row["id"]: row["name"] or row["id"] for row in found}
    return [
        {
            "id": row["id"],
            "ip": row["floating_ip_address"],
            "fixed_ip": row["fixed_ip_address"],
            "instance_id": value_at(row, ("port_details", "device_id")),
            "pool": pools[row["floating_network_id"]],
        }
        for row in rows
    ]


async def _show_floating(call: Call, context: Context) -> Row:
    if id := context.params.get("id"):
        rows = [await _ask(context, "GET", "floatingip", id)]
        return {"floating_ip": (await _floating(rows, context))[0]}
    rows = await _rows(context, "floatingips", project_id=context.caller.project_id)
    return {"floating_ips": await _floating(rows, context)}


async def _create_floating(call: Call, context: Context) -> Row:
    body = decode(call.body)
    asked = _check({} if body is None else body, pool=lambda p: p is None or isinstance(p, str))
    pool = asked.get("pool") or "nova"
    found = [r for r in await _externals(context) if r["id" if is_uuid(pool) else "name"] == pool]
    if not found:
        lost = context.memo.get(UNAVAILABLE)
        none = NotFound("Floating IP pool not found.")
        raise incomplete(lost.decode().split(", ")) if lost else none
    if len(found) > 1:
        raise BadRequest(f"Multiple floating IP pools matches found for name '{pool}'")
    new = {"floating_network_id": found[0]["id"]}
    try:
        made = await _ask(context, "POST", "floatingip", row=new)
    except Refused as refused:
        if refused.kind in ("IpAddressGenerationFailure", "ExternalIpAddressExhausted"):
            raise NotFound(f"No more floating IPs in pool {pool}.") from None
        if refused.kind == "OverQuota":
            raise Forbidden(f"IP allocation over quota in pool {pool}.") from None
        raise
    return {"floating_ip": (await _floating([made], context))[0]}


async def _delete(key: str, call: Call, context: Context) -> None:
    await _ask(context, "DELETE", key, context.params["id"], novas={409: 400})


async def _at(call: Call, context: Context) -> tuple[Row, list[Row]]:
    """What an action asks for, and the top's floating IPs with that address which the caller may
    see: none for what is no address, which the pod refuses."""
    asked = value_at(decode(call.body), (context.operation.action,))
    asked = asked if isinstance(asked, dict) else {}
    networks, token, names = networks_of(context), context.caller.token, ("id", "port_details")
    if not isinstance(address := asked.get("address"), str) or not address:
        return asked, []  # Neutron would tell all
    found = await networks.neutron.rows(
        networks.center, kinds.FLOATING, fields=names, token=token, floating_ip_address=address
    )
    return asked, found


async def the_server(call: Call, context: Context) -> Answer:
    """What the pod shows the caller of the server that the call is about."""
    shown = replace(context, below=SERVER.path(context.params["id"]).encode())
    return await Forward(SERVER)(Call("GET", b"", headers=call.headers), shown)


async def _associate(call: Call, context: Context) -> Answer:
    """What the top does not know is for the pod: a floating IP or a network of its own."""
    networks, id = networks_of(context), context.params["id"]
    (asked, found), mine = await _at(call, context), await networks.of_server(id)
    if not found or not mine:
        return await Forward(SERVER)(call, context)
    if not (server := await the_server(call, context)).ok:
        return server
    told = (value_at(decode(server.body), ("server", "addresses")) or {}).values()
    has = [ip["addr"] for ips in told for ip in ips if ip["OS-EXT-IPS:type"] == "fixed"]
    address, fixed = asked["address"], asked.get("fixed_address")
    if not has:
        raise BadRequest("No fixed IPs associated to instance")
    if fixed and fixed not in has:
        raise BadRequest("Specified fixed address not assigned to instance")
    fixed = fixed or next((ip for ip in has if "." in ip), None)
    ports = await networks.neutron.by_ids(networks.center, kinds.PORT, [p.port_id for p in mine])
    ends = [p["id"] for p in ports if fixed in [ip["ip_address"] for ip in p["fixed_ips"]]]
    failed = f"Unable to associate floating IP {address} to fixed IP {fixed} for instance {id}."
    if not ends or len(found) > 1:
        raise BadRequest(failed)
    row = {"port_id": ends[0], "fixed_ip_address": fixed}
    try:
        await _ask(context, "PUT", "floatingip", found[0]["id"], row)
    except Fault as fault:
        if fault.status == 403 or fault.status >= 500:
            raise
        raise BadRequest(f"{failed} Error: {fault.message}") from None
    return _TAKEN_TOO


async def _dissociate(call: Call, context: Context) -> Answer:
    id, (asked, found) = context.params["id"], await _at(call, context)
    if not found:
        return await Forward(SERVER)(call, context)
    if [value_at(row, ("port_details", "device_id")) for row in found] != [id]:
        address = asked["address"]
        raise Conflict(f"Floating IP {address} is not associated with instance {id}.")
    await _ask(context, "PUT", "floatingip", found[0]["id"], {"port_id": None})
    return _TAKEN_TOO


def _ports(rule: Row) -> tuple[int | None, int | None]:
    """A rule's ports as Nova tells them."""
    least, most = rule["port_range_min"], rule["port_range_max"]
    if rule["protocol"] and least is None and most is None:
        return (1, 65535) if rule["protocol"].upper() in ("TCP", "UDP") else (-1, -1)
    return least, most


def _rule(rule: Row, groups: Mapping[str, Row]) -> Row:
    least, most = _ports(rule)
    remote = groups.get(rule["remote_group_id"] or "")
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": least,
        "to_port": most,
        "group": {"name": remote["name"], "tenant_id": remote["project_id"]} if remote else {},
        "ip_range": {} if remote else {"cidr": rule["remote_ip_prefix"] or "0.0.0.0/0"},
    }


async def groups_shown(groups: Collection[Row], context: Context) -> list[Row]:
    """Groups of Neutron's as Nova shows them: it knows ingress only, and leaves a rule out whose
    remote group the caller cannot see."""
    rules = [rule for group in groups for rule in group["security_group_rules"]]
    known = {group["id"]: group for group in groups}

    async def look(id: str) -> None:
        try:
            known[id] = await _ask(context, "GET", "security_group", id)
        except Fault as fault:
            if fault.status != 404:
                raise

    await together(look(id) for id in {rule["remote_group_id"] for rule in rules} - {None, *known})
    shown = [
        {
            "id": group["id"],
            "name": group["name"],
            "description": group["description"],
            "tenant_id": group["project_id"],
            "rules": [
                _rule(rule, known)
                for rule in group["security_group_rules"]
                if rule["direction"] == "ingress" and rule["remote_group_id"] in {None, *known}
            ],
        }
        for group in groups
    ]
    return sorted(shown, key=lambda row: (row["tenant_id"], row["name"]))


async def _group(row: Row, context: Context) -> Row:
    return {"security_group": (await groups_shown([row], context))[0]}


async def _show_groups(call: Call, context: Context) -> Any:
    if id := context.params.get("id"):
        return await _group(await _ask(context, "GET", "security_group", id), context)
    query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
    limit, offset = query.get("limit", "0"), query.get("offset", "0")
    if not (limit.isdecimal() and offset.isdecimal()):
        return await ask_any(GROUP_SHOWN, "", call, context)  # it refuses that in its own words
    caller = context.caller
    every = caller.is_admin and "all_tenants" in query
    own = {} if every else {"project_id": caller.project_id}
    found = await _rows(context, "security_groups", **own)
    page = found[int(offset) :][: min(int(limit) or MOST, MOST)]
    return {"security_groups": await groups_shown(page, context)}


def _is_short(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= 255


async def _write_group(call: Call, context: Context) -> Row:
    asked = value_at(decode(call.body), ("security_group",))
    asked = _check(asked, name=_is_short, description=_is_short)
    row = {name: asked[name] for name in ("name", "description")}
    id = context.params.get("id", "")
    novas = {} if id else {409: 403}
    made = await _ask(context, "PUT" if id else "POST", "security_group", id, row, novas)
    return await _group(made, context)


def _is_id(id: Any) -> bool:
    return isinstance(id, str) and is_uuid(id)


async def _create_rule(call: Call, context: Context) -> Row:
    asked = _check(
        value_at(decode(call.body), ("security_group_rule",)),
        parent_group_id=_is_id,
        group_id=lambda id: id is None or _is_id(id),
    )
    named = [id for name in ("parent_group_id", "group_id") if (id := asked.get(name))]
    groups = {id: await _ask(context, "GET", "security_group", id) for id in named}
    new = _new_rule(asked)

    def same(rule: Row) -> tuple[Any, ...]:
        names = [rule[name] for name in ("direction", "protocol", "remote_group_id")]
        return *names, rule["remote_ip_prefix"] or "0.0.0.0/0", *map(str, _ports(rule))

    parent = groups[asked["parent_group_id"]]
    there = same(new) in map(same, parent["security_group_rules"])
    if there and not new["remote_group_id"]:
        raise BadRequest(f"This rule already exists in group {parent['id']}")
    made = await _ask(context, "POST", "security_group_rule", row=new, novas={409: 403})
    return {"security_group_rule": _rule(made, groups)}


_ALL = {"TCP": (1, 65535), "UDP": (1, 65535), "ICMP": (-1, -1)}
"""The protocols that Nova knows, and what their rules from a group let in if no ports are named."""


def _new_rule(asked: Row) -> Row:
    """What Neutron is asked for, which has a say in ports. Raises `BadRequest`."""
    protocol, group = asked.get("ip_protocol"), asked.get("group_id")
    ports = asked.get("from_port"), asked.get("to_port")
    name = str(protocol or "").upper()
    cidr = None if group else unquote(str(asked.get("cidr") or "0.0.0.0/0"))
    if group and ports == (None, None):
        ports = _ALL.get(name, ports)
    if not protocol or None in ports:
        if cidr:
            raise BadRequest("Not enough parameters to build a valid rule.")
        protocol, ports = None, (None, None)
    elif name not in _ALL:
        raise BadRequest(f"Invalid IP protocol {protocol}.")
    elif name != "ICMP" and "-1" in map(str, ports):
        raise BadRequest(f"Valid {name} ports should be between 1-65535")
    network, _, size = (cidr or "").partition("/")
    if cidr and (not size or (size == "0" and network not in ("0.0.0.0", "::"))):
        raise BadRequest(f"{cidr} is not a valid IP network.")
    least, most = (None if str(port) == "-1" else port for port in ports)
    return {
        "direction": "ingress",
        "ethertype": "IPv6" if ":" in network else "IPv4",
        "security_group_id": asked["parent_group_id"],
        "remote_group_id": group,
        "remote_ip_prefix": cidr,
        "protocol": protocol,
        "port_range_min": least,
        "port_range_max": most,
    }


_VIEWS: dict[str, Callable[[Call, Context], Awaitable[Any]]] = {
    "GET /os-networks os-networks:list": partial(_networks, _network),
    "GET /os-networks/{id} os-networks:show": partial(_networks, _network),
    "GET /os-tenant-networks os-tenant-networks:list": partial(_networks, _tenant_network),
    "GET /os-tenant-networks/{id} os-tenant-networks:show": partial(_networks, _tenant_network),
    "GET /os-floating-ip-pools os-floating-ip-pools": _pools,
    "GET /os-floating-ips os-floating-ips:list": _show_floating,
    "POST /os-floating-ips os-floating-ips:create": _create_floating,
    "GET /os-floating-ips/{id} os-floating-ips:show": _show_floating,
    "DELETE /os-floating-ips/{id} os-floating-ips:delete": partial(_delete, "floatingip"),
    "POST /servers/{id}/action addFloatingIp os-floating-ips:add": _associate,
    "POST /servers/{id}/action removeFloatingIp os-floating-ips:remove": _dissociate,
    "GET /os-security-groups os-security-groups:get": _show_groups,
    "POST /os-security-groups os-security-groups:create": _write_group,
    "GET /os-security-groups/{id} os-security-groups:show": _show_groups,
    "PUT /os-security-groups/{id} os-security-groups:update": _write_group,
    "DELETE /os-security-groups/{id} os-security-groups:delete": partial(_delete, "security_group"),
    "POST /os-security-group-rules os-security-groups:rule:create": _create_rule,
    "DELETE /os-security-group-rules/{id} os-security-groups:rule:delete": partial(
        _delete, "security_group_rule"
    ),
}
"""What is said for a method, a path and an action, and the rule for it."""

VIEWS = {
    line.rpartition(" ")[0]: View(f"os_compute_api:{line.rpartition(' ')[2]}", say)
    for line, say in _VIEWS.items()
}

RULES = {
    view.rule: "role:reader or rule:admin_required"
    if line.startswith("GET")
    else "role:member or rule:admin_required"
    for line, view in VIEWS.items()
} | {"os_compute_api:os-floating-ip-pools": "@"}
"""Nova's defaults. Whose a thing is the top Neutron knows."""
