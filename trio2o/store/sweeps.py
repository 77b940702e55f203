"""Up to when each pod's changes were read."""

import sqlalchemy as sa
from sqlalchemy import Connection

from trio2o.store._schema import sweeps
from trio2o.store._upsert import put


def swept(connection: Connection, pod_id: str, kind: str) -> float | None:
    """The moment of the last sweep of a kind of things in a pod, in seconds since 1970."""
    query = sa.select(sweeps.c.seen).where(sweeps.c.pod_id == pod_id, sweeps.c.kind == kind)
    return connection.execute(query).scalar_one_or_none()


def put_swept(connection: Connection, pod_id: str, kind: str, seen: float) -> None:
    put(connection, sweeps, [{"pod_id": pod_id, "kind": kind, "seen": seen}])
