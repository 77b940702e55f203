"""What a run found: a table, a line in the history, and the last lines for scripts."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
from pathlib import Path

from .proxies import CORES

HISTORY = Path(__file__).parent / "results" / "history.jsonl"
RATIOS = (("forward", "nginx"), ("forward", "naive"), ("list5", "naive"))

Figures = dict[tuple[str, str], list[dict[str, float]]]
"""By proxy and what was asked, each round's figures."""

Ratios = dict[str, tuple[float, float, float]]
"""By name the median, lowest and highest of the rounds: their CPU over ours."""


def ratios(figures: Figures) -> Ratios:
    found = {}
    for what, other in RATIOS:
        pairs = zip(figures[other, what], figures["trio2o", what], strict=True)
        each = [theirs["cpu"] / ours["cpu"] for theirs, ours in pairs]
        found[f"{what} of-{other}"] = (statistics.median(each), min(each), max(each))
    return found


def table(figures: Figures, alone: dict[str, float], found: Ratios) -> None:
    print(f"{'':18}{'CPU us':>10}{'lowest':>9}{'highest':>9}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for (proxy, what), rounds in figures.items():
        by = {name: [one[name] for one in rounds] for name in rounds[0]}
        middle = {name: statistics.median(values) for name, values in by.items()}
        print(
            f"{what + ' ' + proxy:18}{middle['cpu']:10.0f}{min(by['cpu']):9.0f}"
            f"{max(by['cpu']):9.0f}{middle['rate']:9.0f}{middle['p50']:9.2f}{middle['p99']:9.2f}"
        )
    print("\nMedians of the rounds. With one connection, p50 of forward in ms:")
    print("  ".join(f"{proxy} {value:.2f}" for proxy, value in alone.items()))
    print(f"\n{'ratio':18}{'median':>10}{'lowest':>9}{'highest':>9}")
    for name, values in found.items():
        print(f"{name:18}{values[0]:10.3f}{values[1]:9.3f}{values[2]:9.3f}")
    print()


def last_lines(found: Ratios) -> None:
    for name, (middle, _, _) in found.items():
        print(f"{name} {middle:.2f}" if middle < 1 else f"{name} {middle:.1f}")


def remember(figures: Figures, alone: dict[str, float], found: Ratios) -> None:
    """A line in the history, which belongs to the repository."""
    git = ["git", "-C", str(HISTORY.parent), "describe", "--always", "--dirty"]
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
        "alone_p50_ms": {proxy: round(value, 3) for proxy, value in alone.items()},
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")
