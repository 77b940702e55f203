"""References in bodies: what a call names, and which pods that pins."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.errors import BadRequest
from trio2o.domain.resources import Resource
from trio2o.message import Body
from trio2o.scheduling import Pin
from trio2o.verbs._context import Context


@frozen
class Ref:
    """Where in a body an id of a kind stands: `server.networks.*.port`, `*` for each of a list
    (`,` for each in a text with commas).

    An id that no pod knows pins nothing: the pod that gets the call says what is wrong with it.
    """

    path: str
    resource: Resource


def decode(body: Body) -> Any:
    """A JSON body; None if it is none. Raises `BadRequest` if it is malformed."""
    if not isinstance(body, bytes) or not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("Malformed request body") from None


def values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """All values at a path of keys, of which `*` is each item of a list, `,` each of a text."""
    if not path:
        yield value
    elif path[0] == "*":
        for item in value if isinstance(value, list) else ():
            yield from values_at(item, path[1:])
    elif path[0] == ",":
        for item in value.split(",") if isinstance(value, str) else ():
            yield from values_at(item.strip(), path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


def value_at(value: Any, path: Sequence[str]) -> Any:
    """The first value at a path of keys, or None."""
    return next(values_at(value, path), None)


def mentioned(value: Any, refs: Iterable[Ref]) -> list[tuple[Ref, str]]:
    """What a decoded body names: pairs of reference and id, in the order of `refs`."""
    return [
        (ref, id)
        for ref in refs
        for id in values_at(value, ref.path.split("."))
        if isinstance(id, str) and id
    ]


async def pins(named: Iterable[tuple[Ref, str]], context: Context) -> tuple[Pin, ...]:
    """The pods of what is named. Raises `BadRequest` naming both if two differ."""
    found: list[Pin] = []
    for ref, id in named:
        route = await context.routes.find(ref.resource, id, context.caller, context.deadline)
        pod = context.pods.get(route.pod_id) if route and not route.deleted_at else None
        if pod is None:
            continue
        found.append(Pin(f"{ref.resource.type.replace('_', ' ')} {id}", pod))
        if pod.pod_id != found[0].pod.pod_id:
            raise conflict(found[0], found[-1])
    return tuple(found)


def conflict(one: Pin, other: Pin) -> BadRequest:
    what = one.what[:1].upper() + one.what[1:]
    return BadRequest(
        f"{what} is in availability zone {one.pod.az_name} ({one.pod.pod_name}), "
        f"{other.what} is in availability zone {other.pod.az_name} ({other.pod.pod_name})."
    )
