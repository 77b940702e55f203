"""Debian packages and the virtual environment; standard library only, it runs before both."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from . import settings
from .progress import step

# package -> a file that is there when it is installed
SERVERS = {
    "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "memcached": "/usr/bin/memcached",
    "nginx-light": "/usr/sbin/nginx",
    "mariadb-server-core": "/usr/sbin/mariadbd",
    "mariadb-client-core": "/usr/bin/mariadb",
    "mariadb-client": "/usr/bin/mariadb-dump",
}
# what carries packets, for `dataplane` only
WIRES = {
    "openvswitch-switch": "/usr/sbin/ovs-vswitchd",
    "iptables": "/usr/sbin/iptables",
    "conntrack": "/usr/sbin/conntrack",
    "iputils-arping": "/usr/bin/arping",
    "dnsmasq-base": "/usr/sbin/dnsmasq",
    "dnsmasq-utils": "/usr/bin/dhcp_release",
    "busybox": "/usr/bin/busybox",
    "radvd": "/usr/sbin/radvd",
    "isc-dhcp-client": "/usr/sbin/dhclient",
}
# a pod's networks in OVN
OVN = {"ovn-central": "/usr/bin/ovn-northd"}
STAMP = settings.VENV / ".lab-requirements"


def ensure() -> None:
    """Install what is missing; costs nothing when all is there."""
    _debian_packages(
        _missing() + (_absent(OVN) if any(map(settings.is_ovn, settings.pods())) else [])
    )
    if not _stamped():
        _virtual_environment()


def ensure_wires() -> None:
    _debian_packages(_absent(WIRES))


def _absent(packages: dict[str, str]) -> list[str]:
    return [package for package, file in packages.items() if not Path(file).exists()]


def _missing() -> list[str]:
    missing = _absent(SERVERS)
    if not shutil.which("gcc"):  # uWSGI comes as source
        missing.append("gcc")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("python3-dev")
    if not importlib.util.find_spec("ensurepip"):
        missing.append("python3-venv")
    return missing


def _debian_packages(missing: list[str]) -> None:
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    step(f"installing Debian packages: {' '.join(missing)}")
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", *missing], check=True)


def _stamped() -> bool:
    return STAMP.exists() and STAMP.read_text() == settings.requirements_digest()


def _virtual_environment() -> None:
    python = settings.VENV / "bin" / "python"
    if not python.exists():
        step("making the virtual environment")
        subprocess.run([sys.executable, "-m", "venv", settings.VENV], check=True)
    step("installing OpenStack into the virtual environment (minutes)")
    log = settings.STATE / "pip.log"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
    with open(log, "w") as file:
        command = [*pip, "-r", settings.REQUIREMENTS]
        if subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode:
            raise SystemExit(f"pip failed; see {log}")
    STAMP.write_text(settings.requirements_digest())
