"""python -m tests.demo up|down: see `make demo`, `make demo-down`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass

from . import appliance, story
from .shell import CHECKOUT, Shell, Unexpected


@dataclass
class Row:
    """A line of the summary."""

    step: str
    result: str = "not reached"
    seconds: float = 0.0


def up() -> int:
    """All steps; the first that is not as expected is the last."""
    shell, rows, failed = Shell(), [Row(name) for name, _ in story.STEPS], ""
    for number, (row, (name, step)) in enumerate(zip(rows, story.STEPS, strict=True), 1):
        print(f"=== {number}. {name}\n", flush=True)
        begun = time.monotonic()
        try:
            row.result = step(shell)
        except Unexpected as error:
            failed, row.result = f"{name}: {error}", "FAILED"
        except Exception:
            traceback.print_exc()
            failed, row.result = f"{name}: see above", "FAILED"
        row.seconds = time.monotonic() - begun
        if failed:
            break
    _summary(rows)
    if failed:
        print(f"\nNOT AS EXPECTED in step {failed}\n\n{_logs()}")
        return 1
    print(f"\n{_go_on()}")
    return 0


def _summary(rows: list[Row]) -> None:
    steps, results = (max(len(getattr(row, key)) for row in rows) for key in ("step", "result"))
    line = f"{'':->{steps}}  {'':->{results}}  -------"
    print(f"{'step':{steps}}  {'result':{results}}  seconds\n{line}")
    for row in rows:
        print(f"{row.step:{steps}}  {row.result:{results}}  {row.seconds:7.1f}")
    print(f"{line}\n{'':{steps}}  {'':{results}}  {sum(row.seconds for row in rows):7.1f}")


def _logs() -> str:
    shown = os.path.relpath(appliance.LOG, CHECKOUT)
    return (
        f"The appliance's log is {shown}; the lab's are in run/log of its state folder\n"
        "($LAB_STATE, $XDG_STATE_HOME/trio2o-lab or ~/.local/state/trio2o-lab). Everything is left "
        'as it is:\nlook with `make lab-status` and `eval "$(make -s env)"`, run `make demo` '
        "again, or end it with `make demo-down`."
    )


def _go_on() -> str:
    return (
        'All as expected. Everything goes on running: try it with eval "$(make -s env)",\n'
        "for instance `openstack server list`, `trio2o pod list`. `make demo-down` ends it."
    )


def down() -> int:
    """The appliance and the lab."""
    appliance.stop()
    return subprocess.run(
        [sys.executable, "-m", "tests.lab", "down"], cwd=CHECKOUT, check=False
    ).returncode


if __name__ == "__main__":
    commands = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())
