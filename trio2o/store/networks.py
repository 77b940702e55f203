"""Stretched networks: counterparts in pods, ports that are wanted there, hints, homes."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import LEASED, Attachment, Counterpart
from trio2o.store._schema import attachments, counterparts, homes, network_hints
from trio2o.store._upsert import put, put_new


def _in(
    connection: Connection, table: sa.Table, column: str, values: Collection[str]
) -> Iterator[Any]:
    """The rows whose column has one of the values, asked for in batches."""
    wanted = list(values)
    for start in range(0, len(wanted), 500):
        query = sa.select(table).where(table.c[column].in_(wanted[start : start + 500]))
        yield from connection.execute(query).mappings()


def counterparts_of(connection: Connection, top_ids: Collection[str]) -> tuple[Counterpart, ...]:
    """In all pods."""
    return tuple(Counterpart(**row) for row in _in(connection, counterparts, "top_id", top_ids))


def counterparts_by_bottom(
    connection: Connection, bottom_ids: Collection[str]
) -> dict[str, Counterpart]:
    found = _in(connection, counterparts, "bottom_id", bottom_ids)
    return {row["bottom_id"]: Counterpart(**row) for row in found}


def counterparts_in(connection: Connection, pod_id: str) -> tuple[Counterpart, ...]:
    query = sa.select(counterparts).where(counterparts.c.pod_id == pod_id)
    return tuple(Counterpart(**row) for row in connection.execute(query).mappings())


def held(connection: Connection) -> set[str]:
    """The top's ids of the networks and routers that pods have, and of servers' ports."""
    kinds = counterparts.c.kind.in_(("networks", "routers"))
    found = connection.execute(sa.select(counterparts.c.top_id).where(kinds))
    used = connection.execute(sa.select(attachments.c.port_id))
    return {*found.scalars(), *used.scalars()}


def put_counterparts(connection: Connection, found: Sequence[Counterpart]) -> None:
    put(connection, counterparts, [asdict(one) for one in found])


def drop_counterparts(connection: Connection, gone: Iterable[Counterpart]) -> None:
    table = counterparts
    for one in gone:
        same = (
            table.c.kind == one.kind,
            table.c.top_id == one.top_id,
            table.c.pod_id == one.pod_id,
            table.c.bottom_id == one.bottom_id,
        )
        connection.execute(sa.delete(table).where(*same))


def all_attachments(connection: Connection) -> tuple[Attachment, ...]:
    rows = connection.execute(sa.select(attachments)).mappings()
    return tuple(Attachment(**row) for row in rows)


def attachments_of(
    connection: Connection, column: str, values: Collection[str]
) -> tuple[Attachment, ...]:
    """Those with one of the values: of `port_id`, `server_id` or `claim`."""
    return tuple(Attachment(**row) for row in _in(connection, attachments, column, values))


def leases_in(connection: Connection, pod_id: str) -> tuple[Attachment, ...]:
    """Those whose addresses a pod may give out."""
    table = attachments
    query = sa.select(table).where(table.c.pod_id == pod_id, table.c.stage == LEASED)
    return tuple(Attachment(**row) for row in connection.execute(query).mappings())


def put_attachments(connection: Connection, wanted: Sequence[Attachment]) -> None:
    put(connection, attachments, [asdict(one) for one in wanted])


def add_attachments(connection: Connection, found: Sequence[Attachment]) -> None:
    """Those of ports that have none."""
    put_new(connection, attachments, [asdict(one) for one in found])


def drop_attachments(connection: Connection, port_ids: Collection[str]) -> None:
    for id in port_ids:
        connection.execute(sa.delete(attachments).where(attachments.c.port_id == id))


def hints_of(connection: Connection, ids: Collection[str]) -> dict[str, list[str]]:
    """AZ hints of networks and routers, where there are any."""
    found = _in(connection, network_hints, "id", ids)
    return {row["id"]: msgspec.json.decode(row["hints"], type=list[str]) for row in found}


def hinted(connection: Connection) -> dict[str, list[str]]:
    """All that have hints."""
    rows = connection.execute(sa.select(network_hints))
    return {row.id: msgspec.json.decode(row.hints, type=list[str]) for row in rows}


def put_hints(connection: Connection, hints: dict[str, list[str]]) -> None:
    found = [{"id": id, "hints": msgspec.json.encode(some).decode()} for id, some in hints.items()]
    put(connection, network_hints, found)


def drop_hints(connection: Connection, ids: Collection[str]) -> None:
    for id in ids:
        connection.execute(sa.delete(network_hints).where(network_hints.c.id == id))


def homes_of(connection: Connection, subnet_ids: Collection[str]) -> dict[str, str]:
    """The pod's id, by the subnet's."""
    return {
        row["subnet_id"]: row["pod_id"] for row in _in(connection, homes, "subnet_id", subnet_ids)
    }


def all_homes(connection: Connection) -> list[str]:
    """The subnets that have one."""
    return list(connection.execute(sa.select(homes.c.subnet_id)).scalars())


def drop_homes(connection: Connection, subnet_ids: Collection[str]) -> None:
    """Of those of these subnets that no pod has any more."""
    left = sa.select(counterparts.c.top_id).where(counterparts.c.top_id == homes.c.subnet_id)
    for id in subnet_ids:
        connection.execute(sa.delete(homes).where(homes.c.subnet_id == id, ~left.exists()))


def take_homes(connection: Connection, subnet_ids: Collection[str], pod_id: str) -> dict[str, str]:
    """As `homes_of`; the pod becomes the home of those that have none."""
    new = [{"subnet_id": id, "pod_id": pod_id} for id in subnet_ids]
    put_new(connection, homes, new)
    return homes_of(connection, subnet_ids)
