"""Pods: added, drained, removed."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from attrs import asdict, evolve

from trio2o.domain.errors import BadRequest, Conflict, NotFound, StoreConflict, Unprocessable
from trio2o.domain.values import ACTIVE, STATES, Caller, Pod, Zone
from trio2o.faces.network_resources import ALL
from trio2o.faces.resources import SERVER
from trio2o.faces.volume_resources import KINDS as VOLUME_KINDS
from trio2o.message import Answer, Call
from trio2o.store import pods as pod_rows
from trio2o.verbs import Context, decode, json_answer

MOST = 1_000_000.0
"""The largest weight: an order is all that it makes."""

KINDS = {kind.type: kind for kind in (SERVER, *VOLUME_KINDS, *ALL)}


def body_of(call: Call, key: str) -> dict[str, Any]:
    """The object under a key of a JSON body. Raises `BadRequest`."""
    body = decode(call.body)
    if not isinstance(body, dict) or not isinstance(body.get(key), dict):
        raise BadRequest(f"Request body {key} not found")
    found: dict[str, Any] = body[key]
    return found


def text_of(fields: dict[str, Any], name: str) -> str:
    """A text member, without the blanks around it; '' if it is absent or null."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 255:
        raise BadRequest(f"{name} must be a text of at most 255 characters")
    return value.strip()


def now(context: Context) -> str:
    return datetime.fromtimestamp(context.now(), UTC).isoformat(timespec="microseconds")


async def root(call: Call, context: Context) -> Answer:
    """`GET /`: the versions."""
    links = [{"rel": "self", "href": f"{context.surface.url}/v1.0/"}]
    entry = {"status": "CURRENT", "links": links, "id": "v1.0", "updated": "2015-09-09"}
    return json_answer(200, {"versions": [entry]})


async def version(call: Call, context: Context) -> Answer:
    """`GET /v1.0`: what there is."""
    base = f"{context.surface.url}/v1.0"
    links = [{"rel": "self", "href": base}]
    links += [
        {"rel": name, "href": f"{base}/{name}"} for name in ("bindings", "pods", "reconcilers")
    ]
    return json_answer(200, {"version": "1.0", "links": links})


def _number_of(value: Any, name: str) -> float:
    """Raises `BadRequest`, or `Unprocessable` for what is no weight."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise BadRequest(f"{name} must be a number")
    if not 0 <= value <= MOST:
        raise Unprocessable(f"{name} must be from 0 to {MOST}")
    return float(value)


def _tags_of(value: Any) -> tuple[str, ...]:
    """Tags, each once, in their order. Raises `BadRequest` or `Unprocessable`."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadRequest("tags must be a list of texts")
    tags = tuple(dict.fromkeys(one.strip() for one in value))
    if not all(tag and len(tag) <= 255 and "," not in tag for tag in tags):
        raise Unprocessable("a tag must be a text of 1 to 255 characters without a comma")
    return tags


def _zones_of(value: Any) -> dict[str, Zone]:
    """AZs by their names, from `{"az1": {"compute": "nova", "volume": "nova"}}`.

    A service left out, or an empty text, is told none. Raises `BadRequest`.
    """
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise BadRequest("availability_zones must map names to objects")
    found = {}
    for name, said in value.items():
        if unknown := sorted(set(said) - {"compute", "volume"}):
            raise BadRequest(
                f"An availability zone has compute and volume, not {', '.join(unknown)}"
            )
        named = text_of({"az_name": name}, "az_name")
        found[named] = Zone(named, text_of(said, "compute"), text_of(said, "volume"))
    return found


def _with_zones(pod: Pod, zones: Mapping[str, Zone]) -> Pod:
    """The pod with these AZs. Raises `Unprocessable` if they cannot be told apart."""
    all = tuple(zones.values())
    if not all:
        raise Unprocessable("A pod has at least one availability zone")
    for zone in all:
        if not zone.name or ":" in zone.name:
            raise Unprocessable("The name of an availability zone is a text without a colon")
    if len({zone.compute for zone in all}) < len(all):
        raise Unprocessable("Each availability zone must have a compute zone of its own in the pod")
    first = all[0]
    plain = len(all) == 1 and first.compute == first.volume
    return evolve(pod, az_name=first.name, pod_az_name=first.compute, zones=() if plain else all)


def _shown(pod: Pod, context: Context) -> dict[str, Any]:
    shown = asdict(pod)
    del shown["number"], shown["zones"]
    shown["tags"] = list(pod.tags)
    shown["availability_zones"] = {
        zone.name: {"compute": zone.compute, "volume": zone.volume}
        for zone in (() if pod.is_top else pod.azs)
    }
    shown["health"] = {} if pod.is_top else context.pods.health(pod)
    return shown


def _find(context: Context) -> Pod:
    """The pod of the path: its `pod_id`, or its name. Raises `NotFound`."""
    id = context.params["id"]
    for pod in _all(context):
        if id in (pod.pod_id, pod.pod_name):
            return pod
    raise NotFound("Pod not found")


def _all(context: Context) -> tuple[Pod, ...]:
    top = context.pods.top
    return (top, *context.pods.all) if top else context.pods.all


async def list_pods(call: Call, context: Context) -> Answer:
    return json_answer(200, {"pods": [_shown(pod, context) for pod in _all(context)]})


async def show_pod(call: Call, context: Context) -> Answer:
    return json_answer(200, {"pod": _shown(_find(context), context)})


async def create_pod(call: Call, context: Context) -> Answer:
    """A pod with an AZ is a cloud; without one it is the top region, of which there is one."""
    fields = body_of(call, "pod")
    name, zone = text_of(fields, "pod_name"), text_of(fields, "az_name")
    zone = zone or next(iter(_zones_of(fields.get("availability_zones") or {})), "")
    if not name:
        what = "pod" if zone else "top region"
        raise Unprocessable(f"Valid pod_name is required for {what}")
    top = context.pods.top
    if not zone and top is not None:
        raise Conflict("Top region already exists")
    if zone and top is not None and top.pod_name == name:
        raise Conflict("Pod region name duplicated with the top region name")
    if any(pod.pod_name == name for pod in context.pods.all):
        raise Conflict("Record already exists")
    if zone:
        await _check_region(name, context)
    pod = Pod(
        pod_id=str(uuid.uuid4()),
        number=0,
        pod_name=name,
        az_name=zone,
        pod_az_name=text_of(fields, "pod_az_name") if zone else "",
        dc_name=text_of(fields, "dc_name"),
        state=ACTIVE,
        created_at=now(context),
    )
    pod = _changed(pod, fields)
    try:
        pod = await context.store.write(lambda connection: pod_rows.add_pod(connection, pod))
    except StoreConflict:
        raise Conflict("Record already exists") from None
    await context.pods.reload()
    await context.pods.refresh()
    context.routes.look_again()
    return json_answer(200, {"pod": _shown(pod, context)})


async def _check_region(name: str, context: Context) -> None:
    """A pod's name is its region's, and it has a compute endpoint there."""
    catalog = context.parts.catalog
    await catalog.refresh()
    if name not in catalog.regions:
        raise Unprocessable(f"Keystone has no region {name}")
    interface = context.parts.settings.pods.interface
    if catalog.url(name, "compute", interface) is None:
        raise Unprocessable(f"Region {name} has no compute endpoint (interface {interface})")


CHANGEABLE = ("state", "weight", "tags", "dc_name", "availability_zones")


def _changed(pod: Pod, fields: dict[str, Any]) -> Pod:
    """The pod as the members of a body make it. Raises `BadRequest` or `Unprocessable`."""
    changes: dict[str, Any] = {}
    if "state" in fields:
        changes["state"] = text_of(fields, "state")
        if changes["state"] not in STATES:
            raise Unprocessable(f"state of a pod must be one of {', '.join(STATES)}")
    if "weight" in fields:
        changes["weight"] = _number_of(fields["weight"], "weight")
    if "tags" in fields:
        changes["tags"] = _tags_of(fields["tags"])
    if "dc_name" in fields:
        changes["dc_name"] = text_of(fields, "dc_name")
    if pod.is_top and set(fields) & {"state", "weight", "tags", "availability_zones"}:
        raise Unprocessable("The top region has no availability zones, state, weight or tags")
    if "availability_zones" in fields:
        zones = _zones_of(fields["availability_zones"])
        if text_of(fields, "az_name"):  # the pair is one entry of the map, the first
            zones = {pod.az_name: pod.azs[0]} | zones
        pod = _with_zones(pod, zones)
    return evolve(pod, **changes)


async def update_pod(call: Call, context: Context) -> Answer:
    """Change a pod's `state` (active, draining: takes nothing new, maintenance), `weight`, `tags`,
    `dc_name`, or its AZs. What is not named stays."""
    pod = _find(context)
    fields = body_of(call, "pod")
    if unknown := sorted(set(fields) - set(CHANGEABLE)):
        raise BadRequest(f"Only {', '.join(CHANGEABLE)} can be changed, not {', '.join(unknown)}")
    _changed(pod, fields)
    time = now(context)
    await context.store.write(
        lambda c: pod_rows.change_pod(c, pod.pod_id, lambda pod: _changed(pod, fields), time)
    )
    await context.pods.reload()
    return json_answer(200, {"pod": _shown(_find(context), context)})


async def delete_pod(call: Call, context: Context) -> Answer:
    """Remove a pod, its aggregate with it. Refused while things are known to live in it, unless
    `?force=true`."""
    pod = _find(context)
    force = parse_qs(call.query.decode("latin-1")).get("force", [""])[-1].lower()
    if not pod.is_top and force not in ("true", "1", "yes"):
        standing = await context.routes.sweep(pod, KINDS, await _own(context), context.deadline)
        if standing:
            raise Conflict(
                f"Pod {pod.pod_name} still has {standing} known resources; "
                "delete them first, or force the removal"
            )
    gone = now(context)
    await context.store.write(lambda c: pod_rows.remove_pod(c, pod.pod_id, gone))
    await context.pods.reload()
    context.routes.drop_pod(pod.pod_id)
    for each in context.definitions.values():
        await each.places.load()
    return json_answer(200, {})


async def _own(context: Context) -> Caller:
    """The appliance's own user, who sees all projects."""
    keystone = context.parts.catalog.keystone
    own: Caller = await context.parts.tokens.caller(await keystone.own_token())
    return own
