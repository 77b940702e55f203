"""Looking after a store: what is copied is the same, and nothing is copied over anything."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from attrs import evolve
from postgresql import Cluster
from test_store import BOUND, ONE, ROUTE, TWO, World

from trio2o.domain.values import Attachment, Counterpart, Settled
from trio2o.store import NewerSchema, care
from trio2o.store._schema import REVISION, metadata
from trio2o.store.bindings import bind, list_bindings, rebind
from trio2o.store.definitions import find_definition, put_asked, put_settled, record_definition
from trio2o.store.lease import read_lease, take_lease
from trio2o.store.networks import put_attachments, put_counterparts, put_hints, take_homes
from trio2o.store.passes import ask_for_pass
from trio2o.store.pods import add_pod, list_pods, remove_pod
from trio2o.store.routes import live_routes, record_routes
from trio2o.store.sweeps import put_swept

KEY = '{"public_key": "ssh-ed25519 AAAA"}'


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite store with rows in every table."""
    world = World(f"sqlite:///{tmp_path / 'store.sqlite'}")
    for pod in (ONE, TWO, evolve(ONE, pod_id="id-3", pod_name="Pod3")):
        world.write(add_pod, pod)
    world.write(remove_pod, "id-3", "2026-02-01")
    world.write(bind, BOUND)
    world.write(rebind, evolve(BOUND, id="b2", pod_id="id-2", created_at="2026-03-01"))
    world.write(record_routes, [evolve(ROUTE, top_id=f"s{n}") for n in range(2500)])
    world.write(record_definition, "keypair", "u1/k", KEY, "", "u1")
    world.write(put_settled, [Settled("keypair", "u1/k", "id-1", 1)])
    world.write(record_definition, "flavor", "f1", "{}")
    world.write(put_asked, "u1", "id-1")
    world.write(record_definition, "server_group", "g1", '{"name":"grüße"}', "", "p1")
    world.write(put_counterparts, [Counterpart("networks", "n1", "id-1", "n2")])
    world.write(put_attachments, [Attachment("port", "id-1", "s1", "c1", True, "bound", 1.5)])
    world.write(put_hints, {"n1": ["az1"]})
    world.write(take_homes, ["n1"], "id-1")
    world.write(put_swept, "id-1", "server", 1_700_000_000.123456)
    world.write(ask_for_pass, "routes")
    world.write(take_lease, "one", 60.0)
    world.store.close()
    return world.url


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
            if table.name != "lease"
        }
    engine.dispose()
    return found


def test_a_copy_has_every_row_and_goes_on_where_the_store_was(
    url: str, postgresql: Cluster
) -> None:
    to = postgresql.database()
    counts = care.copy(url, to)
    assert counts["routes"] == 2500 and "lease" not in counts
    assert rows(to) == rows(url)
    assert all(rows(url).values()), "a table without rows is not tested"
    assert {name: len(found) for name, found in rows(to).items()} == counts
    world = World(to)
    assert world.read(read_lease) is None
    assert len(world.read(live_routes, "id-1", 10**6)) == 2500
    assert world.read(find_definition, "keypair", "u1/k").document == KEY
    assert [one.id for one in world.read(list_bindings)] == ["b2"]
    # a pod's number is in ids that tenants know: not even that of a removed pod comes again
    assert world.write(add_pod, evolve(ONE, pod_id="id-4", pod_name="Pod4")).number == 4
    assert world.write(record_definition, "keypair", "u1/k2", KEY).number == 4
    assert [pod.number for pod in world.read(list_pods)] == [1, 2, 4]
    world.store.close()


def test_nothing_is_copied_into_a_database_that_has_rows(url: str, postgresql: Cluster) -> None:
    to = postgresql.database()
    world = World(to)
    world.write(add_pod, ONE)
    before = rows(to)
    with pytest.raises(care.Refused, match="is not empty: there are rows in .*pods"):
        care.copy(url, to)
    assert rows(to) == before
    world.store.close()


def test_a_copy_that_fails_leaves_nothing(
    url: str, postgresql: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = postgresql.database()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(care, "_count_on", fail)
        with pytest.raises(ZeroDivisionError):
            care.copy(url, to)
    assert not any(rows(to).values())
    assert sum(care.copy(url, to).values()) > 2500


def test_a_target_that_is_none_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(care.Refused, match="has to be a PostgreSQL"):
        care.copy(url, f"sqlite:///{tmp_path}/other.sqlite")
    with pytest.raises(care.Refused) as refused:
        care.copy(url, "postgresql+psycopg://me:s3cret@127.0.0.1:1/db")
    assert "s3cret" not in str(refused.value) and "127.0.0.1" in str(refused.value)
    assert care.shown("postgresql+psycopg://me:s3cret@h/db") == "postgresql+psycopg://me:***@h/db"


def test_a_check_tells_the_schema_and_the_rows_and_changes_nothing(
    url: str, postgresql: Cluster, tmp_path: Path
) -> None:
    found = care.check(url)
    assert (found.schema, found.wanted, found.faults) == (REVISION, REVISION, ())
    assert found.rows["routes"] == 2500 and found.rows["pods"] == 2
    empty = postgresql.database()
    assert care.check(empty) == care.Checked("", REVISION, {}, ())
    assert care.upgrade(empty) == REVISION
    assert set(care.check(empty).rows) == set(metadata.tables)


def test_a_check_finds_what_is_damaged(url: str, tmp_path: Path) -> None:
    file = Path(url.removeprefix("sqlite:///"))
    with sa.create_engine(url).connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(file.read_bytes())
    half = len(damaged) // 2 // 4096 * 4096
    damaged[half : half + 200] = b"\xff" * 200
    file.write_bytes(damaged)
    try:
        found = care.check(url).faults
    except care.Refused as refused:  # it is damaged where the tables are named
        found = (str(refused),)
    assert found


def test_a_store_of_a_newer_trio2o_is_neither_upgraded_nor_copied(
    url: str, postgresql: Cluster
) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(NewerSchema):
        care.upgrade(url)
    with pytest.raises(NewerSchema):
        care.copy(url, postgresql.database())
