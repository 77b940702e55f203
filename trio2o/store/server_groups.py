"""Server groups, and what each is called in each pod."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import ServerGroup
from trio2o.store._schema import server_group_pods, server_groups
from trio2o.store._upsert import put, put_new


def find_group(connection: Connection, id: str) -> ServerGroup | None:
    row = (
        connection.execute(sa.select(server_groups).where(server_groups.c.id == id))
        .mappings()
        .one_or_none()
    )
    return ServerGroup(**row) if row else None


def list_groups(
    connection: Connection, project_id: str | None, *, deleted: bool = False
) -> tuple[ServerGroup, ...]:
    """Groups of a project (None: of all) in the order in which they were made."""
    gone = server_groups.c.deleted_at
    query = sa.select(server_groups).where(gone != "" if deleted else gone == "")
    if project_id is not None:
        query = query.where(server_groups.c.project_id == project_id)
    rows = connection.execute(query.order_by(server_groups.c.number)).mappings()
    return tuple(ServerGroup(**row) for row in rows)


def put_group(connection: Connection, group: ServerGroup) -> None:
    values = asdict(group)
    del values["number"]
    put_new(connection, server_groups, [values])


def delete_group(connection: Connection, id: str, now: str) -> None:
    change = sa.update(server_groups).where(server_groups.c.id == id)
    connection.execute(change.values(deleted_at=now))


def forget_group(connection: Connection, id: str) -> None:
    connection.execute(sa.delete(server_group_pods).where(server_group_pods.c.id == id))
    connection.execute(sa.delete(server_groups).where(server_groups.c.id == id))


def counterparts(connection: Connection, id: str) -> dict[str, str]:
    """A group's id in each pod that has it, by the pod's id."""
    query = sa.select(server_group_pods).where(server_group_pods.c.id == id)
    return {row.pod_id: row.bottom_id for row in connection.execute(query)}


def put_counterpart(connection: Connection, id: str, pod_id: str, bottom_id: str) -> None:
    row = {"id": id, "pod_id": pod_id, "bottom_id": bottom_id}
    put(connection, server_group_pods, [row])


def drop_counterpart(connection: Connection, id: str, pod_id: str) -> None:
    table = server_group_pods
    connection.execute(sa.delete(table).where(table.c.id == id, table.c.pod_id == pod_id))


def renamed(connection: Connection) -> dict[str, str]:
    """Ids in pods that differ from the tenants', with the tenants'."""
    table = server_group_pods
    query = sa.select(table).where(table.c.bottom_id != table.c.id)
    return {row.bottom_id: row.id for row in connection.execute(query)}
