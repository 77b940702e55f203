"""The lease: which process runs the reconcilers, until when by the database's clock."""

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import Connection

from trio2o.domain.errors import Unavailable
from trio2o.store._schema import lease
from trio2o.store._upsert import put

_NAME = "reconcilers"

_CLOCKS = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
}


class Fenced(Unavailable):
    """Another process holds the lease by now: what this one still had in mind is not done."""

    def __init__(self) -> None:
        super().__init__("Another process took over this work.", retry_after=1)


@frozen
class Lease:
    """Who holds it; `epoch` moves with each holder; `expires` in seconds since 1970."""

    holder: str
    epoch: int
    expires: float


def _now(connection: Connection) -> float:
    """Seconds since 1970 by the database's clock."""
    found: float = connection.exec_driver_sql(_CLOCKS[connection.dialect.name]).scalar_one()
    return found


def read_lease(connection: Connection) -> Lease | None:
    """The lease as it was taken last; it may have expired."""
    query = sa.select(lease.c.holder, lease.c.epoch, lease.c.expires)
    row = connection.execute(query.where(lease.c.name == _NAME)).one_or_none()
    return Lease(*row) if row else None


def take_lease(connection: Connection, holder: str, seconds: float) -> Lease:
    """Take or prolong the lease for so long, if no other holds it. Who holds it now."""
    held, now = read_lease(connection), _now(connection)
    if held is not None and held.holder != holder and held.expires > now:
        return held
    epoch = 1 if held is None else held.epoch + (held.holder != holder or held.expires <= now)
    taken = Lease(holder, epoch, now + seconds)
    row = {"name": _NAME, "holder": holder, "epoch": epoch, "expires": taken.expires}
    put(connection, lease, [row])
    return taken


def give_up_lease(connection: Connection, holder: str) -> None:
    """Let another take it at once."""
    mine = sa.and_(lease.c.name == _NAME, lease.c.holder == holder)
    connection.execute(sa.update(lease).where(mine).values(expires=0.0))


def break_lease(connection: Connection) -> None:
    """Let another take it at once, for who holds the lock on the state: with SQLite no other
    process can be alive that holds the lease. PostgreSQL is shared beyond that lock."""
    if connection.dialect.name == "sqlite":
        connection.execute(sa.update(lease).values(expires=0.0))


def check_epoch(connection: Connection, epoch: int) -> None:
    """Raises `Fenced` if another holder came since."""
    held = read_lease(connection)
    if held is None or held.epoch != epoch:
        raise Fenced
