"""Looking after a database while no appliance runs on it: upgrade, check, copy to another."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from trio2o.store._databases import connect, is_sqlite
from trio2o.store._schema import REVISION, lease, metadata, stored_revision
from trio2o.store._schema import upgrade as upgrade_schema

BATCH = 1000


class Refused(Exception):
    """It cannot be done with these databases. The text says why, without any password."""


@frozen
class Checked:
    """What a database is like: its schema (`wanted` is this version's), rows by table, and what
    the database itself finds wrong."""

    schema: str
    wanted: str
    rows: dict[str, int]
    faults: tuple[str, ...]


@contextmanager
def _engine(url: str, *, write: bool) -> Iterator[sa.Engine]:
    """Raises `Refused` for what is wrong with the database from here on."""
    try:
        engines = connect(url)
        try:
            yield engines[0] if write else engines[1]
        finally:
            for engine in engines:
                engine.dispose()
    except DBAPIError as error:
        raise Refused(f"{shown(url)}: {error.orig}") from None
    except ValueError as error:
        raise Refused(str(error)) from None


def shown(url: str) -> str:
    """A URL as it may be told."""
    return sa.make_url(url).render_as_string(hide_password=True)


def upgrade(url: str) -> str:
    """Bring a database to this version's schema, which is returned. Raises `NewerSchema`."""
    with _engine(url, write=True) as engine:
        upgrade_schema(engine)
    return REVISION


def check(url: str) -> Checked:
    """Look at a database without changing it."""
    with _engine(url, write=False) as engine:
        schema = stored_revision(engine)
        with engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names())
            faults: list[str] = []
            if is_sqlite(url):
                found = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
                faults = [text for text in found if text != "ok"]
            rows = {
                table.name: _count(connection, table)
                for table in metadata.sorted_tables
                if table.name in there and not faults
            }
    return Checked(schema, REVISION, rows, tuple(faults))


def copy(url: str, to: str) -> dict[str, int]:
    """Copy a store to an empty PostgreSQL database; the rows of each table.

    All or nothing. Raises `Refused`, `NewerSchema`.
    """
    if is_sqlite(to):
        raise Refused("the target has to be a PostgreSQL database: postgresql+psycopg://...")
    with _engine(url, write=True) as source, _engine(to, write=True) as target:
        upgrade_schema(source)
        upgrade_schema(target)
        with source.connect() as reading, target.begin() as writing:
            full = [table.name for table in metadata.sorted_tables if _count(writing, table)]
            if full:
                raise Refused(f"{shown(to)} is not empty: there are rows in {', '.join(full)}")
            # the lease is the database's own
            tables = [table for table in metadata.sorted_tables if table is not lease]
            return {table.name: _copy(reading, writing, table) for table in tables}


def _copy(reading: Connection, writing: Connection, table: sa.Table) -> int:
    found = reading.execution_options(yield_per=BATCH).execute(sa.select(table)).mappings()
    count = 0
    for some in found.partitions(BATCH):
        writing.execute(sa.insert(table), [dict(row) for row in some])
        count += len(some)
    number = table.autoincrement_column
    if number is not None:
        _count_on(reading, writing, number)
    return count


def _count_on(reading: Connection, writing: Connection, number: sa.Column[int]) -> None:
    """Go on counting where the source would: a number that was given once is never given again."""
    table = number.table
    last = reading.execute(sa.select(sa.func.max(number))).scalar_one() or 0
    if reading.dialect.name == "sqlite":
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        last = reading.execute(query, {"name": table.name}).scalar_one_or_none() or last
    if last:
        query = sa.text("SELECT setval(pg_get_serial_sequence(:name, :column), :last)")
        values = {"name": table.name, "column": number.name, "last": last}
        writing.execute(query, values)


def _count(connection: Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
