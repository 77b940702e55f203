"""Servers' addresses: a floating IP that comes from another pod is told as what it is there."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.faces.resources import SERVER
from trio2o.faces.stretched import networks_of
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Shown, Verb, decode, edit_member, raw

Addresses = dict[str, list[dict[str, Any]]]


def _suspect(text: bytes, context: Context) -> bool:
    """Whether an address on routers' bridges may be in this."""
    bridge = ip_network(networks_of(context).settings.bridge_cidr)
    start = ".".join(str(bridge).split(".")[: bridge.prefixlen // 8])
    return f'"{start}'.encode() in text


async def _correct(told: Iterable[tuple[str, Addresses]], context: Context) -> None:
    """Change servers' addresses in place. Raises `Fault`."""
    some = list(told)
    real = await networks_of(context).floating_of([id for id, _ in some])
    for id, addresses in some:
        for entry in (one for entries in addresses.values() for one in entries):
            entry["addr"] = real.get(id, {}).get(entry["addr"], entry["addr"])


async def dressed(rows: Sequence[Shown], context: Context) -> list[Shown]:
    """A page of servers with their details."""
    told = {id: row for _, row, id in rows if _suspect(bytes(row.get("addresses", b"")), context)}
    if not told:
        return list(rows)
    found = {id: msgspec.json.decode(row["addresses"]) for id, row in told.items()}
    await _correct(found.items(), context)
    for id, row in told.items():
        row["addresses"] = raw(found[id])
    return list(rows)


@frozen
class Addressed:
    """A call whose answer shows a server, or only the addresses of one."""

    verb: Verb

    async def __call__(self, call: Call, context: Context) -> Answer:
        answer = await self.verb(call, context)
        body = answer.body
        if not answer.ok or not isinstance(body, bytes) or not _suspect(body, context):
            return answer
        told = decode(body)
        whole = told.get(SERVER.key)
        addresses = (whole or told).get("addresses", told)
        id = context.params.get("server_id") or context.params["id"]
        await _correct([(id, addresses)], context)
        if whole:
            return replace(
                answer, body=edit_member(body, SERVER.key, {"addresses": raw(addresses)})
            )
        return replace(answer, body=msgspec.json.encode(told))
