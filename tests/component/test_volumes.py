"""Volumes and snapshots, by Cinder's ways."""

import uuid

import pytest
from appliance import Appliance, Client
from fake_http import INTERNAL
from fakes import Cloud, FakePod
from test_admin_api import BINDINGS, add
from test_lists import moments
from test_servers import hrefs


def volumes(demo: Client, more: str = "") -> str:
    return f"/v3/{demo.project}/volumes{more}"


def snapshots(demo: Client, more: str = "") -> str:
    return f"/v3/{demo.project}/snapshots{more}"


def test_a_volume_goes_to_the_pod_of_its_az(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    one, two = demo.volume("az1"), demo.volume("az2")
    assert list(pod1.rows["volumes"]) == [one]
    assert list(pod2.rows["volumes"]) == [two]
    assert "availability_zone" not in pod1.calls_to("POST")[0].json["volume"]
    bound = admin.get("admin", BINDINGS)["pod_bindings"]
    assert [(row["tenant_id"], row["az_name"]) for row in bound] == [
        (demo.project, "az1"),
        (demo.project, "az2"),
    ]


def test_the_pods_own_az_name_is_sent_down(bare: Appliance, admin: Client, cloud: Cloud) -> None:
    add(admin, "Pod1", "az1", pod_az_name="nova-7")
    cloud.pod("Pod1").zones = ("nova-7",)
    volume = admin.volume("az1", **{"x:y": [1]})
    (call,) = cloud.pod("Pod1").calls_to("POST")
    assert call.json == {"volume": {"size": 1, "availability_zone": "nova-7", "x:y": [1]}}
    shown = admin.get("volume", volumes(admin, f"/{volume}"))["volume"]
    assert shown["availability_zone"] == "az1"


def test_an_unknown_az_is_400_in_cinders_words(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    body = {"volume": {"size": 1, "availability_zone": "az9"}}
    answer = demo.ask("POST", "volume", volumes(demo), body)
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == "Availability zone 'az9' is invalid."
    assert not pod1.calls_to("POST") and not pod2.calls_to("POST")


@pytest.mark.parametrize("form", ["/v3", "/v3/{project}"])
def test_a_volume_is_shown_with_our_az_and_links(
    demo: Client, appliance: Appliance, form: str
) -> None:
    metadata = {"url": f"{INTERNAL}/v3/volumes"}
    path = form.format(project=demo.project) + "/volumes"
    body = {"volume": {"size": 1, "availability_zone": "az2", "metadata": metadata}}
    made = demo.ask("POST", "volume", path, body).json()["volume"]
    shown = demo.get("volume", f"{path}/{made['id']}")["volume"]
    (listed,) = demo.get("volume", f"{path}/detail")["volumes"]
    (brief,) = demo.get("volume", path)["volumes"]
    for view in (made, shown, listed):
        assert view["availability_zone"] == "az2"
        assert view["metadata"] == metadata
        assert view["x-vendor:thing"] == {"kept": [1, None]}
    assert set(brief) == {"id", "name", "links"}
    for view in (made, shown, listed, brief):
        assert hrefs(view)
        assert all(href.startswith(appliance.public("volume") + "/v3/") for href in hrefs(view))


def test_a_volume_is_changed_and_deleted_in_its_pod(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    volume = demo.volume("az2")
    path = volumes(demo, f"/{volume}")
    answer = demo.ask("PUT", "volume", path, {"volume": {"name": "new"}})
    assert answer.json()["volume"]["name"] == "new"
    assert demo.ask("POST", "volume", f"{path}/action", {"os-extend": {"new_size": 7}}).ok
    assert demo.get("volume", path)["volume"]["size"] == 7
    answer = demo.ask("POST", "volume", f"{path}/metadata", {"metadata": {"a": "b"}})
    assert answer.json() == {"metadata": {"a": "b"}}
    assert demo.ask("DELETE", "volume", path).status_code == 202
    assert demo.ask("GET", "volume", path).status_code == 404
    for method in ("PUT", "POST", "DELETE"):
        assert not pod1.calls_to(method)


def test_a_clone_goes_to_the_pod_of_its_source(demo: Client, pod2: FakePod) -> None:
    source = demo.volume("az2")
    clone = demo.volume(source_volid=source)
    body = {"snapshot": {"volume_id": source}}
    made = demo.ask("POST", "volume", snapshots(demo), body)
    assert made.status_code == 202
    restored = demo.volume(snapshot_id=made.json()["snapshot"]["id"])
    assert {source, clone, restored} == set(pod2.rows["volumes"])
    body = {"volume": {"size": 1, "source_volid": source, "availability_zone": "az1"}}
    answer = demo.ask("POST", "volume", volumes(demo), body)
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (source, "az1", "az2"))


def test_a_snapshot_lives_with_its_volume(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    ids = {}
    for zone, pod in (("az1", pod1), ("az2", pod2)):
        body = {"snapshot": {"volume_id": demo.volume(zone), "name": zone, "new": 1}}
        answer = demo.ask("POST", "volume", snapshots(demo), body)
        assert answer.status_code == 202
        ids[zone] = answer.json()["snapshot"]["id"]
        assert list(pod.rows["snapshots"]) == [ids[zone]]
        assert pod.calls_to("POST", "snapshots")[0].json == body
    assert set(demo.ids("volume", snapshots(demo))) == set(ids.values())
    assert set(demo.ids("volume", snapshots(demo, "/detail"))) == set(ids.values())
    path = snapshots(demo, f"/{ids['az2']}")
    assert demo.get("volume", path)["snapshot"]["name"] == "az2"
    answer = demo.ask("PUT", "volume", path, {"snapshot": {"name": "n"}})
    assert answer.json()["snapshot"]["name"] == "n"
    assert demo.ask("DELETE", "volume", path).status_code == 202
    assert demo.ask("GET", "volume", path).status_code == 404
    assert demo.ids("volume", snapshots(demo)) == [ids["az1"]]


@pytest.mark.parametrize("kind", ["volumes", "snapshots"])
@pytest.mark.parametrize("detail", ["", "/detail"])
def test_pages_are_newest_first_and_by_falling_id(
    demo: Client, pod1: FakePod, pod2: FakePod, kind: str, detail: str
) -> None:
    rows = []
    for place, moment in enumerate(moments(11)):
        pod = (pod1, pod2)[place % 2]
        add_row = pod.add_volume if kind == "volumes" else pod.add_snapshot
        rows.append((moment, add_row(demo.project, created=moment)))
    expected = [id for _, id in sorted(rows, reverse=True)]
    path = f"/v3/{demo.project}/{kind}{detail}"
    assert demo.ids("volume", path) == expected
    for limit in (1, 4, 100):
        pages = list(demo.walk("volume", f"{path}?limit={limit}"))
        assert [id for page in pages for id in page] == expected
    for place, id in enumerate(expected):
        assert demo.ids("volume", f"{path}?marker={id}&limit=2") == expected[place + 1 :][:2]


def test_an_offset_counts_over_all_pods(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    for place, moment in enumerate(moments(8)):
        (pod1, pod2)[place % 2].add_volume(demo.project, created=moment)
    expected = demo.ids("volume", volumes(demo))
    assert demo.ids("volume", volumes(demo, "?offset=3")) == expected[3:]
    assert demo.ids("volume", volumes(demo, "?offset=3&limit=2")) == expected[3:5]


def test_an_unknown_marker_is_404_as_in_cinder(demo: Client) -> None:
    demo.volume("az1")
    answer = demo.ask("GET", "volume", volumes(demo, f"?marker={uuid.uuid4()}"))
    assert (answer.status_code, list(answer.json())) == (404, ["itemNotFound"])


def test_an_unknown_volume_is_404_in_cinders_words(demo: Client) -> None:
    for kind in ("volume", "snapshot"):
        unknown = str(uuid.uuid4())
        answer = demo.ask("GET", "volume", f"/v3/{demo.project}/{kind}s/{unknown}")
        assert answer.status_code == 404
        text = answer.json()["itemNotFound"]["message"]
        assert text == f"{kind.capitalize()} {unknown} could not be found."


def test_the_wrong_project_in_the_path_is_400(demo: Client) -> None:
    answer = demo.ask("GET", "volume", f"/v3/{uuid.uuid4().hex}/volumes")
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])


def test_a_volume_made_behind_our_back_is_found(demo: Client, pod2: FakePod) -> None:
    volume = pod2.add_volume(demo.project)
    shown = demo.get("volume", volumes(demo, f"/{volume}"))["volume"]
    assert shown["availability_zone"] == "az2"
    assert demo.ask("DELETE", "volume", volumes(demo, f"/{volume}")).status_code == 202


def test_a_volume_type_is_one_in_all_pods(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    # what new pods have is taken up by a pass
    passed = admin.ask("POST", "admin", "/v1.0/reconcilers/volume_types/run")
    assert passed.status_code == 200 and passed.json()["reconciler"]["failed"] == 0, passed.text
    types = demo.get("volume", f"/v3/{demo.project}/types")["volume_types"]
    assert [row["name"] for row in types] == ["__DEFAULT__"]
    assert set(pod1.rows["types"]) != set(pod2.rows["types"])
    shown = demo.get("volume", f"/v3/{demo.project}/types/{types[0]['id']}")
    assert shown["volume_type"]["id"] == types[0]["id"]
    for zone, pod in (("az1", pod1), ("az2", pod2)):
        demo.volume(zone, volume_type=types[0]["id"])
        sent = pod.calls_to("POST")[0].json["volume"]["volume_type"]
        assert sent == "__DEFAULT__" or sent in pod.rows["types"]


def test_an_az_as_filter_is_the_tenants_az(demo: Client) -> None:
    one, two = demo.volume("az1"), demo.volume("az2")
    assert demo.ids("volume", volumes(demo, "?availability_zone=az2")) == [two]
    assert demo.ids("volume", volumes(demo, "/detail?availability_zone=az1")) == [one]


def test_a_dead_pod_is_named(demo: Client, pod2: FakePod) -> None:
    one = demo.volume("az1")
    demo.volume("az2", name="n")
    pod2.volume.stop()
    answer = demo.ask("GET", "volume", volumes(demo, "/detail"))
    assert [row["id"] for row in answer.json()["volumes"]] == [one]
    assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    assert demo.ask("GET", "volume", volumes(demo, "?name=n")).status_code == 503
    assert demo.ask("GET", "compute", "/v2.1/servers").status_code == 200
