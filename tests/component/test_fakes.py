"""The fakes answer as the real services do, and fail when they are told to."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fakes import Call, Cloud, FakePod

CLOUD = None


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    global CLOUD
    CLOUD = CLOUD or Cloud.start()
    CLOUD.now = "2026-01-01T00:00:00"
    yield CLOUD
    CLOUD.reset()


@pytest.fixture
def pod(cloud: Cloud) -> FakePod:
    return cloud.pod("Pod1")


def ask(pod: FakePod, method: str, path: str, json: Any = None, **more: Any) -> requests.Response:
    """Call a service of a pod ("compute/v2.1/servers") as demo, or with another token."""
    service, _, rest = path.partition("/")
    token = more.pop("token", None) or pod.cloud.keystone.token("demo")
    headers = {"X-Auth-Token": token, **more.pop("headers", {})}
    url = f"{getattr(pod, service).url}/{rest}"
    return requests.request(method, url, json=json, headers=headers, timeout=5, **more)


def ids(answer: requests.Response, key: str) -> list[str]:
    return [row["id"] for row in answer.json()[key]]


def test_a_password_gives_a_scoped_token_that_can_be_validated(cloud: Cloud, pod: FakePod) -> None:
    url = f"{cloud.keystone.url}/v3"
    user = {"name": "trio2o", "domain": {"id": "default"}, "password": "secret"}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    answer = requests.post(
        f"{url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
    )
    assert answer.status_code == 201
    token = answer.headers["X-Subject-Token"]
    project = answer.json()["token"]["project"]["id"]
    urls = [e["url"] for s in answer.json()["token"]["catalog"] for e in s["endpoints"]]
    assert f"{pod.volume.url}/v3/{project}" in urls
    subject = cloud.keystone.token("demo")
    headers = {"X-Auth-Token": token, "X-Subject-Token": subject}
    assert requests.get(f"{url}/auth/tokens", headers=headers).json()["token"]["roles"]
    headers["X-Subject-Token"] = "unknown"
    assert requests.get(f"{url}/auth/tokens", headers=headers).status_code == 404
    assert requests.get(f"{url}/auth/tokens").status_code == 401
    user["password"] = "wrong"
    answer = requests.post(f"{url}/auth/tokens", json={"auth": {"identity": identity}})
    assert answer.status_code == 401
    assert cloud.keystone.counts["POST", "/v3/auth/tokens"] == 2


def test_a_face_can_be_registered_and_taken_out(cloud: Cloud) -> None:
    url = f"{cloud.keystone.url}/v3"
    headers = {"X-Auth-Token": cloud.keystone.token("admin", "admin", ["admin"])}
    answer = requests.post(
        f"{url}/services", json={"service": {"type": "compute"}}, headers=headers
    )
    row = {"service_id": answer.json()["service"]["id"], "region_id": "RegionOne"}
    row |= {"interface": "public", "url": "http://face"}
    made = requests.post(f"{url}/endpoints", json={"endpoint": row}, headers=headers)
    assert (answer.status_code, made.status_code) == (201, 201)
    one = f"{url}/endpoints/{made.json()['endpoint']['id']}"
    change = {"endpoint": {"url": "http://other"}}
    assert (
        requests.patch(one, json=change, headers=headers).json()["endpoint"]["url"][7:] == "other"
    )
    params = {"region_id": "RegionOne", "service_id": row["service_id"]}
    found = requests.get(f"{url}/endpoints", params=params, headers=headers).json()["endpoints"]
    assert len(found) == 1
    assert requests.delete(one, headers=headers).status_code == 204
    headers = {"X-Auth-Token": cloud.keystone.token("demo")}
    assert requests.delete(one, headers=headers).status_code in (403, 404)


def test_versions_and_microversions_are_told_as_nova_and_cinder_do(pod: FakePod) -> None:
    pod.compute_range = ("2.1", "2.60")
    document = requests.get(f"{pod.compute.url}/v2.1/").json()["version"]
    assert (document["min_version"], document["version"]) == ("2.1", "2.60")
    assert requests.get(f"{pod.volume.url}/").status_code == 300
    assert requests.get(f"{pod.network.url}/").json()["versions"][0]["id"] == "v2.0"
    name = "OpenStack-API-Version"
    for text, status in {"2.61": 406, "2.x": 400, "latest": 200}.items():
        headers = {name: f"compute {text}"}
        answer = ask(pod, "GET", "compute/v2.1/servers", headers=headers)
        assert answer.status_code == status
    assert answer.headers[name] == "compute 2.60"
    assert ask(pod, "GET", "compute/v2.1/servers", token="bad").status_code == 401


def test_servers_are_listed_in_order_and_in_pages(cloud: Cloud, pod: FakePod) -> None:
    pod.add_server("demo", "old", created="2025-01-01T00:00:00Z", id="0")
    pod.add_server("other", "hidden")
    for key in "cab":
        pod.add_server("demo", key, id=key)
    assert ids(ask(pod, "GET", "compute/v2.1/servers"), "servers") == ["a", "b", "c", "0"]
    answer = ask(pod, "GET", "compute/v2.1/servers/detail?limit=2")
    assert ids(answer, "servers") == ["a", "b"]
    assert "marker=b" in answer.json()["servers_links"][0]["href"]
    assert ask(pod, "DELETE", "compute/v2.1/servers/b").status_code == 204
    answer = ask(pod, "GET", "compute/v2.1/servers?marker=b")
    assert ids(answer, "servers") == ["c", "0"]
    assert ask(pod, "GET", "compute/v2.1/servers?marker=x").status_code == 400
    assert "itemNotFound" in ask(pod, "GET", "compute/v2.1/servers/b").json()
    assert ask(pod, "GET", "compute/v2.1/servers?all_tenants=1").status_code == 403
    pod.page_cap = 1
    assert "servers_links" in ask(pod, "GET", "compute/v2.1/servers").json()


def test_a_server_lives_and_takes_a_volume(cloud: Cloud, pod: FakePod) -> None:
    body = {"server": {"name": "one", "flavorRef": "1", "metadata": {"a": "b"}}}
    answer = ask(pod, "POST", "compute/v2.1/servers", body)
    one = "compute/v2.1/servers/" + answer.json()["server"]["id"]
    assert (answer.status_code, pod.calls_to("POST")[-1].json) == (202, body)
    assert "pod-internal.example" in answer.headers["Location"]
    project = cloud.keystone.project("demo")
    created = ask(pod, "POST", f"volume/v3/{project}/volumes", {"volume": {"size": 1}})
    volume = created.json()["volume"]["id"]
    wish = {"volumeAttachment": {"volumeId": volume}}
    assert ask(pod, "POST", f"{one}/os-volume_attachments", wish).status_code == 200
    shown = ask(pod, "GET", f"volume/v3/{project}/volumes/{volume}").json()["volume"]
    assert (created.status_code, shown["status"]) == (202, "in-use")
    assert ask(pod, "DELETE", f"{one}/os-volume_attachments/{volume}").status_code == 202
    assert ask(pod, "POST", f"{one}/action", {"os-stop": None}).status_code == 202
    server = ask(pod, "GET", one).json()["server"]
    assert (server["status"], server["flavor"]["id"]) == ("SHUTOFF", "1")
    new = ask(pod, "GET", one, headers={"OpenStack-API-Version": "compute 2.47"}).json()["server"]
    assert new["flavor"]["original_name"] == "m1.tiny"
    assert ask(pod, "POST", f"{one}/metadata", {"metadata": {"c": "d"}}).json() == {
        "metadata": {"a": "b", "c": "d"}
    }
    assert ask(pod, "GET", f"{one}/os-instance-actions").json()["instanceActions"]
    answer = ask(pod, "POST", "compute/v2.1/servers", data=b"{", headers={})
    assert "badRequest" in answer.json()


def test_flavors_are_made_refused_and_removed(cloud: Cloud, pod: FakePod) -> None:
    admin = cloud.keystone.token("admin", "admin", ["admin"])
    body = {"flavor": {"id": "x", "name": "x", "ram": 1, "vcpus": 1, "disk": 1}}

    def make(token: str) -> int:
        return ask(pod, "POST", "compute/v2.1/flavors", body, token=token).status_code

    assert [make(cloud.keystone.token("demo")), make(admin), make(admin)] == [403, 200, 409]
    assert ids(ask(pod, "GET", "compute/v2.1/flavors"), "flavors") == ["1", "x"]
    assert ask(pod, "DELETE", "compute/v2.1/flavors/x", token=admin).status_code == 202
    pod.refuse = 403
    assert make(admin) == 403


def test_volumes_and_snapshots_are_listed_newest_first(cloud: Cloud, pod: FakePod) -> None:
    for key in "acb":
        pod.add_volume("demo", id=key)
    answer = ask(pod, "GET", "volume/v3/volumes/detail?limit=2")
    assert (ids(answer, "volumes"), "volumes_links" in answer.json()) == (["c", "b"], True)
    assert ids(ask(pod, "GET", "volume/v3/volumes?offset=2"), "volumes") == ["a"]
    assert ask(pod, "GET", "volume/v3/volumes?marker=x").status_code == 404
    answer = ask(pod, "POST", "volume/v3/snapshots", {"snapshot": {"volume_id": "a"}})
    assert answer.json()["snapshot"]["size"] == 1
    assert ask(pod, "DELETE", "volume/v3/volumes/b").status_code == 202
    assert "itemNotFound" in ask(pod, "GET", "volume/v3/volumes/b").json()


def test_neutron_keeps_any_collection(cloud: Cloud, pod: FakePod) -> None:
    pod.add_network("demo", id="n1")
    bulk = {"networks": [{"name": "x"}, {"name": "y"}]}
    assert len(ask(pod, "POST", "network/v2.0/networks", bulk).json()["networks"]) == 2
    answer = ask(pod, "GET", "network/v2.0/networks?name=x&name=y&fields=name")
    assert sorted(row["name"] for row in answer.json()["networks"]) == ["x", "y"]
    assert "networks_links" in ask(pod, "GET", "network/v2.0/networks?limit=1").json()
    wish = {"subnet": {"network_id": "n1", "gateway_ip": "10.0.0.1"}}
    subnet = ask(pod, "POST", "network/v2.0/subnets", wish).json()["subnet"]["id"]
    router = ask(pod, "POST", "network/v2.0/routers", {"router": {}}).json()["router"]["id"]
    path = f"network/v2.0/routers/{router}/add_router_interface"
    assert ask(pod, "PUT", path, {"subnet_id": subnet}).json()["port_id"] in pod.rows["ports"]
    rule = {"security_group_rule": {"direction": "ingress"}}
    assert ask(pod, "POST", "network/v2.0/security-group-rules", rule).status_code == 201
    answer = ask(pod, "GET", "network/v2.0/networks/zzz")
    assert answer.json()["NeutronError"]["type"] == "NetworkNotFound"


def test_a_pod_fails_in_the_ways_it_is_told(cloud: Cloud, pod: FakePod) -> None:
    path, body = "compute/v2.1/servers", {"server": {"name": "n", "flavorRef": "1"}}
    pod.reset_after_request = True
    with pytest.raises(requests.ConnectionError):
        ask(pod, "POST", path, body)
    assert len(pod.rows["servers"]) == 1
    pod.reset_after_request = False
    pod.fail, pod.when = (503, b"no"), lambda call: isinstance(call, Call) and call.method == "PUT"
    assert ask(pod, "GET", path).status_code == 200
    assert ask(pod, "PUT", path).content == b"no"
    pod.when = pod.fail = None
    heard: list[tuple[str, str, int]] = []
    pod.before_answer = lambda *args: heard.append((*args, len(pod.rows["servers"])))
    pod.set_cookie = "a=b"
    assert ask(pod, "POST", path, body).cookies["a"] == "b"
    assert heard == [("POST", "/v2.1/servers", 2)]
    pod.serve_redirect = "http://elsewhere.example/"
    assert ask(pod, "GET", path, allow_redirects=False).status_code == 302
    pod.clear_faults()
    pod.hang = True
    with pytest.raises(requests.Timeout):
        requests.get(pod.compute.url, timeout=0.2)
    pod.hang = False
    cloud.keystone.down = True
    with pytest.raises(requests.ConnectionError):
        requests.get(cloud.keystone.url, timeout=1)


def test_a_pod_goes_down_and_comes_up_at_the_same_port(pod: FakePod) -> None:
    with requests.Session() as kept:
        kept.get(pod.compute.url)
        pod.down()
        with pytest.raises(requests.ConnectionError):
            kept.get(pod.compute.url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", pod.compute.port), timeout=1)
        pod.up()
        assert kept.get(pod.compute.url).status_code == 200
