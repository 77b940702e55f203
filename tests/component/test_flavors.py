"""Flavors: the same in every pod, or in none."""

import uuid

import pytest
import requests
from appliance import Appliance, Client, eventually
from fake_http import Row
from fakes import Cloud, FakePod

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


def settle(admin: Client) -> Row:
    """A pass over the flavors, now."""
    answer = admin.ask("POST", "admin", "/v1.0/reconcilers/flavors/run")
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()["reconciler"]
    return found


def test_a_pod_that_fails_midway_gets_it_later(admin: Client, pod1: FakePod, pod2: FakePod) -> None:
    settle(admin)
    pod2.drop = True
    pod2.when = lambda call: call.method == "POST"
    assert make(admin, id="big").status_code == 200
    assert held(pod1, pod2) == [{"big"}, set()]
    pod2.drop = False
    assert settle(admin)["mended"] == 1
    assert held(pod1, pod2) == [{"big"}, {"big"}]
    assert settle(admin)["drift"] == 0


def test_a_pod_that_is_down_gets_what_it_missed_when_it_answers_again(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    make(admin, id="old")
    pod2.down()
    for number in range(6):
        assert make(admin, id=f"n{number}", name=f"n{number}").status_code == 200
    assert admin.ask("DELETE", "compute", f"{FLAVORS}/old").status_code == 202
    pod2.up()
    want = {f"n{number}" for number in range(6)}
    eventually(lambda: held(pod1, pod2) == [want, want], 20)
    assert "old" not in admin.ids("compute", FLAVORS)


def test_what_was_deleted_while_a_pod_was_down_is_not_shown_from_it(
    admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    make(admin, id="old")
    pod2.down()
    assert admin.ask("DELETE", "compute", f"{FLAVORS}/old").status_code == 202
    pod2.up()
    pod1.down()
    assert admin.ask("GET", "compute", f"{FLAVORS}/old").status_code == 404
    assert admin.ids("compute", FLAVORS) == ["1"]


def test_extra_specs_and_access_are_in_all_pods(
    admin: Client, demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    make(admin, id="big", **{"os-flavor-access:is_public": False})
    path = f"{FLAVORS}/big"
    wish = {"extra_specs": {"a:b": "1", "c": "2"}}
    for method, rest, body, version in (
        ("POST", "/os-extra_specs", wish, "2.1"),
        ("PUT", "/os-extra_specs/c", {"c": "3"}, "2.1"),
        ("DELETE", "/os-extra_specs/a:b", None, "2.1"),
        ("POST", "/action", {"addTenantAccess": {"tenant": demo.project}}, "2.1"),
        ("POST", "/action", {"addTenantAccess": {"tenant": "other"}}, "2.1"),
        ("POST", "/action", {"removeTenantAccess": {"tenant": "other"}}, "2.1"),
        ("PUT", "", {"flavor": {"description": "words"}}, "2.55"),
    ):
        answer = admin.ask(method, "compute", path + rest, body, version=version)
        assert answer.status_code == 200, answer.text
    assert pod1.rows["flavors"]["big"] | {"_actions": []} == pod2.rows["flavors"]["big"]
    found = pod2.rows["flavors"]["big"]
    assert (found["_specs"], found["_projects"]) == ({"c": "3"}, [demo.project])
    assert found["description"] == "words"
    shown = admin.get("compute", path + "/os-flavor-access")["flavor_access"]
    assert shown == [{"flavor_id": "big", "tenant_id": demo.project}]
    assert admin.get("compute", path + "/os-extra_specs/c") == {"c": "3"}
    again = {"addTenantAccess": {"tenant": demo.project}}
    assert admin.ask("POST", "compute", path + "/action", again).status_code == 409


def test_a_new_pods_flavors_are_taken_up_and_what_conflicts_is_reported(
    cloud: Cloud, bare: Appliance, admin: Client
) -> None:
    one, two = cloud.pod("Pod1"), cloud.pod("Pod2")
    one.add_flavor("a", "A")
    two.add_flavor("a", "A", ram=7)
    two.add_flavor("b", "B")
    for name, zone in (("Pod1", "az1"), ("Pod2", "az2")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200
    assert settle(admin)["failed"] == 1
    assert held(one, two) == [{"a", "b"}, {"a", "b"}]
    (problem,) = admin.get("admin", "/v1.0/reconcilers")["problems"]
    assert (problem["kind"], problem["key"], problem["pod_name"]) == ("flavor", "a", "Pod2")
    # the pod is passed over for what needs it, or the flavor is not known there
    assert admin.server(flavorRef="a") in one.rows["servers"]
    wish = {"name": "n", "flavorRef": "a", "availability_zone": "az2"}
    answer = admin.ask("POST", "compute", "/v2.1/servers", {"server": wish})
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])
    server = admin.server("az2")
    resize = {"resize": {"flavorRef": "a"}}
    answer = admin.ask("POST", "compute", f"/v2.1/servers/{server}/action", resize)
    assert answer.json()["badRequest"]["message"] == "Flavor a could not be found."
    assert two.rows["servers"].keys() == {server}
    # the operator decides
    answer = admin.ask("PUT", "admin", "/v1.0/definitions/flavor/a", {"definition": {}})
    assert answer.status_code == 422
    body = {"definition": {"right": "Pod2"}}
    answer = admin.ask("PUT", "admin", "/v1.0/definitions/flavor/a", body)
    assert answer.status_code == 200, answer.text
    assert one.rows["flavors"]["a"]["ram"] == two.rows["flavors"]["a"]["ram"] == 7
    assert admin.get("admin", "/v1.0/reconcilers")["problems"] == []
    assert settle(admin)["drift"] == 0


def test_what_changed_in_one_pod_is_put_right(admin: Client, pod1: FakePod, pod2: FakePod) -> None:
    make(admin, id="big")
    settle(admin)
    pod2.rows["flavors"]["big"]["_specs"]["x"] = "foreign"
    found = settle(admin)
    assert (found["drift"], found["mended"], found["failed"]) == (1, 1, 0)
    assert pod2.rows["flavors"]["big"]["_specs"] == {}


def test_an_operator_decides_with_a_command(
    cloud: Cloud, appliance: Appliance, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    make(admin, id="big")
    settle(admin)
    pod3 = cloud.pod("Pod3")
    pod3.add_flavor("big", "m1.big", ram=7)
    assert appliance.command("pod", "add", "Pod3", "--az", "az3").returncode == 0
    settle(admin)
    listed = appliance.command("definition", "problems")
    assert listed.returncode == 0 and "big" in listed.stdout and "Pod3" in listed.stdout
    done = appliance.command("definition", "choose", "flavor", "big", "top")
    assert done.returncode == 0, done.stderr
    assert pod3.rows["flavors"]["big"]["ram"] == 64
    assert "big" not in appliance.command("definition", "problems").stdout
    done = appliance.command("definition", "choose", "flavor", "none", "top")
    assert done.returncode == 1 and "not found" in done.stderr


@pytest.mark.parametrize("call", range(8))
def test_a_kill_between_any_two_steps_is_mended(
    cloud: Cloud, appliance: Appliance, admin: Client, pod1: FakePod, pod2: FakePod, call: int
) -> None:
    settle(admin)
    make(admin, id="old")
    left = list(range(call))

    def count(method: str, path: str) -> None:
        if "flavors" in path and left and left.pop() == 0:
            appliance.kill()

    pod1.before_answer = pod2.before_answer = count
    try:
        changed = call % 2 == 0
        if changed:
            body = {"extra_specs": {"x": "1"}}
            admin.ask("POST", "compute", f"{FLAVORS}/old/os-extra_specs", body)
        else:
            admin.ask("DELETE", "compute", f"{FLAVORS}/old")
    except requests.RequestException:
        pass
    pod1.before_answer = pod2.before_answer = None
    appliance.start()
    settle(admin)
    assert pod1.rows["flavors"].get("old") == pod2.rows["flavors"].get("old")
    assert settle(admin)["drift"] == 0
    assert held(pod1, pod2)[0] == set(admin.ids("compute", FLAVORS)) - {"1"}


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
