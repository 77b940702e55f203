"""Passes of reconcilers that were asked for and made, by whichever process."""

from typing import Any

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import Connection

from trio2o.store._schema import passes
from trio2o.store._upsert import put


@frozen
class Made:
    """How many passes were `asked` for, up to which of these one was `made`, its report (JSON)."""

    asked: int
    made: int
    report: str


def read_passes(connection: Connection) -> dict[str, Made]:
    """By the reconciler's name; those that were never asked for nor made are missing."""
    rows = connection.execute(sa.select(passes))
    return {row.name: Made(row.asked, row.made, row.report) for row in rows}


def _next(new: Any) -> Any:
    return passes.c.asked + 1


def _kept(new: Any) -> Any:
    return passes.c.report


def _as_asked(new: Any) -> Any:
    return passes.c.asked


def _as_made(new: Any) -> Any:
    return passes.c.made


def ask_for_pass(connection: Connection, name: str) -> int:
    """Ask for a pass; the number that `made` reaches when there was one."""
    row = {"name": name, "asked": 1, "made": 0, "report": ""}
    put(connection, passes, [row], asked=_next, made=_as_made, report=_kept)
    query = sa.select(passes.c.asked).where(passes.c.name == name)
    asked: int = connection.execute(query).scalar_one()
    return asked


def record_pass(connection: Connection, name: str, made: int, report: str) -> None:
    """A pass was made that began when so many were asked for."""
    row = {"name": name, "asked": made, "made": made, "report": report}
    put(connection, passes, [row], asked=_as_asked)
