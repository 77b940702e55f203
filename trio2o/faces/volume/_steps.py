"""What is particular to Cinder: version documents, zones, type names in bodies."""

from typing import Any

from trio2o.faces.images import image_pins
from trio2o.message import Answer, Call
from trio2o.scheduling import Pin
from trio2o.verbs import Context, json_answer, value_at


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
            {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}
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


async def embedded(body: Any, context: Context) -> tuple[Pin, ...]:
    """A volume made of an image that embeds a snapshot is made where the snapshot is."""
    named = [value_at(body, ("volume", key)) for key in ("imageRef", "image_id")]
    return await image_pins(named, context)
