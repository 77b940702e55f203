"""What is particular to Nova: version documents, zones, aggregates, names in bodies."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec

from trio2o.domain.errors import Gone, NotFound
from trio2o.domain.values import Pod, is_uuid
from trio2o.faces.compute._flavors import lacking_flavor, with_flavor
from trio2o.faces.compute._groups import with_group
from trio2o.faces.compute._keypairs import lacking_keypair, with_keypair
from trio2o.faces.network_resources import SECURITY_GROUP
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Refuse, decode, edit, json_answer, value_at

GONE = Refuse(Gone, "This resource is no longer available. No forwarding address is given.")


def _entry(context: Context, id: str) -> dict[str, Any]:
    """One version as Nova lists it."""
    offered = context.pods.offered("compute")
    legacy = id == "v2.0"
    href = f"{context.surface.url}/{'v2' if legacy else id}/"
    return {
        "id": id,
        "status": "DEPRECATED" if legacy else "CURRENT",
        "version": "" if legacy else str(offered.most),
        "min_version": "" if legacy else str(offered.least),
        "updated": "2025-07-04T12:00:00Z" if legacy else "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": href}],
    }


def _media_types(id: str) -> list[dict[str, str]]:
    kind = f"application/vnd.openstack.compute+json;version={id[1:].removesuffix('.0')}"
    return [{"base": "application/json", "type": kind}]


async def root(call: Call, context: Context) -> Answer:
    """`GET /`: the versions, to anyone."""
    versions = [_entry(context, "v2.0"), _entry(context, "v2.1")]
    return json_answer(200, {"versions": versions})


def _document(context: Context, id: str, links: list[dict[str, str]] | None = None) -> Answer:
    entry = _entry(context, id)
    if links is not None:
        entry["links"] = links
    entry["media-types"] = _media_types(id)
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    entry["links"].append(described)
    return json_answer(200, {"version": entry})


async def version(call: Call, context: Context) -> Answer:
    """`GET /v2.1/` or `/v2/`: one version, to anyone."""
    return _document(context, "v2.0" if call.path.rstrip(b"/") == b"/v2" else "v2.1")


async def version_by_id(call: Call, context: Context) -> Answer:
    id = context.params["id"]
    if id not in ("v2.0", "v2.1"):
        raise NotFound("The resource could not be found.")
    # whichever is asked for, the link is to where it was asked
    return _document(context, id, _entry(context, "v2.1")["links"])


async def choices(call: Call, context: Context) -> Answer:
    """Any path of no version: 300 with what there is."""
    listed = []
    for id in ("v2.0", "v2.1"):
        entry = _entry(context, id)
        href = entry["links"][0]["href"].rstrip("/") + call.path.rstrip(b"/").decode("latin-1")
        listed.append(
            {
                "id": id,
                "status": entry["status"],
                "links": [{"rel": "self", "href": href}],
                "media-types": _media_types(id),
            }
        )
    return json_answer(300, {"choices": listed})


def _available(context: Context, pods: list[Pod]) -> bool:
    return any(not context.pods.is_down(pod, "compute") for pod in pods)


async def zones(call: Call, context: Context) -> Answer:
    """AZs are the pods' AZs; one is available if a pod of it answers."""
    info = [
        {"zoneName": name, "zoneState": {"available": _available(context, pods)}, "hosts": None}
        for name, pods in context.pods.zones().items()
    ]
    return json_answer(200, {"availabilityZoneInfo": info})


async def zones_detail(call: Call, context: Context) -> Answer:
    """With the pods as the hosts of their AZ."""
    info = [
        {
            "zoneName": name,
            "zoneState": {"available": _available(context, pods)},
            "hosts": {
                pod.pod_name: {
                    "nova-compute": {
                        "active": pod.state == "active",
                        "available": _available(context, [pod]),
                        "updated_at": None,
                    }
                }
                for pod in pods
            },
        }
        for name, pods in context.pods.zones().items()
    ]
    return json_answer(200, {"availabilityZoneInfo": info})


async def prepared(body: bytes, pod: Pod, context: Context) -> bytes:
    """What a new server names is in its pod, by the names that it has there."""
    for step in (with_flavor, with_keypair, with_group, with_group_names):
        body = await step(body, pod, context)
    return body


async def lacking(body: Any, context: Context) -> frozenset[str]:
    """Pods that do not have what a new server needs, or have another in its place."""
    return await lacking_flavor(body, context) | await lacking_keypair(body, context)


async def with_group_names(body: bytes, pod: Pod, context: Context) -> bytes:
    """A security group that is named by its id in another pod is named by its name instead.

    Each pod has groups of its own; `default`, which is shown once, is in all of them.
    """
    groups = value_at(decode(body), ("server", "security_groups"))
    if not isinstance(groups, list):
        return body
    changed = False
    for group in groups:
        id = group.get("name") if isinstance(group, dict) else None
        if (
            isinstance(id, str)
            and is_uuid(id)
            and (name := await _name_elsewhere(id, pod, context))
        ):
            group["name"], changed = name, True
    if not changed:
        return body

    def rename(fields: dict[str, msgspec.Raw]) -> None:
        fields["security_groups"] = msgspec.Raw(msgspec.json.encode(groups))

    return edit(body, SERVER, rename)


async def _name_elsewhere(id: str, pod: Pod, context: Context) -> str | None:
    route = await context.routes.find(SECURITY_GROUP, id, context.caller, context.deadline)
    home = context.pods.get(route.pod_id) if route else None
    if home is None or home.pod_id == pod.pod_id:
        return None
    shown = await context.look(home, SECURITY_GROUP.path(id), service="network")
    name = value_at(shown, ("security_group", "name"))
    return name if isinstance(name, str) else None


def assisted_volume(call: Call) -> str:
    """The volume whose snapshot Cinder makes with Nova's help; '' if none is named."""
    if call.method == "POST":
        id = value_at(decode(call.body), ("snapshot", "volume_id"))
    else:
        told = parse_qs(call.query.decode("latin-1")).get("delete_info", [""])[0]
        try:
            id = value_at(msgspec.json.decode(told), ("volume_id",))
        except msgspec.MsgspecError:
            id = None
    return id if isinstance(id, str) else ""
