"""Pods, and the top region, as rows."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from trio2o.domain.errors import StoreConflict
from trio2o.domain.values import Pod
from trio2o.store._schema import (
    attachments,
    counterparts,
    homes,
    keypair_users,
    pods,
    routes,
    server_group_pods,
    settled,
)
from trio2o.store.bindings import end


def list_pods(connection: Connection) -> tuple[Pod, ...]:
    """All pods in the order in which they were added."""
    rows = connection.execute(sa.select(pods).order_by(pods.c.number)).mappings()
    return tuple(Pod(**row) for row in rows)


def add_pod(connection: Connection, pod: Pod) -> Pod:
    """The pod with the number that it got. Raises `StoreConflict`."""
    values = asdict(pod)
    del values["number"]
    try:
        number = connection.execute(sa.insert(pods).values(**values)).inserted_primary_key
    except IntegrityError as error:
        raise StoreConflict(str(error.orig)) from None
    assert number is not None
    return Pod(number=number[0], **values)


def set_state(connection: Connection, pod_id: str, state: str) -> None:
    connection.execute(sa.update(pods).where(pods.c.pod_id == pod_id).values(state=state))


def remove_pod(connection: Connection, pod_id: str, now: str) -> None:
    """Take the pod away with what is known of it; its bindings end."""
    end(connection, now, pod_id=pod_id)
    ours = (routes, settled, keypair_users, server_group_pods, counterparts, attachments, homes)
    for table in ours:
        connection.execute(sa.delete(table).where(table.c.pod_id == pod_id))
    connection.execute(sa.delete(pods).where(pods.c.pod_id == pod_id))
