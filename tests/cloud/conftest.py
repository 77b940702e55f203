"""The lab, one appliance in front of it, and a Keystone project of its own for each test.

The appliance listens on free ports and is registered in a region of its own, so that a demo on
the same machine goes on undisturbed.
"""

from __future__ import annotations

import subprocess
import sys
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
    lab,
    own_project,
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
        f"telemetry.access_log={folder / 'access.jsonl'}",
        f"telemetry.audit_log={folder / 'audit.jsonl'}",
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
    yield from own_project(appliance, REGION)


@pytest.fixture
def other(appliance: RealAppliance) -> Iterator[Project]:
    """Another project with a member of its own."""
    yield from own_project(appliance, REGION)


@pytest.fixture
def spanning(stretched: RealAppliance) -> Iterator[Project]:
    """A project of this test's own, with networks that span pods."""
    yield from own_project(stretched, STRETCHED)
