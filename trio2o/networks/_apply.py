"""Doing what was planned: one thing in one pod at a time, and any step may be done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from itertools import groupby
from typing import Any

from attrs import define, evolve, field
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, Unavailable
from trio2o.domain.tasks import Once, together
from trio2o.domain.values import Counterpart, Pod
from trio2o.networks import _things as things
from trio2o.networks._calls import Neutron, Refused
from trio2o.networks._parts import less
from trio2o.networks._things import (
    Create,
    Delete,
    Key,
    Kind,
    Ref,
    Row,
    Step,
    Update,
    Wanted,
    key_of,
    mark,
)
from trio2o.store import Store
from trio2o.store import networks as rows

log = make_logger()

NO_LIMIT = dict.fromkeys(
    (
        *("network", "subnet", "port", "router", "floatingip"),
        *("security_group", "security_group_rule", "rbac_policy"),
    ),
    -1,
)
"""A pod counts nothing: limits are the top's."""

QUOTA = "quotas"

AT_ONCE = 8
"""Steps of one kind at once in one pod."""


class NotMade(Unavailable):
    """A pod could not be brought to what it needs for a call."""


@define
class Result:
    done: int = 0
    failed: list[Fault] = field(factory=list)


class Applier:
    """Applies steps to pods and keeps the record of what is called what there."""

    def __init__(
        self, neutron: Neutron, store: Store, own_token: Callable[[str], Awaitable[str]]
    ) -> None:
        """`own_token` gives a token of ours for a project."""
        self._neutron, self._store, self._own_token = neutron, store, own_token
        self._making: Once[tuple[str, Key], str] = Once()

    async def apply(
        self, pod: Pod, steps: Sequence[Step], ids: MutableMapping[Key, str], *, fresh: bool = False
    ) -> Result:
        """Do the steps in their order, those of one kind side by side.

        `ids` are the pod's ids of what is there, and get those of what is made. A step that fails
        leaves the others. `fresh`: ports that are to be made cannot be there already.
        """
        result = Result()

        async def do(step: Step) -> None:
            try:
                if isinstance(step, Create):
                    look = not (fresh and step.wanted.kind is things.PORT)
                    ids[step.wanted.key] = await self.create(pod, step.wanted, ids, look=look)
                elif isinstance(step, Update):
                    await self._update(pod, step, ids)
                else:
                    await self._delete(pod, step)
                result.done += 1
            except Fault as fault:
                result.failed.append(fault)
                key = key_of(step)
                log.warn(
                    "pod {pod}: {step} of {kind} {id}: {why}",
                    pod=pod.pod_name,
                    step=type(step).__name__.lower(),
                    kind=key.kind,
                    id=key.id,
                    why=str(fault),
                )

        for _, alike in groupby(steps, _phase):
            some = list(alike)
            for start in range(0, len(some), AT_ONCE):
                await together(do(step) for step in some[start : start + AT_ONCE])
        return result

    async def create(
        self, pod: Pod, wanted: Wanted, ids: MutableMapping[Key, str], *, look: bool = True
    ) -> str:
        """The id in the pod of what is made there, or found. Raises `Fault`."""
        return await self._making.run(
            (pod.pod_id, wanted.key), lambda: self._create(pod, wanted, ids, look)
        )

    async def _create(
        self, pod: Pod, wanted: Wanted, ids: MutableMapping[Key, str], look: bool
    ) -> str:
        kind = wanted.kind
        if kind is things.INTERFACE:
            return await self._join(pod, resolved(wanted.body, ids, pod))
        await self._lift_quota(pod, wanted.project_id)
        body = resolved(wanted.body | wanted.made_with, ids, pod)
        for name in [name for name, value in wanted.made_with.items() if value is None]:
            del body[name]
        parts = kind.parts.name if kind.parts else ""
        for name in {"qos_policy_id", "extra_dhcp_opts", "enable_ndp_proxy", parts} & set(body):
            if not body[name]:
                del body[name]  # a pod without the extension does not know the word
        body["project_id"] = wanted.project_id
        if kind is not things.RBAC:
            body[kind.mark] = mark(wanted.id)
        found = await self._find(pod, wanted) if look else None
        if found is None and kind is things.GROUP and body["name"] == "default":
            found = await self._default_group(pod, wanted, body)
        if found is None and body.get("device_owner") == "network:dhcp":
            found = await self._metadata_port(pod, body)
        if found is None:
            try:
                said = await self._neutron.ask(pod, "POST", f"/{kind.path}", {kind.key: body})
                found = str(said[kind.key]["id"])
            except Refused as refused:
                words = [w for w in things.NEW_WORDS if w in body and w in refused.message]
                if refused.status == 400 and words:
                    bare = {k: v for k, v in wanted.body.items() if k not in words}
                    return await self._create(pod, evolve(wanted, body=bare), ids, look)
                held = body.get("device_id") == things.DHCP
                if refused.status != 409 or not (held or kind in (things.RULE, things.RBAC)):
                    raise
                if not held:  # the same rule or share is there already, by whomever
                    return ""
                found = await self._agents_port(pod, body)
        if kind not in (things.RULE, things.RBAC):  # these are told by what they say
            made = Counterpart(kind.path, wanted.id, pod.pod_id, found)
            await self._store.write(lambda c: rows.put_counterparts(c, [made]))
        return found

    async def _join(self, pod: Pod, body: Row) -> str:
        path = f"/routers/{body['router']}/add_router_interface"
        if "fixed_ips" in body:  # once these are taken, they stay
            like = {"device_id": body["router"], "device_owner": "network:router_interface"}
            for some in ({"name": things.JOINING} | like, {"fixed_ips": body["fixed_ips"]}, _FREE):
                await self._neutron.ask(pod, "PUT", f"/ports/{body['port']}", {"port": some})
        await self._neutron.ask(pod, "PUT", path, {"port_id": body["port"]})
        return f"{body['router']}/{body['port']}"

    async def _part(self, pod: Pod, joined: str) -> None:
        router, _, port = joined.partition("/")
        path = f"/routers/{router}/remove_router_interface"
        try:
            await self._neutron.ask(pod, "PUT", path, {"port_id": port})
        except Refused as refused:
            if refused.kind != "RouterInterfaceInUseByRoute":
                raise
            await self._neutron.ask(pod, "PUT", f"/routers/{router}", {"router": {"routes": []}})
            await self._neutron.ask(pod, "PUT", path, {"port_id": port})

    async def _find(self, pod: Pod, wanted: Wanted) -> str | None:
        if wanted.kind in (things.RULE, things.RBAC):
            return None
        named = {wanted.kind.mark: mark(wanted.id)}
        found = await self._neutron.rows(pod, wanted.kind, fields=("id",), **named)
        return min(str(row["id"]) for row in found) if found else None

    async def _default_group(self, pod: Pod, wanted: Wanted, body: Row) -> str:
        """A project's own `default` group; asking for it as the project makes Neutron make it."""
        token = await self._own_token(wanted.project_id)
        found = await self._neutron.rows(
            pod,
            things.GROUP,
            fields=("id",),
            token=token,
            name="default",
            project_id=wanted.project_id,
        )
        if not found:
            raise NotMade(f"Pod {pod.pod_name} has no default security group for the project.")
        return await self._marked(pod, things.GROUP, found[0]["id"], body)

    async def _agents_port(self, pod: Pod, body: Row) -> str:
        """The port of a DHCP agent that took the address before it was held: it holds it now."""
        mine = {"network_id": body["network_id"], "device_owner": body["device_owner"]}
        wanted = {ip["ip_address"] for ip in body["fixed_ips"]}
        for row in await self._neutron.rows(pod, things.PORT, **mine):
            if wanted & {ip["ip_address"] for ip in row["fixed_ips"]}:
                return await self._marked(pod, things.PORT, row["id"], body)
        raise NotMade(f"Pod {pod.pod_name} gave the address of its DHCP to something else.")

    async def _marked(self, pod: Pod, kind: Kind, id: str, body: Row, *more: str) -> str:
        """Make what is there ours, with `more` members of the body."""
        change = {kind.key: {name: body[name] for name in ("description", *more)}}
        await self._neutron.ask(pod, "PUT", f"/{kind.path}/{id}", change)
        return id

    async def _metadata_port(self, pod: Pod, body: Row) -> str | None:
        """The port from which OVN serves DHCP; it comes with the network, and with the addresses
        that it has once DHCP is switched on it takes no others."""
        found = await self._neutron.rows(
            pod,
            things.PORT,
            fields=("id",),
            network_id=body["network_id"],
            device_owner="network:distributed",
        )
        if not found:
            return None
        return await self._marked(pod, things.PORT, found[0]["id"], body, "fixed_ips")

    async def _lift_quota(self, pod: Pod, project_id: str) -> None:
        if not project_id:
            return
        known = await self._store.read(lambda c: rows.counterparts_of(c, [project_id]))
        if any((one.kind, one.pod_id) == (QUOTA, pod.pod_id) for one in known):
            return
        await self._neutron.ask(pod, "PUT", f"/quotas/{project_id}", {"quota": NO_LIMIT})
        lifted = Counterpart(QUOTA, project_id, pod.pod_id, project_id)
        await self._store.write(lambda c: rows.put_counterparts(c, [lifted]))

    async def _update(self, pod: Pod, step: Update, ids: MutableMapping[Key, str]) -> None:
        kind, id = step.wanted.kind, ids.get(step.wanted.key)
        if id is None:
            raise NotMade(f"{step.wanted.id} is not there yet")
        changes, path = resolved(step.changes, ids, pod), f"/{kind.path}/{id}"
        if pool := changes.pop("subnetpool_id", None):
            body = {"network_id": resolved(step.wanted.body["network_id"], ids, pod)}
            onboard = f"/{things.POOL.path}/{pool}/onboard_network_subnets"
            await self._neutron.ask(pod, "PUT", onboard, body)
        if kind is things.ROUTER and "enable_ndp_proxy" in step.row:  # else it goes by its gateway
            changes.setdefault("enable_ndp_proxy", step.wanted.body["enable_ndp_proxy"])
        more: Callable[[], Awaitable[None]] | None = None
        if kind.parts is not None and kind.parts.name in changes:
            more = await less(self._neutron, pod, kind, id, changes.pop(kind.parts.name))
        if "extra_dhcp_opts" in changes:  # what is not named stays
            told = {
                (o["opt_name"], o["ip_version"]): o | {"opt_value": None} for o in _options(step)
            }
            for one in changes["extra_dhcp_opts"]:
                told.pop((one["opt_name"], one.get("ip_version", 4)), None)
            changes["extra_dhcp_opts"] = [*changes["extra_dhcp_opts"], *told.values()]
        gateway = changes.get("external_gateway_info")
        if gateway and (step.row.get("external_gateway_info") or {}).get("qos_policy_id"):
            gateway.setdefault("qos_policy_id", None)  # what is not named stays
        # a router's routes are judged before its new gateway is there
        first = {name: changes.pop(name) for name in ("external_gateway_info",) if name in changes}
        for part in (first, changes):
            if part:
                await self._neutron.ask(pod, "PUT", path, {kind.key: part})
        if more is not None:
            await more()

    async def _delete(self, pod: Pod, step: Delete) -> None:
        kind = things.BY_PATH[step.key.kind]
        try:
            if kind is things.INTERFACE:
                await self._part(pod, step.bottom_id)
            else:
                await self._remove(pod, kind, step.bottom_id)
        except Refused as refused:
            if refused.status != 404:
                raise
        gone = Counterpart(kind.path, step.key.id, pod.pod_id, step.bottom_id)
        await self._store.write(lambda c: rows.drop_counterparts(c, [gone]))

    async def _remove(self, pod: Pod, kind: Kind, id: str) -> None:
        try:
            await self._neutron.ask(pod, "DELETE", f"/{kind.path}/{id}")
        except Refused as refused:
            if refused.status != 409:
                raise
            if kind.parts is not None and kind.parts.holds:
                await less(self._neutron, pod, kind, id, [])
            elif kind is things.PORT and await self._neutron.rows(
                pod, kind, id=id, name=things.JOINING
            ):
                await self._neutron.ask(pod, "PUT", f"/ports/{id}", {"port": _FREE})
            else:
                raise
            await self._neutron.ask(pod, "DELETE", f"/{kind.path}/{id}")


_FREE = {"name": "", "device_id": "", "device_owner": ""}
"""What a port says that is nobody's."""


def _options(step: Update) -> list[Row]:
    """The DHCP options that a port had."""
    return [{"ip_version": 4} | one for one in step.row.get("extra_dhcp_opts") or ()]


def _phase(step: Step) -> tuple[str, str]:
    return type(step).__name__, key_of(step).kind


def resolved(body: Any, ids: MutableMapping[Key, str], pod: Pod) -> Any:
    """A body with the pod's ids in place of keys. Raises `NotMade` if one is not there."""
    if isinstance(body, Ref):
        if body not in ids:
            raise NotMade(f"Pod {pod.pod_name} has no counterpart of {body.kind} {body.id} yet.")
        return ids[body]
    if isinstance(body, dict):
        return {name: resolved(value, ids, pod) for name, value in body.items()}
    if isinstance(body, list):
        return [resolved(value, ids, pod) for value in body]
    return body


def counterparts(found: Iterable[Counterpart], pod: Pod) -> dict[Key, str]:
    """What of counterparts is in a pod, by key."""
    return {Ref(one.kind, one.top_id): one.bottom_id for one in found if one.pod_id == pod.pod_id}
