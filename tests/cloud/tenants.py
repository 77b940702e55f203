"""What cloud tests are made of: the lab's commands, an appliance as a process, a tenant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import appliance as component
import openstack
import requests
from attrs import define, field

T = TypeVar("T")

CHECKOUT = Path(__file__).resolve().parents[2]
KEYSTONE = "http://127.0.0.1:5000/v3"
REGION = "Trio2oTest"
STRETCHED = "Trio2oStretched"
FACES = component.FACES


def eventually(look: Callable[[], T], seconds: float = 60.0) -> T:
    """The first true value of `look`: real clouds take their time."""
    return component.eventually(look, seconds, 0.3)


def unlike(ours: Any, theirs: Any, where: str = "") -> str:
    """Where two documents differ first, and how; '' if they are equal."""
    if type(ours) is not type(theirs) or not isinstance(ours, (dict, list, tuple)):
        return "" if ours == theirs else f"{where}: {str(ours)[:200]} is {str(theirs)[:200]} there"
    if isinstance(ours, dict):
        if set(ours) != set(theirs):
            return f"{where}: has {sorted(set(ours) ^ set(theirs))} only here or only there"
        pairs = [(key, ours[key], theirs[key]) for key in ours]
    else:
        if len(ours) != len(theirs):
            return f"{where}: {len(ours)} entries are {len(theirs)} there"
        pairs = [(str(n), *both) for n, both in enumerate(zip(ours, theirs, strict=True))]
    return next((found for key, a, b in pairs if (found := unlike(a, b, f"{where}/{key}"))), "")


def lab(*arguments: str) -> str:
    """A command of the lab; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@define
class RealAppliance:
    """The appliance as a process."""

    folder: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> str:
        return str(self.folder / "trio2o.toml")

    @property
    def is_stretched(self) -> bool:
        return 'mode = "stretched"' in Path(self.config).read_text()

    def url(self, face: str) -> str:
        return f"http://127.0.0.1:{self.ports[face]}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `trio2o` command, as the appliance's own user."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        return subprocess.run(
            [sys.executable, "-m", "trio2o.commands", *arguments, "--config", self.config],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    def start(self) -> None:
        log = open(self.folder / "log", "ab")  # noqa: SIM115 - the process keeps it
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trio2o.commands", "serve", "--config", self.config],
            cwd=self.folder,
            stdout=log,
            stderr=log,
        )
        eventually(self.answers, 30)

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log()[-3000:]
        try:
            return all(requests.get(self.url(f), timeout=5).status_code < 400 for f in FACES)
        except (requests.ConnectionError, requests.Timeout):
            return False  # workers take what waits on their port once they are up

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


def cloud(user: str, password: str, project: str, region: str = REGION) -> Any:
    """A connection of openstacksdk."""
    return openstack.connection.Connection(
        auth={
            "auth_url": KEYSTONE,
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        region_name=region,
    )


def admin_cloud(region: str = REGION) -> Any:
    return cloud("admin", "admin", "admin", region)


@define
class Project:
    """A Keystone project with one member, gone again after the test with all that it held."""

    id: str
    name: str
    tenant: Any
    appliance: RealAppliance
    token: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.token = self.tenant.auth_token

    def at(self, region: str) -> Any:
        """The same tenant, at one pod directly."""
        return cloud(self.name, "secret", self.name, region)

    def cli(self, *words: str, region: str = REGION) -> subprocess.CompletedProcess[str]:
        """A client's command (`openstack`, `nova`, `cinder`, `glance`), as this tenant."""
        exports = lab("env")
        folder = next(
            line.partition("PATH=")[2].partition(":")[0]
            for line in exports.splitlines()
            if "PATH=" in line
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OS_")} | {
            "OS_AUTH_URL": KEYSTONE,
            "OS_USERNAME": self.name,
            "OS_PASSWORD": "secret",
            "OS_PROJECT_NAME": self.name,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": region,
        }
        command = [f"{folder.strip(chr(34))}/{words[0]}", *words[1:]]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def cli_json(self, *words: str, region: str = REGION) -> Any:
        done = self.cli("openstack", *words, "-f", "json", region=region)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def network(self, zone: str, cidr: str = "10.9.0.0/24") -> Any:
        """A network with a subnet in an AZ."""
        network = self.tenant.network.create_network(
            name=f"net-{zone}", availability_zone_hints=[zone]
        )
        self.tenant.network.create_subnet(
            network_id=network.id, cidr=cidr, ip_version=4, name=f"sub-{zone}"
        )
        return network

    def server(self, zone: str, name: str = "", **more: Any) -> Any:
        """A server in an AZ that has become active; without a network unless told."""
        compute = self.tenant.compute
        in_zone = {"availability_zone": zone} if zone else {}
        made = compute.create_server(
            name=name or f"vm-{zone}",
            image_id=self.image,
            **({"networks": "none", "flavor_id": "1"} | in_zone | more),
        )
        return compute.wait_for_server(made, wait=60, interval=0.5)

    def volume(self, zone: str, name: str = "", **more: Any) -> Any:
        made = self.tenant.block_storage.create_volume(
            size=1, name=name or f"vol-{zone}", availability_zone=zone, **more
        )
        return self.tenant.block_storage.wait_for_status(made, wait=60, interval=0.5)

    @property
    def image(self) -> str:
        return str(self.tenant.image.find_image("cirros").id)


def reconcile(appliance: RealAppliance) -> dict[str, Any]:
    """A pass over networks now, and what it found. It is forced: what tests are cleaned up of is
    deleted at the top behind our back, more than a pass believes by itself."""
    token = admin_cloud("RegionOne").auth_token
    url = f"{appliance.url('admin')}/v1.0/reconcilers/networks/run?force=true"
    answer = requests.post(url, headers={"X-Auth-Token": token}, timeout=120)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["reconciler"]
    return found


def own_project(appliance: RealAppliance, region: str) -> Iterator[Project]:
    """A Keystone project with a member, cleaned up and deleted afterwards."""
    identity = admin_cloud("RegionOne").identity
    name = f"test-{uuid.uuid4().hex[:8]}"
    made = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(
        name=name, password="secret", domain_id="default", default_project_id=made.id
    )
    identity.assign_project_role_to_user(made.id, user, identity.find_role("member"))
    one = Project(made.id, name, cloud(name, "secret", name, region), appliance)
    try:
        yield one
    finally:
        try:
            _clean(one)
        finally:
            identity.delete_user(user)
            identity.delete_project(made.id)


def _clean(project: Project) -> None:
    """Delete what the test left, in each pod directly: a bug of ours must not hide it."""
    for region in ("Pod1", "Pod2"):
        tenant = project.at(region)
        for server in tenant.compute.servers():
            tenant.compute.delete_server(server, force=False)
        eventually(lambda t=tenant: not list(t.compute.servers()), 60)
        _clean_storage(tenant.block_storage)
        _clean_networks(project, region)
    if project.appliance.is_stretched:
        _clean_networks(project, "Central")
    for image in project.tenant.image.images(owner=project.id):
        project.tenant.image.delete_image(image)


def _clean_storage(block: Any) -> None:
    for backup in block.backups():
        block.delete_backup(backup)
    for transfer in block.transfers():
        block.delete_transfer(transfer)
    for made in block.group_snapshots():
        block.delete_group_snapshot(made)
    eventually(lambda: not list(block.backups()), 60)
    eventually(lambda: not list(block.group_snapshots()), 60)
    for group in block.groups():
        block.delete_group(group, delete_volumes=True)
    eventually(lambda: not list(block.groups()), 60)
    for snapshot in block.snapshots():
        block.delete_snapshot(snapshot)
    eventually(lambda: not list(block.snapshots()), 60)
    for volume in block.volumes():
        block.delete_volume(volume)


def _clean_networks(project: Project, region: str) -> None:
    network = admin_cloud(region).network
    for address in network.ips(project_id=project.id):
        network.delete_ip(address)
    if network.find_extension("l3-ndp-proxy"):  # OVN has none
        for proxy in network.ndp_proxies():
            if proxy.project_id == project.id:  # it is filtered by nothing
                network.delete_ndp_proxy(proxy)
    for router in network.routers(project_id=project.id):
        network.update_router(router, routes=[])  # an interface that a route needs stays
        for port in network.ports(device_id=router.id):
            for fixed in port.fixed_ips:
                network.remove_interface_from_router(router, fixed["subnet_id"])
        network.delete_router(router)
    for own in network.networks(project_id=project.id):
        for port in network.ports(network_id=own.id):
            network.delete_port(port)
        network.delete_network(own)
    for group in network.security_groups(project_id=project.id):
        network.delete_security_group(group)
    for group in network.address_groups(project_id=project.id):
        network.delete_address_group(group)
