"""What must be the same in every pod, and which version of it each pod has."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from attrs import asdict, fields
from sqlalchemy import Connection

from trio2o.domain.values import Definition, Settled
from trio2o.store._schema import definitions, keypair_users, settled
from trio2o.store._upsert import put, put_new


def _one(kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(definitions.c.kind == kind, definitions.c.key == key)


def find_definition(connection: Connection, kind: str, key: str) -> Definition | None:
    """Also one that is deleted, as long as a pod may have it."""
    row = connection.execute(sa.select(definitions).where(_one(kind, key))).mappings().one_or_none()
    return Definition(**row) if row else None


def list_definitions(
    connection: Connection,
    kind: str,
    owner: str | None = None,
    *,
    deleted: bool | None = None,
    after: int = 0,
    limit: int | None = None,
) -> tuple[Definition, ...]:
    """All of a kind (or an owner's) in the order in which they were recorded: those that stand
    and those that do not, or (`deleted`) one of both; or some of them, from a number on."""
    table = definitions.c
    query = sa.select(definitions).where(table.kind == kind, table.number > after)
    if owner is not None:
        query = query.where(table.owner == owner)
    if deleted is not None:
        query = query.where(table.deleted_at != "" if deleted else table.deleted_at == "")
    rows = connection.execute(query.order_by(table.number).limit(limit)).mappings()
    return tuple(Definition(**row) for row in rows)


def record_definition(
    connection: Connection,
    kind: str,
    key: str,
    document: str,
    deleted_at: str = "",
    owner: str = "",
) -> Definition:
    """The definition as it is from now on; nothing of it is pending. Its version moves if
    something changed. One that is deleted keeps its last document."""
    old = find_definition(connection, kind, key)
    new = {"document": document, "deleted_at": deleted_at, "pending": ""}
    if old is None:
        values = {"kind": kind, "key": key, "owner": owner, "version": 1, **new}
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


_settled = sa.select(*(settled.c[field.name] for field in fields(Settled)))


def _found(connection: Connection, query: sa.Select[Any]) -> tuple[Settled, ...]:
    """By position: by name it takes four times as long, and there may be many."""
    return tuple(Settled(*row) for row in connection.execute(query))


def settled_of(connection: Connection, kind: str, key: str) -> dict[str, Settled]:
    """What each pod has of a definition, by the pod's id."""
    query = _settled.where(settled.c.kind == kind, settled.c.key == key)
    return {one.pod_id: one for one in _found(connection, query)}


def settled_of_kind(connection: Connection, kind: str) -> tuple[Settled, ...]:
    return _found(connection, _settled.where(settled.c.kind == kind))


def put_settled(connection: Connection, found: Sequence[Settled]) -> None:
    put(connection, settled, [asdict(one) for one in found])


def forget_settled(connection: Connection, kind: str, key: str) -> None:
    connection.execute(sa.delete(settled).where(settled.c.kind == kind, settled.c.key == key))


def asked_pods(connection: Connection, user_id: str) -> frozenset[str]:
    """The pods that were asked for a user's keypairs."""
    query = sa.select(keypair_users.c.pod_id).where(keypair_users.c.user_id == user_id)
    return frozenset(connection.execute(query).scalars())


def put_asked(connection: Connection, user_id: str, pod_id: str) -> None:
    put_new(connection, keypair_users, [{"user_id": user_id, "pod_id": pod_id}])


def problems(connection: Connection) -> tuple[Settled, ...]:
    """What an operator has to decide."""
    return _found(connection, _settled.where(settled.c.problem != "").order_by(settled.c.key))


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
