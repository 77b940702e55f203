"""What is particular to Cinder: version documents, zones, type names in bodies."""

from __future__ import annotations

from typing import Any

import msgspec

from trio2o.domain.values import Pod, is_uuid
from trio2o.faces.images import image_pins
from trio2o.faces.resources import VOLUME, VOLUME_TYPE
from trio2o.message import Answer, Call
from trio2o.pods import Target
from trio2o.scheduling import Pin
from trio2o.verbs import Context, decode, edit, json_answer, refuse, value_at

NOT_YET = refuse(501, "This operation is not served yet.")


def _versions(context: Context) -> dict[str, Any]:
    offered = context.pods.offered("volume")
    entry = {
        "id": "v3.0",
        "status": "CURRENT",
        "version": str(offered.most),
        "min_version": str(offered.least),
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": f"{context.surface.url}/v3/"},
        ],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.volume+json;version=3",
            }
        ],
    }
    return {"versions": [entry]}


async def root(call: Call, context: Context) -> Answer:
    """`GET /`: 300, as Cinder has it."""
    return json_answer(300, _versions(context))


async def version(call: Call, context: Context) -> Answer:
    """`GET /v3/`: the same list, with 200."""
    return json_answer(200, _versions(context))


async def zones(call: Call, context: Context) -> Answer:
    """The pods' AZs; one is available if a pod of it answers."""
    info = [
        {
            "zoneName": name,
            "zoneState": {"available": any(not context.pods.is_down(p, "volume") for p in pods)},
        }
        for name, pods in context.pods.zones().items()
    ]
    return json_answer(200, {"availabilityZoneInfo": info})


async def with_type_name(body: bytes, pod: Pod, context: Context) -> bytes:
    """Each pod has ids of its own for volume types: an id of another pod becomes its name."""
    id = value_at(decode(body), ("volume", "volume_type"))
    if not isinstance(id, str) or not is_uuid(id):
        return body
    headers = ((b"X-Auth-Token", context.caller.token.encode()),)
    call = Call("GET", VOLUME_TYPE.path(id).encode(), headers=headers)
    target = Target("volume", context.caller.project_id)
    for other in (pod, *(p for p in context.pods.serving("volume") if p is not pod)):
        if context.pods.is_down(other, "volume"):
            continue
        answer = await context.pods.send(other, target, call, context.deadline)
        if answer.ok and isinstance(answer.body, bytes):
            if other is pod:
                return body
            name = msgspec.json.decode(answer.body)["volume_type"]["name"]

            def rename(fields: dict[str, msgspec.Raw], name: str = name) -> None:
                fields["volume_type"] = msgspec.Raw(msgspec.json.encode(name))

            return edit(body, VOLUME, rename)
    return body


async def embedded(body: Any, context: Context) -> tuple[Pin, ...]:
    """A volume made of an image that embeds a snapshot is made where the snapshot is."""
    return await image_pins([value_at(body, ("volume", "imageRef"))], context)
