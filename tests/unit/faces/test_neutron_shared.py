"""Neutron's quotas over pods, flavors by each pod's own ids, and a project's own topology."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from attrs import evolve
from helpers import result_of
from msgspec.structs import replace
from test_cinder_types_named import Definitions
from world import PROJECT, Pods, Routes, answer, caller, context, pod

from trio2o.domain.errors import BadRequest
from trio2o.domain.values import Binding
from trio2o.faces.network._lists import listed
from trio2o.faces.network._shared import (
    all_quotas,
    quota,
    set_quota,
    topology,
    with_flavor,
    with_profile,
)
from trio2o.faces.network_resources import ROUTER
from trio2o.message import Call

ONE, TWO = pod(1), pod(2)
KINDS: Any = {
    "network_flavor": Definitions("network_flavor", gold_1={}),
    "service_profile": Definitions("service_profile", kind_1={}),
}


def test_quotas_are_the_least_and_what_is_used_of_them_is_added_up() -> None:
    def said(limit: int, used: int) -> dict[str, Any]:
        return {"quota": {"port": {"limit": limit, "used": used, "reserved": 0}}}

    assert quota([(ONE, said(-1, 3)), (TWO, said(10, 4))]) == said(10, 7)
    assert quota([(p, {"quota": {"port": n}}) for p, n in ((ONE, -1), (TWO, 9))]) == {
        "quota": {"port": 9}
    }


def test_a_quota_below_what_is_used_in_all_pods_is_refused_and_changes_none() -> None:
    def said(call: Call) -> Any:
        if call.path.endswith(b"/details"):
            return answer(200, {"quota": {"port": {"limit": 9, "used": 3, "reserved": 0}}})
        return answer(200, json.loads(call.body or b"{}"))  # type: ignore[arg-type]

    pods = Pods({ONE: said, TWO: said})
    here = replace(context(pods), below=b"/quotas/p", caller=caller(roles=("admin",)))

    def put(**quota: Any) -> int:
        pods.sent.clear()
        body = json.dumps({"quota": quota}).encode()
        return result_of(set_quota(Call("PUT", b"", body=body), here)).status

    with pytest.raises(BadRequest, match="limit 5 for port must .* already used 6"):
        put(port=5)
    assert all(call.method == "GET" for _, call in pods.sent)
    assert put(port=6) == 200
    assert put(port=-1, network=2) == 200
    assert put(port=5, force=True) == 200
    changed = [name for name, call in pods.sent if call.method == "PUT"]
    assert changed == ["Pod1", "Pod2"]
    # a pod has its own words for who may not
    here = replace(here, caller=caller())
    assert put(port=5) == 200


def test_a_project_with_quotas_of_its_own_anywhere_is_listed_once() -> None:
    def row(project: str, port: int) -> dict[str, Any]:
        return {"port": port, "project_id": project, "tenant_id": project}

    one, two = {"quotas": [row("a", 5), row("b", 7)]}, {"quotas": [row("b", 6)]}
    assert all_quotas([(ONE, one), (TWO, two)]) == {"quotas": [row("a", 5), row("b", 6)]}


def test_a_router_asks_for_a_flavor_by_the_pods_own_id() -> None:
    pods = Pods({ONE: lambda call: answer(200), TWO: lambda call: answer(200)})
    body = json.dumps({"router": {"name": "r", "flavor_id": "gold-1"}}).encode()
    here = context(pods, definitions=KINDS)
    assert b'"gold-2"' in result_of(with_flavor(body, TWO, here))
    plain = json.dumps({"router": {"name": "r"}}).encode()
    assert result_of(with_flavor(plain, TWO, here)) == plain
    # over pods the top has the flavors, and ids are its own
    assert result_of(with_flavor(body, TWO, context(pods))) == body


def test_a_profile_is_named_in_path_or_body_by_the_pods_own_id() -> None:
    pods = Pods({ONE: lambda call: answer(200), TWO: lambda call: answer(200)})
    here = replace(context(pods, definitions=KINDS), params={"flavor_id": "gold-1"})
    body = json.dumps({"service_profile": {"id": "kind-1"}}).encode()
    call = Call("POST", b"/flavors/gold-2/service_profiles", body=body)
    assert json.loads(result_of(with_profile(call, "gold-1", TWO, here)).body) == {  # type: ignore[arg-type]
        "service_profile": {"id": "kind-2"}
    }
    here = replace(here, params={"flavor_id": "gold-1", "id": "kind-1"})
    call = Call("DELETE", b"/flavors/gold-2/service_profiles/kind-1")
    found = result_of(with_profile(call, "gold-1", TWO, here))
    assert found.path == b"/flavors/gold-2/service_profiles/kind-2"
    # a flavor itself is named by what the verb knows
    here = replace(here, params={"id": "gold-1"})
    call = Call("PUT", b"/flavors/gold-2", body=b"{}")
    assert result_of(with_profile(call, "gold-1", TWO, here)) == call


def test_a_topology_is_where_the_project_is() -> None:
    network = "7f0d2f6e-9d2a-4c39-8f3f-111111111111"

    def said(call: Call) -> Any:
        dry = b"dry-run" in call.query
        id = "dry-run=pass" if dry else network
        return answer(200, {"auto_allocated_topology": {"id": id, "tenant_id": PROJECT}})

    pods, routes = Pods({ONE: said, TWO: said}), Routes()
    for project, where in ((PROJECT, TWO), ("another", ONE)):
        pods.bound.append(Binding("b", project, where.pod_id, where.az_name, "2026"))
    here = context(pods, routes=routes)
    here = replace(here, below=b"/auto-allocated-topology/x", params={"project_id": PROJECT})
    dry = Call("GET", b"", b"fields=dry-run")
    assert result_of(topology(dry, here)).status == 200
    assert not routes.kept
    assert result_of(topology(Call("GET", b""), here)).status == 200
    assert routes.kept[("network", network)].pod_id == TWO.pod_id
    assert [name for name, _ in pods.sent] == ["Pod2", "Pod2"]
    admin = replace(here, caller=evolve(here.caller, roles=("admin",)))
    admin = replace(admin, params={"project_id": "another"})
    assert result_of(topology(Call("GET", b""), admin)).status == 200
    assert pods.sent[-1][0] == "Pod1"


def test_routers_are_found_by_what_each_pod_calls_their_flavor() -> None:
    def neutron(flavor: str, id: str) -> Any:
        def said(call: Call) -> Any:
            asked = parse_qs(call.query.decode()).get("flavor_id", [flavor])
            mine = [{"id": id, "flavor_id": flavor}] if flavor in asked else []
            return answer(200, {"routers": mine})

        return said

    pods = Pods({ONE: neutron("gold-1", "r1"), TWO: neutron("gold-in-2", "r2")})
    ids = {ONE.pod_id: {"gold-1": "gold-1"}, TWO.pod_id: {"gold-1": "gold-in-2"}}
    places = SimpleNamespace(ids_in=lambda pod: ids[pod.pod_id])
    kinds: Any = {"network_flavor": SimpleNamespace(places=places)}
    here = replace(context(pods, definitions=kinds), below=b"/routers")

    def found(query: bytes) -> list[str]:
        answer = result_of(listed(ROUTER)(Call("GET", b"", query), here))
        return [row["id"] for row in json.loads(answer.body)["routers"]]

    assert found(b"") == found(b"flavor_id=gold-1") == ["r1", "r2"]
    assert found(b"flavor_id=gold-in-3") == []
