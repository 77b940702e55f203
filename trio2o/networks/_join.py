"""Bringing one router to its pods at once, behind a change of it or of where its networks are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from trio2o.domain.errors import Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import Attachment, Pod
from trio2o.networks import _things as things
from trio2o.networks._apply import counterparts
from trio2o.networks._desired import Top
from trio2o.networks._networks import Networks
from trio2o.networks._plan import plan, recognise
from trio2o.networks._reads import by_id
from trio2o.networks._routers import (
    Reach,
    bridge_of,
    ends,
    floats,
    reach,
    routers_wanted,
    unheld,
    versions,
)
from trio2o.networks._things import Found, Ref, Row
from trio2o.store import networks as rows


async def make_bridges(networks: Networks, top: Top, routers: Iterable[str]) -> Top:
    """The top with the networks that join the pods of these routers. Raises `Fault`."""
    made: list[Row] = []
    subnets: list[Row] = []
    ask, center = networks.neutron.ask, networks.center
    cidrs = {4: networks.settings.bridge_cidr, 6: networks.settings.bridge_cidr_v6}
    for id in routers:
        bridge = bridge_of(top, id)
        if bridge is None:
            body: Row = {"name": "router bridge", "description": things.bridge_mark(id)}
            bridge = (await ask(center, "POST", "/networks", {"network": body}))["network"]
            made.append(bridge)
        have = {row["ip_version"] for row in top.subnets_of(bridge["id"])}
        for version in sorted(versions(top, id) - have):
            body = {"network_id": bridge["id"], "ip_version": version, "enable_dhcp": False}
            body |= {"cidr": cidrs[version], "gateway_ip": None}
            subnets.append((await ask(center, "POST", "/subnets", {"subnet": body}))["subnet"])
    if not subnets:
        return top
    return evolve(top, networks=top.networks | by_id(made), subnets=top.subnets | by_id(subnets))


async def settle_router(networks: Networks, router_id: str) -> None:
    """Make the pods have a router as it is at the top now, or not at all."""
    top = await _top(networks, router_id)
    pods = networks.pods.serving("network")
    places = await networks.places_of([router_id, *top.networks, *top.subnets])
    hints = await networks.hints(list(top.networks))
    needed: dict[str, set[str]] = {}
    for one in places:
        row = top.networks.get(one.top_id)
        if row and not row.get("router:external") and row not in top.bridges:
            needed.setdefault(one.pod_id, set()).add(one.top_id)
    at = reach(top, needed, pods, hints)
    wide = [id for id, there in at.routers.items() if len(there) > 1]
    top = await make_bridges(networks, top, wide)
    at = reach(top, needed, pods, hints)
    known = {(one.pod_id, one.top_id) for one in places}
    for pod in at.routers.get(router_id, []):
        for id in sorted(at.networks[pod.pod_id]):
            parts = {(pod.pod_id, one) for one in (id, *(row["id"] for row in top.subnets_of(id)))}
            if not parts <= known and not networks.pods.is_down(pod, "network"):
                await networks.network_in(pod, id)
    if at.routers:  # addresses on the bridge were reserved by that
        top = evolve(top, ports=top.ports | (await _top(networks, router_id)).ports)
    fixed = {port for row in top.floating.values() for port in ends(row)}
    fixed |= {row["port_id"] for row in top.proxies.values()}
    attached = await networks.store.read(lambda c: rows.attachments_of(c, "port_id", fixed))
    top = await networks.reserve(top, unheld(top, floats(top, pods, hints, attached)))
    had = {one.pod_id for one in places if one.kind == things.ROUTER.path}
    concerned = [pod for pod in pods if pod in at.routers.get(router_id, []) or pod.pod_id in had]
    up = [pod for pod in concerned if not networks.pods.is_down(pod, "network")]
    await together(_settle_in(networks, pod, router_id, top, at, pods, attached) for pod in up)
    if router_id not in at.routers or len(at.routers[router_id]) < 2:
        await _drop_bridge(networks, top, router_id)
    else:
        await free_floats(networks, top, pods, hints, attached)


async def free_floats(
    networks: Networks,
    top: Top,
    pods: Sequence[Pod],
    hints: Mapping[str, list[str]],
    attached: Sequence[Attachment],
) -> None:
    """Give back the addresses on bridges that no floating IP needs and no pod has any more."""
    start = things.floating("")
    ours = {
        row["id"]: row["device_id"].removeprefix(start).partition(":")[0]
        for row in top.ports.values()
        if row["device_id"].startswith(start)
    }
    used = {one.held["id"] for one in floats(top, pods, hints, attached) if one.held}
    spare = set(ours) - used - {one.top_id for one in await networks.places_of(ours)}
    if not spare:
        return
    read = networks.neutron.by_ids  # what was joined to a port since the top was read
    floating = await read(networks.center, things.FLOATING, [ours[id] for id in spare])
    had = {id: ends(row) for id, row in top.floating.items()}
    now = {row["id"] for row in floating if ends(row) - had.get(row["id"], set())}
    await together(
        networks.gone(networks.center, f"/ports/{id}") for id in spare if ours[id] not in now
    )


async def _top(networks: Networks, router_id: str) -> Top:
    """A router at the top with all that it touches there."""
    center, neutron = networks.center, networks.neutron
    routers, ports, bridges, floating, proxies = await together(
        [
            neutron.by_ids(center, things.ROUTER, [router_id]),
            neutron.rows(center, things.PORT, device_id=router_id),
            neutron.rows(center, things.NETWORK, description=things.bridge_mark(router_id)),
            neutron.rows(center, things.FLOATING, router_id=router_id),
            neutron.by_ids(center, things.PROXY, [router_id], name="router_id"),
        ]
    )
    ids = {port["network_id"] for port in ports} | {row["id"] for row in bridges}
    named, subnets, reserved, proxied = await together(
        [
            neutron.by_ids(center, things.NETWORK, ids),
            neutron.by_ids(center, things.SUBNET, ids, name="network_id"),
            neutron.by_ids(center, things.PORT, ids, name="network_id"),
            neutron.by_ids(center, things.PORT, [row["port_id"] for row in proxies]),
        ]
    )
    held = [port for port in reserved if port["device_id"].startswith(things.RESERVED)]
    top = Top(
        by_id(named),
        by_id(subnets),
        by_id([*ports, *held, *proxied]),
        routers=by_id(routers),
        floating=by_id(floating),
        proxies=by_id(proxies),
    )
    top = await networks.with_pools(top)
    gateways = [row["external_gateway_info"] or {} for row in routers]
    return await networks.with_policies(top, [*floating, *gateways])


async def _settle_in(
    networks: Networks,
    pod: Pod,
    router_id: str,
    top: Top,
    at: Reach,
    pods: Sequence[Pod],
    attached: Sequence[Attachment],
) -> None:
    try:
        subnets = [row["id"] for id in at.networks[pod.pod_id] for row in top.subnets_of(id)]
        homes = await networks.store.write(lambda c: rows.take_homes(c, subnets, pod.pod_id))
        hints = await networks.hints(list(top.networks))
        some = routers_wanted(networks.place(pod), top, at, homes, hints, pods, attached)
        wanted = {one.key: one for one in some}
        names = {router_id, *top.networks, *top.subnets, *(one.id for one in some)}
        names |= {one.port_id for one in attached} | set(top.ports)
        ids = counterparts(await networks.places_of(names), pod)
        # what stands in another's way goes with one plan, and the next has no hindrance
        bridge = bridge_of(top, router_id)
        bridge_ref = Ref(things.NETWORK.path, bridge["id"] if bridge else "")
        for _ in range(3):
            bottom = ids.get(Ref(things.ROUTER.path, router_id))
            told = await _told(networks, pod, router_id, bottom, ids.get(bridge_ref))
            found = recognise(told, {}, {id: key for key, id in ids.items()})[0]
            found |= {key: Found(id) for key, id in ids.items() if key.kind == things.QOS.path}
            if not (await networks.applier.apply(pod, plan(wanted, found), ids)).failed:
                return
        networks.wake()
    except Fault as fault:
        networks.later(pod, fault)


async def _told(
    networks: Networks, pod: Pod, router_id: str, router: str | None, bridge: str | None
) -> dict[str, list[Row]]:
    """A pod's router and bridge with their ports, floating IPs and NDP proxies."""
    named = [
        (things.ROUTER, "id", router),
        (things.PORT, "device_id", router),
        (things.PORT, "device_id", router_id),
        (things.PORT, "network_id", bridge),
        (things.PROXY, "router_id", router),
        (things.FLOATING, "router_id", router),
        (things.FLOATING, "floating_network_id", bridge),
    ]
    read = networks.neutron.by_ids
    answers = await together(read(pod, kind, [id] if id else [], name=n) for kind, n, id in named)
    found: dict[str, dict[str, Row]] = {kind.path: {} for kind, _, _ in named}
    for (kind, _, _), some in zip(named, answers, strict=True):
        found[kind.path] |= by_id(some)
    return {path: list(some.values()) for path, some in found.items()}


async def _drop_bridge(networks: Networks, top: Top, router_id: str) -> None:
    bridge = bridge_of(top, router_id)
    if bridge is not None:
        await networks.gone(networks.center, f"/networks/{bridge['id']}")
        await networks.settle_network(bridge["id"])
