"""Networks, security groups and their members in pods: brought there, and kept equal."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from txaio.tx import make_logger

from trio2o.domain.errors import BadRequest, Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import Counterpart, Pod
from trio2o.networks import _things as things
from trio2o.networks._apply import NotMade, Result
from trio2o.networks._desired import (
    Top,
    desired,
    groups_wanted,
    policy_wanted,
    pool_wanted,
    reservations,
    unspanned,
)
from trio2o.networks._plan import plan, recognise
from trio2o.networks._reads import Reads, by_id, defaults_of
from trio2o.networks._things import Delete, Found, Kind, Ref, Wanted
from trio2o.store import networks as rows

log = make_logger()

SOON = 0.5
"""Seconds that changes of groups' members are gathered."""

_OF_NETWORKS = (things.NETWORK, things.RBAC, things.SUBNET, things.PORT)

_GROUPS = ("security-groups", "address-groups")


class Settle(Reads):
    """Brings things of the top to pods, and changes of them."""

    async def network_in(self, pod: Pod, network_id: str) -> None:
        """See that a network with its subnets is in a pod. Raises `Fault`."""
        key = (pod.pod_id, network_id)
        await self._carrying.run(key, lambda: self._network_in(pod, network_id))

    async def _network_in(self, pod: Pod, network_id: str) -> None:
        top = await self.top_network(network_id)
        if network_id not in top.networks:
            raise NotMade(f"Network {network_id} is gone.")
        there = {one.pod_id for one in await self.places_of([network_id])} | {pod.pod_id}
        pods = [one for one in self.pods.serving("network") if one.pod_id in there]
        if wrong := unspanned(top.networks[network_id], pods):
            raise BadRequest(wrong)
        subnets = [row["id"] for row in top.subnets_of(network_id)]
        homes = await self.store.write(lambda c: rows.take_homes(c, subnets, pod.pod_id))
        top = await self.reserve(top, reservations(top, pod, [network_id], homes))
        leases, top = await self.leases(pod, top)
        wanted = desired(self.place(pod), top, leases, homes, also=[network_id])
        ids = await self.ids_in(pod, {one.id for one in wanted.values()})
        known = {key: Found(id) for key, id in ids.items() if key in wanted}
        all_done(await self.applier.apply(pod, plan(wanted, known), ids), pod)
        for port in top.ports.values():
            if port["device_owner"] == "network:router_interface":
                self.route_soon(port["device_id"])

    def route_soon(self, router_id: str) -> None:
        """A router's networks came to a pod: it follows, behind the call."""
        run = self.routing.run(router_id, lambda: self.settle_router(self, router_id))
        self.behind(run, "a router")

    def behind(self, run: Coroutine[Any, Any, None], what: str) -> None:
        """Do something behind the call; what fails is for a pass."""
        Deferred.fromCoroutine(run).addErrback(
            lambda failure: log.warn("{what}: {why}", what=what, why=str(failure.value))
        )

    async def groups_in(self, pod: Pod, group_ids: Collection[str]) -> None:
        """See that security groups are in a pod, equal to the top's. Raises `Fault`."""
        top = await self.top_groups(group_ids)
        all_done(await self.settle_groups(pod, top, group_ids), pod)

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
        """The addresses of groups changed: pods that let them in are told, soon and all at once."""
        self._changed |= set(group_ids)
        if self._changed and self._telling is None and not self.stopped:
            self._telling = self.clock.callLater(SOON, self._begin_telling)

    def _begin_telling(self) -> None:
        Deferred.fromCoroutine(self._tell_changed()).addBoth(self._told)

    def _told(self, result: Any) -> None:
        self._telling = None
        if isinstance(result, Failure):
            log.warn("members of groups: {why}", why=str(result.value))
            self.wake()
        self.members_changed(())  # what changed meanwhile

    async def _tell_changed(self) -> None:
        changed, self._changed = self._changed, set()
        await together(self._tell_members(id) for id in sorted(changed))

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
            result = await self.applier.apply(pod, plan({wanted.key: wanted}, have), ids)
            if result.failed:
                self.wake()

    async def settle_network(self, network_id: str) -> None:
        """Make the pods that have a network have it as it is at the top now, or not at all."""
        places = [one for one in await self.places_of([network_id]) if one.kind == "networks"]
        if not places:
            return
        top = await self.top_network(network_id)
        await together(self._settle_network(one, network_id, top) for one in places)

    async def open_pools(self, pod: Pod, network_id: str) -> None:
        """Let a pod give out what was leased to it of a network that it has. Raises `Fault`."""
        top = await self.top_network(network_id)
        for one in await self.places_of([network_id]):
            here = (one.kind, one.pod_id) == ("networks", pod.pod_id)
            if here and not await self._settle_network(one, network_id, top):
                raise NotMade(f"Pod {pod.pod_name} could not be given addresses.")

    async def _settle_network(self, one: Counterpart, network_id: str, top: Top) -> bool:
        """Whether the pod has all of it; a pass is to see to what failed."""
        pod = self.pods.get(one.pod_id)
        if pod is None or self.pods.is_down(pod, "network"):
            return False
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
            policies = await self.ids_in(pod, top.policies)
            found, _ = recognise(told, {}, {id: key for key, id in policies.items()})
            leases, top = await self.leases(pod, top)
            wanted = desired(self.place(pod), top, leases, homes, also=[network_id])
            if top.networks:  # servers' ports are not looked at here
                found = {k: v for k, v in found.items() if k in wanted or k.kind != "ports"}
            ids = {key: have.bottom_id for key, have in found.items()}
            steps = plan(wanted, found)
            more = [step for step in steps if not isinstance(step, Delete)]
            made = await self.applier.apply(pod, more, ids)
            gone = await self.applier.apply(pod, steps[len(more) :], ids)  # these come last
            if made.failed or gone.failed:
                self.wake()
            return not made.failed
        except Fault as fault:
            self.later(pod, fault)
            return False

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

    async def settle_alone(self, kind: Kind, id: str) -> None:
        """Make the pods that have a QoS policy or a subnet pool have it as at the top now."""
        places = [one for one in await self.places_of([id]) if one.kind == kind.path]
        rows = await self.neutron.by_ids(self.center, kind, [id] if places else [])
        made = map(policy_wanted if kind is things.QOS else pool_wanted, rows)
        wanted = {one.key: one for one in made}
        named = [
            ref.id for one in wanted.values() for ref in one.body.values() if isinstance(ref, Ref)
        ]
        for one in places:
            pod = self.pods.get(one.pod_id)
            if pod is None or self.pods.is_down(pod, "network"):
                continue
            try:
                told = await self.neutron.by_ids(pod, kind, [one.bottom_id])
                ids = await self.ids_in(pod, [id, *named])
                found, _ = recognise({kind.path: told}, {}, {ids[key]: key for key in ids})
                if (await self.applier.apply(pod, plan(wanted, found), ids)).failed:
                    self.wake()
            except Fault as fault:
                self.later(pod, fault)

    async def remove_bottom(self, pod: Pod, kind: str, top_id: str) -> None:
        """Delete a thing's counterpart in a pod. Raises `Fault`."""
        for one in await self.places_of([top_id]):
            if one.pod_id == pod.pod_id and one.kind == kind:
                await self.gone(pod, f"/{kind}/{one.bottom_id}")
                await self.store.write(lambda c, one=one: rows.drop_counterparts(c, [one]))  # type: ignore[misc]

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


def all_done(result: Result, pod: Pod) -> None:
    """Raises `NotMade` if a step failed."""
    if result.failed:
        first = result.failed[0]
        raise NotMade(f"Pod {pod.pod_name} could not be given the network: {first.message}")
