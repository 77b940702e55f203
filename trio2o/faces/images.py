"""What an image hides: one made of a volume-backed server names snapshots that live in one pod."""

from __future__ import annotations

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
        id = reference.rpartition("/")[2] if isinstance(reference, str) else ""
        if is_uuid(id):
            found += await _embedded(id, context)
    return await pins(found, context)


async def _embedded(id: str, context: Context) -> list[tuple[Ref, str]]:
    headers = ((b"X-Auth-Token", context.caller.token.encode()),)
    call = Call("GET", f"/v2/images/{id}".encode(), headers=headers)
    try:
        answer = await context.pods.send_to_images(call, context.deadline, stream=False)
    except Fault:
        return []
    if not answer.ok or not isinstance(answer.body, bytes):
        return []
    try:
        mapping = msgspec.json.decode(answer.body).get("block_device_mapping")
        devices = msgspec.json.decode(mapping) if isinstance(mapping, str) else []
    except (msgspec.DecodeError, AttributeError):
        return []
    return [
        (ref, named)
        for device in (devices if isinstance(devices, list) else [])
        for ref in (_SNAPSHOT, _VOLUME)
        if isinstance(named := value_at(device, (ref.path,)), str)
    ]
