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
STAMP = settings.VENV / ".lab-requirements"


def ensure() -> None:
    """Install what is missing; costs nothing when all is there."""
    _debian_packages()
    if not _stamped():
        _virtual_environment()


def _missing() -> list[str]:
    missing = [package for package, file in SERVERS.items() if not Path(file).exists()]
    if not shutil.which("gcc"):  # uWSGI comes as source
        missing.append("gcc")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("python3-dev")
    if not importlib.util.find_spec("ensurepip"):
        missing.append("python3-venv")
    return missing


def _debian_packages() -> None:
    missing = _missing()
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
