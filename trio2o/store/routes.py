"""Where ids live."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy import Connection

from trio2o.domain.values import Route
from trio2o.store._schema import routes
from trio2o.store._upsert import put

_COLUMNS = tuple(column.name for column in routes.c)


def _details(new: Any) -> Any:
    """A showing that tells less keeps what an earlier one told."""
    return sa.case((new.details != "", new.details), else_=routes.c.details)


def find_route(connection: Connection, type: str, top_id: str) -> Route | None:
    query = sa.select(routes).where(routes.c.type == type, routes.c.top_id == top_id)
    row = connection.execute(query).mappings().one_or_none()
    return Route(**row) if row else None


def record_routes(connection: Connection, found: Sequence[Route]) -> None:
    """Keep these routes, in place of older ones of the same ids (but not of their details)."""
    rows = [{name: getattr(route, name) for name in _COLUMNS} for route in found]
    put(connection, routes, rows, details=_details)


def bury_route(connection: Connection, route: Route, now: str) -> Route | None:
    """Leave a tombstone, unless the id is known to live in another pod by now: that route then."""
    found = find_route(connection, route.type, route.top_id)
    if found is None or found.pod_id == route.pod_id:
        if found is None or not found.deleted_at:
            record_routes(connection, [evolve(route, deleted_at=now)])
        return None
    return found if not found.deleted_at else None


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
