"""What a new volume asks of a pod, whichever API makes it."""

from __future__ import annotations

from typing import Any

from trio2o.domain.values import Pod, Zone, is_uuid
from trio2o.pods import Capacity
from trio2o.verbs import Context, Needs, value_at


async def volume_needs(body: Any, context: Context) -> Needs:
    """Room for its size, in the pools of its type where that is named.

    Each pod has ids of its own for types: one that is told by its id may use any pool.
    """
    capacity: Capacity = context.parts.capacity
    size = value_at(body, ("volume", "size"))
    kind = value_at(body, ("volume", "volume_type"))
    name = kind if isinstance(kind, str) and not is_uuid(kind) else ""

    async def room(pod: Pod, zone: Zone | None) -> bool | None:
        return await capacity.has_storage(pod, float(size), name)

    asked = str(size).isdecimal()
    return Needs(room=room if asked else None, free=capacity.free_storage)
