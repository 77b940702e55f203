"""One cloud of fakes and one appliance for all tests; each test finds it with two fresh pods."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance import PASSWORD, Appliance, Client, operator
from fakes import Cloud, FakePod


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Below it are the state and the logs of every appliance of the session."""
    return tmp_path_factory.mktemp("appliances")


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    made = Cloud.start()
    made.keystone.password = PASSWORD
    for name in ("Pod1", "Pod2", "Pod3"):
        made.pod(name)
    return made


@pytest.fixture(scope="session")
def running(cloud: Cloud, folder: Path) -> Iterator[Appliance]:
    """The appliance, whatever the test before left in it."""
    (folder / "main").mkdir()
    made = Appliance(cloud, folder / "main")
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def bare(cloud: Cloud, running: Appliance) -> Appliance:
    """The appliance without any pod; the fakes are as new, and their ports too."""
    cloud.reset(move=True)
    running.start()
    admin = operator(running)
    for pod in admin.get("admin", "/v1.0/pods")["pods"]:
        path = f"/v1.0/pods/{pod['pod_id']}?force=true"
        assert admin.ask("DELETE", "admin", path).status_code == 200
    for name in ("flavors", "volume_types", "keypairs", "server_groups"):
        # a pass that is under way would bring the next pods what it read before
        assert admin.ask("POST", "admin", f"/v1.0/reconcilers/{name}/run").status_code == 200
    running.forget("definitions", "settled")  # they outlive pods
    return running


@pytest.fixture
def appliance(bare: Appliance) -> Appliance:
    """The appliance with the top region, Pod1 in az1 and Pod2 in az2."""
    admin = operator(bare)
    for name, zone in (("RegionOne", ""), ("Pod1", "az1"), ("Pod2", "az2")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        answer = admin.ask("POST", "admin", "/v1.0/pods", body)
        assert answer.status_code == 200, answer.text
    return bare


@pytest.fixture
def pod1(cloud: Cloud, appliance: Appliance) -> FakePod:
    return cloud.pod("Pod1")


@pytest.fixture
def pod2(cloud: Cloud, appliance: Appliance) -> FakePod:
    return cloud.pod("Pod2")


@pytest.fixture
def demo(cloud: Cloud, appliance: Appliance) -> Client:
    """A member of a project of its own."""
    project = cloud.keystone.project(f"project-{uuid.uuid4()}")
    return Client(appliance, project, cloud.keystone.token(project))


@pytest.fixture
def admin(bare: Appliance) -> Client:
    """The admin of the project "admin"."""
    return operator(bare)
