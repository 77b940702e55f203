"""Open vSwitch of each machine, in user space, and the trunk between the machines."""

import subprocess
from collections.abc import Sequence

from .. import waiting
from .machine import Machine

PHYSICAL = ("bridge", "extern")
"""The pods' physical networks; each is a bridge `br-NAME`."""

DATABASE = "unix:/run/openvswitch/db.sock"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def vsctl(machine: Machine, *words: object) -> str:
    return machine.run("ovs-vsctl", "--timeout=20", *words)


def switch(machine: Machine) -> None:
    """Database, sockets and bridges are the machine's own; frames pass through taps."""
    file = machine.folder / "db"
    machine.run("ovsdb-tool", "create", file, SCHEMA)
    machine.launch("ovsdb", "ovsdb-server", file, f"--remote=p{DATABASE}")
    waiting.until("ovsdb-server", lambda: vsctl(machine, "--no-wait", "init") == "", 10)
    machine.launch("vswitchd", "ovs-vswitchd", DATABASE)
    for name in PHYSICAL:
        bridge = f"br-{name}"
        vsctl(machine, "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")


def trunk(machines: Sequence[Machine]) -> None:
    """One link from the first machine's `br-bridge` to that of each other."""
    hub = machines[0]
    for spoke in machines[1:]:
        ends = (hub, f"trunk{spoke.number}"), (spoke, f"trunk{hub.number}")
        (_, here), (_, there) = ends
        subprocess.run(
            ["ip", "link", "add", here, "netns", str(hub.pid), "type", "veth",
             "peer", "name", there, "netns", str(spoke.pid)],
            check=True,
        )  # fmt: skip
        for machine, name in ends:
            machine.run("ip", "link", "set", name, "up")
            vsctl(machine, "add-port", "br-bridge", name)
