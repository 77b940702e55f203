"""The lab, one appliance in front of it, and a Keystone project of its own for each test.

The appliance listens on free ports and is registered in a region of its own, so that a demo on
the same machine goes on undisturbed.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import FACES, free_ports
from tenants import (
    KEYSTONE,
    REGION,
    STRETCHED,
    Project,
    RealAppliance,
    admin_cloud,
    cloud,
    eventually,
    lab,
)

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.cloud)


@pytest.fixture(scope="session")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    """The lab with two pods, and the appliance registered in front of it."""
    yield from _running(tmp_path_factory.mktemp("appliance"), REGION)


@pytest.fixture(scope="session")
def stretched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAppliance]:
    """The same with networks that span pods, in a region of its own."""
    yield from _running(
        tmp_path_factory.mktemp("stretched"),
        STRETCHED,
        "network.mode=stretched",
        "network.claim_seconds=60",
        "reconcile.interval=3600",
        "pods.timeout=60",
    )


def _running(folder: Path, region: str, *more: str) -> Iterator[RealAppliance]:
    lab("up")
    one = RealAppliance(folder, dict(zip(FACES, free_ports(len(FACES)), strict=True)))
    given = [
        f"service.state={folder / 'state'}",
        f"service.region={region}",
        "identity.password=trio2o",
        "pods.refresh=5",
        "pods.timeout=20",
        *more,
    ]
    for face, port in one.ports.items():
        given += [f"faces.{face}.listen=tcp:{port}:interface=127.0.0.1"]
        given += [f"faces.{face}.url=http://127.0.0.1:{port}"]
    made = subprocess.run(
        [sys.executable, "-m", "trio2o.commands", "init", "-o", one.config]
        + [word for item in given for word in ("--set", item)],
        check=False,
    )
    assert made.returncode == 0
    one.start()
    try:
        for arguments in (
            ("register",),
            ("pod", "add", region),
            ("pod", "add", "Pod1", "--az", "az1"),
            ("pod", "add", "Pod2", "--az", "az2"),
        ):
            done = one.command(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        _add_identity(region)
        yield one
    finally:
        one.end()
        _unregister(region)


def _add_identity(region: str) -> None:
    """Keystone is in the tenants' region already where Trio2o is set up for real."""
    identity = admin_cloud("RegionOne").identity
    service = next(iter(identity.services(type="identity")))
    identity.create_endpoint(
        service_id=service.id, interface="public", url=KEYSTONE, region_id=region
    )


def _unregister(region: str) -> None:
    """Take the test's region out of Keystone again."""
    identity = admin_cloud("RegionOne").identity
    for endpoint in list(identity.endpoints(region_id=region)):
        identity.delete_endpoint(endpoint)
    identity.delete_region(region)


@pytest.fixture
def project(appliance: RealAppliance) -> Iterator[Project]:
    """A project of this test's own."""
    yield from _own_project(appliance, REGION)


@pytest.fixture
def spanning(stretched: RealAppliance) -> Iterator[Project]:
    """A project of this test's own, with networks that span pods."""
    yield from _own_project(stretched, STRETCHED)


def _own_project(appliance: RealAppliance, region: str) -> Iterator[Project]:
    identity = admin_cloud("RegionOne").identity
    name = f"test-{uuid.uuid4().hex[:8]}"
    made = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(
        name=name, password="secret", domain_id="default", default_project_id=made.id
    )
    identity.assign_project_role_to_user(made.id, user, identity.find_role("member"))
    one = Project(made.id, name, cloud(name, "secret", name, region), appliance)
    yield one
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
        for snapshot in tenant.block_storage.snapshots():
            tenant.block_storage.delete_snapshot(snapshot)
        eventually(lambda t=tenant: not list(t.block_storage.snapshots()), 60)
        for volume in tenant.block_storage.volumes():
            tenant.block_storage.delete_volume(volume)
        _clean_networks(project, region)
    if project.appliance.is_stretched:
        _clean_networks(project, "Central")
    for image in project.tenant.image.images(owner=project.id):
        project.tenant.image.delete_image(image)


def _clean_networks(project: Project, region: str) -> None:
    network = admin_cloud(region).network
    for address in network.ips(project_id=project.id):
        network.delete_ip(address)
    for router in network.routers(project_id=project.id):
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
