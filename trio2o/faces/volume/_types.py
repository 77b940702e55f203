"""Volume types, group types and the like in what tenants and admins ask for.

Tenants know one id, which is that of the pod that had the type first; each pod has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.definitions import content, kept_as, local, to_top, zones_of
from trio2o.domain.values import Definition, Pod
from trio2o.faces.volume._lists import POOLS
from trio2o.message import Answer, Call
from trio2o.verbs import Context, edit_member, raw, value_at

TYPE, GROUP_TYPE = "volume_type", "group_type"


async def find(kind: str, named: str, context: Context) -> Definition | None:
    """A definition by its id (also a pod's own), else by its name."""
    definitions = context.definitions[kind]
    id = definitions.places.tops.get(named, named)
    if (found := await definitions.find(id)) is not None:
        return found
    same = (one for one in await definitions.all() if content(one.document).get("name") == named)
    return next(same, None)


async def id_in(kind: str, named: str, pod: Pod, context: Context) -> str:
    """What a type that was named by id or name is called in a pod, which is seen to have it.

    Raises `NotFound`, `PodUnavailable`.
    """
    found = await find(kind, named, context)
    return await context.definitions[kind].places.carry(found.key, pod) if found else named


@frozen
class TypesNamed:
    """A body that names types at `key`'s members: changed to what the pod calls them.

    `members` says of each which kind stands there: a name or id, a list, or a text with commas.
    """

    key: str
    members: tuple[tuple[str, str], ...] = (("volume_type", TYPE),)

    async def __call__(self, body: bytes, pod: Pod, context: Context) -> bytes:
        changes = {}
        for member, kind in self.members:
            said = self._said(body, member)
            if isinstance(said, str) and "," in said:
                each = [await id_in(kind, one, pod, context) for one in said.split(",") if one]
                told: Any = ",".join(each)
            elif isinstance(said, str) and said:
                told = await id_in(kind, said, pod, context)
            elif isinstance(said, list) and all(isinstance(one, str) for one in said):
                told = [await id_in(kind, one, pod, context) for one in said]
            else:
                continue
            if told != said:
                changes[member] = raw(told)
        return edit_member(body, self.key, changes) if changes else body

    async def lacking(self, body: Any, context: Context) -> frozenset[str]:
        """Pods that do not have a type as it is, or lie in no AZ that it is for."""
        found: frozenset[str] = frozenset()
        for member, kind in self.members:
            said = value_at(body, (self.key, member))
            for named in said if isinstance(said, list) else str(said or "").split(","):
                definition = await find(kind, str(named), context) if named else None
                if definition is None:
                    continue
                found |= await context.definitions[kind].places.lacking(definition.key)
                zones = zones_of(content(definition.document).get("extra_specs", {}))
                found |= {
                    pod.pod_id
                    for pod in context.pods.all
                    if zones and not any(pod.is_in(zone) for zone in zones)
                }
        return found

    def _said(self, body: bytes, member: str) -> Any:
        try:
            return value_at(msgspec.json.decode(body), (self.key, member))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


VOLUME_TYPE_NAMED = TypesNamed("volume")
RETYPE = TypesNamed("os-retype", (("new_type", TYPE),))
GROUP_TYPES_NAMED = TypesNamed("group", (("volume_types", TYPE), ("group_type", GROUP_TYPE)))
CONSISTENCY_TYPES_NAMED = TypesNamed("consistencygroup", (("volume_types", TYPE),))


async def type_in_body(call: Call, key: str, pod: Pod, context: Context) -> Call:
    """A project's default type, by what the pod calls it."""
    named = TypesNamed("default_type")
    body = call.body if isinstance(call.body, bytes) else b""
    return replace(call, body=await named(body, pod, context)) if body else call


async def type_in_query(call: Call, key: str, pod: Pod, context: Context) -> Call:
    """The type to which QoS specs are put, or from which they are taken."""
    query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
    named = []
    for name, value in query:
        own = await id_in(TYPE, value, pod, context) if name == "vol_type_id" else value
        named.append((name, own))
    return replace(call, query=urlencode(named).encode())


async def pools(call: Call, context: Context) -> Answer:
    """Pools, perhaps those that take a type: it is named by its name, which all pods know."""
    query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
    named = []
    for name, value in query:
        found = await find(TYPE, value, context) if name == "volume_type" else None
        named.append((name, str(content(found.document)["name"]) if found else value))
    return await POOLS(replace(call, query=urlencode(named).encode()), context)


async def specs_in_pod(call: Call, key: str, pod: Pod, context: Context) -> Call:
    """Extra specs of which the pod has other values: the tenants' are kept beside those."""
    definition = await find(TYPE, key, context)
    specs = content(definition.document).get("extra_specs", {}) if definition else {}
    own = local(specs, pod)
    if not own:
        return call
    head, slash, last = call.path.decode("latin-1").rpartition("/")
    if head.endswith("/extra_specs") and unquote(last) in own:
        path = f"{head}{slash}{quote(kept_as(unquote(last)), safe='')}"
        call = replace(call, path=path.encode())
    if not isinstance(call.body, bytes) or not call.body:
        return call

    def kept(told: dict[str, Any]) -> dict[str, Any]:
        return {kept_as(name) if name in own else name: value for name, value in told.items()}

    body = _changed(call.body, kept, "extra_specs", flat=call.method == "PUT")
    return replace(call, body=body)


def specs_shown(answer: Answer) -> Answer:
    """Extra specs as they are for tenants, whatever the pod that told them has."""
    if not isinstance(answer.body, bytes) or b'"trio2o:' not in answer.body:
        return answer
    return replace(answer, body=_changed(answer.body, to_top, "extra_specs", flat=True))


def _changed(
    body: bytes, how: Callable[[dict[str, Any]], dict[str, Any]], key: str, *, flat: bool
) -> bytes:
    """JSON with its extra specs changed: those at `key`, of each of a list, or (`flat`) bare."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    if not isinstance(told, dict):
        return body
    things = [
        thing
        for value in told.values()
        for thing in (value if isinstance(value, list) else [value])
    ]
    holders = [
        one for one in (told, *things) if isinstance(one, dict) and isinstance(one.get(key), dict)
    ]
    for one in holders:
        one[key] = how(one[key])
    return msgspec.json.encode(told if holders or not flat else how(told))
