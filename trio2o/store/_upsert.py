"""Inserting rows that may be there already, in the same words for both databases."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that has `on_conflict_do_update`, `on_conflict_do_nothing` and `excluded`."""
    return _INSERTS[connection.dialect.name](table)


def put(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    **values: Callable[[Any], Any],
) -> None:
    """Insert rows; where the primary key is there, its row gets all the other columns given.

    `values` are columns that a row which is there gets instead: functions of the columns that were
    to be inserted. Statements are kept by these functions, so they have to be a module's own.
    """
    if rows:
        key = (connection.dialect.name, table, tuple(rows[0]), tuple(values.items()))
        connection.execute(_put(*key), list(rows))


@lru_cache(256)  # to make one costs thirty times what it costs to run it
def _put(
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    values: tuple[tuple[str, Callable[[Any], Any]], ...],
) -> Any:
    statement = _INSERTS[dialect](table)
    key = [column.name for column in table.primary_key]
    new = {name: statement.excluded[name] for name in names if name not in key}
    new |= {name: value(statement.excluded) for name, value in values}
    return statement.on_conflict_do_update(index_elements=key, set_=new)


def put_new(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that are there in any unique key stay as they are."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), list(rows))
