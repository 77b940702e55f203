"""Networks in local mode: each lives in one pod, and what belongs to it follows."""

import uuid

import pytest
from appliance import Appliance, Client
from fakes import Cloud, FakePod
from test_admin_api import add
from test_servers import SERVERS, wish

V2 = "/v2.0"


def make(demo: Client, many: str, **fields: object) -> dict[str, object]:
    one = many[:-1].replace("-", "_")
    answer = demo.ask("POST", "network", f"{V2}/{many}", {one: fields})
    assert answer.status_code == 201, answer.text
    row: dict[str, object] = answer.json()[one]
    return row


def test_a_network_goes_to_the_pod_of_its_hint(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    one, two = demo.network("az1", name="a", **{"x:y": [1]}), demo.network("az2")
    assert list(pod1.rows["networks"]) == [one]
    assert list(pod2.rows["networks"]) == [two]
    # a pod's Neutron has other names for zones than tenants have
    assert pod1.calls_to("POST")[0].json == {"network": {"name": "a", "x:y": [1]}}


def test_a_network_without_a_hint_goes_to_the_projects_pod(demo: Client, pod2: FakePod) -> None:
    demo.server("az2")
    network = demo.network()
    assert list(pod2.rows["networks"]) == [network]


def test_an_unknown_hint_is_refused_as_neutron_does(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    body = {"network": {"availability_zone_hints": ["az9"]}}
    answer = demo.ask("POST", "network", f"{V2}/networks", body)
    assert answer.status_code in (400, 404)
    error = answer.json()["NeutronError"]
    assert error["type"] == "AvailabilityZoneNotFound"
    assert "az9" in error["message"]
    assert not pod1.calls_to("POST") and not pod2.calls_to("POST")


def test_children_follow_their_parents(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    demo.network("az1")
    network = demo.network("az2")
    subnet = make(demo, "subnets", network_id=network, cidr="10.0.0.0/24", gateway_ip="10.0.0.1")
    port = make(demo, "ports", network_id=network)
    assert list(pod2.rows["subnets"]) == [subnet["id"]]
    assert list(pod2.rows["ports"]) == [port["id"]]
    assert not pod1.rows["subnets"] and not pod1.rows["ports"]
    answer = demo.ask("PUT", "network", f"{V2}/ports/{port['id']}", {"port": {"name": "p"}})
    assert answer.json()["port"]["name"] == "p"
    answer = demo.ask("DELETE", "network", f"{V2}/subnets/{subnet['id']}")
    assert answer.status_code == 204
    assert demo.ask("GET", "network", f"{V2}/subnets/{subnet['id']}").status_code == 404


def test_a_router_joins_only_subnets_of_its_pod(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    router = make(demo, "routers", availability_zone_hints=["az2"])
    near = make(demo, "subnets", network_id=demo.network("az2"), gateway_ip="10.0.0.1")
    far = make(demo, "subnets", network_id=demo.network("az1"), gateway_ip="10.0.0.1")
    path = f"{V2}/routers/{router['id']}/add_router_interface"
    answer = demo.ask("PUT", "network", path, {"subnet_id": near["id"]})
    assert answer.status_code == 200
    assert answer.json()["port_id"] in pod2.rows["ports"]
    answer = demo.ask("PUT", "network", path, {"subnet_id": far["id"]})
    assert answer.status_code == 400
    text = answer.json()["NeutronError"]["message"]
    assert all(word in text for word in (router["id"], far["id"], "az1", "az2")), text
    assert len(pod2.calls_to("PUT")) == 1 and not pod1.calls_to("PUT")


def test_several_are_made_at_once_in_one_pod(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    demo.server("az2")
    body = {"networks": [{"name": "a"}, {"name": "b"}]}
    answer = demo.ask("POST", "network", f"{V2}/networks", body)
    assert answer.status_code == 201
    made = [row["id"] for row in answer.json()["networks"]]
    assert list(pod2.rows["networks"]) == made
    for id in made:
        assert demo.ask("DELETE", "network", f"{V2}/networks/{id}").status_code == 204
    ports = [{"network_id": demo.network("az1")}, {"network_id": demo.network("az2")}]
    answer = demo.ask("POST", "network", f"{V2}/ports", {"ports": ports})
    assert answer.status_code == 400
    assert not pod1.rows["ports"] and not pod2.rows["ports"]


def test_networks_are_listed_by_id_over_all_pods(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    ids = [pod.add_network(demo.project) for pod in (pod1, pod2) * 5]
    path = f"{V2}/networks"
    assert demo.ids("network", path) == sorted(ids)
    assert "networks_links" not in demo.get("network", path)
    for limit in (1, 3, 10, 50):
        pages = list(demo.walk("network", f"{path}?limit={limit}"))
        assert [id for page in pages for id in page] == sorted(ids)
    for place, id in enumerate(sorted(ids)):
        page = demo.ids("network", f"{path}?limit=3&marker={id}")
        assert page == sorted(ids)[place + 1 :][:3]


def test_a_list_of_fields_has_just_these(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    for pod in (pod1, pod2):
        pod.add_network(demo.project, name=pod.name)
    rows = demo.get("network", f"{V2}/networks?fields=name&name=Pod1&name=Pod2")["networks"]
    assert sorted(row["name"] for row in rows) == ["Pod1", "Pod2"]
    assert all(set(row) == {"name"} for row in rows)


def test_a_networks_az_is_shown_as_the_tenants(demo: Client, pod2: FakePod) -> None:
    network = pod2.add_network(
        demo.project, availability_zones=["nova"], availability_zone_hints=["nova"]
    )
    for row in (
        demo.get("network", f"{V2}/networks/{network}")["network"],
        demo.get("network", f"{V2}/networks")["networks"][0],
    ):
        assert (row["availability_zones"], row["availability_zone_hints"]) == (["az2"], ["az2"])


def test_an_unknown_network_is_404_in_neutrons_words(demo: Client) -> None:
    unknown = str(uuid.uuid4())
    for method in ("GET", "DELETE"):
        answer = demo.ask(method, "network", f"{V2}/networks/{unknown}")
        assert answer.status_code == 404
        error = answer.json()["NeutronError"]
        assert error["type"] == "NetworkNotFound"
        assert error["message"] == f"Network {unknown} could not be found."
    answer = demo.ask("GET", "network", f"{V2}/no-such-things")
    assert (answer.status_code, list(answer.json())) == (404, ["NeutronError"])


@pytest.mark.parametrize("key", ["uuid", "port"])
def test_a_server_goes_to_the_pod_of_its_network(
    demo: Client, pod1: FakePod, pod2: FakePod, key: str
) -> None:
    network = demo.network("az2")
    port = make(demo, "ports", network_id=network)
    id = {"uuid": network, "port": str(port["id"])}[key]
    server = demo.server(networks=[{key: id}])
    assert server in pod2.rows["servers"]
    body = wish(availability_zone="az1", networks=[{key: id}])
    answer = demo.ask("POST", "compute", SERVERS, body)
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (id, "az1", "az2")), text
    assert not pod1.calls_to("POST")


def test_networks_of_two_pods_in_one_server_are_400_that_names_both(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    one, two = demo.network("az1"), demo.network("az2")
    answer = demo.ask("POST", "compute", SERVERS, wish(networks=[{"uuid": one}, {"uuid": two}]))
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (one, two, "az1", "az2")), text
    assert not pod1.calls_to("POST", SERVERS) and not pod2.calls_to("POST", SERVERS)


def test_an_interface_of_another_pod_is_400(demo: Client, pod1: FakePod) -> None:
    server, network = demo.server("az1"), demo.network("az2")
    body = {"interfaceAttachment": {"net_id": network}}
    answer = demo.ask("POST", "compute", f"{SERVERS}/{server}/os-interface", body)
    assert answer.status_code == 400
    text = answer.json()["badRequest"]["message"]
    assert all(word in text for word in (server, network, "az1", "az2")), text
    assert not pod1.calls_to("POST", "os-interface")


def test_default_security_groups_are_shown_once(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    for pod in (pod1, pod2):
        pod.add_resource("security_groups", demo.project, name="default")
        pod.add_resource("security_groups", demo.project, name=f"web-{pod.name}")
        pod.add_resource("security_groups", demo.project, name="same")
    rows = demo.get("network", f"{V2}/security-groups")["security_groups"]
    names = sorted(row["name"] for row in rows)
    assert names == ["default", "same", "same", "web-Pod1", "web-Pod2"]
    rows = demo.get("network", f"{V2}/security-groups?name=default")["security_groups"]
    assert len(rows) == 1


def test_the_one_default_group_is_good_in_every_pod(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    for pod in (pod1, pod2):
        pod.add_resource("security_groups", demo.project, name="default")
    (shown,) = demo.get("network", f"{V2}/security-groups")["security_groups"]
    for zone, pod in (("az1", pod1), ("az2", pod2)):
        demo.server(zone, security_groups=[{"name": shown["id"]}])
        (sent,) = pod.calls_to("POST")[-1].json["server"]["security_groups"]
        assert sent["name"] == "default" or sent["name"] in pod.rows["security_groups"]


@pytest.mark.parametrize(
    "path", ["security-groups", "security_groups", "security-groups.json", "security_groups.json"]
)
def test_paths_are_taken_in_every_spelling(demo: Client, pod2: FakePod, path: str) -> None:
    group = pod2.add_resource("security_groups", demo.project, name="web")
    assert demo.ids("network", f"{V2}/{path}") == [group]
    one = path.replace("groups", f"groups/{group}", 1)
    assert demo.get("network", f"{V2}/{one}")["security_group"]["id"] == group


def test_a_shared_network_is_listed_for_all(demo: Client, pod2: FakePod) -> None:
    network = pod2.add_network("somebody", shared=True)
    pod2.add_network("somebody")
    assert demo.ids("network", f"{V2}/networks") == [network]
    assert demo.get("network", f"{V2}/networks/{network}")["network"]["id"] == network


def test_extensions_are_those_that_all_pods_have(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    for pod, aliases in ((pod1, ("router", "tag", "qos")), (pod2, ("tag", "router"))):
        for alias in aliases:
            pod.add_resource("extensions", "", alias=alias, shared=True)
    rows = demo.get("network", f"{V2}/extensions")["extensions"]
    assert {row["alias"] for row in rows} == {"router", "tag"}
    one = demo.get("network", f"{V2}/extensions/tag")["extension"]
    assert one["alias"] == "tag"
    answer = demo.ask("GET", "network", f"{V2}/extensions/qos")
    assert (answer.status_code, list(answer.json())) == (404, ["NeutronError"])


def test_a_dead_pod_is_named(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    network = demo.network("az1")
    lost = demo.network("az2")
    pod2.network.stop()
    answer = demo.ask("GET", "network", f"{V2}/networks")
    assert [row["id"] for row in answer.json()["networks"]] == [network]
    assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    answer = demo.ask("GET", "network", f"{V2}/networks/{lost}")
    assert (answer.status_code, list(answer.json())) == (503, ["NeutronError"])
    assert demo.ask("GET", "network", f"{V2}/networks?name=x").status_code == 503


def test_networks_of_a_pod_without_neutron_are_no_matter(
    bare: Appliance, admin: Client, cloud: Cloud
) -> None:
    pod = cloud.pod("Pod3")
    cloud.keystone.register("Lone", "compute", "nova", f"{pod.compute.url}/v2.1")
    assert add(admin, "Lone", "az1").status_code == 200
    assert add(admin, "Pod2", "az2").status_code == 200
    network = admin.network()
    assert list(cloud.pod("Pod2").rows["networks"]) == [network]
    answer = admin.ask("GET", "network", f"{V2}/networks")
    assert [row["id"] for row in answer.json()["networks"]] == [network]
    assert "X-Trio2o-Unavailable-Pods" not in answer.headers
