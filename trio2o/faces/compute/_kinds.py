"""Kinds of things that only Nova has, and what it shows of other services' (up to 2.35)."""

from typing import Any

from trio2o.domain.resources import Resource

_BY_UUID = ((b"OpenStack-API-Version", b"compute 2.53"),)
"""Hypervisors and services have UUIDs from here on, and numbers of a pod's own before."""

HYPERVISOR = Resource(
    "hypervisor",
    "compute",
    collection="/os-hypervisors",
    integers=("id", "service.id"),
    headers=_BY_UUID,
)

SERVICE = Resource(
    "compute_service",
    "compute",
    key="service",
    collection="/os-services",
    zones=("zone",),
    integers=("id",),
    probe="/os-services",
    headers=_BY_UUID,
)


def _kind(collection: str, key: str, type: str = "", **more: Any) -> Resource:
    """`type` is that of the service which has the thing: its routes are the same."""
    return Resource(type or key, "compute", key, collection=f"/{collection}", **more)


KEYPAIR = _kind("os-keypairs", "keypair")
SERVER_GROUP = _kind("os-server-groups", "server_group")
HOST = _kind("os-hosts", "host", zones=("zone",))
MIGRATION = _kind("os-migrations", "migration")
CONSOLE = _kind("os-console-auth-tokens", "console")
NODE = _kind("os-baremetal-nodes", "node")
IMAGE = _kind("images", "image")
QUOTA_CLASS = _kind("os-quota-class-sets", "quota_class_set")

# the same things by the names and keys that Nova has for them
NETWORK_SHOWN = _kind("os-networks", "network")
TENANT_NETWORK_SHOWN = _kind("os-tenant-networks", "network")
FLOATING_IP_SHOWN = _kind("os-floating-ips", "floating_ip", type="floatingip")
FLOATING_IP_POOL_SHOWN = _kind("os-floating-ip-pools", "floating_ip_pool")
GROUP_SHOWN = _kind("os-security-groups", "security_group")
RULE_SHOWN = _kind("os-security-group-rules", "security_group_rule")
VOLUME_SHOWN = _kind("os-volumes", "volume", zones=("availabilityZone",), zoned_by="volume")
SNAPSHOT_SHOWN = _kind("os-snapshots", "snapshot")
