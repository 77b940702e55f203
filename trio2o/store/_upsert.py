"""Inserting rows that may be there already, in the same words for both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    **values: Any,
) -> None:
    """Insert rows; where the primary key is there, its row gets all the other columns given.

    `values` are columns that a row which is there gets instead: an expression, or a function of
    the columns that were to be inserted.
    """
    if not rows:
        return
    statement = insert(connection, table)
    key = [column.name for column in table.primary_key]
    new = {name: statement.excluded[name] for name in rows[0] if name not in key}
    for name, value in values.items():
        new[name] = value(statement.excluded) if callable(value) else value
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=new), list(rows))


def put_new(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that are there in any unique key stay as they are."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), list(rows))
