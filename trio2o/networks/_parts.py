"""Parts of things, such as a QoS policy's rules: members that are changed by calls of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from trio2o.domain.values import Pod
from trio2o.networks._calls import Neutron, Refused
from trio2o.networks._plan import body_of, says
from trio2o.networks._things import FLOATING, Kind, Row


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
            try:
                await neutron.ask(pod, "POST", path(part), {key: body})
            except Refused as refused:
                if refused.kind != "PortHasBindingFloatingIP":
                    raise
                async with _unbound(neutron, pod, part["internal_port_id"]):
                    await neutron.ask(pod, "POST", path(part), {key: body})

    if not parts.path:
        await at_once("remove", old)
    else:
        for part in old:
            await neutron.ask(pod, "DELETE", f"{path(part)}/{part[parts.id]}")
    return more


@asynccontextmanager
async def _unbound(neutron: Neutron, pod: Pod, port_id: str) -> AsyncIterator[None]:
    """A port without its floating IP for a while: only then is something else forwarded to it,
    though the other way round Neutron has both."""
    named = ("id", "port_id", "fixed_ip_address")
    found = await neutron.by_ids(pod, FLOATING, [port_id], name="port_id", fields=named)

    async def bind(to: Callable[[Row], Row]) -> None:
        for row in found:
            await neutron.ask(pod, "PUT", f"/floatingips/{row['id']}", {"floatingip": to(row)})

    await bind(lambda row: {"port_id": None})
    try:
        yield
    finally:
        await bind(lambda row: {name: row[name] for name in named[1:]})


def _said(part: Any) -> Any:
    return says(part) if isinstance(part, dict) else part
