"""Servers of a pod that is down, as Nova shows those of a down cell."""

import json
from typing import Any

import pytest
from helpers import result_of
from msgspec.structs import replace
from world import PROJECT, Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.values import Caller
from trio2o.domain.versions import Version
from trio2o.faces.compute._down import ShowServer
from trio2o.faces.compute._lists import SERVERS, SERVERS_DETAIL
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import Context

ONE, TWO = pod(1), pod(2)
ID, OTHER = (f"{n}0000000-0000-4000-8000-000000000000" for n in range(2))
FLAVOR = {"original_name": "m1", "ram": 1}
WHOLE = {"created": "then", "user_id": "u", "flavor": FLAVOR, "image": {"id": "i", "links": []}}


def known(details: dict[str, Any], **fields: Any) -> Routes:
    return Routes(route(SERVER, ID, TWO, details=json.dumps(details) if details else "", **fields))


def world(version: str = "2.71", routes: Routes | None = None, **more: Any) -> Context:
    rows = {"servers": [{"id": OTHER, "created": "now", "name": "n", "links": []}]}
    pods = Pods({ONE: lambda call: answer(200, rows), TWO: lambda call: answer(503)})
    pods.down = {TWO}
    where = context(pods, known(WHOLE) if routes is None else routes)
    path = f"/servers/{ID}".encode()
    return replace(where, version=Version.parse(version), params={"id": ID}, below=path, **more)


def show(where: Context) -> Any:
    found: Answer = result_of(ShowServer()(Call("GET", b"/"), where))
    assert found.status == 200
    return json.loads(found.body)["server"]


def rows(where: Context, query: str = "", verb: Any = SERVERS_DETAIL) -> Any:
    call = Call("GET", b"/", query.encode())
    found: Answer = result_of(verb(call, replace(where, below=b"/servers/detail")))
    assert dict(found.headers)[b"X-Trio2o-Unavailable-Pods"] == b"Pod2"
    return json.loads(found.body)["servers"]


def test_a_server_is_shown_by_what_is_known_of_it() -> None:
    server = show(world())
    assert server == {
        "id": ID,
        "status": "UNKNOWN",
        "tenant_id": PROJECT,
        "created": "then",
        "links": [
            {"rel": "self", "href": f"http://top:1/v2.1/servers/{ID}"},
            {"rel": "bookmark", "href": f"http://top:1/servers/{ID}"},
        ],
        "image": {"id": "i", "links": [{"rel": "bookmark", "href": "http://top:1/images/i"}]},
        "flavor": FLAVOR,
        "OS-EXT-AZ:availability_zone": "az2",
        "OS-EXT-STS:power_state": 0,
        "user_id": "u",
        "server_groups": [],
    }
    assert "server_groups" not in show(world("2.69"))


@pytest.mark.parametrize(
    ("version", "routes"),
    [
        ("2.68", known(WHOLE)),
        ("2.71", known({})),
        ("2.71", known({"created": "then"})),
        ("2.71", known(WHOLE | {"flavor": {"id": "1", "links": []}})),
        ("2.71", known(WHOLE, project_id="another")),
    ],
)
def test_it_is_503_where_nova_has_no_such_answer_or_too_little_is_known(
    version: str, routes: Routes
) -> None:
    with pytest.raises(PodUnavailable):
        show(world(version, routes))


def test_an_admin_is_shown_what_is_anothers() -> None:
    admin: Caller = caller(project_id="another", roles=("admin",))
    assert show(world(caller=admin))["id"] == ID


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_pods_gateway_that_answers_for_it_counts_as_down(status: int) -> None:
    where = world()
    where.pods.down = set()  # type: ignore[attr-defined]
    where.pods.answers[TWO] = lambda call: answer(status)  # type: ignore[attr-defined]
    assert show(where)["status"] == "UNKNOWN"


def test_a_pod_that_does_not_answer_counts_as_down() -> None:
    def silent(call: Call) -> Answer:
        raise PodTimeout("Pod2", "no answer in time")

    where = world()
    where.pods.down = set()  # type: ignore[attr-defined]
    where.pods.answers[TWO] = silent  # type: ignore[attr-defined]
    assert show(where)["status"] == "UNKNOWN"


def test_a_list_has_the_rows_of_the_pods_that_are_down_before_the_others() -> None:
    found = rows(world())
    assert [row["id"] for row in found] == [ID, OTHER]
    assert set(found[0]) == {"id", "status", "links", "tenant_id", "created"}
    assert set(rows(world(), verb=SERVERS)[0]) == {"id", "status", "links"}


@pytest.mark.parametrize("query", ["limit=9", "marker=" + OTHER, "sort_key=uuid", "offset=0"])
def test_a_page_or_an_order_leaves_them_out(query: str) -> None:
    routes = known(WHOLE)
    routes.kept |= Routes(route(SERVER, OTHER, ONE)).kept
    where = world(routes=routes)
    one = answer(200, {"server": {"id": OTHER, "created": "now"}})
    lists = where.pods.answers[ONE]  # type: ignore[attr-defined]
    where.pods.answers[ONE] = lambda call: one if OTHER.encode() in call.path else lists(call)  # type: ignore[attr-defined]
    assert ID not in [row["id"] for row in rows(where, query)]


def test_before_2_69_they_are_left_out_and_a_filter_is_503() -> None:
    assert [row["id"] for row in rows(world("2.68"))] == [OTHER]
    for version in ("2.68", "2.71"):
        with pytest.raises(Unavailable):
            rows(world(version), "name=n")


def test_another_projects_servers_are_seen_by_admins_who_ask_for_all() -> None:
    routes = known(WHOLE, project_id="another")
    assert len(rows(world(routes=routes))) == 1
    admin: Caller = caller(roles=("admin",))
    assert len(rows(world(routes=routes, caller=admin))) == 1
    assert len(rows(world(routes=routes, caller=admin), "all_tenants=1")) == 2
    assert len(rows(world(routes=routes), "all_tenants=1")) == 1
