"""Flavors in what tenants ask for: the same in every pod, or the pod is passed over."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from trio2o.domain.errors import BadRequest, NotFound
from trio2o.domain.values import Pod
from trio2o.faces.resources import FLAVOR
from trio2o.verbs import Context, decode, edit, raw, value_at


async def with_flavor_id(body: bytes, context: Context) -> bytes:
    """A flavor has one id in all pods: where none is given, it is chosen here."""
    flavor = value_at(decode(body), ("flavor",))
    if not isinstance(flavor, dict) or flavor.get("id") or "name" not in flavor:
        return body

    def choose(fields: dict[str, msgspec.Raw]) -> None:
        fields["id"] = raw(str(uuid.uuid4()))

    return edit(body, FLAVOR, choose)


def _asked(body: Any) -> str:
    """The flavor that a new server, or one that is resized, asks for; '' if it names none."""
    for key in ("server", "resize"):
        ref = value_at(body, (key, "flavorRef"))
        if isinstance(ref, (str, int)):
            return str(ref).rpartition("/")[2]  # an id, or a link that ends with it
    return ""


async def lacking_flavor(body: Any, context: Context) -> frozenset[str]:
    """Pods that do not have the flavor as it is."""
    id = _asked(body)
    return await context.definitions["flavor"].places.lacking(id) if id else frozenset()


async def with_flavor(body: bytes, pod: Pod, context: Context) -> bytes:
    """The flavor is in the pod as it should be, or the call is refused as for one unknown."""
    if id := _asked(decode(body)):
        try:
            await context.definitions["flavor"].places.carry(id, pod)
        except NotFound as fault:
            raise BadRequest(fault.message) from None
    return body
