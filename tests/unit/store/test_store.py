"""The store: what `write` returned is kept, whatever others do beside it."""

import queue
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from helpers import result_of
from twisted.internet.defer import Deferred

from trio2o.domain.errors import StoreConflict
from trio2o.domain.values import Binding, Pod, Route, Zone
from trio2o.store import NewerSchema, Store
from trio2o.store._engine import GROUP
from trio2o.store._schema import REVISION
from trio2o.store.bindings import bind, end, find_bindings, list_bindings, rebind
from trio2o.store.pods import add_pod, change_pod, list_pods, remove_pod
from trio2o.store.routes import delete_route, find_route, live_routes, record_routes

ONE = Pod("id-1", 0, "Pod1", "az1", "nova", "dc", "active", "2026-01-01")
TWO = evolve(ONE, pod_id="id-2", pod_name="Pod2", az_name="az2")
TOP = evolve(ONE, pod_id="id-0", pod_name="RegionOne", az_name="")
BOUND = Binding("b1", "p1", "id-1", "az1", "2026-01-01")
ROUTE = Route("server", "s1", "id-1", "s1", "p1")


class Reactor:
    """What the store's thread hands over is run by the test."""

    def __init__(self) -> None:
        self.handed: queue.Queue[Callable[[], None]] = queue.Queue()

    def callFromThread(self, callable: Any, *args: Any) -> None:  # noqa: N802
        self.handed.put(lambda: callable(*args))

    def until(self, running: Awaitable[Any]) -> Any:
        started = running if isinstance(running, Deferred) else Deferred.fromCoroutine(running)  # type: ignore[arg-type]
        while not started.called:
            self.handed.get(timeout=5)()
        return result_of(started)


class World:
    """A store and the reactor's side of it, one call at a time."""

    def __init__(self, url: str) -> None:
        self.url, self.reactor = url, Reactor()
        self.store = self.open()

    def open(self) -> Store:
        return Store(self.reactor, self.url)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def again(self) -> None:
        self.store.close()
        self.store = self.open()

    def write(self, change: Any, *args: Any, **named: Any) -> Any:
        return self.reactor.until(self.begin(change, *args, **named))

    def begin(self, change: Any, *args: Any, **named: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.store.write(lambda c: change(c, *args, **named)))

    def read(self, query: Any, *args: Any) -> Any:
        return self.reactor.until(self.store.read(lambda c: query(c, *args)))

    @contextmanager
    def other(self) -> Iterator[sa.Connection]:
        """Someone else's connection: it sees what is committed, and can hold locks."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be, on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture
def world(url: str) -> Iterator[World]:
    world = World(url)
    yield world
    world.store.close()


def hold(world: World) -> Callable[[], None]:
    """Keep the writer busy, so that what is written meanwhile becomes one group."""
    gate: queue.Queue[None] = queue.Queue()
    begun: queue.Queue[None] = queue.Queue()

    def wait(connection: sa.Connection) -> None:
        begun.put(None)
        gate.get(timeout=5)

    world.begin(wait)
    begun.get(timeout=5)
    return lambda: gate.put(None)


def statement(text: str) -> Callable[[sa.Connection], Any]:
    return lambda connection: connection.exec_driver_sql(text)


# writing and reading


def test_what_was_written_is_read_at_once_and_after_a_restart(world: World) -> None:
    pod = world.write(add_pod, ONE)
    assert pod == evolve(ONE, number=1)
    assert world.read(list_pods) == (pod,)
    world.again()
    assert world.read(list_pods) == (pod,)


def test_a_write_is_durable_before_it_is_answered(world: World) -> None:
    world.write(add_pod, ONE)
    with world.other() as other:
        assert [pod.pod_name for pod in list_pods(other)] == ["Pod1"]
    if world.is_sqlite:
        names, expected = ("journal_mode", "synchronous", "foreign_keys"), ["wal", 2, 1]
        ask = "PRAGMA "
    else:
        names, expected = ("synchronous_commit", "transaction_isolation"), ["on", "serializable"]
        ask = "SHOW "
    found = world.write(lambda c: [c.exec_driver_sql(ask + name).scalar_one() for name in names])
    assert found == expected


def test_a_change_that_fails_leaves_nothing_and_raises_its_own_error(world: World) -> None:
    def half(connection: sa.Connection) -> None:
        add_pod(connection, ONE)
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        world.write(half)
    assert world.read(list_pods) == ()
    # PostgreSQL gives no number twice, not even one that was rolled back
    assert world.write(add_pod, ONE).number == (1 if world.is_sqlite else 2)


def test_changes_that_wait_share_a_transaction(world: World) -> None:
    free = hold(world)
    seen: list[tuple[int, int]] = []

    def change(connection: sa.Connection, pod: Pod) -> None:
        add_pod(connection, pod)
        seen.append((len(list_pods(connection)), committed(world)))

    running = [world.begin(change, pod) for pod in (ONE, TWO, TOP)]
    free()
    for one in running:
        world.reactor.until(one)
    assert seen == [(1, 0), (2, 0), (3, 0)]
    assert committed(world) == 3


def committed(world: World) -> int:
    """How many pods anyone else sees."""
    with world.other() as connection:
        return len(list_pods(connection))


def test_one_change_that_fails_does_not_spoil_the_others_of_its_group(world: World) -> None:
    free = hold(world)
    bad = evolve(TWO, pod_name="Pod1")
    running = [world.begin(add_pod, pod) for pod in (ONE, bad, TWO)]
    free()
    assert world.reactor.until(running[0]).pod_name == "Pod1"
    with pytest.raises(StoreConflict):
        world.reactor.until(running[1])
    assert world.reactor.until(running[2]).pod_name == "Pod2"
    assert [pod.pod_name for pod in world.read(list_pods)] == ["Pod1", "Pod2"]


def test_an_error_of_sql_in_a_group_is_its_own_changes_alone(world: World) -> None:
    free = hold(world)
    running = [world.begin(add_pod, ONE), world.begin(statement("nonsense"))]
    free()
    assert world.reactor.until(running[0]).pod_name == "Pod1"
    with pytest.raises(sa.exc.DBAPIError):
        world.reactor.until(running[1])


def test_more_than_a_group_is_written_all_the_same(world: World) -> None:
    free = hold(world)
    routes = [evolve(ROUTE, top_id=f"s{n}") for n in range(GROUP + 20)]
    running = [world.begin(record_routes, [route]) for route in routes]
    free()
    for one in running:
        world.reactor.until(one)
    assert len(world.read(live_routes, "id-1", 10**6)) == GROUP + 20


def test_closing_finishes_what_waits(world: World) -> None:
    free = hold(world)
    running = [world.begin(add_pod, pod) for pod in (ONE, TWO)]
    free()
    world.again()
    assert [world.reactor.until(one).number for one in running] == [1, 2]
    assert len(world.read(list_pods)) == 2


def test_the_connection_for_reading_cannot_write(world: World) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="read-?only"):
        world.read(add_pod, ONE)
    with pytest.raises(sa.exc.DBAPIError, match="read-?only"):
        world.read(statement("DELETE FROM pods"))
    assert world.write(add_pod, ONE).number == 1


def test_a_read_sees_what_was_written_after_an_earlier_one(world: World) -> None:
    assert world.read(list_pods) == ()
    world.write(add_pod, ONE)
    assert len(world.read(list_pods)) == 1


# schema


def revision(world: World) -> str:
    found = world.read(statement("SELECT version_num FROM alembic_version"))
    return str(found.scalar_one())


def test_a_new_database_has_the_newest_schema(world: World) -> None:
    assert revision(world) == REVISION


def test_a_database_of_a_newer_trio2o_is_refused_and_left_as_it_is(world: World) -> None:
    world.write(add_pod, ONE)
    world.write(statement("UPDATE alembic_version SET version_num = '9999'"))
    world.store.close()
    words = f"the store has schema 9999, this Trio2o knows up to {REVISION}"
    with pytest.raises(NewerSchema, match=words):
        world.open()
    with world.other() as other:
        assert len(list_pods(other)) == 1
        other.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{REVISION}'")
        other.commit()
    world.store = world.open()


# pods


def test_pods_are_listed_in_the_order_in_which_they_came(world: World) -> None:
    added = [world.write(add_pod, pod) for pod in (TWO, TOP, ONE)]
    assert [pod.number for pod in added] == [1, 2, 3]
    assert world.read(list_pods) == tuple(added)


def test_there_is_one_top_region(world: World) -> None:
    world.write(add_pod, TOP)
    with pytest.raises(StoreConflict):
        world.write(add_pod, evolve(TOP, pod_id="id-9", pod_name="Other"))
    world.write(remove_pod, "id-0", "2026-02-01")
    world.write(add_pod, evolve(TOP, pod_id="id-9", pod_name="Other"))
    assert [pod.is_top for pod in world.read(list_pods)] == [True]


@pytest.mark.parametrize("same", ["pod_id", "pod_name"])
def test_a_pods_id_and_name_are_its_own(world: World, same: str) -> None:
    world.write(add_pod, ONE)
    with pytest.raises(StoreConflict, match=same):
        world.write(add_pod, evolve(TWO, **{same: getattr(ONE, same)}))


def test_pods_may_share_an_az(world: World) -> None:
    world.write(add_pod, ONE)
    world.write(add_pod, evolve(TWO, az_name="az1"))
    assert len(world.read(list_pods)) == 2


def test_a_number_is_never_given_again(world: World) -> None:
    world.write(add_pod, ONE)
    world.write(remove_pod, "id-1", "2026-02-01")
    assert world.write(add_pod, TWO).number == 2


def change(**fields: Any) -> Callable[[Pod], Pod]:
    return lambda pod: evolve(pod, **fields)


def test_a_pod_is_what_it_was_changed_to_and_the_others_stay(world: World) -> None:
    one, two = world.write(add_pod, ONE), world.write(add_pod, TWO)
    changes = {"state": "draining", "weight": 2.5, "tags": ("a", "b"), "dc_name": "dc"}
    changes |= {"zones": (Zone("az2", "x", "y"), Zone("az3", "z", "")), "pod_az_name": "x"}
    world.write(change_pod, "id-2", change(**changes), "2026-02-01")
    assert world.read(list_pods) == (one, evolve(two, **changes))


@pytest.mark.parametrize("state", ["draining", "maintenance"])
def test_bindings_end_with_a_pod_that_takes_nothing_new(world: World, state: str) -> None:
    world.write(add_pod, ONE), world.write(add_pod, TWO)
    other = evolve(BOUND, id="b2", pod_id="id-2", az_name="az2")
    world.write(bind, BOUND), world.write(bind, other)
    world.write(change_pod, "id-1", change(state=state), "2026-02-01")
    assert world.read(list_bindings) == (other,)
    ended = evolve(BOUND, ended_at="2026-02-01")
    assert world.read(find_bindings, {"pod_id": "id-1"}, True) == (ended,)
    assert world.read(find_bindings, {"pod_id": "id-1"}, False) == ()
    assert set(world.read(find_bindings, {}, True)) == {ended, other}


def test_bindings_end_with_an_az_that_the_pod_has_no_more(world: World) -> None:
    world.write(add_pod, evolve(ONE, zones=(Zone("az1", "x"), Zone("az9", "y"))))
    second = evolve(BOUND, id="b2", az_name="az9")
    world.write(bind, BOUND), world.write(bind, second)
    world.write(change_pod, "id-1", change(weight=2.0), "2026-02-01")
    assert len(world.read(list_bindings)) == 2
    world.write(change_pod, "id-1", change(zones=(), az_name="az9"), "2026-02-01")
    assert world.read(list_bindings) == (second,)


def test_a_pod_goes_with_its_routes_and_bindings(world: World) -> None:
    world.write(add_pod, ONE), world.write(add_pod, TWO)
    other = evolve(BOUND, id="b2", pod_id="id-2", az_name="az2")
    world.write(bind, BOUND), world.write(bind, other)
    world.write(record_routes, [ROUTE, evolve(ROUTE, top_id="s2", pod_id="id-2")])
    world.write(remove_pod, "id-1", "2026-02-01")
    assert [pod.pod_id for pod in world.read(list_pods)] == ["id-2"]
    assert world.read(list_bindings) == (other,)
    assert world.read(find_route, "server", "s1") is None
    assert world.read(find_route, "server", "s2").pod_id == "id-2"


# bindings


def test_a_project_has_one_binding_for_an_az(world: World) -> None:
    assert world.write(bind, BOUND) == BOUND
    assert world.write(bind, evolve(BOUND, id="b2", pod_id="id-2")) == BOUND
    assert world.read(list_bindings) == (BOUND,)


@pytest.mark.parametrize("other", [{"tenant_id": "p2"}, {"az_name": "az2"}])
def test_another_project_or_az_has_its_own(world: World, other: dict[str, str]) -> None:
    world.write(bind, BOUND)
    second = evolve(BOUND, id="b2", **other)
    assert world.write(bind, second) == second
    assert len(world.read(list_bindings)) == 2


def test_two_that_bind_at_once_get_the_same(world: World) -> None:
    free = hold(world)
    running = [world.begin(bind, evolve(BOUND, id=f"b{n}", pod_id=f"id-{n}")) for n in (1, 2)]
    free()
    assert {world.reactor.until(one).pod_id for one in running} == {"id-1"}


def test_rebinding_ends_what_was_before_and_keeps_it_on_record(world: World) -> None:
    world.write(bind, BOUND)
    wanted = evolve(BOUND, id="b2", pod_id="id-2", created_at="2026-03-01")
    assert world.write(rebind, wanted) == wanted
    assert world.read(list_bindings) == (wanted,)
    rows = world.read(statement("SELECT id, ended_at FROM bindings ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [("b1", "2026-03-01"), ("b2", "")]


def test_rebinding_to_the_same_pod_changes_nothing(world: World) -> None:
    world.write(bind, BOUND)
    assert world.write(rebind, evolve(BOUND, id="b2", created_at="2026-03-01")) == BOUND
    assert world.read(find_bindings, {}, True) == (BOUND,)


def test_a_binding_that_ended_may_be_made_again(world: World) -> None:
    world.write(bind, BOUND)
    assert world.write(end, "2026-02-01", id="b1") == 1
    assert world.write(end, "2026-02-02", id="b1") == 0
    assert world.read(list_bindings) == ()
    again = evolve(BOUND, id="b2")
    assert world.write(bind, again) == again


# routes


def test_a_route_is_found_by_type_and_id(world: World) -> None:
    volume = evolve(ROUTE, type="volume", pod_id="id-2")
    world.write(record_routes, [ROUTE, volume])
    assert world.read(find_route, "server", "s1") == ROUTE
    assert world.read(find_route, "volume", "s1") == volume
    assert world.read(find_route, "server", "S1") is None


def test_no_routes_are_no_change(world: World) -> None:
    assert world.write(record_routes, []) is None
    assert len(world.read(live_routes, "id-1", 10**6)) == 0


def test_a_tombstone_takes_the_place_of_its_route(world: World) -> None:
    world.write(record_routes, [ROUTE, evolve(ROUTE, top_id="s2")])
    gone = evolve(ROUTE, deleted_at="2026-02-01")
    world.write(record_routes, [gone])
    assert world.read(find_route, "server", "s1") == gone
    assert len(world.read(live_routes, "id-1", 10**6)) == 1
    assert [route.top_id for route in world.read(live_routes, "id-1", 10)] == ["s2"]
    world.write(record_routes, [ROUTE])
    assert world.read(find_route, "server", "s1") == ROUTE


def test_live_routes_are_some_of_one_pod(world: World) -> None:
    routes = [evolve(ROUTE, top_id=f"s{n}") for n in range(5)]
    world.write(record_routes, [*routes, evolve(ROUTE, top_id="x", pod_id="id-2")])
    assert world.read(live_routes, "id-1", 3) == tuple(routes[:3])
    assert len(world.read(live_routes, "id-1", 10**6)) == 5


def test_rows_that_wait_go_together_and_keep_their_place_among_other_changes(world: World) -> None:
    free = hold(world)
    calls: list[int] = []

    def put(connection: sa.Connection, routes: Any) -> None:
        calls.append(len(routes))
        record_routes(connection, routes)

    def add(*ids: str, **fields: str) -> Deferred[None]:
        routes = [evolve(ROUTE, top_id=id, **fields) for id in ids]
        return Deferred.fromCoroutine(world.store.add(put, routes))

    running = [add("s1"), add("s2", "s3"), world.begin(delete_route, "server", "s2"), add("s4")]
    running.append(add("s1", pod_id="id-2"))
    free()
    for one in running:
        assert world.reactor.until(one) is None
    assert calls == [3, 2]
    found = {id: world.read(find_route, "server", id) for id in ("s1", "s2", "s3", "s4")}
    assert {id: route.pod_id for id, route in found.items() if route} == {
        "s1": "id-2",
        "s3": "id-1",
        "s4": "id-1",
    }
