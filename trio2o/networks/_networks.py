"""Ports of servers in pods: claimed, carried there, and freed; the passes do the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import (
    BOOTED,
    BOUND,
    CLAIMED,
    LEASED,
    SUBPORT,
    Attachment,
    Counterpart,
    Pod,
)
from trio2o.domain.versions import Version
from trio2o.networks import _things as things
from trio2o.networks._apply import NotMade
from trio2o.networks._calls import Refused
from trio2o.networks._desired import (
    Top,
    automatic,
    policies_wanted,
    port_wanted,
    subports,
    trunk_wanted,
)
from trio2o.networks._plan import plan, recognise, translated
from trio2o.networks._reads import by_id, in_scope
from trio2o.networks._routers import INTERFACES, ends
from trio2o.networks._settle import Settle, all_done
from trio2o.networks._things import Found, Key, Ref, Row, Wanted
from trio2o.pods import OwnCalls, document
from trio2o.store import networks as rows

log = make_logger()

CONSENT = Counterpart("consent", "networks", "", "")
"""Recorded while an operator wants the next pass to mend whatever it finds."""

HOSTNAMES = Version(2, 3)
"""From here on Nova shows the names of hosts."""

WATCH = 300.0
"""Seconds for which a server that is going is looked after each second; then the passes do."""


class Networks(Settle):
    """What calls need of networks that span pods, at once."""

    def __init__(self, *given: Any) -> None:
        """As `Reads`."""
        super().__init__(*given)
        self._watched: dict[str, float] = {}
        self._leasing: dict[str, float] = {}
        self._looking: Any = None
        self._has_dns = False

    async def subports_of(self, port_ids: Collection[str]) -> set[str]:
        """Those of these ports that are in a pod as a trunk's."""
        found = await self.store.read(lambda c: rows.attachments_of(c, "port_id", port_ids))
        return {one.port_id for one in found if one.stage == SUBPORT}

    async def claim(
        self, claim: str, pod: Pod, ports: Sequence[Row], ours: Collection[str], *, lease: bool
    ) -> None:
        """Record, durably, that ports are wanted in a pod, before anything is made there."""
        stage = LEASED if lease else CLAIMED
        wanted = [
            Attachment(port["id"], pod.pod_id, "", claim, port["id"] in ours, stage, self.now())
            for port in ports
        ]
        await self.store.write(lambda c: rows.put_attachments(c, wanted))

    async def carry(self, pod: Pod, ports: Sequence[Row], *, fresh: bool) -> dict[str, str]:
        """See that ports of the top are in a pod with all that they need; their ids there.

        `fresh`: the ports were made just now. Raises `Fault`.
        """
        try:
            return await self._carry(pod, ports, fresh)
        except NotMade:
            # what we took to be there may have been deleted behind our back: look, once
            await self._forget(pod, ports)
            return await self._carry(pod, ports, False)

    async def _carry(self, pod: Pod, ports: Sequence[Row], fresh: bool) -> dict[str, str]:
        self._has_dns = self._has_dns or any("dns_name" in port for port in ports)
        named = {port["network_id"] for port in ports}
        named |= {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        groups = {id for port in ports for id in port["security_groups"]}
        policies = {id for port in ports if (id := port.get("qos_policy_id"))}
        named |= policies
        ids = await self.ids_in(pod, named | groups | {port["id"] for port in ports})
        lacking = {
            port["network_id"]
            for port in ports
            if Ref("networks", port["network_id"]) not in ids
            or any(Ref("subnets", ip["subnet_id"]) not in ids for ip in port["fixed_ips"])
        }
        strange = {id for id in groups if Ref("security-groups", id) not in ids}
        await together(
            [
                *(self.network_in(pod, id) for id in sorted(lacking)),
                *([self.groups_in(pod, strange)] if strange else []),
            ]
        )
        if lacking or strange:
            ids = await self.ids_in(pod, named | groups | {port["id"] for port in ports})
        top = Top(
            networks={port["network_id"]: {} for port in ports},
            subnets=await self._automatic(ports),
            ports={port["id"]: port for port in ports},
        )
        top = await self.with_policies(top, ports)
        some = [*policies_wanted(top, ports), *(port_wanted(port, top) for port in ports)]
        missing = plan({one.key: one for one in some if one.key not in ids}, {})
        all_done(await self.applier.apply(pod, missing, ids, fresh=fresh), pod)
        self.members_changed(groups)
        for port in ports:
            if trunk := port.get("trunk_details"):  # a server's port gets none later
                await self.settle_trunk(trunk["trunk_id"])
        return {port["id"]: ids[Ref("ports", port["id"])] for port in ports}

    async def _forget(self, pod: Pod, ports: Sequence[Row]) -> None:
        named = {port["network_id"] for port in ports}
        named |= {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        named |= {id for port in ports for id in port["security_groups"]}
        gone = [one for one in await self.places_of(named) if one.pod_id == pod.pod_id]
        await self.store.write(lambda c: rows.drop_counterparts(c, gone))

    async def lease(self, pod: Pod, ports: Sequence[Row]) -> dict[Key, str]:
        """Let a pod give the addresses of these ports, which were claimed as leases, to servers
        that it makes at once; the pod's ids of their networks and groups. Raises `Fault`."""
        nets = {port["network_id"] for port in ports}
        groups = {id for port in ports for id in port["security_groups"]}
        ids = await self.ids_in(pod, nets | groups)
        for id in sorted(nets):
            await self.network_in(pod, id)
            await self.open_pools(pod, id)
        if strange := {id for id in groups if Ref("security-groups", id) not in ids}:
            await self.groups_in(pod, strange)
        self.members_changed(groups)
        self._watch_leases(pod)
        return await self.ids_in(pod, nets | groups)

    def _watch_leases(self, pod: Pod) -> None:
        self._leasing[pod.pod_id] = self.clock.seconds() + self.settings.claim_seconds + 1
        self._look_soon()

    async def adopt(self, pod: Pod) -> None:
        """Take up the ports that a pod made on leased addresses; what nobody took goes in time."""
        leases = await self.store.read(lambda c: rows.leases_in(c, pod.pod_id))
        if not leases:
            self._leasing.pop(pod.pod_id, None)
            return
        tops = by_id(
            await self.neutron.by_ids(self.center, things.PORT, [one.port_id for one in leases])
        )
        nets = {row["network_id"] for row in tops.values()}
        ids = await self.ids_in(pod, nets)
        # the record of them may have been lost
        marks = [things.mark(id) for id in nets if Ref("networks", id) not in ids]
        for net in await self.neutron.by_ids(pod, things.NETWORK, marks, name="description"):
            ids[Ref("networks", things.marked(net))] = net["id"]
        told = await self.neutron.by_ids(pod, things.PORT, ids.values(), name="network_id")
        used = [r for r in told if r["device_id"] and r["device_owner"].startswith("compute:")]
        leased = {one.port_id for one in leases} | {""}
        used = [row for row in used if things.marked(row) in leased]
        made = {
            (row["network_id"], ip["ip_address"]): row for row in used for ip in row["fixed_ips"]
        }
        six = await self._automatic(list(tops.values()))
        auto = {id for id, subnet in six.items() if automatic(subnet)}
        old = self.now() - self.settings.claim_seconds
        for one in leases:
            row = tops.get(one.port_id)
            network = ids.get(Ref("networks", row["network_id"])) if row else None
            fixed = row["fixed_ips"] if row else []
            keys = [(network, ip["ip_address"]) for ip in fixed]
            twins = [made[key] for key in keys if key in made]
            if not twins and all(ip["subnet_id"] in auto for ip in fixed):
                # the address follows from the MAC that Nova chose: any will do
                held = {top["device_id"] for top in tops.values()}
                new = (r for r in used if not things.marked(r) and r["device_id"] not in held)
                twins = [twin for twin in new if twin["network_id"] == network]
            if row is not None and twins:
                await self._adopt(pod, one, row, twins[0])
            elif one.since < old:
                await self.release(one)
        await together(self.settle_network(id) for id in nets)

    async def _adopt(self, pod: Pod, one: Attachment, row: Row, twin: Row) -> None:
        """The top's port is like the pod's first: what is marked is taken for the same."""
        row["device_id"], twin["description"] = twin["device_id"], things.mark(one.port_id)
        used_by = {"device_id": twin["device_id"], "device_owner": f"compute:{pod.az_name}"}
        body = {"port": used_by | {"mac_address": twin["mac_address"]}}
        await self.neutron.ask(self.center, "PUT", f"/ports/{one.port_id}", body)
        body = {"port": {"description": twin["description"]}}
        await self.neutron.ask(pod, "PUT", f"/ports/{twin['id']}", body)
        twins = [Counterpart("ports", one.port_id, pod.pod_id, twin["id"])]
        await self.store.write(lambda c: rows.put_counterparts(c, twins))
        used = evolve(one, server_id=twin["device_id"], stage=BOUND)
        await self.store.write(lambda c: rows.put_attachments(c, [used]))

    async def booted(self, claim: str, server_id: str, pod: Pod) -> None:
        """The pod took the call: the top's ports are the server's. It is in the store first."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "claim", [claim]))
        taken = [
            evolve(one, server_id=server_id, stage=BOOTED) for one in mine if one.stage == CLAIMED
        ]
        await self.store.write(lambda c: rows.put_attachments(c, taken))
        await together(self.take(one.port_id, server_id, pod) for one in taken)
        if self._has_dns:
            self.behind(self._name(server_id, pod), "a server's name")
        try:  # a tenant's own port may have floating IPs already
            own = [one.port_id for one in taken if not one.ours]
            ports = await self.neutron.by_ids(self.center, things.PORT, own)
            for id in await self._routers_of(ports):
                self.route_soon(id)
        except Fault as fault:
            self.later(pod, fault)

    async def _name(self, server_id: str, pod: Pod) -> None:
        """Tell the top what a host is called, as Nova tells its own Neutron where there is DNS."""
        mine = await self.of_server(server_id)
        ids = [one.port_id for one in mine]
        found = await self.neutron.by_ids(self.center, things.PORT, ids)
        if not (bare := [row["id"] for row in found if row.get("dns_name") == ""]):
            return
        token, path = await self.neutron.own_token(), f"/servers/{server_id}"
        calls = OwnCalls(self.clock, self.pods)
        said = document(await calls.ask(pod, token, "GET", path, version=HOSTNAMES))
        name = str(said["server"]["OS-EXT-SRV-ATTR:hostname"])
        left = {one.port_id for one in await self.of_server(server_id)}
        await together(self.take(id, server_id, pod, name) for id in bare if id in left)

    async def take(self, port_id: str, server_id: str, pod: Pod, name: str = "") -> None:
        """Write at the top whose a port is, and what its host is called, as Nova does."""
        row = {"device_id": server_id, "device_owner": f"compute:{pod.az_name}"}
        body = {"port": row | ({"dns_name": name} if name else {})}
        try:
            await self.neutron.ask(self.center, "PUT", f"/ports/{port_id}", body)
        except Fault as fault:  # the server is there: a pass writes it later
            log.warn("port {id}: {why}", id=port_id, why=str(fault))

    async def abandon(self, claim: str) -> None:
        """Nothing came of a claim: what was made for it goes, the rest is free again."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "claim", [claim]))
        await together(self.release(one) for one in mine)

    async def release(self, one: Attachment) -> None:
        """A port leaves its pod; at the top first, so that what was told stays true.

        What fails is for a pass: the attachment stays.
        """
        try:
            found = await self.neutron.by_ids(self.center, things.PORT, [one.port_id])
            routers = await self._routers_of(found)
            path = f"/ports/{one.port_id}"
            trunk = (found and found[0].get("trunk_details")) or {}
            if found and one.ours and not trunk:
                await self.gone(self.center, path)
            elif found:
                names = {"dns_name": ""} if found[0].get("dns_name") else {}
                body = {"port": {"device_id": "", "device_owner": "", **names}}
                await self.neutron.ask(self.center, "PUT", path, body)
            pod = self.pods.get(one.pod_id)
            if trunk:
                await self.settle_trunk(trunk["trunk_id"], leave=True)
            if pod is not None:
                await self.remove_bottom(pod, "ports", one.port_id)
        except Fault as fault:
            log.warn("port {id} is not free yet: {why}", id=one.port_id, why=str(fault))
            return
        await self.store.write(lambda c: rows.drop_attachments(c, [one.port_id]))
        self.members_changed(id for row in found for id in row["security_groups"])
        for id in routers:
            self.route_soon(id)

    async def _routers_of(self, ports: Collection[Row]) -> set[str]:
        """The routers that lead floating IPs to ports of the top, or stand for their addresses."""
        read, center = self.neutron.by_ids, self.center
        networks, owners = (
            {row["network_id"] for row in ports},
            [("device_owner", o) for o in INTERFACES],
        )
        joined = await read(center, things.PORT, networks, name="network_id", also=owners)
        routers = {row["device_id"] for row in joined}
        found = await read(center, things.FLOATING, routers, name="router_id")
        ids = {port["id"] for port in ports}
        six = {p["id"] for p in ports if any(":" in ip["ip_address"] for ip in p["fixed_ips"])}
        proxies = await read(center, things.PROXY, six, name="port_id")
        return {row["router_id"] for row in (*proxies, *(row for row in found if ends(row) & ids))}

    async def consent(self) -> None:
        """The next pass mends what it would only tell of, and removes what the top has lost."""
        await self.store.write(lambda c: rows.put_counterparts(c, [CONSENT]))

    async def floating_of(self, server_ids: Collection[str]) -> dict[str, dict[str, str]]:
        """Of servers (by id) whose floating IPs come over bridges: these by the addresses there."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "server_id", server_ids))
        servers = {one.port_id: one.server_id for one in mine}
        read, center = self.neutron.by_ids, self.center
        found = await read(center, things.FLOATING, servers, name="port_id")
        names = {things.floating(row["id"]): row for row in found}
        told: dict[str, dict[str, str]] = {}
        for port in await read(center, things.PORT, names, name="device_id"):
            row = names[port["device_id"]]
            middle = port["fixed_ips"][0]["ip_address"]
            told.setdefault(servers[row["port_id"]], {})[middle] = row["floating_ip_address"]
        return told

    async def leaving(self, server_id: str) -> None:
        """A server, or an interface of it, is going: its ports are watched until it let go."""
        mine = await self.of_server(server_id)
        used = [evolve(one, stage=BOUND) for one in mine if one.stage != BOUND]
        if used:
            await self.store.write(lambda c: rows.put_attachments(c, used))
        if mine:
            self._watched[server_id] = self.clock.seconds() + WATCH
            self._look_soon()

    def stop(self) -> None:
        self.stopped = True
        for timer in (self._looking, self._telling):
            if timer is not None and timer.active():
                timer.cancel()

    def _look_soon(self) -> None:
        if self._looking is None or not self._looking.active():
            self._looking = self.clock.callLater(1.0, self._begin_look)

    def _begin_look(self) -> None:
        run = Deferred.fromCoroutine(self._look())
        run.addErrback(lambda failure: log.warn("ports: {why}", why=str(failure.value)))

    async def _look(self) -> None:
        """Free what pods let go of, of the servers that are watched; adopt what they made."""
        now = self.clock.seconds()
        self._watched = {id: end for id, end in self._watched.items() if end > now}
        self._leasing = {id: end for id, end in self._leasing.items() if end > now}
        if self.stopped:
            return
        try:
            for id in list(self._leasing):
                if (pod := self.pods.get(id)) and not self.pods.is_down(pod, "network"):
                    await self.adopt(pod)
            wanted = list(self._watched)
            mine = await self.store.read(lambda c: rows.attachments_of(c, "server_id", wanted))
            left = {one.server_id for one in mine}
            self._watched = {id: end for id, end in self._watched.items() if id in left}
            await self._let_go(mine)
        finally:
            if (self._watched or self._leasing) and not self.stopped:
                self._look_soon()

    async def _let_go(self, some: Iterable[Attachment]) -> None:
        """Free the ports that servers had and that pods show as nobody's."""
        by_pod: dict[str, list[Attachment]] = {}
        for one in some:
            if one.stage == BOUND:
                by_pod.setdefault(one.pod_id, []).append(one)
        await together(self._let_go_in(pod_id, some) for pod_id, some in by_pod.items())

    async def _let_go_in(self, pod_id: str, some: Sequence[Attachment]) -> None:
        pod = self.pods.get(pod_id)
        if pod is None or self.pods.is_down(pod, "network"):
            return
        ids = await self.ids_in(pod, [one.port_id for one in some])
        bottoms = {ids[key]: one for one in some if (key := Ref("ports", one.port_id)) in ids}
        fields = ("id", "device_id")
        found = await self.neutron.by_ids(pod, things.PORT, bottoms, fields=fields)
        used = {row["id"] for row in found if row["device_id"]}
        await together(self.release(one) for id, one in bottoms.items() if id not in used)

    async def ended(self, server_id: str) -> None:
        """A pod was heard to say that there is no such server, or none but in name: make sure, then
        free its ports."""
        await self._let_go(await self.of_server(server_id))
        for one in await self.of_server(server_id):
            pod = self.pods.get(one.pod_id)
            if pod is None or await self.has_server(pod, server_id):
                continue
            await self.release(one)

    async def let_go(self, port_ids: Collection[str]) -> bool:
        """Free those of these ports whose servers are gone; whether there were any."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "port_id", port_ids))
        servers = {one.server_id for one in mine if one.server_id}
        await together(self.ended(id) for id in servers)
        left = await self.store.read(lambda c: rows.attachments_of(c, "port_id", port_ids))
        return len(left) < len(mine)

    async def has_server(self, pod: Pod, server_id: str) -> bool:
        """Whether a pod has a server, as ourselves; True if that cannot be told."""
        return await self._status(pod, server_id) != ""

    async def may_bind(self, one: Attachment, pod: Pod, bottom_id: str) -> bool:
        """Whether a server that was booted on a port will use it, or does so by now."""
        if await self._status(pod, one.server_id) in (None, "BUILD"):
            return True
        found = await self.neutron.by_ids(pod, things.PORT, [bottom_id], fields=("id", "device_id"))
        return any(row["device_id"] for row in found)

    async def _status(self, pod: Pod, server_id: str) -> str | None:
        """A server's status in its pod, '' if there is none; None if that cannot be told."""
        token = await self.neutron.own_token()
        try:
            path = f"/servers/{server_id}"
            answer = await OwnCalls(self.clock, self.pods).send(pod, token, "GET", path)
            return "" if answer.status == 404 else str(document(answer)["server"]["status"])
        except (Fault, KeyError, TypeError):
            return None

    async def settle_ports(self, port_ids: Collection[str], groups: Iterable[str] = ()) -> None:
        """Make the pods that have these ports have them as they are at the top now.

        `groups` are those in which the ports were before.
        """
        mine = await self.store.read(lambda c: rows.attachments_of(c, "port_id", port_ids))
        if not mine:
            return
        found = by_id(await self.neutron.by_ids(self.center, things.PORT, port_ids))
        gone = [one for one in mine if one.port_id not in found]
        for one in gone:
            await self.release(one)
        changed = set(groups)
        for one in mine:
            pod, row = self.pods.get(one.pod_id), found.get(one.port_id)
            if pod is None or row is None or one.stage == LEASED:
                continue
            changed |= set(row["security_groups"])
            try:
                await self._settle_port(pod, row)
            except Fault as fault:
                self.later(pod, fault)
        self.members_changed(changed)

    async def settle_trunk(self, id: str, *, leave: bool = False) -> None:
        """Make the pod of a trunk's parent port have it as it is at the top now; with `leave`, or
        if it is gone there, no pod. Raises `Fault`."""
        read, center = self.neutron.by_ids, self.center
        found = [] if leave else await read(center, things.TRUNK, [id])
        parents = [row["port_id"] for row in found]
        of = rows.attachments_of
        at = await self.store.read(lambda c: of(c, "port_id", parents))
        had = await self.store.read(lambda c: of(c, "claim", [id]))
        wanted = subports(found, at)
        pod = self.pods.get(at[0].pod_id) if at and at[0].stage != LEASED else None
        if pod is None:
            for place in await self.places_of([id]):
                if there := self.pods.get(place.pod_id):
                    await self.remove_bottom(there, place.kind, id)
            some = self.pods.serving("network") if leave else ()
            await together(self._lost_trunk(there, id) for there in some)
        else:
            ports = await read(center, things.PORT, wanted)
            networks = [port["network_id"] for port in ports]
            await self._check_scope(pod, networks, "the trunk's parent port")
            await self.store.write(lambda c: rows.put_attachments(c, list(wanted.values())))
            await self.carry(pod, ports, fresh=False)
            await self._settle_trunk(pod, trunk_wanted(found[0], wanted))
        for one in had:
            if one.stage == SUBPORT and one.port_id not in wanted:
                if there := self.pods.get(one.pod_id):
                    await self.remove_bottom(there, "ports", one.port_id)
                await self.store.write(lambda c, one=one: rows.drop_attachments(c, [one.port_id]))  # type: ignore[misc]

    async def check_local_ip(self, network_id: str, port_id: str) -> None:
        """Raises `Refused` if a port is where its network's local IPs are not to be."""
        for one in await self.store.read(lambda c: rows.attachments_of(c, "port_id", [port_id])):
            if pod := self.pods.get(one.pod_id):
                await self._check_scope(pod, [network_id], f"port {port_id}")

    async def _check_scope(self, pod: Pod, networks: Collection[str], what: str) -> None:
        for network, hints in (await self.hints(networks)).items():
            if not in_scope(pod, hints):
                why = f"Network {network} is for availability zone {', '.join(hints)}, and {what} "
                why += f"is in {pod.az_name} ({pod.pod_name})."
                raise Refused(400, why, "BadRequest", pod.pod_name)

    async def _lost_trunk(self, pod: Pod, id: str) -> None:
        """Take from a pod what there is of a trunk and not recorded. Raises `Refused`."""
        if self.pods.is_down(pod, "network"):
            return
        try:
            named = {"description": things.mark(id)}
            for row in await self.neutron.rows(pod, things.TRUNK, fields=("id",), **named):
                await self.gone(pod, f"/trunks/{row['id']}")
        except PodUnavailable as fault:
            self.later(pod, fault)

    async def _settle_trunk(self, pod: Pod, wanted: Wanted) -> None:
        body = wanted.body
        named = {ref.id for ref in (body["port_id"], *(s["port_id"] for s in body["sub_ports"]))}
        ids = await self.ids_in(pod, named | {wanted.id})
        there = [bottom for key, bottom in ids.items() if key == wanted.key]
        told = {wanted.kind.path: await self.neutron.by_ids(pod, things.TRUNK, there)}
        have, _ = recognise(told, {}, {bottom: key for key, bottom in ids.items()})
        result = await self.applier.apply(pod, plan({wanted.key: wanted}, have), ids)
        if result.failed:
            raise result.failed[0]

    async def _settle_port(self, pod: Pod, row: Row) -> None:
        bottoms = await self.carry(pod, [row], fresh=False)
        told = await self.neutron.by_ids(pod, things.PORT, bottoms.values())
        if not told:
            return  # it was deleted behind our back: a pass makes it again
        names = {row["network_id"], *row["security_groups"]}
        names |= {ip["subnet_id"] for ip in row["fixed_ips"]} | {row.get("qos_policy_id") or ""}
        ids = await self.ids_in(pod, names | {row["id"]})
        top = Top(subnets=await self._automatic([row]))
        wanted = port_wanted(row, top)
        keys = {bottom: key for key, bottom in ids.items()}
        have = {wanted.key: Found(told[0]["id"], translated(told[0], keys))}
        await self.applier.apply(pod, plan({wanted.key: wanted}, have), ids)
