"""Aggregates with hosts of any pod: ids of ours, and in each pod what it has hosts for."""

from typing import Any

import pytest
from appliance import Appliance, Client, eventually
from fakes import Cloud, FakePod

PATH = "/v2.1/os-aggregates"


@pytest.fixture(autouse=True)
def hosts(pod1: FakePod, pod2: FakePod) -> None:
    pod1.hosts, pod2.hosts = ("one", "both"), ("two", "both")


def call(admin: Client, method: str, path: str = "", body: Any = None, version: str = "2.1") -> Any:
    answer = admin.ask(method, "compute", PATH + path, body, version=version)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["aggregate"] if answer.content else None


def said(admin: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """A refusal: status and message."""
    answer = admin.ask(method, "compute", PATH + path, body)
    ((_, error),) = answer.json().items()
    return answer.status_code, error["message"]


def make(admin: Client, name: str = "ssd", **fields: Any) -> str:
    return f"/{call(admin, 'POST', '', {'aggregate': {'name': name} | fields})['id']}"


def act(admin: Client, path: str, action: str, **told: Any) -> Any:
    return call(admin, "POST", f"{path}/action", {action: told})


def held(pod: FakePod) -> list[tuple[str, dict[str, str], list[str]]]:
    return [(r["name"], r["metadata"], r["hosts"]) for r in pod.rows["aggregates"].values()]


def test_one_comes_to_a_pod_with_the_first_host_of_it(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    made = call(admin, "POST", "", {"aggregate": {"name": "ssd"}}, "2.41")
    assert set(made) == {
        *("id", "uuid", "name", "availability_zone"),
        *("created_at", "updated_at", "deleted_at", "deleted"),
    }
    path = f"/{made['id']}"
    assert held(pod1) == held(pod2) == []
    act(admin, path, "set_metadata", metadata={"ssd": "true", "gone": "1"})
    assert act(admin, path, "add_host", host="one")["hosts"] == ["one"]
    assert held(pod1) == [("ssd", {"ssd": "true", "gone": "1"}, ["one"])]
    assert held(pod2) == []
    shown = act(admin, path, "add_host", host="two")
    assert (shown["hosts"], shown["metadata"]) == (["one", "two"], {"ssd": "true", "gone": "1"})
    act(admin, path, "set_metadata", metadata={"gone": None})
    call(admin, "PUT", path, {"aggregate": {"name": "fast"}})
    assert held(pod1) == [("fast", {"ssd": "true"}, ["one"])]
    assert held(pod2) == [("fast", {"ssd": "true"}, ["two"])]
    assert call(admin, "GET", path)["name"] == "fast"
    rows = admin.get("compute", PATH)["aggregates"]
    assert [row["name"] for row in rows] == ["ag_Pod1", "ag_Pod2", "fast"]
    assert act(admin, path, "remove_host", host="two")["hosts"] == ["one"]
    assert held(pod2) == []
    status, words = said(admin, "DELETE", path)
    assert (status, words.partition(" Reason: ")[2]) == (400, "Host aggregate is not empty.")
    act(admin, path, "remove_host", host="one")
    call(admin, "DELETE", path)
    assert said(admin, "GET", path)[0] == 404
    assert held(pod1) == held(pod2) == []


def test_the_zone_is_the_tenants_and_keeps_hosts_of_others_out(
    cloud: Cloud, admin: Client, bare: Appliance, pod1: FakePod
) -> None:
    path = make(admin, availability_zone="az1")
    shown = act(admin, path, "add_host", host="one")
    assert (shown["availability_zone"], shown["metadata"]["availability_zone"]) == ("az1", "az1")
    assert held(pod1) == [("ssd", {}, ["one"])]  # this pod has no name for its AZ
    status, words = said(admin, "POST", f"{path}/action", {"add_host": {"host": "two"}})
    assert (status, words) == (
        409,
        f"Cannot add host to aggregate {path[1:]}. "
        "Reason: One or more hosts already in availability zone(s) ['az2'].",
    )
    body = {"set_metadata": {"metadata": {"availability_zone": "az2"}}}
    assert said(admin, "POST", f"{path}/action", body)[0] == 400
    body = {"aggregate": {"availability_zone": "az2"}}
    assert said(admin, "PUT", path, body)[0] == 400
    assert call(admin, "GET", path)["availability_zone"] == "az1"


def test_a_pods_own_name_of_its_zone_is_told_there(cloud: Cloud, admin: Client) -> None:
    pod3 = cloud.pod("Pod3")
    pod3.hosts = ("three",)
    body = {"pod": {"pod_name": "Pod3", "az_name": "az3", "pod_az_name": "nova"}}
    assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200
    path = make(admin, availability_zone="az3")
    act(admin, path, "add_host", host="three")
    assert held(pod3) == [("ssd", {"availability_zone": "nova"}, ["three"])]


def test_a_host_name_of_two_pods_is_qualified(admin: Client, pod1: FakePod, pod2: FakePod) -> None:
    path = make(admin)
    status, words = said(admin, "POST", f"{path}/action", {"add_host": {"host": "both"}})
    assert (status, words.partition("write ")[2]) == (400, "both.Pod1 or both.Pod2.")
    assert act(admin, path, "add_host", host="both.Pod2")["hosts"] == ["both.Pod2"]
    assert (held(pod1), held(pod2)) == ([], [("ssd", {}, ["both"])])
    again = said(admin, "POST", f"{path}/action", {"add_host": {"host": "both.Pod2"}})
    assert again == (409, f"Aggregate {path[1:]} already has host both.Pod2.")
    act(admin, path, "remove_host", host="both.Pod2")
    assert held(pod2) == []


def test_bad_calls_are_refused_in_novas_words(
    admin: Client, demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    path = make(admin)
    unknown = said(admin, "POST", f"{path}/action", {"add_host": {"host": "none"}})
    assert unknown == (404, "Host 'none' is not mapped to any cell")
    absent = said(admin, "POST", f"{path}/action", {"remove_host": {"host": "two"}})
    assert absent == (404, f"Cannot remove host two in aggregate {path[1:]}")
    assert said(admin, "PUT", path, {"aggregate": {}})[0] == 400
    assert said(admin, "POST", "", {"aggregate": {}})[0] == 400
    assert said(admin, "POST", "", {"aggregate": {"name": "ssd"}})[0] == 409
    assert said(admin, "POST", "", {"aggregate": {"name": "ag_Pod1"}})[0] == 409
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"aggregate": {"name": "n"}})):
        number = said(admin, method, "/77", body)
        assert number == (404, "Aggregate 77 could not be found.")
        assert said(admin, method, "/x", body)[0] == 400
    assert said(admin, "DELETE", "/1")[0] in (400, 404)  # a pod's own, or of a pod before
    assert said(demo, "POST", "", {"aggregate": {"name": "mine"}})[0] == 403
    assert said(demo, "DELETE", path)[0] == 403
    assert held(pod1) == held(pod2) == []


def test_a_pods_refusal_is_told_with_our_number_and_changes_nothing(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    pod1.rows["aggregates"]["7"] = {"id": 7, "name": "own", "metadata": {}, "hosts": []}
    path = make(admin)
    pod1.refuse = 409
    status, words = said(admin, "POST", f"{path}/action", {"add_host": {"host": "one"}})
    assert (status, words) == (
        409,
        f"Cannot add host to aggregate {path[1:]}. Reason: it is refused.",
    )
    assert call(admin, "GET", path)["hosts"] == []
    assert [row[0] for row in held(pod1)] == ["own"]
    pod1.refuse = None
    taken = make(admin, "own")
    answer = said(admin, "POST", f"{taken}/action", {"add_host": {"host": "one"}})
    assert answer == (409, "Aggregate own already exists.")
    assert call(admin, "GET", taken)["hosts"] == []


def test_images_are_cached_by_each_pod_that_has_hosts(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    path = make(admin)
    act(admin, path, "add_host", host="two")
    body = {"cache": [{"id": "5d1a5ea1-0c3a-4f4e-9d3c-6a1f0a1e0b0d"}]}
    assert call(admin, "POST", f"{path}/images", body, "2.81") is None
    (row,) = pod2.rows["aggregates"].values()
    assert row["_cached"] == [body["cache"][0]["id"]]
    assert pod1.rows["aggregates"] == {}


def test_a_pod_that_is_down_gets_a_change_when_it_answers_again(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    path = make(admin)
    act(admin, path, "add_host", host="one")
    act(admin, path, "add_host", host="two")
    pod2.down()
    for number in range(6):
        act(admin, path, "set_metadata", metadata={"n": str(number)})
    pod2.up()
    eventually(lambda: held(pod2) == [("ssd", {"n": "5"}, ["two"])], 20)
    assert held(pod1) == [("ssd", {"n": "5"}, ["one"])]
