"""`trio2o db`: a store is looked after while the appliance does not run, and moved."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from appliance import Appliance, Client, operator
from fakes import Cloud
from postgresql import Cluster
from test_kills import add_pods, member
from test_servers import SERVERS

from trio2o.store._schema import metadata


@pytest.fixture
def own(cloud: Cloud, tmp_path: Path) -> Appliance:
    cloud.reset()
    return Appliance(cloud, tmp_path)


def test_a_store_moves_to_postgresql_with_all_that_is_in_it(
    own: Appliance, cloud: Cloud, postgresql: Cluster
) -> None:
    to = postgresql.database()
    try:
        own.start()
        add_pods(operator(own))
        (demo,) = member([own])
        server = demo.server("az1")
        pods = [row | {"health": {}} for row in operator(own).get("admin", "/v1.0/pods")["pods"]]
        refused = own.command("db", "copy", "--to", to)
        assert refused.returncode == 1 and "stop the appliance first" in refused.stderr
        assert own.command("db", "check").returncode == 0
        own.end()
        copied = own.command("db", "copy", "--to", to)
        assert copied.returncode == 0, copied.stderr
        counts = dict(line.split() for line in copied.stdout.splitlines()[1:-1])
        assert set(counts) == set(metadata.tables) - {"lease"}
        assert (counts["pods"], counts["routes"], counts["bindings"]) == ("3", "1", "1")
        again = own.command("db", "copy", "--to", to)
        assert again.returncode == 1 and "is not empty" in again.stderr
        own.config.write_text(own.toml({"store.url": to}))
        own.start()
        since = len(cloud.pod("Pod1").calls)
        moved = operator(own).get("admin", "/v1.0/pods")["pods"]
        assert [row | {"health": {}} for row in moved] == pods
        assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server
        calls = cloud.pod("Pod1").calls[since:]
        assert not [call for call in calls if call.header("X-Service-Token")]  # routes were kept
        assert second_region(operator(own)).status_code == 409
    finally:
        own.kill()


def second_region(admin: Client) -> object:
    return admin.ask("POST", "admin", "/v1.0/pods", {"pod": {"pod_name": "Other", "az_name": ""}})


def test_check_and_upgrade_tell_what_is_there(own: Appliance, tmp_path: Path) -> None:
    missing = own.command("db", "check")
    assert missing.returncode == 1 and "unable to open" in missing.stderr
    made = own.command("db", "upgrade")
    assert made.returncode == 0 and made.stdout.startswith("schema "), made.stderr
    found = own.command("db", "check")
    assert found.returncode == 0 and "routes" in found.stdout
    with sa.create_engine(f"sqlite:///{own.folder}/state/trio2o.sqlite").connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    newer = own.command("db", "upgrade")
    assert newer.returncode == 1 and "has schema 9999" in newer.stderr
    assert "Traceback" not in newer.stderr


@pytest.mark.parametrize("to", ["sqlite:///elsewhere.sqlite", "mysql://h/db", ""])
def test_a_target_that_is_no_postgresql_is_refused(own: Appliance, to: str) -> None:
    refused = own.command("db", "copy", "--to", to)
    assert refused.returncode != 0 and "postgresql+psycopg://" in refused.stderr
    assert not Path("elsewhere.sqlite").exists()


def test_a_database_that_does_not_answer_is_said_so_without_its_password(own: Appliance) -> None:
    url = "postgresql+psycopg://me:s3cr3t-pw@127.0.0.1:1/db"
    own.config.write_text(own.toml({"store.url": url}))
    own.launch()
    assert own.process is not None and own.process.wait(30) == 1
    assert "cannot start: the store: " in own.log()
    assert "s3cr3t-pw" not in own.log() and "Traceback" not in own.log()
    told = own.command("db", "check")
    assert told.returncode == 1 and "s3cr3t-pw" not in told.stderr + told.stdout
