"""The appliance as a process, and clients that call it over real HTTP."""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from fake_http import Row
from fakes import Cloud

T = TypeVar("T")

FACES = ("admin", "compute", "volume", "network", "image")
TIMEOUT = 3.0  # the appliance's for calls to pods
PATIENCE = 1.0
BODY = 64 * 1024  # the largest body that it takes


def eventually(look: Callable[[], T], seconds: float = 10.0, pause: float = 0.05) -> T:
    """The first true value of `look`; fails if there is none in time."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"not true in {seconds} s: {look}"
        time.sleep(pause)


def free_ports(count: int) -> list[int]:
    """Below those that the system gives to outgoing connections, which come and go meanwhile."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


class Appliance:
    """One state folder, one settings file, and the process while it runs."""

    def __init__(self, cloud: Cloud, folder: Path, **settings: Any) -> None:
        self.cloud, self.folder = cloud, folder
        self.ports = dict(zip(FACES, free_ports(len(FACES)), strict=True))
        self.config, self.process = folder / "trio2o.toml", None
        self.process: subprocess.Popen[bytes] | None
        self.ending = threading.Lock()
        self.config.write_text(self.toml(settings))
        self.config.chmod(0o600)

    def toml(self, more: dict[str, Any]) -> str:
        settings: Row = {
            "service.state": str(self.folder / "state"),
            "service.shutdown": 2.0,
            "log.level": "debug",
            "telemetry.access_log": str(self.folder / "access.jsonl"),
            "telemetry.audit_log": str(self.folder / "audit.jsonl"),
            "identity.auth_url": f"{self.cloud.keystone.url}/v3",
            "identity.password": self.cloud.keystone.password,
            "identity.timeout": 2.0,
            "pods.timeout": TIMEOUT,
            "lists.timeout": PATIENCE,
            "pods.connect_timeout": 1.0,
            "pods.refresh": 0.5,
            "scheduling.timeout": 1.0,
            "limits.body_bytes": BODY,
            "limits.header_seconds": 2.0,
            "limits.body_seconds": 2.0,
        }
        for face, port in self.ports.items():
            settings[f"faces.{face}.listen"] = f"tcp:{port}:interface=127.0.0.1"
            settings[f"faces.{face}.url"] = self.public(face)
        lines = [f"{name} = {as_toml(value)}" for name, value in (settings | more).items()]
        return "\n".join(lines) + "\n"

    def url(self, face: str) -> str:
        return f"http://127.0.0.1:{self.ports[face]}"

    def public(self, face: str) -> str:
        """The URL in the settings, which is not the one that tests use."""
        return f"http://localhost:{self.ports[face]}"

    def request(
        self,
        method: str,
        face: str,
        path: str,
        token: str = "",
        json: Any = None,
        version: str = "",
        **more: Any,
    ) -> requests.Response:
        """Call a face. `path` may be a link of an answer; `version` is "2.60", or a whole value."""
        headers = {"X-Auth-Token": token} if token else {}
        if version:
            kind = version if " " in version else f"{face} {version}"
            headers["OpenStack-API-Version"] = kind
        headers |= more.pop("headers", {})
        parts = urlsplit(path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        more = {"allow_redirects": False, "timeout": 15} | more
        url = self.url(face) + target
        return requests.request(method, url, json=json, headers=headers, **more)

    def command(self, *words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a `trio2o` command."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        config = config or self.config
        return subprocess.run(
            [*TRIO2O, *words, "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=self.folder,
            env=environment,
        )

    @property
    def log_file(self) -> Path:
        return self.folder / "appliance.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def alive(self) -> bool:
        with self.ending:  # a fake pod's thread may be killing it
            return self.process is not None and self.process.poll() is None

    def launch(self, *command: str) -> None:
        """Start the process, by this command or `trio2o serve`."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command or [*TRIO2O, "serve", "-c", str(self.config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )

    def start(self) -> None:
        """Start it if it does not run, and wait until it answers."""
        if not self.alive():
            self.launch()
        eventually(self.answers, 60)

    def answers(self) -> bool:
        assert self.alive(), self.log()[-3000:]
        try:
            socket.create_connection(("127.0.0.1", self.ports["image"]), 1).close()
        except OSError:
            return False
        return self.request("GET", "compute", "/").ok

    def forget(self, *tables: str) -> None:
        """Empty tables of the store while it runs."""
        with closing(sqlite3.connect(self.folder / "state" / "trio2o.sqlite")) as store, store:
            for table in tables:
                store.execute(f"DELETE FROM {table}")  # noqa: S608

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is flushed."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        with self.ending:
            if self.process is not None:
                self.process.send_signal(how)
                self.process.wait(10)

    def cpu(self) -> float:
        """Seconds of processor time that the process has used."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        return sum(map(int, text.split()[11:13])) / os.sysconf("SC_CLK_TCK")


PASSWORD = "pw-5b0c7d1e9f"  # nothing else in a log looks like this

TRIO2O = (sys.executable, "-m", "trio2o.commands")


def as_toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)  # a list of texts reads the same


@dataclass
class Client:
    """Calls with one token of one project."""

    appliance: Appliance
    project: str
    token: str
    roles: tuple[str, ...] = ("member",)
    more: Row = field(default_factory=dict)

    def ask(
        self, method: str, face: str, path: str, json: Any = None, **more: Any
    ) -> requests.Response:
        more = {"token": self.token} | self.more | more
        return self.appliance.request(method, face, path, json=json, **more)

    def get(self, face: str, path: str, **more: Any) -> Any:
        """What is found there; it has to be found."""
        answer = self.ask("GET", face, path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, face: str, path: str, **more: Any) -> list[str]:
        """The ids in a list."""
        body = self.get(face, path, **more)
        (rows,) = [v for k, v in body.items() if isinstance(v, list) and not k.endswith("links")]
        return [row["id"] for row in rows]

    def walk(self, face: str, path: str, **more: Any) -> Iterator[list[str]]:
        """The ids of each page, next links followed to the end."""
        while path:
            body = self.get(face, path, **more)
            rows = next(v for k, v in body.items() if not k.endswith("links"))
            yield [row["id"] for row in rows]
            links = next((v for k, v in body.items() if k.endswith("links")), [])
            path = next((link["href"] for link in links if link["rel"] == "next"), "")
            assert not path or path.startswith(self.appliance.public(face)), path

    def server(self, zone: str = "", **fields: Any) -> str:
        """Create a server; its id."""
        wish: Row = {"name": "one", "flavorRef": "1", "imageRef": str(uuid.uuid4())} | fields
        if zone:
            wish["availability_zone"] = zone
        answer = self.ask("POST", "compute", "/v2.1/servers", {"server": wish})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["server"]["id"])

    def volume(self, zone: str = "", **fields: Any) -> str:
        """Create a volume; its id."""
        wish: Row = {"size": 1} | ({"availability_zone": zone} if zone else {}) | fields
        answer = self.ask("POST", "volume", f"/v3/{self.project}/volumes", {"volume": wish})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["volume"]["id"])

    def network(self, zone: str = "", **fields: Any) -> str:
        """Create a network; its id."""
        wish: Row = ({"availability_zone_hints": [zone]} if zone else {}) | fields
        answer = self.ask("POST", "network", "/v2.0/networks", {"network": wish})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["network"]["id"])


def operator(appliance: Appliance) -> Client:
    token = appliance.cloud.keystone.token("admin", "admin", ["admin"])
    return Client(appliance, appliance.cloud.keystone.project("admin"), token, ("admin",))
