"""What pins a new server besides what its body names by id: its images, a host, its group."""

from __future__ import annotations

from typing import Any

import msgspec

from trio2o.domain.errors import BadRequest, Fault, PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.faces.compute._groups import group_pins
from trio2o.faces.images import image_pins
from trio2o.message import Call
from trio2o.scheduling import Pin
from trio2o.verbs import Context, Prepare, edit_member, raw, value_at, values_at


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
    """The pod that has the host which an admin asks for (from 2.74).

    Raises `BadRequest` if several have it. Where none has, the pod has its own words.
    """
    host = value_at(body, ("server", "host"))
    node = value_at(body, ("server", "hypervisor_hostname"))
    found: list[Pin] = []
    for name, path, rows, member in (
        (host, b"/os-services", "services", "host"),
        (node, b"/os-hypervisors", "hypervisors", "hypervisor_hostname"),
    ):
        if not isinstance(name, str) or not name:
            continue
        pods = context.pods.serving("compute")
        names = await together(_names(pod, path, rows, member, context) for pod in pods)
        having = [pod for pod, known in zip(pods, names, strict=True) if name in known]
        if len(having) > 1:
            where = " and ".join(pod.pod_name for pod in having)
            raise BadRequest(f"Host {name} is in {where}: name the availability zone's one.")
        found += [Pin(f"host {name}", pod) for pod in having]
    return tuple(found)


async def pods_of_host(name: str, context: Context) -> list[tuple[Pod, str]]:
    """The pods that have a compute host, with its name there; `host.Pod2` names the pod too.

    Raises `PodUnavailable` if none has it and one cannot be asked.
    """
    pods = context.pods.serving("compute")
    names = await together(_names(p, b"/os-services", "services", "host", context) for p in pods)
    known = list(zip(pods, names, strict=True))
    found = [(pod, name) for pod, hosts in known if name in hosts]
    plain, _, pod_name = name.rpartition(".")
    found = found or [(p, plain) for p, hosts in known if p.pod_name == pod_name and plain in hosts]
    for pod in pods:
        if not found and context.pods.is_down(pod, "compute"):
            raise PodUnavailable(pod.pod_name, "it is known to be down")
    return found


async def _names(pod: Pod, path: bytes, rows: str, member: str, context: Context) -> set[str]:
    headers = ((b"X-Auth-Token", context.caller.token.encode()), *context.version_headers)
    try:
        answer = await context.send(pod, Call("GET", path, headers=headers))
        assert isinstance(answer.body, bytes)
        listed = msgspec.json.decode(answer.body)[rows] if answer.ok else []
        return {row[member] for row in listed}
    except (Fault, msgspec.MsgspecError, KeyError, TypeError):
        return set()


def in_zone(key: str) -> Prepare:
    """For a call about a server whose body asks for an AZ: the pod's own name of it.

    A server stays in its pod: the AZ of another is refused with 400.
    """

    async def prepare(body: bytes, pod: Pod, context: Context) -> bytes:
        asked = value_at(_decoded(body), (key, "availability_zone"))
        if not isinstance(asked, str):
            return body
        if not pod.is_in(asked):
            raise BadRequest(
                f"The server is in availability zone {pod.az_name} ({pod.pod_name}), "
                f"not in the requested availability zone {asked}."
            )
        own = pod.pod_az_name
        return edit_member(body, key, {"availability_zone": raw(own) if own else None})

    return prepare


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
