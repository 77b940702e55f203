"""Stretched networks: what calls need of them, at once; the passes do the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from txaio.tx import make_logger

from trio2o.domain.errors import Fault
from trio2o.domain.tasks import Once, together
from trio2o.domain.values import BOOTED, BOUND, CLAIMED, LEASED, Attachment, Counterpart, Pod
from trio2o.message import Call, Headers
from trio2o.networks import _things as things
from trio2o.networks._apply import Applier, NotMade, Result, counterparts
from trio2o.networks._calls import SECONDS, Neutron, Refused
from trio2o.networks._desired import (
    Place,
    Reserve,
    Top,
    desired,
    groups_wanted,
    port_wanted,
    reservations,
)
from trio2o.networks._plan import plan, recognise, translated
from trio2o.networks._things import Create, Found, Key, Ref, Row, Wanted
from trio2o.pods import Pods, Target
from trio2o.settings import NetworkSettings
from trio2o.store import Store
from trio2o.store import networks as rows

log = make_logger()

_HOLDERS = ("network:dhcp", "network:router_interface")
"""Owners of the ports that decide what a network is like in a pod."""

WATCH = 300.0
"""Seconds for which a server that is going is looked after each second; then the passes do."""

_OF_NETWORKS = (things.NETWORK, things.RBAC, things.SUBNET, things.PORT)


class Networks:
    """Brings what calls need into pods, and answers what is called what where."""

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        store: Store,
        pods: Pods,
        own_token: Callable[[str], Awaitable[str]],
        settings: NetworkSettings,
        settle_router: Callable[[Networks, str], Coroutine[Any, Any, None]],
    ) -> None:
        """`own_token` gives a token of ours for a project ('' = our own)."""
        self.clock, self.now, self.store, self.pods = clock, now, store, pods
        self.settings = settings
        self.neutron = Neutron(clock, pods, lambda: own_token(""))
        self.applier = Applier(self.neutron, store, own_token)
        self.strangers: dict[str, bool] = {}
        self._carrying: Once[tuple[str, str], None] = Once()
        self._members: Once[str, None] = Once()
        self.routing: Once[str, None] = Once()
        self.settle_router = settle_router
        self._watched: dict[str, float] = {}
        self._leasing: dict[str, float] = {}
        self._looking: Any = None
        self.stopped = False
        self.rebuilt = False
        self.wake: Callable[[], None] = lambda: None

    @property
    def center(self) -> Pod:
        assert self.pods.center is not None
        return self.pods.center

    def place(self, pod: Pod) -> Place:
        """A pod with its names of physical networks."""
        own: dict[str, str] = {}
        for one in self.settings.physical_networks.split(","):
            name, _, there = one.strip().partition("=")
            where, _, physical = name.partition(":")
            if where == pod.pod_name:
                own[physical] = there
        return Place(pod, own)

    # what is called what

    async def ids_in(self, pod: Pod, top_ids: Collection[str]) -> dict[Key, str]:
        """The pod's ids of things of the top, by key."""
        found = await self.store.read(lambda c: rows.counterparts_of(c, top_ids))
        return counterparts(found, pod)

    async def places_of(self, top_ids: Collection[str]) -> tuple[Counterpart, ...]:
        """In which pods things are, and as what."""
        return await self.store.read(lambda c: rows.counterparts_of(c, top_ids))

    async def tops(self, bottom_ids: Collection[str]) -> dict[str, str]:
        """The top's ids of what is told by the pods' ids."""
        found = await self.store.read(lambda c: rows.counterparts_by_bottom(c, bottom_ids))
        return {bottom: one.top_id for bottom, one in found.items()}

    # scope

    async def hints(self, ids: Collection[str]) -> dict[str, list[str]]:
        """AZ hints of the networks and routers that have any."""
        return await self.store.read(lambda c: rows.hints_of(c, ids))

    async def keep_hints(self, hints: dict[str, list[str]]) -> None:
        await self.store.write(lambda c: rows.put_hints(c, hints))

    async def drop_hints(self, ids: Collection[str]) -> None:
        await self.store.write(lambda c: rows.drop_hints(c, ids))

    # a call that wants ports in a pod

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
        named = {port["network_id"] for port in ports}
        named |= {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        groups = {id for port in ports for id in port["security_groups"]}
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
        wanted = [port_wanted(port, top) for port in ports]
        missing = [Create(one) for one in wanted if one.key not in ids]
        _all_done(await self.applier.apply(pod, missing, ids, fresh=fresh), pod)
        self.members_changed(groups)
        return {port["id"]: ids[Ref("ports", port["id"])] for port in ports}

    async def _automatic(self, ports: Sequence[Row]) -> dict[str, Row]:
        """The subnets of IPv6 addresses, which may follow from MACs."""
        ids = {
            ip["subnet_id"] for port in ports for ip in port["fixed_ips"] if ":" in ip["ip_address"]
        }
        if not ids:
            return {}
        found = await self.neutron.by_ids(self.center, things.SUBNET, ids)
        return {row["id"]: row for row in found}

    async def _forget(self, pod: Pod, ports: Sequence[Row]) -> None:
        named = {port["network_id"] for port in ports}
        named |= {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        named |= {id for port in ports for id in port["security_groups"]}
        gone = [one for one in await self.places_of(named) if one.pod_id == pod.pod_id]
        await self.store.write(lambda c: rows.drop_counterparts(c, gone))

    async def network_in(self, pod: Pod, network_id: str) -> None:
        """See that a network with its subnets is in a pod. Raises `Fault`."""
        key = (pod.pod_id, network_id)
        await self._carrying.run(key, lambda: self._network_in(pod, network_id))

    async def _network_in(self, pod: Pod, network_id: str) -> None:
        top = await self.top_network(network_id)
        if network_id not in top.networks:
            raise NotMade(f"Network {network_id} is gone.")
        subnets = [row["id"] for row in top.subnets_of(network_id)]
        homes = await self.store.write(lambda c: rows.take_homes(c, subnets, pod.pod_id))
        top = await self.reserve(top, reservations(top, pod, [network_id], homes))
        leases, top = await self.leases(pod, top)
        wanted = desired(self.place(pod), top, leases, homes, also=[network_id])
        ids = await self.ids_in(pod, {one.id for one in wanted.values()})
        known = {key: Found(id) for key, id in ids.items() if key in wanted}
        _all_done(await self.applier.apply(pod, plan(wanted, known), ids), pod)
        for port in top.ports.values():
            if port["device_owner"] == "network:router_interface":
                self.route_soon(port["device_id"])

    async def leases(self, pod: Pod, top: Top) -> tuple[tuple[Attachment, ...], Top]:
        """The addresses that a pod may give out itself; the top with their ports."""
        leases = await self.store.read(lambda c: rows.leases_in(c, pod.pod_id))
        ids = [one.port_id for one in leases if one.port_id not in top.ports]
        ports = by_id(await self.neutron.by_ids(self.center, things.PORT, ids))
        return leases, evolve(top, ports=top.ports | ports)

    async def lease(self, pod: Pod, ports: Sequence[Row]) -> dict[Key, str]:
        """Let a pod give the addresses of these ports, which were claimed as leases, to servers
        that it makes at once; the pod's ids of their networks and groups. Raises `Fault`."""
        nets = {port["network_id"] for port in ports}
        groups = {id for port in ports for id in port["security_groups"]}
        ids = await self.ids_in(pod, nets | groups)
        for id in sorted(nets):
            await self.network_in(pod, id)
            await self.settle_network(id)
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
        told = await self.neutron.by_ids(pod, things.PORT, ids.values(), name="network_id")
        made = {
            (row["network_id"], ip["ip_address"]): row
            for row in told
            if row["device_id"] and row["device_owner"].startswith("compute:")
            for ip in row["fixed_ips"]
        }
        old = self.now() - self.settings.claim_seconds
        for one in leases:
            row = tops.get(one.port_id)
            network = ids.get(Ref("networks", row["network_id"])) if row else None
            addresses = [ip["ip_address"] for ip in row["fixed_ips"]] if row else []
            twins = [made[key] for ip in addresses if network and (key := (network, ip)) in made]
            if row is not None and twins:
                await self._adopt(pod, one, twins[0])
            elif one.since < old:
                await self.release(one)
        await together(self.settle_network(id) for id in nets)

    async def _adopt(self, pod: Pod, one: Attachment, twin: Row) -> None:
        body: Row = {"port": {"description": things.mark(one.port_id)}}
        await self.neutron.ask(pod, "PUT", f"/ports/{twin['id']}", body)
        twins = [Counterpart("ports", one.port_id, pod.pod_id, twin["id"])]
        await self.store.write(lambda c: rows.put_counterparts(c, twins))
        body = {
            "port": {
                "mac_address": twin["mac_address"],
                "device_id": twin["device_id"],
                "device_owner": f"compute:{pod.az_name}",
            }
        }
        await self.neutron.ask(self.center, "PUT", f"/ports/{one.port_id}", body)
        used = evolve(one, server_id=twin["device_id"], stage=BOUND)
        await self.store.write(lambda c: rows.put_attachments(c, [used]))

    async def top_network(self, network_id: str) -> Top:
        """All of one network at the top but its servers' ports."""
        center, neutron = self.center, self.neutron
        here = (("network_id", network_id),)
        networks, subnets, ports, shares = await together(
            [
                neutron.rows(center, things.NETWORK, id=network_id),
                neutron.rows(center, things.SUBNET, network_id=network_id),
                neutron.by_ids(center, things.PORT, _HOLDERS, name="device_owner", also=here),
                neutron.rows(center, things.RBAC, object_id=network_id),
            ]
        )
        return Top(by_id(networks), by_id(subnets), by_id(ports), shares=shares)

    async def reserve(self, top: Top, wanted: Iterable[Reserve]) -> Top:
        """Hold addresses at the top; what it holds then. Raises `Fault`."""

        async def hold(one: Reserve) -> Row:
            fixed: list[Row] = [{"subnet_id": id} for id in one.subnet_ids]
            body: Row = {"fixed_ips": fixed}
            if one.port is not None:
                body["fixed_ips"] = one.port["fixed_ips"] + fixed
                path = f"/ports/{one.port['id']}"
                said = await self.neutron.ask(self.center, "PUT", path, {"port": body})
            else:
                body |= {
                    "network_id": one.network_id,
                    "project_id": one.project_id,
                    "device_owner": "network:dhcp",
                    "device_id": one.device_id,
                    "port_security_enabled": False,
                }
                said = await self.neutron.ask(self.center, "POST", "/ports", {"port": body})
            row: Row = said["port"]
            return row

        made = await together(hold(one) for one in wanted)
        return evolve(top, ports=top.ports | by_id(made)) if made else top

    def route_soon(self, router_id: str) -> None:
        """A router's networks came to a pod: it follows, behind the call."""
        run = self.routing.run(router_id, lambda: self.settle_router(self, router_id))
        Deferred.fromCoroutine(run).addErrback(
            lambda failure: log.warn("a router: {why}", why=str(failure.value))
        )

    async def groups_in(self, pod: Pod, group_ids: Collection[str]) -> None:
        """See that security groups are in a pod, equal to the top's. Raises `Fault`."""
        top = await self.top_groups(group_ids)
        _all_done(await self.settle_groups(pod, top, group_ids), pod)

    async def top_groups(self, group_ids: Collection[str]) -> Top:
        """Security groups at the top, and the ports of those that their rules name."""
        found = await self.neutron.by_ids(self.center, things.GROUP, group_ids)
        rules = [rule for group in found for rule in group["security_group_rules"]]
        remotes = {rule["remote_group_id"] for rule in rules} - {None}
        lists = {rule.get("remote_address_group_id") for rule in rules} - {None}
        ports, addresses = await together(
            [
                self.neutron.by_ids(self.center, things.PORT, remotes, name="security_groups"),
                self.neutron.by_ids(self.center, things.ADDRESSES, lists),
            ]
        )
        return Top(groups=by_id(found), ports=by_id(ports), addresses=by_id(addresses))

    async def settle_groups(self, pod: Pod, top: Top, group_ids: Collection[str]) -> Result:
        """Make security groups of a pod equal to the top's, those that are gone there gone."""
        wanted = {one.key: one for one in groups_wanted(top, group_ids)}
        known = await self.ids_in(pod, {key.id for key in wanted} | set(group_ids))
        ids = {key: id for key, id in known.items() if key.kind in _GROUPS}
        makes = {key: one for key, one in wanted.items() if one.kind is not things.RULE}
        missing = {key: Found(id) for key, id in ids.items() if key in makes}
        result = await self.applier.apply(pod, plan(makes, missing), ids)
        # a group comes with rules of Neutron's own: look, and make them the wanted ones
        told = {
            kind.path: await self.neutron.by_ids(
                pod, kind, [id for key, id in ids.items() if key.kind == kind.path]
            )
            for kind in (things.GROUP, things.ADDRESSES)
        }
        defaults = defaults_of(wanted.values())
        found, _ = recognise(told, defaults)
        found = {
            key: one for key, one in found.items() if key in wanted or key.id not in top.groups
        }
        after = await self.applier.apply(pod, plan(wanted, found), ids)
        return Result(result.done + after.done, result.failed + after.failed)

    def members_changed(self, group_ids: Iterable[str]) -> None:
        """The addresses of groups changed: pods that let them in are told, behind the call."""
        for id in group_ids:
            run = self._members.run(id, lambda id=id: self._tell_members(id))  # type: ignore[misc]
            Deferred.fromCoroutine(run).addErrback(
                lambda failure: log.warn("members of a group: {why}", why=str(failure.value))
            )

    async def _tell_members(self, group_id: str) -> None:
        places = [one for one in await self.places_of([group_id]) if one.kind == "address-groups"]
        if not places:
            return
        ports, lists = await together(
            [
                self.neutron.by_ids(self.center, things.PORT, [group_id], name="security_groups"),
                self.neutron.by_ids(self.center, things.ADDRESSES, [group_id]),
            ]
        )
        members = lists[0]["addresses"] if lists else Top(ports=by_id(ports)).members(group_id)
        body = {"addresses": sorted(members)}
        await together(
            self._tell(one, Wanted(things.ADDRESSES, group_id, "", body)) for one in places
        )

    async def _tell(self, place: Counterpart, wanted: Wanted) -> None:
        pod = self.pods.get(place.pod_id)
        if pod is None or self.pods.is_down(pod, "network"):
            return  # a pass does it when the pod is back
        told = await self.neutron.by_ids(pod, things.ADDRESSES, [place.bottom_id])
        if told:
            have = {wanted.key: Found(place.bottom_id, told[0])}
            ids = {wanted.key: place.bottom_id}
            await self.applier.apply(pod, plan({wanted.key: wanted}, have), ids)

    async def booted(self, claim: str, server_id: str, pod: Pod) -> None:
        """The pod took the call: the top's ports are the server's. It is in the store first."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "claim", [claim]))
        taken = [
            evolve(one, server_id=server_id, stage=BOOTED) for one in mine if one.stage == CLAIMED
        ]
        await self.store.write(lambda c: rows.put_attachments(c, taken))
        await together(self.take(one.port_id, server_id, pod) for one in taken)

    async def take(self, port_id: str, server_id: str, pod: Pod) -> None:
        """Write at the top whose a port is, as Nova does."""
        body = {"port": {"device_id": server_id, "device_owner": f"compute:{pod.az_name}"}}
        try:
            await self.neutron.ask(self.center, "PUT", f"/ports/{port_id}", body)
        except Fault as fault:  # the server is there: a pass writes it later
            log.warn("port {id}: {why}", id=port_id, why=str(fault))

    async def abandon(self, claim: str) -> None:
        """Nothing came of a claim: what was made for it goes, the rest is free again."""
        mine = await self.store.read(lambda c: rows.attachments_of(c, "claim", [claim]))
        await together(self.release(one) for one in mine)

    async def free(self, server_id: str) -> None:
        """The server is gone: its ports go with it, or are free again."""
        mine = await self.of_server(server_id)
        await together(self.release(one) for one in mine)

    async def of_server(self, server_id: str) -> tuple[Attachment, ...]:
        return await self.store.read(lambda c: rows.attachments_of(c, "server_id", [server_id]))

    async def release(self, one: Attachment) -> None:
        """A port leaves its pod; at the top first, so that what was told stays true.

        What fails is for a pass: the attachment stays.
        """
        try:
            found = await self.neutron.by_ids(self.center, things.PORT, [one.port_id])
            path = f"/ports/{one.port_id}"
            if found and one.ours:
                await self.gone(self.center, path)
            elif found:
                body = {"port": {"device_id": "", "device_owner": ""}}
                await self.neutron.ask(self.center, "PUT", path, body)
            pod = self.pods.get(one.pod_id)
            if pod is not None:
                await self.remove_bottom(pod, "ports", one.port_id)
        except Fault as fault:
            log.warn("port {id} is not free yet: {why}", id=one.port_id, why=str(fault))
            return
        await self.store.write(lambda c: rows.drop_attachments(c, [one.port_id]))
        self.members_changed(id for row in found for id in row["security_groups"])

    async def remove_bottom(self, pod: Pod, kind: str, top_id: str) -> None:
        """Delete a thing's counterpart in a pod. Raises `Fault`."""
        for one in await self.places_of([top_id]):
            if one.pod_id == pod.pod_id and one.kind == kind:
                await self.gone(pod, f"/{kind}/{one.bottom_id}")
                await self.store.write(lambda c, one=one: rows.drop_counterparts(c, [one]))  # type: ignore[misc]

    async def gone(self, pod: Pod, path: str) -> None:
        try:
            await self.neutron.ask(pod, "DELETE", path)
        except Refused as refused:
            if refused.status != 404:
                raise

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
        if self._looking is not None and self._looking.active():
            self._looking.cancel()

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
            by_pod: dict[str, list[Attachment]] = {}
            for one in mine:
                by_pod.setdefault(one.pod_id, []).append(one)
            await together(self._let_go(pod_id, some) for pod_id, some in by_pod.items())
        finally:
            if (self._watched or self._leasing) and not self.stopped:
                self._look_soon()

    async def _let_go(self, pod_id: str, some: Sequence[Attachment]) -> None:
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
        """A pod was heard to say that there is no such server: make sure, then free its ports."""
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
        token = await self.neutron.own_token()
        call = Call("GET", f"/servers/{server_id}".encode(), b"", _headers(token))
        deadline = self.clock.seconds() + SECONDS
        try:
            answer = await self.pods.send(pod, Target("compute", ""), call, deadline)
        except Fault:
            return True
        return answer.status != 404

    # after a change at the top

    async def settle_network(self, network_id: str) -> None:
        """Make the pods that have a network have it as it is at the top now, or not at all."""
        places = [one for one in await self.places_of([network_id]) if one.kind == "networks"]
        if not places:
            return
        top = await self.top_network(network_id)
        await together(self._settle_network(one, network_id, top) for one in places)

    async def _settle_network(self, one: Counterpart, network_id: str, top: Top) -> None:
        pod = self.pods.get(one.pod_id)
        if pod is None or self.pods.is_down(pod, "network"):
            return
        neutron, bottom = self.neutron, one.bottom_id
        subnets = [row["id"] for row in top.subnets_of(network_id)]
        try:
            homes = await self.store.write(lambda c: rows.take_homes(c, subnets, pod.pod_id))
            top = await self.reserve(top, reservations(top, pod, top.networks, homes))
            told = dict(
                zip(
                    (kind.path for kind in _OF_NETWORKS),
                    await together(
                        [
                            neutron.rows(pod, things.NETWORK, id=bottom),
                            neutron.rows(pod, things.RBAC, object_id=bottom),
                            neutron.rows(pod, things.SUBNET, network_id=bottom),
                            neutron.rows(pod, things.PORT, network_id=bottom),
                        ]
                    ),
                    strict=True,
                )
            )
            found, _ = recognise(told, {})
            leases, top = await self.leases(pod, top)
            wanted = desired(self.place(pod), top, leases, homes, also=[network_id])
            if top.networks:  # servers' ports are not looked at here
                found = {k: v for k, v in found.items() if k in wanted or k.kind != "ports"}
            ids = {key: have.bottom_id for key, have in found.items()}
            result = await self.applier.apply(pod, plan(wanted, found), ids)
            if result.failed:
                self.wake()
        except Fault as fault:
            self.later(pod, fault)

    async def settle_all_groups(self, group_ids: Collection[str]) -> None:
        """Make the pods that have these security groups have them as at the top now."""
        places = [o for o in await self.places_of(group_ids) if o.kind == "security-groups"]
        if not places:
            return
        top = await self.top_groups(group_ids)

        async def settle(pod: Pod) -> None:
            try:
                await self.settle_groups(pod, top, group_ids)
            except Fault as fault:
                self.later(pod, fault)

        pods = {one.pod_id: self.pods.get(one.pod_id) for one in places}
        up = [pod for pod in pods.values() if pod and not self.pods.is_down(pod, "network")]
        await together(settle(pod) for pod in up)

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

    async def _settle_port(self, pod: Pod, row: Row) -> None:
        bottoms = await self.carry(pod, [row], fresh=False)
        told = await self.neutron.by_ids(pod, things.PORT, bottoms.values())
        if not told:
            return  # it was deleted behind our back: a pass makes it again
        names = {row["network_id"], *row["security_groups"]}
        names |= {ip["subnet_id"] for ip in row["fixed_ips"]}
        ids = await self.ids_in(pod, names | {row["id"]})
        top = Top(subnets=await self._automatic([row]))
        wanted = port_wanted(row, top)
        keys = {bottom: key for key, bottom in ids.items()}
        have = {wanted.key: Found(told[0]["id"], translated(told[0], keys))}
        await self.applier.apply(pod, plan({wanted.key: wanted}, have), ids)

    def later(self, pod: Pod, fault: Fault) -> None:
        """What a pod did not take now is for a pass, soon."""
        log.warn("pod {pod}: networks: {why}", pod=pod.pod_name, why=str(fault))
        self.wake()

    async def remove_everywhere(self, top_id: str) -> None:
        """Delete a thing that is gone at the top from the pods that have it."""
        for one in await self.places_of([top_id]):
            pod = self.pods.get(one.pod_id)
            if pod is None or self.pods.is_down(pod, "network"):
                continue
            try:
                await self.remove_bottom(pod, one.kind, top_id)
            except Fault as fault:
                self.later(pod, fault)


_GROUPS = ("security-groups", "address-groups")


def _headers(token: str) -> Headers:
    return ((b"X-Auth-Token", token.encode()), (b"Accept", b"application/json"))


def by_id(found: Iterable[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in found}


def defaults_of(wanted: Iterable[Wanted]) -> dict[str, str]:
    """The `default` groups that are wanted, by project."""
    return {
        one.project_id: one.id
        for one in wanted
        if one.kind is things.GROUP and one.body["name"] == "default"
    }


def _all_done(result: Result, pod: Pod) -> None:
    """Raises `NotMade` if a step failed."""
    if result.failed:
        first = result.failed[0]
        raise NotMade(f"Pod {pod.pod_name} could not be given the network: {first.message}")
