"""python -m tests.bench [--quick]: see README.md."""

from __future__ import annotations

import datetime
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .proxies import CORES, PROXY, cpu, load, module, nginx, nginx_command, process

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "component"))

from appliance import Appliance  # noqa: E402
from fakes import Cloud  # noqa: E402

PODS = 5
CONNECTIONS = 32
LIST = "/v2.1/servers/detail?limit=100"

# proxy, what is asked of it, requests in a round
PLAN = (
    ("nginx", "forward", 12000),
    ("naive", "forward", 1500),
    ("trio2o", "forward", 3000),
    ("naive", "list5", 32),
    ("trio2o", "list5", 160),
)
RATIOS = (("forward", "nginx"), ("forward", "naive"), ("list5", "naive"))

Figures = dict[tuple[str, str], list[dict[str, float]]]


class Field:
    """All processes of a run: five canned pods, a fake Keystone, and the three proxies."""

    def __init__(self, stack: ExitStack, folder: Path, profile: Path | None = None) -> None:
        self.profile = profile
        cloud = Cloud.start()
        self.token = cloud.keystone.token("demo")
        pods = module("canned", str(PODS))
        ports = json.loads(stack.enter_context(process(pods))[1])
        for number, port in enumerate(ports, 1):
            url = f"http://127.0.0.1:{port}/v2.1"
            cloud.keystone.register(f"Pod{number}", "compute", "nova", url)
        body = load(ports[0], LIST, "", 1, 1)["body"]
        self.server = json.loads(body)["servers"][0]["id"]
        self.paths = {"forward": f"/v2.1/servers/{self.server}", "list5": LIST}
        owners = {self.server: ports[0]}
        known = {"token": self.token, "pods": ports, "owners": owners}
        naive, line = stack.enter_context(process(module("naive"), known, PROXY))
        self.proxies = {
            "nginx": stack.enter_context(nginx(ports[0], folder)),
            "naive": (naive.pid, int(line)),
            "trio2o": self._appliance(stack, cloud, folder),
        }

    def _appliance(self, stack: ExitStack, cloud: Any, folder: Path) -> tuple[int, int]:
        more = {"log.level": "info", "pods.refresh": 60.0, "pods.timeout": 60.0}
        more |= {"limits.header_seconds": 15.0, "limits.body_seconds": 120.0}
        appliance = Appliance(cloud, folder, **more)
        stack.callback(appliance.end)
        if self.profile:
            twistd = Path(sys.executable).with_name("twistd")
            how = ("--profiler", "cprofile", "--profile", str(self.profile), "--savestats")
            appliance.launch(str(twistd), "-n", *how, "trio2o", "--config", str(appliance.config))
        appliance.start()
        assert appliance.process is not None
        os.sched_setaffinity(appliance.process.pid, PROXY)
        admin = cloud.keystone.token("admin", "admin", ["admin"])
        for number in range(1, PODS + 1):
            pod = {"pod": {"pod_name": f"Pod{number}", "az_name": f"az{number}"}}
            made = appliance.request("POST", "admin", "/v1.0/pods", admin, pod)
            assert made.status_code == 200, made.text
        return appliance.process.pid, appliance.ports["compute"]

    def ask(self, proxy: str, what: str, connections: int, requests: int) -> dict[str, float]:
        """One measurement. The answer is looked at: a fast wrong one counts for nothing."""
        pid, port = self.proxies[proxy]
        before = cpu(pid)
        seen = load(port, self.paths[what], self.token, connections, requests)
        used = cpu(pid) - before
        self._check(what, json.loads(seen["body"]))
        return {
            "cpu": used / seen["requests"] * 1e6,
            "rate": seen["requests"] / seen["seconds"],
            "p50": seen["p50"] * 1e3,
            "p99": seen["p99"] * 1e3,
        }

    def _check(self, what: str, body: Any) -> None:
        if what == "forward":
            assert body["server"]["id"] == self.server
            return
        rows = body["servers"]
        moments = [row["created"] for row in rows]
        assert len(rows) == 100 and moments == sorted(moments, reverse=True)
        assert len({row["id"] for row in rows}) == 100


def measure(quick: bool) -> tuple[Figures, dict[str, float]]:
    """Rounds of all measurements, one after the other, so that all meet the same machine."""
    figures: Figures = {(proxy, what): [] for proxy, what, _ in PLAN}
    rounds = 2 if quick else 7
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        field = Field(stack, Path(folder))
        for proxy, what, requests in PLAN:
            field.ask(proxy, what, CONNECTIONS, max(requests // 4, CONNECTIONS))  # warm
        for number in range(rounds):
            for proxy, what, requests in PLAN:
                print(f"\rround {number + 1} of {rounds}: {proxy} {what}     ", end="", flush=True)
                count = requests // 3 if quick and what == "forward" else requests
                figures[proxy, what].append(field.ask(proxy, what, CONNECTIONS, count))
        alone = {
            proxy: field.ask(proxy, "forward", 1, 300 if quick else 1500)["p50"]
            for proxy in field.proxies
        }
    print("\r" + " " * 60 + "\r", end="")
    return figures, alone


def profile(what: str) -> None:
    """Where the appliance's time goes: functions by the time in themselves."""
    requests = next(number for proxy, name, number in PLAN if (proxy, name) == ("trio2o", what))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile"
        with ExitStack() as stack:
            field = Field(stack, Path(folder), file)
            field.ask("trio2o", what, CONNECTIONS, requests)
        stats = pstats.Stats(str(file))
        stats.strip_dirs().sort_stats("tottime").print_stats(40)


def ratios(figures: Figures) -> dict[str, tuple[float, float, float]]:
    """Of each ratio the median, lowest and highest of the rounds: their CPU over ours."""
    found = {}
    for what, other in RATIOS:
        pairs = zip(figures[other, what], figures["trio2o", what], strict=True)
        each = [theirs["cpu"] / ours["cpu"] for theirs, ours in pairs]
        found[f"{what} of-{other}"] = (statistics.median(each), min(each), max(each))
    return found


def table(figures: Figures, alone: dict[str, float]) -> None:
    print(f"{'':18}{'CPU us':>10}{'lowest':>9}{'highest':>9}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for (proxy, what), rounds in figures.items():
        by = {name: [one[name] for one in rounds] for name in rounds[0]}
        middle = {name: statistics.median(values) for name, values in by.items()}
        print(
            f"{what + ' ' + proxy:18}{middle['cpu']:10.0f}{min(by['cpu']):9.0f}"
            f"{max(by['cpu']):9.0f}{middle['rate']:9.0f}{middle['p50']:9.2f}{middle['p99']:9.2f}"
        )
    print(f"\n{CONNECTIONS} connections; medians of the rounds. With one connection, p50 in ms:")
    print("  ".join(f"{proxy} {value:.2f}" for proxy, value in alone.items()) + "\n")


def remember(found: dict[str, tuple[float, float, float]], figures: Figures) -> None:
    """A line in the history, which belongs to the repository."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "python": platform.python_version(),
        "cores": len(CORES),
        "ratios": {name: [round(value, 3) for value in values] for name, values in found.items()},
        "cpu_us": {
            f"{what} {proxy}": round(statistics.median(one["cpu"] for one in rounds), 1)
            for (proxy, what), rounds in figures.items()
        },
    }
    with (HERE / "results" / "history.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> int:
    quick = "--quick" in sys.argv[1:]
    if nginx_command() is None:
        print("nginx is not there: apt-get install nginx-light", file=sys.stderr)
        return 2
    if "--profile" in sys.argv[1:]:
        profile(sys.argv[-1])
        return 0
    figures, alone = measure(quick)
    table(figures, alone)
    found = ratios(figures)
    if not quick:
        remember(found, figures)
    for name, (middle, _, _) in found.items():
        print(f"{name} {middle:.2f}" if middle < 1 else f"{name} {middle:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
