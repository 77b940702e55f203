"""Kinds of things that only Cinder has."""

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.faces.resources import SNAPSHOT, VOLUME, VOLUME_TYPE
from trio2o.message import Headers


def _since(version: str) -> Headers:
    """What a call of ours needs to see things that came with a microversion."""
    return ((b"OpenStack-API-Version", f"volume {version}".encode()),)


BACKUP = Resource(
    "backup", "volume", zones=("availability_zone",), project=("os-backup-project-attr:project_id",)
)

# what is imported is named by one key and answered by another
BACKUP_RECORD = evolve(BACKUP, key="backup-record", rows="backup")

GROUP = Resource(
    "group",
    "volume",
    zones=("availability_zone",),
    headers=_since("3.13"),
    mapped=("group_type", "volume_types"),
)

GROUP_SNAPSHOT = Resource(
    "group_snapshot", "volume", headers=_since("3.14"), mapped=("group_type_id",)
)

# the older names of the same things
CONSISTENCY_GROUP = evolve(
    GROUP,
    collection="/consistencygroups",
    key="consistencygroup",
    rows="consistencygroups",
    headers=(),
)
CGSNAPSHOT = evolve(
    GROUP_SNAPSHOT, collection="/cgsnapshots", key="cgsnapshot", rows="cgsnapshots", headers=()
)

ATTACHMENT = Resource(
    "volume_attachment", "volume", key="attachment", deleted_at_once=True, headers=_since("3.27")
)

MESSAGE = Resource("message", "volume", deleted_at_once=True, headers=_since("3.3"))

TRANSFER = Resource(
    "transfer",
    "volume",
    collection="/os-volume-transfer",
    project=("source_project_id",),
    deleted_at_once=True,
)

SERVICE = Resource(
    "volume_service",
    "volume",
    key="service",
    collection="/os-services",
    zones=("zone",),
    headers=_since("3.7"),
)

CLUSTER = Resource("cluster", "volume", headers=_since("3.7"))

HOST = Resource("volume_host", "volume", key="host", collection="/os-hosts", zones=("zone",))

POOL = Resource("pool", "volume", collection="/scheduler-stats/get_pools")

EXTENSION = Resource("extension", "volume")

QUOTA_CLASS = Resource("quota_class_set", "volume", collection="/os-quota-class-sets")

GROUP_TYPE = Resource("group_type", "volume", mapped=("id",))

QOS_SPEC = Resource(
    "qos_spec", "volume", key="qos_specs", rows="qos_specs", collection="/qos-specs", mapped=("id",)
)

DEFAULT_TYPE = Resource(
    "default_type",
    "volume",
    collection="/default-types",
    mapped=("volume_type_id",),
    well_formed=bool,
)

# who may use a type, and what a QoS spec is for
TYPE_ACCESS = Resource(
    "type_access",
    "volume",
    key="",
    rows="volume_type_access",
    collection="",
    mapped=("volume_type_id",),
)
ASSOCIATION = Resource(
    "association", "volume", key="", rows="qos_associations", collection="", mapped=("id",)
)

KINDS = (VOLUME, SNAPSHOT, BACKUP, GROUP, GROUP_SNAPSHOT, ATTACHMENT, MESSAGE, TRANSFER)
"""What has a route."""

OLDER = (CONSISTENCY_GROUP, CGSNAPSHOT)
DEFINED = (VOLUME_TYPE, GROUP_TYPE, QOS_SPEC, DEFAULT_TYPE, TYPE_ACCESS, ASSOCIATION)
"""What is the same in every pod, by the tenants' ids."""
