"""How Cinder orders and pages its lists."""

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.domain.versions import Version
from trio2o.faces import volume_resources as kinds
from trio2o.faces.resources import SNAPSHOT, VOLUME
from trio2o.verbs import Gather, Order, Since

Query = list[tuple[str, str]]

_FIELDS = {
    "display_name": "name",
    "display_description": "description",
    "project_id": "os-vol-tenant-attr:tenant_id",
    "host": "os-vol-host-attr:host",
    "group_type_id": "group_type",
    "expires_at": "guaranteed_until",
    "attach_status": "status",
    "instance_uuid": "instance",
    "attach_time": "attached_at",
    "detach_time": "detached_at",
}


def sorting(query: Query) -> tuple[tuple[str, bool], ...] | None:
    """`sort=key:direction,...`, or `sort_key` and `sort_dir`; a direction left out is desc."""
    asked = dict(query)
    if text := asked.get("sort"):
        pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
        return tuple(
            (_FIELDS.get(name, name), (direction or "desc") != "asc")
            for name, _, direction in pairs
        )
    if "sort_key" in asked or "sort_dir" in asked:
        name = asked.get("sort_key", "created_at")
        return ((_FIELDS.get(name, name), asked.get("sort_dir", "desc") != "asc"),)
    return None


_NEWEST = Order((("created_at", True), ("id", True)), sorting, (("created_at", None), ("id", None)))
_OLDEST = Order((("created_at", False), ("id", False)))
_AS_IT_COMES = Order(())
"""Nothing in the rows tells their order: pod after pod."""


def _list(resource: Resource, links: str, *, brief: tuple[str, ...] = ()) -> Gather:
    return Gather(
        resource,
        _NEWEST,
        path=f"{resource.collection}/detail" if brief else "",
        brief=brief,
        links=links,
    )


def _whole(resource: Resource, named: str = "id", order: Order = _AS_IT_COMES) -> Gather:
    """A list that has no pages."""
    return Gather(resource, order, cap=0, paged=False, named=named)


def _cut(gather: Gather, order: Order = _NEWEST) -> Gather:
    """A list that knows limit and offset, and ignores a marker."""
    return evolve(gather, order=order, cap=0, marked=False)


VOLUMES_DETAIL = _list(VOLUME, "volumes_links")
VOLUMES = _list(VOLUME, "volumes_links", brief=("id", "name", "links"))

# both views of a snapshot tell created_at
SNAPSHOTS_DETAIL = SNAPSHOTS = _list(SNAPSHOT, "snapshots_links")

BACKUPS_DETAIL = _list(kinds.BACKUP, "backups_links")
BACKUPS = _list(kinds.BACKUP, "backups_links", brief=("id", "name", "links"))

GROUPS_DETAIL = _list(kinds.GROUP, "group_links")
GROUPS = _list(kinds.GROUP, "group_links", brief=("id", "name"))

CONSISTENCY_GROUPS_DETAIL = _list(kinds.CONSISTENCY_GROUP, "consistencygroup_links")
CONSISTENCY_GROUPS = _list(kinds.CONSISTENCY_GROUP, "consistencygroup_links", brief=("id", "name"))

_GROUP_SNAPSHOTS_DETAIL = _list(kinds.GROUP_SNAPSHOT, "group_snapshot_links")
_GROUP_SNAPSHOTS = _list(
    kinds.GROUP_SNAPSHOT, "group_snapshot_links", brief=("id", "name", "group_type_id")
)
_PAGED_GROUP_SNAPSHOTS = Version(3, 29)
_UNSORTED = Order(_NEWEST.default)


def _once_whole(version: Version, paged: Gather) -> Since:
    """A list that had no pages before a microversion."""
    return Since(version, paged, evolve(paged, order=_UNSORTED, cap=0, paged=False, links=""))


GROUP_SNAPSHOTS_DETAIL = _once_whole(_PAGED_GROUP_SNAPSHOTS, _GROUP_SNAPSHOTS_DETAIL)
GROUP_SNAPSHOTS = _once_whole(_PAGED_GROUP_SNAPSHOTS, _GROUP_SNAPSHOTS)

CGSNAPSHOTS_DETAIL = _cut(_list(kinds.CGSNAPSHOT, ""), _UNSORTED)
CGSNAPSHOTS = _cut(_list(kinds.CGSNAPSHOT, "", brief=("id", "name")), _UNSORTED)

MESSAGES = _once_whole(Version(3, 5), _list(kinds.MESSAGE, "messages_links"))

# rows do not tell when they were made: within a pod its own order stands
_ATTACHED = Order((), sorting)
ATTACHMENTS_DETAIL = Gather(kinds.ATTACHMENT, _ATTACHED, scan=True)
ATTACHMENTS = evolve(
    ATTACHMENTS_DETAIL, path="/attachments/detail", brief=("id", "status", "instance", "volume_id")
)

_TRANSFERS_DETAIL = evolve(
    _list(kinds.TRANSFER, "transfers_links"), path="/volume-transfers/detail"
)
_TRANSFERS = evolve(_TRANSFERS_DETAIL, brief=("id", "volume_id", "name", "links"))
_PAGED_TRANSFERS = Version(3, 59)
TRANSFERS_DETAIL = Since(_PAGED_TRANSFERS, _TRANSFERS_DETAIL, _cut(_TRANSFERS_DETAIL, _OLDEST))
TRANSFERS = Since(_PAGED_TRANSFERS, _TRANSFERS, _cut(_TRANSFERS, _OLDEST))
OLD_TRANSFERS_DETAIL = evolve(_cut(_TRANSFERS_DETAIL, _OLDEST), path="/os-volume-transfer/detail")
OLD_TRANSFERS = evolve(_cut(_TRANSFERS, _OLDEST), path="/os-volume-transfer/detail")

SERVICES = _whole(kinds.SERVICE, "host")
CLUSTERS = _whole(kinds.CLUSTER, "name")
HOSTS = _whole(kinds.HOST, "host_name")
POOLS = _whole(kinds.POOL, "name")
