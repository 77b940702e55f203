"""Several processes over one database: changes are serialised, revisions move, a lease is one's."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from postgresql import Cluster
from sqlalchemy.dialects import postgresql as dialect
from sqlalchemy.schema import CreateTable
from test_store import BOUND, ONE, ROUTE, TWO, World, url  # noqa: F401

from trio2o.domain.errors import StoreConflict
from trio2o.domain.values import Settled
from trio2o.store import EPOCH, Fenced, Store, StoreAway, revisions
from trio2o.store._schema import metadata
from trio2o.store.bindings import bind, end, list_bindings, rebind
from trio2o.store.definitions import put_settled
from trio2o.store.lease import give_up_lease, read_lease, take_lease
from trio2o.store.pods import add_pod, change_pod, list_pods, remove_pod
from trio2o.store.revisions import read_revisions
from trio2o.store.routes import record_routes


@pytest.fixture
def two(url: str) -> Iterator[tuple[World, World]]:  # noqa: F811
    worlds = World(url), World(url)
    yield worlds
    for world in worlds:
        world.store.close()


def at_once(worlds: tuple[World, World], change: Any) -> list[list[Any]]:
    """What each of two processes gets that make 40 changes at the same time (or its error)."""
    found: list[list[Any]] = [[], []]

    def work(who: int) -> None:
        for number in range(40):
            try:
                found[who].append(worlds[who].write(lambda c, n=number: change(c, who, n)))
            except StoreConflict as error:
                found[who].append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one) for one in found] == [40, 40]
    return found


def test_two_processes_that_bind_at_once_get_the_same_pod(two: tuple[World, World]) -> None:
    def change(connection: sa.Connection, who: int, number: int) -> Any:
        wanted = evolve(BOUND, id=f"{who}-{number}", tenant_id=f"p{number}", pod_id=f"id-{who}")
        return bind(connection, wanted)

    first, second = at_once(two, change)
    assert [one.id for one in first] == [one.id for one in second]
    assert len(two[0].read(list_bindings)) == 40


def test_two_processes_never_add_one_pod_twice(two: tuple[World, World]) -> None:
    def change(connection: sa.Connection, who: int, number: int) -> Any:
        return add_pod(connection, evolve(ONE, pod_id=f"{who}-{number}", pod_name=f"Pod{number}"))

    found = at_once(two, change)
    kept = {pod.pod_id: pod.pod_name for pod in two[1].read(list_pods)}
    assert sorted(kept.values()) == sorted(f"Pod{n}" for n in range(40))
    for pair in zip(*found, strict=True):
        (winner,) = [one for one in pair if not isinstance(one, StoreConflict)]
        assert kept[winner.pod_id] == winner.pod_name


def test_what_one_counts_up_while_others_do_is_never_lost(two: tuple[World, World]) -> None:
    def change(connection: sa.Connection, who: int, number: int) -> int:
        """Reads, then writes what it read: without serialisation two would read the same."""
        seen = read_revisions(connection).get("counted", 0)
        revisions.bump(connection, ["counted"])
        return seen

    found = at_once(two, change)
    assert sorted(found[0] + found[1]) == list(range(80))


def test_routes_that_two_record_in_other_orders_are_all_there(two: tuple[World, World]) -> None:
    routes = [evolve(ROUTE, top_id=f"s{n}") for n in range(50)]

    def change(connection: sa.Connection, who: int, number: int) -> None:
        record_routes(connection, routes if who else routes[::-1])

    at_once(two, change)
    assert two[0].read(read_revisions) == {}


# revisions


def drain(connection: sa.Connection) -> None:
    change_pod(connection, "id-1", lambda pod: evolve(pod, state="draining"), "2026-02-01")


CHANGES = [
    ("pods", lambda c: add_pod(c, TWO)),
    ("pods", lambda c: drain(c)),
    (
        "bindings",
        lambda c: rebind(c, evolve(BOUND, id="b2", pod_id="id-2", created_at="2026-02-01")),
    ),
    ("bindings", lambda c: end(c, "2026-02-01", id="b1")),
    ("bindings", lambda c: remove_pod(c, "id-1", "2026-02-01")),
    ("settled", lambda c: put_settled(c, [Settled("server_group", "g1", "id-1", 1)])),
]


@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_a_change_of_a_held_table_moves_its_revision(
    two: tuple[World, World], table: str, change: Any
) -> None:
    one, other = two
    one.write(add_pod, ONE), one.write(bind, BOUND)
    before = other.read(read_revisions)
    one.write(change)
    assert other.read(read_revisions).get(table, 0) > before.get(table, 0)


def test_a_revision_stays_when_a_change_fails_or_is_of_another_table(
    two: tuple[World, World],
) -> None:
    one, other = two
    one.write(add_pod, ONE)
    before = other.read(read_revisions)

    def half(connection: sa.Connection) -> None:
        drain(connection)
        raise ValueError

    with pytest.raises(ValueError):
        one.write(half)
    one.write(record_routes, [ROUTE])
    assert other.read(read_revisions) == before


# the lease


def test_one_holds_the_lease_until_it_expires_or_is_given_up(two: tuple[World, World]) -> None:
    one, other = two
    taken = one.write(take_lease, "one", 0.3)
    assert (taken.holder, taken.epoch) == ("one", 1)
    assert other.write(take_lease, "other", 10.0).holder == "one"
    again = one.write(take_lease, "one", 0.3)
    assert (again.holder, again.epoch) == ("one", 1) and again.expires > taken.expires
    time.sleep(0.35)
    assert other.write(take_lease, "other", 60.0).epoch == 2
    assert one.write(take_lease, "one", 60.0).holder == "other"
    other.write(give_up_lease, "one")
    assert one.write(take_lease, "one", 60.0).holder == "other"
    other.write(give_up_lease, "other")
    last = one.write(take_lease, "one", 60.0)
    assert (last.holder, last.epoch) == ("one", 3)
    assert other.read(read_lease) == last


def test_a_holder_that_comes_back_late_has_another_epoch(two: tuple[World, World]) -> None:
    one, _ = two
    one.write(take_lease, "one", 0.01)
    time.sleep(0.05)
    assert one.write(take_lease, "one", 10.0).epoch == 2


def test_what_a_former_holder_still_writes_is_refused(two: tuple[World, World]) -> None:
    one, other = two
    epoch = one.write(take_lease, "one", 0.01).epoch

    def pass_writes(change: Any) -> Any:
        token = EPOCH.set(epoch)
        try:
            return one.begin(change)
        finally:
            EPOCH.reset(token)

    one.reactor.until(pass_writes(lambda c: add_pod(c, ONE)))
    time.sleep(0.05)
    assert other.write(take_lease, "other", 10.0).epoch == epoch + 1
    late = pass_writes(lambda c: add_pod(c, TWO))
    with pytest.raises(Fenced):
        one.reactor.until(late)
    one.write(record_routes, [ROUTE])  # what is no pass's goes on
    assert [pod.pod_id for pod in other.read(list_pods)] == ["id-1"]


# PostgreSQL alone


@pytest.fixture
def server(postgresql: Cluster) -> Iterator[tuple[Cluster, World]]:
    world = World(postgresql.database())
    yield postgresql, world
    world.store.close()


def test_a_server_that_restarts_costs_no_read_and_no_write(server: tuple[Cluster, World]) -> None:
    cluster, world = server
    world.write(add_pod, ONE)
    world.read(list_pods)
    cluster.stop("fast")
    later = world.begin(add_pod, TWO)
    cluster.start()
    assert [pod.pod_id for pod in world.read(list_pods)][:1] == ["id-1"]
    assert world.reactor.until(later).pod_id == "id-2"
    assert len(world.read(list_pods)) == 2


def test_a_server_that_is_gone_is_said_so(
    server: tuple[Cluster, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, world = server
    monkeypatch.setattr("trio2o.store._engine.PATIENCE", 0.2)
    cluster.stop()
    try:
        with pytest.raises(StoreAway):
            world.read(list_pods)
        with pytest.raises(StoreAway):
            world.write(add_pod, ONE)
        with pytest.raises(OSError, match="the store: .*"):
            Store(world.reactor, world.url)
    finally:
        cluster.start()
    assert world.write(add_pod, ONE).pod_id == "id-1"


def test_two_that_start_at_once_make_one_schema(postgresql: Cluster) -> None:
    url, worlds = postgresql.database(), []  # noqa: F811
    threads = [threading.Thread(target=lambda: worlds.append(World(url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worlds) == 3
    for world in worlds:
        world.store.close()


def test_texts_are_ordered_as_sqlite_orders_them(two: tuple[World, World]) -> None:
    one, other = two
    one.write(add_pod, ONE)
    for id in ("b", "a", "B", "_", "ä", "A"):
        one.write(bind, evolve(BOUND, id=id, tenant_id=id))
    assert [one.id for one in other.read(list_bindings)] == ["A", "B", "_", "a", "b", "ä"]
    if not one.is_sqlite:
        for table in metadata.tables.values():
            made = str(CreateTable(table).compile(dialect=dialect.dialect()))
            assert made.count('COLLATE "C"') == made.count("VARCHAR") + made.count("TEXT")


def test_a_server_whose_commits_are_lazy_is_told_to_wait_for_the_disk(postgresql: Cluster) -> None:
    url = postgresql.database()  # noqa: F811
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as other:
        name = other.engine.url.database
        other.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    world = World(url)
    shown = world.write(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar_one())
    world.store.close()
    assert shown == "on"
