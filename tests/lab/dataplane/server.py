"""A namespace that stands for a server: what Nova's fake hypervisor does not plug."""

import re
from dataclasses import dataclass
from pathlib import Path

from .machine import Machine
from .wires import vsctl

SCRIPT = """\
#!/bin/sh
case $1 in
bound) ip address add $ip/$mask dev $interface
       test -z "$mtu" || ip link set $interface mtu $mtu
       test -z "$router" || ip route add default via $router
       env;;
esac
"""

SCRIPT6 = """\
#!/bin/sh
case $reason in
BOUND6) ip address add $new_ip6_address/128 dev $interface
        env;;
esac
"""


@dataclass
class Server:
    """A computer on one port, in a machine."""

    machine: Machine
    name: str
    tap: str

    def run(self, *command: object) -> str:
        return self.machine.run("ip", "netns", "exec", self.name, *command)

    def dhcp(self) -> dict[str, str]:
        """Ask for an address, and take it with gateway and MTU; all that was told, by name."""
        ask = ("busybox", "udhcpc", "-nqf", "-t", 20, "-T", 1)
        return self._told(*ask, "-i", self.tap, "-s", self._script("dhcp-client", SCRIPT))

    def dhcp6(self) -> dict[str, str]:
        """Ask for an IPv6 address, and take it; all that was told, by name."""
        files = [self.machine.folder / f"dhcp6-{self.name}.{end}" for end in ("leases", "pid")]
        ask = ("dhclient", "-6", "-1", "-D", "LL", "-lf", files[0], "-pf", files[1])
        return self._told(*ask, "-sf", self._script("dhcp6-client", SCRIPT6), self.tap)

    def _script(self, name: str, text: str) -> Path:
        script = self.machine.folder / name
        script.write_text(text)
        script.chmod(0o755)
        return script

    def _told(self, *command: object) -> dict[str, str]:
        said = self.run(*command)
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def addresses6(self) -> set[str]:
        """Its IPv6 addresses that others may know."""
        said = self.run("ip", "-6", "address", "show", "dev", self.tap, "scope", "global")
        return set(re.findall(r"inet6 ([^/ ]+)/", said))

    def answers(self, address: str, size: int = 56) -> int:
        """How many of three packets of so many bytes come back from an address."""
        program = "ping6" if ":" in address else "ping"
        ping = ("busybox", program, "-c", 3, "-W", 2, "-s", size, address)
        said = self.run("sh", "-c", f"{' '.join(map(str, ping))} || true")
        return int(re.search(r"(\d+) packets received", said)[1])

    def hops(self, address: str) -> str:
        """The addresses of what passes packets on to an address, and its own."""
        trace = "traceroute6" if ":" in address else "traceroute"
        said = self.run("busybox", trace, "-n", "-q", 1, "-w", 2, "-m", 4, address)
        return " -> ".join(re.findall(r"^ *\d+ +(\S+)", said, re.MULTILINE))

    def unplug(self) -> None:
        """It is gone, with its tap."""
        vsctl(self.machine, "del-port", self.tap)
        self.machine.run("ip", "netns", "delete", self.name)


def plug(machine: Machine, name: str, port_id: str, mac: str) -> Server:
    """A server on a port of the pod's Neutron, as its hypervisor would plug it."""
    tap = f"tap{port_id}"[:14]
    ids = {"iface-id": port_id, "iface-status": "active", "attached-mac": f'"{mac}"'}
    _internal(machine, "br-int", tap, *(f"external_ids:{key}={ids[key]}" for key in ids))
    return _server(machine, name, tap, mac)


def outside(machine: Machine, name: str, address: str) -> Server:
    """A computer beside the clouds, on a pod's physical network `extern`."""
    _internal(machine, "br-extern", name)
    found = _server(machine, name, name)
    found.run("ip", "address", "add", address, "dev", name)
    return found


def _internal(machine: Machine, bridge: str, tap: str, *columns: str) -> None:
    of_it = ["--", "set", "interface", tap, "type=internal", *columns]
    vsctl(machine, "add-port", bridge, tap, *of_it)


def _server(machine: Machine, name: str, tap: str, mac: str = "") -> Server:
    found = Server(machine, name, tap)
    machine.run("ip", "netns", "add", name)
    machine.run("ip", "link", "set", tap, "netns", name)
    if mac:
        found.run("ip", "link", "set", tap, "address", mac)
    found.run("ip", "link", "set", tap, "up")
    return found
