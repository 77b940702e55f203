"""What an image hides: one made of a volume-backed server names snapshots that live in one pod."""

from collections.abc import Iterable
from typing import Any

import msgspec

from trio2o.domain.errors import Fault
from trio2o.domain.values import is_uuid
from trio2o.faces.resources import SNAPSHOT, VOLUME
from trio2o.message import Call
from trio2o.scheduling import Pin
from trio2o.verbs import Context, Ref, pins, value_at

_SNAPSHOT, _VOLUME = Ref("snapshot_id", SNAPSHOT), Ref("volume_id", VOLUME)


async def image_pins(references: Iterable[Any], context: Context) -> tuple[Pin, ...]:
    """The pods of what images embed (`block_device_mapping` in their properties).

    `references` are ids, or URLs that end with one. An image that cannot be read pins nothing:
    the pod says what is wrong with it.
    """
    found: list[tuple[Ref, str]] = []
    for reference in references:
        found += _embedded(await image_of(reference, context))
    return await pins(found, context)


async def image_of(reference: Any, context: Context) -> dict[str, Any]:
    """An image as the caller sees it, asked for once a call; empty if it cannot be read.

    `reference` is its id, or a URL that ends with it.
    """
    id = reference.rpartition("/")[2] if isinstance(reference, str) else ""
    if not is_uuid(id):
        return {}
    if ("image", id) not in context.memo:
        context.memo["image", id] = await _read(id, context)
    found: dict[str, Any] = context.memo["image", id]
    return found


async def _read(id: str, context: Context) -> dict[str, Any]:
    try:
        headers = await context.own_headers()
        call = Call("GET", f"/v2/images/{id}".encode(), headers=headers)
        answer = await context.pods.send_to_images(call, context.deadline, stream=False)
        if not answer.ok or not isinstance(answer.body, bytes):
            return {}
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (Fault, msgspec.MsgspecError):
        return {}


def _embedded(image: dict[str, Any]) -> list[tuple[Ref, str]]:
    try:
        mapping = image.get("block_device_mapping")
        devices = msgspec.json.decode(mapping) if isinstance(mapping, str) else []
    except msgspec.DecodeError:
        return []
    return [
        (ref, named)
        for device in (devices if isinstance(devices, list) else [])
        for ref in (_SNAPSHOT, _VOLUME)
        if isinstance(named := value_at(device, (ref.path,)), str)
    ]
