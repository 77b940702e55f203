"""The two databases: how to connect to them, and which of their errors pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, DBAPIError

READERS = 4
"""Threads that read from PostgreSQL; SQLite is read on the reactor's own."""

_PATIENT: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "trio2o",
}
"""A server that is gone is noticed within some seconds (a URL may say otherwise)."""

_AGAIN = ("40001", "40P01", "23505")
"""Serialization failure, deadlock, and a row that came from elsewhere between a change's look and
its insert (who expects that catches it): nothing was done, and the same may work the next time."""


def connect(url: str) -> tuple[sa.Engine, sa.Engine]:
    """Engines for writing and for reading. Raises `ValueError` for what is no URL of a database,
    and for a driver that is missing."""
    if is_sqlite(url):
        common = ("PRAGMA busy_timeout=10000", "PRAGMA foreign_keys=ON")
        durable = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
        # a deferred read-then-write fails at once with SQLITE_BUSY_SNAPSHOT: take the lock first
        writing = _sqlite(url, (*common, *durable), "BEGIN IMMEDIATE")
        return writing, _sqlite(url, (*common, "PRAGMA query_only=ON"), "")
    try:
        # changes read before they write: each has to be as if it were alone
        return _postgresql(url, "SERIALIZABLE", 1), _postgresql(url, "AUTOCOMMIT", READERS)
    except ArgumentError as error:
        raise ValueError(f"store.url: {error}") from None
    except ModuleNotFoundError:
        raise ValueError("store.url needs psycopg: pip install 'trio2o[postgresql]'") from None


def is_sqlite(url: str) -> bool:
    return sa.make_url(url).get_backend_name() == "sqlite"


def _sqlite(url: str, statements: tuple[str, ...], begin: str) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.pool.StaticPool)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for statement in statements:
            connection.execute(statement)

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        if begin:
            connection.exec_driver_sql(begin)

    return engine


def _postgresql(url: str, level: Any, connections: int) -> sa.Engine:
    given = sa.make_url(url).query
    engine = sa.create_engine(
        url,
        isolation_level=level,
        pool_size=connections,
        max_overflow=0,
        connect_args={name: value for name, value in _PATIENT.items() if name not in given},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        settings = ["SET default_transaction_read_only = on"] if level == "AUTOCOMMIT" else []
        # a commit that is answered is on disk, whatever the server's default
        ((durable,),) = connection.execute("SHOW synchronous_commit").fetchall()
        if durable == "off":
            settings.append("SET synchronous_commit = on")
        for statement in settings:
            connection.execute(statement)
        connection.commit()

    return engine


def may_work_again(error: Exception) -> bool:
    """Whether nothing was done because of others who wrote at the same time."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _AGAIN


def is_away(error: Exception) -> bool:
    """Whether the database could not be reached, or the connection to it was lost."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", "no driver that has states")
    # 57P01-57P03: it is being shut down, or comes up; 53300: it has no connection free
    return error.connection_invalidated or state in (None, "57P01", "57P02", "57P03", "53300")


def is_locked(error: Exception) -> bool:
    """Whether another process held SQLite's lock for all of the time that is waited."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", "") == "SQLITE_BUSY"
