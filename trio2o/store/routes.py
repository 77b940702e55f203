"""Where ids live."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection

from trio2o.domain.values import Route
from trio2o.store._schema import routes
from trio2o.store._upsert import put


def find_route(connection: Connection, type: str, top_id: str) -> Route | None:
    query = sa.select(routes).where(routes.c.type == type, routes.c.top_id == top_id)
    row = connection.execute(query).mappings().one_or_none()
    return Route(**row) if row else None


def record_routes(connection: Connection, found: Sequence[Route]) -> None:
    """Keep these routes, in place of older ones of the same ids (but not of their details)."""
    put(
        connection,
        routes,
        [asdict(route) for route in found],
        details=lambda new: sa.case((new.details != "", new.details), else_=routes.c.details),
    )


def delete_route(connection: Connection, type: str, top_id: str) -> None:
    connection.execute(sa.delete(routes).where(routes.c.type == type, routes.c.top_id == top_id))


def list_routes(
    connection: Connection, where: dict[str, str], after: tuple[str, str] | None, limit: int
) -> tuple[Route, ...]:
    """Routes whose columns have these values, by type and id, behind a place in that order."""
    query = sa.select(routes).where(*(routes.c[name] == value for name, value in where.items()))
    if after is not None:
        query = query.where(sa.tuple_(routes.c.type, routes.c.top_id) > sa.tuple_(*after))
    rows = connection.execute(query.order_by(routes.c.type, routes.c.top_id).limit(limit))
    return tuple(Route(**row) for row in rows.mappings())


def live_routes(connection: Connection, pod_id: str, limit: int) -> tuple[Route, ...]:
    """Routes into a pod that are no tombstones, some at most."""
    query = (
        sa.select(routes)
        .where(routes.c.pod_id == pod_id, routes.c.deleted_at == "")
        .order_by(routes.c.type, routes.c.top_id)
        .limit(limit)
    )
    return tuple(Route(**row) for row in connection.execute(query).mappings())


def routes_of(
    connection: Connection, type: str, pod_id: str, project_id: str | None, limit: int
) -> tuple[Route, ...]:
    """What is known to live in a pod of a project's (None: of all), newest ids last."""
    query = sa.select(routes).where(
        routes.c.type == type, routes.c.pod_id == pod_id, routes.c.deleted_at == ""
    )
    if project_id is not None:
        query = query.where(routes.c.project_id == project_id)
    rows = connection.execute(query.order_by(routes.c.top_id).limit(limit)).mappings()
    return tuple(Route(**row) for row in rows)


def count_live(connection: Connection, pod_id: str) -> int:
    query = sa.select(sa.func.count()).where(routes.c.pod_id == pod_id, routes.c.deleted_at == "")
    return connection.execute(query).scalar_one()
