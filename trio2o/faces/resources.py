"""The kinds of things that have an id, as Nova and Cinder call them."""

from trio2o.domain.resources import Resource
from trio2o.domain.versions import Version
from trio2o.routes import Swept

SERVER = Resource(
    "server",
    "compute",
    zones=("OS-EXT-AZ:availability_zone", "pinned_availability_zone"),
    nested=("flavor", "image"),
    details=(
        "created",
        "tenant_id",
        "user_id",
        "flavor",
        "image",
        "OS-EXT-AZ:availability_zone",
        "server_groups",
    ),
    mapped=("server_groups", "scheduler_hints.group"),
)

FLAVOR = Resource("flavor", "compute", well_formed=bool)

EXTENSION = Resource("extension", "compute", well_formed=bool)

VOLUME = Resource(
    "volume",
    "volume",
    zones=("availability_zone",),
    project=("os-vol-tenant-attr:tenant_id",),
    mapped=("volume_type_id",),
)

SNAPSHOT = Resource("snapshot", "volume", project=("os-extended-snapshot-attributes:project_id",))

VOLUME_TYPE = Resource("volume_type", "volume", collection="/types", mapped=("id", "qos_specs_id"))

SWEPT = (
    # from 2.71 on a server tells its flavor by what it is, and its groups
    Swept(SERVER, Version(2, 71), ("changes-since", "{}"), always=True),
    Swept(VOLUME, Version(3, 60), ("updated_at", "gte:{}")),
)
"""What is made without us is looked for in the pods' lists."""
