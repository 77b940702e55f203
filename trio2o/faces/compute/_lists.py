"""How Nova orders and pages its lists."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.domain.versions import Version
from trio2o.faces.compute._down import down_rows
from trio2o.faces.compute._kinds import (
    FLOATING_IP_POOL_SHOWN,
    FLOATING_IP_SHOWN,
    GROUP_SHOWN,
    HOST,
    HYPERVISOR,
    MIGRATION,
    NETWORK_SHOWN,
    NODE,
    SERVICE,
    SNAPSHOT_SHOWN,
    TENANT_NETWORK_SHOWN,
    VOLUME_SHOWN,
)
from trio2o.faces.resources import SERVER
from trio2o.verbs import Gather, Order, Since

Query = list[tuple[str, str]]

_FIELDS = {
    "created_at": "created",
    "updated_at": "updated",
    "uuid": "id",
    "display_name": "name",
    "project_id": "tenant_id",
    "vm_state": "OS-EXT-STS:vm_state",
    "task_state": "OS-EXT-STS:task_state",
    "power_state": "OS-EXT-STS:power_state",
    "launched_at": "OS-SRV-USG:launched_at",
    "terminated_at": "OS-SRV-USG:terminated_at",
    "host": "OS-EXT-SRV-ATTR:host",
    "node": "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "root_device_name": "OS-EXT-SRV-ATTR:root_device_name",
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "availability_zone": "OS-EXT-AZ:availability_zone",
    "config_drive": "config_drive",
    "display_description": "description",
    "locked": "locked",
    "flavorid": "id",
    "memory_mb": "ram",
    "root_gb": "disk",
    "ephemeral_gb": "OS-FLV-EXT-DATA:ephemeral",
    "is_public": "os-flavor-access:is_public",
}


def sorting(query: Query) -> tuple[tuple[str, bool], ...] | None:
    """`sort_key` and `sort_dir` in pairs; a key that has no direction falls, later ones rise."""
    names = [value for name, value in query if name == "sort_key"]
    if not names:
        return None
    directions = [value for name, value in query if name == "sort_dir"]
    falls = [value == "desc" for value in directions] or [True]
    falls += [not directions] * (len(names) - len(falls))
    return tuple((_FIELDS.get(name, name), fall) for name, fall in zip(names, falls, strict=False))


_NEWEST = Order((("created", True), ("id", False)), sorting, (("id", False),))

SERVERS_DETAIL = Gather(SERVER, _NEWEST, links="servers_links", stand_in=down_rows)
SERVERS = evolve(SERVERS_DETAIL, path="/servers/detail", brief=("id", "name", "links"))


_AS_IT_COMES = Order(())
"""Nothing in the rows tells their order: pod after pod, as Nova goes cell after cell."""


def _whole(resource: Resource, named: str = "id", **more: Any) -> Gather:
    """A list that has no pages."""
    return Gather(resource, _AS_IT_COMES, cap=0, paged=False, named=named, **more)


def _hypervisors(path: str) -> Since:
    paged = Gather(HYPERVISOR, _AS_IT_COMES, path, links="hypervisors_links", absent=True)
    return Since(Version(2, 33), paged, _whole(HYPERVISOR, path=path))


HYPERVISORS = _hypervisors("")
HYPERVISORS_FOUND = _whole(HYPERVISOR, absent=True)
SERVICES = _whole(SERVICE)
HOSTS = _whole(HOST, "host_name")
NODES = _whole(NODE)
NETWORKS = _whole(NETWORK_SHOWN)
TENANT_NETWORKS = _whole(TENANT_NETWORK_SHOWN)
FLOATING_IPS = _whole(FLOATING_IP_SHOWN)
FLOATING_IP_POOLS = _whole(FLOATING_IP_POOL_SHOWN, "name", same=lambda row: str(row["name"]))

_NEWEST_MIGRATION = Order((("created_at", True), ("id", True)))
MIGRATIONS = Since(
    Version(2, 59),
    Gather(MIGRATION, _NEWEST_MIGRATION, links="migrations_links", named="uuid", scan=True),
    evolve(_whole(MIGRATION), order=_NEWEST_MIGRATION),
)


def _one_default(row: dict[str, Any]) -> str:
    """A project's `default` groups, one in each pod, are shown as one."""
    return f"default of {row.get('tenant_id')}" if row.get("name") == "default" else ""


# limit and offset, no marker: what Nova cuts out of another service's list
GROUPS = Gather(GROUP_SHOWN, _AS_IT_COMES, cap=0, same=_one_default)
_NEWEST_SHOWN = Order((("createdAt", True), ("id", True)))
VOLUMES_SHOWN = Gather(VOLUME_SHOWN, _NEWEST_SHOWN, cap=0)
SNAPSHOTS_SHOWN = Gather(SNAPSHOT_SHOWN, _NEWEST_SHOWN, cap=0)
