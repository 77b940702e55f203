"""The history as a picture: python -m tests.bench.plots (needs matplotlib, the extra `bench`)."""

from __future__ import annotations

import json
from typing import Any

from .report import HISTORY, RESULTS

SHOWN = {
    "forward of-nginx": 0.20,
    "forward of-naive": 6,
    "list5 of-naive": 12,
    "alone of-nginx": 1.5,
    "list100 of-slowest": 1.15,
    "memory MB": 250,
}
"""Figures, each with its target."""


def draw() -> bool:
    """Draw `history.svg`; False if matplotlib is not there."""
    try:
        from matplotlib import pyplot, rcParams
    except ImportError:
        print("no picture: matplotlib is not there (`make bench` installs it)")
        return False
    rcParams.update({"svg.hashsalt": "trio2o", "svg.fonttype": "none"})  # the same runs, one file
    runs: list[Any] = [json.loads(line) for line in HISTORY.read_text().splitlines()]
    figure, axes = pyplot.subplots(2, 3, sharex=True, figsize=(10, 5), layout="constrained")
    for (name, target), axis in zip(SHOWN.items(), axes.flat, strict=True):
        known = [(at, run["ratios"][name]) for at, run in enumerate(runs) if name in run["ratios"]]
        places = [at for at, _ in known]
        axis.plot(places, [values[0] for _, values in known], "o-")
        axis.vlines(places, [v[1] for _, v in known], [v[2] for _, v in known])
        axis.axhline(target, linestyle=":", color="grey")
        axis.set_title(name, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.set_xticks(range(len(runs)), [run["commit"][:7] for run in runs], rotation=60)
        axis.tick_params(labelsize=6)
    figure.savefig(RESULTS / "history.svg", metadata={"Date": None})
    return True


if __name__ == "__main__":
    draw()
