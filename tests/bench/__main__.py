"""python -m tests.bench [--quick | --profile forward|list]: see README.md."""

from __future__ import annotations

import argparse
import pstats
import resource
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .field import Field
from .plots import draw
from .proxies import idle, nginx_command, resident
from .report import Figures, Ones, last_lines, ratios, remember, table

CONNECTIONS = 32
LONGEST = 300  # seconds that a run may take, whatever hangs

IDLE, ROUTES, SEEN = 1000, 1_000_000, 10_000
"""Connections that are kept, routes that are recorded, and how many of them are asked for."""

# proxy, what is asked of it, over so many pods, requests in a round
PLAN = (
    ("nginx", "forward", 5, 6000),
    ("naive", "forward", 5, 700),
    ("trio2o", "forward", 5, 3000),
    ("naive", "create", 5, 500),
    ("trio2o", "create", 5, 1000),
    ("naive", "list", 2, 40),
    ("trio2o", "list", 2, 200),
    ("naive", "list", 5, 16),
    ("trio2o", "list", 5, 100),
)
SLOWEST = 250  # ms after which the slowest of a hundred pods lists its servers


def measure(quick: bool) -> tuple[Figures, Ones]:
    """Rounds of all measurements, one after the other, so that all meet the same machine."""
    figures: Figures = {}
    rounds = 2 if quick else 5
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fields = {pods: Field(stack, Path(folder), pods) for pods in (2, 5)}
        for proxy, what, pods, requests in PLAN:
            fields[pods].ask(proxy, what, CONNECTIONS, max(requests // 4, CONNECTIONS))  # warm
        for number in range(rounds):
            for proxy, what, pods, requests in PLAN:
                name = f"{what}{pods}" if what == "list" else what
                progress(f"round {number + 1} of {rounds}: {proxy} {name}")
                count = max(requests // 3, CONNECTIONS) if quick else requests
                found = fields[pods].ask(proxy, what, CONNECTIONS, count)
                figures.setdefault((proxy, name), []).append(found)
        ones = alone(fields[5], 300 if quick else 1500)
        ones |= {f"start {proxy} s": seconds for proxy, seconds in fields[5].started.items()}
        ones |= kept(fields[5])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ones |= hundred(Field(stack, Path(folder), 100, 20, SLOWEST))
    progress("")
    return figures, ones


def alone(field: Field, requests: int) -> Ones:
    """The median latency of one connection that has the proxy for itself."""
    rounds = [
        {proxy: field.ask(proxy, "forward", 1, requests // 3)["p50"] for proxy in field.proxies}
        for _ in range(3)
    ]
    return {f"alone {proxy} ms": min(one[proxy] for one in rounds) for proxy in field.proxies}


def kept(field: Field) -> Ones:
    """What kept connections cost, and what the appliance has with a million routes besides."""
    ones: Ones = {}
    for proxy, (pid, port) in field.proxies.items():
        progress(f"{IDLE} connections: {proxy}")
        if proxy == "trio2o":
            field.record(ROUTES)
            field.ask(proxy, "spread", CONNECTIONS, SEEN)
        before = resident(pid)
        with idle(port, field.paths["forward"], field.token, IDLE):
            ones[f"memory {proxy} MB"] = resident(pid)
        ones[f"connections {proxy} MB"] = ones[f"memory {proxy} MB"] - before
    return ones


def hundred(field: Field) -> Ones:
    """How long a list over a hundred pods takes, beside the slowest of them."""
    progress("a list over 100 pods")
    field.ask("trio2o", "list", 1, 2)
    listed = field.ask("trio2o", "list", 1, 7)["p50"]
    return {"list100 trio2o ms": listed, "list100 slowest ms": field.slowest()}


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:50}\r", end="", file=sys.stderr, flush=True)


def profile(what: str) -> None:
    """Where the appliance's time goes: functions by the time in themselves."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile"
        with ExitStack() as stack:
            field = Field(stack, Path(folder), profile=file)
            field.ask("trio2o", what, CONNECTIONS, 160 if what == "list" else 3000)
        stats = pstats.Stats(str(file))
        stats.strip_dirs().sort_stats("tottime").print_stats(40)


def stop(number: int, _: Any) -> None:
    """By SystemExit: the processes that were started are ended on the way out."""
    raise SystemExit(f"stopped by {signal.Signals(number).name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--quick", action="store_true", help="two short rounds, nothing is kept")
    parser.add_argument("--profile", choices=("forward", "list"), help="where time goes")
    given = parser.parse_args()
    if nginx_command() is None:
        print("nginx is not there: apt-get install nginx-light", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    if given.profile:
        profile(given.profile)
        return 0
    figures, ones = measure(given.quick)
    found = ratios(figures, ones)
    table(figures, ones, found)
    if not given.quick:
        remember(figures, ones, found)
        draw()
    last_lines(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
