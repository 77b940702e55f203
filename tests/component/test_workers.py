"""`--workers`: several processes on one port, one store and one lease; each may die at any time."""

import os
import re
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from appliance import Appliance, Client, eventually, operator
from authority import Authority
from fakes import Cloud
from test_running import activate
from test_servers import SERVERS
from test_tls import served

RECONCILERS = "/v1.0/reconcilers"
LEASE = 2.0


def children(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def writes(pid: int) -> bool:
    """Whether a process holds the lock of SQLite's one writer."""
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(("POSIX", "WRITE", str(pid)) == (words[1], words[3], words[4]) for words in lines)


class Many(Appliance):
    """An appliance of three workers."""

    def start(self) -> None:
        """Connections are taken from the first moment, and answered when the workers are up."""
        if not self.alive():
            before = self.log().count("3 workers serve")
            self.launch()
            eventually(lambda: self.log().count("3 workers serve") > before, 120)
        super().start()

    @property
    def workers(self) -> list[int]:
        assert self.process is not None
        return children(self.process.pid)

    def kill(self) -> None:
        """All of them at once, the parent first: it would start others."""
        left = self.workers if self.alive() else []
        super().kill()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())

    @contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """The others are stopped, so that this one accepts."""
        others = [pid for pid in self.workers if pid != worker]
        try:
            while True:
                for pid in others:
                    os.kill(pid, signal.SIGSTOP)
                eventually(lambda: all(state(pid) == "T" for pid in others))
                if not any(writes(pid) for pid in others):
                    break
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def three(cloud: Cloud, folder: Path) -> Iterator[Many]:
    (folder / "three").mkdir()
    made = Many(cloud, folder / "three", **{"service.workers": 3, "reconcile.lease": LEASE})
    yield made
    made.kill()


@pytest.fixture
def many(cloud: Cloud, three: Many) -> Many:
    """Three workers that know Pod1 and Pod2."""
    cloud.reset()
    three.start()
    admin = operator(three)
    if not admin.get("admin", "/v1.0/pods")["pods"]:
        for name, zone in (("RegionOne", ""), ("Pod1", "az1"), ("Pod2", "az2")):
            body = {"pod": {"pod_name": name, "az_name": zone}}
            assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200
    admin.ask("PUT", "admin", "/v1.0/pods/Pod1", {"pod": {"state": "active"}})
    eventually(lambda: all(known(three, pid, admin) for pid in three.workers), 1.5)
    return three


def known(many: Many, worker: int, admin: Client) -> bool:
    with many.only(worker):
        pods = admin.get("admin", "/v1.0/pods")["pods"]
        return [pod["state"] for pod in pods] == ["active"] * 3


def member(many: Many) -> Client:
    project = many.cloud.keystone.project(f"project-{os.urandom(4).hex()}")
    return Client(many, project, many.cloud.keystone.token(project))


def holder(admin: Client) -> int:
    """The process that runs the reconcilers, as any tells."""
    return int(admin.get("admin", RECONCILERS)["holder"].split(":")[1])


def test_what_one_worker_records_the_others_know(many: Many, cloud: Cloud) -> None:
    demo, pod1 = member(many), cloud.pod("Pod1")
    first, second, third = many.workers
    with many.only(first):
        server = demo.server("az1")
    since = len(pod1.calls)
    with many.only(second):
        assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server
        assert demo.ask("DELETE", "compute", f"{SERVERS}/{server}").status_code == 204
        assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404
    pod1.down()
    for worker in (first, third):
        with many.only(worker):
            assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404
    pod1.up()
    assert not [call for call in pod1.calls[since:] if call.header("X-Service-Token")]


def test_a_pod_that_one_worker_drains_takes_nothing_new_from_any(many: Many) -> None:
    admin, demo = operator(many), member(many)
    first, *others = many.workers
    demo.server("az1")
    with many.only(first):
        body = {"pod": {"state": "maintenance"}}
        assert admin.ask("PUT", "admin", "/v1.0/pods/Pod1", body).status_code == 200
    time.sleep(1)
    for worker in others:
        with many.only(worker):
            assert admin.get("admin", "/v1.0/pods/Pod1")["pod"]["state"] == "maintenance"
            wish = {"server": {"name": "n", "flavorRef": "1", "availability_zone": "az1"}}
            assert demo.ask("POST", "compute", SERVERS, wish).status_code == 503


def test_a_pass_can_be_asked_for_at_any_worker_and_is_made_by_the_holder(many: Many) -> None:
    admin = operator(many)
    holds = eventually(lambda: holder(admin))
    for worker in many.workers:
        with ThreadPoolExecutor(1) as threads:
            with many.only(worker):  # it accepts, and the holder goes on afterwards
                asked = threads.submit(admin.ask, "POST", "admin", f"{RECONCILERS}/routes/run")
                time.sleep(0.2)
            answer = asked.result(10)
        assert answer.status_code == 200, answer.text
        shown = answer.json()["reconciler"]
        assert shown["last"] and shown["error"] == "" and shown["looked"] == 0
    assert holder(admin) == holds


def test_the_metrics_of_all_workers_are_told_by_any(many: Many) -> None:
    demo, admin = member(many), operator(many)
    line = re.compile(
        r'^trio2o_requests_total\{face="volume",operation="GET /v3/snapshots",[^}]*\} ([\d.]+)$',
        re.MULTILINE,
    )

    def told(worker: int) -> float:
        with many.only(worker):
            text = admin.ask("GET", "admin", "/metrics").text
        assert 'trio2o_pod_breaker_open{pod="Pod1",service="compute"} 0.0' in text
        return sum(map(float, line.findall(text)))

    before = told(many.workers[0])
    for worker in many.workers:
        with many.only(worker):
            assert demo.ask("GET", "volume", f"/v3/{demo.project}/snapshots").status_code == 200
    # what another worker counted is told some two seconds later
    eventually(lambda: [told(worker) for worker in many.workers] == [before + 3] * 3)


def test_a_worker_that_dies_has_a_successor_and_so_has_its_lease(many: Many) -> None:
    admin = operator(many)
    holds = eventually(lambda: holder(admin))
    assert holds in many.workers
    os.kill(holds, signal.SIGKILL)
    died = time.monotonic()
    eventually(lambda: holder(admin) not in (0, holds), 10)
    assert time.monotonic() - died < LEASE + 0.5
    eventually(lambda: len(many.workers) == 3 and holds not in many.workers)
    assert admin.ask("POST", "admin", f"{RECONCILERS}/keypairs/run").status_code == 200


def test_a_stop_lets_the_calls_of_all_workers_finish(many: Many, cloud: Cloud) -> None:
    demo, pods = member(many), [cloud.pod("Pod1"), cloud.pod("Pod2")]
    for pod in pods:
        pod.delay = 0.7
    with ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(demo.server, ("az1", "az2")[n % 2]) for n in range(12)]
        eventually(lambda: sum(len(pod.calls_to("POST")) for pod in pods) == 12)
        many.end()
        servers = {one.result(5) for one in asked}
    assert many.process is not None and many.process.returncode == 0
    assert servers == {id for pod in pods for id in pod.rows["servers"]}
    assert len(servers) == 12


def test_workers_end_with_their_parent_and_leave_the_state_to_the_next(many: Many) -> None:
    workers = many.workers
    with many.ending:
        assert many.process is not None
        many.process.kill()
        many.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    many.start()
    assert len(operator(many).get("admin", "/v1.0/pods")["pods"]) == 3


def test_a_worker_alone_keeps_others_from_the_state(many: Many) -> None:
    worker = many.workers[0]
    os.kill(worker, signal.SIGSTOP)
    with many.ending:
        assert many.process is not None
        many.process.kill()
        many.process.wait()
    try:
        many.launch()
        assert many.process.wait(20) == 1
        assert f"another process uses {many.folder / 'state'}" in many.log()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_start_that_fails_ends_with_an_error(cloud: Cloud, tmp_path: Path) -> None:
    wrong = {"service.workers": 2, "identity.policy_file": "/nonexistent/policy.yaml"}
    broken = Appliance(cloud, tmp_path, **wrong)
    broken.launch()
    assert broken.process is not None and broken.process.wait(30) == 1
    assert "cannot start" in broken.log()


def test_calls_go_on_while_workers_die(many: Many, cloud: Cloud) -> None:
    demo = member(many)
    server = demo.server("az1")
    lost = 0
    for round in range(3):
        victim = many.workers[round % len(many.workers)]
        os.kill(victim, signal.SIGKILL)
        for _ in range(20):
            try:
                assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 200
            except requests.ConnectionError:
                lost += 1  # it was the dead worker's
        eventually(lambda: len(many.workers) == 3)
    assert lost <= 3
    assert cloud.pod("Pod1").rows["servers"].keys() == {server}


def test_workers_share_systemds_sockets_with_tls_and_read_certificates_again(
    cloud: Cloud, tmp_path: Path
) -> None:
    authority, two = Authority(tmp_path), Appliance(cloud, tmp_path)
    settings: dict[str, Any] = {"service.workers": 2}
    settings["faces.compute.certificate"] = str(authority.issue("face.pem", "localhost"))
    sockets = []
    for face, port in two.ports.items():
        sockets.append(socket.create_server(("127.0.0.1", port), backlog=512))
        settings[f"faces.{face}.listen"] = f"systemd:domain=INET:name={face}"
    two.config.write_text(two.toml(settings))
    port = two.ports["compute"]

    def shown() -> set[bytes]:
        return {served(port, authority) for _ in range(12)}

    try:
        activate(two, sockets)
        eventually(lambda: "2 workers serve" in two.log(), 60)
        assert two.process is not None
        workers = children(two.process.pid)
        assert two.request("GET", "volume", "/healthcheck").status_code == 200  # has no TLS
        by_each = set()
        for stopped in workers:
            os.kill(stopped, signal.SIGSTOP)
            try:
                eventually(lambda stopped=stopped: state(stopped) == "T")
                by_each |= shown()
            finally:
                os.kill(stopped, signal.SIGCONT)
        (first,) = by_each
        authority.issue("face.pem", "localhost")
        two.process.send_signal(signal.SIGHUP)
        eventually(lambda: first not in shown())
        assert children(two.process.pid) == workers

        two.end()  # sockets stay systemd's: who connects meanwhile waits for the next
        with socket.create_connection(("127.0.0.1", port), 5) as early:
            activate(two, sockets)
            context = ssl.create_default_context(cafile=str(authority.ca_file))
            early.settimeout(60)
            with context.wrap_socket(early, server_hostname="localhost") as link:
                link.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: a\r\n\r\n")
                assert link.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        two.end()
        for one in sockets:
            one.close()
