"""How Nova orders and pages its lists."""

from __future__ import annotations

from trio2o.faces.resources import FLAVOR, SERVER
from trio2o.verbs import Gather, Order

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

SERVERS_DETAIL = Gather(SERVER, _NEWEST, links="servers_links")
SERVERS = Gather(
    SERVER, _NEWEST, path="/servers/detail", brief=("id", "name", "links"), links="servers_links"
)


def _flavor_sorting(query: Query) -> tuple[tuple[str, bool], ...] | None:
    asked = sorting(query)
    directed = any(name == "sort_dir" for name, _ in query)
    return asked and tuple((name, falls and directed) for name, falls in asked)


_BY_ID = Order((("id", False),), _flavor_sorting, (("id", False),))

FLAVORS_DETAIL = Gather(
    FLAVOR, _BY_ID, links="flavors_links", same=lambda row: str(row["id"]), definition=True
)
FLAVORS = Gather(
    FLAVOR,
    _BY_ID,
    path="/flavors/detail",
    brief=("id", "name", "description", "links"),
    links="flavors_links",
    same=lambda row: str(row["id"]),
    definition=True,
)
