"""Flavors: the same in every pod, or in none."""

import uuid

import requests
from appliance import Client
from fake_http import Row
from fakes import FakePod

FLAVORS = "/v2.1/flavors"


def make(admin: Client, **fields: object) -> requests.Response:
    wish: Row = {"name": "m1.big", "ram": 64, "vcpus": 1, "disk": 1} | fields
    return admin.ask("POST", "compute", FLAVORS, {"flavor": wish})


def held(*pods: FakePod) -> list[set[str]]:
    return [set(pod.rows["flavors"]) - {"1"} for pod in pods]


def test_a_flavor_is_made_in_all_pods_with_its_id(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    answer = make(admin, id="big")
    assert (answer.status_code, answer.json()["flavor"]["id"]) == (200, "big")
    assert held(pod1, pod2) == [{"big"}, {"big"}]


def test_a_flavor_without_an_id_gets_one_for_all_pods(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    for more in ({}, {"id": None}):
        answer = make(admin, name=f"n{len(more)}", **more)
        id = answer.json()["flavor"]["id"]
        assert uuid.UUID(id)
        assert id in pod1.rows["flavors"] and id in pod2.rows["flavors"]


def test_a_refusal_of_one_pod_undoes_the_others(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    for refusing in (pod1, pod2):
        refusing.refuse = 409
        answer = make(admin, id="big")
        assert (answer.status_code, list(answer.json())) == (409, ["conflictingRequest"])
        assert held(pod1, pod2) == [set(), set()]
        refusing.refuse = None
    assert make(admin, id="big").status_code == 200


def test_a_pod_that_fails_midway_undoes_the_others(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    pod2.drop = True
    pod2.when = lambda call: call.method == "POST"
    answer = make(admin, id="big")
    assert answer.status_code in (502, 503, 504)
    assert held(pod1, pod2) == [set(), set()]


def test_nothing_is_done_while_a_pod_is_known_to_be_down(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    pod2.down()
    for _ in range(6):
        answer = make(admin, id="big")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert held(pod1, pod2) == [set(), set()]
    before = len(pod1.calls_to("POST"))
    assert make(admin, id="big").status_code == 503
    assert len(pod1.calls_to("POST")) == before  # nothing to undo any more
    assert admin.ask("DELETE", "compute", f"{FLAVORS}/1").status_code == 503
    assert "1" in pod1.rows["flavors"]


def test_a_flavor_is_for_admins_to_make(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    assert make(demo, id="big").status_code == 403
    assert held(pod1, pod2) == [set(), set()]


def test_a_flavor_is_listed_once_and_shown(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    for id in "cab":
        make(admin, id=id, name=f"name-{id}")
    for path in (FLAVORS, f"{FLAVORS}/detail"):
        assert demo.ids("compute", path) == ["1", "a", "b", "c"]
        pages = list(demo.walk("compute", f"{path}?limit=2"))
        assert [id for page in pages for id in page] == ["1", "a", "b", "c"]
        assert demo.ids("compute", f"{path}?marker=a") == ["b", "c"]
    shown = demo.get("compute", f"{FLAVORS}/a")["flavor"]
    public = demo.appliance.public("compute")
    assert shown["name"] == "name-a"
    assert all(link["href"] == f"{public}{FLAVORS}/a" for link in shown["links"])
    answer = demo.ask("GET", "compute", f"{FLAVORS}?marker=nothing")
    assert answer.status_code == 400


def test_a_flavor_is_deleted_in_all_pods(admin: Client, pod1: FakePod, pod2: FakePod) -> None:
    make(admin, id="big")
    assert admin.ask("DELETE", "compute", f"{FLAVORS}/big").status_code == 202
    assert held(pod1, pod2) == [set(), set()]
    answer = admin.ask("DELETE", "compute", f"{FLAVORS}/big")
    assert (answer.status_code, list(answer.json())) == (404, ["itemNotFound"])


def test_a_flavor_that_one_pod_lost_is_deleted_in_the_other(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    make(admin, id="big")
    del pod1.rows["flavors"]["big"]
    assert admin.ask("DELETE", "compute", f"{FLAVORS}/big").status_code == 202
    assert held(pod1, pod2) == [set(), set()]


def test_a_flavor_is_shown_while_a_pod_is_down(demo: Client, admin: Client, pod1: FakePod) -> None:
    make(admin, id="big")
    pod1.down()
    assert demo.get("compute", f"{FLAVORS}/big")["flavor"]["id"] == "big"
    answer = demo.ask("GET", "compute", FLAVORS)
    assert [row["id"] for row in answer.json()["flavors"]] == ["1", "big"]


def test_an_unknown_flavor_is_404_in_novas_words(demo: Client) -> None:
    answer = demo.ask("GET", "compute", f"{FLAVORS}/none")
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == "Flavor none could not be found."
