"""What tenants may say of networks that span pods."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from helpers import result_of
from test_neutron_pages import neutron
from world import PROJECT, Pods, Routes, answer, context, pod, route

from trio2o.domain.errors import BadRequest
from trio2o.domain.values import Binding
from trio2o.faces.network._checks import refuse_ours
from trio2o.faces.network._stretched import _skip
from trio2o.faces.network.operations import OPERATIONS
from trio2o.faces.network_resources import NETWORK, ROUTER, SECURITY_GROUP, SUBNET
from trio2o.message import Answer, Call
from trio2o.networks import things
from trio2o.verbs import Context, Verb


@pytest.mark.parametrize(
    "body",
    [
        {"network": {"description": things.bridge_mark("a router of somebody")}},
        {"networks": [{"name": "n"}, {"description": "trio2o:id"}]},
        {"port": {"network_id": "n", "device_id": things.dhcp("Pod1")}},
    ],
)
def test_nobody_makes_what_says_to_be_ours(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="a name for Trio2o's own"):
        refuse_ours(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"network": None},
        {"network": {"name": "trio2o-net", "description": "trio2o's"}},
        {"port": {"device_id": None, "description": ""}},
        {"sub_ports": [{"port_id": "p"}], "subnet_id": "s"},
    ],
)
def test_all_else_is_the_tenants_to_say(body: Any) -> None:
    refuse_ours(body)


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        ({"description": "trio2o:id"}, True),
        ({"name": "trio2o:id"}, True),
        ({"name": "net", "description": "of trio2o:id"}, False),
        ({"belongs_to_default_sg": True}, True),
        ({"belongs_to_default_sg": False, "description": None}, False),
        ({}, False),
    ],
)
def test_what_pods_have_of_ours_is_not_shown_beside_it(row: dict[str, Any], ours: bool) -> None:
    fields = msgspec.json.decode(msgspec.json.encode(row), type=dict[str, msgspec.Raw])
    assert _skip(pod(1), fields) == ours
    assert not _skip(pod(1, az_name=""), fields)


CENTER, ONE, TWO = pod(9, az_name=""), pod(1), pod(2)


def verb(method: str, path: str, action: str = "") -> Verb:
    (row,) = [o for o in OPERATIONS if (o.method, o.path, o.action) == (method, path, action)]
    found: Verb = row.verb.stretched  # type: ignore[attr-defined]
    return found


class Networks:
    """What the store and the top know: `made` are ids in pods with those at the top, `known` what
    the top has, by kind."""

    center = CENTER
    strangers: dict[str, bool] = {}  # noqa: RUF012

    def __init__(self, made: dict[str, str], **known: set[str]) -> None:
        self.made, self.known, self.neutron = made, known, self

    async def tops(self, ids: Any) -> dict[str, str]:
        return {id: top for id, top in self.made.items() if id in ids}

    async def places_of(self, ids: Any) -> list[Any]:
        return [SimpleNamespace(top_id=top) for top in self.made.values() if top in ids]

    async def by_ids(self, pod: Any, kind: Any, ids: Any, **more: Any) -> list[Any]:
        assert pod is CENTER and more["token"] == "token"
        return [{"id": id} for id in ids if id in self.known.get(kind.rows, ())]


def over(networks: Networks, pods: Pods, routes: Routes | None = None, **fields: Any) -> Context:
    return context(pods, routes, parts=SimpleNamespace(networks=networks), **fields)


def test_pages_are_full_though_rules_are_left_out_that_pods_have_of_the_tops() -> None:
    def rules(group: str, *ids: str) -> Any:
        listed = neutron([{"id": id, "security_group_id": group} for id in ids])

        def ask(call: Call) -> Answer:
            text: Any = listed(call).body
            return Answer(200, body=text.replace(b'"networks', b'"security_group_rules'))

        return ask

    ours, own = rules("below", "a", "c"), rules("x", "d", "f")
    pods = Pods({CENTER: rules("top", "b", "e"), ONE: ours, TWO: own})
    pods.serving = lambda service: (ONE, TWO)  # type: ignore[method-assign]
    where = over(Networks({"below": "top"}), pods, below=b"/security-group-rules")
    pages, query = [], "limit=2"
    while query:
        call = Call("GET", b"", query.encode())
        body = json.loads(result_of(verb("GET", "/v2.0/security-group-rules")(call, where)).body)
        pages.append("".join(row["id"] for row in body["security_group_rules"]))
        links = {link["rel"]: link["href"] for link in body["security_group_rules_links"]}
        query = urlsplit(links.get("next", "")).query
    assert pages == ["bd", "ef", ""]


ROUTER_ID, NET_ID, SUBNET_ID, OTHER = (f"{n}" * 8 + "-0000-4000-8000-000000000000" for n in "1234")
GATEWAY = {"router": {"external_gateway_info": {"network_id": NET_ID}}}


def ask(
    path: str, body: Any, networks: Networks, *own: Any, method: str = "PUT", action: str = ""
) -> tuple[int, list[str]]:
    """The answer's status, and who was asked."""
    pods = Pods({CENTER: lambda call: answer(404, {}), ONE: lambda call: answer(200, {})})
    pods.serving = lambda service: (ONE,)  # type: ignore[method-assign]
    pods.bound.append(Binding("b", PROJECT, ONE.pod_id, ONE.az_name, ""))
    routes = Routes(*(route(kind, id, ONE) for kind, id in own))
    params = {"id": ROUTER_ID} if "{id}" in path else {}
    below = path.replace("{id}", ROUTER_ID).removeprefix("/v2.0").encode()
    where = over(networks, pods, routes, params=params, below=below)
    call = Call(method, b"", body=json.dumps(body).encode())
    found = result_of(verb(method, path, action)(call, where))
    return found.status, [name for name, _ in pods.sent]


def test_a_pods_router_takes_no_subnet_of_the_tops() -> None:
    path, action = "/v2.0/routers/{id}/add_router_interface", "add_router_interface"
    body, own = {"subnet_id": SUBNET_ID}, (ROUTER, ROUTER_ID)
    told = f"Subnet {SUBNET_ID} is of networks that span pods, router {ROUTER_ID} is Pod1's own"
    for networks in (
        Networks({}, subnets={SUBNET_ID}),
        Networks({"b": SUBNET_ID}, subnets={SUBNET_ID}),
    ):
        with pytest.raises(BadRequest, match=told):
            ask(path, body, networks, own, action=action)
    # its own it does, and of others the pod has its words
    for more in ([], [(SUBNET, SUBNET_ID)]):
        asked = ask(path, body, Networks({}), own, *more, action=action)
        assert asked == (200, ["Pod9", "Pod1"])


def test_a_router_of_the_tops_has_no_gateway_on_a_pods_own_network() -> None:
    path, own = "/v2.0/routers/{id}", (NETWORK, NET_ID)
    told = f"Router {ROUTER_ID} is of networks that span pods, network {NET_ID} is Pod1's own"
    for made in ({}, {"below": ROUTER_ID}):
        with pytest.raises(BadRequest, match=told):
            ask(path, GATEWAY, Networks(made, routers={ROUTER_ID}), own)
    assert ask(path, GATEWAY, Networks({}, routers={ROUTER_ID})) == (404, ["Pod9"])
    # a new one may, and is the pod's; a router that there is not has none
    assert ask("/v2.0/routers", GATEWAY, Networks({}), own, method="POST")[1] == ["Pod9", "Pod1"]
    assert ask(path, GATEWAY, Networks({}), own) == (404, ["Pod9"])
    # what a pod calls a thing of ours is no name of it
    assert ask(path, {}, Networks({ROUTER_ID: OTHER}), (ROUTER, ROUTER_ID)) == (404, ["Pod9"])


def test_rules_of_a_pods_own_group_are_made_in_the_pod() -> None:
    body = {"security_group_rule": {"security_group_id": OTHER, "direction": "ingress"}}
    path, own = "/v2.0/security-group-rules", (SECURITY_GROUP, OTHER)
    assert ask(path, body, Networks({}), own, method="POST")[1] == ["Pod9", "Pod1"]
