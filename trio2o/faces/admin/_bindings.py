"""Bindings: which pod a project uses for an AZ."""

from __future__ import annotations

import uuid
from typing import Any

from trio2o.domain.errors import Conflict, NotFound, Unprocessable
from trio2o.domain.values import Binding
from trio2o.faces.admin._pods import body_of, now, text_of
from trio2o.message import Answer, Call
from trio2o.store import bindings as binding_rows
from trio2o.verbs import Context, json_answer


def _shown(binding: Binding) -> dict[str, Any]:
    return {
        "id": binding.id,
        "tenant_id": binding.tenant_id,
        "pod_id": binding.pod_id,
        "az_name": binding.az_name,
        "created_at": binding.created_at,
        "updated_at": None,
    }


def _find(context: Context) -> Binding:
    for binding in context.pods.bindings:
        if binding.id == context.params["id"]:
            return binding
    raise NotFound("Tenant pod binding not found")


async def list_bindings(call: Call, context: Context) -> Answer:
    """The bindings that hold."""
    return json_answer(200, {"pod_bindings": [_shown(item) for item in context.pods.bindings]})


async def show_binding(call: Call, context: Context) -> Answer:
    return json_answer(200, {"pod_binding": _shown(_find(context))})


async def create_binding(call: Call, context: Context) -> Answer:
    """Bind a project to a pod; what it used for that AZ before ends."""
    fields = body_of(call, "pod_binding")
    tenant_id, pod_id = text_of(fields, "tenant_id"), text_of(fields, "pod_id")
    if not tenant_id or not pod_id:
        raise Unprocessable("Tenant_id and pod_id can not be empty")
    if context.pods.top is not None and context.pods.top.pod_id == pod_id:
        raise Unprocessable("Top region can not be bound")
    pod = context.pods.get(pod_id)
    if pod is None:
        raise Unprocessable("pod_id not found in pod")
    held = context.pods.binding(tenant_id, pod.az_name)
    if held is not None and held.pod_id == pod_id:
        raise Conflict("Pod binding already exists")
    wanted = Binding(str(uuid.uuid4()), tenant_id, pod_id, pod.az_name, now(context))
    binding = await context.store.write(lambda c: binding_rows.rebind(c, wanted))
    await context.pods.reload()
    return json_answer(200, {"pod_binding": _shown(binding)})


async def delete_binding(call: Call, context: Context) -> Answer:
    binding = _find(context)
    ended = now(context)
    await context.store.write(lambda c: binding_rows.end(c, ended, id=binding.id))
    await context.pods.reload()
    return json_answer(200, {})
