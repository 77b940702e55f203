"""One answer of what all pods' Cinders say, where it is no list."""

from typing import Any

import msgspec
from msgspec.structs import replace

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.resources import qualified, split_number
from trio2o.faces.resources import SNAPSHOT, VOLUME
from trio2o.faces.totals import Document, Said, add
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Ref, Total, below, decode, pins, rewrite


def summary(said: Said) -> Document:
    """Counts added up; of metadata (from 3.36 on) each key with all its values."""
    parts = [document["volume-summary"] for _, document in said]
    joined = add(parts)
    if "metadata" in joined:
        joined["metadata"] = {}
        for part in parts:
            for key, values in part["metadata"].items():
                have = joined["metadata"].setdefault(key, [])
                have += [value for value in values if value not in have]
    return {"volume-summary": joined}


def log_levels(said: Said) -> Document:
    return {"log_levels": [row for _, document in said for row in document["log_levels"]]}


def filters(said: Said) -> Document:
    """What every pod can filter by: one that a pod does not know is refused there."""
    allowed: dict[str, list[list[str]]] = {}
    for _, document in said:
        for row in document["resource_filters"]:
            allowed.setdefault(row["resource"], []).append(row["filters"])
    rows = [
        {"filters": [f for f in lists[0] if all(f in one for one in lists)], "resource": resource}
        for resource, lists in allowed.items()
        if len(lists) == len(said)
    ]
    return {"resource_filters": rows}


def _cleaned(said: Said) -> Document:
    """The services of all pods, their numbers told apart."""
    return {
        name: [
            row | {"id": qualified(pod.number, row["id"])}
            for pod, document in said
            for row in document[name]
        ]
        for name in ("cleaning", "unavailable")
    }


async def cleanup(call: Call, context: Context) -> Answer:
    """`POST /workers/cleanup`: in the pod of the resource or service named, else in all."""
    body: Any = decode(call.body)
    body = body if isinstance(body, dict) else {}
    resource_id, number = body.get("resource_id"), split_number(str(body.get("service_id", "")))
    pod = None
    if isinstance(resource_id, str) and resource_id:
        kind = SNAPSHOT if str(body.get("resource_type", "")).lower() == "snapshot" else VOLUME
        found = await pins([(Ref("", kind), resource_id)], context)
        pod = found[0].pod if found else None
    elif number is not None:
        pod = next((one for one in context.pods.all if one.number == number[0]), None)
    if pod is None:
        return await Total(_cleaned)(call, context)
    if number is not None:
        call = replace(call, body=msgspec.json.encode(body | {"service_id": number[1]}))
    answer = await context.send(pod, below(call, context))
    if not answer.ok:
        return rewrite(answer, context, pod)
    if (told := Total(_cleaned).told(pod, answer)) is None:
        raise PodUnavailable(pod.pod_name, "what it says is no list of services")
    text = msgspec.json.encode(_cleaned([(pod, told)]))
    return rewrite(replace(answer, body=text), context, pod)
