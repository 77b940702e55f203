"""The regions, ports, accounts and flavors of the lab: all fixed, so that tests can name them."""

IP = "127.0.0.1"
TENANTS = "RegionOne"
CENTRAL = "Central"

MARIADB, RABBIT, MEMCACHED = 10306, 10672, 10211
ERLANG_NAMES, ERLANG_NODE = 10369, 30672
KEYSTONE, GLANCE, CENTRAL_NEUTRON = 5000, 9292, 9696
_POD_PORTS = {"nova": 774, "placement": 778, "cinder": 776, "neutron": 696}
_POD_PORTS |= {"ovn-north": 641, "ovn-south": 642}

AUTH_URL = f"http://{IP}:{KEYSTONE}/v3"
GLANCE_URL = f"http://{IP}:{GLANCE}"
MEMCACHED_SERVER = f"{IP}:{MEMCACHED}"

# Every account is in the domain Default: user -> (password, project it works in).
ACCOUNTS = {
    "admin": ("admin", "admin"),
    "demo": ("demo", "demo"),
    "alt_demo": ("alt_demo", "alt_demo"),
    "trio2o": ("trio2o", "service"),
    "service": ("admin", "service"),
}

# (name, MiB of memory, processors, GiB of disk); ids count from 1.
FLAVORS = (("m1.tiny", 512, 1, 1), ("m1.small", 2048, 1, 20), ("m1.medium", 4096, 2, 40))

# Zones that differ from Nova's and Cinder's defaults show who mixes up the zones of two pods.
COMPUTE_ZONES = {2: "east"}
VOLUME_ZONES = {2: "east-vol"}


def pod_region(number: int) -> str:
    return f"Pod{number}"


def pod_port(number: int, service: str) -> int:
    """Pod 1 listens at 11xxx, pod 2 at 12xxx, pod 3 at 13xxx."""
    return 10000 + 1000 * number + _POD_PORTS[service]


def pod_url(number: int, service: str) -> str:
    return f"http://{IP}:{pod_port(number, service)}"


def ovn_database(number: int, side: str) -> str:
    return f"tcp:{IP}:{pod_port(number, f'ovn-{side}')}"
