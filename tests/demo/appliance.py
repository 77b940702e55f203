"""The demo's appliance: one process, known by the id in var/demo/pid."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from .shell import CHECKOUT, FOLDER, Shell, Unexpected

CONFIG, LOG, PID = FOLDER / "trio2o.toml", FOLDER / "log", FOLDER / "pid"
PORTS = (19999, 19998, 19997, 19996, 19995)
START_SECONDS, STOP_SECONDS = 60, 40


def start(shell: Shell) -> None:
    """A new process with new settings; the state of an earlier run is kept."""
    stop()
    for port in PORTS:
        if _listens(port):
            raise Unexpected(f"another process listens on port {port}; the demo needs {PORTS}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    CONFIG.unlink(missing_ok=True)
    shell.run(
        "trio2o init --output var/demo/trio2o.toml"
        ' --set service.state="$PWD/var/demo/state" --set identity.password=trio2o'
    )
    shell.run(
        "nohup trio2o serve --config var/demo/trio2o.toml >>var/demo/log 2>&1 &"
        " echo $! >var/demo/pid"
    )
    _await_faces()
    shell.run("curl -s http://127.0.0.1:19999/")


def _await_faces() -> None:
    begun = time.monotonic()
    while not all(map(_listens, PORTS)):
        # what is about to be the appliance has no command line for a moment
        if pid() is None and time.monotonic() > begun + 1:
            raise Unexpected("the appliance ended at its start")
        if time.monotonic() > begun + START_SECONDS:
            raise Unexpected(f"the appliance does not listen on all of {PORTS}")
        time.sleep(0.1)


def stop() -> None:
    """End the process politely, and by force if it does not end."""
    if (running := pid()) is not None:
        os.kill(running, signal.SIGTERM)
        if not _ended(STOP_SECONDS):
            os.kill(running, signal.SIGKILL)
            _ended(5)
        print(f"the appliance (process {running}) has ended", flush=True)
    PID.unlink(missing_ok=True)


def _ended(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while pid() is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def pid() -> int | None:
    """The running appliance's process id: an id that another program got since does not count."""
    try:
        found = int(PID.read_text())
        folder = Path(f"/proc/{found}")
        command = (folder / "cmdline").read_bytes()  # for a moment that of the shell
        ours = b"trio2o.toml" in command and (folder / "cwd").resolve() == CHECKOUT
    except (OSError, ValueError):
        return None
    return found if ours else None


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True
