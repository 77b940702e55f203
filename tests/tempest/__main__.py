"""python -m tests.tempest [--region REGION] [--only REGEX] [SERVICE...]: see `make lab-tempest`.

OpenStack's own tests of its APIs, through the demo's appliance or straight to a pod. What is left
out, and why, is in known.txt. All is kept in var/tempest.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import openstack

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "var" / "tempest"
BIN = FOLDER / "venv" / "bin"
KEYSTONE = "http://127.0.0.1:5000/v3"
SERVICES = {
    **{name: f"tempest.api.{name}" for name in ("compute", "volume", "network", "image")},
    "cinder": "cinder_tempest_plugin.api",
    "neutron": "neutron_tempest_plugin.api",
}


def install() -> None:
    """Tempest and the services' own parts of it, in a virtual environment of theirs."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = FOLDER / "venv" / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True)
        pip = [BIN / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)


def facts(region: str) -> dict[str, Any]:
    """What the configuration has to name; what of it is missing in the lab is made."""
    account = dict.fromkeys(("username", "password", "project_name"), "admin")
    account |= dict.fromkeys(("user_domain_name", "project_domain_name"), "Default")
    cloud = openstack.connect(auth={"auth_url": KEYSTONE, **account}, region_name=region)
    glance, neutron = cloud.image, cloud.network
    formats = {"disk_format": "raw", "container_format": "bare"}
    other = glance.find_image("tempest") or glance.create_image(
        "tempest", data=bytes(512), visibility="public", **formats
    )
    if not any(glance.metadef_resource_types()):
        glance.create_metadef_namespace(namespace="tempest")
        glance.create_metadef_resource_type_association("tempest", name="OS::Nova::Server")
    name = f"tempest-{region}"
    external = neutron.find_network(name)
    if external is None:
        wire = {"provider_network_type": "flat", "provider_physical_network": name}
        zones = [zone.name for zone in neutron.availability_zones()][:1]  # a pod has none
        wire |= {"availability_zone_hints": zones} if zones else {}
        external = neutron.create_network(name=name, is_router_external=True, **wire)
        addresses = {"ip_version": 4, "cidr": "198.18.0.0/20", "enable_dhcp": False}
        neutron.create_subnet(network_id=external.id, **addresses)
    return {
        "folder": FOLDER / region,
        "keystone": KEYSTONE,
        "region": region,
        "image": glance.find_image("cirros").id,
        "other_image": other.id,
        "external": external.id,
        "floating": name,
        "extensions": ",".join(sorted(one.alias for one in neutron.extensions())),
    }


def run(region: str, expression: str, concurrency: str) -> list[dict[str, str]]:
    """Runs what the expression matches: rows with `test` and `status`."""
    folder = FOLDER / region
    folder.mkdir(parents=True, exist_ok=True)
    text = (HERE / "tempest.conf").read_text().format(**facts(region))
    (folder / "tempest.conf").write_text(text)
    path = f"{BIN}:{os.environ['PATH']}"
    how: dict[str, Any] = {
        "cwd": folder,
        "env": os.environ | {"TEMPEST_CONFIG_DIR": str(folder), "PATH": path},
    }
    find = [BIN / "python", "-c", "import tempest; print(tempest.__path__[0])"]
    found = subprocess.run(find, check=True, capture_output=True, text=True, **how).stdout.strip()
    paths = ["--test-path", f"{found}/test_discover", "--top-dir", found]
    stestr = [BIN / "stestr", *paths, "--group-regex", r"([^\.]*\.)*"]
    known = ["--exclude-list", HERE / "known.txt"]
    command = [*stestr, "run", "--concurrency", concurrency, *known, expression]
    subprocess.run(command, check=False, **how)
    last = subprocess.run(
        [*stestr, "last", "--subunit"], stdout=subprocess.PIPE, check=False, **how
    )
    convert = [BIN / "subunit2csv", "--no-passthrough"]
    table = subprocess.run(convert, input=last.stdout, stdout=subprocess.PIPE, check=False)
    return list(csv.DictReader(table.stdout.decode().splitlines()))


def report(region: str, service: str, rows: list[dict[str, str]]) -> int:
    """Prints the figures and what failed; how much this is."""
    table = "".join(f"{row['status']} {row['test']}\n" for row in rows)
    (FOLDER / region / f"{service}.txt").write_text(table)
    counts = Counter(row["status"] for row in rows)
    print(f"{region} {service}: {dict(counts)}", flush=True)
    failed = [row["test"] for row in rows if row["status"] == "failure"]
    print("".join(f"  failed: {test}\n" for test in failed), flush=True)
    return len(failed) + (not counts["success"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", default="RegionOne")
    parser.add_argument("--only", help="a regular expression, in place of services")
    parser.add_argument("--concurrency", default="2")
    parser.add_argument("services", nargs="*", default=["compute", "volume", "network", "image"])
    given = parser.parse_args()
    install()
    tests = {"some": given.only} if given.only else {one: SERVICES[one] for one in given.services}
    failed = 0
    for name, which in tests.items():
        failed += report(given.region, name, run(given.region, which, given.concurrency))
    return min(1, failed)


if __name__ == "__main__":
    sys.exit(main())
