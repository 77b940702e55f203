"""The admin face: pods, bindings, and what tenants see of them."""

import uuid
from typing import Any

import pytest
import requests
from appliance import Appliance, Client, eventually
from fake_http import Row
from fakes import Cloud, FakePod

PODS, BINDINGS = "/v1.0/pods", "/v1.0/bindings"


def add(admin: Client, name: str, zone: str = "", **fields: Any) -> requests.Response:
    body = {"pod": {"pod_name": name, "az_name": zone} | fields}
    return admin.ask("POST", "admin", PODS, body)


def pod_of(admin: Client, name: str) -> Row:
    return next(pod for pod in admin.get("admin", PODS)["pods"] if pod["pod_name"] == name)


def set_state(admin: Client, name: str, state: str) -> requests.Response:
    path = f"{PODS}/{pod_of(admin, name)['pod_id']}"
    return admin.ask("PUT", "admin", path, {"pod": {"state": state}})


def message(answer: requests.Response) -> str:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return str(error["message"])


def test_version_documents_need_no_token(appliance: Appliance) -> None:
    versions = appliance.request("GET", "admin", "/").json()["versions"]
    assert [(v["id"], v["status"]) for v in versions] == [("v1.0", "CURRENT")]
    assert versions[0]["links"][0]["href"] == appliance.public("admin") + "/v1.0/"
    for path in ("/v1.0", "/v1.0/"):
        document = appliance.request("GET", "admin", path).json()
        hrefs = {link["rel"]: link["href"] for link in document["links"]}
        assert document["version"] == "1.0"
        assert hrefs["pods"] == appliance.public("admin") + PODS
        assert hrefs["bindings"] == appliance.public("admin") + BINDINGS


def test_a_pod_is_created_listed_and_shown(admin: Client) -> None:
    answer = add(admin, "Pod1", "az1", pod_az_name="nova", dc_name="dc1")
    assert answer.status_code == 200
    pod = answer.json()["pod"]
    assert uuid.UUID(pod["pod_id"])
    expected = {"pod_name": "Pod1", "az_name": "az1", "pod_az_name": "nova", "dc_name": "dc1"}
    assert expected.items() <= pod.items()
    assert pod["state"] == "active"
    assert admin.get("admin", f"{PODS}/{pod['pod_id']}") == {"pod": pod}
    assert admin.get("admin", PODS) == {"pods": [pod]}


def test_a_pod_without_an_az_is_the_one_top_region(admin: Client) -> None:
    assert add(admin, "RegionOne").json()["pod"]["az_name"] == ""
    answer = add(admin, "RegionTwo")
    assert (answer.status_code, message(answer)) == (409, "Top region already exists")
    answer = admin.ask("POST", "admin", PODS, {"pod": {"pod_name": "RegionThree"}})
    assert answer.status_code == 409


@pytest.mark.parametrize("zone", ["", "az1"])
@pytest.mark.parametrize("name", ["", "  ", None])
def test_an_empty_pod_name_is_422(admin: Client, name: str | None, zone: str) -> None:
    answer = admin.ask("POST", "admin", PODS, {"pod": {"pod_name": name, "az_name": zone}})
    assert answer.status_code == 422
    assert "pod_name" in message(answer)


def test_a_pod_name_is_taken_once(admin: Client) -> None:
    add(admin, "RegionOne")
    add(admin, "Pod1", "az1")
    answer = add(admin, "Pod1", "az2")
    assert (answer.status_code, message(answer)) == (409, "Record already exists")
    answer = add(admin, "RegionOne", "az1")
    assert answer.status_code == 409
    assert "top region" in message(answer)
    assert [pod["pod_name"] for pod in admin.get("admin", PODS)["pods"]] == ["RegionOne", "Pod1"]


def test_a_top_region_is_not_named_as_a_pod(admin: Client) -> None:
    add(admin, "Pod1", "az1")
    assert add(admin, "Pod1").status_code == 409


@pytest.mark.parametrize("body", [{}, {"pods": {}}, {"pod": None}, {"pod": "x"}, [], "pod"])
def test_a_body_without_a_pod_is_400(admin: Client, body: Any) -> None:
    assert admin.ask("POST", "admin", PODS, body).status_code == 400


@pytest.mark.parametrize("fields", [{"pod_name": 1}, {"pod_name": "Pod1", "az_name": ["az1"]}])
def test_a_pod_of_wrong_types_is_400(admin: Client, fields: Row) -> None:
    assert admin.ask("POST", "admin", PODS, {"pod": fields}).status_code == 400


def test_a_pod_that_is_no_region_is_422(admin: Client) -> None:
    answer = add(admin, "Pod9", "az1")
    assert answer.status_code == 422
    assert "no region Pod9" in message(answer)


def test_a_region_without_compute_is_422(admin: Client) -> None:
    answer = add(admin, "Central", "az1")  # Glance alone is there
    assert answer.status_code == 422
    assert "compute" in message(answer)


def test_a_region_that_is_new_in_keystone_is_known_at_once(admin: Client, cloud: Cloud) -> None:
    cloud.keystone.register("Fresh", "compute", "nova", cloud.pod("Pod3").compute.url + "/v2.1")
    assert add(admin, "Fresh", "az1").status_code == 200


def test_an_aggregate_comes_and_goes_with_its_pod(admin: Client) -> None:
    add(admin, "RegionOne")
    add(admin, "Pod1", "az1")
    add(admin, "Pod2", "az2")
    rows = admin.get("compute", "/v2.1/os-aggregates")["aggregates"]
    found = [(row["name"], row["availability_zone"]) for row in rows]
    assert found == [("ag_Pod1", "az1"), ("ag_Pod2", "az2")]
    assert rows[0]["metadata"] == {"availability_zone": "az1"}
    one = f"/v2.1/os-aggregates/{rows[0]['id']}"
    assert admin.get("compute", one)["aggregate"] == rows[0]
    assert admin.ask("DELETE", "admin", f"{PODS}/{pod_of(admin, 'Pod1')['pod_id']}").ok
    rows = admin.get("compute", "/v2.1/os-aggregates")["aggregates"]
    assert [row["name"] for row in rows] == ["ag_Pod2"]
    gone = admin.ask("GET", "compute", one)
    assert (gone.status_code, list(gone.json())) == (404, ["itemNotFound"])


def test_an_aggregates_number_is_never_used_again(admin: Client) -> None:
    add(admin, "Pod1", "az1")
    first = admin.get("compute", "/v2.1/os-aggregates")["aggregates"][0]["id"]
    admin.ask("DELETE", "admin", f"{PODS}/Pod1")
    add(admin, "Pod1", "az1")
    assert admin.get("compute", "/v2.1/os-aggregates")["aggregates"][0]["id"] > first


def test_availability_zones_are_those_of_the_pods(admin: Client, demo: Client) -> None:
    add(admin, "Pod3", "az2")
    info = demo.get("compute", "/v2.1/os-availability-zone")["availabilityZoneInfo"]
    assert [(zone["zoneName"], zone["zoneState"]["available"]) for zone in info] == [
        ("az1", True),
        ("az2", True),
    ]
    info = demo.get("volume", f"/v3/{demo.project}/os-availability-zone")["availabilityZoneInfo"]
    assert [zone["zoneName"] for zone in info] == ["az1", "az2"]
    rows = demo.get("network", "/v2.0/availability_zones")["availability_zones"]
    assert {row["name"] for row in rows} == {"az1", "az2"}
    detail = "/v2.1/os-availability-zone/detail"
    assert demo.ask("GET", "compute", detail).status_code == 403
    hosts = [zone["hosts"] for zone in admin.get("compute", detail)["availabilityZoneInfo"]]
    assert [sorted(names) for names in hosts] == [["Pod1"], ["Pod2", "Pod3"]]


def test_an_az_is_unavailable_while_its_pods_are_down(
    appliance: Appliance, demo: Client, pod1: FakePod
) -> None:
    pod1.down()

    def states() -> dict[str, bool]:
        info = demo.get("compute", "/v2.1/os-availability-zone")["availabilityZoneInfo"]
        return {zone["zoneName"]: zone["zoneState"]["available"] for zone in info}

    eventually(lambda: states() == {"az1": False, "az2": True})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PODS, None),
        ("POST", PODS, {"pod": {"pod_name": "Pod3", "az_name": "az3"}}),
        ("GET", f"{PODS}/Pod1", None),
        ("PUT", f"{PODS}/Pod1", {"pod": {"state": "draining"}}),
        ("DELETE", f"{PODS}/Pod1", None),
        ("GET", BINDINGS, None),
        ("POST", BINDINGS, {"pod_binding": {"tenant_id": "x", "pod_id": "y"}}),
        ("GET", f"{BINDINGS}/x", None),
        ("DELETE", f"{BINDINGS}/x", None),
    ],
)
def test_the_admin_api_is_for_admins(
    demo: Client, admin: Client, method: str, path: str, body: Any
) -> None:
    before = admin.get("admin", PODS)
    answer = demo.ask(method, "admin", path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, 403)
    assert demo.ask(method, "admin", path, body, token="").status_code == 401
    assert admin.get("admin", PODS) == before


def test_unknown_pods_and_bindings_are_404(admin: Client) -> None:
    for path in (f"{PODS}/{uuid.uuid4()}", f"{BINDINGS}/{uuid.uuid4()}"):
        for method in ("GET", "DELETE"):
            answer = admin.ask(method, "admin", path)
            assert answer.status_code == 404, (method, path)
            assert "not found" in message(answer)
    body = {"pod": {"state": "active"}}
    assert admin.ask("PUT", "admin", f"{PODS}/{uuid.uuid4()}", body).status_code == 404


def test_a_binding_is_created_listed_shown_and_deleted(appliance: Appliance, admin: Client) -> None:
    pod = pod_of(admin, "Pod2")
    body = {"pod_binding": {"tenant_id": "project-x", "pod_id": pod["pod_id"]}}
    answer = admin.ask("POST", "admin", BINDINGS, body)
    assert answer.status_code == 200
    binding = answer.json()["pod_binding"]
    assert (binding["tenant_id"], binding["pod_id"]) == ("project-x", pod["pod_id"])
    assert binding["az_name"] == "az2"
    again = admin.ask("POST", "admin", BINDINGS, body)
    assert (again.status_code, "exists" in message(again)) == (409, True)
    assert admin.get("admin", BINDINGS) == {"pod_bindings": [binding]}
    one = f"{BINDINGS}/{binding['id']}"
    assert admin.get("admin", one) == {"pod_binding": binding}
    assert admin.ask("DELETE", "admin", one).status_code == 200
    assert admin.get("admin", BINDINGS) == {"pod_bindings": []}
    assert admin.ask("DELETE", "admin", one).status_code == 404
    (ended,) = admin.get("admin", f"{BINDINGS}?ended=true&tenant_id=project-x")["pod_bindings"]
    assert binding["ended_at"] is None and ended["ended_at"] > binding["created_at"]
    assert ended | {"ended_at": None} == binding
    assert admin.get("admin", one) == {"pod_binding": ended}
    assert admin.get("admin", f"{BINDINGS}?ended=true&tenant_id=x") == {"pod_bindings": []}
    for query in ("ended=yes", "state=x"):
        assert admin.ask("GET", "admin", f"{BINDINGS}?{query}").status_code == 400


def test_bindings_of_what_is_not_there_are_422(appliance: Appliance, admin: Client) -> None:
    pod, top = pod_of(admin, "Pod1")["pod_id"], pod_of(admin, "RegionOne")["pod_id"]
    for tenant, pod_id in (
        ("", pod),
        ("x", ""),
        (" ", pod),
        (None, pod),
        ("x", top),
        ("x", str(uuid.uuid4())),
    ):
        body = {"pod_binding": {"tenant_id": tenant, "pod_id": pod_id}}
        answer = admin.ask("POST", "admin", BINDINGS, body)
        assert answer.status_code == 422, body
    assert admin.ask("POST", "admin", BINDINGS, {"binding": {}}).status_code == 400
    assert admin.get("admin", BINDINGS) == {"pod_bindings": []}


def test_an_operators_binding_decides_where_a_project_goes(
    demo: Client, admin: Client, cloud: Cloud, pod1: FakePod
) -> None:
    add(admin, "Pod3", "az1")
    pod_id = pod_of(admin, "Pod3")["pod_id"]
    body = {"pod_binding": {"tenant_id": demo.project, "pod_id": pod_id}}
    assert admin.ask("POST", "admin", BINDINGS, body).status_code == 200
    for _ in range(2):
        demo.server("az1")
    assert len(cloud.pod("Pod3").rows["servers"]) == 2
    assert not pod1.calls_to("POST")


def test_a_draining_pod_takes_nothing_new_and_serves_what_it_has(
    demo: Client, admin: Client, cloud: Cloud, pod1: FakePod
) -> None:
    server = demo.server("az1")
    changed = set_state(admin, "Pod1", "draining")
    assert (changed.status_code, changed.json()["pod"]["state"]) == (200, "draining")
    assert pod_of(admin, "Pod1")["state"] == "draining"
    assert admin.get("admin", BINDINGS) == {"pod_bindings": []}
    body = {"server": {"name": "n", "flavorRef": "1", "availability_zone": "az1"}}
    answer = demo.ask("POST", "compute", "/v2.1/servers", body)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert demo.get("compute", f"/v2.1/servers/{server}")["server"]["id"] == server
    assert demo.ids("compute", "/v2.1/servers") == [server]
    add(admin, "Pod3", "az1")
    demo.server("az1")
    assert len(cloud.pod("Pod3").rows["servers"]) == 1
    set_state(admin, "Pod1", "active")
    demo.server("az1")
    assert len(cloud.pod("Pod3").rows["servers"]) == 2  # the new binding holds
    assert len(pod1.rows["servers"]) == 1


def test_a_pod_in_maintenance_takes_nothing_not_even_what_belongs_to_it(
    demo: Client, admin: Client, pod1: FakePod
) -> None:
    volume = demo.volume("az1")
    set_state(admin, "Pod1", "draining")
    devices = [{"uuid": volume, "source_type": "volume", "boot_index": 0}]
    demo.server(block_device_mapping_v2=devices)  # draining: it has to be there
    other = pod1.add_volume(demo.project)
    set_state(admin, "Pod1", "maintenance")
    devices = [{"uuid": other, "source_type": "volume", "boot_index": 0}]
    wish = {"name": "n", "flavorRef": "1", "block_device_mapping_v2": devices}
    answer = demo.ask("POST", "compute", "/v2.1/servers", {"server": wish})
    assert answer.status_code == 503
    assert len(pod1.rows["servers"]) == 1


@pytest.mark.parametrize("state", ["", "off", "ACTIVE", None])
def test_a_state_is_one_of_three(admin: Client, appliance: Appliance, state: Any) -> None:
    path = f"{PODS}/{pod_of(admin, 'Pod1')['pod_id']}"
    answer = admin.ask("PUT", "admin", path, {"pod": {"state": state}})
    assert answer.status_code == 422
    assert "draining" in message(answer)
    assert pod_of(admin, "Pod1")["state"] == "active"


def put(admin: Client, name: str, **fields: Any) -> requests.Response:
    path = f"{PODS}/{pod_of(admin, name)['pod_id']}"
    return admin.ask("PUT", "admin", path, {"pod": fields})


def test_a_pods_weight_tags_and_azs_are_changed_and_shown(
    admin: Client, appliance: Appliance
) -> None:
    before = pod_of(admin, "Pod1")
    assert (before["weight"], before["tags"]) == (1.0, [])
    assert before["availability_zones"] == {"az1": {"compute": "", "volume": ""}}
    assert pod_of(admin, "RegionOne")["availability_zones"] == {}
    zones = {"az1": {"compute": "nova", "volume": "vol"}, "az3": {"compute": "rack3"}}
    answer = put(admin, "Pod1", weight=2.5, tags=["gpu", "ssd", "gpu"], availability_zones=zones)
    assert answer.status_code == 200
    shown = answer.json()["pod"]
    assert (shown["weight"], shown["tags"], shown["state"]) == (2.5, ["gpu", "ssd"], "active")
    assert shown["availability_zones"] == zones | {"az3": {"compute": "rack3", "volume": ""}}
    assert (shown["az_name"], shown["pod_az_name"]) == ("az1", "nova")
    assert pod_of(admin, "Pod1") == shown
    appliance.kill()
    appliance.start()
    assert pod_of(admin, "Pod1") | {"health": {}} == shown | {"health": {}}
    plain = {"az9": {"compute": "nova", "volume": "nova"}}
    shown = put(admin, "Pod1", availability_zones=plain, dc_name="dc").json()["pod"]
    assert (shown["az_name"], shown["pod_az_name"], shown["dc_name"]) == ("az9", "nova", "dc")
    assert (shown["availability_zones"], shown["weight"]) == (plain, 2.5)


def test_the_pair_of_a_new_pod_is_one_entry_of_its_map(bare: Appliance, admin: Client) -> None:
    zones = {"az2": {"compute": "b", "volume": "b"}}
    made = add(admin, "Pod1", "az1", pod_az_name="a", availability_zones=zones, weight=3)
    shown = made.json()["pod"]
    assert list(shown["availability_zones"].items()) == [
        ("az1", {"compute": "a", "volume": "a"}),
        ("az2", {"compute": "b", "volume": "b"}),
    ]
    assert shown["weight"] == 3.0
    body = {"pod": {"pod_name": "Pod2", "availability_zones": zones}}
    shown = admin.ask("POST", "admin", PODS, body).json()["pod"]
    assert (shown["az_name"], shown["pod_az_name"]) == ("az2", "b")


ZONE = {"compute": "x", "volume": "x"}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"az_name": "az9"}, 400),
        ({"pod_id": "x"}, 400),
        ({"weight": "1"}, 400),
        ({"weight": True}, 400),
        ({"weight": None}, 400),
        ({"weight": -1}, 422),
        ({"weight": 1e300}, 422),
        ({"tags": "gpu"}, 400),
        ({"tags": [1]}, 400),
        ({"tags": [""]}, 422),
        ({"tags": ["a,b"]}, 422),
        ({"tags": ["x" * 256]}, 422),
        ({"dc_name": 5}, 400),
        ({"availability_zones": []}, 400),
        ({"availability_zones": None}, 400),
        ({"availability_zones": {"az1": "nova"}}, 400),
        ({"availability_zones": {"az1": {"compute": 1}}}, 400),
        ({"availability_zones": {"az1": {"network": "x"}}}, 400),
        ({"availability_zones": {}}, 422),
        ({"availability_zones": {"": ZONE}}, 422),
        ({"availability_zones": {"a:b": ZONE}}, 422),
        ({"availability_zones": {"az1": ZONE, "az2": ZONE}}, 422),
        ({"availability_zones": {"az1": ZONE}, "state": "off"}, 422),
    ],
    ids=str,
)
def test_bad_input_for_a_pod_changes_nothing(
    admin: Client, appliance: Appliance, fields: dict[str, Any], status: int
) -> None:
    before = pod_of(admin, "Pod1")
    answer = put(admin, "Pod1", **fields)
    assert answer.status_code == status, answer.text
    assert message(answer)
    assert pod_of(admin, "Pod1") == before


def test_the_top_region_has_no_state_weight_tags_or_azs(
    admin: Client, appliance: Appliance
) -> None:
    for fields in (
        {"state": "draining"},
        {"weight": 2},
        {"tags": []},
        {"availability_zones": {"az1": ZONE}},
    ):
        assert put(admin, "RegionOne", **fields).status_code == 422
    assert put(admin, "RegionOne", dc_name="here").json()["pod"]["dc_name"] == "here"


def test_pods_show_their_health(admin: Client, appliance: Appliance, pod1: FakePod) -> None:
    def health(name: str) -> dict[str, str]:
        return dict(pod_of(admin, name)["health"])

    up = {"compute": "up", "volume": "up", "network": "up", "placement": "up"}
    assert (health("Pod1"), health("Pod2"), health("RegionOne")) == (up, up, {})
    pod1.volume.stop()
    eventually(lambda: health("Pod1") == up | {"volume": "down"})
    assert health("Pod2") == up
    pod1.volume.listen()
    eventually(lambda: health("Pod1") == up)


def test_a_pod_with_known_resources_stays_unless_forced(
    demo: Client, admin: Client, pod1: FakePod
) -> None:
    server = demo.server("az1")
    path = f"{PODS}/{pod_of(admin, 'Pod1')['pod_id']}"
    answer = admin.ask("DELETE", "admin", path)
    assert (answer.status_code, "Pod1" in message(answer)) == (409, True)
    assert demo.ids("compute", "/v2.1/servers") == [server]
    assert admin.ask("DELETE", "admin", f"{path}?force=true").status_code == 200
    assert admin.ask("GET", "admin", path).status_code == 404
    assert admin.get("admin", BINDINGS) == {"pod_bindings": []}
    assert demo.ids("compute", "/v2.1/servers") == []
    assert demo.ask("GET", "compute", f"/v2.1/servers/{server}").status_code == 404
    assert server in pod1.rows["servers"]  # what runs goes on running
    add(admin, "Pod1", "az1")
    assert demo.get("compute", f"/v2.1/servers/{server}")["server"]["id"] == server


def test_a_pod_goes_when_all_that_was_in_it_is_gone(
    demo: Client, admin: Client, pod1: FakePod
) -> None:
    server, volume = demo.server("az1"), demo.volume("az1")
    assert demo.ask("DELETE", "compute", f"/v2.1/servers/{server}").status_code == 204
    path = f"{PODS}/{pod_of(admin, 'Pod1')['pod_id']}"
    assert admin.ask("DELETE", "admin", path).status_code == 409
    del pod1.rows["volumes"][volume]  # behind the appliance's back
    assert admin.ask("DELETE", "admin", path).status_code == 200


def test_a_pod_that_cannot_be_asked_counts_as_full(
    demo: Client, admin: Client, pod1: FakePod
) -> None:
    demo.server("az1")
    pod1.down()
    path = f"{PODS}/{pod_of(admin, 'Pod1')['pod_id']}"
    assert admin.ask("DELETE", "admin", path).status_code == 409


def test_admin_errors_are_json(admin: Client, appliance: Appliance) -> None:
    for answer, status in (
        (admin.ask("GET", "admin", "/v1.0/nothing"), 404),
        (admin.ask("PATCH", "admin", PODS), 405),
        (admin.ask("POST", "admin", PODS, data=b"{"), 400),
        (admin.ask("POST", "admin", PODS, data=b"a=b", headers={"Content-Type": "text/x"}), 415),
    ):
        assert answer.status_code == status
        assert message(answer)
