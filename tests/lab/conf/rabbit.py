"""RabbitMQ: users and virtual hosts come from a file, so no control command is needed."""

import base64
import hashlib
import json

from .. import settings, topology

VHOSTS = ("central", "pod1", "pod2", "pod3")


def write() -> None:
    definitions = settings.ETC / "rabbit" / "definitions.json"
    definitions.parent.mkdir(parents=True, exist_ok=True)
    definitions.write_text(json.dumps(_definitions()))
    (definitions.parent / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {topology.IP}:{topology.RABBIT}\n"
        f"load_definitions = {definitions}\n"
        "log.console = true\n"
        "log.file = false\n"
        "vm_memory_high_watermark.absolute = 2GB\n"
        "disk_free_limit.absolute = 100MB\n"
    )
    (definitions.parent / "enabled_plugins").write_text("[].\n")
    (definitions.parent / "rabbitmq-env.conf").write_text("")


def _definitions() -> dict[str, object]:
    salt = b"salt"
    hashed = base64.b64encode(salt + hashlib.sha256(salt + b"lab").digest()).decode()
    user = {
        "name": "lab",
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",
    }
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "rabbit_version": "3.10.8",
        "users": [user],
        "vhosts": [{"name": vhost} for vhost in VHOSTS],
        "permissions": [{"user": "lab", "vhost": vhost} | everything for vhost in VHOSTS],
    }
