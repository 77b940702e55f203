"""Servers on networks that span pods: what a body names is brought to the pod before the call.

Names, ids and addresses that tenants see are the top's. Each new server's ports are made at the
top as the tenant, claimed, made in the pod as ourselves, and given to Nova by id.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import evolve, frozen

from trio2o.domain.errors import (
    BadRequest,
    Conflict,
    Fault,
    Forbidden,
    GatewayTimeout,
    NotFound,
    Unavailable,
)
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.faces.compute._groups import with_group
from trio2o.faces.compute._keypairs import with_keypair
from trio2o.faces.network_resources import NETWORK, PORT
from trio2o.faces.resources import SERVER
from trio2o.faces.stretched import ByMode, in_scope, networks_of
from trio2o.message import Answer, Call
from trio2o.networks import MADE, TAKEN, Refused
from trio2o.networks import things as kinds
from trio2o.scheduling import Pin
from trio2o.verbs import (
    Context,
    Forward,
    Operation,
    Place,
    Ref,
    Verb,
    decode,
    edit_member,
    json_answer,
    pins,
    raw,
    value_at,
)

Entry = dict[str, Any]

AUTO, NONE = "auto", "none"


class Boot:
    """One call that puts a server, or a port of it, onto networks."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.networks = networks_of(context)
        self.claim = str(uuid.uuid4())
        self.entries: list[Entry] = []
        self.known: dict[str, Entry] = {}
        self.hints: dict[str, list[str]] = {}
        self.ours: list[str] = []
        self.pod: Pod | None = None

    async def seen(self, kind: Any, ids: Sequence[str]) -> dict[str, Entry]:
        """Rows of the top that the caller may see, by id."""
        networks, token = self.networks, self.context.caller.token
        found = await networks.neutron.by_ids(networks.center, kind, ids, token=token)
        return {row["id"]: row for row in found}

    async def look(self, entries: Sequence[Any]) -> tuple[Pin, ...]:
        """Read at the top what is named; what is not there pins the pod that has it."""
        self.entries = [entry for entry in entries if isinstance(entry, dict)]
        nets = [e["uuid"] for e in self.entries if _text(e.get("uuid")) and not e.get("port")]
        ports = [e["port"] for e in self.entries if _text(e.get("port"))]
        found_ports, found = await together(
            [self.seen(kinds.PORT, ports), self.seen(kinds.NETWORK, nets)]
        )
        more = {p["network_id"] for p in found_ports.values()} - set(found)
        self.known = found | found_ports | await self.seen(kinds.NETWORK, sorted(more))
        self._check(nets, ports)
        self.hints = await self.networks.hints([*found, *more])
        elsewhere = [(Ref("", NETWORK), id) for id in nets if id not in self.known]
        elsewhere += [(Ref("", PORT), id) for id in ports if id not in self.known]
        return await pins(elsewhere, self.context)

    def _check(self, nets: Sequence[str], ports: Sequence[str]) -> None:
        """Refuse, as Nova does, what cannot be before anything is made."""
        for id in ports:
            if id in self.known and self.known[id]["device_id"]:
                raise Conflict(f"Port {id} is still in use.")
        for id in nets:
            if id in self.known and not self.known[id]["subnets"]:
                raise BadRequest(f"Network {id} requires a subnet in order to boot instances on.")

    async def choose(self, auto: bool) -> tuple[Pin, ...]:
        """The one network that the project may use; none leaves the choice to the pod."""
        networks, caller = self.networks, self.context.caller
        center, rows = networks.center, networks.neutron.rows
        own: dict[str, Any] = {"project_id": caller.project_id, "shared": False}
        if auto:
            own["admin_state_up"] = True
        mine, shared = await together(
            rows(center, kinds.NETWORK, fields=("id",), token=caller.token, **filters)
            for filters in (own, {"shared": True})
        )
        ids = sorted({row["id"] for row in (*mine, *shared)})
        if len(ids) > 1:
            raise Conflict(
                "Multiple possible networks found, use a Network ID to be more specific."
            )
        if not ids and auto:
            path = f"/auto-allocated-topology/{caller.project_id}"
            try:
                said = await networks.neutron.ask(center, "GET", path, token=caller.token)
                ids = [said["auto_allocated_topology"]["id"]]
            except (Refused, KeyError, TypeError):
                return ()
        return await self.look([{"uuid": id} for id in ids])

    def outside(self, pods: Sequence[Pod]) -> frozenset[str]:
        """The pods that a network named here may not be in."""
        hinted = self.hints.values()
        return frozenset(
            pod.pod_id for pod in pods if not all(in_scope(pod, hints) for hints in hinted)
        )

    @property
    def can_lease(self) -> bool:
        """Whether all that is named are networks of the top: of ports and fixed addresses for
        several servers the pod has its own words."""
        return all(
            e.get("uuid") in self.known and not e.get("port") and not e.get("fixed_ip")
            for e in self.entries
        )

    async def bring(self, pod: Pod, groups: Sequence[str]) -> list[Entry]:
        """The entries as the pod gets them: ports by its own ids. Raises `Fault`."""
        self._in_scope(pod)
        mine = [entry for entry in self.entries if _id(entry) in self.known]
        new = [entry for entry in mine if not entry.get("port")]
        chosen = await self.group_ids(groups) if new and groups else []
        made, taken = await together(
            [self._make(new, chosen), self._take([e["port"] for e in mine if e.get("port")])]
        )
        ports = [*made, *taken]
        self.pod = pod
        if not ports:
            return self.entries
        await self.networks.claim(self.claim, pod, ports, self.ours, lease=False)
        bottoms = await self.networks.carry(pod, ports, fresh=not taken)
        made_ids = iter([row["id"] for row in made])
        return [
            self._entry(entry, bottoms[entry.get("port") or next(made_ids)])
            if _id(entry) in self.known
            else entry
            for entry in self.entries
        ]

    async def lease(
        self, pod: Pod, groups: Sequence[str], count: int
    ) -> tuple[list[Entry], list[Entry]]:
        """Networks and security groups by the pod's ids, for servers made at once.

        Nova takes no ports for several servers: it makes them itself, on addresses that are held
        at the top for this, and they are adopted.
        """
        self._in_scope(pod)
        chosen = await self.group_ids(groups) if groups else []
        made: list[Entry] = []
        for entry in self.entries:
            port = self._new_port(entry, chosen)
            body = {"ports": [port] * count}
            made += (await self._ask("POST", "/ports", body, ""))["ports"]
            self.ours = [row["id"] for row in made]
        await self.networks.claim(self.claim, pod, made, self.ours, lease=True)
        ids = await self.networks.lease(pod, made)
        of = {key.id: id for key, id in ids.items() if key.kind in ("networks", "security-groups")}
        named = {id: None for row in made for id in row["security_groups"]}
        entries = [
            {name: value for name, value in entry.items() if name == "tag"}
            | {"uuid": of[entry["uuid"]]}
            for entry in self.entries
        ]
        return entries, [{"name": of[id]} for id in named]

    def _in_scope(self, pod: Pod) -> None:
        for network, hints in self.hints.items():
            if not in_scope(pod, hints):
                raise BadRequest(
                    f"Network {network} is for availability zone {', '.join(hints)}, "
                    f"not for {pod.az_name} ({pod.pod_name})."
                )

    def _new_port(self, entry: Entry, groups: Sequence[str]) -> Entry:
        network = self.known[entry["uuid"]]
        port: Entry = {"network_id": network["id"], "device_id": MADE + self.claim}
        if address := entry.get("fixed_ip"):
            port["fixed_ips"] = [{"ip_address": address}]
        if groups and network.get("port_security_enabled", True):
            port["security_groups"] = list(groups)
        return port

    def _entry(self, entry: Entry, bottom: str) -> Entry:
        kept = {name: entry[name] for name in ("tag",) if name in entry}
        return {"port": bottom, **kept}

    async def group_ids(self, named: Sequence[str]) -> list[str]:
        """Security groups by id or by name, as Nova looks them up."""
        networks, caller = self.networks, self.context.caller
        rows = await networks.neutron.rows(
            networks.center,
            kinds.GROUP,
            fields=("id", "name"),
            token=caller.token,
            project_id=caller.project_id,
        )
        found = []
        for name in dict.fromkeys(named):
            ids = [r["id"] for r in rows if r["id"] == name] or [
                r["id"] for r in rows if r["name"] == name
            ]
            if len(ids) > 1:
                raise Conflict(
                    f"Multiple security groups found matching '{name}'. "
                    "Use an ID to be more specific."
                )
            if not ids:
                raise BadRequest(
                    f"Security group {name} not found for project {caller.project_id}."
                )
            found += ids
        return found

    async def _make(self, entries: Sequence[Entry], groups: Sequence[str]) -> list[Entry]:
        """New ports at the top, made as the tenant: its quota, its rights."""

        async def make(entry: Entry) -> Entry:
            port = self._new_port(entry, groups)
            made = await self._ask("POST", "/ports", {"port": port}, entry.get("fixed_ip") or "")
            self.ours.append(made["port"]["id"])
            row: Entry = made["port"]
            return row

        return await together(make(entry) for entry in entries)

    async def _take(self, ids: Sequence[str]) -> list[Entry]:
        """The tenant's own ports, each for one claim at a time."""

        async def take(id: str) -> Entry:
            revision = self.known[id]["revision_number"]
            match = ((b"If-Match", f"revision_number={revision}".encode()),)
            body = {"port": {"device_id": TAKEN + self.claim}}
            try:
                taken = await self._ask("PUT", f"/ports/{id}", body, "", match)
            except Fault as fault:
                if fault.kind == "RevisionNumberConstraintFailed":
                    raise Conflict(f"Port {id} is still in use.") from None
                raise
            row: Entry = taken["port"]
            return row

        return await together(take(id) for id in ids)

    async def _ask(
        self, method: str, path: str, body: Any, address: str, headers: Any = ()
    ) -> Entry:
        """A call to the top as the caller; a refusal is worded as Nova's."""
        networks, token = self.networks, self.context.caller.token
        try:
            return await networks.neutron.ask(
                networks.center, method, path, body, token=token, headers=headers
            )
        except Refused as refused:
            raise as_novas(refused, address) from None

    async def ended(self, answer: Answer, server_id: str) -> None:
        """What the pod said decides what becomes of the ports."""
        if not answer.ok:
            await self.abandon()
        elif self.pod is not None and server_id:
            await self.networks.booted(self.claim, server_id, self.pod)

    async def abandon(self) -> None:
        networks = self.networks
        await networks.abandon(self.claim)
        for id in self.ours:  # made, but not recorded before the call failed
            try:
                await networks.gone(networks.center, f"/ports/{id}")
            except Fault:
                return  # a pass removes what was claimed for nothing


def as_novas(refused: Refused, address: str) -> Fault:
    """Neutron's refusal of a port in the words of Nova, which asks for ports in one cloud."""
    kind = refused.kind
    if kind == "OverQuota":
        return Forbidden("Maximum number of ports exceeded")
    if kind in ("IpAddressAlreadyAllocated", "IpAddressInUse"):
        return BadRequest(f"Fixed IP address {address} is already in use.")
    if kind == "IpAddressGenerationFailure":
        return BadRequest(refused.message.replace("No more IP", "No fixed IP"))
    if kind == "RevisionNumberConstraintFailed" or refused.status == 409:
        return Conflict(refused.message, kind=kind)
    if refused.status == 403:
        return Forbidden(refused.message)
    if refused.status >= 500:
        return Unavailable("The network service is unavailable at the moment.")
    return BadRequest(refused.message)


def _count(server: Any) -> int:
    """How many servers a body asks for; what is no number the pod refuses."""
    asked = server.get("max_count") or server.get("min_count") or 1
    return int(asked) if str(asked).isdigit() else 1


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _id(entry: Entry) -> Any:
    return entry.get("port") or entry.get("uuid")


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
                g["name"] for g in groups or () if isinstance(g, dict) and _text(g.get("name"))
            ]
            if (count := _count(server)) > 1 and boot.can_lease:
                entries, chosen = await boot.lease(pod, names, count)
                changes = {
                    "networks": raw(entries),
                    "security_groups": raw(chosen) if chosen else None,
                }
                return edit_member(body, SERVER.key, changes)
            entries = await boot.bring(pod, names)
            changes = {"networks": raw(entries)}
            if all(_id(entry) in boot.known for entry in boot.entries):
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
                context = evolve(context, below=below)
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
    return evolve(answer, body=msgspec.json.encode(body))


@frozen
class Shown:
    """A server; where it is gone, its ports are gone before that is told."""

    show: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        try:
            answer = await self.show(call, context)
        except NotFound:
            await networks_of(context).ended(context.params["id"])
            raise
        if answer.status == 404:
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
        if not mine or not _text(name):
            return await self.forward(call, context)
        shown = evolve(context, below=SERVER.path(id).encode())
        server = await Forward(SERVER)(Call("GET", b"", headers=call.headers), shown)
        if not server.ok:
            return server
        boot = Boot(context)
        try:
            (group,) = await boot.group_ids([name])
        except BadRequest as refused:
            raise NotFound(refused.message) from None
        ports = await boot.seen(kinds.PORT, [one.port_id for one in mine])
        adds = action == "addSecurityGroup"
        changed = [p for p in ports.values() if (group in p["security_groups"]) != adds]
        if not adds and not changed:
            message = f"Security group {name} is not associated with the instance {id}"
            raise NotFound(message)
        for port in changed:
            groups = [one for one in port["security_groups"] if one != group]
            body = {"port": {"security_groups": [*groups, group] if adds else groups}}
            await networks.neutron.ask(
                networks.center, "PUT", f"/ports/{port['id']}", body, token=caller.token
            )
        await networks.settle_ports([port["id"] for port in changed], [group])
        return Answer(202, ((b"Content-Type", b"application/json"),))


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
    names = {group["id"]: group for group in groups}
    shown = [_group(group, names) for group in sorted(groups, key=lambda g: str(g["name"]))]
    return json_answer(200, {"security_groups": shown})


def _group(group: Entry, known: dict[str, Entry]) -> Entry:
    rules = []
    for rule in group["security_group_rules"]:
        if rule["direction"] != "ingress":
            continue  # Nova knows no other
        remote = known.get(rule["remote_group_id"] or "")
        cidr = rule["remote_ip_prefix"]
        if not cidr and not rule["remote_group_id"]:
            cidr = "::/0" if rule["ethertype"] == "IPv6" else "0.0.0.0/0"
        rules.append(
            {
                "id": rule["id"],
                "parent_group_id": group["id"],
                "ip_protocol": rule["protocol"],
                "from_port": rule["port_range_min"] if rule["protocol"] else None,
                "to_port": rule["port_range_max"] if rule["protocol"] else None,
                "group": {"name": remote["name"], "tenant_id": remote["project_id"]}
                if remote
                else {},
                "ip_range": {"cidr": cidr} if cidr else {},
            }
        )
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group.get("description", ""),
        "tenant_id": group["project_id"],
        "rules": rules,
    }


_WRAPPED: dict[tuple[str, str, str], Callable[[Any], Verb]] = {
    ("POST", "/v2.1/servers", ""): Create,
    ("GET", "/v2.1/servers/{id}", ""): Shown,
    ("DELETE", "/v2.1/servers/{id}", ""): Leave,
    ("POST", "/v2.1/servers/{id}/action", "forceDelete"): Leave,
    ("POST", "/v2.1/servers/{id}/action", "addSecurityGroup"): Regroup,
    ("POST", "/v2.1/servers/{id}/action", "removeSecurityGroup"): Regroup,
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
        wrap = _WRAPPED.get((row.method, row.path, row.action))
        found.append(evolve(row, verb=ByMode(row.verb, wrap(row.verb))) if wrap else row)
    return tuple(found)
