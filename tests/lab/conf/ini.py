"""What the configuration files of all OpenStack services have in common."""

from pathlib import Path

from .. import settings, topology

Options = dict[str, object]
Sections = dict[str, Options]


def write(path: Path, sections: Sections) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_text(value)}" for key, value in options.items()]
    path.write_text("\n".join(lines) + "\n")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def database(name: str) -> Options:
    address = f"lab:lab@{topology.IP}:{topology.MARIADB}"
    return {"connection": f"mysql+pymysql://{address}/{name}?charset=utf8mb4"}


def service_account(region: str) -> Options:
    """How one service calls another in its own region."""
    return {
        "auth_type": "password",
        "auth_url": topology.AUTH_URL,
        "username": "service",
        "password": topology.ACCOUNTS["service"][0],
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": region,
    }


def token_check(region: str) -> Options:
    return service_account(region) | {
        "www_authenticate_uri": topology.AUTH_URL,
        "memcached_servers": topology.MEMCACHED_SERVER,
        "token_cache_time": 300,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def state_folder(name: str) -> Path:
    folder = settings.RUN / "state" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def bus_service(host: str, vhost: str, region: str, state: Path) -> Sections:
    """The sections of a service whose parts talk over the message bus."""
    bus = f"rabbit://lab:lab@{topology.IP}:{topology.RABBIT}/{vhost}"
    return {
        "DEFAULT": {
            "transport_url": bus,
            "host": host,
            "my_ip": topology.IP,
            "use_stderr": True,
            "state_path": state,
            "auth_strategy": "keystone",
        },
        "keystone_authtoken": token_check(region),
        "oslo_concurrency": {"lock_path": state / "lock"},
        "oslo_messaging_notifications": {"driver": "noop"},
    }
