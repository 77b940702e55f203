"""Settings: one TOML file, each setting documented where it is defined.

`load` refuses unknown keys and bad values with the line they stand on and what is allowed;
`commented` writes the file that `trio2o init` makes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import define, frozen


class BadSettings(Exception):
    """The file cannot be used. The text names the line and what is allowed."""


Check = Callable[[Any], str]
"""Says what is allowed if the value is not; an empty text if it is fine."""


def _setting(default: Any, doc: str, check: Check | None = None) -> Any:
    return attrs.field(default=default, metadata={"doc": doc, "check": check})


def _number(default: float, least: float, doc: str) -> Any:
    """A whole number or any, as the default is."""

    def check(value: float) -> str:
        return "" if isfinite(value) and value >= least else f"a number of at least {least}"

    return _setting(default, doc, check)


def _section(kind: type, doc: str) -> Any:
    return attrs.field(factory=kind, metadata={"doc": doc, "section": True})


def _one_of(*allowed: str) -> Check:
    return lambda value: "" if value in allowed else "one of " + ", ".join(map(repr, allowed))


def _list_of(*allowed: str) -> Check:
    def check(values: tuple[str, ...]) -> str:
        return "" if set(values) <= set(allowed) else "a list of " + ", ".join(map(repr, allowed))

    return check


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        fine = fine and not re.search(r"[?#\s\x00-\x20\x7f]", value)
    except ValueError:
        fine = False
    return "" if fine else "a URL such as http://203.0.113.10:19998"


def store_url(value: str) -> str:
    """What is allowed as the store's URL, if this is not."""
    fine = not value or re.match(r"sqlite:///(?!:memory:).|postgresql\+psycopg://.", value)
    return "" if fine else "'', sqlite:/// and the path of a file, or postgresql+psycopg://..."


def _workers(value: int) -> str:
    return "" if 1 <= value <= 64 else "a number from 1 to 64"


def _listen(value: str) -> str:
    fine = not value or re.match(r"(tcp|tcp6|ssl|unix|systemd|fd|haproxy|tls):.", value)
    return "" if fine else "'', or a Twisted endpoint such as 'tcp:19998:interface=203.0.113.10'"


def _addresses(value: str) -> str:
    try:
        for word in filter(None, map(str.strip, value.split(","))):
            ip_address(word)
    except ValueError:
        return "'', or IP addresses by commas"
    return ""


def _cidr(like: str) -> Callable[[str], str]:
    version = ip_network(like).version

    def check(value: str) -> str:
        try:
            found = ip_network(value)
            fine = found.version == version and found.num_addresses >= 8
        except ValueError:
            fine = False
        return "" if fine else f"an IPv{version} network such as {like}"

    return check


def _physical_networks(value: str) -> str:
    fine = all(re.fullmatch(r"[^:=,]+:[^:=,]+=[^:=,]+", one.strip()) for one in value.split(","))
    return "" if fine or not value else "'', or POD:NAME=NAME IN THE POD, separated by commas"


def _url_or_empty(value: str) -> str:
    return _url(value) if value else ""


@frozen
class ServiceSettings:
    state: str = _setting("/var/lib/trio2o", "Folder of the appliance's own state.")
    region: str = _setting(
        "RegionOne", "The top region: the Keystone region in which tenants find the faces."
    )
    shutdown: float = _number(
        30.0, 0, "Seconds that calls in flight are given to finish at a stop."
    )
    drain: float = _number(
        0.0, 0, "Seconds at a stop from the first 503 of /healthcheck to the end of listening."
    )
    disable_file: str = _setting(
        "", "While this file is there, /healthcheck answers 503 ('' = no such file)."
    )
    proxies: str = _setting(
        "",
        "Addresses of proxies, by commas, whose X-Forwarded headers are believed and passed on.",
        _addresses,
    )
    workers: int = _setting(
        1, "Processes that serve. One is enough for most; pods.connections is shared out.", _workers
    )


@frozen
class LogSettings:
    level: str = _setting(
        "info", "How much is logged.", _one_of("error", "warn", "info", "debug", "trace")
    )


@frozen
class TelemetrySettings:
    metrics: str = _setting(
        "token",
        "Who may GET /metrics of the admin face: 'token' (who the policy rule"
        " admin_api:metrics:show lets), 'open' (everybody), 'off'.",
        _one_of("token", "open", "off"),
    )
    access_log: str = _setting(
        "", "File of the access log, one line of JSON a call ('' = none, '-' = standard output)."
    )
    audit_log: str = _setting(
        "", "File of the audit log, one CADF event a write ('' = none, '-' = standard output)."
    )


@frozen
class IdentitySettings:
    auth_url: str = _setting("http://127.0.0.1:5000/v3", "Keystone's v3 URL.", _url)
    username: str = _setting("trio2o", "The appliance's own user.")
    password: str = _setting("", "Its password. Keep the file readable by the service alone.")
    project_name: str = _setting("service", "The project of its tokens.")
    user_domain_name: str = _setting("Default", "The domain of the user.")
    project_domain_name: str = _setting("Default", "The domain of the project.")
    token_cache: float = _number(300.0, 0, "Seconds that a validated token is believed.")
    timeout: float = _number(15.0, 0.1, "Seconds that a call to Keystone may take.")
    policy_file: str = _setting(
        "", "An oslo.policy file that overrides the default rules ('' = the defaults)."
    )


@frozen
class StoreSettings:
    url: str = _setting(
        "",
        "SQLAlchemy URL of the store ('' = SQLite in the state folder). Appliances may share one: "
        "postgresql+psycopg://trio2o:PASSWORD@203.0.113.7/trio2o is PostgreSQL.",
        store_url,
    )


@frozen
class PodsSettings:
    interface: str = _setting(
        "internal", "Which endpoints of the pods are used.", _one_of("internal", "public", "admin")
    )
    timeout: float = _number(60.0, 0.1, "Seconds that a call to a pod may take in all.")
    connect_timeout: float = _number(5.0, 0.1, "Seconds that connecting to a pod may take.")
    connections: int = _number(64, 1, "Calls in flight to one service of a pod.")
    project_connections: int = _number(
        32, 0, "The most of these that one project takes (0 = all of them)."
    )
    ca_file: str = _setting(
        "",
        "PEM file of the authorities for certificates of Keystone, Glance and the pods"
        " ('' = the system's).",
    )
    insecure: bool = _setting(
        False, "Believe any certificate of Keystone, Glance and the pods. For tests only."
    )
    refresh: float = _number(
        30.0, 0.5, "Seconds between looks at the catalog, versions and health."
    )


@frozen
class SchedulingSettings:
    default_availability_zone: str = _setting(
        "", "Where a server or volume goes that names no AZ ('' = any pod)."
    )
    filters: tuple[str, ...] = _setting(
        ("state", "health", "tags", "room"),
        "What a pod is asked before something new goes there: is it active, does it answer, has it "
        "the tags that the flavor asks for, and room.",
        _list_of("state", "health", "tags", "room"),
    )
    binding_multiplier: float = _number(
        1000.0, 0, "How much it counts that the project uses the pod already (0 = not)."
    )
    free_multiplier: float = _number(
        1.0, 0, "How much it counts which part of a pod is free (0 = not)."
    )
    weight_multiplier: float = _number(
        1.0, 0, "How much it counts what operators gave a pod for a weight (0 = not)."
    )
    timeout: float = _number(3.0, 0.1, "Seconds that a pod may take to say whether it has room.")


@frozen
class ReconcileSettings:
    interval: float = _number(
        300.0, 1, "Seconds between passes that compare what should be in the pods with what is."
    )
    lease: float = _number(
        10.0, 1, "Seconds after which another process takes over the passes of one that died."
    )
    definitions: str = _setting(
        "mend",
        "What is done about a flavor or the like that was changed in one pod: 'mend', or 'report'.",
        _one_of("mend", "report"),
    )
    networks: str = _setting(
        "mend",
        "What passes do about what a pod has otherwise than the top Neutron (stretched): 'mend', "
        "or 'report'.",
        _one_of("mend", "report"),
    )


@frozen
class ImagesSettings:
    region: str = _setting("Central", "The region of the real Glance.")
    url: str = _setting("", "URL of the real Glance ('' = from the catalog).", _url_or_empty)


@frozen
class NetworkSettings:
    mode: str = _setting(
        "local",
        "'local': each network lives in one pod. 'stretched': networks are kept in a top Neutron "
        "and made in every pod that needs them.",
        _one_of("local", "stretched"),
    )
    region: str = _setting("Central", "The region of the top Neutron (stretched).")
    physical_networks: str = _setting(
        "",
        "The pods' names of the top's physical networks, where they differ: "
        "'Pod1:bridge=physnet1, Pod2:bridge=vlans'.",
        _physical_networks,
    )
    bridge_cidr: str = _setting(
        "100.64.0.0/24",
        "The addresses of the network that joins the pods of a router (stretched).",
        _cidr("100.64.0.0/24"),
    )
    bridge_cidr_v6: str = _setting(
        "fd74:7269:6f32::/64",
        "The same for routers with IPv6 subnets.",
        _cidr("fd74:7269:6f32::/64"),
    )
    claim_seconds: float = _number(
        300.0,
        1,
        "Seconds after which a port that was taken for a server is given back if its pod never "
        "answered (stretched).",
    )


@frozen
class ListsSettings:
    unavailable: str = _setting(
        "standard",
        "Rows of pods that do not answer: 'standard' leaves them out and names the pods, but "
        "refuses a list of certain rows (503); 'omit' leaves them out always, 'refuse' never.",
        _one_of("standard", "omit", "refuse"),
    )
    timeout: float = _number(
        20.0, 0.1, "Seconds that a list waits for a pod (pods.timeout at most)."
    )


@frozen
class LimitsSettings:
    header_bytes: int = _number(16384, 1024, "Largest head of a request; a token has to fit in it.")
    body_bytes: int = _number(1048576, 1024, "Largest body of a request, images apart.")
    image_bytes: int = _number(0, 0, "Largest image upload (0 = unlimited).")
    project_calls: int = _number(
        256, 0, "Calls of one project under way; more wait a second, then get 429 (0 = any number)."
    )
    header_seconds: float = _number(15.0, 0.1, "Seconds for the head of a request.")
    body_seconds: float = _number(120.0, 0.1, "Seconds for the body of a request, images apart.")
    idle_seconds: float = _number(75.0, 0.1, "Seconds that an idle connection is kept.")


@frozen
class PortSettings:
    listen: str = _setting("", "Twisted endpoint to listen on ('' = none).", _listen)
    certificate: str = _setting(
        "", "PEM file of the certificate and its chain, for TLS ('' = no TLS)."
    )
    private_key: str = _setting(
        "", "PEM file of its private key ('' = it is in the same file as the certificate)."
    )


@frozen
class FaceSettings(PortSettings):
    url: str = _setting("", "The public URL, as clients see it; links are made from it.", _url)


def _face(port: int, doc: str) -> Any:
    url = f"http://127.0.0.1:{port}"
    default = FaceSettings(f"tcp:{port}:interface=127.0.0.1", url=url)
    return attrs.field(default=default, metadata={"doc": doc, "section": True})


@frozen
class FacesSettings:
    admin: FaceSettings = _face(19999, "The admin face: pods and bindings.")
    compute: FaceSettings = _face(19998, "The compute face (Nova v2.1).")
    volume: FaceSettings = _face(19997, "The volume face (Cinder v3).")
    network: FaceSettings = _face(19996, "The network face (Neutron v2.0).")
    image: FaceSettings = _face(19995, "The image face (Glance v2).")
    all: PortSettings = _section(
        PortSettings,
        "One port for all faces, beside their own or instead: at /compute, /volume, /network, "
        "/image and /admin. The url of each face says where clients find it.",
    )


@frozen
class Settings:
    service: ServiceSettings = _section(ServiceSettings, "The appliance itself.")
    log: LogSettings = _section(LogSettings, "Logging.")
    telemetry: TelemetrySettings = _section(TelemetrySettings, "Metrics, access and audit log.")
    identity: IdentitySettings = _section(IdentitySettings, "Keystone.")
    store: StoreSettings = _section(StoreSettings, "The store.")
    pods: PodsSettings = _section(PodsSettings, "How pods are reached.")
    scheduling: SchedulingSettings = _section(SchedulingSettings, "Where new things go.")
    reconcile: ReconcileSettings = _section(ReconcileSettings, "Mending what drifted.")
    images: ImagesSettings = _section(ImagesSettings, "The real Glance behind the image face.")
    network: NetworkSettings = _section(NetworkSettings, "Networks.")
    lists: ListsSettings = _section(ListsSettings, "Lists over all pods.")
    limits: LimitsSettings = _section(LimitsSettings, "What one request may use.")
    faces: FacesSettings = _section(FacesSettings, "The APIs.")

    @property
    def proxies(self) -> frozenset[str]:
        """Addresses of proxies that are believed."""
        return frozenset(filter(None, map(str.strip, self.service.proxies.split(","))))

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{Path(self.service.state) / 'trio2o.sqlite'}"


def _bare(name: str) -> str:
    """A dotted name without its quotes and blanks."""
    return re.sub(r"[\s\"']", "", name)


@define
class _Reader:
    lines: list[str]
    name: str

    def line_of(self, section: str, key: str) -> int:
        """The line on which a key of a section stands (else that of what it would stand in)."""
        wanted = f"{section}.{key}".strip(".")
        here, found = "", 1
        for number, text in enumerate(self.lines, 1):
            if heading := re.match(r"\s*\[([^\]]+)\]", text):
                here = path = _bare(heading.group(1))
            elif named := re.match(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=", text):
                path = f"{here}.{_bare(named.group(1))}".strip(".")
            else:
                continue
            if path == wanted:
                return number
            if f"{wanted}.".startswith(f"{path}."):
                found = number
        return found

    def refuse(self, section: str, key: str, why: str) -> BadSettings:
        dotted = f"{section}.{key}".strip(".")
        return BadSettings(f"{self.name}, line {self.line_of(section, key)}: {dotted}: {why}")

    def build(self, base: Any, table: dict[str, Any], section: str) -> Any:
        """`base` with what the table says in place of its defaults."""
        fields = {field.name: field for field in attrs.fields(type(base))}
        values = {}
        for key, value in table.items():
            if key not in fields:
                allowed = ", ".join(fields)
                raise self.refuse(section, key, f"no such setting; there are: {allowed}")
            if not fields[key].metadata.get("section"):
                values[key] = self.check(fields[key], getattr(base, key), value, section)
            elif isinstance(value, dict):
                inner = f"{section}.{key}".strip(".")
                values[key] = self.build(getattr(base, key), value, inner)
            else:
                raise self.refuse(section, key, "must be a section")
        return attrs.evolve(base, **values)

    def check(self, field: Any, default: Any, value: Any, section: str) -> Any:
        wanted = type(default)
        if wanted is float and type(value) is int:
            value = float(value)
        if wanted is tuple and type(value) is list and all(type(one) is str for one in value):
            value = tuple(value)
        if type(value) is not wanted:
            words = {
                str: "a text in quotes",
                int: "a whole number",
                float: "a number",
                bool: "true or false",
                tuple: "a list of texts",
            }
            raise self.refuse(section, field.name, f"{value!r} is not {words[wanted]}")
        check: Check | None = field.metadata["check"]
        if check and (allowed := check(value)):
            told = re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", repr(value))
            raise self.refuse(section, field.name, f"{told} is not allowed; it must be {allowed}")
        return value


def parse(text: str, name: str = "settings") -> Settings:
    """Settings from TOML text. Raises `BadSettings`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{name}: {error}") from None
    built: Settings = _Reader(text.splitlines(), name).build(Settings(), table, "")
    return built


def load(path: str | Path) -> Settings:
    """Settings from a file. Raises `BadSettings`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None
    return parse(text, str(path))


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The dotted names of settings that differ."""
    for field in attrs.fields(type(one)):
        name = f"{path}.{field.name}".strip(".")
        mine, yours = getattr(one, field.name), getattr(other, field.name)
        if field.metadata.get("section"):
            yield from differences(mine, yours, name)
        elif mine != yours:
            yield name


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _toml(value: Any) -> str:
    if isinstance(value, str):
        plain = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", plain) + '"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lines(base: Any, path: str, given: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for field in attrs.fields(type(base)):
        name, doc = f"{path}.{field.name}".strip("."), field.metadata["doc"]
        value = getattr(base, field.name)
        if not field.metadata.get("section"):
            mark = "" if name in given else "# "
            lines += [f"# {doc}", f"{mark}{field.name} = {_toml(given.get(name, value))}", ""]
        elif any(f.metadata.get("section") for f in attrs.fields(type(value))):
            lines += _lines(value, name, given)
        else:
            lines += [f"# {doc}", f"[{name}]", *_lines(value, name, given)]
    return lines


def commented(given: dict[str, Any] | None = None) -> str:
    """A whole file with each setting explained; those not given are commented out."""
    head = ["# Settings of Trio2o. A line that is commented out shows its default.", ""]
    return "\n".join(head + _lines(Settings(), "", given or {})).rstrip() + "\n"
