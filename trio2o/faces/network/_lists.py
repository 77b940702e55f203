"""How Neutron orders and pages its lists, and the rows that every kind has."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import evolve

from trio2o.domain.errors import NotFound
from trio2o.domain.resources import Resource
from trio2o.faces.network_resources import AVAILABILITY
from trio2o.verbs import Forward, Gather, Operation, Order, Place, Prepare, Ref, Refuse, rows

Query = list[tuple[str, str]]


def sorting(query: Query) -> tuple[tuple[str, bool], ...] | None:
    """`sort_key` and `sort_dir`, equally many."""
    names = [value for name, value in query if name == "sort_key"]
    directions = [value for name, value in query if name == "sort_dir"]
    if not names:
        return None
    directions += ["asc"] * (len(names) - len(directions))
    return tuple(
        (name, direction == "desc") for name, direction in zip(names, directions, strict=False)
    )


_BY_ID = Order((("id", False),), sorting, (("id", False),))

Same = Callable[[dict[str, Any]], str]


def listed(resource: Resource, same: Same | None = None) -> Gather:
    """The list of a kind: by id, whole unless `limit` is given."""
    return Gather(resource, _BY_ID, cap=0, links=f"{resource.rows}_links", same=same, both=True)


def whole(resource: Resource, name: str) -> Gather:
    """A list without ids, the same in pods that are alike: each `name` once."""
    return Gather(resource, Order(()), cap=0, same=lambda row: str(row.get(name, "")), named=name)


AVAILABILITIES = Gather(
    AVAILABILITY,
    Order((("network_id", False),), sorting, (("network_id", False),)),
    cap=0,
    named="network_id",
)


def one_default(row: dict[str, Any]) -> str:
    """A project's `default` groups, one in each pod, are shown as one."""
    if row.get("name") != "default":
        return ""
    return f"default of {row.get('project_id') or row.get('tenant_id')}"


USUAL = "GET,POST ~\nDELETE,GET,PUT ~/{id}"
NO_PUT = "GET,POST ~\nDELETE,GET ~/{id}"
TAGS = "DELETE,GET,POST,PUT ~/{id}/tags\nDELETE,GET,PUT ~/{id}/tags/{tag}"


def lives(
    resource: Resource,
    *texts: str,
    refs: tuple[Ref, ...] = (),
    zone: str = "",
    same: Same | None = None,
    prepare: Prepare | None = None,
) -> tuple[Operation, ...]:
    """Rows of a kind whose things live in one pod each; `~` is its collection.

    Made where `refs` or its AZ say; listed over all pods; all else goes to the pod of the id that
    comes first in the path, what `refs` find in a body being there too.
    """
    collection = f"/v2.0{resource.collection}"
    place = Place(
        resource,
        refs=refs,
        zone=zone,
        no_zone="AvailabilityZone {zone} could not be found.",
        send_zone=False,
        prepare=prepare,
    )
    gather = listed(resource, same)

    def verb(row: Operation) -> Operation:
        if row.path == collection:
            return evolve(row, verb=place if row.method == "POST" else gather)
        first = re.findall(r"\{(\w+)\}", row.path)[0]
        return evolve(row, verb=Forward(resource, first, refs if row.method != "GET" else ()))

    text = "\n".join(texts).replace("~", collection)
    return tuple(verb(row) for row in rows(gather, text))


def elsewhere(collections: str, more: str) -> tuple[Operation, ...]:
    """Rows of services that no Neutron has by itself."""
    usual = [USUAL.replace("~", f"/v2.0/{name}") for name in collections.split()]
    never = Refuse(NotFound, "The resource could not be found.")
    return rows(never, "\n".join((*usual, more)))
