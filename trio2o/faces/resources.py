"""The kinds of things that have an id, as Nova, Cinder and Neutron call them."""

from __future__ import annotations

from trio2o.domain.resources import Resource

SERVER = Resource(
    type="server",
    service="compute",
    collection="/servers",
    key="server",
    rows="servers",
    zones=("OS-EXT-AZ:availability_zone", "pinned_availability_zone"),
    nested=("flavor", "image"),
)

FLAVOR = Resource(
    type="flavor",
    service="compute",
    collection="/flavors",
    key="flavor",
    rows="flavors",
    well_formed=bool,
)

EXTENSION = Resource(
    type="extension",
    service="compute",
    collection="/extensions",
    key="extension",
    rows="extensions",
    well_formed=bool,
)

VOLUME = Resource(
    type="volume",
    service="volume",
    collection="/volumes",
    key="volume",
    rows="volumes",
    zones=("availability_zone",),
    project=("os-vol-tenant-attr:tenant_id",),
)

SNAPSHOT = Resource(
    type="snapshot",
    service="volume",
    collection="/snapshots",
    key="snapshot",
    rows="snapshots",
    project=("os-extended-snapshot-attributes:project_id",),
)

VOLUME_TYPE = Resource(
    type="volume_type",
    service="volume",
    collection="/types",
    key="volume_type",
    rows="volume_types",
)


def network_kind(
    type: str, collection: str = "", rows: str = "", zones: tuple[str, ...] = ()
) -> Resource:
    """A kind of Neutron's. Its plural is its own name with an s, where not said otherwise."""
    rows = rows or f"{type}s"
    return Resource(
        type=type,
        service="network",
        collection=collection or "/" + rows.replace("_", "-"),
        key=type,
        rows=rows,
        zones=zones,
        deleted_at_once=True,
    )


_ZONES = ("availability_zone_hints", "availability_zones")

NETWORK = network_kind("network", zones=_ZONES)
SUBNET = network_kind("subnet")
PORT = network_kind("port")
ROUTER = network_kind("router", zones=_ZONES)
FLOATING_IP = network_kind("floatingip")
SECURITY_GROUP = network_kind("security_group")
