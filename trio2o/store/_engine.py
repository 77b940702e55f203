"""Reads on the reactor's thread, writes grouped into transactions on one thread of their own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, event
from twisted.internet.defer import Deferred

from trio2o.store._schema import upgrade

T = TypeVar("T")

GROUP = 256
"""Changes in one transaction at most: enough to share an fsync, few enough to answer soon."""


class FromThread(Protocol):
    """The part of a reactor that the store needs (`IReactorFromThreads`)."""

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None: ...


def _engine(url: str, statements: tuple[str, ...], begin: str) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.pool.StaticPool)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for statement in statements:
            connection.execute(statement)

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        if begin:
            connection.exec_driver_sql(begin)

    return engine


class Store:
    """SQLite in WAL mode with `synchronous=FULL`: what `write` returned survives power loss."""

    def __init__(self, reactor: FromThread, url: str) -> None:
        self._reactor = reactor
        self._closed = False
        self.committed: Callable[[float, int], None] = lambda seconds, changes: None
        """Told of each commit, in the writer's thread: how long it took, how many changes."""
        self._waiting: queue.SimpleQueue[tuple[Callable[[Connection], Any], Deferred[Any]] | None]
        self._waiting = queue.SimpleQueue()
        common = ("PRAGMA busy_timeout=10000", "PRAGMA foreign_keys=ON")
        durable = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
        # a deferred read-then-write fails at once with SQLITE_BUSY_SNAPSHOT: take the lock first
        self._writing = _engine(url, (*common, *durable), "BEGIN IMMEDIATE")
        upgrade(self._writing)
        self._writing.dispose()  # its connection belongs to this thread; the writer makes its own
        self._reading = _engine(url, (*common, "PRAGMA query_only=ON"), "")
        self._reader = self._reading.connect()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` finds. It runs at once, on this thread, and keeps no cursor."""
        return query(self._reader)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make a change; it is durable on return. `change` may be run a second time."""
        if self._closed:
            raise RuntimeError("the store is closed")
        done: Deferred[T] = Deferred()
        self._waiting.put((change, done))
        return await done

    def close(self) -> None:
        """Finish the writes that wait, then let go of the database."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        self._reader.close()
        self._reading.dispose()

    def _run(self) -> None:
        with self._writing.connect() as connection:
            while (first := self._waiting.get()) is not None:
                group, last = [first], False
                while len(group) < GROUP and not self._waiting.empty():
                    if (more := self._waiting.get()) is None:
                        last = True
                        break
                    group.append(more)
                self._commit(connection, group)
                if last:
                    break
        self._writing.dispose()

    def _commit(self, connection: Connection, group: list[Any]) -> None:
        """All changes in one transaction; if one fails, each in its own."""
        begun = time.perf_counter()
        try:
            with connection.begin():
                results = [change(connection) for change, _ in group]
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    self._commit(connection, [one])
                return
            self._reactor.callFromThread(group[0][1].errback, error)
            return
        self.committed(time.perf_counter() - begun, len(group))
        for (_, done), result in zip(group, results, strict=True):
            self._reactor.callFromThread(done.callback, result)
