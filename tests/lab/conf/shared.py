"""Keystone and Glance: one of each for all regions."""

import shutil
from pathlib import Path

from .. import settings, topology
from . import ini

KEYS = settings.CACHE / "keys"


def keystone(folder: Path, database: str = "keystone") -> None:
    tokens = {"key_repository": KEYS / "fernet"}
    ini.write(
        folder / "keystone.conf",
        {
            "DEFAULT": {"use_stderr": True},
            "database": ini.database(database),
            "fernet_tokens": tokens,
            "fernet_receipts": tokens,  # without it, bootstrap looks into /etc/keystone
            "credential": {"key_repository": KEYS / "credential"},
            "token": {"provider": "fernet", "expiration": 86400},
            "identity": {"password_hash_rounds": 4},  # the lowest: logins shall be quick
            "cache": {
                "enabled": True,
                "backend": "dogpile.cache.pymemcache",
                "memcache_servers": topology.MEMCACHED_SERVER,
            },
        },
    )


def glance(folder: Path) -> None:
    images = settings.RUN / "images"
    paste = folder / "glance-api-paste.ini"
    ini.write(
        folder / "glance-api.conf",
        {
            "DEFAULT": {
                "use_stderr": True,
                "enabled_backends": "file:file",
                "enabled_import_methods": "[glance-direct,web-download]",
                "worker_self_reference_url": topology.GLANCE_URL,
            },
            "database": ini.database("glance"),
            "keystone_authtoken": ini.token_check(topology.CENTRAL),
            "paste_deploy": {"flavor": "keystone", "config_file": paste},
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": images / "store"},
            "os_glance_staging_store": {"filesystem_store_datadir": images / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": images / "tasks"},
            "oslo_concurrency": {"lock_path": ini.state_folder("glance") / "lock"},
        },
    )
    shutil.copy(settings.VENV / "etc" / "glance" / paste.name, paste)
