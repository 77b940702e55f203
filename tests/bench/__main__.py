"""python -m tests.bench [--quick | --profile forward|list5]: see README.md."""

from __future__ import annotations

import argparse
import pstats
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .field import Field
from .proxies import nginx_command
from .report import Figures, last_lines, ratios, remember, table

CONNECTIONS = 32
LONGEST = 175  # seconds that a run may take, whatever hangs

# proxy, what is asked of it, requests in a round
PLAN = (
    ("nginx", "forward", 12000),
    ("naive", "forward", 1500),
    ("trio2o", "forward", 3000),
    ("naive", "list5", 32),
    ("trio2o", "list5", 160),
)


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
                progress(f"round {number + 1} of {rounds}: {proxy} {what}")
                count = requests // 3 if quick and what == "forward" else requests
                figures[proxy, what].append(field.ask(proxy, what, CONNECTIONS, count))
        alone = {
            proxy: field.ask(proxy, "forward", 1, 300 if quick else 1500)["p50"]
            for proxy in field.proxies
        }
    progress("")
    return figures, alone


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:50}\r", end="", file=sys.stderr, flush=True)


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


def stop(number: int, _: Any) -> None:
    """By SystemExit: the processes that were started are ended on the way out."""
    raise SystemExit(f"stopped by {signal.Signals(number).name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--quick", action="store_true", help="two short rounds, nothing is kept")
    parser.add_argument("--profile", choices=("forward", "list5"), help="where time goes")
    given = parser.parse_args()
    if nginx_command() is None:
        print("nginx is not there: apt-get install nginx-light", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    if given.profile:
        profile(given.profile)
        return 0
    figures, alone = measure(given.quick)
    found = ratios(figures)
    table(figures, alone, found)
    if not given.quick:
        remember(figures, alone, found)
    last_lines(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
