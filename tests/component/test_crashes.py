"""kill -9: what a pod accepted is found again, once, whatever happened to the appliance."""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from appliance import Appliance, Client, eventually
from fakes import Cloud, FakePod
from test_admin_api import BINDINGS, pod_of
from test_servers import SERVERS, wish


def die_at_create(pod: FakePod, appliance: Appliance) -> None:
    """The appliance is killed when the pod has made something and has not yet answered."""

    def kill(method: str, path: str) -> None:
        if method == "POST":
            appliance.kill()

    pod.before_answer = kill


@pytest.mark.parametrize("first", ["show", "list", "delete"])
def test_a_server_made_by_a_call_that_never_ended_is_found(
    demo: Client, admin: Client, appliance: Appliance, pod2: FakePod, first: str
) -> None:
    die_at_create(pod2, appliance)
    with pytest.raises(requests.ConnectionError):
        demo.ask("POST", "compute", SERVERS, wish(availability_zone="az2"))
    pod2.before_answer = None
    (server,) = pod2.rows["servers"]
    appliance.start()
    (binding,) = admin.get("admin", BINDINGS)["pod_bindings"]
    assert binding["tenant_id"] == demo.project
    assert binding["pod_id"] == pod_of(admin, "Pod2")["pod_id"]
    path = f"{SERVERS}/{server}"
    if first == "show":
        assert demo.get("compute", path)["server"]["OS-EXT-AZ:availability_zone"] == "az2"
    if first == "list":
        assert demo.ids("compute", SERVERS) == [server]
        assert demo.ids("compute", f"{SERVERS}?marker={server}") == []
    assert len(pod2.calls_to("POST")) == 1
    assert demo.ask("DELETE", "compute", path).status_code == 204
    assert demo.ids("compute", SERVERS) == []
    assert demo.ask("GET", "compute", path).status_code == 404


def test_a_volume_made_by_a_call_that_never_ended_is_found(
    demo: Client, admin: Client, appliance: Appliance, pod1: FakePod
) -> None:
    die_at_create(pod1, appliance)
    path = f"/v3/{demo.project}/volumes"
    with pytest.raises(requests.ConnectionError):
        demo.ask("POST", "volume", path, {"volume": {"size": 1, "availability_zone": "az1"}})
    pod1.before_answer = None
    (volume,) = pod1.rows["volumes"]
    appliance.start()
    bound = admin.get("admin", BINDINGS)["pod_bindings"]
    assert [row["tenant_id"] for row in bound] == [demo.project]
    assert demo.ids("volume", path) == [volume]
    assert demo.get("volume", f"{path}/{volume}")["volume"]["availability_zone"] == "az1"
    server = demo.server(block_device_mapping_v2=[{"uuid": volume, "source_type": "volume"}])
    assert server in pod1.rows["servers"]
    assert demo.ask("DELETE", "compute", f"{SERVERS}/{server}").status_code == 204
    assert demo.ask("DELETE", "volume", f"{path}/{volume}").status_code == 202
    assert len(pod1.calls_to("POST", "volumes$")) == 1


def test_what_was_acknowledged_survives_a_kill(
    demo: Client, admin: Client, appliance: Appliance, pod1: FakePod, pod2: FakePod
) -> None:
    server, volume, network = demo.server("az1"), demo.volume("az2"), demo.network("az2")
    pods = [pod | {"health": {}} for pod in admin.get("admin", "/v1.0/pods")["pods"]]
    bound = admin.get("admin", BINDINGS)
    appliance.kill()
    appliance.start()
    again = admin.get("admin", "/v1.0/pods")["pods"]
    assert [pod | {"health": {}} for pod in again] == pods
    assert admin.get("admin", BINDINGS) == bound
    since = len(pod1.calls), len(pod2.calls)
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server
    assert demo.get("volume", f"/v3/{demo.project}/volumes/{volume}")["volume"]["id"] == volume
    assert demo.get("network", f"/v2.0/networks/{network}")["network"]["id"] == network
    calls = [*pod1.calls[since[0] :], *pod2.calls[since[1] :]]
    assert not [call for call in calls if call.header("X-Service-Token")]  # routes were kept


def test_a_delete_that_never_ended_has_happened(
    demo: Client, appliance: Appliance, pod1: FakePod
) -> None:
    server = demo.server("az1")
    pod1.before_answer = lambda method, path: method == "DELETE" and appliance.kill()
    with pytest.raises(requests.ConnectionError):
        demo.ask("DELETE", "compute", f"{SERVERS}/{server}")
    pod1.before_answer = None
    appliance.start()
    assert demo.ids("compute", SERVERS) == []
    assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404
    assert demo.ask("DELETE", "compute", f"{SERVERS}/{server}").status_code == 404


def test_a_pod_is_added_whole_or_not_at_all(bare: Appliance, admin: Client, cloud: Cloud) -> None:
    # killed while it asks the new pod for its versions
    cloud.pod("Pod1").before_answer = lambda method, path: bare.kill()
    with pytest.raises(requests.ConnectionError):
        admin.ask("POST", "admin", "/v1.0/pods", {"pod": {"pod_name": "Pod1", "az_name": "az1"}})
    cloud.pod("Pod1").before_answer = None
    bare.start()
    pods = admin.get("admin", "/v1.0/pods")["pods"]
    assert [pod["pod_name"] for pod in pods] in ([], ["Pod1"])
    aggregates = admin.get("compute", "/v2.1/os-aggregates")["aggregates"]
    assert [row["name"] for row in aggregates] == [f"ag_{pod['pod_name']}" for pod in pods]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_acknowledged_create_is_lost_or_doubled_by_kills_under_load(
    demo: Client, appliance: Appliance, pod1: FakePod, pod2: FakePod, seed: int
) -> None:
    chance, over = random.Random(seed), threading.Event()
    acknowledged: dict[str, str] = {}  # name -> id

    def create(worker: int) -> None:
        for number in range(1000):
            if over.is_set():
                return
            name = f"{worker}-{number}-{uuid.uuid4()}"
            zone = ("az1", "az2")[number % 2]
            try:
                body = wish(name=name, availability_zone=zone)
                answer = demo.ask("POST", "compute", SERVERS, body, timeout=10)
            except requests.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code == 202:
                acknowledged[name] = answer.json()["server"]["id"]

    with ThreadPoolExecutor(4) as threads:
        try:
            workers = [threads.submit(create, number) for number in range(4)]
            for some in (2, 4):
                eventually(lambda some=some: len(acknowledged) >= some, 30)
                time.sleep(chance.random() / 3)
                appliance.kill()
                if some == 2:
                    appliance.start()
        finally:
            over.set()
        for worker in workers:
            worker.result()
    appliance.start()
    made = {id: row["name"] for pod in (pod1, pod2) for id, row in pod.rows["servers"].items()}
    assert len(acknowledged) >= 4
    assert set(acknowledged.values()) <= set(made)
    assert len(set(made.values())) == len(made)  # none was made twice
    listed = demo.ids("compute", SERVERS)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(made)
    pages = [id for page in demo.walk("compute", f"{SERVERS}?limit=7") for id in page]
    assert sorted(pages) == sorted(made)
    for id in chance.sample(sorted(made), min(20, len(made))):
        assert demo.get("compute", f"{SERVERS}/{id}")["server"]["name"] == made[id]


def test_a_stop_lets_calls_finish(demo: Client, appliance: Appliance, pod1: FakePod) -> None:
    pod1.delay = 0.5
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(demo.server, "az1")
        while not pod1.calls_to("POST"):
            assert not asked.done(), asked.result()
            time.sleep(0.01)
        appliance.end()
        server = asked.result(5)
    assert appliance.process is not None and appliance.process.returncode == 0
    assert list(pod1.rows["servers"]) == [server]
    pod1.delay = 0
    appliance.start()
    since = len(pod1.calls)
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server
    assert not [call for call in pod1.calls[since:] if call.header("X-Service-Token")]
