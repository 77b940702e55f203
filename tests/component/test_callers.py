"""Who calls: tokens, what they allow, and what of it reaches the pods."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from appliance import Appliance, Client, eventually
from fakes import Cloud, FakePod
from test_servers import SERVERS, wish

FACES = {
    "admin": "/v1.0/pods",
    "compute": SERVERS,
    "volume": "/v3/volumes",
    "network": "/v2.0/networks",
    "image": "/v2/images",
}


def validations(cloud: Cloud, token: str) -> int:
    calls = cloud.keystone.calls_to("GET", "/auth/tokens$")
    return len([call for call in calls if call.header("X-Subject-Token") == token])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAA" + "0" * 160, "\xfc"])
def test_without_a_good_token_the_answer_is_401(
    appliance: Appliance, cloud: Cloud, pod1: FakePod, face: str, token: str
) -> None:
    headers = {"X-Auth-Token": token.encode("latin-1")} if token else {}
    answer = appliance.request("GET", face, FACES[face], headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{cloud.keystone.url}/v3"'
    assert answer.json()["error"]["code"] == 401
    assert "Retry-After" not in answer.headers
    assert not pod1.calls_to("GET", "servers|volumes|networks")


def test_a_bad_token_is_not_validated_again_and_again(appliance: Appliance, cloud: Cloud) -> None:
    token = uuid.uuid4().hex
    for _ in range(3):
        assert appliance.request("GET", "compute", SERVERS, token).status_code == 401
    assert validations(cloud, token) == 1


def test_one_validation_serves_many_calls(demo: Client, cloud: Cloud) -> None:
    for _ in range(5):
        demo.get("compute", SERVERS)
        demo.get("volume", f"/v3/{demo.project}/volumes")
    assert validations(cloud, demo.token) == 1


def test_calls_at_once_share_one_validation(demo: Client, cloud: Cloud) -> None:
    cloud.keystone.delay = 0.3
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(demo.ask, "GET", "compute", SERVERS) for _ in range(6)]
    assert [one.result().status_code for one in asked] == [200] * 6
    assert validations(cloud, demo.token) == 1


def test_an_expired_token_is_401_though_it_was_good(demo: Client, cloud: Cloud) -> None:
    token = cloud.keystone.token(demo.project, expires_in=1.5)
    assert demo.ask("GET", "compute", SERVERS, token=token).status_code == 200
    time.sleep(1.6)
    assert demo.ask("GET", "compute", SERVERS, token=token).status_code == 401
    assert demo.ask("GET", "compute", SERVERS).status_code == 200


def test_while_keystone_is_down_known_tokens_work_and_new_ones_are_503(
    demo: Client, cloud: Cloud
) -> None:
    server = demo.server("az1")
    fresh = cloud.keystone.token(demo.project)
    cloud.keystone.down = True
    for _ in range(2):
        answer = demo.ask("GET", "compute", SERVERS, token=fresh)
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert "identity" in answer.json()["serviceUnavailable"]["message"]
    assert demo.ids("compute", SERVERS) == [server]
    demo.server("az1")
    cloud.keystone.down = False
    assert demo.ask("GET", "compute", SERVERS, token=fresh).status_code == 200


@pytest.mark.parametrize("how", ["500", "garbage", "hang"])
def test_a_keystone_that_is_ill_is_503_and_not_401(demo: Client, cloud: Cloud, how: str) -> None:
    keystone = cloud.keystone
    if how == "hang":
        keystone.hang = True
    else:
        keystone.fail = (500, b"oops") if how == "500" else (200, b"{")
    begun = time.monotonic()
    answer = demo.ask("GET", "compute", SERVERS)
    assert answer.status_code == 503
    assert time.monotonic() - begun < 4  # identity.timeout is 2 s
    keystone.clear_faults()
    assert demo.ask("GET", "compute", SERVERS).status_code == 200


def test_keystone_may_forget_our_own_token(demo: Client, cloud: Cloud) -> None:
    own = [token for token, (body, _) in cloud.keystone.tokens.items() if "trio2o" in str(body)]
    assert own
    for token in own:
        del cloud.keystone.tokens[token]
    assert demo.ask("GET", "compute", SERVERS).status_code == 200


SPOOFED = {
    "X-Roles": "admin",
    "X-Role": "admin",
    "X-User": "root",
    "X-User-Id": "root",
    "X-User-Name": "root",
    "X-User-Domain-Id": "root",
    "X-Project-Id": "other",
    "X-Project-Name": "other",
    "X-Domain-Id": "other",
    "X-Tenant": "other",
    "X-Tenant-Id": "other",
    "X-Tenant-Name": "other",
    "X-Is-Admin-Project": "True",
    "X-Identity-Status": "Confirmed",
    "X-Service-Roles": "service",
    "X-Service-Identity-Status": "Confirmed",
    "X-Service-User-Id": "root",
    "X-Service-Project-Id": "root",
    "X-Service-Catalog": "[]",
    "OpenStack-System-Scope": "all",
}


@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_headers_that_say_who_calls_never_reach_a_pod(
    demo: Client, pod1: FakePod, pod2: FakePod, case: type[str]
) -> None:
    server = demo.server("az1")
    headers = {case(name): value for name, value in SPOOFED.items()} | {"X-Kept": "yes"}
    since = len(pod1.calls), len(pod2.calls)
    own = f"{SERVERS}/{server}"
    volumes = f"/v3/{demo.project}/volumes"
    assert demo.ask("GET", "compute", own, headers=headers).status_code == 200
    assert demo.ask("GET", "compute", SERVERS, headers=headers).status_code == 200
    assert demo.ask("POST", "compute", SERVERS, wish(), headers=headers).status_code == 202
    body = {"volume": {"size": 1}}
    assert demo.ask("POST", "volume", volumes, body, headers=headers).status_code == 202
    demo.ask("GET", "compute", f"{SERVERS}/{uuid.uuid4()}", headers=headers)
    banned = {name.lower().encode() for name in SPOOFED}
    calls = [*pod1.calls[since[0] :], *pod2.calls[since[1] :]]
    kept = [call for call in calls if call.header("X-Kept") == "yes"]
    assert len(kept) >= 5
    for call in calls:
        assert not {name.lower() for name, _ in call.headers} & banned, call.path


def test_headers_with_underscores_are_refused(appliance: Appliance, demo: Client) -> None:
    answer = demo.ask("GET", "compute", SERVERS, headers={"X_Roles": "admin"})
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])


def test_claimed_roles_give_no_rights(demo: Client) -> None:
    answer = demo.ask("GET", "admin", FACES["admin"], headers={"X-Roles": "admin"})
    assert answer.status_code == 403


def test_access_rules_bind_an_application_credential(
    demo: Client, cloud: Cloud, pod1: FakePod
) -> None:
    server = demo.server("az1")
    rules = [
        {"service": "compute", "method": "GET", "path": "/v2.1/servers"},
        {"service": "compute", "method": "GET", "path": "/v2.1/servers/{server_id}"},
        {"service": "volumev3", "method": "GET", "path": "/v3/*/volumes/**"},
    ]
    token = cloud.keystone.token(demo.project, access_rules=rules)
    volume = demo.volume("az1")
    allowed = [
        ("GET", "compute", SERVERS),
        ("GET", "compute", f"{SERVERS}/{server}"),
        ("GET", "volume", f"/v3/{demo.project}/volumes/{volume}"),
    ]
    refused = [
        ("GET", "compute", f"{SERVERS}/detail/more"),
        ("POST", "compute", SERVERS),
        ("DELETE", "compute", f"{SERVERS}/{server}"),
        ("GET", "compute", f"{SERVERS}/{server}/os-interface"),
        ("GET", "volume", f"/v3/{demo.project}/snapshots"),
        ("GET", "network", "/v2.0/networks"),
        ("GET", "admin", "/v1.0/pods"),
    ]
    for method, face, path in allowed:
        assert demo.ask(method, face, path, token=token).status_code == 200, path
    for method, face, path in refused:
        assert demo.ask(method, face, path, token=token).status_code == 401, path
    assert server in demo.ids("compute", SERVERS)


def test_a_credential_without_any_rule_may_nothing(demo: Client, cloud: Cloud) -> None:
    token = cloud.keystone.token(demo.project, access_rules=[])
    assert demo.ask("GET", "compute", SERVERS, token=token).status_code == 401


def test_forwarded_calls_carry_the_callers_token_and_no_service_token(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    server = demo.server("az1")
    demo.get("compute", f"{SERVERS}/{server}")
    demo.get("compute", SERVERS)
    demo.ask("POST", "compute", f"{SERVERS}/{server}/action", {"os-stop": None})
    demo.ask("DELETE", "compute", f"{SERVERS}/{server}")
    calls = [c for pod in (pod1, pod2) for c in pod.calls if "/servers" in c.path]
    assert len(calls) >= 5
    for call in calls:
        assert call.header("X-Auth-Token") == demo.token
        assert not call.header("X-Service-Token")


def test_probes_are_the_callers_with_a_service_token(
    demo: Client, cloud: Cloud, pod1: FakePod, pod2: FakePod
) -> None:
    server = pod2.add_server(demo.project)
    demo.get("compute", f"{SERVERS}/{server}")
    probes = [c for pod in (pod1, pod2) for c in pod.calls if c.header("X-Service-Token")]
    assert {call.path for call in probes} == {f"/v2.1/servers/{server}"}
    assert len(probes) == 2
    for call in probes:
        assert call.header("X-Auth-Token") == demo.token
        service = cloud.keystone.find(call.header("X-Service-Token"))
        assert service and service["user"]["name"] == "trio2o"


def test_what_we_look_up_for_a_call_carries_our_token_beside_the_callers(
    demo: Client, cloud: Cloud
) -> None:
    """Else a credential that may boot, but not read images, would boot in any pod."""
    image, since = str(uuid.uuid4()), len(cloud.images.calls)
    demo.server("az1", imageRef=image)
    (call,) = [c for c in cloud.images.calls[since:] if c.path == f"/v2/images/{image}"]
    assert call.header("X-Auth-Token") == demo.token
    service = cloud.keystone.find(call.header("X-Service-Token"))
    assert service and service["user"]["name"] == "trio2o"


def test_a_clients_own_service_token_lets_an_expired_token_pass(demo: Client, cloud: Cloud) -> None:
    bad = demo.ask("GET", "compute", SERVERS, headers={"X-Service-Token": "nonsense"})
    assert bad.status_code == 401
    plain = cloud.keystone.token("service", "demo", ["member"])
    answer = demo.ask("GET", "compute", SERVERS, headers={"X-Service-Token": plain})
    assert answer.status_code == 200


def test_a_token_without_a_project_makes_nothing(
    appliance: Appliance, cloud: Cloud, admin: Client, pod1: FakePod
) -> None:
    token = cloud.keystone.token(None)
    answer = appliance.request("POST", "compute", SERVERS, token, json=wish())
    assert (answer.status_code, list(answer.json())) == (403, ["forbidden"])
    assert not pod1.rows["servers"]
    assert admin.get("admin", "/v1.0/bindings") == {"pod_bindings": []}


def test_a_pod_that_refuses_the_token_says_so_itself(
    demo: Client, cloud: Cloud, pod1: FakePod
) -> None:
    server = demo.server("az1")
    del cloud.keystone.tokens[demo.token]  # revoked: we believe it, the pod does not
    answer = demo.ask("GET", "compute", f"{SERVERS}/{server}")
    assert answer.status_code == 401
    assert "X-Openstack-Request-Id" in answer.headers


def test_two_projects_first_calls_at_once_are_bound_apart(
    appliance: Appliance, cloud: Cloud, admin: Client
) -> None:
    clients = []
    for _ in range(4):
        project = cloud.keystone.project(f"p-{uuid.uuid4()}")
        clients.append(Client(appliance, project, cloud.keystone.token(project)))
    gate = threading.Barrier(8)

    def create(client: Client) -> str:
        gate.wait(5)
        return client.server("az1")

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(create, clients * 2))
    assert len(set(made)) == 8
    bound = [row["tenant_id"] for row in admin.get("admin", "/v1.0/bindings")["pod_bindings"]]
    assert sorted(bound) == sorted(client.project for client in clients)
    eventually(lambda: all(len(client.ids("compute", SERVERS)) == 2 for client in clients))
