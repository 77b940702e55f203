"""Revisions of tables that are held whole in memory: one moves when its table changes.

Which tables these are is said in the schema (`info=HELD`). A revision is moved in the transaction
of the change, by the engine, whatever function made it.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from trio2o.store._schema import revisions
from trio2o.store._upsert import put


def note(connection: Connection, statement: Any, *_: Any) -> None:
    """Called after each statement: remember which held table it changed."""
    table = getattr(statement, "table", None)
    if table is not None and table.info.get("held"):
        connection.info["changed"].add(table.name)


def _next(new: Any) -> Any:
    return revisions.c.number + 1


def bump(connection: Connection, tables: Iterable[str]) -> None:
    """Move the revisions of tables; always in one order, so that two never wait for each other."""
    rows = [{"name": name, "number": 1} for name in sorted(tables)]
    put(connection, revisions, rows, number=_next)


def read_revisions(connection: Connection) -> dict[str, int]:
    """The revision of each held table that ever changed."""
    return {row.name: row.number for row in connection.execute(sa.select(revisions))}
