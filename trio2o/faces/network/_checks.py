"""What is refused of networks that span pods before the top is asked."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, Conflict
from trio2o.faces.stretched import networks_of
from trio2o.message import Call
from trio2o.networks import things as kinds
from trio2o.verbs import Context, decode, value_at


def check_kind(body: Any, before: dict[str, Any], context: Context) -> None:
    """Raises `Conflict` for another kind of NIC on a port that a server uses in its pod."""
    name = "binding:vnic_type"
    asked = value_at(body, ("port", name))
    mine = context.caller.is_admin or before["project_id"] == context.caller.project_id
    if mine and asked not in (None, before[name]):
        raise Conflict(
            f"Unable to complete operation on port {before['id']} for network "
            f"{before['network_id']}. Port already has an attached device {before['device_id']}.",
            kind="PortInUse",
        )


async def check_local_ip(sent: Call, body: Any, context: Context) -> None:
    """The network of a local IP that is to be a port's may not be for the zone of the port's
    server. Raises `Refused`."""
    networks, above = networks_of(context), sent.path.rpartition(b"/")[0]
    shown = await context.send(networks.center, replace(sent, method="GET", path=above, body=b""))
    network = value_at(decode(shown.body), ("local_ip", "network_id"))
    port = value_at(body, ("port_association", "fixed_port_id"))
    if isinstance(network, str) and isinstance(port, str):
        await networks.check_local_ip(network, port)


def refuse_ours(body: Any) -> None:
    """Raises `BadRequest` for what says to be ours: a network, to join the pods of a router."""
    for items in body.values() if isinstance(body, dict) else ():
        for item in items if isinstance(items, list) else [items]:
            for name in ("description", "device_id") if isinstance(item, dict) else ():
                if str(value := item.get(name)).startswith((kinds.MARK, kinds.RESERVED)):
                    why = f"Invalid input for {name}. Reason: '{value}' is a name for Trio2o's own."
                    raise BadRequest(why)
