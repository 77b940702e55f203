"""Bindings: which pod a project uses for an AZ."""

import uuid
from typing import Any
from urllib.parse import parse_qsl

from trio2o.domain.errors import BadRequest, Conflict, NotFound, Unprocessable
from trio2o.domain.values import Binding
from trio2o.faces.admin._pods import body_of, now, text_of
from trio2o.message import Answer, Call
from trio2o.store import bindings as binding_rows
from trio2o.verbs import Context, json_answer

FILTERS = ("tenant_id", "pod_id", "az_name")


def _shown(binding: Binding) -> dict[str, Any]:
    return {
        "id": binding.id,
        "tenant_id": binding.tenant_id,
        "pod_id": binding.pod_id,
        "az_name": binding.az_name,
        "created_at": binding.created_at,
        "ended_at": binding.ended_at or None,
        "updated_at": None,
    }


async def _find(context: Context, *, ended: bool) -> Binding:
    """The binding of the path. Raises `NotFound`."""
    where = {"id": context.params["id"]}
    found = await context.store.read(lambda c: binding_rows.find_bindings(c, where, ended))
    if not found:
        raise NotFound("Tenant pod binding not found")
    return found[0]


async def list_bindings(call: Call, context: Context) -> Answer:
    """The bindings that hold, oldest first; with `ended=true` also those that ended. A query may
    name `tenant_id`, `pod_id`, `az_name`."""
    query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
    said = query.pop("ended", "false").lower()
    if said not in ("true", "false"):
        raise BadRequest("ended must be true or false")
    if unknown := sorted(set(query) - set(FILTERS)):
        raise BadRequest(f"Unknown filter {', '.join(unknown)}")
    ended = said == "true"
    found = await context.store.read(lambda c: binding_rows.find_bindings(c, query, ended))
    return json_answer(200, {"pod_bindings": [_shown(item) for item in found]})


async def show_binding(call: Call, context: Context) -> Answer:
    """A binding, also one that ended."""
    return json_answer(200, {"pod_binding": _shown(await _find(context, ended=True))})


async def create_binding(call: Call, context: Context) -> Answer:
    """Bind a project to a pod for an AZ (`az_name`; else the pod's first); what it used for that
    AZ before ends."""
    fields = body_of(call, "pod_binding")
    tenant_id, pod_id = text_of(fields, "tenant_id"), text_of(fields, "pod_id")
    if not tenant_id or not pod_id:
        raise Unprocessable("Tenant_id and pod_id can not be empty")
    if context.pods.top is not None and context.pods.top.pod_id == pod_id:
        raise Unprocessable("Top region can not be bound")
    pod = context.pods.get(pod_id)
    if pod is None:
        raise Unprocessable("pod_id not found in pod")
    zone = text_of(fields, "az_name") or pod.az_name
    if zone not in [one.name for one in pod.azs]:
        raise Unprocessable(f"Pod {pod.pod_name} is not in availability zone {zone}")
    held = context.pods.bindings(tenant_id).get(zone)
    if held is not None and held.pod_id == pod_id:
        raise Conflict("Pod binding already exists")
    wanted = Binding(str(uuid.uuid4()), tenant_id, pod_id, zone, now(context))
    binding = await context.store.write(lambda c: binding_rows.rebind(c, wanted))
    context.pods.note(binding)
    return json_answer(200, {"pod_binding": _shown(binding)})


async def delete_binding(call: Call, context: Context) -> Answer:
    """It ends; its history is kept."""
    binding = await _find(context, ended=False)
    ended = now(context)
    await context.store.write(lambda c: binding_rows.end(c, ended, id=binding.id))
    await context.pods.reload()
    return json_answer(200, {})
