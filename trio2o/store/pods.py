"""Pods, and the top region, as rows."""

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa
from attrs import evolve, fields
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from trio2o.domain.errors import StoreConflict
from trio2o.domain.values import ACTIVE, Pod, Zone
from trio2o.store._schema import (
    attachments,
    counterparts,
    homes,
    keypair_users,
    pods,
    routes,
    settled,
    sweeps,
)
from trio2o.store.bindings import end, end_outside

_zones = msgspec.json.Decoder(tuple[Zone, ...]).decode
_tags = msgspec.json.Decoder(tuple[str, ...]).decode


def _row(pod: Pod) -> dict[str, Any]:
    values: dict[str, Any] = {field.name: getattr(pod, field.name) for field in fields(Pod)}
    del values["number"]
    lists = {name: msgspec.json.encode(values[name]).decode() for name in ("tags", "zones")}
    return values | lists


def list_pods(connection: Connection) -> tuple[Pod, ...]:
    """All pods in the order in which they were added."""
    rows = connection.execute(sa.select(pods).order_by(pods.c.number)).mappings()
    return tuple(
        Pod(**{**row, "tags": _tags(row["tags"]), "zones": _zones(row["zones"])}) for row in rows
    )


def add_pod(connection: Connection, pod: Pod) -> Pod:
    """The pod with the number that it got. Raises `StoreConflict`."""
    try:
        number = connection.execute(sa.insert(pods).values(**_row(pod))).inserted_primary_key
    except IntegrityError as error:
        raise StoreConflict(str(error.orig)) from None
    assert number is not None
    return evolve(pod, number=number[0])


def change_pod(connection: Connection, pod_id: str, change: Callable[[Pod], Pod], now: str) -> None:
    """Make of the pod what `change` says. A project's use of it ends where it takes nothing new
    any more, and for AZs that it no longer has."""
    for pod in list_pods(connection):
        if pod.pod_id == pod_id:
            pod = change(pod)
            connection.execute(sa.update(pods).where(pods.c.pod_id == pod_id).values(**_row(pod)))
            kept = [zone.name for zone in pod.azs] if pod.state == ACTIVE else []
            end_outside(connection, now, pod_id, kept)


def remove_pod(connection: Connection, pod_id: str, now: str) -> None:
    """Take the pod away with what is known of it; its bindings end."""
    end(connection, now, pod_id=pod_id)
    ours = (routes, settled, keypair_users, sweeps)
    for table in (*ours, counterparts, attachments, homes):
        connection.execute(sa.delete(table).where(table.c.pod_id == pod_id))
    connection.execute(sa.delete(pods).where(pods.c.pod_id == pod_id))
