"""A pod that is down, slow or lying costs the others nothing."""

import time
import uuid

import pytest
from appliance import PATIENCE, TIMEOUT, Appliance, Client, eventually
from fake_http import Call
from fakes import Cloud, FakePod
from test_admin_api import add
from test_servers import SERVERS, wish


def is_tenants(call: Call) -> bool:
    return bool(call.header("X-Auth-Token"))


def test_a_dead_pods_things_are_503_and_other_pods_go_on(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    servers = {zone: demo.server(zone) for zone in ("az1", "az2")}
    volume = demo.volume("az1")
    pod1.down()
    for _ in range(3):
        for method, path, body in (
            ("GET", f"{SERVERS}/{servers['az1']}", None),
            ("DELETE", f"{SERVERS}/{servers['az1']}", None),
            ("POST", f"{SERVERS}/{servers['az1']}/action", {"os-stop": None}),
        ):
            answer = demo.ask(method, "compute", path, body)
            assert answer.status_code == 503, (method, path)
            assert int(answer.headers["Retry-After"]) > 0
            assert "Pod1" in answer.json()["serviceUnavailable"]["message"]
    answer = demo.ask("GET", "volume", f"/v3/{demo.project}/volumes/{volume}")
    assert (answer.status_code, list(answer.json())) == (503, ["serviceUnavailable"])
    assert demo.get("compute", f"{SERVERS}/{servers['az2']}")
    assert demo.server("az2") in pod2.rows["servers"]
    assert demo.ask("DELETE", "compute", f"{SERVERS}/{servers['az2']}").status_code == 204


def test_a_create_in_a_dead_pods_az_is_503_and_never_goes_elsewhere(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    demo.server("az1")
    pod1.down()
    for _ in range(7):  # before and after the breaker opens
        answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert not pod2.calls_to("POST")
    demo.server("az2")


def test_an_az_with_another_pod_goes_on(
    demo: Client, admin: Client, cloud: Cloud, pod1: FakePod
) -> None:
    add(admin, "Pod3", "az1")
    demo.server("az1")
    pod1.down()
    eventually(
        lambda: (
            demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1")).status_code == 202
        )
    )
    assert len(cloud.pod("Pod3").rows["servers"]) == 1


def test_an_unknown_id_is_503_while_a_pod_cannot_be_asked(demo: Client, pod2: FakePod) -> None:
    hidden = pod2.add_server(demo.project)
    pod2.down()
    for id in (hidden, str(uuid.uuid4())):
        answer = demo.ask("GET", "compute", f"{SERVERS}/{id}")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    pod2.up()
    found = f"{SERVERS}/{hidden}"
    eventually(lambda: demo.ask("GET", "compute", found).status_code == 200)


def test_a_server_known_to_be_gone_is_404_even_then(demo: Client, pod2: FakePod) -> None:
    server = demo.server("az2")
    demo.ask("DELETE", "compute", f"{SERVERS}/{server}")
    assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404
    pod2.down()
    eventually(lambda: demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404)


def test_a_pod_that_hangs_costs_a_time_out_and_then_nothing(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    pod2.hang = True
    begun = time.monotonic()
    answer = demo.ask("GET", "compute", SERVERS)
    assert PATIENCE - 0.5 < time.monotonic() - begun < PATIENCE + 0.9
    assert [row["id"] for row in answer.json()["servers"]] == [one]
    assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    begun = time.monotonic()
    for _ in range(3):  # once is enough: it is not waited for again
        answer = demo.ask("GET", "compute", SERVERS)
        assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    assert time.monotonic() - begun < 0.9
    # five failures in a row open the breaker: at once, to save the test's time
    asks = [f"{SERVERS}/{two}"] * 5
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda path: demo.ask("GET", "compute", path), asks))
    assert {answer.status_code for answer in answers} <= {503, 504}
    calls = len([call for call in pod2.calls if is_tenants(call)])
    begun = time.monotonic()
    for _ in range(10):
        assert demo.ids("compute", SERVERS) == [one]
        assert demo.ask("GET", "compute", f"{SERVERS}/{two}").status_code == 503
    assert time.monotonic() - begun < 1.5
    assert len([call for call in pod2.calls if is_tenants(call)]) == calls
    assert demo.ask("GET", "compute", f"{SERVERS}/{two}").json()
    demo.server("az1")
    pod2.hang = False
    eventually(lambda: two in demo.ids("compute", SERVERS), 20)
    assert demo.get("compute", f"{SERVERS}/{two}")


def test_a_create_that_hangs_ends_in_time_and_is_not_sent_again(
    demo: Client, pod1: FakePod
) -> None:
    pod1.when, pod1.hang = is_tenants, True
    begun = time.monotonic()
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
    assert time.monotonic() - begun < TIMEOUT + 1
    assert (answer.status_code, list(answer.json())) == (504, ["computeFault"])
    assert len(pod1.calls_to("POST")) == 1


def test_a_pod_that_comes_back_is_used_again(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    pod1.down()
    for _ in range(6):
        demo.ask("GET", "compute", f"{SERVERS}/{server}")
    pod1.up()
    path = f"{SERVERS}/{server}"
    eventually(lambda: demo.ask("GET", "compute", path).status_code == 200, 15)
    demo.server("az1")


@pytest.mark.parametrize(
    "garbage",
    [
        (200, b"{"),
        (200, b""),
        (200, b"[]"),
        (200, b'{"servers": 1}'),
        (200, b'{"servers": [1, null]}'),
        (200, b'{"servers": [{"name": "no id"}]}'),
        (200, b"<html>hello</html>"),
        (500, b"<html>oops</html>"),
        (503, b"no"),
        (204, b""),
    ],
)
def test_a_pod_that_answers_nonsense_harms_no_other(
    demo: Client, pod1: FakePod, pod2: FakePod, garbage: tuple[int, bytes]
) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    pod2.when, pod2.fail = is_tenants, garbage
    for path in (SERVERS, f"{SERVERS}/detail", f"{SERVERS}?limit=1", f"{SERVERS}?marker={one}"):
        answer = demo.ask("GET", "compute", path)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2", path
        assert {row["id"] for row in answer.json()["servers"]} <= {one}
    assert demo.ids("compute", SERVERS) == [one]
    assert demo.ask("GET", "compute", f"{SERVERS}?name=one").status_code == 503
    assert demo.get("compute", f"{SERVERS}/{one}")["server"]["id"] == one
    demo.ask("GET", "compute", f"{SERVERS}/{two}")
    marker = demo.ask("GET", "compute", f"{SERVERS}?marker={two}")
    assert marker.status_code in (200, 400, 503)
    assert demo.server("az1") in pod1.rows["servers"]
    unknown = demo.ask("GET", "compute", f"{SERVERS}/{uuid.uuid4()}")
    assert unknown.status_code in (404, 503)


@pytest.mark.parametrize("answer", [b"{", b"", b"[]", b'{"server": 1}', b'{"server": {"id": 1}}'])
def test_a_create_that_is_answered_with_nonsense_is_passed_on_or_an_error(
    demo: Client, pod1: FakePod, answer: bytes
) -> None:
    pod1.when, pod1.fail = (lambda call: call.method == "POST"), (202, answer)
    got = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
    assert got.status_code in (202, 502)
    assert len(pod1.calls_to("POST")) == 1
    pod1.clear_faults()
    demo.server("az1")


@pytest.mark.parametrize("document", [b"{", b"{}", b'{"versions": [{"id": "v2.1"}]}', b"[1]"])
def test_a_version_document_that_is_nonsense_stops_nothing(
    appliance: Appliance, demo: Client, pod1: FakePod, pod2: FakePod, document: bytes
) -> None:
    pod1.when, pod1.fail = (lambda call: call.path == "/"), (200, document)
    seen = len(pod1.calls_to("GET", "^/$"))
    eventually(lambda: len(pod1.calls_to("GET", "^/$")) >= seen + 6)
    demo.server("az1")
    pod2.compute_range = ("2.1", "2.50")
    eventually(
        lambda: appliance.request("GET", "compute", "/v2.1/").json()["version"]["version"] == "2.50"
    )


def test_a_malformed_range_of_one_pod_stops_nothing(
    appliance: Appliance, demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    pod1.compute_range = ("2.1", "two")
    before = len(pod1.calls_to("GET", "^/$"))
    eventually(lambda: len(pod1.calls_to("GET", "^/$")) >= before + 3)
    pod2.compute_range = ("2.1", "2.50")
    eventually(
        lambda: appliance.request("GET", "compute", "/v2.1/").json()["version"]["version"] == "2.50"
    )


def test_503_of_a_pod_opens_its_breaker_and_500_does_not(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    path = f"{SERVERS}/{server}"
    pod1.when, pod1.fail = is_tenants, (500, b'{"computeFault": {"code": 500, "message": "m"}}')
    for _ in range(8):
        assert demo.ask("GET", "compute", path).status_code == 500
    pod1.when, pod1.fail = None, (503, b"no")
    for _ in range(8):
        demo.ask("GET", "compute", path)
    calls = len(pod1.calls_to("GET", server))
    assert demo.ask("GET", "compute", path).status_code == 503
    assert len(pod1.calls_to("GET", server)) == calls


def test_a_slow_pod_slows_only_its_own(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    one = demo.server("az1")
    pod2.when, pod2.delay = is_tenants, 1.0
    begun = time.monotonic()
    demo.get("compute", f"{SERVERS}/{one}")
    demo.server("az1")
    assert time.monotonic() - begun < 0.8


def test_the_appliance_starts_while_pods_and_keystone_are_down(
    demo: Client, appliance: Appliance, cloud: Cloud, pod1: FakePod, pod2: FakePod
) -> None:
    server = demo.server("az2")
    appliance.kill()
    pod1.down()
    cloud.keystone.down = True
    appliance.start()
    assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 503
    cloud.keystone.down = False
    path = f"{SERVERS}/{server}"
    eventually(lambda: demo.ask("GET", "compute", path).status_code == 200)
    assert demo.ask("GET", "compute", SERVERS).headers["X-Trio2o-Unavailable-Pods"] == "Pod1"
