"""Which pod a project uses for an AZ."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import Binding
from trio2o.store._schema import bindings

_holding = bindings.c.ended_at == ""


def list_bindings(connection: Connection) -> tuple[Binding, ...]:
    """The bindings that hold, oldest first."""
    query = sa.select(bindings).where(_holding).order_by(bindings.c.created_at, bindings.c.id)
    return tuple(Binding(**row) for row in connection.execute(query).mappings())


def bind(connection: Connection, wanted: Binding) -> Binding:
    """The project's binding for that AZ: the one that holds, else `wanted`, now recorded."""
    query = sa.select(bindings).where(
        _holding,
        bindings.c.tenant_id == wanted.tenant_id,
        bindings.c.az_name == wanted.az_name,
    )
    if row := connection.execute(query).mappings().one_or_none():
        return Binding(**row)
    connection.execute(sa.insert(bindings).values(**asdict(wanted)))
    return wanted


def rebind(connection: Connection, wanted: Binding) -> Binding:
    """Record `wanted`, ending what the project used for that AZ before."""
    end(connection, wanted.created_at, tenant_id=wanted.tenant_id, az_name=wanted.az_name)
    connection.execute(sa.insert(bindings).values(**asdict(wanted)))
    return wanted


def end(connection: Connection, now: str, **where: str) -> int:
    """End the bindings whose columns have these values; how many there were."""
    named = [bindings.c[key] == value for key, value in where.items()]
    change = sa.update(bindings).where(_holding, *named).values(ended_at=now)
    return connection.execute(change).rowcount
