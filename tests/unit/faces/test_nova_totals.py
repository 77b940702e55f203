"""What pods say of limits, usage and events, made one answer."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from attrs import evolve
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import Pods, Routes, answer, context, pod, route

from trio2o.domain.errors import Unavailable
from trio2o.domain.values import Definition, Pod
from trio2o.faces import totals as shared
from trio2o.faces.compute import _totals as totals
from trio2o.faces.compute._events import external_events
from trio2o.faces.compute._groups import count_groups
from trio2o.faces.compute._usage import UsagePages
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import UNAVAILABLE, Context, Total

ONE, TWO = pod(1), pod(2)


@given(st.lists(st.integers(-1, 50), min_size=1))
def test_the_least_limit_holds_and_minus_one_is_none(limits: list[int]) -> None:
    real = [limit for limit in limits if limit >= 0]
    assert shared.least(limits) == (min(real) if real else -1)


def test_limits_are_the_least_and_what_is_used_is_added() -> None:
    def said(cores: int, used: int) -> dict[str, Any]:
        absolute = {"maxTotalCores": cores, "totalCoresUsed": used, "maxServerMeta": 128}
        return {"limits": {"rate": [], "absolute": absolute}}

    assert shared.limits([(ONE, said(20, 3)), (TWO, said(-1, 4))]) == said(20, 7)


def test_quotas_with_usage_are_added_and_plain_ones_are_the_least() -> None:
    def usage(limit: int, used: int) -> dict[str, Any]:
        cores = {"limit": limit, "in_use": used, "reserved": 1}
        return {"quota_set": {"id": "p", "cores": cores}}

    found = shared.quotas([(ONE, usage(20, 3)), (TWO, usage(10, 4))])["quota_set"]
    assert found == {"id": "p", "cores": {"limit": 10, "in_use": 7, "reserved": 2}}
    plain = [(p, {"quota_set": {"id": "p", "cores": n}}) for p, n in ((ONE, 5), (TWO, 9))]
    assert shared.quotas(plain)["quota_set"] == {"id": "p", "cores": 5}


def test_a_group_that_several_pods_have_a_copy_of_counts_once() -> None:
    class Groups:
        async def of_project(self, project_id: str | None) -> list[Any]:
            made = [Definition("server_group", "g", f'{{"user_id":"{u}"}}', "p") for u in "uv"]
            return made if project_id == "p" else []

    said = answer(200, {"quota_set": {"server_groups": {"limit": 10, "in_use": 2, "reserved": 0}}})
    limits = answer(200, {"limits": {"absolute": {"totalServerGroupsUsed": 2}}})
    where = context(Pods({ONE: lambda call: said, TWO: lambda call: said}), params={"id": "p"})
    where = replace(where, parts=SimpleNamespace(groups=Groups()))

    def ask(combine: Any, query: bytes = b"") -> Any:
        found = result_of(Total(combine, count_groups)(Call("GET", b"/", query), where))
        return json.loads(found.body)

    assert ask(shared.quotas)["quota_set"]["server_groups"]["in_use"] == 2
    assert ask(shared.quotas, b"user_id=u")["quota_set"]["server_groups"]["in_use"] == 1
    where.pods.answers.update({ONE: lambda call: limits, TWO: lambda call: limits})  # type: ignore[attr-defined]
    where = replace(where, params={})
    asked = ask(shared.limits, b"tenant_id=p")
    assert asked["limits"]["absolute"]["totalServerGroupsUsed"] == 2
    assert ask(shared.limits)["limits"]["absolute"]["totalServerGroupsUsed"] == 0


@pytest.mark.parametrize(
    ("how", "refused"), [("standard", False), ("omit", False), ("refuse", True)]
)
def test_a_sum_names_the_pods_that_it_lacks_or_is_refused_as_operators_choose(
    how: str, refused: bool
) -> None:
    usage = {"quota_set": {"id": "p", "cores": {"limit": -1, "in_use": 2, "reserved": 0}}}
    where = context(Pods({ONE: lambda call: answer(200, usage), TWO: lambda call: answer(503)}))
    where = replace(where, surface=evolve(where.surface, unavailable=how))
    if refused:
        with pytest.raises(Unavailable, match="Pod2"):
            result_of(Total(shared.quotas)(Call("GET", b"/"), where))
        return
    found = result_of(Total(shared.quotas)(Call("GET", b"/"), where))
    assert dict(found.headers)[UNAVAILABLE] == b"Pod2"
    assert json.loads(found.body) == usage


def test_audits_name_hosts_with_their_pods() -> None:
    def said(done: int) -> dict[str, Any]:
        log = {"h": {"errors": 1, "instances": 2, "message": "m", "state": "DONE"}}
        numbers = {"num_hosts": 2, "num_hosts_done": done, "total_errors": 1}
        more = {"hosts_not_run": ["g"], "log": log, "overall_status": "", "period_ending": "t"}
        return {"instance_usage_audit_logs": numbers | more}

    found = totals.audits([(ONE, said(2)), (TWO, said(1))])["instance_usage_audit_logs"]
    assert found["overall_status"] == "3 of 4 hosts done. 2 errors."
    assert found["hosts_not_run"] == ["g.Pod1", "g.Pod2"]
    assert set(found["log"]) == {"h.Pod1", "h.Pod2"}
    whole = totals.audits([(ONE, said(2))])["instance_usage_audit_logs"]
    assert whole["overall_status"] == "ALL hosts done. 1 errors."


def test_usage_without_pages_is_added_by_project() -> None:
    def said(*projects: str) -> dict[str, Any]:
        rows = [{"tenant_id": p, "total_hours": 1.5, "start": "s"} for p in projects]
        return {"tenant_usages": rows}

    found = totals.usages([(ONE, said("a", "b")), (TWO, said("b"))])["tenant_usages"]
    assert [(row["tenant_id"], row["total_hours"]) for row in found] == [("a", 1.5), ("b", 3.0)]
    assert totals.usage([(ONE, {"tenant_usage": {}}), (TWO, {"tenant_usage": {}})]) == {
        "tenant_usage": {}
    }


class Usage:
    """A pod's servers as Nova pages their usage: by project and id, sums of what a page shows."""

    def __init__(self, servers: list[tuple[str, str]], cap: int) -> None:
        self.servers, self.cap = sorted(servers), cap

    def __call__(self, call: Call) -> Answer:
        query = dict(parse_qsl(call.query.decode()))
        ids = [id for _, id in self.servers]
        start = ids.index(query["marker"]) + 1 if "marker" in query else 0
        size = min(int(query.get("limit", self.cap)), self.cap)
        page = self.servers[start : start + size]
        projects: dict[str, Any] = {}
        for project, id in page:
            row = {"instance_id": id, "hours": 2.0, "vcpus": 1, "memory_mb": 4, "local_gb": 8}
            about = {"tenant_id": project, "start": "s", "stop": "e", "server_usages": []}
            shown = projects.setdefault(project, about)
            shown["server_usages"].append(row | {"tenant_id": project})
        body: dict[str, Any] = {"tenant_usages": list(projects.values())}
        if len(page) == size:
            body["tenant_usages_links"] = [{"rel": "next", "href": "x"}]
        return answer(200, body)


def asked(where: Context, query: str) -> dict[str, Any]:
    call = Call("GET", b"/", query.encode())
    where = replace(where, below=b"/os-simple-tenant-usage")
    found = result_of(UsagePages("tenant_usages")(call, where))
    assert found.status == 200
    body: dict[str, Any] = json.loads(found.body)
    return body


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.booleans()), max_size=25),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_pages_of_usage_put_together_are_every_server_once(
    rows: list[tuple[str, int, bool]], limit: int, cap: int
) -> None:
    servers = {f"{n:02}": (project, first) for project, n, first in rows}
    parts: dict[Pod, Usage] = {
        one: Usage([(p, id) for id, (p, f) in servers.items() if f is (one is ONE)], cap)
        for one in (ONE, TWO)
    }
    where = context(Pods(dict(parts)))
    query, seen, hours = f"detailed=1&limit={limit}", [], 0.0
    while True:
        body = asked(where, query)
        for project in body["tenant_usages"]:
            seen += [(project["tenant_id"], row["instance_id"]) for row in project["server_usages"]]
            assert project["total_hours"] == 2.0 * len(project["server_usages"])
            assert project["total_local_gb_usage"] == 8 * project["total_hours"]
            hours += project["total_hours"]
        if "tenant_usages_links" not in body:
            break
        query = urlsplit(body["tenant_usages_links"][0]["href"]).query
    assert seen == sorted((project, id) for id, (project, _) in servers.items())
    assert hours == 2.0 * len(servers)
    short = asked(where, "")
    assert not any("server_usages" in project for project in short["tenant_usages"])


KNOWN, OTHER, GONE = (f"{n}0000000-0000-4000-8000-000000000000" for n in range(3))


def events(where: Context, *ids: Any) -> Answer:
    wish = [{"name": "network-changed", "server_uuid": id} for id in ids]
    body = json.dumps({"events": wish}).encode()
    return result_of(external_events(Call("POST", b"/", body=body), where))


def nova(call: Call) -> Answer:
    """Answers as Nova does: 404 for each server it does not know, 207 then."""
    told = []
    for event in json.loads(call.body)["events"]:
        fine = event["server_uuid"] in (KNOWN, OTHER)
        more = {"status": "completed", "code": 200} if fine else {"status": "failed", "code": 404}
        told.append(event | more)
    return answer(200 if all(e["code"] == 200 for e in told) else 207, {"events": told})


def test_events_go_to_the_pods_of_their_servers_and_come_back_in_order() -> None:
    where = context(Pods({ONE: nova, TWO: nova}))
    where.routes.kept |= Routes(route(SERVER, KNOWN, ONE), route(SERVER, OTHER, TWO)).kept  # type: ignore[attr-defined]
    found = events(where, OTHER, KNOWN, OTHER)
    assert found.status == 200
    assert [e["server_uuid"] for e in json.loads(found.body)["events"]] == [OTHER, KNOWN, OTHER]
    per_pod = {
        name: [e["server_uuid"] for e in json.loads(call.body)["events"]]
        for name, call in where.pods.sent  # type: ignore[attr-defined]
    }
    assert per_pod == {"Pod1": [KNOWN], "Pod2": [OTHER, OTHER]}


def test_an_event_of_an_unknown_server_fails_alone_and_makes_it_207() -> None:
    where = context(Pods({ONE: nova, TWO: nova}), Routes(route(SERVER, OTHER, TWO)))
    found = events(where, GONE, OTHER)
    assert found.status == 207
    assert [event["code"] for event in json.loads(found.body)["events"]] == [404, 200]


def test_events_of_a_pod_that_is_down_fail_and_the_others_do_not() -> None:
    routes = Routes(route(SERVER, KNOWN, ONE), route(SERVER, OTHER, TWO))
    where = context(Pods({ONE: nova, TWO: nova}), routes)
    where.pods.down = {ONE}  # type: ignore[attr-defined]
    found = events(where, KNOWN, OTHER)
    assert found.status == 207
    told = json.loads(found.body)["events"]
    assert [(event["code"], event["status"]) for event in told] == [
        (503, "failed"),
        (200, "completed"),
    ]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"events": 1}', b'{"events": [1]}'])
def test_what_is_no_list_of_events_is_refused_by_a_pod(body: bytes) -> None:
    where = context(Pods({ONE: lambda call: answer(400, {"badRequest": {}}), TWO: nova}))
    assert result_of(external_events(Call("POST", b"/", body=body), where)).status == 400
