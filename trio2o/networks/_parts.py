"""Parts of things, such as a QoS policy's rules: members that are changed by calls of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from trio2o.domain.values import Pod
from trio2o.networks._calls import Neutron
from trio2o.networks._plan import body_of, says
from trio2o.networks._things import Kind, Row


async def less(
    neutron: Neutron, pod: Pod, kind: Kind, id: str, wanted: list[Any]
) -> Callable[[], Awaitable[None]]:
    """Take from a thing the parts that it should not have; what is returned adds those it lacks.

    They are told by what they say, and old ones go first: one may stand in a new one's way.
    Raises `Fault`.
    """
    parts, thing = kind.parts, f"/{kind.path}/{id}"
    assert parts is not None
    have = await neutron.parts(pod, kind, id)
    told, asked = [_said(one) for one in have], [_said(one) for one in wanted]
    old = [one for one in have if _said(one) not in asked]
    new = [one for one in wanted if _said(one) not in told]

    def path(part: Row) -> str:
        return parts.path.format(thing=thing, type=part.get("type"))

    async def at_once(how: str, some: list[Any]) -> None:
        if some:
            action = f"{how}_{parts.name.replace('_', '')}"
            await neutron.ask(pod, "PUT", f"{thing}/{action}", {parts.name: some})

    async def more() -> None:
        if not parts.path:
            await at_once("add", new)
            return
        for part in new:
            body = {name: value for name, value in body_of(part).items() if name != "type"}
            body |= {parts.owner: id} if parts.owner else {}
            key = parts.key.format(type=part.get("type"))
            await neutron.ask(pod, "POST", path(part), {key: body})

    if not parts.path:
        await at_once("remove", old)
    else:
        for part in old:
            await neutron.ask(pod, "DELETE", f"{path(part)}/{part[parts.id]}")
    return more


def _said(part: Any) -> Any:
    return says(part) if isinstance(part, dict) else part
