"""Definitions: which there are, and whose version of one is right."""

from typing import Any

import msgspec

from trio2o.definitions import Definitions
from trio2o.domain.errors import NotFound, Unprocessable
from trio2o.domain.values import Definition
from trio2o.faces.admin._pods import body_of, text_of
from trio2o.message import Answer, Call
from trio2o.verbs import Context, json_answer

TOP = "top"


def _kind(context: Context) -> Definitions:
    found = context.definitions.get(context.params["kind"])
    if found is None:
        raise NotFound("Definition not found")
    return found


async def _shown(definition: Definition, context: Context) -> dict[str, Any]:
    """With the version that each pod has; of the top's own, `version`."""
    told = await _kind(context).places.settled(definition.key)
    pods = [(pod, told.get(pod.pod_id)) for pod in context.pods.all]
    return {
        "kind": definition.kind,
        "key": definition.key,
        "version": definition.version,
        "document": msgspec.Raw(definition.document.encode()),
        "pods": [
            {
                "pod_name": pod.pod_name,
                "bottom_id": one.bottom_id,
                "version": one.version,
                "problem": one.problem,
            }
            for pod, one in pods
            if one is not None
        ],
    }


async def list_definitions(call: Call, context: Context) -> Answer:
    found = [await _shown(one, context) for one in await _kind(context).all()]
    return json_answer(200, {"definitions": found})


async def show_definition(call: Call, context: Context) -> Answer:
    found = await _kind(context).find(context.params["id"])
    if found is None:
        raise NotFound("Definition not found")
    return json_answer(200, {"definition": await _shown(found, context)})


async def choose_definition(call: Call, context: Context) -> Answer:
    """`right` is the name of the pod whose version is to hold everywhere, or `top`."""
    right = text_of(body_of(call, "definition"), "right")
    pod = next((pod for pod in context.pods.all if pod.pod_name == right), None)
    if pod is None and right != TOP:
        raise Unprocessable("right must be the name of a pod, or top")
    await _kind(context).choose(context.params["id"], pod)
    found = await _kind(context).find(context.params["id"])
    shown = await _shown(found, context) if found else None
    return json_answer(200, {"definition": shown})
