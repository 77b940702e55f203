"""Where new things go: pins, tags, room, weights, bindings; and pods with several AZs."""

from typing import Any

import pytest
from appliance import Appliance, Client, eventually
from fakes import Cloud, FakePod
from test_admin_api import BINDINGS, PODS, add, pod_of, put, set_state

SERVERS = "/v2.1/servers"


@pytest.fixture
def pod3(appliance: Appliance, admin: Client, cloud: Cloud) -> FakePod:
    """A second pod of az1."""
    assert add(admin, "Pod3", "az1").status_code == 200
    return cloud.pod("Pod3")


def history(admin: Client, project: str) -> list[tuple[str, str, bool]]:
    """Which pods a project used for which AZ, and whether it still does."""
    names = {pod["pod_id"]: pod["pod_name"] for pod in admin.get("admin", PODS)["pods"]}
    rows = admin.get("admin", f"{BINDINGS}?ended=true&tenant_id={project}")["pod_bindings"]
    return [(names[row["pod_id"]], row["az_name"], row["ended_at"] is None) for row in rows]


def wish(**fields: Any) -> dict[str, Any]:
    return {"server": {"name": "n", "flavorRef": "1", "networks": "none"} | fields}


def test_a_project_of_a_full_pod_moves_on_and_its_history_is_kept(
    demo: Client, admin: Client, pod1: FakePod, pod3: FakePod
) -> None:
    demo.server("az1")
    pod1.room = False
    demo.server("az1")
    assert (len(pod1.rows["servers"]), len(pod3.rows["servers"])) == (1, 1)
    pod1.room = True
    demo.server("az1")
    assert len(pod3.rows["servers"]) == 2
    assert history(admin, demo.project) == [("Pod1", "az1", False), ("Pod3", "az1", True)]


def test_a_project_whose_pod_is_down_moves_on(
    demo: Client, admin: Client, pod1: FakePod, pod3: FakePod
) -> None:
    demo.server("az1")
    pod1.down()
    demo.server("az1")
    assert len(pod3.rows["servers"]) == 1
    assert history(admin, demo.project) == [("Pod1", "az1", False), ("Pod3", "az1", True)]


def test_where_no_pod_has_room_the_call_goes_where_it_would_have(
    demo: Client, pod1: FakePod, pod3: FakePod
) -> None:
    pod1.room = pod3.room = False
    demo.server("az1")
    assert len(pod1.rows["servers"]) == 1


def test_a_placement_that_cannot_be_asked_keeps_no_pod_out(
    demo: Client, pod1: FakePod, pod3: FakePod
) -> None:
    pod1.placement.stop()
    demo.server("az1")
    assert len(pod1.rows["servers"]) == 1


def test_one_candidate_is_not_asked_and_many_are_asked_what_the_flavor_needs(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod, pod3: FakePod
) -> None:
    demo.server("az2")
    assert not pod2.own_calls_to("GET", "allocation_candidates")
    pod1.add_flavor("9", "m9", vcpus=3, ram=99, disk=7, extra_specs={"trait:CUSTOM_X": "required"})
    demo.server("az1", flavorRef="9")
    for pod in (pod1, pod3):
        (call,) = pod.own_calls_to("GET", "allocation_candidates")
        assert call.query["resources"] == ["DISK_GB:7,MEMORY_MB:99,VCPU:3"]
        assert call.query["required"] == ["!COMPUTE_STATUS_DISABLED,CUSTOM_X"]
        assert call.token["user"]["name"] == "trio2o"


def test_a_503_before_anything_was_done_goes_to_the_next_and_a_time_out_does_not(
    demo: Client, admin: Client, pod1: FakePod, pod3: FakePod
) -> None:
    pod1.when = lambda call: call.method == "POST"
    pod1.fail = (503, b"{}")
    demo.server("az1")
    assert len(pod3.rows["servers"]) == 1
    assert history(admin, demo.project) == [("Pod1", "az1", False), ("Pod3", "az1", True)]
    pod3.when, pod3.reset_after_request = pod1.when, True
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
    assert answer.status_code == 504
    assert (len(pod1.calls_to("POST")), len(pod3.rows["servers"])) == (1, 2)


def test_what_is_pinned_is_refused_where_it_is_and_tried_nowhere_else(
    demo: Client, pod1: FakePod, pod3: FakePod
) -> None:
    network = demo.network("az1")
    assert network in pod1.rows["networks"]
    pod1.when = lambda call: call.service == "compute" and call.method == "POST"
    pod1.fail = (503, b"{}")
    for fields in ({"networks": [{"uuid": network}]}, {"availability_zone": "az1.Pod1"}):
        answer = demo.ask("POST", "compute", SERVERS, wish(**fields))
        assert answer.status_code == 503
    assert not pod3.calls_to("POST")


def test_a_flavors_tags_choose_the_pod(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod, pod3: FakePod
) -> None:
    for pod in (pod1, pod2, pod3):
        pod.add_flavor("7", "m7", extra_specs={"trio2o:pod_tags": "gpu,ssd"})
    assert put(admin, "Pod1", tags=["ssd"]).status_code == 200
    assert put(admin, "Pod3", tags=["gpu", "ssd"]).status_code == 200
    demo.server(flavorRef="7")
    demo.server("az1", flavorRef="7")
    assert len(pod3.rows["servers"]) == 2
    answer = demo.ask("POST", "compute", SERVERS, wish(flavorRef="7", availability_zone="az2"))
    assert answer.status_code == 400
    for word in ("Flavor 7", "gpu, ssd", "az2"):
        assert word in answer.json()["badRequest"]["message"]
    volume = demo.volume("az2")
    devices = [{"uuid": volume, "source_type": "volume", "boot_index": 0}]
    body = wish(flavorRef="7", block_device_mapping_v2=devices)
    answer = demo.ask("POST", "compute", SERVERS, body)
    assert (answer.status_code, volume in answer.text, "gpu" in answer.text) == (400, True, True)


def test_the_emptiest_pod_goes_first_and_weight_can_say_otherwise(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod, cloud: Cloud
) -> None:
    pod1.free, pod2.free = 0.2, 0.8
    demo.server()
    assert len(pod2.rows["servers"]) == 1
    assert put(admin, "Pod1", weight=50).status_code == 200
    project = cloud.keystone.project("another")
    other = Client(demo.appliance, project, cloud.keystone.token(project))
    other.volume()
    assert len(pod1.rows["volumes"]) + len(pod2.rows["volumes"]) == 1


def test_volumes_without_an_az_land_where_the_projects_servers_are(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    pod1.free = 0.9
    demo.server("az2")
    demo.volume()
    assert len(pod2.rows["volumes"]) == 1


def test_a_volume_that_is_too_big_for_the_projects_pod_goes_to_the_next(
    demo: Client, admin: Client, pod1: FakePod, pod3: FakePod
) -> None:
    pod3.free = 0.9
    assert put(admin, "Pod1", weight=2).status_code == 200
    demo.volume("az1")
    demo.volume("az1", size=80)
    assert (len(pod1.rows["volumes"]), len(pod3.rows["volumes"])) == (1, 1)
    assert history(admin, demo.project) == [("Pod1", "az1", False), ("Pod3", "az1", True)]


def test_a_host_behind_the_az_pins_the_pod_that_has_it(
    admin: Client, pod1: FakePod, pod2: FakePod, pod3: FakePod
) -> None:
    pod1.hosts, pod3.hosts = ("one",), ("three",)
    for zone in ("az1:three", ":three"):
        answer = admin.ask("POST", "compute", SERVERS, wish(availability_zone=zone))
        assert answer.status_code == 202, answer.text
    assert len(pod3.rows["servers"]) == 2
    answer = admin.ask("POST", "compute", SERVERS, wish(availability_zone="az2:three"))
    assert answer.status_code == 400
    for word in ("three", "az1", "az2"):
        assert word in answer.json()["badRequest"]["message"]
    pod1.hosts = pod3.hosts = pod2.hosts = ("same",)
    answer = admin.ask("POST", "compute", SERVERS, wish(availability_zone="az1:same"))
    assert (answer.status_code, "az1.Pod3" in answer.text) == (400, True)
    answer = admin.ask("POST", "compute", SERVERS, wish(availability_zone="az1.Pod3:same"))
    assert (answer.status_code, len(pod3.rows["servers"])) == (202, 3)


# pods with several AZs


@pytest.fixture
def racks(admin: Client, pod1: FakePod) -> FakePod:
    """Pod1 in az1, az2 and az9; Pod2 in az2."""
    zones = {
        "az1": {"compute": "rack1", "volume": "store1"},
        "az9": {"compute": "rack9", "volume": "store9"},
    }
    assert put(admin, "Pod1", availability_zones=zones).status_code == 200
    pod1.zones = ("rack1", "rack9", "store1", "store9", "rack-without-a-name")
    return pod1


def test_each_az_of_a_pod_is_translated_there_and_back(
    demo: Client, admin: Client, racks: FakePod
) -> None:
    one, nine = demo.server("az1"), demo.server("az9.Pod1")
    volume, listed = demo.volume("az9"), demo.ids("compute", SERVERS)
    assert [racks.rows["servers"][id]["OS-EXT-AZ:availability_zone"] for id in (one, nine)] == [
        "rack1",
        "rack9",
    ]
    assert racks.rows["volumes"][volume]["availability_zone"] == "store9"
    shown = demo.get("compute", f"{SERVERS}/{nine}")["server"]
    assert shown["OS-EXT-AZ:availability_zone"] == "az9"
    rows = demo.get("compute", f"{SERVERS}/detail")["servers"]
    assert {row["id"]: row["OS-EXT-AZ:availability_zone"] for row in rows} == {
        one: "az1",
        nine: "az9",
    }
    assert sorted(listed) == sorted([one, nine])
    shown = demo.get("volume", f"/v3/{demo.project}/volumes/{volume}")["volume"]
    assert shown["availability_zone"] == "az9"
    assert history(admin, demo.project) == [("Pod1", "az1", True), ("Pod1", "az9", True)]


def test_an_az_that_has_no_name_of_the_tenants_is_the_first(demo: Client, racks: FakePod) -> None:
    zone = {"OS-EXT-AZ:availability_zone": "rack-without-a-name"}
    server = racks.add_server(demo.project, **zone)
    shown = demo.get("compute", f"{SERVERS}/{server}")["server"]
    assert shown["OS-EXT-AZ:availability_zone"] == "az1"


def test_all_azs_are_listed(demo: Client, racks: FakePod) -> None:
    for face, path in (
        ("compute", "/v2.1/os-availability-zone"),
        ("volume", f"/v3/{demo.project}/os-availability-zone"),
    ):
        info = demo.get(face, path)["availabilityZoneInfo"]
        assert [row["zoneName"] for row in info] == ["az1", "az2", "az9"]
        assert all(row["zoneState"] == {"available": True} for row in info)
    zones = demo.get("network", "/v2.0/availability_zones")["availability_zones"]
    assert [row["name"] for row in zones] == ["az1", "az1", "az2", "az2", "az9", "az9"]


def test_a_list_filtered_by_az_asks_a_pod_by_its_own_name(demo: Client, racks: FakePod) -> None:
    one, nine = demo.volume("az1"), demo.volume("az9")
    base = f"/v3/{demo.project}/volumes/detail"
    assert demo.ids("volume", f"{base}?availability_zone=az9") == [nine]
    assert demo.ids("volume", f"{base}?availability_zone=az1&limit=5") == [one]
    assert demo.ids("volume", f"{base}?availability_zone=az2") == []
    demo.get("compute", f"{SERVERS}?availability_zone=az9.Pod1")
    (call,) = racks.calls_to("GET", "servers/detail")
    assert call.query["availability_zone"] == ["rack9"]


def test_a_server_comes_back_from_a_shelf_in_an_az_of_its_pod(
    demo: Client, racks: FakePod, pod2: FakePod
) -> None:
    server = demo.server("az1")
    path, version = f"{SERVERS}/{server}/action", "2.91"
    body = {"unshelve": {"availability_zone": "az9"}}
    assert demo.ask("POST", "compute", path, body, version=version).status_code == 202
    assert racks.calls_to("POST", "action")[-1].json == {"unshelve": {"availability_zone": "rack9"}}
    body = {"unshelve": {"availability_zone": "az2"}}
    answer = demo.ask("POST", "compute", path, body, version=version)
    assert answer.status_code == 400
    for word in ("az1", "az2", "Pod1"):
        assert word in answer.json()["badRequest"]["message"]


def test_an_az_that_a_pod_has_no_more_ends_its_bindings(
    demo: Client, admin: Client, racks: FakePod
) -> None:
    demo.server("az1")
    demo.server("az9")
    zones = {"az1": {"compute": "rack1", "volume": "store1"}}
    assert put(admin, "Pod1", availability_zones=zones).status_code == 200
    assert history(admin, demo.project) == [("Pod1", "az1", True), ("Pod1", "az9", False)]
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az9"))
    assert answer.status_code == 400


def test_states_other_than_active_keep_what_is_new_away_until_they_end(
    demo: Client, admin: Client, pod1: FakePod, pod3: FakePod
) -> None:
    demo.server("az1")
    assert set_state(admin, "Pod1", "maintenance").status_code == 200
    demo.server("az1")
    assert set_state(admin, "Pod1", "active").status_code == 200
    demo.server("az1")
    assert (len(pod1.rows["servers"]), len(pod3.rows["servers"])) == (1, 2)
    eventually(lambda: history(admin, demo.project)[0] == ("Pod1", "az1", False))


def test_filters_that_are_off_keep_nothing_out(cloud: Cloud, folder: Any) -> None:
    (folder / "free").mkdir()
    cloud.reset(move=True)
    one = Appliance(cloud, folder / "free", **{"scheduling.filters": ["state", "health"]})
    try:
        one.start()
        token = cloud.keystone.token("admin", "admin", ["admin"])
        admin = Client(one, cloud.keystone.project("admin"), token, ("admin",))
        for name in ("Pod1", "Pod2"):
            assert add(admin, name, "az1").status_code == 200
        pod = cloud.pod("Pod1")
        pod.room = False
        pod.add_flavor("7", "m7", extra_specs={"trio2o:pod_tags": "gpu"})
        admin.server("az1", flavorRef="7")
        assert len(pod.rows["servers"]) == 1
        assert not pod.own_calls_to("GET", "allocation_candidates")
        assert pod_of(admin, "Pod1")["tags"] == []
    finally:
        one.kill()
