"""Users' keypairs, and whose were asked for in which pod."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import Keypair, Settled
from trio2o.store._schema import keypair_users, keypairs, settled
from trio2o.store._upsert import put, put_new

KIND = "keypair"


def _one(user_id: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(keypairs.c.user_id == user_id, keypairs.c.name == name)


def find_keypair(connection: Connection, user_id: str, name: str) -> Keypair | None:
    """Also one that is deleted, as long as a pod may have it."""
    query = sa.select(keypairs).where(_one(user_id, name))
    row = connection.execute(query).mappings().one_or_none()
    return Keypair(**row) if row else None


def list_keypairs(connection: Connection, user_id: str) -> tuple[Keypair, ...]:
    """A user's keys by name."""
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.deleted_at == "")
    rows = connection.execute(query.order_by(keypairs.c.name)).mappings()
    return tuple(Keypair(**row) for row in rows)


def put_keypair(connection: Connection, wanted: Keypair) -> Keypair:
    """Record a key, in place of a deleted one of its name; with its number and version."""
    old = find_keypair(connection, wanted.user_id, wanted.name)
    values = asdict(wanted)
    del values["number"]
    if old is None:
        connection.execute(sa.insert(keypairs).values(**values))
    else:
        values["version"] = old.version + 1
        where = _one(wanted.user_id, wanted.name)
        connection.execute(sa.update(keypairs).where(where).values(**values))
    found = find_keypair(connection, wanted.user_id, wanted.name)
    assert found is not None
    return found


def delete_keypair(connection: Connection, user_id: str, name: str, now: str) -> None:
    change = sa.update(keypairs).where(_one(user_id, name), keypairs.c.deleted_at == "")
    version = keypairs.c.version + 1
    connection.execute(change.values(deleted_at=now, version=version))


def forget_keypair(connection: Connection, keypair: Keypair) -> None:
    """A deleted key is gone from every pod."""
    where = _one(keypair.user_id, keypair.name)
    gone = sa.delete(keypairs).where(where, keypairs.c.version == keypair.version)
    if connection.execute(gone).rowcount:
        connection.execute(
            sa.delete(settled).where(settled.c.kind == KIND, settled.c.key == keypair.key)
        )


def keypairs_of_all(connection: Connection, after: int, limit: int) -> tuple[Keypair, ...]:
    """Some of all users' keys, deleted ones too, from a number on."""
    query = sa.select(keypairs).where(keypairs.c.number > after).order_by(keypairs.c.number)
    return tuple(Keypair(**row) for row in connection.execute(query.limit(limit)).mappings())


def settled_of(connection: Connection, kind: str, key: str) -> dict[str, Settled]:
    """What each pod has of a definition, by the pod's id."""
    query = sa.select(settled).where(settled.c.kind == kind, settled.c.key == key)
    rows = connection.execute(query).mappings()
    return {row["pod_id"]: Settled(**row) for row in rows}


def put_settled(connection: Connection, found: Sequence[Settled]) -> None:
    put(connection, settled, [asdict(one) for one in found])


def problems(connection: Connection) -> tuple[Settled, ...]:
    query = sa.select(settled).where(settled.c.problem != "").order_by(settled.c.key)
    return tuple(Settled(**row) for row in connection.execute(query).mappings())


def asked_pods(connection: Connection, user_id: str) -> frozenset[str]:
    """The pods that were asked for the user's keys."""
    query = sa.select(keypair_users.c.pod_id).where(keypair_users.c.user_id == user_id)
    return frozenset(connection.execute(query).scalars())


def put_asked(connection: Connection, user_id: str, pod_id: str) -> None:
    put_new(connection, keypair_users, [{"user_id": user_id, "pod_id": pod_id}])
