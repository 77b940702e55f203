"""Nova's old views of networks that span pods, from what the network face says."""

import csv
import json
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from helpers import result_of
from msgspec.structs import replace
from world import PROJECT, Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import Fault, Forbidden
from trio2o.domain.values import Caller
from trio2o.faces.compute._views import RULES, VIEWS, View
from trio2o.faces.compute.operations import OPERATIONS
from trio2o.faces.resources import SERVER
from trio2o.faces.stretched import ByMode
from trio2o.identity import Policy
from trio2o.message import Answer, Call
from trio2o.verbs import UNAVAILABLE, Operation
from trio2o.web import Asked

ROWS = Path(__file__).parents[2] / "api" / "nova-routes.csv"
CENTER = pod(9, az_name="")
NET, GROUP, OTHER, RULE = (str(uuid.UUID(int=n)) for n in range(1, 5))


@define
class Network:
    """The network face: `says` has an answer by method and path, and `heard` is what it got."""

    says: dict[str, Answer]
    heard: list[tuple[str, bytes, Any]] = field(factory=list)

    @property
    def app(self) -> "Network":
        return self

    def find(self, method: str, path: bytes) -> Any:
        below = path.removeprefix(b"/v2.0").decode()
        segments = tuple(below.split("/")[2:])
        return SimpleNamespace(rows=(f"{method} {below}",), segments=segments)

    async def perform(self, row: str, call: Call, asked: Asked) -> Answer:
        assert asked.params == ({"id": row.split("/")[2]} if row.count("/") > 1 else {})
        assert dict(call.headers)[b"X-Auth-Token"] == b"token"
        body = json.loads(call.body) if call.body else None  # type: ignore[arg-type]
        self.heard.append((row, call.query, body))
        return self.says.get(row, refused(404, "NotFound"))


def refused(status: int, kind: str) -> Answer:
    return answer(status, {"NeutronError": {"type": kind, "message": f"{kind}.", "detail": ""}})


def ask(
    key: str, network: Network, body: Any = None, id: str = "", query: str = "", **who: Any
) -> Any:
    """What a view says: its document, or None."""

    def check(rule: str, caller: Caller) -> None:
        if "nobody" in caller.roles:
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    parts = SimpleNamespace(
        faces={"network": network}, networks=SimpleNamespace(center=CENTER), check=check
    )
    here = context(Pods({}), parts=parts, params={"id": id} if id else {}, caller=caller(**who))
    content = b"" if body is None else json.dumps(body).encode()
    call = Call(key.split()[0], b"", query.encode(), body=content)
    said = result_of(VIEWS[key](call, here))
    assert said.status == (200 if said.body else 202)
    if said.body:
        network.says["headers"] = Answer(200, said.headers)
    return json.loads(said.body) if said.body else None  # type: ignore[arg-type]


def status(*args: Any, **more: Any) -> int:
    with pytest.raises(Fault) as caught:
        ask(*args, **more)
    return caught.value.status


def test_each_row_that_neutron_answers_a_nova_is_the_tops_where_networks_span_pods() -> None:
    with ROWS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["strategy"] == "cross-pod"]
    assert len(rows) > 20
    for row in rows:
        named = (row["method"], row["path"], row["action"])
        (found,) = [one for one in OPERATIONS if (one.method, one.path, one.action) == named]
        assert isinstance(found.verb, ByMode)
        if isinstance(view := found.verb.stretched, View):
            assert view.rule == row["policy_rule"]
    assert {row["policy_rule"] for row in rows} >= set(RULES)


def test_who_may_not_see_or_change_it_is_told_so_before_anything_is_asked() -> None:
    network = Network({})
    for key in VIEWS:
        assert status(key, network, {}, id=NET, roles=("nobody",)) == 403
    assert not network.heard


def test_a_reader_sees_and_a_member_changes_as_by_novas_defaults() -> None:
    policy = Policy(RULES)

    def may(rule: str, *roles: str) -> bool:
        try:
            policy.check(rule, caller(roles=roles))
        except Forbidden:
            return False
        return True

    for key, view in VIEWS.items():
        reads = key.startswith("GET")
        assert may(view.rule, "reader") == reads and may(view.rule, "admin")
        assert may(view.rule, "reader", "member")
        assert may(view.rule, "else") == (view.rule == "os_compute_api:os-floating-ip-pools")


def test_a_network_is_its_name_to_a_member_and_empty_members_to_an_admin() -> None:
    one = {"id": NET, "name": "net"}
    network = Network(
        {
            f"GET /networks/{NET}": answer(200, {"network": one}),
            "GET /networks": answer(200, {"networks": [one]}, (UNAVAILABLE, b"Pod2")),
        }
    )
    key = "GET /os-networks/{id}"
    member, admin = (
        ask(key, network, id=NET, roles=roles)["network"] for roles in ((), ("admin",))
    )
    assert (member["id"], member["label"], len(member)) == (NET, "net", 11)
    assert len(admin) == 32 and not [v for k, v in admin.items() if v and k not in member]
    assert ask("GET /os-tenant-networks", network) == {
        "networks": [{"id": NET, "label": "net", "cidr": "None"}]
    }
    # a list that lacks what a pod has says so
    assert (UNAVAILABLE, b"Pod2") in network.says["headers"].headers
    assert status(key, Network({}), id=OTHER) == 404


def rule(**more: Any) -> dict[str, Any]:
    return {
        "id": RULE,
        "security_group_id": GROUP,
        "direction": "ingress",
        "protocol": None,
        "port_range_min": None,
        "port_range_max": None,
        "remote_group_id": None,
        "remote_ip_prefix": None,
    } | more


def group(*rules: dict[str, Any], id: str = GROUP, name: str = "web") -> dict[str, Any]:
    shown = {"id": id, "name": name, "description": "d", "project_id": PROJECT}
    return shown | {"security_group_rules": list(rules)}


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, (None, None, None, "0.0.0.0/0")),
        ({"protocol": "tcp"}, ("tcp", 1, 65535, "0.0.0.0/0")),
        ({"protocol": "icmp"}, ("icmp", -1, -1, "0.0.0.0/0")),
        (
            {
                "protocol": "udp",
                "port_range_min": 5,
                "port_range_max": 6,
                "remote_ip_prefix": "::/0",
            },
            ("udp", 5, 6, "::/0"),
        ),
    ],
)
def test_a_rule_is_shown_with_the_ports_that_nova_makes_of_none(
    more: dict[str, Any], shown: Any
) -> None:
    network = Network(
        {"GET /security-groups": answer(200, {"security_groups": [group(rule(**more))]})}
    )
    (told,) = ask("GET /os-security-groups", network)["security_groups"][0]["rules"]
    assert (told["ip_protocol"], told["from_port"], told["to_port"]) == shown[:3]
    assert told["ip_range"] == {"cidr": shown[3]} and told["group"] == {}


def test_a_rule_from_a_group_that_is_not_seen_is_left_out_as_is_egress() -> None:
    rules = [rule(remote_group_id=id) for id in (GROUP, OTHER, NET)]
    rules.append(rule(direction="egress"))
    network = Network(
        {
            f"GET /security-groups/{GROUP}": answer(200, {"security_group": group(*rules)}),
            f"GET /security-groups/{OTHER}": answer(
                200, {"security_group": group(id=OTHER, name="db")}
            ),
        }
    )
    shown = ask("GET /os-security-groups/{id}", network, id=GROUP)["security_group"]
    assert shown["tenant_id"] == PROJECT
    assert [r["group"] for r in shown["rules"]] == [
        {"name": "web", "tenant_id": PROJECT},
        {"name": "db", "tenant_id": PROJECT},
    ]
    assert not any(r["ip_range"] for r in shown["rules"])


def test_pages_of_groups_are_cut_by_limit_and_offset_and_then_sorted() -> None:
    groups = [group(id=str(uuid.UUID(int=n)), name=name) for n, name in enumerate("dcba")]
    network = Network({"GET /security-groups": answer(200, {"security_groups": groups})})

    def names(query: str, **who: Any) -> str:
        told = ask("GET /os-security-groups", network, query=query, **who)["security_groups"]
        return "".join(row["name"] for row in told)

    assert [names(q) for q in ("", "limit=2", "limit=0", "offset=3", "offset=1&limit=2")] == [
        *("abcd", "cd", "abcd", "a", "bc")
    ]
    own = f"project_id={PROJECT}".encode()
    assert names("all_tenants=1") and network.heard[-1][1] == own
    assert names("all_tenants=1", roles=("admin",)) and network.heard[-1][1] == b""
    assert names("", roles=("admin",)) and network.heard[-1][1] == own


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"from_port": 80, "to_port": 90}, ("tcp", 80, 90, "0.0.0.0/0", None)),
        (
            {"from_port": "1", "to_port": "2", "cidr": "fd00::%2F8"},
            ("tcp", "1", "2", "fd00::/8", None),
        ),
        (
            {"ip_protocol": "icmp", "from_port": -1, "to_port": -1},
            ("icmp", None, None, "0.0.0.0/0", None),
        ),
        ({"group_id": OTHER}, ("tcp", 1, 65535, None, OTHER)),
        ({"group_id": OTHER, "ip_protocol": "ICMP"}, ("ICMP", None, None, None, OTHER)),
        ({"group_id": OTHER, "ip_protocol": "sctp"}, (None, None, None, None, OTHER)),
        ({"group_id": OTHER, "ip_protocol": None}, (None, None, None, None, OTHER)),
        ({}, None),
        ({"ip_protocol": None}, None),
        ({"from_port": 1, "to_port": None}, None),
        ({"from_port": -1, "to_port": -1}, None),
        ({"ip_protocol": "sctp", "from_port": 1, "to_port": 2}, None),
        ({"from_port": 1, "to_port": 2, "cidr": "10.0.0.0"}, None),
        ({"from_port": 1, "to_port": 2, "cidr": "10.0.0.0/0"}, None),
        ({"parent_group_id": "x"}, None),
        ({"group_id": 5}, None),
        ({"from_port": "7", "to_port": "8"}, None),  # it is there
    ],
)
def test_a_new_rule_is_what_nova_would_ask_neutron_for(asked: dict[str, Any], sent: Any) -> None:
    there = rule(protocol="tcp", port_range_min=7, port_range_max=8)
    network = Network(
        {
            f"GET /security-groups/{GROUP}": answer(200, {"security_group": group(there)}),
            f"GET /security-groups/{OTHER}": answer(200, {"security_group": group(id=OTHER)}),
            "POST /security-group-rules": answer(
                201, {"security_group_rule": rule(remote_group_id=asked.get("group_id"))}
            ),
        }
    )
    body = {"security_group_rule": {"parent_group_id": GROUP, "ip_protocol": "tcp"} | asked}
    key = "POST /os-security-group-rules"
    if sent is None:
        assert status(key, network, body) == 400
        assert not [row for row, _, _ in network.heard if row.startswith("POST")]
        return
    made = ask(key, network, body)["security_group_rule"]
    assert made["group"].get("name") == ("web" if asked.get("group_id") else None)
    new = network.heard[-1][2]["security_group_rule"]
    names = ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
    assert tuple(new[name] for name in names) == sent
    assert new["ethertype"] == ("IPv6" if ":" in str(sent[3]) else "IPv4")


@pytest.mark.parametrize(
    ("key", "call", "neutron", "nova"),
    [
        ("DELETE /os-security-groups/{id}", f"DELETE /security-groups/{GROUP}", 409, 400),
        ("DELETE /os-security-groups/{id}", f"DELETE /security-groups/{GROUP}", 404, 404),
        ("DELETE /os-security-groups/{id}", f"DELETE /security-groups/{GROUP}", 403, 403),
        ("PUT /os-security-groups/{id}", f"PUT /security-groups/{GROUP}", 400, 400),
        ("POST /os-security-groups", "POST /security-groups", 409, 403),
        ("POST /os-security-groups", "POST /security-groups", 500, 500),
    ],
)
def test_a_refusal_of_neutrons_has_the_status_that_nova_makes_of_it(
    key: str, call: str, neutron: int, nova: int
) -> None:
    network = Network({call: refused(neutron, "Conflict")})
    body = {"security_group": {"name": "n", "description": ""}}
    id = "" if key.startswith("POST") else GROUP
    assert status(key, network, body, id=id) == nova
    assert status(key, network, body, id="x") == 400 if id else True


@pytest.mark.parametrize(
    ("pools", "lost", "refusal", "nova"),
    [
        (["ext"], b"", None, 200),
        (["ext", "ext"], b"", None, 400),
        (["other"], b"", None, 404),
        (["other"], b"Pod2", None, 503),
        (["ext"], b"Pod2", None, 200),
        (["ext"], b"", "OverQuota", 403),
        (["ext"], b"", "IpAddressGenerationFailure", 404),
        (["ext"], b"", "ExternalIpAddressExhausted", 404),
    ],
)
def test_a_floating_ip_comes_from_the_one_pool_of_that_name(
    pools: list[str], lost: bytes, refusal: str | None, nova: int
) -> None:
    rows = [{"id": NET, "name": name, "router:external": True} for name in pools]
    rows.append({"id": OTHER, "name": "ext", "router:external": False})
    made = {
        "id": RULE,
        "floating_network_id": NET,
        "floating_ip_address": "203.0.113.5",
        "fixed_ip_address": "10.0.0.4",
        "port_details": {"device_id": "vm"},
    }
    headers = ((UNAVAILABLE, lost),) if lost else ()
    network = Network(
        {
            "GET /networks": answer(200, {"networks": rows}, *headers),
            f"GET /networks/{NET}": answer(200, {"network": rows[0]}),
            "POST /floatingips": refused(409, refusal)
            if refusal
            else answer(201, {"floatingip": made}),
        }
    )
    key, body = "POST /os-floating-ips", {"pool": "ext"}
    if nova != 200:
        assert status(key, network, body) == nova
        return
    assert ask(key, network, body)["floating_ip"] == {
        "id": RULE,
        "ip": "203.0.113.5",
        "fixed_ip": "10.0.0.4",
        "instance_id": "vm",
        "pool": "ext",
    }
    assert ask("GET /os-floating-ip-pools", network)["floating_ip_pools"] == [{"name": "ext"}]
    assert ask(key, network, {"pool": NET})["floating_ip"]["id"] == RULE
    assert status(key, network, {"pool": 5}) == status(key, network, []) == 400


ADDRESS, VM, PORT_A, PORT_B, FLOAT = "203.0.113.5", *(str(uuid.UUID(int=n)) for n in range(10, 14))


def fixed(address: str, kind: str = "fixed") -> dict[str, str]:
    return {"addr": address, "OS-EXT-IPS:type": kind}


@define
class Server:
    """A server on networks of the top (or none), which has `at`, and the top's floating IPs."""

    addresses: dict[str, Any]
    at: tuple[str, ...] = (FLOAT,)
    stretched: bool = True
    device: str = ""
    sent: list[tuple[str, Any]] = field(factory=list)

    center = CENTER

    @property
    def neutron(self) -> "Server":
        return self

    async def of_server(self, id: str) -> list[Any]:
        ids = (PORT_A, PORT_B) if self.stretched else ()
        return [SimpleNamespace(port_id=id) for id in ids]

    async def rows(self, pod: Any, kind: Any, **filters: Any) -> list[Any]:
        assert filters["token"] == "token"
        assert isinstance(address := filters["floating_ip_address"], str)
        if address and address != ADDRESS:  # it filters by no empty text
            return []
        return [{"id": id, "port_details": {"device_id": self.device}} for id in self.at]

    async def by_ids(self, pod: Any, kind: Any, ids: Any) -> list[Any]:
        ports = {PORT_A: ["fd00::5", "10.0.0.5"], PORT_B: ["10.1.0.5"]}
        return [{"id": i, "fixed_ips": [{"ip_address": a} for a in ports[i]]} for i in ids]

    def ask(self, action: str, network: Network, **asked: Any) -> int:
        """The status that the action has; a call that is forwarded is in `sent`."""

        def pod_says(call: Call) -> Answer:
            if call.method == "GET":
                return answer(200, {"server": {"addresses": self.addresses}})
            self.sent.append((call.method, json.loads(call.body)))  # type: ignore[arg-type]
            return answer(404, {"itemNotFound": {"code": 404, "message": "its own words"}})

        one = pod(1)
        parts = SimpleNamespace(
            faces={"network": network}, networks=self, check=lambda rule, caller: None
        )
        below = f"/servers/{VM}/action".encode()
        here = context(
            Pods({one: pod_says}), Routes(route(SERVER, VM, one)), parts=parts, below=below
        )
        here = replace(here, operation=Operation("POST", "", view_of(action), action))
        call = Call("POST", b"", body=json.dumps({action: asked}).encode())
        try:
            return result_of(view_of(action)(call, replace(here, params={"id": VM}))).status
        except Fault as fault:
            return fault.status


def view_of(action: str) -> View:
    return VIEWS[f"POST /servers/{{id}}/action {action}"]


BOTH = {"net": [fixed("fd00::5"), fixed("10.0.0.5"), fixed(ADDRESS, "floating")]}


def test_a_floating_ip_leads_to_the_servers_first_ipv4_address_or_the_one_that_is_named() -> None:
    path = f"PUT /floatingips/{FLOAT}"
    network = Network({path: answer(200, {"floatingip": {}})})
    server = Server(BOTH | {"other": [fixed("10.1.0.5")]})
    for more, port, end in (
        ({}, PORT_A, "10.0.0.5"),
        ({"fixed_address": "10.1.0.5"}, PORT_B, "10.1.0.5"),
    ):
        assert server.ask("addFloatingIp", network, address=ADDRESS, **more) == 202
        assert network.heard[-1][2] == {"floatingip": {"port_id": port, "fixed_ip_address": end}}
    server.device = VM
    assert server.ask("removeFloatingIp", network, address=ADDRESS) == 202
    assert network.heard[-1][2] == {"floatingip": {"port_id": None}}
    assert not server.sent


@pytest.mark.parametrize(
    ("server", "more", "status"),
    [
        (Server({}), {}, 400),
        (Server({"net": [fixed("fd00::5")]}), {}, 400),
        (Server(BOTH), {"fixed_address": "10.9.9.9"}, 400),
        (Server({"net": [fixed("10.9.9.9")]}), {}, 400),
        (Server(BOTH, at=(FLOAT, OTHER)), {}, 400),
    ],
)
def test_a_floating_ip_that_cannot_lead_to_a_server_is_refused(
    server: Server, more: dict[str, str], status: int
) -> None:
    network = Network({})
    assert server.ask("addFloatingIp", network, **({"address": ADDRESS} | more)) == status
    assert not network.heard and not server.sent


@pytest.mark.parametrize(("neutron", "nova"), [(404, 400), (409, 400), (403, 403), (500, 500)])
def test_neutrons_refusal_to_lead_a_floating_ip_is_told(neutron: int, nova: int) -> None:
    network = Network({f"PUT /floatingips/{FLOAT}": refused(neutron, "No")})
    assert Server(BOTH).ask("addFloatingIp", network, address=ADDRESS) == nova


def test_what_only_the_pod_knows_is_for_the_pod() -> None:
    for server in (Server(BOTH, at=()), Server(BOTH, stretched=False)):
        assert server.ask("addFloatingIp", Network({}), address=ADDRESS) == 404
        assert server.sent == [("POST", {"addFloatingIp": {"address": ADDRESS}})]
    for asked in ({"address": ADDRESS}, {"address": "x"}, {"address": ""}, {"address": 5}, {}):
        server = Server(BOTH)
        server.at = () if asked.get("address") == ADDRESS else (FLOAT,)
        assert server.ask("removeFloatingIp", Network({}), **asked) == 404
        assert server.sent == [("POST", {"removeFloatingIp": asked})]
    for device in ("", OTHER):  # nobody's, another's
        server = Server(BOTH, device=device)
        assert server.ask("removeFloatingIp", Network({}), address=ADDRESS) == 409
