"""Wires for the lab: Open vSwitch and Neutron's own agents for each pod, and servers that speak.

Each pod gets a machine (namespaces) with Open vSwitch in user space and the stock Open vSwitch, L3
and DHCP agents; one trunk joins the machines. Needs root.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator

from .. import install, lock
from . import agents, wires
from .machine import Machine


@contextlib.contextmanager
def up(pods: Iterable[int]) -> Iterator[dict[int, Machine]]:
    """The machines of pods of a lab that is up, by number, with all that runs there.

    They end with the block. Commands that change the lab wait meanwhile.
    """
    if os.geteuid():
        raise SystemExit("only root may make network namespaces")
    install.ensure_wires()
    machines = [Machine(number) for number in pods]
    with lock.held(), contextlib.ExitStack() as ends:
        for machine in machines:
            agents.forget(machine)
            ends.callback(agents.forget, machine)
            ends.callback(machine.end)
            machine.start()
            agents.serve(machine)
        for machine in machines:
            wires.switch(machine)
        wires.trunk(machines)
        for machine in machines:
            agents.start(machine)
        for machine in machines:
            agents.await_alive(machine)
            agents.settle(machine)
        yield {machine.number: machine for machine in machines}
