"""What must be the same in every pod, and which version of it each pod has."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert

from trio2o.domain.values import Definition, Settled
from trio2o.store._schema import definitions, settled


def _one(kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(definitions.c.kind == kind, definitions.c.key == key)


def find_definition(connection: Connection, kind: str, key: str) -> Definition | None:
    """Also one that is deleted, as long as a pod may have it."""
    row = connection.execute(sa.select(definitions).where(_one(kind, key))).mappings().one_or_none()
    return Definition(**row) if row else None


def list_definitions(connection: Connection, kind: str) -> tuple[Definition, ...]:
    """All of a kind in the order in which they were recorded, deleted ones too."""
    query = sa.select(definitions).where(definitions.c.kind == kind)
    rows = connection.execute(query.order_by(definitions.c.number)).mappings()
    return tuple(Definition(**row) for row in rows)


def record_definition(
    connection: Connection, kind: str, key: str, document: str, deleted_at: str = ""
) -> Definition:
    """The definition as it is from now on; nothing of it is pending. Its version moves if
    something changed. One that is deleted keeps its last document."""
    old = find_definition(connection, kind, key)
    new = {"document": document, "deleted_at": deleted_at, "pending": ""}
    if old is None:
        values = {"kind": kind, "key": key, "version": 1, **new}
        connection.execute(sa.insert(definitions).values(**values))
    else:
        same = (old.document, bool(old.deleted_at)) == (document, bool(deleted_at))
        change = sa.update(definitions).where(_one(kind, key))
        connection.execute(change.values(version=old.version + (not same), **new))
    found = find_definition(connection, kind, key)
    assert found is not None
    return found


def set_pending(connection: Connection, kind: str, key: str, pod_id: str) -> None:
    """A change of the definition is being tried in a pod ('' = in none)."""
    connection.execute(sa.update(definitions).where(_one(kind, key)).values(pending=pod_id))


def forget_definition(connection: Connection, definition: Definition) -> None:
    """A deleted definition is gone from every pod."""
    where = _one(definition.kind, definition.key)
    gone = sa.delete(definitions).where(where, definitions.c.version == definition.version)
    if connection.execute(gone).rowcount:
        forget_settled(connection, definition.kind, definition.key)


def settled_of(connection: Connection, kind: str, key: str) -> dict[str, Settled]:
    """What each pod has of a definition, by the pod's id."""
    query = sa.select(settled).where(settled.c.kind == kind, settled.c.key == key)
    rows = connection.execute(query).mappings()
    return {row["pod_id"]: Settled(**row) for row in rows}


def settled_of_kind(connection: Connection, kind: str) -> tuple[Settled, ...]:
    query = sa.select(settled).where(settled.c.kind == kind)
    return tuple(Settled(**row) for row in connection.execute(query).mappings())


def put_settled(connection: Connection, found: Sequence[Settled]) -> None:
    if not found:
        return
    statement = insert(settled)
    new = {name: statement.excluded[name] for name in ("version", "problem", "bottom_id")}
    keys = ["kind", "key", "pod_id"]
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=new),
        [asdict(one) for one in found],
    )


def forget_settled(connection: Connection, kind: str, key: str) -> None:
    connection.execute(sa.delete(settled).where(settled.c.kind == kind, settled.c.key == key))


def problems(connection: Connection) -> tuple[Settled, ...]:
    """What an operator has to decide."""
    query = sa.select(settled).where(settled.c.problem != "").order_by(settled.c.key)
    return tuple(Settled(**row) for row in connection.execute(query).mappings())


def any_behind(connection: Connection, kind: str, pod_ids: Sequence[str]) -> bool:
    """Whether one of these pods may not have all definitions of a kind as they are now."""
    same = sa.and_(definitions.c.kind == settled.c.kind, definitions.c.key == settled.c.key)
    now = sa.and_(settled.c.version == definitions.c.version, settled.c.problem == "")
    these = sa.and_(settled.c.kind == kind, settled.c.pod_id.in_(pod_ids))
    has = sa.select(sa.func.count()).select_from(settled).join(definitions, same).where(these, now)
    all = sa.select(sa.func.count()).select_from(definitions).where(definitions.c.kind == kind)
    have: int = connection.execute(has).scalar_one()
    wanted: int = connection.execute(all).scalar_one() * len(pod_ids)
    return have < wanted
