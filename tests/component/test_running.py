"""The appliance as a service: health, draining, reloading, systemd, one socket over a restart."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from appliance import FACES, TRIO2O, Appliance, Client, eventually, operator
from fake_http import Row
from fakes import Cloud, FakePod


@pytest.fixture
def own(cloud: Cloud, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance of the test's own, with Pod1 in az1; started by the test or by `begin`."""
    cloud.reset(move=True)
    made = Appliance(cloud, tmp_path)
    yield made
    made.kill()


def begin(own: Appliance) -> Client:
    """Start it; a member of a project."""
    own.start()
    add_pods(own)
    project = own.cloud.keystone.project("running")
    return Client(own, project, own.cloud.keystone.token(project))


def add_pods(own: Appliance) -> None:
    for name, zone in (("RegionOne", ""), ("Pod1", "az1")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert operator(own).ask("POST", "admin", "/v1.0/pods", body).status_code == 200


def change(own: Appliance, **settings: str) -> None:
    """Other settings in its file, and a SIGHUP; returns when they were taken over."""
    before = own.log().count("settings were read again")
    own.config.write_text(own.toml(settings))
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    eventually(lambda: own.log().count("settings were read again") > before)


@pytest.mark.parametrize("face", FACES)
def test_every_face_says_that_it_is_well(appliance: Appliance, face: str) -> None:
    answer = appliance.request("GET", face, "/healthcheck")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert appliance.request("HEAD", face, "/healthcheck").status_code == 204
    accepts = {"Accept": "application/json"}
    answer = appliance.request("GET", face, "/healthcheck", headers=accepts)
    assert answer.json() == {"detailed": False, "reasons": ["OK"]}


def test_each_pod_is_ready_or_not(appliance: Appliance, pod2: FakePod) -> None:
    def ready(name: str) -> bool:
        answer = appliance.request("GET", "admin", f"/healthcheck/pods/{name}")
        assert answer.json()["pod"]["ready"] is (answer.status_code == 200)
        return answer.status_code == 200

    assert eventually(lambda: ready("Pod1") and ready("Pod2"))
    pod2.down()
    assert eventually(lambda: not ready("Pod2"))
    listed = appliance.request("GET", "admin", "/healthcheck/pods").json()["pods"]
    assert [(pod["pod_name"], pod["ready"]) for pod in listed] == [("Pod1", True), ("Pod2", False)]
    services = listed[1]["services"].values()
    assert "down" in services and "absent" not in services  # it is heard of one after the other
    assert appliance.request("GET", "admin", "/healthcheck/pods/Pod9").status_code == 404


def test_an_operators_file_takes_it_out_of_service_and_calls_go_on(own: Appliance) -> None:
    client = begin(own)
    flag = own.folder / "disabled"
    change(own, **{"service.disable_file": str(flag)})
    flag.touch()
    answer = own.request("GET", "compute", "/healthcheck")
    assert (answer.status_code, answer.text) == (503, "DISABLED BY FILE")
    assert own.request("HEAD", "compute", "/healthcheck").status_code == 503
    assert client.get("compute", "/v2.1/servers") == {"servers": []}
    flag.unlink()
    assert own.request("GET", "compute", "/healthcheck").status_code == 200


def test_a_stop_says_so_first_then_finishes_what_is_in_flight(own: Appliance, cloud: Cloud) -> None:
    own.config.write_text(own.toml({"service.drain": 1.0, "service.shutdown": 10.0}))
    client = begin(own)
    cloud.pod("Pod1").delay = 0.8
    made: list[str] = []
    creates = threading.Thread(target=lambda: made.append(client.server("az1")))
    creates.start()
    time.sleep(0.3)
    assert own.process is not None
    own.process.send_signal(signal.SIGTERM)
    eventually(lambda: own.request("GET", "image", "/healthcheck").text == "DRAINING")
    assert own.request("HEAD", "image", "/healthcheck").status_code == 503
    creates.join()
    assert own.process.wait(5) == 0
    assert len(made) == 1
    assert "calls in flight are finished first" in own.log()


def test_a_call_that_comes_on_an_open_connection_while_it_stops_is_served_and_the_last_one(
    own: Appliance,
) -> None:
    client = begin(own)
    session = requests.Session()
    url, headers = own.url("compute") + "/v2.1/servers", {"X-Auth-Token": client.token}
    assert session.get(url, headers=headers).headers.get("Connection") != "close"
    assert own.process is not None
    own.process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(own))
    answer = session.get(url, headers=headers)
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
    assert own.process.wait(5) == 0


def refuses(own: Appliance) -> bool:
    try:
        socket.create_connection(("127.0.0.1", own.ports["compute"]), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_hangs_is_given_up_at_the_limit(own: Appliance, cloud: Cloud) -> None:
    client = begin(own)
    cloud.pod("Pod1").delay = 30.0
    thread = threading.Thread(target=lambda: ignore(client), daemon=True)
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    own.end()
    assert time.monotonic() - begun < 5  # service.shutdown is 2
    assert "calls in flight were not finished in time" in own.log()


def ignore(client: Client) -> None:
    with suppress(requests.RequestException, AssertionError):
        client.server("az1")


def test_a_reload_takes_over_what_may_change_and_says_what_may_not(own: Appliance) -> None:
    client = begin(own)
    big = {"server": {"name": "x" * 5000}}
    policy = own.folder / "policy.yaml"
    policy.write_text('"admin_api:pods:list": "role:member"\n')
    assert client.ask("GET", "admin", "/v1.0/pods").status_code == 403
    change(
        own,
        **{
            "limits.body_bytes": 2000,  # type: ignore[arg-type]
            "identity.policy_file": str(policy),
            "service.region": "Elsewhere",
        },
    )
    assert client.ask("POST", "compute", "/v2.1/servers", big).status_code == 413
    assert client.ask("GET", "admin", "/v1.0/pods").status_code == 200
    assert "service.region is taken over at the next start" in own.log()
    own.config.write_text("nonsense")
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    eventually(lambda: "nothing was reloaded" in own.log())
    assert client.ask("GET", "admin", "/v1.0/pods").status_code == 200


def test_a_reload_opens_logs_that_were_moved_away(own: Appliance) -> None:
    client = begin(own)
    log = own.folder / "access.jsonl"
    eventually(lambda: log.exists() and log.stat().st_size)
    log.rename(own.folder / "access.1")
    change(own)
    client.get("compute", "/v2.1/servers")
    eventually(lambda: log.exists() and "/v2.1/servers" in log.read_text())


class Systemd:
    """The socket on which systemd is told."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def told(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def until(self, key: str) -> dict[str, str]:
        while key not in (told := self.told()):
            pass
        return told


def test_systemd_is_told_how_it_stands(own: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(own.folder / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(own.folder / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    own.launch()
    assert own.process is not None
    assert systemd.until("READY")["STATUS"] == "0 pods"
    assert own.answers()
    for _ in range(3):
        systemd.until("WATCHDOG")
    own.process.send_signal(signal.SIGHUP)
    assert int(systemd.until("RELOADING")["MONOTONIC_USEC"]) > 0
    systemd.until("READY")
    own.process.send_signal(signal.SIGTERM)
    systemd.until("STOPPING")
    assert own.process.wait(5) == 0


def test_a_reactor_that_is_stuck_does_not_quiet_the_watchdog(
    own: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(own.folder / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(own.folder / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    own.launch()
    systemd.until("WATCHDOG")
    assert own.process is not None
    own.process.send_signal(signal.SIGSTOP)
    systemd.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            systemd.told()


LAUNCHER = """
import os, sys
names = sys.argv[1].split(":")
for number in range(len(names)):
    os.set_inheritable(3 + number, True)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = str(len(names)), str(os.getpid())
os.environ["LISTEN_FDNAMES"] = sys.argv[1]
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does to start a service with its sockets: descriptors from 3 on."""


def activate(own: Appliance, sockets: list[socket.socket]) -> None:
    high = [os.dup(one.fileno()) for one in sockets]

    def move() -> None:
        for number, fd in enumerate(high):
            os.dup2(fd, 3 + number)

    command = [sys.executable, "-c", LAUNCHER, ":".join(FACES), *TRIO2O, "serve"]
    with own.log_file.open("ab") as log:
        own.process = subprocess.Popen(
            [*command, "-c", str(own.config)],
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,
            preexec_fn=move,
        )
    for fd in high:
        os.close(fd)


def test_a_restart_under_load_loses_no_connection(own: Appliance) -> None:
    sockets, settings = [], {}
    for face, port in own.ports.items():
        sockets.append(socket.create_server(("127.0.0.1", port), backlog=512))
        settings[f"faces.{face}.listen"] = f"systemd:domain=INET:name={face}"
    own.config.write_text(own.toml(settings))
    activate(own, sockets)
    eventually(own.answers, 30)
    add_pods(own)
    project = own.cloud.keystone.project("running")
    client = Client(own, project, own.cloud.keystone.token(project))
    done, failed, over = [0], list[str](), threading.Event()

    def load(keep: bool) -> None:
        session = requests.Session()
        headers = {"X-Auth-Token": client.token}
        while not over.is_set():
            try:
                answer = (session if keep else requests).get(
                    own.url("compute") + "/v2.1/servers", headers=headers, timeout=30
                )
                assert answer.status_code == 200, answer.text
                done[0] += 1
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=load, args=(keep,)) for keep in (True, False) * 2]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.5)
        old = own.process
        assert old is not None
        old.send_signal(signal.SIGTERM)
        assert old.wait(20) == 0
        before = done[0]
        activate(own, sockets)
        eventually(lambda before=before: done[0] > before + 20, 30)
    over.set()
    for thread in threads:
        thread.join()
    for one in sockets:
        one.close()
    assert failed == []
    assert done[0] > 50


def test_metrics_are_for_whom_the_policy_lets(appliance: Appliance, demo: Client) -> None:
    demo.get("compute", "/v2.1/servers")
    assert appliance.request("GET", "admin", "/metrics").status_code == 401
    assert demo.ask("GET", "admin", "/metrics").status_code == 403
    answer = operator(appliance).ask("GET", "admin", "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.text
    assert re.search(
        r'trio2o_requests_total\{face="compute",operation="GET /v2.1/servers",pod="",'
        r'status="200",verb="\w+"\} [1-9]',
        text,
    )
    for name in (
        'trio2o_pod_request_seconds_count{pod="Pod1",service="compute"}',
        'trio2o_pod_breaker_open{pod="Pod2",service="network"} 0.0',
        'trio2o_pod_calls_in_flight{pod="Pod1",service="compute"}',
        "trio2o_store_commit_seconds_count",
        'trio2o_token_lookups_total{found="in memory"}',
        "trio2o_tokens_cached",
        'trio2o_reconciler_seconds{reconciler="',
        "trio2o_calls_in_progress 1.0",
        "trio2o_log_lines_lost 0.0",
    ):
        assert name in text, name


@pytest.mark.parametrize(("mode", "status"), [("open", 200), ("off", 404)])
def test_metrics_may_be_open_to_all_or_off(own: Appliance, mode: str, status: int) -> None:
    own.config.write_text(own.toml({"telemetry.metrics": mode}))
    own.start()
    token = "" if mode == "open" else operator(own).token
    assert own.request("GET", "admin", "/metrics", token).status_code == status


def test_each_call_is_a_line_and_each_write_an_event(
    appliance: Appliance, demo: Client, pod1: FakePod
) -> None:
    sent = "req-0f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
    headers = {"X-Openstack-Request-Id": sent}
    wish: Row = {"name": "one", "flavorRef": "1", "imageRef": sent[4:], "availability_zone": "az1"}
    answer = demo.ask("POST", "compute", "/v2.1/servers", {"server": wish}, headers=headers)
    id = answer.json()["server"]["id"]

    def found(name: str) -> Row | None:
        lines = (appliance.folder / name).read_text().splitlines()
        return next((json.loads(line) for line in lines if sent in line), None)

    line = eventually(lambda: found("access.jsonl"))
    assert (line["face"], line["method"], line["status"]) == ("compute", "POST", 202)
    assert (line["pod"], line["project"], line["path"]) == ("Pod1", demo.project, "/v2.1/servers")
    assert line["bytes"] == len(answer.content) and line["client"] == "127.0.0.1"
    assert 0 < line["pod_seconds"] < line["seconds"] < 5
    demo.get("compute", f"/v2.1/servers?name={sent}")
    log = appliance.folder / "access.jsonl"
    listed = eventually(lambda: [one for one in log.read_text().splitlines() if f"={sent}" in one])
    line = json.loads(listed[0])
    assert "Pod1" in line["pod"].split(",")
    assert 0 < line["pod_seconds"] < line["seconds"]
    event = eventually(lambda: found("audit.jsonl"))
    assert (event["action"], event["outcome"], event["target"]["id"]) == ("create", "success", id)
    assert event["initiator"]["project_id"] == demo.project
