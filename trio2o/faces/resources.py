"""The kinds of things that have an id, as Nova, Cinder and Neutron call them."""

from __future__ import annotations

from trio2o.domain.resources import Resource

SERVER = Resource(
    type="server",
    service="compute",
    collection="/servers",
    key="server",
    rows="servers",
    missing="Instance {id} could not be found.",
    zones=("OS-EXT-AZ:availability_zone", "pinned_availability_zone"),
    nested=("flavor", "image"),
)

FLAVOR = Resource(
    type="flavor",
    service="compute",
    collection="/flavors",
    key="flavor",
    rows="flavors",
    missing="Flavor {id} could not be found.",
    well_formed=bool,
)

EXTENSION = Resource(
    type="extension",
    service="compute",
    collection="/extensions",
    key="extension",
    rows="extensions",
    missing="The resource could not be found.",
    well_formed=bool,
)

VOLUME = Resource(
    type="volume",
    service="volume",
    collection="/volumes",
    key="volume",
    rows="volumes",
    missing="Volume {id} could not be found.",
    zones=("availability_zone",),
    project=("os-vol-tenant-attr:tenant_id",),
)

SNAPSHOT = Resource(
    type="snapshot",
    service="volume",
    collection="/snapshots",
    key="snapshot",
    rows="snapshots",
    missing="Snapshot {id} could not be found.",
    project=("os-extended-snapshot-attributes:project_id",),
)

VOLUME_TYPE = Resource(
    type="volume_type",
    service="volume",
    collection="/types",
    key="volume_type",
    rows="volume_types",
    missing="Volume type {id} could not be found.",
)


def network_kind(
    type: str, missing: str, collection: str = "", rows: str = "", zones: tuple[str, ...] = ()
) -> Resource:
    """A kind of Neutron's. Its plural is its own name with an s, where not said otherwise.

    `missing` is Neutron's type of the error for an unknown id.
    """
    rows = rows or f"{type}s"
    words = missing.removesuffix("NotFound")
    return Resource(
        type=type,
        service="network",
        collection=collection or "/" + rows.replace("_", "-"),
        key=type,
        rows=rows,
        missing=f"{words} {{id}} could not be found.",
        missing_kind=missing,
        zones=zones,
        deleted_at_once=True,
    )


_ZONES = ("availability_zone_hints", "availability_zones")

NETWORK = network_kind("network", "NetworkNotFound", zones=_ZONES)
SUBNET = network_kind("subnet", "SubnetNotFound")
PORT = network_kind("port", "PortNotFound")
ROUTER = network_kind("router", "RouterNotFound", zones=_ZONES)
FLOATING_IP = network_kind("floatingip", "FloatingIPNotFound")
SECURITY_GROUP = network_kind("security_group", "SecurityGroupNotFound")
