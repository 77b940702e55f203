"""What pins a new server besides what its body names by id: its images, a host, its group."""

from __future__ import annotations

from typing import Any

import msgspec

from trio2o.domain.errors import BadRequest, Conflict, Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.faces.compute._groups import group_pins
from trio2o.faces.images import image_pins
from trio2o.faces.resources import SERVER
from trio2o.scheduling import Pin
from trio2o.verbs import Context, Prepare, edit_member, raw, value_at, values_at

PINNING = Version(2, 104)


async def more_pins(body: Any, context: Context) -> tuple[Pin, ...]:
    devices = [
        device
        for device in values_at(body, ("server", "block_device_mapping_v2", "*"))
        if isinstance(device, dict)
    ]
    images = [value_at(body, ("server", "imageRef"))]
    images += [one.get("uuid") for one in devices if one.get("source_type") == "image"]
    return (
        *await image_pins(images, context),
        *await _host_pins(body, context),
        *await group_pins(body, context),
    )


async def _host_pins(body: Any, context: Context) -> tuple[Pin, ...]:
    """The pod that has the host which an admin asks for: by `host` and `hypervisor_hostname` (from
    2.74), or behind the AZ (`zone:host:node`).

    Raises `BadRequest` if several of the AZ have it. Where none has, the pod has its own words.
    """
    zone, *forced = _texts(value_at(body, ("server", "availability_zone"))).split(":")
    host = _texts(value_at(body, ("server", "host"))) or (forced[0] if forced else "")
    node = _texts(value_at(body, ("server", "hypervisor_hostname")))
    node = node or (forced[1] if len(forced) == 2 else "")
    found: list[Pin] = []
    for name, path, rows, member in (
        (host, "/os-services", "services", "host"),
        (node, "/os-hypervisors", "hypervisors", "hypervisor_hostname"),
    ):
        if not name:
            continue
        pods = [
            p for p in context.pods.serving("compute") if not context.pods.is_down(p, "compute")
        ]
        names = await together(_names(pod, path, rows, member, context) for pod in pods)
        having = [pod for pod, known in zip(pods, names, strict=True) if name in known]
        if len(having) > 1 and zone:
            having = [pod for pod in having if pod.is_in(zone)] or having
        if len(having) > 1:
            where = " and ".join(pod.pod_name for pod in having)
            ways = " or ".join(f"{pod.az_name}.{pod.pod_name}" for pod in having)
            raise BadRequest(f"Host {name} is in {where}: ask for availability zone {ways}.")
        found += [Pin(f"host {name}", pod) for pod in having]
    return tuple(found)


def _texts(value: Any) -> str:
    return value if isinstance(value, str) else ""


async def _names(pod: Pod, path: str, rows: str, member: str, context: Context) -> set[str]:
    try:
        named = values_at(await context.look(pod, path), (rows, "*", member))
        return {name for name in named if isinstance(name, str)}
    except Fault:
        return set()


def in_zone(key: str) -> Prepare:
    """For a call about a server whose body asks for an AZ: the pod's own name of it.

    A server stays in its pod: the AZ of another is refused with 400.
    """

    async def prepare(body: bytes, pod: Pod, context: Context) -> bytes:
        asked = value_at(_decoded(body), (key, "availability_zone"))
        if not isinstance(asked, str):
            return body
        if (zone := pod.zone(asked)) is None:
            server = await _server(pod, context)
            if server is None:  # which the pod says in its own words
                return body
            raise BadRequest(
                f"The server is in availability zone {_zone_of(server, pod)} ({pod.pod_name}), "
                f"not in the requested availability zone {asked}."
            )
        own = raw(zone.compute) if zone.compute else None
        return edit_member(body, key, {"availability_zone": own})

    return prepare


async def with_pinned_zone(body: bytes, pod: Pod, context: Context) -> bytes:
    """For a change of a server's `pinned_availability_zone` (2.104): the pod's own name of it.

    Raises `Conflict` in Nova's words for the AZ of another pod.
    """
    asked = value_at(_decoded(body), ("server", "pinned_availability_zone"))
    if not isinstance(asked, str) or context.version is None or context.version < PINNING:
        return body
    zone = pod.zone(asked)
    if zone is not None and zone.compute:
        return edit_member(body, "server", {"pinned_availability_zone": raw(zone.compute)})
    server = await _server(pod, context)
    if server is None:
        return body
    if zone is not None:  # the pod has one AZ, whose name only the pod knows
        own = server["OS-EXT-AZ:availability_zone"]
        return edit_member(body, "server", {"pinned_availability_zone": raw(own)})
    if server.get("pinned_availability_zone") is not None:
        raise Conflict(
            "Cannot change pinned availability zone directly. Unpin first by setting "
            "pinned_availability_zone to null."
        )
    raise Conflict(
        f"Server can only be pinned to its current availability zone '{_zone_of(server, pod)}', "
        f"but '{asked}' was requested."
    )


async def _server(pod: Pod, context: Context) -> dict[str, Any] | None:
    """The server of the path as its pod shows it to the caller; None if it does not."""
    found = value_at(await context.look(pod, SERVER.path(context.params["id"])), ("server",))
    return found if isinstance(found, dict) else None


def _zone_of(server: dict[str, Any], pod: Pod) -> str:
    return pod.shown_zone(server.get("OS-EXT-AZ:availability_zone", ""), "compute")


def _decoded(body: Any) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
