"""Kinds of things that only Cinder has."""

from __future__ import annotations

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.faces.resources import SNAPSHOT, VOLUME, VOLUME_TYPE
from trio2o.message import Headers


def _since(version: str) -> Headers:
    """What a call of ours needs to see things that came with a microversion."""
    return ((b"OpenStack-API-Version", f"volume {version}".encode()),)


BACKUP = Resource(
    type="backup",
    service="volume",
    collection="/backups",
    key="backup",
    rows="backups",
    zones=("availability_zone",),
    project=("os-backup-project-attr:project_id",),
)

# what is imported is named by one key and answered by another
BACKUP_RECORD = evolve(BACKUP, key="backup-record", rows="backup")

GROUP = Resource(
    type="group",
    service="volume",
    collection="/groups",
    key="group",
    rows="groups",
    zones=("availability_zone",),
    headers=_since("3.13"),
    mapped=("group_type", "volume_types"),
)

GROUP_SNAPSHOT = Resource(
    type="group_snapshot",
    service="volume",
    collection="/group_snapshots",
    key="group_snapshot",
    rows="group_snapshots",
    headers=_since("3.14"),
    mapped=("group_type_id",),
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
    type="volume_attachment",
    service="volume",
    collection="/attachments",
    key="attachment",
    rows="attachments",
    deleted_at_once=True,
    headers=_since("3.27"),
)

MESSAGE = Resource(
    type="message",
    service="volume",
    collection="/messages",
    key="message",
    rows="messages",
    deleted_at_once=True,
    headers=_since("3.3"),
)

TRANSFER = Resource(
    type="transfer",
    service="volume",
    collection="/os-volume-transfer",
    key="transfer",
    rows="transfers",
    project=("source_project_id",),
    deleted_at_once=True,
)

SERVICE = Resource(
    type="volume_service",
    service="volume",
    collection="/os-services",
    key="service",
    rows="services",
    zones=("zone",),
    headers=_since("3.7"),
)

CLUSTER = Resource(
    type="cluster",
    service="volume",
    collection="/clusters",
    key="cluster",
    rows="clusters",
    headers=_since("3.7"),
)

HOST = Resource(
    type="volume_host",
    service="volume",
    collection="/os-hosts",
    key="host",
    rows="hosts",
    zones=("zone",),
)

POOL = Resource(
    type="pool", service="volume", collection="/scheduler-stats/get_pools", key="pool", rows="pools"
)

EXTENSION = Resource(
    type="extension", service="volume", collection="/extensions", key="extension", rows="extensions"
)

QUOTA_CLASS = Resource(
    type="quota_class_set",
    service="volume",
    collection="/os-quota-class-sets",
    key="quota_class_set",
    rows="quota_class_sets",
)

GROUP_TYPE = Resource(
    type="group_type",
    service="volume",
    collection="/group_types",
    key="group_type",
    rows="group_types",
    mapped=("id",),
)

QOS_SPEC = Resource(
    type="qos_spec",
    service="volume",
    collection="/qos-specs",
    key="qos_specs",
    rows="qos_specs",
    mapped=("id",),
)

DEFAULT_TYPE = Resource(
    type="default_type",
    service="volume",
    collection="/default-types",
    key="default_type",
    rows="default_types",
    mapped=("volume_type_id",),
    well_formed=bool,
)

# who may use a type, and what a QoS spec is for
TYPE_ACCESS = Resource(
    type="type_access",
    service="volume",
    collection="",
    key="",
    rows="volume_type_access",
    mapped=("volume_type_id",),
)
ASSOCIATION = Resource(
    type="association",
    service="volume",
    collection="",
    key="",
    rows="qos_associations",
    mapped=("id",),
)

KINDS = (
    VOLUME,
    SNAPSHOT,
    BACKUP,
    GROUP,
    GROUP_SNAPSHOT,
    ATTACHMENT,
    MESSAGE,
    TRANSFER,
)
"""What has a route."""

OLDER = (CONSISTENCY_GROUP, CGSNAPSHOT)
DEFINED = (VOLUME_TYPE, GROUP_TYPE, QOS_SPEC, DEFAULT_TYPE, TYPE_ACCESS, ASSOCIATION)
"""What is the same in every pod, by the tenants' ids."""
