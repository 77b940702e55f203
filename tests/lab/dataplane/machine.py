"""A machine of a pod: namespaces of its own for network, processes, and names of namespaces.

What agents make there (dnsmasq, routers, more namespaces) ends with the machine's first process.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .. import processes, settings, topology, waiting
from ..processes import Process, Stage

FIRST = """\
trap exit TERM
for folder in netns openvswitch; do
    mkdir -p /run/$folder
    mount -t tmpfs $folder /run/$folder
done
mount -t sysfs sysfs /sys
ip link set lo up
touch ready
sleep infinity & wait
"""


@dataclass(frozen=True)
class Machine:
    """Of the pod with this number."""

    number: int

    @property
    def name(self) -> str:
        return f"ping-pod{self.number}"

    @property
    def host(self) -> str:
        """What the pod's nova-compute calls itself: ports of its servers are bound to it."""
        return f"pod{self.number}-node1"

    @property
    def folder(self) -> Path:
        return settings.RUN / self.name

    def start(self) -> None:
        self.end()
        self.folder.mkdir()
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        processes.start(
            Process(self.name, [*command, "sh", "-ec", f"cd {self.folder}\n{FIRST}"], Stage.REST)
        )
        waiting.until(self.name, (self.folder / "ready").exists, 10)

    def end(self) -> None:
        """End all that runs in it, and forget what it wrote."""
        mine = [name for name in processes.known() if name.startswith(f"{self.name}-")]
        processes.stop([self.name, *mine], grace=2)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Its first process, as the lab sees it."""
        outer = processes.pid_of(self.name)
        if outer is None:
            raise SystemExit(f"{self.name} ended by itself; see {settings.LOG}")
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())

    def inside(self, *command: object) -> list[str]:
        """A command that runs in the machine."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid"]
        return enter + [str(word) for word in command]

    def run(self, *command: object) -> str:
        """What a command in the machine writes. Raises `CalledProcessError`."""
        done = subprocess.run(
            self.inside(*command),
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout

    def launch(self, name: str, *command: object, config: Path | None = None) -> None:
        """Let a command run there until the machine ends."""
        path = f"{settings.VENV}/bin:{self.folder}/bin:/usr/local/sbin:/usr/local/bin"
        path += ":/usr/sbin:/usr/bin:/sbin:/bin"
        full = f"{self.name}-{name}"
        processes.start(Process(full, self.inside(*command), Stage.REST, {"PATH": path}, config))

    def bus(self) -> None:
        """The lab's message bus, at its usual address."""
        relay = Path(__file__).with_name("relay.py")
        python = settings.VENV / "bin" / "python"
        command = [str(word) for word in (python, relay, topology.RABBIT, self.pid)]
        processes.start(Process(f"{self.name}-bus", command, Stage.REST))

    def agents_namespaces(self) -> list[str]:
        """Those of networks with DHCP and of routers."""
        names = [line.split()[0] for line in self.run("ip", "netns").splitlines()]
        return [name for name in names if name.startswith(("qdhcp-", "qrouter-"))]
