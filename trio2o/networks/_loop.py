"""The reconciler of networks: every pod is compared with what it should have, and mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import Connection
from txaio.tx import make_logger

from trio2o.domain.errors import Conflict, Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import BOUND, CLAIMED, LEASED, SUBPORT, Attachment, Counterpart, Pod
from trio2o.networks import _things as things
from trio2o.networks._apply import QUOTA
from trio2o.networks._desired import (
    Top,
    desired,
    groups_wanted,
    needed,
    reservations,
    subports,
    unspanned,
)
from trio2o.networks._join import free_floats, make_bridges
from trio2o.networks._networks import CONSENT, Networks
from trio2o.networks._plan import plan, recognise
from trio2o.networks._reads import by_id, defaults_of
from trio2o.networks._routers import Reach, floats, reach, routers_wanted, unheld
from trio2o.networks._stages import Verdict, judged, new_name
from trio2o.networks._things import Delete, Found, Key, Ref, Row, Step, Update, Wanted, key_of
from trio2o.reconcile import Counted
from trio2o.store import networks as rows

log = make_logger()


async def _go_on() -> None:
    """No pause."""


@frozen
class NetworkPass:
    """One pass: read the top, then pod after pod. `pause` lets calls in between computations."""

    networks: Networks
    pause: Callable[[], Awaitable[None]] = _go_on
    mend: bool = True
    """Without it what a pod has otherwise than it should is only told."""
    name: str = "networks"

    async def run(self) -> Counted:
        """Raises `Fault` if the top cannot be read, or has lost most of what the pods have; a pod
        that cannot be read is left for the next pass."""
        counted = Counted()
        networks = self.networks
        agreed = CONSENT in await networks.places_of([CONSENT.top_id])
        known = await networks.store.read(rows.held)
        settled = await networks.store.read(rows.all_homes)
        attached = await networks.store.read(rows.all_attachments)
        top = await self._top()
        if not agreed:
            check_held(known, top, "recorded as made in pods")
        if not networks.rebuilt:
            await self._rebuild(top)
            attached = await networks.store.read(rows.all_attachments)
        await self._tidy(top, attached, counted)
        attached = await networks.store.read(rows.all_attachments)
        pods = networks.pods.serving("network")
        hints = await networks.store.read(rows.hinted)
        needs = needed(top, attached)
        at = reach(top, needs, pods, hints)
        wide = [id for id, there in at.routers.items() if len(there) > 1]
        top = await make_bridges(networks, top, wide)
        at = reach(top, needs, pods, hints)
        top = await networks.reserve(top, unheld(top, floats(top, pods, hints, attached)))
        for id, row in top.networks.items():
            if wrong := unspanned(row, [pod for pod in pods if at.has(pod, id)]):
                counted.failed += 1
                counted.notes.append(wrong)
        for row in top.bridges:
            if not any(row["id"] in some for some in at.networks.values()):
                counted.drift += 1
                await networks.gone(networks.center, f"/networks/{row['id']}")
        for pod in self._up():
            try:
                await self._pod(pod, top, attached, at, hints, counted, agreed)
            except Fault as fault:
                counted.failed += 1
                counted.notes.append(f"{pod.pod_name}: {fault}")
                log.warn("pod {pod}: networks: {why}", pod=pod.pod_name, why=str(fault))
        await free_floats(networks, top, pods, hints, attached)
        gone = [id for id in settled if id not in top.subnets]
        await networks.store.write(lambda c: rows.drop_homes(c, gone))
        if agreed:
            await networks.store.write(lambda c: rows.drop_counterparts(c, [CONSENT]))
        return counted

    async def _top(self) -> Top:
        center, read = self.networks.center, self.networks.neutron.rows
        told = await together(read(center, kind) for kind in _OF_TOP.values())
        found: dict[str, Any] = dict(zip(_OF_TOP, map(by_id, told), strict=True))
        return Top(**found | {"shares": list(found["shares"].values())})

    async def _rebuild(self, top: Top) -> None:
        """What the store should hold of what is in the pods, should it have been lost: once, before
        the first pass judges anything."""
        networks = self.networks
        read = networks.neutron.rows
        for pod in self._up():
            subnets = await read(pod, things.SUBNET)
            homes = [
                id
                for row in subnets
                if (own := top.subnets.get(id := things.marked(row)))
                and own["gateway_ip"] == row["gateway_ip"]
            ]
            await networks.store.write(
                lambda c, homes=homes, pod=pod: rows.take_homes(c, homes, pod.pod_id)  # type: ignore[misc]
            )
            await self._readopt(pod, subnets, await read(pod, things.PORT), top)
        networks.rebuilt = True

    async def _readopt(
        self, pod: Pod, subnets: Iterable[Row], ports: Iterable[Row], top: Top
    ) -> None:
        """A port of ours that a server uses, and whose twin at the top says the same, is wanted
        where it is, though nothing says so any more; and one of a server that is gone is to be
        freed. One that a pod made on an address of the top's is still to be taken up."""
        networks = self.networks
        found = []
        ours = {row["id"]: subnet for row in subnets if (subnet := things.marked(row))}
        for row in ports:
            id, device, owner = things.marked(row), row["device_id"], row["device_owner"]
            twin = top.ports.get(id)
            stray = row["fixed_ips"] if owner.startswith("compute:") and not id else ()
            for ip in (ip for ip in stray if ip["subnet_id"] in ours):
                made = top.by_address.get((ours[ip["subnet_id"]], ip["ip_address"]))
                user = made["device_id"] if made else ""
                if made and (user.startswith(things.MADE) or user == device):
                    now = networks.now()
                    found.append(Attachment(made["id"], pod.pod_id, "", "", True, LEASED, now))
            if twin is None or not owner.startswith("compute:") and (owner or device):
                continue
            if twin["device_owner"].startswith("network:"):
                continue  # an interface of a router that is not joined here yet
            told = twin["device_id"]
            reserved = told.startswith(things.RESERVED)
            if told and (told == device or reserved if device else not reserved):
                one = Attachment(twin["id"], pod.pod_id, told, "", False, BOUND, networks.now())
                found.append(one)
        await networks.store.write(lambda c: rows.add_attachments(c, found))

    def _up(self) -> list[Pod]:
        pods = self.networks.pods
        return [pod for pod in pods.serving("network") if not pods.is_down(pod, "network")]

    async def _tidy(self, top: Top, attached: Iterable[Attachment], counted: Counted) -> None:
        """Claims that came to nothing, ports that are gone at the top, hints of what is gone."""
        networks = self.networks
        known = {one.port_id: one for one in attached}
        old = networks.now() - networks.settings.claim_seconds
        whole = len(self._up()) == len(networks.pods.serving("network"))
        names = {name(p.pod_name) for p in networks.pods.all for name in _HOLDS}
        for row in top.ports.values():
            device = row["device_id"]
            if device.startswith(_HELD) and device not in names:  # its pod was removed
                await networks.gone(networks.center, f"/ports/{row['id']}")
            if not whole:
                continue  # a pod that cannot be asked may use what seems to be nobody's
            if not device.startswith((things.MADE, things.TAKEN)) or row["id"] in known:
                continue
            if _epoch(row["updated_at"]) < old:
                counted.drift += 1
                claim = device.partition(":")[2]
                ours = device.startswith(things.MADE)
                await networks.release(Attachment(row["id"], "", "", claim, ours, CLAIMED, 0.0))
        await self._subports(top, attached)
        gone = [o for id, o in known.items() if id not in top.ports and o.stage != SUBPORT]
        if gone:
            # a port that was made since the top was read is there
            ids = [one.port_id for one in gone]
            there = by_id(await networks.neutron.by_ids(networks.center, things.PORT, ids))
            for one in gone:
                if one.port_id not in there:
                    await networks.release(one)
        await self._forget_hints(top)

    async def _subports(self, top: Top, attached: Iterable[Attachment]) -> None:
        """The record of the ports of trunks: it follows those of their parents."""
        have = {one.port_id: one for one in attached if one.stage == SUBPORT}
        wanted = subports(top.trunks.values(), attached)
        new = [one for id, one in wanted.items() if have.get(id) != one]

        def keep(connection: Connection) -> None:
            rows.drop_attachments(connection, have.keys() - wanted.keys())
            rows.put_attachments(connection, new)

        await self.networks.store.write(keep)

    async def _forget_hints(self, top: Top) -> None:
        networks = self.networks
        hinted = await networks.store.read(rows.hinted)
        gone = [id for id in hinted if id not in top.networks and id not in top.routers]
        if gone:
            read, center = networks.neutron.by_ids, networks.center
            there = [await read(center, kind, gone) for kind in (things.NETWORK, things.ROUTER)]
            lost = [id for id in gone if id not in by_id(there[0] + there[1])]
            await networks.store.write(lambda c: rows.drop_hints(c, lost))

    async def _pod(
        self,
        pod: Pod,
        top: Top,
        attached: Collection[Attachment],
        at: Reach,
        hints: Mapping[str, list[str]],
        counted: Counted,
        agreed: bool,
    ) -> None:
        networks, needs = self.networks, at.networks[pod.pod_id]
        await networks.adopt(pod)
        subnets = [row["id"] for id in needs for row in top.subnets_of(id)]
        homes = await networks.store.write(lambda c: rows.take_homes(c, subnets, pod.pod_id))
        kept = await networks.store.read(lambda c: rows.counterparts_in(c, pod.pod_id))
        told = await self._told(pod)
        top = await networks.reserve(top, reservations(top, pod, sorted(needs), homes))
        wanted = desired(networks.place(pod), top, list(attached), homes, also=needs)
        pods = networks.pods.serving("network")
        for one in routers_wanted(networks.place(pod), top, at, homes, hints, pods, attached):
            wanted[one.key] = one
        for one in groups_wanted(top, _lent(told)):
            wanted.setdefault(one.key, one)
        await self.pause()
        found, keys = recognise(told, defaults_of(wanted.values()))
        if not agreed:
            check_held(_held(found), top, "in the pod")
        await self.pause()
        networks.strangers[pod.pod_id] = any(
            row["id"] not in keys for row in told[things.NETWORK.path]
        )
        await self._record(pod, kept, found, wanted.values())
        await self._readopt(pod, told[things.SUBNET.path], told[things.PORT.path], top)
        released = await self._stages(pod, top, attached, found)
        await self.pause()
        steps = plan(wanted, found)
        await self.pause()
        # what was attached since this pass began is not for it to judge
        since = await networks.store.read(rows.all_attachments)
        if {one.port_id for one in since} - {one.port_id for one in attached}:
            steps = [step for step in steps if not isinstance(step, Delete)]
        # a lease may have been taken up meanwhile
        left = released | {one.port_id for one in attached if one.stage == LEASED}
        steps = [step for step in steps if key_of(step).id not in left]
        counted.looked += len(wanted)
        counted.drift += len(steps)
        if not (self.mend or agreed):
            told_of = [f"{pod.pod_name}: {_said(step)}" for step in steps]
            for note in told_of:
                log.warn("{note} (not mended)", note=note)
            counted.notes += told_of
            counted.failed += len(steps)
            return
        ids = {key: one.bottom_id for key, one in found.items()}
        result = await networks.applier.apply(pod, steps, ids)
        counted.mended += result.done
        counted.failed += len(result.failed)
        counted.notes += map(str, result.failed)
        await self._unreserve(pod, top, needs, attached)

    async def _told(self, pod: Pod) -> dict[str, list[Row]]:
        kinds = [kind for kind in things.KINDS if kind not in (things.RULE, things.INTERFACE)]
        read = self.networks.neutron.rows
        found = await together(read(pod, kind) for kind in kinds)
        return {kind.path: some for kind, some in zip(kinds, found, strict=True)}

    async def _record(
        self,
        pod: Pod,
        kept: Iterable[Counterpart],
        found: Mapping[Key, Found],
        wanted: Iterable[Wanted],
    ) -> None:
        """The record of counterparts, as the marks in the pod tell it; `kept` is what it was before
        the pod was read. A project that has nothing in the pod has its own limits again."""
        networks, store = self.networks, self.networks.store
        told = {
            Counterpart(key.kind, key.id, pod.pod_id, one.bottom_id)
            for key, one in found.items()
            if key.kind in _RECORDED
        }
        new = list(told.difference(kept))
        lost = [one for one in kept if one.kind in _RECORDED and one not in told]
        owners = {one.project_id for one in wanted}
        owners |= {one.row.get("project_id", "") for one in found.values() if one.row}
        for one in kept:
            if one.kind == QUOTA and one.top_id not in owners:
                await networks.gone(pod, f"/quotas/{one.top_id}")
                lost.append(one)
        if new or lost:

            def keep(connection: object) -> None:
                rows.put_counterparts(connection, new)  # type: ignore[arg-type]
                rows.drop_counterparts(connection, lost)  # type: ignore[arg-type]

            await store.write(keep)

    async def _stages(
        self, pod: Pod, top: Top, attached: Iterable[Attachment], found: Mapping[Key, Found]
    ) -> set[str]:
        """Move attachments on by what the pod shows; the ports that were released."""
        networks = self.networks
        old = networks.now() - networks.settings.claim_seconds
        moved: list[Attachment] = []
        released: set[str] = set()
        for one in attached:
            if one.pod_id != pod.pod_id:
                continue
            have = found.get(Ref("ports", one.port_id))
            row, twin = have.row if have else None, top.ports.get(one.port_id)
            seen = row, twin, old
            if judged(one, one, *seen) == Verdict():
                continue
            now = await networks.store.read(
                lambda c, id=one.port_id: rows.attachments_of(c, "port_id", [id])  # type: ignore[misc]
            )
            verdict = judged(one, next(iter(now), None), *seen)
            if verdict.tell:
                assert row is not None and twin is not None
                name = new_name(row, twin)
                await networks.take(one.port_id, row["device_id"], pod, name)
            if verdict.moved is not None:
                moved.append(verdict.moved)
            if have and verdict.if_gone and await networks.may_bind(one, pod, have.bottom_id):
                continue
            if verdict.free:
                await networks.release(one)
                released.add(one.port_id)
        if moved:

            def move(connection: Connection) -> None:
                ids = [one.port_id for one in moved]
                there = {one.port_id for one in rows.attachments_of(connection, "port_id", ids)}
                rows.put_attachments(connection, [one for one in moved if one.port_id in there])

            await networks.store.write(move)
        return released

    async def _unreserve(
        self, pod: Pod, top: Top, needs: set[str], attached: Iterable[Attachment]
    ) -> None:
        """Give back addresses of networks that the pod needs no more, and what was held twice."""
        networks = self.networks
        ours = {name(pod.pod_name) for name in _HOLDS}
        held = [row for row in top.ports.values() if row["device_id"] in ours]
        spare = [
            row
            for row in held
            if row["network_id"] not in needs
            or row not in top.reserved(row["device_id"], row["network_id"])
        ]
        if not spare:
            return
        since = await networks.store.read(rows.all_attachments)
        if {one.port_id for one in since} - {one.port_id for one in attached}:
            return
        for row in spare:
            await networks.gone(networks.center, f"/ports/{row['id']}")


def check_held(held: Collection[str], top: Top, where: str) -> None:
    """Raises `Conflict` if the top shows few of the networks, routers and servers' ports that
    there are below: it has lost them, or does not let us see them. Tenants delete them one by one,
    and pods follow each."""
    there = sum(id in top.networks or id in top.routers or id in top.ports for id in held)
    lost = len(held) - there
    if lost >= FEW and lost > there:
        raise Conflict(
            f"The top Neutron shows {there} of {len(held)} networks, routers and servers' ports "
            f"that are {where}: they are left alone until it shows them, or until an operator "
            "asks for a pass with force=true."
        )


def _held(found: Mapping[Key, Found]) -> set[str]:
    """The ids of what tenants would miss in a pod."""
    return {
        key.id
        for key, one in found.items()
        if key.kind in ("networks", "routers")
        or (key.kind == "ports" and one.row and one.row["device_owner"].startswith("compute:"))
    }


def _lent(told: Mapping[str, list[Row]]) -> set[str]:
    """The groups of ours, by the top's ids, that a pod's own ports use: mostly `default` ones."""
    ports = (port for port in told[things.PORT.path] if not things.marked(port))
    used = {id for port in ports for id in port["security_groups"]}
    return {things.marked(row) for row in told[things.GROUP.path] if row["id"] in used} - {""}


def _said(step: Step) -> str:
    what = f": {', '.join(step.changes)}" if isinstance(step, Update) else ""
    return f"{type(step).__name__.lower()} of {key_of(step).kind} {key_of(step).id}{what}"


FEW = 5
"""So many things may be gone at the top at once without its being in doubt."""

_OF_TOP = {
    "networks": things.NETWORK,
    "subnets": things.SUBNET,
    "ports": things.PORT,
    "groups": things.GROUP,
    "addresses": things.ADDRESSES,
    "shares": things.RBAC,
    "routers": things.ROUTER,
    "floating": things.FLOATING,
    "policies": things.QOS,
    "trunks": things.TRUNK,
    "local_ips": things.LOCAL_IP,
    "labels": things.LABEL,
    "scopes": things.SCOPE,
    "pools": things.POOL,
    "proxies": things.PROXY,
}
"""What `Top` holds."""

_HOLDS = (things.dhcp, things.gateway, things.bridge)
_HELD = tuple(name("") for name in _HOLDS)
"""What holds addresses at the top for a pod."""

_UNRECORDED = (things.RULE, things.RBAC, things.INTERFACE)
_RECORDED = tuple(kind.path for kind in things.KINDS if kind not in _UNRECORDED)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
