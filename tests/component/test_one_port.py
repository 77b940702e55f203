"""One port for all faces: the first segment of a path is the face, and nothing else changes."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from appliance import BODY, FACES, Appliance, Client, eventually, free_ports, operator
from fakes import Cloud, FakePod
from test_servers import SERVERS


class Joint(Appliance):
    """An appliance whose image face has a port of its own besides."""

    def toml(self, more: dict[str, Any]) -> str:
        (self.port,) = free_ports(1)
        own = {f"faces.{face}.listen": "" for face in FACES if face != "image"}
        urls = {f"faces.{face}.url": self.public(face) for face in FACES}
        joint = {"faces.all.listen": f"tcp:{self.port}:interface=127.0.0.1"}
        return super().toml(own | urls | joint | more)

    def url(self, face: str) -> str:
        return f"http://127.0.0.1:{self.port}/{face}"

    def public(self, face: str) -> str:
        return f"http://localhost:{self.port}/{face}"

    def request(self, method: str, face: str, path: str, *more: Any, **how: Any) -> Any:
        """Links lead to the face's prefix, as the base class does by itself."""
        return super().request(method, face, path.removeprefix(self.public(face)), *more, **how)

    def bare(self, path: str, method: str = "GET", **more: Any) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=15, **more)


@pytest.fixture(scope="module")
def running_joint(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joint]:
    made = Joint(cloud, tmp_path_factory.mktemp("joint"))
    cloud.reset(move=True)
    made.start()
    admin = operator(made)
    for name, zone in (("RegionOne", ""), ("Pod1", "az1"), ("Pod2", "az2")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200
    yield made
    made.kill()


@pytest.fixture
def joint(running_joint: Joint, cloud: Cloud) -> Joint:
    cloud.reset()
    return running_joint


@pytest.fixture
def tenant(joint: Joint, cloud: Cloud) -> Client:
    project = cloud.keystone.project(f"project-{os.urandom(4).hex()}")
    return Client(joint, project, cloud.keystone.token(project))


def test_version_documents_lead_to_the_prefixes(joint: Joint) -> None:
    for face in FACES:
        if face == "admin":
            continue
        answer = joint.request("GET", face, "/")
        assert answer.status_code in (200, 300), (face, answer.text)
        (_, versions), *_ = answer.json().items()
        for version in versions:
            for link in version["links"]:
                if link["rel"] == "self":
                    assert link["href"].startswith(f"{joint.public(face)}/v"), (face, link)


def test_what_is_made_is_found_by_its_links_on_hot_and_long_ways(tenant: Client) -> None:
    joint = tenant.appliance
    wish = {"server": {"name": "n", "flavorRef": "1", "imageRef": os.urandom(16).hex()}}
    made = tenant.ask("POST", "compute", SERVERS, wish)
    server = made.json()["server"]["id"]
    assert made.status_code == 202
    assert made.headers["Location"] == f"{joint.public('compute')}{SERVERS}/{server}"
    shown = tenant.get("compute", made.headers["Location"])["server"]
    links = [link["href"] for link in shown["links"]]
    assert links and all(link.startswith(f"{joint.public('compute')}/") for link in links)
    other = tenant.server("az2")
    pages = list(tenant.walk("compute", f"{SERVERS}?limit=1"))
    assert sorted(sum(pages, [])) == sorted((server, other)) and len(pages) >= 2
    assert tenant.get("compute", f"{SERVERS}/{server}/metadata") == {"metadata": {}}
    volume, network = tenant.volume("az1"), tenant.network("az1")
    assert tenant.ids("volume", f"/v3/{tenant.project}/volumes") == [volume]
    assert network in tenant.ids("network", "/v2.0/networks")


def test_an_access_rule_is_for_the_path_without_the_prefix(tenant: Client, cloud: Cloud) -> None:
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    token = cloud.keystone.token(tenant.project, access_rules=rules)
    assert tenant.ask("GET", "compute", SERVERS, token=token).status_code == 200
    assert tenant.ask("GET", "compute", f"{SERVERS}/detail", token=token).status_code == 401
    under = [{"service": "compute", "method": "GET", "path": "/compute/v2.1/servers"}]
    token = cloud.keystone.token(tenant.project, access_rules=under)
    assert tenant.ask("GET", "compute", SERVERS, token=token).status_code == 401


def test_each_face_keeps_its_own_limits_and_errors(tenant: Client, cloud: Cloud) -> None:
    joint, large = tenant.appliance, os.urandom(3 * BODY)
    answer = tenant.ask("POST", "compute", SERVERS, data=large)
    assert (answer.status_code, list(answer.json())) == (413, ["overLimit"])
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    made = tenant.ask("POST", "image", "/v2/images", body)
    id = made.json()["id"]
    assert made.headers["Location"] == f"{joint.public('image')}/v2/images/{id}"
    kind = {"Content-Type": "application/octet-stream"}
    sent = tenant.ask("PUT", "image", f"/v2/images/{id}/file", data=large, headers=kind)
    assert sent.status_code == 204
    beside = f"http://127.0.0.1:{joint.ports['image']}/v2/images/{id}/file"
    for url in (beside, f"{joint.url('image')}/v2/images/{id}/file"):
        found = requests.get(url, headers={"X-Auth-Token": tenant.token}, timeout=15)
        assert found.content == large
    missing = tenant.ask("GET", "network", "/v2.0/networks/none")
    assert list(missing.json()) == ["NeutronError"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/", 401), ("/v2.1/servers", 401), ("/nova/v2.1/servers", 401)),
        *(("/healthcheck", 200), ("/compute/healthcheck", 200), ("/image/healthcheck", 200)),
        *(("/compute%2Fv2.1/servers", 400), ("/Compute/v2.1/servers", 401)),
        *(("/compute//v2.1/servers", 400), ("/compute/../admin/v1.0/pods", 400)),
    ],
)
def test_no_prefix_leads_nowhere(joint: Joint, path: str, status: int) -> None:
    with requests.Session() as session:
        asked = requests.Request("GET", "http://x/").prepare()
        asked.url = f"http://127.0.0.1:{joint.port}{path}"
        answer = session.send(asked, timeout=15, allow_redirects=False)
    assert answer.status_code == status
    token = {"X-Auth-Token": operator(joint).token}
    if status == 401:
        asked.headers.update(token)
        with requests.Session() as session:
            assert session.send(asked, timeout=15, allow_redirects=False).status_code == 404


def test_a_stop_closes_the_joint_port_when_what_runs_has_ended(
    cloud: Cloud, joint: Joint, tenant: Client
) -> None:
    pod: FakePod = cloud.pod("Pod1")
    tenant.server("az1")
    with requests.Session() as kept:
        headers = {"X-Auth-Token": tenant.token}
        assert kept.get(f"{joint.url('compute')}{SERVERS}", headers=headers, timeout=9).ok
        assert pod.calls
        joint.end()
    assert joint.process is not None and joint.process.returncode == 0
    assert "were not finished in time" not in joint.log()
    eventually(lambda: not joint.alive())
    joint.start()
