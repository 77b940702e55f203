"""Routings: where ids live, for an operator to look at and to repair."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from attrs import evolve

from trio2o.domain.errors import BadRequest, Conflict, NotFound, Unprocessable
from trio2o.domain.values import Route
from trio2o.faces.admin._pods import KINDS, body_of, text_of
from trio2o.message import Answer, Call
from trio2o.store.routes import find_route, list_routes
from trio2o.verbs import Context, json_answer

PAGE = 1000
FILTERS = {
    "resource_type": "type",
    "top_id": "top_id",
    "bottom_id": "bottom_id",
    "pod_id": "pod_id",
    "project_id": "project_id",
}
"""Members of a routing, and what the store calls them."""


def _id(route: Route) -> str:
    return f"{route.type}:{route.top_id}"


def _shown(route: Route, context: Context) -> dict[str, Any]:
    pod = context.pods.get(route.pod_id)
    return {
        "id": _id(route),
        **{name: getattr(route, column) for name, column in FILTERS.items()},
        "pod_name": pod.pod_name if pod else "",
        "deleted_at": route.deleted_at or None,
    }


async def _find(context: Context) -> Route:
    """The routing of the path. Raises `NotFound`."""
    kind, _, id = context.params["id"].partition(":")
    found = await context.store.read(lambda c: find_route(c, kind, id))
    if found is None:
        raise NotFound("Routing not found")
    return found


async def list_routings(call: Call, context: Context) -> Answer:
    """By resource type and id; `limit` and `marker` (the id of a routing) make pages."""
    query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
    limit, marker = query.pop("limit", ""), query.pop("marker", "")
    if unknown := sorted(set(query) - set(FILTERS)):
        raise BadRequest(f"Unknown filter {', '.join(unknown)}")
    if limit and not (limit.isascii() and limit.isdigit()):
        raise BadRequest("limit must be a number")
    kind, colon, id = marker.partition(":")
    if marker and not colon:
        raise BadRequest(f"marker [{marker}] not found")
    size = min(int(limit), PAGE) if limit else PAGE
    where = {FILTERS[name]: value for name, value in query.items()}
    after = (kind, id) if marker else None
    found = await context.store.read(lambda c: list_routes(c, where, after, size))
    body: dict[str, Any] = {"routings": [_shown(route, context) for route in found]}
    if found and len(found) == size:
        following = {**query, "limit": str(size), "marker": _id(found[-1])}
        href = f"{context.surface.url}/v1.0/routings?{urlencode(following)}"
        body["routings_links"] = [{"rel": "next", "href": href}]
    return json_answer(200, body)


async def show_routing(call: Call, context: Context) -> Answer:
    return json_answer(200, {"routing": _shown(await _find(context), context)})


def _pod_id(fields: dict[str, Any], context: Context) -> str:
    """Raises `Unprocessable` for what is no pod."""
    named = text_of(fields, "pod_id")
    for pod in context.pods.all:
        if named in (pod.pod_id, pod.pod_name):
            return pod.pod_id
    raise Unprocessable("pod_id is no pod's")


async def create_routing(call: Call, context: Context) -> Answer:
    fields = body_of(call, "routing")
    kind, top_id = text_of(fields, "resource_type"), text_of(fields, "top_id")
    project = text_of(fields, "project_id")
    if kind not in KINDS:
        raise Unprocessable(f"resource_type must be one of {', '.join(KINDS)}")
    if not KINDS[kind].well_formed(top_id) or not project:
        raise Unprocessable("Valid top_id and project_id are required")
    if await context.store.read(lambda c: find_route(c, kind, top_id)) is not None:
        raise Conflict("Record already exists")
    bottom = text_of(fields, "bottom_id") or top_id
    made = Route(kind, top_id, _pod_id(fields, context), bottom, project)
    await context.routes.learn([made])
    return json_answer(200, {"routing": _shown(made, context)})


async def update_routing(call: Call, context: Context) -> Answer:
    """`pod_id`, `project_id`; a tombstone stands up again."""
    found, fields = await _find(context), body_of(call, "routing")
    if unknown := sorted(set(fields) - {"pod_id", "project_id"}):
        raise BadRequest(f"Only pod_id and project_id can be changed, not {', '.join(unknown)}")
    changes: dict[str, Any] = {"deleted_at": ""}
    if "pod_id" in fields:
        changes["pod_id"] = _pod_id(fields, context)
    if project := text_of(fields, "project_id"):
        changes["project_id"] = project
    changed = evolve(found, **changes)
    await context.routes.learn([changed])
    return json_answer(200, {"routing": _shown(changed, context)})


async def delete_routing(call: Call, context: Context) -> Answer:
    """Only what is known of it goes: the id is looked for in the pods again."""
    found = await _find(context)
    await context.routes.remove(found.type, found.top_id)
    return json_answer(200, {})
