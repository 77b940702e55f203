"""Starting, finding, freezing and ending the lab's processes, and none but those.

A pid file holds the process id, its start time as the kernel counts it (so that an id that was
used again is never mistaken for ours) and a digest of what the process was started with.
"""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from . import settings


class Stage(IntEnum):
    """What must be there first: stages start one after the other."""

    BASE = 0  # database, bus, cache
    FRONT = 1  # nginx, Keystone, and what needs no token to start
    PLACEMENT = 2  # Nova's workers die without it
    CONDUCTOR = 3  # nova-compute waits long for a conductor that comes later
    REST = 4


@dataclass(frozen=True)
class Process:
    name: str
    command: list[str]
    stage: Stage
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    config: Path | None = None

    def digest(self) -> str:
        """Differs once anything that the process reads at its start differs."""
        sha = hashlib.sha256(repr((self.command, sorted(self.env.items()))).encode())
        if self.config:
            sha.update(tree_digest(self.config).encode())
        if self.stage != Stage.BASE:
            sha.update(tree_digest(settings.PLUGIN).encode())
            sha.update(settings.requirements_digest().encode())
        return sha.hexdigest()[:16]


def tree_digest(path: Path) -> str:
    """Of one file, or of all files below a folder, byte code left out."""
    found = path.rglob("*") if path.is_dir() else [path]
    files = sorted(f for f in found if f.is_file() and "__pycache__" not in f.parts)
    sha = hashlib.sha256()
    for file in files:
        sha.update(f"{file.relative_to(path)}\0".encode() + file.read_bytes() + b"\0")
    return sha.hexdigest()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state first, start time twentieth."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _entry(name: str) -> tuple[int, str] | None:
    """(pid, digest) of a running process of ours."""
    try:
        pid, start, digest = (settings.PID / name).read_text().split()
        fields = _stat(int(pid))
    except (OSError, ValueError):
        return None
    return (int(pid), digest) if fields[19] == start and fields[0] not in "ZX" else None


def pid_of(name: str) -> int | None:
    entry = _entry(name)
    return entry[0] if entry else None


def is_frozen(name: str) -> bool:
    pid = pid_of(name)
    return bool(pid) and _stat(pid)[0] == "T"


def started_at(name: str) -> float:
    return (settings.PID / name).stat().st_mtime


def known() -> list[str]:
    """Names of all that was started and not ended since."""
    return sorted(f.name for f in settings.PID.iterdir()) if settings.PID.is_dir() else []


def start(process: Process) -> None:
    """Start it, or start it again if it runs with another command or configuration."""
    digest = process.digest()
    if entry := _entry(process.name):
        if entry[1] == digest:
            return
        stop([process.name])
    inherited = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
    with open(settings.LOG / f"{process.name}.log", "ab") as log:
        child = subprocess.Popen(
            process.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=inherited | process.env,
            cwd=settings.RUN,
            start_new_session=True,
        )
    start_time = _stat(child.pid)[19]
    (settings.PID / process.name).write_text(f"{child.pid} {start_time} {digest}")


def send(names: Iterable[str], number: signal.Signals) -> None:
    for name in names:
        if pid := pid_of(name):
            os.killpg(pid, number)


def freeze(names: Iterable[str]) -> None:
    send(names, signal.SIGSTOP)


def wake(names: Iterable[str]) -> None:
    """Let frozen processes go on; their start counts as now, as what they said before is old."""
    for name in names:
        if is_frozen(name):
            send([name], signal.SIGCONT)
            (settings.PID / name).touch()


def stop(names: Iterable[str], grace: float = 10) -> None:
    """End the process groups: politely, and after `grace` seconds by force."""
    names = list(names)
    send(names, signal.SIGCONT)  # a frozen process takes no other signal
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        send(names, number)
        end = time.monotonic() + seconds
        while any(pid_of(name) for name in names) and time.monotonic() < end:
            time.sleep(0.05)
    for name in names:
        (settings.PID / name).unlink(missing_ok=True)


def memory() -> dict[int, int]:
    """KiB of memory by process group, shared pages counted in parts."""
    total: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = os.getpgid(int(folder.name))
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        size = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        total[group] = total.get(group, 0) + size
    return total
