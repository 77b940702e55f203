"""What a failed run left behind, found by name in each pod and deleted there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import openstack

from .shell import Unexpected

PREFIX = "demo-"


def clean(env: dict[str, str], pods: Iterable[str]) -> list[str]:
    """Delete everything of the project whose name starts as the demo's; what it was."""
    found: list[str] = []
    for pod in pods:
        found += [f"{what} in {pod}" for what in _clean_pod(_connect(env, pod))]
    return found


def _connect(env: dict[str, str], region: str) -> Any:
    names = "auth_url username password project_name user_domain_name project_domain_name"
    auth = {name: env[f"OS_{name.upper()}"] for name in names.split()}
    return openstack.connection.Connection(auth=auth, region_name=region)


def _clean_pod(cloud: Any) -> list[str]:
    compute, storage, network = cloud.compute, cloud.block_storage, cloud.network
    own = cloud.current_project_id  # an admin's lists may show what is others'
    # what uses a thing goes before the thing
    return [
        *_delete("server", compute.servers, compute.delete_server),
        *_delete("volume", storage.volumes, storage.delete_volume),
        *_delete("network", lambda: network.networks(project_id=own), network.delete_network),
        *_delete("flavor", compute.flavors, compute.delete_flavor),
        *_delete("image", lambda: cloud.image.images(owner=own), cloud.image.delete_image),
    ]


def _delete(
    kind: str, listed: Callable[[], Iterable[Any]], delete: Callable[[Any], Any]
) -> list[str]:
    def present() -> list[Any]:
        return [item for item in listed() if (item.name or "").startswith(PREFIX)]

    found, end = present(), time.monotonic() + 60
    for item in found:
        delete(item)
    while found and (left := present()):
        if time.monotonic() > end:
            raise Unexpected(f"{kind} {left[0].name} of an earlier run cannot be deleted")
        time.sleep(0.5)
    return [f"{kind} {item.name}" for item in found]
