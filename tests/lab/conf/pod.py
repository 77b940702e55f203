"""Nova, Placement and Cinder of one pod."""

import shutil
from pathlib import Path

from .. import settings, topology
from . import ini, neutron


def folder_of(number: int) -> Path:
    return settings.ETC / f"pod{number}"


def write(number: int) -> None:
    folder = folder_of(number)
    _placement(folder / "placement", number)
    _nova(folder / "nova", number)
    _cinder(folder / "cinder", number)
    neutron.pod(folder / "neutron", number)


def _placement(folder: Path, number: int) -> None:
    ini.write(
        folder / "placement.conf",
        {
            "DEFAULT": {"use_stderr": True},
            "api": {"auth_strategy": "keystone"},
            "placement_database": ini.database(f"pod{number}_placement"),
            "keystone_authtoken": ini.token_check(topology.pod_region(number)),
        },
    )


def _nova(folder: Path, number: int) -> None:
    region, vhost = topology.pod_region(number), f"pod{number}"
    account = ini.service_account(region)
    state = ini.state_folder(f"{vhost}-nova")
    sections = ini.bus_service(f"{vhost}-node1", vhost, region, state)
    sections["DEFAULT"] |= {
        "compute_driver": "hypervisor.LabDriver",
        "default_availability_zone": topology.COMPUTE_ZONES.get(number, "nova"),
        "sync_power_state_interval": -1,
        "allow_resize_to_same_host": True,
        "instances_path": state / "instances",
        "report_interval": 5,
    }
    sections |= {
        "database": ini.database(f"{vhost}_nova"),
        "api_database": ini.database(f"{vhost}_nova_api"),
        # Cinder refuses to give up an attachment on a user's token alone.
        "service_user": account | {"send_service_user_token": True},
        "placement": account,
        "neutron": account,
        "cinder": account | {"os_region_name": region, "catalog_info": "volumev3::publicURL"},
        "glance": {"region_name": topology.CENTRAL},
        "scheduler": {"workers": 1},
        "conductor": {"workers": 1},
        "vnc": {"enabled": False},
        "api": {"max_limit": 1000},
    }
    ini.write(folder / "nova.conf", sections)
    shutil.copy(settings.VENV / "etc" / "nova" / "api-paste.ini", folder)


def _cinder(folder: Path, number: int) -> None:
    region, vhost = topology.pod_region(number), f"pod{number}"
    state = ini.state_folder(f"{vhost}-cinder")
    paste = settings.VENV / "etc" / "cinder"
    sections = ini.bus_service(f"{vhost}-vol", vhost, region, state)
    sections["DEFAULT"] |= {
        "enabled_backends": "lab",
        "storage_availability_zone": topology.VOLUME_ZONES.get(number, "nova"),
        "allow_availability_zone_fallback": False,  # it would hide a wrong zone
        "glance_api_servers": topology.GLANCE_URL,
        "api_paste_config": paste / "api-paste.ini",
        # Without it, nobody but an administrator may filter a list by name.
        "resource_query_filters_file": paste / "resource_filters.json",
        "target_helper": "fake",
        "backup_driver": "labplugin.backup.LabBackupDriver",
        "backup_manager": "labplugin.backup.LabBackupManager",
        "report_interval": 5,
    }
    account = ini.service_account(region)
    sections |= {
        "database": ini.database(f"{vhost}_cinder"),
        "service_user": account | {"send_service_user_token": True},
        "nova": account | {"interface": "public"},
        "coordination": {"backend_url": f"file://{state}"},
        "lab": {
            "volume_driver": "labplugin.volume.LabVolumeDriver",
            "volume_backend_name": "lab",
            "target_helper": "fake",
        },
    }
    ini.write(folder / "cinder.conf", sections)
