"""The steps of the demo, in their order. Each says in a few words what it saw."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

from . import appliance, leftovers
from .shell import CHECKOUT, FOLDER, Shell, Unexpected

PODS = {"Pod1": "az1", "Pod2": "az2"}
"""Regions of the lab, and the availability zone that tenants see each as."""

SETS = (("1", "Pod1", "az1"), ("2", "Pod2", "az2"))
"""What ends the names of the things made for a pod; the pod; its availability zone."""

ZONE = "OS-EXT-AZ:availability_zone"


def expect(seen: object, wanted: object, what: str) -> None:
    """Raises `Unexpected` unless both are the same."""
    if seen != wanted:
        raise Unexpected(f"{what}: {seen!r} in place of {wanted!r}")


def lab(shell: Shell) -> str:
    """Two clouds on this machine. The first time everything is installed, which takes minutes."""
    print("$ make lab-up", flush=True)
    done = subprocess.run([sys.executable, "-m", "tests.lab", "up"], cwd=CHECKOUT, check=False)
    print(flush=True)
    expect(done.returncode, 0, "exit status of the lab")
    shell.source("make -s env")
    return "Keystone, Glance, Pod1, Pod2"


def start(shell: Shell) -> str:
    appliance.start(shell)
    return "five faces, ports 19995-19999"


def register(shell: Shell) -> str:
    shell.run("trio2o register")
    listed = shell.run(
        "openstack endpoint list --region RegionOne --interface public -c 'Service Type' -c URL"
    ).rows
    ours = sorted(row["Service Type"] for row in listed if "127.0.0.1:1999" in row["URL"])
    wanted = ["block-storage", "cascading", "compute", "image", "network", "volumev3"]
    expect(ours, wanted, "services of RegionOne")
    return f"{len(ours)} services in RegionOne"


def add_pods(shell: Shell) -> str:
    url = "http://127.0.0.1:19999/v1.0/pods"
    shell.let("token", "openstack token issue -f value -c id")
    listed = shell.run(f'curl -s -H "X-Auth-Token: $token" {url}')
    present = {pod["pod_name"]: pod["az_name"] for pod in json.loads(listed.out)["pods"]}
    for name, zone in {"RegionOne": "", **PODS}.items():
        if name not in present:
            pod = {"pod_name": name} | ({"az_name": zone} if zone else {})
            made = shell.run(
                f'curl -s -X POST {url} -H "X-Auth-Token: $token"'
                f" -H 'Content-Type: application/json' -d '{json.dumps({'pod': pod})}'"
            )
            expect(json.loads(made.out).get("pod", {}).get("pod_name"), name, "the pod made")
        else:
            expect(present[name], zone, f"availability zone of {name}")
    table = [line.split() for line in shell.run("trio2o pod list").out.splitlines()]
    for name, zone in PODS.items():
        line = next((words[1:3] + words[4:5] for words in table if words[:1] == [name]), None)
        expect(line, [zone, "active", "up"], f"AZ, state and health of {name}")
    return "RegionOne on top, Pod1 is az1, Pod2 is az2"


def clean_up(shell: Shell) -> str:
    found = leftovers.clean(shell.env, PODS)
    for what in found:
        print(f"deleted: {what}")
    print("" if found else "An earlier run left nothing.\n", flush=True)
    return f"{len(found)} things deleted" if found else "nothing was left"


def zones(shell: Shell) -> str:
    for service in ("compute", "volume", "network"):
        listed = shell.run(
            f"openstack availability zone list --{service} --long"
            " -c 'Zone Name' -c 'Zone Status' -c 'Zone Resource'"
        ).rows
        expect({row["Zone Name"] for row in listed}, {"az1", "az2"}, f"zones of {service}")
    return "az1 and az2 of compute, volume, network"


def flavor(shell: Shell) -> str:
    made = shell.run(
        "openstack flavor create demo-small --ram 256 --disk 1 --vcpus 1 -c id -c name -c ram"
    ).fields
    for pod in PODS:
        there = f"OS_REGION_NAME={pod} openstack flavor show demo-small -f value -c id"
        shell.until(there, made["id"], seconds=0)
    return "one flavor, the same id in both pods"


def networks(shell: Shell) -> str:
    for number, _, zone in SETS:
        made = shell.run(
            f"openstack network create demo-net{number} --availability-zone-hint {zone}"
            " -c id -c name -c status -c availability_zone_hints"
        ).fields
        expect(made["status"], "ACTIVE", f"status of demo-net{number}")
        shell.run(
            f"openstack subnet create demo-subnet{number} --network demo-net{number}"
            f" --subnet-range 10.{number}.0.0/24 -c id -c cidr -c network_id"
        )
    listed = shell.run("openstack network list -c Name -c Subnets").names()
    expect({"demo-net1", "demo-net2"} <= listed, True, "both networks are listed")
    return "a network with a subnet in each AZ"


def image(shell: Shell) -> str:
    file = FOLDER / "image.raw"
    shell.run("head -c 3000000 /dev/urandom >var/demo/image.raw")
    made = shell.run(
        "glance image-create --name demo-image --disk-format raw --container-format bare"
        " --file var/demo/image.raw",
        shown=25,
    )
    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    told = {row["Property"]: row["Value"] for row in made.rows}
    expect((told["status"], told["checksum"]), ("active", digest), "status and checksum")
    expect("demo-image" in shell.run("glance image-list").names(), True, "demo-image is listed")
    return "3 MB uploaded, the checksum is right"


def servers(shell: Shell) -> str:
    for number, _, zone in SETS:
        made = shell.run(
            f"openstack server create demo-vm{number} --image demo-image --flavor demo-small"
            f" --network demo-net{number} --availability-zone {zone} --wait"
            f" -c id -c name -c status -c addresses -c {ZONE}"
        ).fields
        expect((made["status"], made[ZONE]), ("ACTIVE", zone), f"status and AZ of demo-vm{number}")
    return "ACTIVE in az1 and in az2"


def volumes(shell: Shell) -> str:
    for number, _, zone in SETS:
        made = shell.run(
            f"openstack volume create demo-vol{number} --size 1 --availability-zone {zone}"
            " -c id -c name -c size -c availability_zone"
        ).fields
        expect(made["availability_zone"], zone, f"AZ of demo-vol{number}")
    for number, *_ in SETS:
        shell.until(f"openstack volume show demo-vol{number} -f value -c status", "available")
    return "available in az1 and in az2"


def attach(shell: Shell) -> str:
    for number, *_ in SETS:
        shell.run(
            f"openstack server add volume demo-vm{number} demo-vol{number} -c 'Volume ID' -c Device"
        )
    for number, *_ in SETS:
        shell.until(f"openstack volume show demo-vol{number} -f value -c status", "in-use")
    return "each volume at the server of its AZ"


def refuse(shell: Shell) -> str:
    """What lives in different clouds cannot be joined, and the tenant is told why."""
    said = shell.run("openstack server add volume demo-vm1 demo-vol2", fails=True).text
    for words in ("400", "az1", "Pod1", "az2", "Pod2"):
        expect(words in said, True, f"the refusal names {words}")
    return "400 that names both AZs and pods"


def lists(shell: Shell) -> str:
    vms, vols = {"demo-vm1", "demo-vm2"}, {"demo-vol1", "demo-vol2"}
    for command, wanted in (
        ("openstack server list -c Name -c Status -c Networks -c Flavor", vms),
        ("nova list", vms),
        ("openstack volume list", vols),
        ("cinder list", vols),
    ):
        expect({n for n in shell.run(command).names() if n.startswith("demo-")}, wanted, command)
    return "both servers, both volumes, in one list each"


def pods(shell: Shell) -> str:
    for number, pod, _ in SETS:
        for kind, name in (("server", "vm"), ("volume", "vol")):
            command = f"OS_REGION_NAME={pod} openstack {kind} list -c ID -c Name -c Status"
            seen = {n for n in shell.run(command).names() if n.startswith("demo-")}
            expect(seen, {f"demo-{name}{number}"}, command)
    return "each pod holds its own"


def delete(shell: Shell) -> str:
    shell.run("openstack server delete --wait demo-vm1 demo-vm2")
    for number, *_ in SETS:
        shell.until(f"openstack volume show demo-vol{number} -f value -c status", "available")
    shell.run("openstack volume delete demo-vol1 demo-vol2")
    shell.run("openstack network delete demo-net1 demo-net2")
    shell.run("openstack flavor delete demo-small")
    shell.run("glance image-delete $(openstack image show demo-image -f value -c id)")
    shell.until_gone("openstack volume list -f value -c Name", leftovers.PREFIX)
    return "2 servers, 2 volumes, 2 networks, flavor, image"


def nothing_left(shell: Shell) -> str:
    for pod in PODS:
        for kind in ("server", "volume", "network", "flavor", "image"):
            command = f"OS_REGION_NAME={pod} openstack {kind} list -f value -c Name"
            shell.until_gone(command, leftovers.PREFIX)
    return "nothing is left in the pods"


STEPS = (
    ("lab with two pods", lab),
    ("start the appliance", start),
    ("register it in Keystone", register),
    ("add the pods", add_pods),
    ("clean up", clean_up),
    ("availability zones", zones),
    ("create a flavor", flavor),
    ("upload an image", image),
    ("create networks", networks),
    ("boot servers", servers),
    ("create volumes", volumes),
    ("attach", attach),
    ("attach across AZs", refuse),
    ("list", lists),
    ("look into the pods", pods),
    ("delete", delete),
    ("look into the pods again", nothing_left),
)
