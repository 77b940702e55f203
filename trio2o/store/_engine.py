"""Reads, and writes that are grouped into transactions on one thread of their own."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import groupby
from typing import Any, Protocol, TypeVar

from attrs import frozen
from sqlalchemy import Connection, event
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from txaio.tx import make_logger

from trio2o.domain.errors import Unavailable
from trio2o.store import revisions
from trio2o.store._databases import READERS, connect, is_away, is_locked, is_sqlite, may_work_again
from trio2o.store._schema import upgrade
from trio2o.store.lease import check_epoch

log = make_logger()

T = TypeVar("T")

GROUP = 256
"""Changes in one transaction at most: enough to share an fsync, few enough to answer soon."""

AGAIN = 20
"""Runs of a change at most whose transaction others hinder."""

PATIENCE = 10.0
"""Seconds for which a write waits for a database that is away, or is locked by others."""

EPOCH: ContextVar[int | None] = ContextVar("EPOCH", default=None)
"""Set while a reconciler passes: what it writes is refused once another holds the lease."""


class StoreAway(Unavailable):
    """The database does not answer, or others hold it. Where the connection broke off, a write
    may have been made all the same."""

    def __init__(self) -> None:
        super().__init__("The store cannot be reached at the moment.")


@frozen
class _Rows:
    """A change that can be made together with others of its kind."""

    put: Callable[[Connection, Sequence[Any]], None]
    rows: Sequence[Any]

    def __call__(self, connection: Connection) -> None:
        self.put(connection, self.rows)


class FromThread(Protocol):
    """The part of a reactor that the store needs (`IReactorFromThreads`)."""

    def callFromThread(  # noqa: N802
        self, callable: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None: ...


class Store:
    """What `write` returned survives kill -9 and power loss: SQLite in WAL mode with
    `synchronous=FULL`, or PostgreSQL. Changes are serialised, also those of other processes."""

    def __init__(self, reactor: FromThread, url: str) -> None:
        """Raises `ValueError`, `OSError` (no such database), `NewerSchema`."""
        self._reactor = reactor
        self._closed = False
        self._well = True
        self.committed: Callable[[float, int], None] = lambda seconds, changes: None
        """Told of each commit, in the writer's thread: how long it took, how many changes."""
        self._waiting: queue.SimpleQueue[tuple[Callable[[Connection], Any], Deferred[Any]] | None]
        self._waiting = queue.SimpleQueue()
        self._writing, self._reading = connect(url)
        try:
            upgrade(self._writing)
        except Exception as error:
            if is_away(error):
                raise OSError(f"the store: {error.args[0]}") from None
            raise
        self._writing.dispose()  # its connection belongs to this thread; the writer makes its own
        event.listen(self._writing, "after_execute", revisions.note)
        self._held = self._reading.connect() if is_sqlite(url) else None
        self._readers = None if self._held else ThreadPoolExecutor(READERS, "store-read")
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` finds; each statement sees what was committed before it. It keeps no cursor.

        With SQLite it runs at once, on this thread.
        """
        if self._held is not None:
            return query(self._held)
        if self._closed or self._readers is None:
            raise RuntimeError("the store is closed")
        done: Deferred[T] = Deferred()
        self._readers.submit(self._read, query, done)
        return await done

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make a change; it is durable on return. `change` may be run more than once.

        Raises what `change` raises, `StoreAway`, and `Fenced` in a pass of a reconciler whose
        lease went to another process.
        """
        if self._closed:
            raise RuntimeError("the store is closed")
        done: Deferred[T] = Deferred()
        epoch = EPOCH.get()
        self._waiting.put((change if epoch is None else _fenced(change, epoch), done))
        return await done

    async def add(self, put: Callable[[Connection, Sequence[T]], None], rows: Sequence[T]) -> None:
        """As a `write` of `put(connection, rows)`, shared with others that wait for the same."""
        await self.write(_Rows(put, rows))

    def close(self) -> None:
        """Finish the writes that wait, then let go of the database."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        if self._held is not None:
            self._held.close()
        if self._readers is not None:
            self._readers.shutdown()
        self._reading.dispose()

    def _read(self, query: Callable[[Connection], Any], done: Deferred[Any]) -> None:
        for last in (False, True):
            try:
                with self._reading.connect() as connection:
                    result = query(connection)
            except Exception as error:
                if not is_away(error):
                    self._reactor.callFromThread(done.errback, error)
                elif last:
                    self._answers(False, error)
                    self._reactor.callFromThread(done.errback, StoreAway())
                else:
                    continue  # a connection that was kept may be older than the server
            else:
                self._answers(True)
                self._reactor.callFromThread(done.callback, result)
            return

    def _answers(self, well: bool, error: Exception | None = None) -> None:
        """Tell once when the database is away, and once when it is back."""
        if self._well != well:
            self._well = well
            if error is not None:
                log.error("the store is away: {why}", why=error.args[0])
            else:
                log.info("the store answers again")

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, last = [first], False
            while len(group) < GROUP and not self._waiting.empty():
                if (more := self._waiting.get()) is None:
                    last = True
                    break
                group.append(more)
            self._commit(group)
            if last:
                break
        self._writing.dispose()

    def _commit(self, group: list[Any]) -> None:
        """All changes in one transaction; if one fails, each in its own."""
        try:
            results: list[Any] = self._make(change for change, _ in group)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, StoreAway):
                for one in group:
                    self._commit([one])
                return
            hindered = may_work_again(error) or is_locked(error)
            results = [Failure(StoreAway() if hindered else error)] * len(group)
        self._reactor.callFromThread(_answer, [done for _, done in group], results)

    def _make(self, changes: Iterable[Callable[[Connection], Any]]) -> list[Any]:
        """One transaction, tried again while others or a server that restarts hinder it."""
        wanted = list(changes)
        end = time.monotonic() + PATIENCE
        for tried in range(1, AGAIN + 1):
            committing, begun = False, time.perf_counter()
            try:
                with self._writing.begin() as connection:
                    changed = connection.info["changed"] = set()
                    results = _run(connection, wanted)
                    revisions.bump(connection, changed)
                    committing = True
                self.committed(time.perf_counter() - begun, len(wanted))
                self._answers(True)
                return results
            except Exception as error:
                away = is_away(error)
                # whether a commit that broke off was made is not known: it is not made again
                if away and (committing or time.monotonic() > end):
                    self._answers(False, error)
                    raise StoreAway from error
                if tried == AGAIN or not (away or may_work_again(error)):
                    raise
                most = 1.0 if away else 0.01 * tried
                time.sleep(random.uniform(most / 4, most))
        raise AssertionError("not reached")


def _run(connection: Connection, changes: list[Callable[[Connection], Any]]) -> list[Any]:
    """The results of changes, one after the other; rows of one kind go together."""
    results: list[Any] = []
    for put, alike in groupby(changes, lambda one: one.put if isinstance(one, _Rows) else None):
        if put is None:
            results += [change(connection) for change in alike]
        else:
            some = [one for one in alike if isinstance(one, _Rows)]
            put(connection, [row for one in some for row in one.rows])
            results += [None] * len(some)
    return results


def _answer(waiting: list[Deferred[Any]], results: list[Any]) -> None:
    for done, result in zip(waiting, results, strict=True):
        done.callback(result)  # a failure makes it an errback


def _fenced(change: Callable[[Connection], T], epoch: int) -> Callable[[Connection], T]:
    def checked(connection: Connection) -> T:
        check_epoch(connection, epoch)
        return change(connection)

    return checked
