"""All processes of a run: canned pods, a fake Keystone, the three proxies; and right answers."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from .canned import server
from .proxies import PROXY, cpu, load, module, nginx, process, until_it_listens

sys.path.insert(0, str(Path(__file__).parents[1] / "component"))

from appliance import TRIO2O, Appliance  # noqa: E402
from fakes import Cloud  # noqa: E402

Row = dict[str, Any]

LIMIT = 100
NAIVE = "http://top.example/"
DETAIL = "/v2.1/servers/detail"
LIST = f"{DETAIL}?limit={LIMIT}"


class Shipped(Appliance):
    """The appliance with the file that `trio2o init` writes: defaults, but for where things are."""

    def toml(self, more: Row) -> str:
        settings: Row = {
            "service.state": self.folder / "state",
            "identity.auth_url": f"{self.cloud.keystone.url}/v3",
            "identity.password": self.cloud.keystone.password,
        }
        for face, port in self.ports.items():
            settings[f"faces.{face}.listen"] = f"tcp:{port}:interface=127.0.0.1"
            settings[f"faces.{face}.url"] = self.public(face)
        file = self.folder / "init.toml"
        sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        subprocess.run([*TRIO2O, "init", "-o", str(file), *sets], check=True, capture_output=True)
        return file.read_text()

    def close(self) -> None:
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self.kill()


CREATE = {"name": "bench", "flavorRef": "1", "imageRef": str(uuid.UUID(int=7)), "networks": "none"}


class Field:
    """So many pods, each with so many servers, and the three proxies in front of them.

    `slowest` are the ms after which the slowest pod lists its servers. With `profile`, the
    appliance runs under twistd's profiler, which writes there.
    """

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        pods: int = 5,
        rows: int = 100,
        slowest: int = 0,
        profile: Path | None = None,
    ) -> None:
        self.pods = pods
        folder = folder / f"pods{pods}"
        folder.mkdir()
        cloud = Cloud.start()
        self.token = cloud.keystone.token("demo")
        canned = module("canned", str(pods), str(rows), str(slowest))
        self.ports: list[int] = json.loads(stack.enter_context(process(canned))[1])
        for number, port in enumerate(self.ports, 1):
            url = f"http://127.0.0.1:{port}/v2.1"
            cloud.keystone.register(f"Pod{number}", "compute", "nova", url)
        self.started: dict[str, float] = {}
        told = self._told()
        begun = time.perf_counter()
        naive, line = stack.enter_context(process(module("naive"), told, PROXY))
        self.started["naive"] = time.perf_counter() - begun
        appliance = self.appliance = self._appliance(stack, cloud, folder, profile)
        assert appliance.process is not None
        begun = time.perf_counter()
        front = stack.enter_context(nginx(self.ports[0], folder))
        self.started["nginx"] = time.perf_counter() - begun
        self.proxies = {
            "nginx": front,
            "naive": (naive.pid, int(line)),
            "trio2o": (appliance.process.pid, appliance.ports["compute"]),
        }
        self._expect(self.ports, appliance.public("compute"))

    def _told(self) -> Row:
        """What the naive proxy knows without asking."""
        owners = {
            row["id"]: str(port)
            for port in self.ports[:1]
            for row in json.loads(load(port, LIST, "", 1, 1)["body"])["servers"]
        }
        pods = {str(port): f"http://127.0.0.1:{port}/" for port in self.ports}
        return {"token": self.token, "pods": pods, "owners": owners, "top": NAIVE}

    def _appliance(
        self, stack: ExitStack, cloud: Any, folder: Path, profile: Path | None
    ) -> Shipped:
        appliance = Shipped(cloud, folder)
        stack.callback(appliance.close)
        if profile:
            twistd = Path(sys.executable).with_name("twistd")
            how = ("--profiler", "cprofile", "--profile", str(profile), "--savestats")
            appliance.launch(str(twistd), "-n", *how, "trio2o", "--config", str(appliance.config))
        else:
            begun = time.perf_counter()
            appliance.launch()
            until_it_listens(appliance.ports["compute"], pause=0.01)
            self.started["trio2o"] = time.perf_counter() - begun
        appliance.start()
        assert appliance.process is not None
        # of all its threads: one that was started before would stay where it was
        for thread in Path(f"/proc/{appliance.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), PROXY)
        admin = cloud.keystone.token("admin", "admin", ["admin"])
        for number in range(1, self.pods + 1):
            pod = {"pod": {"pod_name": f"Pod{number}", "az_name": f"az{number}"}}
            made = appliance.request("POST", "admin", "/v1.0/pods", admin, pod)
            assert made.status_code == 200, made.text
        return appliance

    def record(self, count: int) -> None:
        """Put so many routes into the appliance's store, as if their servers had been seen."""
        (file,) = (self.appliance.folder / "state").glob("*.sqlite")
        details = json.dumps(canned_details())
        with closing(sqlite3.connect(file, timeout=20)) as store, store:
            (pod,) = store.execute("SELECT pod_id FROM pods WHERE pod_name = 'Pod1'").fetchone()
            named = "type, top_id, pod_id, bottom_id, project_id, deleted_at, details"
            store.executemany(
                f"INSERT INTO routes ({named}) VALUES ('server', ?1, ?2, ?1, ?3, '', ?4)",
                ((str(uuid.UUID(int=n)), pod, "demo", details) for n in range(1, count + 1)),
            )

    def _expect(self, ports: list[int], top: str) -> None:
        """Fetch from the pods themselves what the proxies will have to answer."""
        plain: list[Row] = []
        seen: dict[str, Row] = {}  # by id: as the appliance has to show it
        naive: dict[str, Row] = {}
        for number, port in enumerate(ports, 1):
            rows = json.loads(load(port, LIST, "", 1, 1)["body"])["servers"]
            plain += rows
            pod = f"http://127.0.0.1:{port}/"
            seen |= {row["id"]: through(row, pod, f"{top}/", f"az{number}") for row in rows}
            naive |= {row["id"]: through(row, pod, NAIVE) for row in rows}
        one = next(row for row in plain if f":{ports[0]}/" in row["links"][0]["href"])
        plain.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
        page = plain[:LIMIT]
        ours = [seen[row["id"]] for row in page]
        after = [{"rel": "next", "href": f"{top}{LIST}&marker={page[-1]['id']}"}]
        self.paths = {
            "forward": f"/v2.1/servers/{one['id']}",
            "list": LIST,
            "create": "/v2.1/servers",
            "spread": "/v2.1/servers/{id}",
        }
        self.right: dict[tuple[str, str], Any] = {
            ("nginx", "forward"): {"server": one},
            ("naive", "forward"): {"server": naive[one["id"]]},
            ("trio2o", "forward"): {"server": seen[one["id"]]},
            ("naive", "list"): {"servers": [naive[row["id"]] for row in page]},
            ("trio2o", "list"): {"servers": ours, "servers_links": after},
        }

    def ask(self, proxy: str, what: str, connections: int, requests: int) -> dict[str, float]:
        """One measurement: microseconds of CPU a request, requests a second, ms of latency."""
        pid, port = self.proxies[proxy]
        before = cpu(pid)
        post = json.dumps({"server": CREATE}) if what == "create" else ""
        seen = load(port, self.paths[what], self.token, connections, requests, post)
        used = cpu(pid) - before
        if not self._is_right(proxy, what, seen["body"]) or seen["requests"] != requests:
            raise SystemExit(f"{proxy} {what}: a wrong answer: {seen['body'][:2000]}")
        return {
            "cpu": used / requests * 1e6,
            "rate": requests / seen["seconds"],
            "p50": seen["p50"] * 1e3,
            "p99": seen["p99"] * 1e3,
        }

    def _is_right(self, proxy: str, what: str, body: str) -> bool:
        """A fast wrong answer counts for nothing; the client saw that all are like this one."""
        said = json.loads(body)
        if what == "create":
            links = [link["href"] for link in said["server"]["links"]]
            top = self.appliance.public("compute") if proxy == "trio2o" else ""
            return all(link.startswith(top) for link in links)
        if what == "spread":
            return "OS-EXT-AZ:availability_zone" in said["server"]
        return bool(said == self.right[proxy, what])

    def slowest(self) -> float:
        """How long the slowest pod takes to list its servers, in ms."""
        return 1e3 * float(load(self.ports[-1], LIST, "", 1, 5)["p50"])


def through(row: Row, pod: str, top: str, zone: str = "") -> Row:
    """A pod's row as a proxy shows it: links lead there, the zone is ours, no more."""

    def links(given: list[Row]) -> list[Row]:
        return [link | {"href": link["href"].replace(pod, top)} for link in given]

    image = row["image"] | {"links": links(row["image"]["links"])}
    return row | {
        "links": links(row["links"]),
        "image": image,
        "OS-EXT-AZ:availability_zone": zone or row["OS-EXT-AZ:availability_zone"],
    }


def canned_details() -> Row:
    """What a route keeps of a server."""
    kept = ("created", "tenant_id", "user_id", "flavor", "image", "OS-EXT-AZ:availability_zone")
    row = server(1, 1, "http://127.0.0.1")
    return {name: row[name] for name in (*kept, "server_groups")}
