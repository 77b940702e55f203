"""Where the lab keeps what it makes, and which Python it runs."""

import hashlib
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).parent
REQUIREMENTS = SOURCE / "requirements.txt"
SERVICE_PACKAGES = {"keystone", "glance", "nova", "neutron", "cinder", "openstack-placement"}


def _state() -> Path:
    if chosen := os.environ.get("LAB_STATE"):
        return Path(chosen).absolute()
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "trio2o-lab"


STATE = _state()
VENV = STATE / "venv"
CACHE = STATE / "cache"
PLUGIN = STATE / "plugin"
RUN = STATE / "run"
ETC, LOG, PID, SOCK = RUN / "etc", RUN / "log", RUN / "pid", RUN / "sock"


def pods() -> range:
    """The numbers of the pods that LAB_PODS asks for."""
    text = os.environ.get("LAB_PODS") or "2"
    if text not in {"1", "2", "3"}:
        raise SystemExit(f"LAB_PODS is 1, 2 or 3, not {text!r}")
    return range(1, int(text) + 1)


def is_ovn(pod: int) -> bool:
    """Whether a pod's Neutron drives OVN: LAB_OVN holds their numbers, as in "2,3"."""
    return str(pod) in os.environ.get("LAB_OVN", "").split(",")


def in_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def requirements_digest() -> str:
    """Names the set of installed packages, and so the content of the virtual environment."""
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def releases_digest() -> str:
    """Names the OpenStack releases alone, and so the schemas of the databases."""
    lines = REQUIREMENTS.read_text().split()
    ours = sorted(line for line in lines if line.partition("==")[0] in SERVICE_PACKAGES)
    return hashlib.sha256("\n".join(ours).encode()).hexdigest()[:12]
