"""One call that puts a server onto networks of the top: its ports there, then in the pod."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from trio2o.domain.errors import BadRequest, Conflict, Fault, Forbidden, Unavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.faces.network_resources import NETWORK, PORT
from trio2o.faces.stretched import networks_of
from trio2o.message import Answer
from trio2o.networks import MADE, TAKEN, Refused, in_scope
from trio2o.networks import things as kinds
from trio2o.scheduling import Pin
from trio2o.verbs import Context, Ref, pins

Entry = dict[str, Any]


class Boot:
    """One call that puts a server, or a port of it, onto networks. `claim` is its name there."""

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
        nets = [e["uuid"] for e in self.entries if is_text(e.get("uuid")) and not e.get("port")]
        ports = [e["port"] for e in self.entries if is_text(e.get("port"))]
        found_ports, found = await together(
            [self.seen(kinds.PORT, ports), self.seen(kinds.NETWORK, nets)]
        )
        trunks = [p.get("trunk_details") or {} for p in found_ports.values()]
        inner = [one["port_id"] for trunk in trunks for one in trunk.get("sub_ports", ())]
        some = [*found_ports.values(), *(await self.seen(kinds.PORT, inner)).values()]
        more = {port["network_id"] for port in some} - set(found)
        self.known = found | found_ports | await self.seen(kinds.NETWORK, sorted(more))
        self._check(nets, ports, await self.networks.subports_of(ports))
        self.hints = await self.networks.hints([*found, *more])
        elsewhere = [(Ref("", NETWORK), id) for id in nets if id not in self.known]
        elsewhere += [(Ref("", PORT), id) for id in ports if id not in self.known]
        return await pins(elsewhere, self.context)

    def _check(self, nets: Sequence[str], ports: Sequence[str], used: Collection[str]) -> None:
        """Refuse, as Nova does, what cannot be before anything is made."""
        for id in ports:
            if id in self.known and (self.known[id]["device_id"] or id in used):
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
        mine = [entry for entry in self.entries if id_of(entry) in self.known]
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
            if id_of(entry) in self.known
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
            made += (await self.ask("POST", "/ports", body, ""))["ports"]
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
            made = await self.ask("POST", "/ports", {"port": port}, entry.get("fixed_ip") or "")
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
                taken = await self.ask("PUT", f"/ports/{id}", body, "", match)
            except Fault as fault:
                if fault.kind == "RevisionNumberConstraintFailed":
                    raise Conflict(f"Port {id} is still in use.") from None
                raise
            row: Entry = taken["port"]
            return row

        return await together(take(id) for id in ids)

    async def ask(
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


def count_of(server: Any) -> int:
    """How many servers a body asks for; what is no number the pod refuses."""
    asked = server.get("max_count") or server.get("min_count") or 1
    return int(asked) if str(asked).isdigit() else 1


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def id_of(entry: Entry) -> Any:
    return entry.get("port") or entry.get("uuid")
