"""How Nova orders and pages its lists."""

from typing import Any

from attrs import evolve, frozen

from trio2o.domain.resources import Resource
from trio2o.domain.versions import Version
from trio2o.faces.compute import _kinds as kinds
from trio2o.faces.compute._down import down_rows
from trio2o.faces.resources import SERVER
from trio2o.verbs import Gather, Gone, Order, Since

Query = list[tuple[str, str]]
Keys = tuple[tuple[str, bool], ...]

_UNTOLD = ""
"""For columns that no row tells: a member that there is not."""

_COLUMNS = {
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "availability_zone": "OS-EXT-AZ:availability_zone",
    "config_drive": "config_drive",
    "created_at": "created",
    "display_description": "description",
    "display_name": "name",
    "host": "OS-EXT-SRV-ATTR:host",
    "hostname": "OS-EXT-SRV-ATTR:hostname",
    "image_ref": "image",
    "kernel_id": "OS-EXT-SRV-ATTR:kernel_id",
    "key_name": "key_name",
    "launch_index": "OS-EXT-SRV-ATTR:launch_index",
    "launched_at": "OS-SRV-USG:launched_at",
    "locked": "locked",
    "node": "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "power_state": "OS-EXT-STS:power_state",
    "project_id": "tenant_id",
    "ramdisk_id": "OS-EXT-SRV-ATTR:ramdisk_id",
    "root_device_name": "OS-EXT-SRV-ATTR:root_device_name",
    "task_state": "OS-EXT-STS:task_state",
    "terminated_at": "OS-SRV-USG:terminated_at",
    "updated_at": "updated",
    "user_id": "user_id",
    "uuid": "id",
    "vm_state": "OS-EXT-STS:vm_state",
    "auto_disk_config": "OS-DCF:diskConfig",
}
"""Nova's columns of servers, and the members that tell them. `instance_type_id`, `locked_by` and
`progress` have none that always does."""

_IGNORED = frozenset(
    """architecture cell_name cleaned default_ephemeral_device default_swap_device deleted
    deleted_at disable_terminate ephemeral_gb ephemeral_key_uuid id key_data launched_on memory_mb
    os_type reservation_id root_gb shutdown_terminate user_data vcpus vm_mode""".split()  # noqa: SIM905
)
"""Columns that Nova takes as sort keys (up to 2.74) and does not sort by; `locked` up to 2.72."""

_SORTS_LOCKED = Version(2, 73)


@frozen
class ServerOrder(Order):
    """Nova's order of servers: `created_at` falling unless told, the UUID rising at the end.

    Sort keys without a direction have that of the first, but for the key behind the last one that
    has: Nova writes the UUID's direction there. Servers that no host was chosen for come first.
    """

    def keys(self, query: Query, version: Version | None = None) -> Keys:
        names = [value.strip() for name, value in query if name == "sort_key"] or ["created_at"]
        falls = [value.strip() == "desc" for name, value in query if name == "sort_dir"] or [True]
        ignored = _IGNORED if version and version >= _SORTS_LOCKED else {*_IGNORED, "locked"}
        for name in [name for name in names if name in ignored]:
            place = names.index(name)
            del falls[place : place + 1], names[place]
        if not names:
            names, falls = ["created_at", "id"], [True, True]
        if "uuid" not in names:
            names.append("uuid")
            falls.append(False)
        falls += (falls[:1] or [True]) * (len(names) - len(falls))
        return tuple(
            # what is told as AUTO and MANUAL is true and false
            (_COLUMNS.get(name, _UNTOLD), fall != (name == "auto_disk_config"))
            for name, fall in zip(names, falls, strict=False)
        )


_FIELDS = {
    "created_at": "created",
    "updated_at": "updated",
    "flavorid": "id",
    "memory_mb": "ram",
    "root_gb": "disk",
    "ephemeral_gb": "OS-FLV-EXT-DATA:ephemeral",
    "is_public": "os-flavor-access:is_public",
}


def sorting(query: Query) -> Keys | None:
    """`sort_key` and `sort_dir` in pairs; a key that has no direction falls, later ones rise."""
    names = [value for name, value in query if name == "sort_key"]
    if not names:
        return None
    directions = [value for name, value in query if name == "sort_dir"]
    falls = [value == "desc" for value in directions] or [True]
    falls += [not directions] * (len(names) - len(falls))
    return tuple((_FIELDS.get(name, name), fall) for name, fall in zip(names, falls, strict=False))


SERVERS_DETAIL = Gather(
    SERVER,
    ServerOrder((), lead=("OS-EXT-STS:task_state", "scheduling")),
    links="servers_links",
    offset=False,
    gone=Gone("all_tenants=1&changes-since=1970-01-01T00:00:00Z&uuid={id}", Version(2, 74)),
    stand_in=down_rows,
)
SERVERS = evolve(SERVERS_DETAIL, path="/servers/detail", brief=("id", "name", "links"))


_AS_IT_COMES = Order(())
"""Nothing in the rows tells their order: pod after pod, as Nova goes cell after cell."""


def _whole(resource: Resource, named: str = "id", **more: Any) -> Gather:
    """A list that has no pages."""
    return Gather(resource, _AS_IT_COMES, cap=0, paged=False, named=named, **more)


def _hypervisors(path: str) -> Since:
    paged = Gather(
        kinds.HYPERVISOR, _AS_IT_COMES, path, links="hypervisors_links", offset=False, absent=True
    )
    return Since(Version(2, 33), paged, _whole(kinds.HYPERVISOR, path=path))


HYPERVISORS = _hypervisors("")
HYPERVISORS_FOUND = _whole(kinds.HYPERVISOR, absent=True)
SERVICES = _whole(kinds.SERVICE)
HOSTS = _whole(kinds.HOST, "host_name")
NODES = _whole(kinds.NODE)
NETWORKS = _whole(kinds.NETWORK_SHOWN)
TENANT_NETWORKS = _whole(kinds.TENANT_NETWORK_SHOWN)
FLOATING_IPS = _whole(kinds.FLOATING_IP_SHOWN)
FLOATING_IP_POOLS = _whole(kinds.FLOATING_IP_POOL_SHOWN, "name", same=lambda row: str(row["name"]))

_NEWEST_MIGRATION = Order((("created_at", True), ("id", True)))
MIGRATIONS = Since(
    Version(2, 59),
    Gather(
        kinds.MIGRATION,
        _NEWEST_MIGRATION,
        links="migrations_links",
        named="uuid",
        offset=False,
        scan=True,
    ),
    evolve(_whole(kinds.MIGRATION), order=_NEWEST_MIGRATION),
)


def _one_default(row: dict[str, Any]) -> str:
    """A project's `default` groups, one in each pod, are shown as one."""
    return f"default of {row.get('tenant_id')}" if row.get("name") == "default" else ""


# limit and offset, no marker: what Nova cuts out of another service's list
GROUPS = Gather(kinds.GROUP_SHOWN, _AS_IT_COMES, cap=0, same=_one_default)
_NEWEST_SHOWN = Order((("createdAt", True), ("id", True)))
VOLUMES_SHOWN = Gather(kinds.VOLUME_SHOWN, _NEWEST_SHOWN, cap=0)
SNAPSHOTS_SHOWN = Gather(kinds.SNAPSHOT_SHOWN, _NEWEST_SHOWN, cap=0)
