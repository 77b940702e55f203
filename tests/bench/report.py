"""What a run found: a table, a line in the history, and the last lines for scripts."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

from .proxies import CORES

RESULTS = Path(__file__).parent / "results"
HISTORY = RESULTS / "history.jsonl"

Figures = dict[tuple[str, str], list[dict[str, float]]]
"""By proxy and what was asked, each round's figures."""

Ones = dict[str, float]
"""Figures that are taken once, each named with its unit."""

Ratios = dict[str, tuple[float, float, float]]
"""By name the median, lowest and highest of the rounds."""

TARGETS = {
    "forward of-nginx": ">= 0.20",
    "forward of-naive": ">= 6",
    "create of-naive": "",
    "list2 of-naive": "",
    "list5 of-naive": ">= 12",
    "alone of-nginx": "<= 1.5",
    "list100 of-slowest": "<= 1.15",
    "start s": "<= 1.5",
    "memory MB": "<= 250",
}
"""What each figure has to be; none where it is only told."""


def ratios(figures: Figures, ones: Ones) -> Ratios:
    """Of rounds: the others' CPU over ours."""
    found: Ratios = {}
    for name in TARGETS:
        what, _, other = name.partition(" of-")
        if ("trio2o", what) in figures:
            pairs = zip(figures[other, what], figures["trio2o", what], strict=True)
            each = [theirs["cpu"] / ours["cpu"] for theirs, ours in pairs]
            found[name] = (statistics.median(each), min(each), max(each))
    single = {
        "alone of-nginx": ones["alone trio2o ms"] / ones["alone nginx ms"],
        "list100 of-slowest": ones["list100 trio2o ms"] / ones["list100 slowest ms"],
        "start s": ones["start trio2o s"],
        "memory MB": ones["memory trio2o MB"],
    }
    return found | {name: (value, value, value) for name, value in single.items()}


def table(figures: Figures, ones: Ones, found: Ratios) -> None:
    print(f"{'':18}{'CPU us':>10}{'lowest':>9}{'highest':>9}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for (proxy, what), rounds in figures.items():
        by = {name: [one[name] for one in rounds] for name in rounds[0]}
        middle = {name: statistics.median(values) for name, values in by.items()}
        print(
            f"{what + ' ' + proxy:18}{middle['cpu']:10.0f}{min(by['cpu']):9.0f}"
            f"{max(by['cpu']):9.0f}{middle['rate']:9.0f}{middle['p50']:9.2f}{middle['p99']:9.2f}"
        )
    print("\nMedians of the rounds. Taken once:")
    for name, value in ones.items():
        print(f"{name:28}{value:10.2f}")
    print(f"\n{'figure':20}{'median':>9}{'lowest':>9}{'highest':>9}  target")
    for name, values in found.items():
        lowest, highest = f"{values[1]:9.3f}", f"{values[2]:9.3f}"
        print(f"{name:20}{values[0]:9.3f}{lowest}{highest}  {TARGETS[name]}")
    print()


def last_lines(found: Ratios) -> None:
    for name, (middle, _, _) in found.items():
        print(f"{name} {middle:.2f}" if middle < 2 else f"{name} {middle:.1f}")


def remember(figures: Figures, ones: Ones, found: Ratios) -> None:
    """A line in the history, which belongs to the repository, and the table of this run."""
    git = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
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
        "ones": {name: round(value, 3) for name, value in ones.items()},
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with (RESULTS / "latest.txt").open("w") as file, redirect_stdout(file):
        print(f"{line['date']}, commit {commit}\n")
        table(figures, ones, found)
