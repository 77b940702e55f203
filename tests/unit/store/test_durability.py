"""What an answered write stands for: copies of the files, locks of others, errors beside it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from attrs import evolve
from helpers import result_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store import BOUND, ONE, ROUTE, TWO, World, hold, statement
from twisted.internet.defer import CancelledError, Deferred

from trio2o.domain.errors import StoreConflict
from trio2o.store import StoreAway
from trio2o.store._schema import metadata
from trio2o.store.bindings import bind, list_bindings
from trio2o.store.pods import add_pod, list_pods
from trio2o.store.routes import find_route, live_routes, record_routes


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield world
    world.store.close()


def file_of(world: World) -> Path:
    return Path(world.url.removeprefix("sqlite:///"))


def after_a_crash(world: World, folder: Path) -> World:
    """A store on the files as they are at this moment: what a killed process would leave."""
    folder.mkdir()
    file = file_of(world)
    for name in (file.name, f"{file.name}-wal"):
        if (file.parent / name).exists():
            shutil.copy(file.parent / name, folder / name)
    return World(f"sqlite:///{folder / file.name}")


def test_what_was_answered_is_there_after_a_crash_at_any_moment(
    world: World, tmp_path: Path
) -> None:
    for count in range(1, 6):
        route = evolve(ROUTE, top_id=f"s{count}")
        world.write(record_routes, [route])
        found = after_a_crash(world, tmp_path / str(count))
        assert len(found.read(live_routes, "id-1", 10**6)) == count
        assert found.read(find_route, "server", f"s{count}") == route
        found.store.close()


def test_what_was_written_later_is_never_there_without_what_was_answered_before(
    world: World, tmp_path: Path
) -> None:
    world.write(add_pod, ONE)
    world.write(bind, BOUND)
    free = hold(world)
    later = world.begin(add_pod, TWO)
    found = after_a_crash(world, tmp_path / "crash")
    assert [pod.pod_id for pod in found.read(list_pods)] == ["id-1"]
    assert found.read(list_bindings) == (BOUND,)
    found.store.close()
    free()
    assert world.reactor.until(later).number == 2


def test_an_answer_is_given_on_the_reactors_thread_alone(world: World) -> None:
    running = world.begin(add_pod, ONE)
    handed = world.reactor.handed.get(timeout=5)
    assert not running.called
    handed()
    assert result_of(running).number == 1


def test_who_does_not_wait_any_more_has_written_all_the_same(world: World) -> None:
    free = hold(world)
    left, waits = world.begin(add_pod, ONE), world.begin(add_pod, TWO)
    left.addErrback(lambda failure: failure.trap(CancelledError))
    left.cancel()
    free()
    assert world.reactor.until(waits).number == 2
    assert [pod.number for pod in world.read(list_pods)] == [1, 2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["new", "same", "raise", "sql"]), min_size=1, max_size=8))
def test_a_group_does_what_its_changes_would_do_one_by_one(kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(f"sqlite:///{folder}/store.sqlite")
        world.write(add_pod, ONE)
        free = hold(world)
        running = [begin(world, kind, n) for n, kind in enumerate(kinds)]
        free()
        found = []
        for one in running:
            try:
                found.append(world.reactor.until(one).pod_id)
            except (StoreConflict, ValueError, sa.exc.OperationalError) as error:
                found.append(type(error).__name__)
        names = {"same": "StoreConflict", "raise": "ValueError", "sql": "OperationalError"}
        assert found == [names.get(kind, f"id-new-{n}") for n, kind in enumerate(kinds)]
        made = [pod.pod_id for pod in world.read(list_pods)]
        assert made == ["id-1", *(name for name in found if name.startswith("id-"))]
        world.store.close()


def begin(world: World, kind: str, n: int) -> Deferred[object]:
    pod = evolve(ONE, pod_id=f"id-new-{n}", pod_name=f"New{n}")

    def fail(connection: sa.Connection) -> None:
        add_pod(connection, pod)
        raise ValueError("late")

    changes = {"raise": fail, "sql": statement("nonsense")}
    if kind in changes:
        return world.begin(changes[kind])
    return world.begin(add_pod, ONE if kind == "same" else pod)


def test_a_database_that_another_holds_is_an_error_of_that_write_alone(world: World) -> None:
    world.write(statement("PRAGMA busy_timeout=1"))
    other = sa.create_engine(world.url, isolation_level="AUTOCOMMIT").connect()
    other.exec_driver_sql("BEGIN IMMEDIATE")
    with pytest.raises(StoreAway):
        world.write(add_pod, ONE)
    other.exec_driver_sql("ROLLBACK")
    assert world.write(add_pod, ONE).number == 1
    other.close()


def test_a_write_that_waits_for_another_process_is_written_when_it_is_free(world: World) -> None:
    other = sa.create_engine(world.url, isolation_level="AUTOCOMMIT").connect()
    other.exec_driver_sql("BEGIN IMMEDIATE")
    running = world.begin(add_pod, ONE)
    assert world.read(list_pods) == () and not running.called
    other.exec_driver_sql("COMMIT")
    other.close()
    assert world.reactor.until(running).number == 1


def test_a_query_that_fails_does_not_spoil_later_ones(world: World) -> None:
    with pytest.raises(sa.exc.OperationalError):
        world.read(statement("SELECT nonsense"))
    world.write(add_pod, ONE)
    assert len(world.read(list_pods)) == 1


def test_the_migrations_make_the_schema_that_is_declared(world: World) -> None:
    engine = sa.create_engine(world.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, metadata)
        unique = {
            index["name"]: index["dialect_options"]["sqlite_where"].text
            for table in ("pods", "bindings")
            for index in sa.inspect(connection).get_indexes(table)
            if index["unique"] and index["dialect_options"]
        }
    engine.dispose()
    assert found == []
    assert unique == {"one_top_region": "az_name = ''", "one_binding": "ended_at = ''"}


def test_a_start_without_migrations_reads_nothing_of_alembic(world: World) -> None:
    world.store.close()
    gone = {name: sys.modules.pop(name) for name in list(sys.modules) if "alembic" in name}
    try:
        world.store = world.open()
        assert not [name for name in sys.modules if "alembic" in name]
    finally:
        sys.modules.update(gone)


def test_a_write_after_the_end_is_told_so(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path}/store.sqlite")
    world.store.close()
    running = world.begin(add_pod, ONE)
    assert running.called
    running.addErrback(lambda _: None)
