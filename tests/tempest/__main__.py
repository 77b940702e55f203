"""python -m tests.tempest [--region REGION] [SERVICE...]: OpenStack's own tests of its APIs.

Through the demo's appliance (`make demo`), or straight to a pod (`--region Pod1`). What is known
to differ is in known.txt, with the reason. Everything is kept in var/tempest.
"""

from __future__ import annotations

import argparse
import configparser
import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import openstack

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "var" / "tempest"
BIN = FOLDER / "venv" / "bin"
KEYSTONE = "http://127.0.0.1:5000/v3"
SERVICES = {
    "compute": "tempest.api.compute",
    "volume": "tempest.api.volume",
    "network": "tempest.api.network",
    "image": "tempest.api.image",
    "cinder": "cinder_tempest_plugin.api",
    "neutron": "neutron_tempest_plugin.api",
}
NEWEST = {"max_microversion": "latest"}


def install() -> None:
    """Tempest and the services' own parts of it, in a virtual environment of theirs."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = FOLDER / "venv" / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True)
        pip = [BIN / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)


def settings(region: str) -> dict[str, dict[str, object]]:
    """What Tempest has to know of the lab; what is missing there is made."""
    account = dict.fromkeys(("username", "password", "project_name"), "admin")
    account |= dict.fromkeys(("user_domain_name", "project_domain_name"), "Default")
    cloud = openstack.connect(auth={"auth_url": KEYSTONE, **account}, region_name=region)
    images = [cloud.image.find_image(name) for name in ("cirros", "tempest")]
    images[1] = images[1] or cloud.create_image(
        "tempest", data=bytes(512), disk_format="raw", container_format="bare", visibility="public"
    )
    external = cloud.network.find_network("tempest")
    if external is None:
        external = cloud.network.create_network(
            name="tempest",
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network="tempest",
        )
        cloud.network.create_subnet(
            network_id=external.id, ip_version=4, cidr="198.18.0.0/20", enable_dhcp=False
        )
    extensions = ",".join(sorted(one.alias for one in cloud.network.extensions()))
    return {
        "DEFAULT": {"log_dir": FOLDER, "log_file": f"{region}.log"},
        "oslo_concurrency": {"lock_path": FOLDER / "locks"},
        "auth": {f"admin_{name}": value for name, value in account.items()}
        | {"use_dynamic_credentials": True},
        "identity": {"uri_v3": KEYSTONE, "region": region},
        "validation": {"run_validation": False},
        "service_available": {"swift": False, "horizon": False},
        "compute": {
            "image_ref": images[0].id,
            "image_ref_alt": images[1].id,
            "flavor_ref": 1,
            "flavor_ref_alt": 2,
            "hypervisor_type": "fake",
            **NEWEST,
        },
        # the lab's hypervisor is a fake one, on one host
        "compute-feature-enabled": dict.fromkeys(("change_password", "resize", "swap_volume"), True)
        | dict.fromkeys(("cold_migration", "live_migration", "attach_encrypted_volume"), False),
        "volume": {"storage_protocol": "fake", **NEWEST},
        "volume-feature-enabled": dict.fromkeys(
            ("manage_volume", "extend_attached_volume", "consistency_group"), True
        ),
        "network": {"public_network_id": external.id, "floating_network_name": external.name},
        "network-feature-enabled": {
            "api_extensions": extensions,
            "port_security": True,
            "ipv6_subnet_attributes": True,
        },
        "image": {"container_formats": "bare,ovf", "disk_formats": "raw,qcow2,iso"},
    }


def run(region: str, expression: str, concurrency: int) -> list[dict[str, str]]:
    """Runs what the expression matches: rows with `test` and `status`."""
    folder = FOLDER / region
    folder.mkdir(parents=True, exist_ok=True)
    config = configparser.RawConfigParser(default_section="")
    config.read_dict(settings(region))
    with open(folder / "tempest.conf", "w") as file:
        config.write(file)
    environment = os.environ | {
        "TEMPEST_CONFIG_DIR": str(folder),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    found = subprocess.run(
        [BIN / "python", "-c", "import tempest; print(tempest.__path__[0])"],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    ).stdout.strip()
    stestr = [
        BIN / "stestr",
        "--test-path",
        f"{found}/test_discover",
        "--top-dir",
        found,
        "--group-regex",
        r"([^\.]*\.)*",
    ]
    subprocess.run(
        [*stestr, "run", "--concurrency", str(concurrency), expression],
        check=False,
        env=environment,
        cwd=folder,
    )
    last = subprocess.run(
        [*stestr, "last", "--subunit"],
        check=False,
        capture_output=True,
        cwd=folder,
        env=environment,
    ).stdout
    table = subprocess.run(
        [BIN / "subunit2csv", "--no-passthrough"], input=last, capture_output=True, check=False
    )
    return list(csv.DictReader(table.stdout.decode().splitlines()))


def known() -> dict[str, str]:
    """What differs, and why: a test's name up to any of its dots, or whole, to the reason."""
    lines = (HERE / "known.txt").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def report(region: str, service: str, rows: list[dict[str, str]]) -> int:
    """Prints the figures and what was not expected; how many these are."""
    (FOLDER / region / f"{service}.txt").write_text(
        "".join(f"{row['status']} {row['test']}\n" for row in rows)
    )
    counts = Counter(row["status"] for row in rows)
    failed = {
        row["test"].partition("[")[0].split(" (")[-1].strip(")")
        for row in rows
        if row["status"] == "failure"
    }
    new = {test for test in failed if not any(test.startswith(name) for name in known())}
    print(f"{region} {service}: {dict(counts)}, {len(failed) - len(new)} known")
    for test in sorted(new):
        print(f"  not known to fail: {test}")
    return len(new) + (not counts["success"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", default="RegionOne")
    parser.add_argument("--only", default="", help="a regular expression in place of a service")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("services", nargs="*", default=list(SERVICES)[:4])
    given = parser.parse_args()
    install()
    tests = {"some": given.only} if given.only else {one: SERVICES[one] for one in given.services}
    return sum(
        report(given.region, name, run(given.region, which, given.concurrency))
        for name, which in tests.items()
    )


if __name__ == "__main__":
    sys.exit(min(main(), 1))
