"""What comes to a project or to Cinder from elsewhere: transfers accepted, storage managed."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.values import Pod, Route
from trio2o.faces.resources import SNAPSHOT, VOLUME
from trio2o.faces.volume._types import VOLUME_TYPE_NAMED
from trio2o.faces.volume_resources import SERVICE, TRANSFER
from trio2o.message import Answer, Call
from trio2o.scheduling import Pin
from trio2o.verbs import (
    Context,
    ask_in_turn,
    bind,
    edit_member,
    pod_naming,
    raw,
    rewrite,
    value_at,
    values_at,
)


async def accept(call: Call, context: Context) -> Answer:
    """A transfer is taken by another project, which cannot see it before.

    Where its pod is not known, each is asked in turn: one that has no such transfer says 404, and
    nothing happened there.
    """
    id = context.params["id"]
    known = await context.routes.known(TRANSFER, id)
    pod = context.pods.get(known.pod_id) if known else None
    pods = (pod,) if pod else context.pods.serving("volume")
    up = [one for one in pods if pod or not context.pods.is_down(one, "volume")]
    if not up:
        raise TRANSFER.missing(id)
    one, answer = await ask_in_turn(up, call, context)
    if answer.status == 404 and len(up) < len(pods):
        lost = next(each for each in pods if each not in up)
        raise PodUnavailable(lost.pod_name, "it may have the transfer")
    if answer.ok:
        await _taken(answer, id, one, context)
    return rewrite(answer, context, one)


async def _taken(answer: Answer, id: str, pod: Pod, context: Context) -> None:
    """The volume and its snapshots are the caller's project's now."""
    assert isinstance(answer.body, bytes)
    volume = value_at(msgspec.json.decode(answer.body), ("transfer", "volume_id"))
    project = context.caller.project_id
    await bind(context, pod, pod.az_name, pinned=True)
    moved = [(VOLUME, str(volume))]
    moved += [(SNAPSHOT, one) for one in await _snapshots(str(volume), pod, context)]
    await context.routes.learn(
        [Route(kind.type, one, pod.pod_id, one, project) for kind, one in moved]
    )
    await context.routes.forget(Route(TRANSFER.type, id, pod.pod_id, id, project))


async def _snapshots(volume: str, pod: Pod, context: Context) -> list[str]:
    """A volume's snapshots as far as they can be listed; others are found when asked for."""
    try:
        shown = await context.look(pod, "/snapshots", urlencode({"volume_id": volume}))
        return [str(id) for id in values_at(shown, ("snapshots", "*", "id"))]
    except Fault:
        return []


async def _named(body: Any, context: Context) -> tuple[str, Pod, str] | None:
    """The key by which a body names a backend, its pod, and its name there."""
    headers = await context.own_headers()
    for key in ("cluster", "host"):
        name = value_at(body, ("volume", key))
        if isinstance(name, str) and name:
            call = Call("GET", b"/", headers=headers)
            found = await pod_naming(name, SERVICE, (key,), call, context)
            return (key, *found) if found else None
    return None


async def backend_pins(body: Any, context: Context) -> tuple[Pin, ...]:
    """Storage that is taken under management is in the pod that has its backend."""
    found = await _named(body, context)
    return (Pin(f"{found[0]} {found[2]}", found[1]),) if found else ()


async def with_backend(body: bytes, pod: Pod, context: Context) -> bytes:
    """`host.Pod2`, and a type, as the pod itself calls them."""
    body = await VOLUME_TYPE_NAMED(body, pod, context)
    found = await _named(msgspec.json.decode(body), context)
    return edit_member(body, "volume", {found[0]: raw(found[2])}) if found else body
