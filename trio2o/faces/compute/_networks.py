"""Servers on networks that span pods: what a body names is brought to the pod before the call.

Names, ids and addresses that tenants see are the top's. Each new server's ports are made at the
top as the tenant, claimed, made in the pod as ourselves, and given to Nova by id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import evolve, frozen
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, Fault, GatewayTimeout, NotFound
from trio2o.domain.values import Pod
from trio2o.faces.compute._addresses import Addressed, dressed
from trio2o.faces.compute._boot import Boot, count_of, id_of, is_text
from trio2o.faces.compute._groups import with_group
from trio2o.faces.compute._keypairs import with_keypair
from trio2o.faces.compute._views import TAKEN, VIEWS, groups_shown, the_server
from trio2o.faces.network_resources import NETWORK, PORT
from trio2o.faces.resources import SERVER
from trio2o.faces.stretched import ByMode, networks_of
from trio2o.message import Answer, Call
from trio2o.networks import things as kinds
from trio2o.scheduling import Pin
from trio2o.verbs import (
    Context,
    Forward,
    Operation,
    Place,
    Verb,
    decode,
    edit_member,
    json_answer,
    raw,
    value_at,
)

Entry = dict[str, Any]

AUTO, NONE = "auto", "none"


@frozen
class Create:
    """`place`, with networks of the top brought to the pod that is chosen."""

    place: Place

    async def __call__(self, call: Call, context: Context) -> Answer:
        boot = Boot(context)
        server = value_at(decode(call.body), ("server",))
        asked = server.get("networks") if isinstance(server, dict) else None
        place = self.place

        async def more(body: Any, context: Context) -> tuple[Pin, ...]:
            others = await place.more(body, context) if place.more else ()
            if asked == NONE or not isinstance(asked, (list, str, type(None))):
                return others
            if isinstance(asked, list) and asked:
                return (*others, *await boot.look(asked))
            return (*others, *await boot.choose(asked == AUTO))

        async def lacking(body: Any, context: Context) -> frozenset[str]:
            others = await place.lacking(body, context) if place.lacking else frozenset()
            return others | boot.outside(context.pods.serving("compute"))

        async def prepare(body: bytes, pod: Pod, context: Context) -> bytes:
            body = await with_group(await with_keypair(body, pod, context), pod, context)
            if not boot.entries:
                return body
            changes: dict[str, msgspec.Raw | None]
            groups = server.get("security_groups") if isinstance(server, dict) else None
            names = [
                g["name"] for g in groups or () if isinstance(g, dict) and is_text(g.get("name"))
            ]
            if (count := count_of(server)) > 1 and boot.can_lease:
                entries, chosen = await boot.lease(pod, names, count)
                changes = {
                    "networks": raw(entries),
                    "security_groups": raw(chosen) if chosen else None,
                }
                return edit_member(body, SERVER.key, changes)
            entries = await boot.bring(pod, names)
            changes = {"networks": raw(entries)}
            if all(id_of(entry) in boot.known for entry in boot.entries):
                changes["security_groups"] = None  # they are the ports', which are there
            return edit_member(body, SERVER.key, changes)

        refs = tuple(ref for ref in place.refs if ref.resource not in (NETWORK, PORT))
        stretched = evolve(place, refs=refs, more=more, lacking=lacking, prepare=prepare)
        try:
            answer = await stretched(call, context)
        except GatewayTimeout:
            raise  # the pod may have made it: a pass finds out
        except Fault:
            await boot.abandon()
            raise
        made = decode(answer.body) if answer.ok else None
        await boot.ended(answer, value_at(made, ("server", "id")) or "")
        return answer


@frozen
class Attach:
    """A port of the top for a server that is there."""

    async def __call__(self, call: Call, context: Context) -> Answer:
        boot = Boot(context)
        asked = value_at(decode(call.body), ("interfaceAttachment",))

        async def prepare(body: bytes, pod: Pod, context: Context) -> bytes:
            if not isinstance(asked, dict):
                return body
            entry = {"uuid": asked.get("net_id"), "port": asked.get("port_id")}
            if address := value_at(asked, ("fixed_ips", "*", "ip_address")):
                entry["fixed_ip"] = address
            if "tag" in asked:
                entry["tag"] = asked["tag"]
            if entry["uuid"] or entry["port"]:
                await boot.look([entry])
            else:
                await boot.choose(auto=False)
            if not boot.known:
                return body
            sent = (await boot.bring(pod, ()))[0]
            sent["port_id"] = sent.pop("port")
            return msgspec.json.encode({"interfaceAttachment": sent})

        try:
            answer = await Forward(SERVER, "server_id", prepare=prepare)(call, context)
        except GatewayTimeout:
            raise
        except Fault:
            await boot.abandon()
            raise
        await boot.ended(answer, context.params["server_id"])
        return await as_tops(answer, context)


@frozen
class Interfaces:
    """A server's interfaces, by the top's ids; `detach` lets one go."""

    forward: Verb
    detach: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        networks, id = networks_of(context), context.params.get("id", "")
        if id:
            places = [one for one in await networks.places_of([id]) if one.kind == "ports"]
            if places:
                below = context.below.replace(id.encode(), places[0].bottom_id.encode())
                context = replace(context, below=below)
        answer = await self.forward(call, context)
        if self.detach and answer.ok:
            await networks.leaving(context.params["server_id"])
        return await as_tops(answer, context)


async def as_tops(answer: Answer, context: Context) -> Answer:
    """An answer about interfaces with the top's ids in it."""
    if not answer.ok or not answer.body:
        return answer
    body = decode(answer.body)
    one = body.get("interfaceAttachment")
    rows = [one] if isinstance(one, dict) else body.get("interfaceAttachments") or []
    fixed = [ip for row in rows for ip in row.get("fixed_ips") or ()]
    places = [(row, name) for row in rows for name in ("port_id", "net_id")]
    places += [(ip, "subnet_id") for ip in fixed]
    tops = await networks_of(context).tops([row[name] for row, name in places if row.get(name)])
    for row, name in places:
        if row.get(name) in tops:
            row[name] = tops[row[name]]
    return replace(answer, body=msgspec.json.encode(body))


@frozen
class Shown:
    """A server; where it is gone, its ports are gone before that is told. Nova shows one as DELETED
    for a moment when it has given up its ports, which many clients take for gone."""

    show: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        try:
            answer = await self.show(call, context)
        except NotFound:
            await networks_of(context).ended(context.params["id"])
            raise
        shown = answer.body if isinstance(answer.body, bytes) else b""
        if answer.status == 404 or b'"DELETED"' in shown:
            await networks_of(context).ended(context.params["id"])
        return answer


@frozen
class Leave:
    """A call that ends a server: its ports are watched until the pod let go of them."""

    forward: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        answer = await self.forward(call, context)
        if answer.ok:
            await networks_of(context).leaving(context.params["id"])
        elif answer.status == 404:
            await networks_of(context).ended(context.params["id"])
        return answer


@frozen
class Regroup:
    """`addSecurityGroup` and `removeSecurityGroup`: at the top first, then in the pod."""

    forward: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        networks, id, caller = networks_of(context), context.params["id"], context.caller
        action = context.operation.action
        name = value_at(decode(call.body), (action, "name"))
        mine = await networks.of_server(id)
        if not mine or not is_text(name):
            return await self.forward(call, context)
        if not (server := await the_server(call, context)).ok:
            return server
        boot = Boot(context)
        try:
            (group,) = await boot.group_ids([name])
        except BadRequest:
            project = caller.project_id
            raise NotFound(f"Security group {name} is not found for project {project}") from None
        ports = await boot.seen(kinds.PORT, [one.port_id for one in mine])
        adds = action == "addSecurityGroup"
        changed = [p for p in ports.values() if (group in p["security_groups"]) != adds]
        if not adds and not changed:
            raise NotFound(f"Security group {name} not associated with the instance {id}")
        for port in changed:
            groups = [one for one in port["security_groups"] if one != group]
            body = {"port": {"security_groups": [*groups, group] if adds else groups}}
            await networks.neutron.ask(
                networks.center, "PUT", f"/ports/{port['id']}", body, token=caller.token
            )
        await networks.settle_ports([port["id"] for port in changed], [group])
        return TAKEN


@frozen
class Readdress:
    """`addFixedIp` and `removeFixedIp`: the top leases the address, then the pod has it."""

    forward: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        networks, action = networks_of(context), context.operation.action
        asked = value_at(decode(call.body), (action,))
        network, address = value_at(asked, ("networkId",)), value_at(asked, ("address",))
        boot = Boot(context)
        mine = await networks.of_server(context.params["id"])
        ports = (await boot.seen(kinds.PORT, [one.port_id for one in mine])).values()
        for port in ports:
            fixed = port["fixed_ips"]
            left = [ip for ip in fixed if ip["ip_address"] != address]
            if port["network_id"] == network or len(left) < len(fixed):
                break
        else:
            return await self.forward(call, context)
        if not (server := await the_server(call, context)).ok:
            return server
        ways = [left]
        if action == "addFixedIp":
            (row,) = (await boot.seen(kinds.NETWORK, [network])).values()
            ways = [[*fixed, {"subnet_id": id}] for id in row["subnets"]]
        for way in ways:
            try:
                await boot.ask("PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": way}}, "")
                break
            except BadRequest as refused:  # this subnet is full
                if way is ways[-1]:
                    raise refused from None
        await networks.settle_ports([port["id"]])
        return TAKEN


async def groups_of_server(call: Call, context: Context) -> Answer:
    """`GET /servers/{id}/os-security-groups`: those of its ports at the top, as Nova's."""
    networks = networks_of(context)
    answer = await Forward(SERVER, "server_id")(call, context)
    mine = await networks.of_server(context.params["server_id"])
    if not answer.ok or not mine:
        return answer
    center = networks.center
    ports = await networks.neutron.by_ids(center, kinds.PORT, [one.port_id for one in mine])
    ids = {id for port in ports for id in port["security_groups"]}
    groups = await networks.neutron.by_ids(center, kinds.GROUP, ids)
    return json_answer(200, {"security_groups": await groups_shown(groups, context)})


_WRAPPED: dict[tuple[str, str, str], Callable[[Any], Verb]] = {
    ("POST", "/v2.1/servers", ""): Create,
    ("GET", "/v2.1/servers/detail", ""): lambda gather: evolve(gather, dress=dressed),
    ("GET", "/v2.1/servers/{id}", ""): lambda verb: Addressed(Shown(verb)),
    ("PUT", "/v2.1/servers/{id}", ""): Addressed,
    ("POST", "/v2.1/servers/{id}/action", "rebuild"): Addressed,
    ("GET", "/v2.1/servers/{server_id}/ips", ""): Addressed,
    ("GET", "/v2.1/servers/{server_id}/ips/{id}", ""): Addressed,
    ("DELETE", "/v2.1/servers/{id}", ""): Leave,
    ("POST", "/v2.1/servers/{id}/action", "forceDelete"): Leave,
    ("POST", "/v2.1/servers/{id}/action", "addSecurityGroup"): Regroup,
    ("POST", "/v2.1/servers/{id}/action", "removeSecurityGroup"): Regroup,
    ("POST", "/v2.1/servers/{id}/action", "addFixedIp"): Readdress,
    ("POST", "/v2.1/servers/{id}/action", "removeFixedIp"): Readdress,
    ("POST", "/v2.1/servers/{server_id}/os-interface", ""): lambda verb: Attach(),
    ("GET", "/v2.1/servers/{server_id}/os-interface", ""): Interfaces,
    ("GET", "/v2.1/servers/{server_id}/os-interface/{id}", ""): Interfaces,
    ("DELETE", "/v2.1/servers/{server_id}/os-interface/{id}", ""): lambda verb: Interfaces(
        verb, detach=True
    ),
    ("GET", "/v2.1/servers/{server_id}/os-security-groups", ""): lambda verb: groups_of_server,
}


def over_pods(table: Sequence[Operation]) -> tuple[Operation, ...]:
    """The rows, those that touch networks with what serves them in the stretched mode."""
    found = []
    for row in table:
        view = VIEWS.get(f"{row.method} {row.path.removeprefix('/v2.1')} {row.action}".rstrip())
        wrap = _WRAPPED.get((row.method, row.path, row.action))
        over = view or (wrap and wrap(row.verb))
        found.append(evolve(row, verb=ByMode(row.verb, over)) if over else row)
    return tuple(found)
