"""MariaDB and the databases: each schema is made once, kept as a dump, and loaded for each pod."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.fernet import Fernet

from . import settings, topology
from .conf import ini, shared
from .progress import step

SHARED = ("keystone", "glance", "neutron")
POD = ("neutron", "placement", "cinder", "nova_api", "nova")
DUMPS = settings.CACHE / f"schema-{settings.releases_digest()}"
SOCKET = settings.SOCK / "mysql.sock"
CLIENT = ("--no-defaults", "-uroot", "-S", str(SOCKET))
# Nova puts in what its own configuration says, so one dump of nova_api serves every pod.
CELL_URL = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"


def sql(text: str, database: str = "mysql") -> str:
    command = ["mariadb", *CLIENT, "-N", database]
    done = subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return done.stdout


def make_data_folder() -> None:
    folder = settings.RUN / "mysql"
    release = settings.RUN / "releases"
    if (folder / "mysql").exists():
        if release.exists() and release.read_text() != settings.releases_digest():
            raise SystemExit("the databases were made by other OpenStack releases: use `reset`")
        return
    step("making MariaDB's data folder")
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    options += ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", *options, f"--datadir={folder}"],
        check=True,
        capture_output=True,
    )
    release.write_text(settings.releases_digest())


def grant() -> str:
    return sql("GRANT ALL ON *.* TO lab@'%' IDENTIFIED BY 'lab'; SELECT 1")


def load(pods: list[int]) -> None:
    """Create the databases that are missing, from the dumps."""
    wanted = {"keystone": "keystone", "glance": "glance", "central_neutron": "neutron"}
    for number in pods:
        wanted |= {f"pod{number}_{schema}": schema for schema in POD}
        wanted[f"pod{number}_nova_cell0"] = "nova"
    present = set(sql("SHOW DATABASES").split())
    missing = {name: schema for name, schema in wanted.items() if name not in present}
    if missing:
        _make_dumps()
        step(f"loading {len(missing)} databases")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(_load, missing, missing.values()))
    for number in pods:
        _put_host_in_cell(number)


def _load(name: str, schema: str) -> None:
    """A database is there whole or not at all, also when someone loses patience halfway."""
    dump = (DUMPS / f"{schema}.sql").read_text()
    sql(f"CREATE DATABASE {name}")
    try:
        sql(f"SET foreign_key_checks = 0; {dump}", name)
    except BaseException:
        sql(f"DROP DATABASE {name}")
        raise


def _put_host_in_cell(number: int) -> None:
    """As `nova-manage cell_v2 discover_hosts` does, which takes seconds for it."""
    sql(
        "INSERT IGNORE INTO host_mappings (created_at, cell_id, host) "
        f"SELECT now(), id, 'pod{number}-node1' FROM cell_mappings WHERE name = 'cell1'",
        f"pod{number}_nova_api",
    )


def _make_dumps() -> None:
    missing = [s for s in dict.fromkeys(SHARED + POD) if not (DUMPS / f"{s}.sql").exists()]
    if not missing:
        return
    step(f"making the schemas once: {', '.join(missing)}")
    DUMPS.mkdir(parents=True, exist_ok=True)
    make_keys()
    folder = settings.ETC / "schema"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda schema: _make_dump(schema, folder), missing))
    shutil.rmtree(folder)


def make_keys() -> None:
    """Keystone's keys; they stay with the dumps, as one database holds what they encrypted."""
    for kind in ("fernet", "credential"):
        folder = shared.KEYS / kind
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in "01":
            if not (folder / name).exists():
                (folder / name).write_bytes(Fernet.generate_key())


def _make_dump(schema: str, folder: Path) -> None:
    database = f"schema_{schema}"
    sql(f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}")
    for command in _sync_commands(schema, folder / schema):
        _run(command)
    dump = DUMPS / f"{schema}.sql"
    options = ["--single-transaction", "--skip-add-locks", "--skip-disable-keys"]
    with open(dump.with_suffix(".part"), "w") as file:
        command = ["mariadb-dump", *CLIENT, *options, database]
        subprocess.run(command, stdout=file, check=True)
    dump.with_suffix(".part").rename(dump)
    sql(f"DROP DATABASE {database}")


def _sync_commands(schema: str, folder: Path) -> list[list[str]]:
    file = folder / f"{schema}.conf"
    if schema == "keystone":
        shared.keystone(folder, "schema_keystone")
        manage = ["keystone-manage", "--config-file", str(file)]
        password = topology.ACCOUNTS["admin"][0]
        return [[*manage, "db_sync"], [*manage, "bootstrap", "--bootstrap-password", password]]
    bus = f"rabbit://lab:lab@{topology.IP}:{topology.RABBIT}/schema"
    ini.write(
        file,
        {
            "DEFAULT": {"use_stderr": True, "transport_url": bus, "state_path": folder},
            "database": ini.database(f"schema_{schema}"),
            "api_database": ini.database(f"schema_{schema}"),
            "placement_database": ini.database(f"schema_{schema}"),
        },
    )
    return [[*_COMMANDS[schema][0], "--config-file", str(file), *c] for c in _COMMANDS[schema][1]]


# schema -> the program, and the arguments of each call
_COMMANDS: dict[str, tuple[list[str], list[list[str]]]] = {
    "glance": (["glance-manage"], [["db_sync"]]),
    "neutron": (["neutron-db-manage"], [["upgrade", "heads"]]),
    "placement": (["placement-manage"], [["db", "sync"]]),
    "cinder": (["cinder-manage"], [["db", "sync"]]),
    "nova": (["nova-manage"], [["db", "sync", "--local_cell"]]),
    "nova_api": (
        ["nova-manage"],
        [
            ["api_db", "sync"],
            [*("cell_v2", "map_cell0", "--database_connection"), CELL_URL + "_cell0?{query}"],
            [
                *("cell_v2", "create_cell", "--name", "cell1"),
                *("--database_connection", CELL_URL + "?{query}"),
                *("--transport-url", CELL_URL),
            ],
        ],
    ),
}


def _run(command: list[str]) -> None:
    program, *arguments = command
    done = subprocess.run(
        [settings.VENV / "bin" / program, *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=settings.RUN,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
