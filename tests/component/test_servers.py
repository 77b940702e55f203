"""Servers: created in the pod of their AZ, and found there ever after."""

import json
import uuid
from typing import Any

import pytest
from appliance import Appliance, Client
from fake_http import INTERNAL, Row
from fakes import Cloud, FakePod
from test_admin_api import BINDINGS, add, pod_of

SERVERS = "/v2.1/servers"


def wish(**fields: Any) -> Row:
    return {"server": {"name": "one", "flavorRef": "1", "networks": "auto"} | fields}


def hrefs(value: Any) -> list[str]:
    """Every `href` under a key that is named links, however deep."""
    if isinstance(value, list):
        return [href for item in value for href in hrefs(item)]
    if not isinstance(value, dict):
        return []
    found = [link["href"] for key in value if key.endswith("links") for link in value[key]]
    return found + [href for item in value.values() for href in hrefs(item)]


def test_a_server_goes_to_the_pod_of_its_az(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    assert list(pod1.rows["servers"]) == [one]
    assert list(pod2.rows["servers"]) == [two]


def test_the_body_goes_down_as_it_was_written_but_for_the_az(demo: Client, pod1: FakePod) -> None:
    text = (
        b'{"server": {"name": "n", "flavorRef": "1", "x": 1.50, "big": 12345678901234567890,\n'
        b'  "metadata": {"url": "http:\\/\\/a", "u": "\\u00e9"}, "availability_zone": "az1",'
        b' "later": [1, {"a": null}]}, "os:scheduler_hints": {"k":  "v"}, "new": true}'
    )
    answer = demo.ask("POST", "compute", SERVERS, data=text)
    assert answer.status_code == 202
    (call,) = pod1.calls_to("POST")
    expected = json.loads(text)
    del expected["server"]["availability_zone"]
    assert call.json == expected
    for kept in (b"1.50", b"12345678901234567890", b'"http:\\/\\/a"', b'"\\u00e9"', b'"k":  "v"'):
        assert kept in call.body
    assert call.header("Content-Length") == str(len(call.body))


def test_a_body_without_an_az_is_not_touched_at_all(demo: Client, pod1: FakePod) -> None:
    text = b' {"server" : {"flavorRef":"1","name":"n", "dup": 1, "dup": 2}} \n'
    assert demo.ask("POST", "compute", SERVERS, data=text).status_code == 202
    assert pod1.calls_to("POST")[0].body == text


def test_the_az_is_translated_where_the_pod_has_a_name_of_its_own(
    bare: Appliance, admin: Client, cloud: Cloud
) -> None:
    add(admin, "Pod1", "az1", pod_az_name="nova-7")
    pod = cloud.pod("Pod1")
    pod.zones = ("nova-7",)
    server = admin.server("az1")
    assert pod.calls_to("POST")[0].json["server"]["availability_zone"] == "nova-7"
    shown = admin.get("compute", f"{SERVERS}/{server}")["server"]
    assert shown["OS-EXT-AZ:availability_zone"] == "az1"
    admin.ask("POST", "compute", SERVERS, wish(availability_zone="az1:host1:node1"))
    sent = pod.calls_to("POST")[1].json["server"]["availability_zone"]
    assert sent == "nova-7:host1:node1"


def test_the_binding_is_made_once_and_persisted(
    demo: Client, admin: Client, appliance: Appliance, cloud: Cloud, pod1: FakePod
) -> None:
    demo.server("az1")
    (binding,) = admin.get("admin", BINDINGS)["pod_bindings"]
    assert binding["tenant_id"] == demo.project
    assert binding["pod_id"] == pod_of(admin, "Pod1")["pod_id"]
    add(admin, "Pod3", "az1")
    demo.server("az1")
    demo.volume("az1")
    assert len(pod1.rows["servers"]) == 2
    assert not cloud.pod("Pod3").calls_to("POST")
    assert admin.get("admin", BINDINGS)["pod_bindings"] == [binding]
    demo.server("az2")
    assert len(admin.get("admin", BINDINGS)["pod_bindings"]) == 2


def test_the_binding_is_recorded_before_the_pod_is_asked(
    demo: Client, admin: Client, pod1: FakePod
) -> None:
    seen: list[Any] = []

    def look(method: str, path: str) -> None:
        if method == "POST":
            seen.append(admin.get("admin", BINDINGS)["pod_bindings"])

    pod1.before_answer = look
    demo.server("az1")
    assert [[row["tenant_id"] for row in rows] for rows in seen] == [[demo.project]]


def test_without_an_az_servers_stay_in_the_projects_pod(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    demo.server("az2")
    demo.server()
    assert len(pod2.rows["servers"]) == 2
    assert not pod1.calls_to("POST")


def test_an_unknown_az_is_400_and_nothing_is_sent(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az9"))
    assert answer.status_code == 400
    assert "availability zone" in answer.json()["badRequest"]["message"]
    assert not pod1.calls_to("POST") and not pod2.calls_to("POST")
    assert admin.get("admin", BINDINGS)["pod_bindings"] == []


def test_a_refusal_of_the_pod_is_the_answer(demo: Client, pod1: FakePod) -> None:
    answer = demo.ask("POST", "compute", SERVERS, wish(flavorRef="none"))
    assert answer.status_code == 400
    assert "Flavor could not be found" in answer.json()["badRequest"]["message"]
    pod1.fail = (409, b'{"conflictingRequest": {"code": 409, "message": "m", "x": 1}}')
    pod1.when = lambda call: call.method == "POST"
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
    assert (answer.status_code, answer.json()) == (409, json.loads(pod1.fail[1]))


def test_the_answer_is_the_pods_with_our_links(demo: Client, appliance: Appliance) -> None:
    for path in (SERVERS, f"/v2.1/{demo.project}/servers"):
        answer = demo.ask("POST", "compute", path, wish(availability_zone="az1"))
        assert answer.status_code == 202
        server = answer.json()["server"]
        assert server["adminPass"]
        own = f"{appliance.public('compute')}{path}/{server['id']}"
        assert answer.headers["Location"] == own
        assert [link["href"] for link in server["links"]] == [own, own]


@pytest.mark.parametrize("form", ["/v2.1", "/v2.1/{project}"])
def test_a_server_is_shown_with_the_tenants_az_and_our_links(
    demo: Client, appliance: Appliance, form: str
) -> None:
    server = demo.server("az2")
    path = f"{form.format(project=demo.project)}/servers"
    shown = demo.get("compute", f"{path}/{server}")["server"]
    (listed,) = demo.get("compute", f"{path}/detail")["servers"]
    (brief,) = demo.get("compute", path)["servers"]
    assert shown["OS-EXT-AZ:availability_zone"] == "az2"
    assert listed["OS-EXT-AZ:availability_zone"] == "az2"
    assert set(brief) == {"id", "name", "links"}
    for view in (shown, listed, brief):
        assert len(hrefs(view)) >= 2
        assert all(href.startswith(appliance.public("compute") + "/") for href in hrefs(view))
        assert view["links"][0]["href"] == f"{appliance.public('compute')}{path}/{server}"
    assert shown["x-vendor:thing"] == {"kept": [1, None]}
    assert listed == shown


def test_metadata_that_holds_a_pods_url_stays(demo: Client, pod1: FakePod) -> None:
    held = {"link": f"{INTERNAL}/v2.1/servers/x", "az": "nova", "links": '[{"href": "http://x/"}]'}
    name = f"{pod1.compute.url}/v2.1"
    server = demo.server("az1", metadata=held, name=name)
    for view in (
        demo.get("compute", f"{SERVERS}/{server}")["server"],
        demo.get("compute", f"{SERVERS}/detail")["servers"][0],
    ):
        assert (view["metadata"], view["name"]) == (held, name)
    assert demo.get("compute", f"{SERVERS}/{server}/metadata") == {"metadata": held}


def test_an_image_of_a_server_is_linked_to_us(demo: Client, appliance: Appliance) -> None:
    image = str(uuid.uuid4())
    server = demo.server("az1", imageRef=image)
    shown = demo.get("compute", f"{SERVERS}/{server}")["server"]["image"]
    assert shown["id"] == image
    assert INTERNAL not in json.dumps(shown)


def test_a_server_is_renamed_and_deleted_in_its_pod(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    server = demo.server("az2")
    path = f"{SERVERS}/{server}"
    answer = demo.ask("PUT", "compute", path, {"server": {"name": "new", "x:y": [1]}})
    assert (answer.status_code, answer.json()["server"]["name"]) == (200, "new")
    assert pod2.calls_to("PUT")[0].json == {"server": {"name": "new", "x:y": [1]}}
    answer = demo.ask("DELETE", "compute", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert demo.ask("GET", "compute", path).status_code == 404
    assert demo.ids("compute", SERVERS) == []
    assert not pod1.calls_to("PUT") and not pod1.calls_to("DELETE")


@pytest.mark.parametrize(
    "body",
    [
        {"os-stop": None},
        {"reboot": {"type": "HARD"}},
        {"resize": {"flavorRef": "1", "new:key": {"a": [1]}}},
        {"createBackup": {"name": "b", "rotation": 1}},
        {"anActionOfTomorrow": {"x": 1}},
    ],
)
def test_actions_reach_the_pod_of_the_server_as_written(
    demo: Client, pod1: FakePod, pod2: FakePod, body: Row
) -> None:
    server = demo.server("az2")
    answer = demo.ask("POST", "compute", f"{SERVERS}/{server}/action", body)
    assert (answer.status_code, answer.content) == (202, b"")
    (call,) = pod2.calls_to("POST", "/action")
    assert call.json == body
    assert not pod1.calls_to("POST")
    done = demo.get("compute", f"{SERVERS}/{server}/os-instance-actions")["instanceActions"]
    assert [action["action"] for action in done] == list(body)
    assert done[0]["request_id"] == answer.headers["X-Openstack-Request-Id"]


def test_an_image_made_of_a_server_is_found_at_our_image_face(
    demo: Client, appliance: Appliance
) -> None:
    server = demo.server("az1")
    body = {"createImage": {"name": "i"}}
    answer = demo.ask("POST", "compute", f"{SERVERS}/{server}/action", body)
    location = answer.headers["Location"]
    assert location.startswith(appliance.public("image") + "/")
    assert "/images/" in location


@pytest.mark.parametrize("body", [b"{}", b'{"os-stop": null, "os-start": null}', b"[]", b"", b"{"])
def test_an_action_is_exactly_one(demo: Client, pod1: FakePod, body: bytes) -> None:
    server = demo.server("az1")
    headers = {"Content-Type": "application/json"}
    path = f"{SERVERS}/{server}/action"
    answer = demo.ask("POST", "compute", path, data=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])
    assert not pod1.calls_to("POST", "/action")


def test_metadata_is_read_and_changed(demo: Client, pod2: FakePod) -> None:
    server = demo.server("az2", metadata={"a": "b"})
    path = f"{SERVERS}/{server}/metadata"
    answer = demo.ask("POST", "compute", path, {"metadata": {"c": "d"}})
    assert answer.json() == {"metadata": {"a": "b", "c": "d"}}
    answer = demo.ask("PUT", "compute", path, {"metadata": {"e": "f"}})
    assert demo.get("compute", path) == {"metadata": {"e": "f"}}
    assert pod2.rows["servers"][server]["metadata"] == {"e": "f"}


def test_a_volume_is_attached_listed_and_detached(demo: Client, pod2: FakePod) -> None:
    server, volume = demo.server("az2"), demo.volume("az2")
    path = f"{SERVERS}/{server}/os-volume_attachments"
    answer = demo.ask("POST", "compute", path, {"volumeAttachment": {"volumeId": volume}})
    assert (answer.status_code, answer.json()["volumeAttachment"]["id"]) == (200, volume)
    rows = demo.get("compute", path)["volumeAttachments"]
    assert [row["volumeId"] for row in rows] == [volume]
    shown = demo.get("volume", f"/v3/{demo.project}/volumes/{volume}")["volume"]
    assert shown["status"] == "in-use"
    assert demo.ask("DELETE", "compute", f"{path}/{volume}").status_code == 202
    assert demo.get("compute", path) == {"volumeAttachments": []}


def test_a_volume_of_another_pod_is_400_that_names_both_and_nothing_is_sent(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    server, volume = demo.server("az1"), demo.volume("az2")
    path = f"{SERVERS}/{server}/os-volume_attachments"
    answer = demo.ask("POST", "compute", path, {"volumeAttachment": {"volumeId": volume}})
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (server, volume, "az1", "az2")), text
    for pod in (pod1, pod2):
        assert not pod.calls_to("POST", "os-volume_attachments")
    assert pod2.rows["volumes"][volume]["status"] == "available"


@pytest.mark.parametrize("form", ["block_device_mapping_v2", "block_device_mapping"])
def test_a_server_that_boots_from_a_volume_goes_to_its_pod(
    demo: Client, pod1: FakePod, pod2: FakePod, form: str
) -> None:
    volume = demo.volume("az2")
    key = "uuid" if form.endswith("v2") else "volume_id"
    device = {key: volume, "source_type": "volume", "destination_type": "volume"}
    server = demo.server(**{form: [device]})
    assert server in pod2.rows["servers"]
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1", **{form: [device]}))
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (volume, "az1", "az2")), text
    assert not pod1.calls_to("POST")


def test_volumes_of_two_pods_in_one_server_are_400_that_names_both(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    volumes = [demo.volume("az1"), demo.volume("az2")]
    devices = [{"uuid": volume, "source_type": "volume"} for volume in volumes]
    answer = demo.ask("POST", "compute", SERVERS, wish(block_device_mapping_v2=devices))
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (*volumes, "Pod1", "Pod2")), text
    assert not pod1.calls_to("POST", "servers") and not pod2.calls_to("POST", "servers")


def test_a_server_made_behind_our_back_is_found(demo: Client, pod2: FakePod) -> None:
    server = pod2.add_server(demo.project)
    path = f"{SERVERS}/{server}"
    assert demo.get("compute", path)["server"]["OS-EXT-AZ:availability_zone"] == "az2"
    assert demo.ids("compute", SERVERS) == [server]
    demo.get("compute", path)
    assert len(pod2.calls_to("GET", server)) == 3  # one probe, and one call each
    assert demo.ask("DELETE", "compute", path).status_code == 204


def test_an_unknown_server_is_404_in_novas_words(demo: Client, pod1: FakePod) -> None:
    unknown = str(uuid.uuid4())
    for method, path in (
        ("GET", f"{SERVERS}/{unknown}"),
        ("DELETE", f"{SERVERS}/{unknown}"),
        ("GET", f"{SERVERS}/{unknown}/os-instance-actions"),
        ("GET", f"{SERVERS}/not-a-uuid"),
    ):
        answer = demo.ask(method, "compute", path)
        assert answer.status_code == 404, path
        fault = answer.json()["itemNotFound"]
        assert fault["code"] == 404
        assert fault["message"].startswith("Instance ")
        assert fault["message"].endswith(" could not be found.")


def test_a_server_of_another_project_is_404(
    demo: Client, cloud: Cloud, appliance: Appliance
) -> None:
    server = demo.server("az1")
    other = cloud.keystone.project(f"other-{uuid.uuid4()}")
    token = cloud.keystone.token(other)
    for _ in range(2):
        answer = demo.ask("GET", "compute", f"{SERVERS}/{server}", token=token)
        assert answer.status_code == 404
    assert demo.ask("DELETE", "compute", f"{SERVERS}/{server}", token=token).status_code == 404
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server


def test_an_unknown_id_is_not_looked_for_again_and_again(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    unknown = str(uuid.uuid4())
    for _ in range(4):
        demo.ask("GET", "compute", f"{SERVERS}/{unknown}")
    probes = [pod.calls_to("GET", unknown) for pod in (pod1, pod2)]
    assert len(probes[0]) + len(probes[1]) <= 2 + 4


def test_the_wrong_project_in_the_path_is_400(demo: Client, pod1: FakePod) -> None:
    other = uuid.uuid4().hex
    for method, path, body in (
        ("GET", f"/v2.1/{other}/servers", None),
        ("GET", f"/v2.1/{other}/servers/{uuid.uuid4()}", None),
        ("POST", f"/v2.1/{other}/servers", wish()),
    ):
        answer = demo.ask(method, "compute", path, body)
        assert answer.status_code == 400
        text = answer.json()["badRequest"]["message"]
        assert other in text and demo.project in text
    assert not pod1.calls_to("POST")


def test_os_volumes_boot_is_another_name_of_servers(demo: Client, pod2: FakePod) -> None:
    path = "/v2.1/os-volumes_boot"
    volume = demo.volume("az2")
    device = {"uuid": volume, "source_type": "volume", "destination_type": "volume"}
    answer = demo.ask("POST", "compute", path, wish(block_device_mapping_v2=[device]))
    assert answer.status_code == 202
    server = answer.json()["server"]["id"]
    assert server in pod2.rows["servers"]
    assert demo.ids("compute", path) == [server] == demo.ids("compute", f"{path}/detail")
    assert demo.get("compute", f"{path}/{server}")["server"]["id"] == server
    assert demo.ask("DELETE", "compute", f"{path}/{server}").status_code == 204


def test_what_is_not_served_says_so_and_what_is_gone_is_410(demo: Client) -> None:
    answer = demo.ask("POST", "network", "/v2.0/quotas", {})
    assert (answer.status_code, list(answer.json())) == (501, ["NeutronError"])
    answer = demo.ask("GET", "compute", "/v2.1/os-cells")
    assert answer.status_code == 410
    answer = demo.ask("GET", "compute", "/v2.1/nothing/of/this")
    assert (answer.status_code, list(answer.json())) == (404, ["itemNotFound"])
    answer = demo.ask("PATCH", "compute", SERVERS)
    assert answer.status_code == 405
    assert sorted(answer.headers["Allow"].replace(" ", "").split(",")) == ["GET", "HEAD", "POST"]


def test_a_head_of_ours_is_a_get_without_its_body(appliance: Appliance) -> None:
    shown = appliance.request("GET", "compute", "/")
    answer = appliance.request("HEAD", "compute", "/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(shown.content))
