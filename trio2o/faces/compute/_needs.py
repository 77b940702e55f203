"""What a new server asks of a pod: tags of its flavor, and room as Placement reckons it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from trio2o.definitions import content
from trio2o.domain.values import Pod, Zone
from trio2o.faces.images import image_of
from trio2o.pods import Capacity
from trio2o.verbs import Context, Needs, value_at, values_at

POD_TAGS = "trio2o:pod_tags"
"""A flavor's extra spec: tags, parted by commas, that a pod must have."""

Query = list[tuple[str, str]]

_SPEC = re.compile(r"(resources|trait)(\d+|_[A-Za-z0-9_-]{1,63})?:(\w+)")


async def server_needs(body: Any, context: Context) -> Needs:
    capacity: Capacity = context.parts.capacity
    reference = value_at(body, ("server", "flavorRef"))
    id = str(reference).rpartition("/")[2] if isinstance(reference, (str, int)) else ""
    flavor = await capacity.flavor(id) if re.fullmatch(r"[\w.\- ]+", id) else None
    # by what the caller calls it: the name of a private flavor is not everybody's
    by = f"flavor {id}"
    if flavor is None:  # no pod could say in time, or it is none: a pod has its own words for that
        known = await context.definitions["flavor"].find(id)
        return Needs(
            _tags(content(known.document) if known else {}), by, None, capacity.free_memory
        )
    image = await image_of(value_at(body, ("server", "imageRef")), context)
    query = placement_query(flavor, image, in_volume=_in_volume(body))

    async def room(pod: Pod, zone: Zone | None) -> bool | None:
        return await capacity.has_candidates(pod, query, zone.compute if zone else "")

    return Needs(_tags(flavor), by, room, capacity.free_memory)


def _tags(flavor: Mapping[str, Any]) -> frozenset[str]:
    """The tags that a pod must have for servers of a flavor."""
    specs = flavor.get("extra_specs") or {}
    return frozenset(tag.strip() for tag in specs.get(POD_TAGS, "").split(",")) - {""}


def _in_volume(body: Any) -> bool:
    """Whether the server's root disk is a volume."""
    if not value_at(body, ("server", "imageRef")):
        return True
    return any(
        str(device.get("boot_index")) == "0" and device.get("destination_type") == "volume"
        for device in values_at(body, ("server", "block_device_mapping_v2", "*"))
        if isinstance(device, dict)
    )


def placement_query(
    flavor: Mapping[str, Any], image: Mapping[str, Any], *, in_volume: bool
) -> Query:
    """What Nova's scheduler would ask Placement for one such server, or less: what is left out
    can only let a pod in that finds no host for it."""
    specs = flavor.get("extra_specs") or {}
    dedicated = "dedicated" in (specs.get("hw:cpu_policy"), image.get("hw_cpu_policy"))
    disk = 0 if in_volume else _whole(flavor.get("disk"))
    amounts: dict[str, dict[str, int]] = {
        "": {
            "PCPU" if dedicated else "VCPU": _whole(flavor.get("vcpus")),
            "MEMORY_MB": _whole(flavor.get("ram")),
            "DISK_GB": disk
            + _whole(flavor.get("OS-FLV-EXT-DATA:ephemeral"))
            + ceil(_whole(flavor.get("swap")) / 1024),
        }
    }
    traits: dict[str, set[str]] = {"": {"!COMPUTE_STATUS_DISABLED"}}
    for kind, group, name, said in (*_told(specs), *_told(image)):
        if kind == "resources":
            amounts.setdefault(group, {})[name] = _whole(said)
        elif said in ("required", "forbidden"):
            traits.setdefault(group, set()).add(name if said == "required" else f"!{name}")
    query: Query = []
    for group, wanted in amounts.items():
        resources = [f"{name}:{amount}" for name, amount in sorted(wanted.items()) if amount]
        if resources:
            query.append((f"resources{group}", ",".join(resources)))
    asked = {name.removeprefix("resources") for name, _ in query}
    query += [
        (f"required{group}", ",".join(sorted(names)))
        for group, names in traits.items()
        if group in asked
    ]
    if len(asked - {""}) > 1:
        query.append(("group_policy", specs.get("group_policy") or "none"))
    return query


def _told(specs: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What extra specs (or an image's properties) say of resources and traits: kind, group (''
    = none), name and value."""
    for key, value in specs.items():
        if (found := _SPEC.fullmatch(key)) and isinstance(value, str):
            yield found[1], found[2] or "", found[3], value


def _whole(value: Any) -> int:
    """A whole number; 0 for what is none (no swap is an empty text)."""
    try:
        return max(int(value), 0)
    except (TypeError, ValueError):
        return 0
