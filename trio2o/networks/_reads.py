"""What is read: counterparts and hints in the store, parts of the top Neutron."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

from attrs import evolve
from txaio.tx import make_logger

from trio2o.domain.errors import Fault
from trio2o.domain.tasks import Fresh, Once, together
from trio2o.domain.values import Attachment, Counterpart, Pod
from trio2o.networks import _things as things
from trio2o.networks._apply import Applier, counterparts
from trio2o.networks._calls import Neutron, Refused
from trio2o.networks._desired import Place, Reserve, Top
from trio2o.networks._things import Key, Row, Wanted
from trio2o.pods import Pods
from trio2o.settings import NetworkSettings
from trio2o.store import Store
from trio2o.store import networks as rows

log = make_logger()

_HOLDERS = ("network:dhcp", "network:router_interface")
"""Owners of the ports that decide what a network is like in a pod."""


class Reads:
    """What all that is done about networks needs to know."""

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        store: Store,
        pods: Pods,
        own_token: Callable[[str], Awaitable[str]],
        settings: NetworkSettings,
        settle_router: Callable[[Any, str], Coroutine[Any, Any, None]],
    ) -> None:
        """`own_token` gives a token of ours for a project ('' = our own)."""
        self.clock, self.now, self.store, self.pods = clock, now, store, pods
        self.settings = settings
        self.neutron = Neutron(clock, pods, lambda: own_token(""))
        self.applier = Applier(self.neutron, store, own_token)
        self.strangers: dict[str, bool] = {}
        self._carrying: Once[tuple[str, str], None] = Once()
        self._changed: set[str] = set()
        self._telling: Any = None
        self.routing: Fresh[str, None] = Fresh()
        self.settle_router = settle_router
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

    async def hints(self, ids: Collection[str]) -> dict[str, list[str]]:
        """AZ hints of the networks and routers that have any."""
        return await self.store.read(lambda c: rows.hints_of(c, ids))

    async def keep_hints(self, hints: dict[str, list[str]]) -> None:
        await self.store.write(lambda c: rows.put_hints(c, hints))

    async def drop_hints(self, ids: Collection[str]) -> None:
        await self.store.write(lambda c: rows.drop_hints(c, ids))

    async def of_server(self, server_id: str) -> tuple[Attachment, ...]:
        return await self.store.read(lambda c: rows.attachments_of(c, "server_id", [server_id]))

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
        found = Top(by_id(networks), by_id(subnets), by_id(ports), shares=shares)
        return await self.with_pools(await self.with_policies(found, networks))

    async def with_pools(self, top: Top) -> Top:
        """The top with the pools of the IPv6 subnets that it has, and their address scopes."""
        read, subnets = self.neutron.by_ids, top.subnets.values()
        ids = {row["subnetpool_id"] for row in subnets if row["ip_version"] == 6} - {None}
        pools = await read(self.center, things.POOL, ids)
        scopes = {row["address_scope_id"] for row in pools} - {None}
        return evolve(
            top, pools=by_id(pools), scopes=by_id(await read(self.center, things.SCOPE, scopes))
        )

    async def with_policies(self, top: Top, users: Iterable[Row]) -> Top:
        """The top with the QoS policies of networks or ports."""
        ids = {id for row in users if (id := row.get("qos_policy_id"))}
        found = await self.neutron.by_ids(self.center, things.QOS, ids)
        return evolve(top, policies=top.policies | by_id(found))

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

    async def leases(self, pod: Pod, top: Top) -> tuple[tuple[Attachment, ...], Top]:
        """The addresses that a pod may give out itself; the top with their ports."""
        leases = await self.store.read(lambda c: rows.leases_in(c, pod.pod_id))
        ids = [one.port_id for one in leases if one.port_id not in top.ports]
        ports = by_id(await self.neutron.by_ids(self.center, things.PORT, ids))
        return leases, evolve(top, ports=top.ports | ports)

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

    async def _automatic(self, ports: Sequence[Row]) -> dict[str, Row]:
        """The subnets of IPv6 addresses, which may follow from MACs."""
        ids = {
            ip["subnet_id"] for port in ports for ip in port["fixed_ips"] if ":" in ip["ip_address"]
        }
        if not ids:
            return {}
        found = await self.neutron.by_ids(self.center, things.SUBNET, ids)
        return {row["id"]: row for row in found}

    async def gone(self, pod: Pod, path: str) -> None:
        try:
            await self.neutron.ask(pod, "DELETE", path)
        except Refused as refused:
            if refused.status != 404:
                raise

    def later(self, pod: Pod, fault: Fault) -> None:
        """What a pod did not take now is for a pass, soon."""
        log.warn("pod {pod}: networks: {why}", pod=pod.pod_name, why=str(fault))
        self.wake()


def in_scope(pod: Pod, hints: list[str]) -> bool:
    """Whether a network with these AZ hints may be in a pod: of the AZ, or the one named."""
    return not hints or any(pod.is_in(hint) or hint == pod.pod_name for hint in hints)


def by_id(found: Iterable[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in found}


def defaults_of(wanted: Iterable[Wanted]) -> dict[str, str]:
    """The `default` groups that are wanted, by project."""
    return {
        one.project_id: one.id
        for one in wanted
        if one.kind is things.GROUP and one.body["name"] == "default"
    }
