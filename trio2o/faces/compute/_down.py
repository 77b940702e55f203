"""Servers of pods that are down, as Nova shows those of a down cell (from 2.69 on)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.errors import GatewayTimeout, PodUnavailable
from trio2o.domain.values import Pod, Route
from trio2o.domain.versions import Version
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Forward, json_answer, raw

CONTRACT = Version(2, 69)
GROUPS = Version(2, 71)

AWAY = (502, 503, 504)

_FALSE = ("0", "f", "false", "off", "n", "no")
"""What Nova takes for "not of all projects"."""


def _known(context: Context) -> bool:
    return context.version is not None and context.version >= CONTRACT


def _links(id: str, context: Context) -> list[dict[str, str]]:
    surface = context.surface
    return [
        {"rel": "self", "href": f"{surface.url}/{surface.version}/servers/{id}"},
        {"rel": "bookmark", "href": f"{surface.url}/servers/{id}"},
    ]


def _image(shown: Any, context: Context) -> Any:
    """An image's id with our link; '' for a server that has none."""
    if not isinstance(shown, dict) or "id" not in shown:
        return ""
    href = f"{context.surface.url}/images/{shown['id']}"
    return {"id": shown["id"], "links": [{"rel": "bookmark", "href": href}]}


def _details(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(route.details) if route.details else {}
    return found


async def down_rows(
    pods: Sequence[Pod], asked: Sequence[tuple[str, str]], brief: bool, context: Context
) -> list[msgspec.Raw] | None:
    """Rows of a list without filter, order or page (Nova allows `all_tenants` alone), oldest first.

    They stand before those of the pods that answer.
    """
    if not _known(context) or {name for name, _ in asked} - {"all_tenants"}:
        return None
    every = any(value.lower() not in _FALSE for _, value in asked)
    project = None if every and context.caller.is_admin else context.caller.project_id
    shown = []
    for pod in pods:
        found = [
            (_details(route).get("created", ""), route)
            for route in await context.routes.of_pod(SERVER, pod, project)
        ]
        for created, route in sorted(found, key=lambda one: (one[0], one[1].top_id)):
            row = {"id": route.top_id, "status": "UNKNOWN", "links": _links(route.top_id, context)}
            if not brief:
                row |= {"tenant_id": route.project_id, "created": created}
            shown.append(raw(row))
    return shown


@frozen
class ShowServer:
    """A server, by its pod; what its route keeps of it while the pod is down."""

    forward: Forward = Forward(SERVER)

    async def __call__(self, call: Call, context: Context) -> Answer:
        try:
            answer = await self.forward(call, context)
            if answer.status not in AWAY:
                if answer.ok:
                    await self._note(answer, context)
                return answer
            return await self._stand_in(context) or answer
        except (PodUnavailable, GatewayTimeout):
            if (stand_in := await self._stand_in(context)) is None:
                raise
            return stand_in

    async def _note(self, answer: Answer, context: Context) -> None:
        """Take up what the answer tells, if it is new."""
        id = context.params["id"]
        if context.routes.has_all(SERVER, id):
            return
        caller = context.caller
        route = await context.routes.find(SERVER, id, caller, context.deadline)
        pod = context.pods.get(route.pod_id) if route else None
        assert isinstance(answer.body, bytes)
        try:
            shown = msgspec.json.decode(answer.body, type=dict[str, dict[str, Any]])["server"]
            if pod is not None:
                await context.routes.note(SERVER, pod, [shown])
        except (msgspec.MsgspecError, KeyError):
            return

    async def _stand_in(self, context: Context) -> Answer | None:
        """None where Nova has no such answer, or too little is known of the server."""
        if not _known(context):
            return None
        id, caller = context.params["id"], context.caller
        route = await context.routes.find(SERVER, id, caller, context.deadline)
        pod = context.pods.get(route.pod_id) if route else None
        if route is None or pod is None or route.deleted_at:
            return None
        if route.project_id != caller.project_id and not caller.is_admin:
            return None
        details = _details(await context.routes.known(SERVER, id) or route)
        if "original_name" not in (details.get("flavor") or ()) or "image" not in details:
            return None
        server = {
            "id": id,
            "status": "UNKNOWN",
            "tenant_id": route.project_id,
            "created": details.get("created", ""),
            "links": _links(id, context),
            "image": _image(details["image"], context),
            "flavor": details["flavor"],
            "OS-EXT-AZ:availability_zone": pod.shown_zone(
                details.get("OS-EXT-AZ:availability_zone", ""), "compute"
            ),
            "OS-EXT-STS:power_state": 0,
            "user_id": details.get("user_id") or "UNKNOWN",
        }
        if context.version is not None and context.version >= GROUPS:
            server["server_groups"] = details.get("server_groups", [])
        return json_answer(200, {"server": server})
