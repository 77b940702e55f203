"""How Cinder orders and pages its lists."""

from __future__ import annotations

from trio2o.domain.resources import Resource
from trio2o.faces.resources import SNAPSHOT, VOLUME, VOLUME_TYPE
from trio2o.verbs import Gather, Order

Query = list[tuple[str, str]]

_FIELDS = {
    "display_name": "name",
    "display_description": "description",
    "project_id": "os-vol-tenant-attr:tenant_id",
    "host": "os-vol-host-attr:host",
}


def sorting(query: Query) -> tuple[tuple[str, bool], ...] | None:
    """`sort=key:direction,...`, or `sort_key` and `sort_dir`; a direction left out is desc."""
    asked = dict(query)
    if text := asked.get("sort"):
        pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
        first = next((direction for _, _, direction in pairs if direction), "desc")
        return tuple(
            (_FIELDS.get(name, name), (direction or first) != "asc") for name, _, direction in pairs
        )
    if name := asked.get("sort_key"):
        return ((_FIELDS.get(name, name), asked.get("sort_dir", "desc") != "asc"),)
    return None


_NEWEST = Order((("created_at", True), ("id", True)), sorting, (("created_at", None), ("id", None)))


def _list(resource: Resource, links: str, *, brief: tuple[str, ...] = ()) -> Gather:
    return Gather(
        resource,
        _NEWEST,
        path=f"{resource.collection}/detail" if brief else "",
        brief=brief,
        links=links,
    )


VOLUMES_DETAIL = _list(VOLUME, "volumes_links")
VOLUMES = _list(VOLUME, "volumes_links", brief=("id", "name", "links"))

# both views of a snapshot tell created_at
SNAPSHOTS_DETAIL = SNAPSHOTS = _list(SNAPSHOT, "snapshots_links")

TYPES = Gather(
    VOLUME_TYPE,
    Order(()),
    links="volume_type_links",
    same=lambda row: str(row["name"]),
    definition=True,
)
