"""What is particular to Neutron: version documents, extensions, zones."""

from __future__ import annotations

from typing import Any

from trio2o.domain.errors import NotFound, NotImplementedHere, PodUnavailable, Unavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Refuse, json_answer, value_at

QUOTAS_NOT_MADE = Refuse(NotImplementedHere, "POST requests are not supported on this resource.")

_CORE = ("network", "subnet", "subnetpool", "port")


async def root(call: Call, context: Context) -> Answer:
    """`GET /`: the one version."""
    links = [{"rel": "self", "href": f"{context.surface.url}/v2.0/"}]
    version = {"id": "v2.0", "status": "CURRENT", "links": links}
    return json_answer(200, {"versions": [version]})


async def core_resources(call: Call, context: Context) -> Answer:
    """`GET /v2.0/`: the core resources."""
    listed = [
        {
            "name": name,
            "collection": f"{name}s",
            "links": [{"rel": "self", "href": f"{context.surface.url}/v2.0/{name}s"}],
        }
        for name in _CORE
    ]
    return json_answer(200, {"resources": listed})


async def zones(call: Call, context: Context) -> Answer:
    """The pods' AZs, for networks and routers."""
    states = {
        name: any(not context.pods.is_down(pod, "network") for pod in pods)
        for name, pods in context.pods.zones().items()
    }
    listed = [
        {"name": name, "resource": resource, "state": "available" if up else "unavailable"}
        for name, up in states.items()
        for resource in ("network", "router")
    ]
    return json_answer(200, {"availability_zones": listed})


async def _shared_extensions(call: Call, context: Context) -> list[dict[str, Any]]:
    """The extensions that all pods that answer have, as the first of them describes them."""

    async def of(pod: Pod) -> list[dict[str, Any]] | None:
        try:
            found = value_at(await context.look(pod, "/extensions"), ("extensions",))
        except PodUnavailable:
            return None
        return found if isinstance(found, list) else None

    pods = [p for p in context.pods.serving("network") if not context.pods.is_down(p, "network")]
    told = [found for found in await together(of(pod) for pod in pods) if found is not None]
    if not told:
        raise Unavailable("No pod can be asked at the moment.")
    shared = set.intersection(*({item["alias"] for item in found} for found in told))
    return [item for item in told[0] if item["alias"] in shared]


async def extensions(call: Call, context: Context) -> Answer:
    return json_answer(200, {"extensions": await _shared_extensions(call, context)})


async def extension(call: Call, context: Context) -> Answer:
    alias = context.params["alias"]
    for item in await _shared_extensions(call, context):
        if item["alias"] == alias:
            return json_answer(200, {"extension": item})
    raise NotFound(f"Extension with alias {alias} does not exist", kind="HTTPNotFound")
