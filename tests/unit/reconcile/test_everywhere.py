"""Two processes over one store: one makes passes, both are asked; a lease that ends, ends early."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from helpers import result_of
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import Unavailable
from trio2o.reconcile import Counted, Lease, Passes, Reconcilers
from trio2o.store import EPOCH, Held, StoreAway
from trio2o.store._schema import metadata
from trio2o.store.lease import break_lease
from trio2o.store.revisions import bump, read_revisions


class Store:
    """The store's functions on a database in memory; `away` as one that does not answer."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.away = connection, False

    async def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        return query(self.connection)

    async def write(self, change: Callable[[sa.Connection], Any]) -> Any:
        if self.away:
            raise StoreAway
        return change(self.connection)


class Loop:
    name = "loop"

    def __init__(self) -> None:
        self.epochs: list[int | None] = []
        self.waits: Deferred[None] | None = None
        self.cancelled = 0

    async def run(self) -> Counted:
        self.epochs.append(EPOCH.get())
        try:
            if self.waits is not None:
                await self.waits
        except CancelledError:
            self.cancelled += 1
            raise
        return Counted(looked=3, drift=1, mended=1)


class Process:
    def __init__(self, name: str, clock: Clock, store: Store) -> None:
        self.clock, self.store, self.loop = clock, store, Loop()
        passes = Passes(clock, lambda: 1000.0 + clock.seconds(), 300.0)
        passes.add(self.loop)
        self.passes = passes
        lease = Lease(clock.seconds, store, name, 10.0)  # type: ignore[arg-type]
        self.reconcilers = Reconcilers(clock, store, passes, lease)  # type: ignore[arg-type]

    def look(self) -> None:
        result_of(self.reconcilers.look())

    def settle(self) -> None:
        """As when the revision of the passes moved."""
        result_of(self.reconcilers.settle())

    def run(self, deadline: float = 60.0) -> Deferred[None]:
        return Deferred.fromCoroutine(self.reconcilers.run("loop", deadline))


@pytest.fixture
def store() -> Iterator[Store]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield Store(connection)


@pytest.fixture
def two(store: Store) -> tuple[Process, Process]:
    """The first holds the lease."""
    clock = Clock()
    processes = Process("one", clock, store), Process("two", clock, store)
    for process in processes:
        process.look()
    return processes


Two = tuple[Process, Process]


def test_only_the_holder_passes(two: Two) -> None:
    one, other = two
    for _ in range(200):
        one.clock.advance(2)
        one.look(), other.look()
    assert one.loop.epochs == [1]
    assert other.loop.epochs == []
    assert {each.reconcilers.lease.holder for each in two} == {"one"}


def test_a_pass_that_is_asked_for_elsewhere_is_made_by_the_holder(two: Two) -> None:
    one, other = two
    asked = other.run()
    assert not asked.called and one.loop.epochs == []
    one.settle()
    one.clock.advance(0)
    assert one.loop.epochs == [1]
    assert not asked.called
    other.settle()
    result_of(asked)
    told = other.reconcilers.report("loop")
    assert (told["looked"], told["drift"], told["last"]) == (3, 1, 1000.0)
    assert told | {"next": 0} == one.reconcilers.report("loop") | {"next": 0}
    assert other.loop.epochs == []


def test_a_pass_under_way_does_not_count_for_who_asks_meanwhile(two: Two) -> None:
    one, other = two
    one.loop.waits = Deferred()
    running = one.run()
    asked = other.run()
    one.settle()
    waits, one.loop.waits = one.loop.waits, None
    waits.callback(None)
    result_of(running)
    other.settle()
    assert not asked.called
    one.settle()
    one.clock.advance(0)
    other.settle()
    result_of(asked)
    assert len(one.loop.epochs) == 2


def test_who_asks_where_nobody_passes_is_told_so_in_time(two: Two) -> None:
    one, other = two
    asked = other.run(deadline=5.0)
    one.clock.advance(5)
    with pytest.raises(Unavailable, match="asked for; one has not ended it"):
        result_of(asked)
    one.settle()
    one.clock.advance(0)
    assert one.loop.epochs == [1]


def test_what_is_woken_at_another_process_is_woken_at_the_holder(two: Two) -> None:
    one, other = two
    other.passes.wake("loop")
    one.settle()
    one.clock.advance(0)
    assert (one.loop.epochs, other.loop.epochs) == ([1], [])


def test_a_lease_that_is_not_renewed_ends_before_another_can_take_it(two: Two) -> None:
    one, _ = two
    one.loop.waits = Deferred()
    running = one.run()
    one.clock.advance(5.4)
    assert one.reconcilers.lease.held and not running.called
    one.clock.advance(0.2)  # by the database's clock it lasts for 7
    assert not one.reconcilers.lease.held
    assert one.loop.cancelled == 1
    with pytest.raises(Unavailable, match="broken off"):
        result_of(running)
    one.clock.advance(1000)
    assert len(one.loop.epochs) == 1


def test_a_store_that_is_away_ends_the_lease_in_time_and_no_sooner(two: Two) -> None:
    one, _ = two
    one.store.away = True
    one.clock.advance(4)
    one.look()
    assert one.reconcilers.lease.held
    one.clock.advance(2)
    one.look()
    assert not one.reconcilers.lease.held
    one.store.away = False
    one.look()
    assert one.reconcilers.lease.held


def test_the_next_holder_makes_what_was_asked_for_and_broken_off(two: Two) -> None:
    one, other = two
    one.loop.waits = Deferred()
    asked = other.run()
    one.settle()
    one.clock.advance(0)
    assert one.loop.epochs == [1]
    result_of(one.reconcilers.stop())
    other.look()
    assert other.reconcilers.lease.holder == "two"
    other.clock.advance(0)
    other.settle()
    result_of(asked)
    assert other.loop.epochs == [2]


def test_a_new_holder_passes_in_its_own_epoch(two: Two, store: Store) -> None:
    one, other = two
    one.clock.advance(6)
    break_lease(store.connection)
    other.look()
    other.passes.wake("loop", 1.0)
    other.clock.advance(1)
    assert other.loop.epochs == [2]
    one.look()
    assert one.reconcilers.lease.holder == "two"


def test_outside_a_pass_nothing_is_fenced(two: Two) -> None:
    one, _ = two
    result_of(one.run())
    assert EPOCH.get() is None


def test_what_is_held_in_memory_is_reloaded_when_its_revision_moves(store: Store) -> None:
    reloads: list[str] = []

    def reload(name: str) -> Callable[[], Any]:
        async def work() -> None:
            reloads.append(name)

        return work

    held = Held(store)  # type: ignore[arg-type]
    held.follow(reload("pods"), "pods", "bindings")
    held.follow(reload("groups"), "settled")
    result_of(held.look())
    assert reloads == []
    bump(store.connection, ["bindings", "pods"])
    result_of(held.look())
    assert reloads == ["pods"]
    result_of(held.look())
    assert reloads == ["pods"]
    bump(store.connection, ["settled"])
    bump(store.connection, ["bindings"])
    result_of(held.look())
    assert reloads == ["pods", "pods", "groups"]


def test_a_reload_that_fails_is_tried_again(store: Store) -> None:
    tries: list[int] = []

    async def reload() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise StoreAway

    held = Held(store)  # type: ignore[arg-type]
    held.follow(reload, "pods")
    bump(store.connection, ["pods"])
    with pytest.raises(StoreAway):
        result_of(held.look())
    result_of(held.look())
    result_of(held.look())
    assert len(tries) == 2
    assert read_revisions(store.connection) == {"pods": 1}
