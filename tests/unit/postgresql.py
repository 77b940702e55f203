"""A PostgreSQL server of the tests' own, in a temporary folder, reached by a socket there."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian does not put them on PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [path for place in PLACES for path in Path("/").glob(place[1:])]
    return next((one for one in sorted(folders, reverse=True) if (one / "initdb").exists()), None)


class Cluster:
    """It refuses to run as root, so it runs as `postgres` or `nobody` then."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="trio2o-pg-", dir="/tmp"))
        self.count = 0
        self.user: dict[str, Any] = {}
        if os.getuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = names.get("postgres") or names["nobody"]
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.folder.chmod(0o755)
        self.run("initdb", "-D", "data", "-U", "trio2o", "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    def run(self, program: str, *words: str) -> None:
        with (self.folder / "output").open("ab") as output:
            subprocess.run(
                [self.programs / program, *words],
                cwd=self.folder,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
                **self.user,
            )

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c max_connections=200"
        self.run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def database(self) -> str:
        """The URL of a new, empty database."""
        self.count += 1
        name = f"store{self.count}"
        self.run("createdb", "-h", str(self.folder), "-U", "trio2o", name)
        return f"postgresql+psycopg://trio2o@/{name}?host={self.folder}"

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)
