"""Which pod a project uses for an AZ."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import Binding
from trio2o.store._schema import bindings

_holding = bindings.c.ended_at == ""


def list_bindings(connection: Connection) -> tuple[Binding, ...]:
    """The bindings that hold, oldest first."""
    return find_bindings(connection, {}, ended=False)


def bind(connection: Connection, wanted: Binding) -> Binding:
    """The project's binding for that AZ: the one that holds, else `wanted`, now recorded."""
    query = sa.select(bindings).where(
        _holding, bindings.c.tenant_id == wanted.tenant_id, bindings.c.az_name == wanted.az_name
    )
    if row := connection.execute(query).mappings().one_or_none():
        return Binding(**row)
    connection.execute(sa.insert(bindings).values(**asdict(wanted)))
    return wanted


def rebind(connection: Connection, wanted: Binding) -> Binding:
    """The binding that holds if it is to that pod already; else `wanted`, now recorded, and what
    the project used for that AZ before has ended."""
    held = bind(connection, wanted)
    if held.pod_id == wanted.pod_id:
        return held
    end(connection, wanted.created_at, id=held.id)
    connection.execute(sa.insert(bindings).values(**asdict(wanted)))
    return wanted


def end(connection: Connection, now: str, **where: str) -> int:
    """End the bindings whose columns have these values; how many there were."""
    named = [bindings.c[key] == value for key, value in where.items()]
    change = sa.update(bindings).where(_holding, *named).values(ended_at=now)
    return connection.execute(change).rowcount


def end_outside(connection: Connection, now: str, pod_id: str, zones: Sequence[str]) -> None:
    """End the bindings to a pod for other AZs than these."""
    change = sa.update(bindings).where(
        _holding, bindings.c.pod_id == pod_id, bindings.c.az_name.not_in(zones)
    )
    connection.execute(change.values(ended_at=now))


def find_bindings(
    connection: Connection, where: Mapping[str, str], ended: bool
) -> tuple[Binding, ...]:
    """Bindings whose columns have these values, oldest first; with `ended` also those that have."""
    named = [bindings.c[key] == value for key, value in where.items()]
    standing = [] if ended else [_holding]
    query = sa.select(bindings).where(*named, *standing)
    found = connection.execute(query.order_by(bindings.c.created_at, bindings.c.id)).mappings()
    return tuple(Binding(**row) for row in found)
