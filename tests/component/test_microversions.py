"""Versions: documents, and microversions that all pods share."""

import pytest
import requests
from appliance import Appliance, Client, eventually
from fakes import FakePod
from test_servers import SERVERS

NEW, OLD = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"


def offered(appliance: Appliance) -> tuple[str, str]:
    version = appliance.request("GET", "compute", "/v2.1/").json()["version"]
    return version["min_version"], version["version"]


@pytest.fixture
def mixed(appliance: Appliance, pod1: FakePod, pod2: FakePod) -> None:
    """Pods that share 2.4 to 2.60, and 3.10 to 3.50."""
    pod1.compute_range, pod2.compute_range = ("2.1", "2.60"), ("2.4", "2.90")
    pod1.volume_range, pod2.volume_range = ("3.10", "3.50"), ("3.0", "3.70")
    eventually(lambda: offered(appliance) == ("2.4", "2.60"))


def test_compute_documents_are_novas_with_our_links(appliance: Appliance) -> None:
    base = appliance.public("compute")
    answer = appliance.request("GET", "compute", "/")
    rows = {row["id"]: row for row in answer.json()["versions"]}
    assert (answer.status_code, set(rows)) == (200, {"v2.0", "v2.1"})
    assert rows["v2.1"]["links"] == [{"rel": "self", "href": f"{base}/v2.1/"}]
    assert (rows["v2.1"]["min_version"], rows["v2.1"]["version"]) == ("2.1", "2.96")
    for path in ("/v2.1", "/v2.1/"):
        version = appliance.request("GET", "compute", path).json()["version"]
        assert version["id"] == "v2.1"
        assert version["links"][0]["href"] == f"{base}/v2.1/"
        assert (version["min_version"], version["version"]) == ("2.1", "2.96")


def test_volume_and_network_documents_have_our_links(appliance: Appliance, demo: Client) -> None:
    answer = appliance.request("GET", "volume", "/")
    (row,) = answer.json()["versions"]
    assert answer.status_code == 300
    assert (row["id"], row["min_version"], row["version"]) == ("v3.0", "3.0", "3.70")
    hrefs = [link["href"] for link in row["links"] if link["rel"] == "self"]
    assert hrefs == [appliance.public("volume") + "/v3/"]
    assert demo.get("volume", "/v3/")["versions"] == [row]
    (row,) = appliance.request("GET", "network", "/").json()["versions"]
    assert row["links"][0]["href"] == appliance.public("network") + "/v2.0/"
    rows = demo.get("network", "/v2.0/")["resources"]
    assert {"networks", "subnets", "ports"} <= {row["collection"] for row in rows}


def test_the_range_is_what_all_pods_share(
    appliance: Appliance, demo: Client, mixed: None, pod1: FakePod
) -> None:
    rows = {row["id"]: row for row in appliance.request("GET", "compute", "/").json()["versions"]}
    assert (rows["v2.1"]["min_version"], rows["v2.1"]["version"]) == ("2.4", "2.60")
    (row,) = appliance.request("GET", "volume", "/").json()["versions"]
    assert (row["min_version"], row["version"]) == ("3.10", "3.50")
    pod1.compute_range = ("2.1", "2.70")
    eventually(lambda: offered(appliance) == ("2.4", "2.70"))


@pytest.mark.parametrize("version", ["2.61", "2.90", "2.3", "2.1", "3.0", "2.999"])
def test_a_version_that_not_all_pods_have_is_406(
    demo: Client, mixed: None, pod1: FakePod, pod2: FakePod, version: str
) -> None:
    before = len(pod2.calls_to("GET", "servers"))
    answer = demo.ask("GET", "compute", SERVERS, version=version)
    assert answer.status_code == 406
    text = answer.json()["computeFault"]["message"]
    assert all(word in text for word in (version, "2.4", "2.60"))
    assert answer.headers[NEW] == f"compute {version}"
    assert len(pod2.calls_to("GET", "servers")) == before


@pytest.mark.parametrize("version", ["2", "2.x", "2.01", "a", "2.1.1", "-2.1", "2.1, 2"])
def test_a_malformed_version_is_400(demo: Client, version: str) -> None:
    answer = demo.ask("GET", "compute", SERVERS, headers={OLD: version})
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])
    answer = demo.ask("GET", "volume", f"/v3/{demo.project}/volumes", version="3.x")
    assert answer.status_code == 400


@pytest.mark.parametrize("version", ["latest", "2.60", "2.4", "2.42"])
def test_every_pod_gets_the_same_concrete_version(
    demo: Client, mixed: None, pod1: FakePod, pod2: FakePod, version: str
) -> None:
    answer = demo.ask("GET", "compute", SERVERS, version=version)
    number = version.replace("latest", "2.60")
    assert answer.status_code == 200
    check(answer, number)
    for pod in (pod1, pod2):
        call = pod.calls_to("GET", "servers")[-1]
        sent = [value for name, value in call.headers if name.lower() == NEW.lower().encode()]
        assert sent == [f"compute {number}".encode()]
        assert call.header(OLD) == number


def check(answer: requests.Response, number: str) -> None:
    assert answer.headers[NEW] == f"compute {number}"
    assert answer.headers[OLD] == number
    assert {NEW.lower(), OLD.lower()} <= {
        name.strip().lower() for name in answer.headers["Vary"].split(",")
    }


def test_without_a_header_it_is_the_least_version(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    answer = demo.ask("GET", "compute", f"{SERVERS}/{server}")
    check(answer, "2.1")
    assert "description" not in answer.json()["server"]
    assert pod1.calls_to("GET", server)[-1].header(NEW) == "compute 2.1"


def test_a_version_decides_what_is_shown(demo: Client) -> None:
    server = demo.server("az1")
    answer = demo.ask("GET", "compute", f"{SERVERS}/{server}", version="2.47")
    check(answer, "2.47")
    assert answer.json()["server"]["flavor"]["original_name"] == "m1.tiny"
    answer = demo.ask("GET", "compute", f"{SERVERS}/detail", version="2.46")
    assert answer.json()["servers"][0]["flavor"]["id"] == "1"


def test_the_older_header_counts_and_the_newer_one_wins(demo: Client) -> None:
    check(demo.ask("GET", "compute", SERVERS, headers={OLD: "2.30"}), "2.30")
    both = demo.ask("GET", "compute", SERVERS, version="2.40", headers={OLD: "2.30"})
    check(both, "2.40")
    others = demo.ask("GET", "compute", SERVERS, version="volume 3.1, compute 2.50")
    check(others, "2.50")


def test_an_error_tells_the_version_too(demo: Client) -> None:
    answer = demo.ask("GET", "compute", f"{SERVERS}/none", version="2.50")
    assert answer.status_code == 404
    check(answer, "2.50")


def test_a_row_of_later_versions_is_404_before(demo: Client) -> None:
    server = demo.server("az1")
    path = f"{SERVERS}/{server}/topology"
    assert demo.ask("GET", "compute", path, version="2.77").status_code == 404
    demo.ask("GET", "compute", path, version="2.78")


def test_volume_versions_are_pinned_too(
    demo: Client, mixed: None, pod1: FakePod, pod2: FakePod
) -> None:
    path = f"/v3/{demo.project}/volumes"
    answer = demo.ask("GET", "volume", path, version="latest")
    assert (answer.status_code, answer.headers[NEW]) == (200, "volume 3.50")
    assert NEW in answer.headers["Vary"]
    for pod in (pod1, pod2):
        assert pod.calls_to("GET", "volumes")[-1].header(NEW) == "volume 3.50"
    assert demo.ask("GET", "volume", path, version="3.51").status_code == 406
    answer = demo.ask("GET", "volume", path)
    assert answer.headers[NEW] == "volume 3.10"


def test_pods_that_share_no_version_are_told_of_and_documents_stand(
    appliance: Appliance, pod1: FakePod, pod2: FakePod
) -> None:
    pod1.compute_range, pod2.compute_range = ("2.1", "2.10"), ("2.20", "2.30")
    words = "pod Pod2 shares no compute microversion"
    eventually(lambda: offered(appliance) == ("2.1", "2.10") and words in appliance.log())
