"""Neutron's agents of a pod, and what of its server they need that the API process is not."""

import uuid

import requests

from .. import processes, settings, topology, waiting
from ..conf import ini, pod
from ..identity import Api
from ..processes import Process, Stage
from . import server, wires
from .machine import Machine

AGENTS = ("openvswitch", "l3", "dhcp")


def start(machine: Machine) -> None:
    machine.bus()
    file = machine.folder / "agent.conf"
    ini.write(file, _sections(machine))
    # as another user it could not read its hosts again: the lab's folder is closed to all others
    (machine.folder / "dnsmasq.conf").write_text("user=root\n")
    routing = machine.folder / "l3.conf"  # what others would take for extensions of theirs
    ini.write(routing, {"AGENT": {"extensions": "ndp_proxy"}})
    # it would tell neighbours of a proxy at once; no package has it, and they ask by themselves
    (program := machine.folder / "bin" / "ndsend").parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in AGENTS:
        files = ["--config-file", file] + ["--config-file", routing] * (name == "l3")
        machine.launch(f"{name}-agent", settings.VENV / "bin" / f"neutron-{name}-agent", *files)


def serve(machine: Machine) -> None:
    """The half of Neutron's server that agents talk to; it runs beside the API process."""
    folder = pod.folder_of(machine.number) / "neutron"
    command = [settings.VENV / "bin" / "neutron-rpc-server", "--config-file"]
    command += [folder / "neutron.conf", "--config-file", folder / "plugins/ml2/ml2_conf.ini"]
    variables = {"PYTHONPATH": str(settings.PLUGIN)}
    words = [str(word) for word in command]
    processes.start(Process(f"{machine.name}-rpc-server", words, Stage.REST, variables))


def _sections(machine: Machine) -> ini.Sections:
    region, vhost = topology.pod_region(machine.number), f"pod{machine.number}"
    sections = ini.bus_service(machine.host, vhost, region, machine.folder)
    sections["DEFAULT"] |= {
        "interface_driver": "openvswitch",
        "enable_metadata_proxy": False,
        "dnsmasq_config_file": machine.folder / "dnsmasq.conf",
        "rpc_response_timeout": 10,  # what was asked before the server was there is asked again
    }
    mappings = ",".join(f"{name}:br-{name}" for name in wires.PHYSICAL)
    return sections | {
        # `env` in place of sudo: everything in a machine is root
        "AGENT": {"root_helper": "env", "report_interval": 5, "tunnel_types": ""},
        "OVS": {
            "ovsdb_connection": wires.DATABASE,
            "datapath_type": "netdev",
            "bridge_mappings": mappings,
        },
        "SECURITYGROUP": {"firewall_driver": "openvswitch"},
    }


def _rows(machine: Machine, api: Api) -> list[dict[str, object]]:
    url = f"{topology.pod_url(machine.number, 'neutron')}/v2.0/agents"
    return api.get(url, params={"host": machine.host}).json()["agents"]


def await_alive(machine: Machine) -> None:
    api = Api()

    def alive() -> bool:
        return sum(bool(row["alive"]) for row in _rows(machine, api)) == len(AGENTS)

    waiting.until(f"agents of {machine.name}", alive)


def settle(machine: Machine) -> None:
    """Let the Open vSwitch agent do what it does once, in the second round that finds a port.

    It removes the flows of agents before it. Those too that were made meanwhile for new addresses
    of a group: they bear a passing cookie, and it takes them for there from then on.
    """
    log = settings.LOG / f"{machine.name}-openvswitch-agent.log"

    def rounds() -> int:
        return log.read_text().count("cleanup stale flows")

    def is_past() -> bool:
        server.plug(machine, "nobody", str(uuid.uuid4()), "02:00:00:00:00:01").unplug()
        return rounds() > before

    before = rounds()
    one = server.plug(machine, "first", str(uuid.uuid4()), "02:00:00:00:00:02")
    waiting.until(f"the Open vSwitch agent of {machine.name}", is_past)
    one.unplug()


def forget(machine: Machine) -> None:
    """So that nothing is scheduled to agents that ended."""
    try:
        api = Api()
        for row in _rows(machine, api):
            api.delete(f"{topology.pod_url(machine.number, 'neutron')}/v2.0/agents/{row['id']}")
    except requests.RequestException as error:
        print(f"the agents of {machine.name} stay known to Neutron: {error}")
