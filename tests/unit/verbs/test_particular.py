"""Verbs for what pods number or name by themselves, and for answers that are added up."""

import json
from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from msgspec.structs import replace
from world import Ask, Pods, answer, context, pod

from trio2o.domain.errors import BadRequest, Unavailable
from trio2o.domain.resources import qualified, split_number
from trio2o.domain.versions import Version
from trio2o.faces.compute._kinds import HOST, HYPERVISOR, SERVICE
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Gather, Named, Numbered, Order, Since, Total

ONE, TWO = pod(1), pod(2)


def says(**body: Any) -> Ask:
    return lambda call: answer(200, body)


def world(one: Ask, two: Ask, below: str = "/os-hosts", **params: str) -> Context:
    return replace(context(Pods({ONE: one, TWO: two})), below=below.encode(), params=params)


def run(verb: Any, where: Context, call: Call = Call("GET", b"/")) -> Answer:  # noqa: B008
    return result_of(verb(call, where))


def sent(where: Context) -> list[tuple[str, str, str]]:
    calls = where.pods.sent  # type: ignore[attr-defined]
    return [(name, call.method, call.path.decode()) for name, call in calls]


def test_a_number_of_a_pod_is_told_with_the_pods_own() -> None:
    assert split_number(str(qualified(3, 7))) == (3, 7)
    assert [split_number(text) for text in ("7", "", "x", "-1", "1.5", "²")] == [None] * 6


def test_a_qualified_number_goes_to_its_pod_as_the_pods_own() -> None:
    number = str(qualified(2, 7))
    where = world(says(), says(), f"/os-hypervisors/{number}/uptime", integer_id=number)
    assert run(Numbered(HYPERVISOR, "integer_id"), where).ok
    assert sent(where) == [("Pod2", "GET", "/os-hypervisors/7/uptime")]


@pytest.mark.parametrize("number", ["7", "9000000007", "abc"])
def test_a_number_that_no_pod_has_is_refused_by_a_pod(number: str) -> None:
    words = lambda call: answer(404, {"itemNotFound": {"code": 404}})  # noqa: E731
    where = world(words, says(), f"/os-hypervisors/{number}", integer_id=number)
    assert run(Numbered(HYPERVISOR, "integer_id"), where).status == 404
    assert sent(where) == [("Pod1", "GET", f"/os-hypervisors/{number}")]


def test_numbers_in_lists_are_qualified_and_uuids_stay() -> None:
    rows = [{"id": 7, "service": {"id": 3, "host": "h"}}, {"id": "a-uuid"}]
    verb = Gather(HYPERVISOR, Order(()), cap=0, paged=False)
    where = world(says(hypervisors=rows), says(hypervisors=rows[:1]), "/os-hypervisors")
    assert json.loads(run(verb, where).body)["hypervisors"] == [
        {"id": qualified(1, 7), "service": {"id": qualified(1, 3), "host": "h"}},
        {"id": "a-uuid"},
        {"id": qualified(2, 7), "service": {"id": qualified(2, 3), "host": "h"}},
    ]


def test_a_list_in_no_told_order_has_pages_and_refuses_an_unknown_marker() -> None:
    verb = Gather(HYPERVISOR, Order(()), links="hypervisors_links")
    pages = [says(hypervisors=[{"id": f"h{n}{m}"} for m in range(3)]) for n in (1, 2)]
    where = world(*pages, below="/os-hypervisors")
    first = json.loads(run(verb, where, Call("GET", b"/", b"limit=4")).body)
    assert [row["id"] for row in first["hypervisors"]] == ["h10", "h11", "h12", "h20"]
    assert first["hypervisors_links"][0]["href"].endswith("?limit=4&marker=h20")
    rest = json.loads(run(verb, where, Call("GET", b"/", b"limit=4&marker=h20")).body)
    assert [row["id"] for row in rest["hypervisors"]] == ["h21", "h22"]
    with pytest.raises(BadRequest):
        run(verb, where, Call("GET", b"/", b"marker=h33"))


def test_a_list_in_which_one_pod_finds_nothing_has_the_others_rows() -> None:
    verb = Gather(HYPERVISOR, Order(()), cap=0, paged=False, absent=True)
    nothing: Ask = lambda call: answer(404, {"itemNotFound": {"code": 404}})  # noqa: E731
    found = run(verb, world(nothing, says(hypervisors=[{"id": 1}])))
    assert (found.status, found.headers[1:]) == (200, ())
    assert len(json.loads(found.body)["hypervisors"]) == 1
    assert run(verb, world(nothing, nothing)).status == 404


def hosts(*names: str) -> Ask:
    def ask(call: Call) -> Answer:
        if call.path == b"/os-hosts" and call.method == "GET":
            return answer(200, {"hosts": [{"host_name": name} for name in names]})
        return answer(200, {"host": call.path.decode()})

    return ask


def test_a_name_goes_to_the_pod_that_has_it() -> None:
    where = world(hosts("a"), hosts("b"), "/os-hosts/b", id="b")
    run(Named(HOST, "host_name", param="id"), where)
    assert sent(where)[-1] == ("Pod2", "GET", "/os-hosts/b")


def test_a_name_that_two_pods_have_is_refused_and_told_apart_by_the_pods() -> None:
    where = world(hosts("a"), hosts("a"), "/os-hosts/a", id="a")
    with pytest.raises(BadRequest) as refusal:
        run(Named(HOST, "host_name", param="id"), where)
    assert "a.Pod1" in refusal.value.message and "a.Pod2" in refusal.value.message
    where = world(hosts("a"), hosts("a"), "/os-hosts/a.Pod2/reboot", id="a.Pod2")
    run(Named(HOST, "host_name", param="id"), where)
    assert sent(where)[-1] == ("Pod2", "GET", "/os-hosts/a/reboot")


def test_a_name_with_a_dot_of_its_own_is_taken_as_it_is() -> None:
    where = world(hosts("a.Pod2"), hosts("a"), "/os-hosts/a.Pod2", id="a.Pod2")
    run(Named(HOST, "host_name", param="id"), where)
    assert sent(where)[-1] == ("Pod1", "GET", "/os-hosts/a.Pod2")


def test_a_name_in_a_body_is_found_and_changed_there() -> None:
    def ask(call: Call) -> Answer:
        if call.method == "GET":
            return answer(200, {"services": [{"host": "a"}]})
        return answer(200, {"seen": json.loads(call.body)})

    where = world(ask, ask, "/os-services/disable")
    call = Call("PUT", b"/", body=json.dumps({"host": "a.Pod2", "binary": "x"}).encode())
    found = run(Named(SERVICE, "host", key="host"), where, call)
    assert json.loads(found.body)["seen"] == {"host": "a", "binary": "x"}
    assert sent(where)[-1][0] == "Pod2"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"host": 1}', b'{"host": "unknown"}'])
def test_a_name_that_is_none_is_refused_by_a_pod(body: bytes) -> None:
    words: Ask = lambda call: answer(400 if call.method == "PUT" else 200, {"services": []})  # noqa: E731
    where = world(words, words, "/os-services/disable")
    found = run(Named(SERVICE, "host", key="host"), where, Call("PUT", b"/", body=body))
    assert found.status == 400
    assert [name for name, method, _ in sent(where) if method == "PUT"] == ["Pod1"]


def add_up(said: Any) -> dict[str, Any]:
    return {"sum": sum(document["n"] for _, document in said)}


def test_a_total_is_of_all_pods() -> None:
    assert json.loads(run(Total(add_up), world(says(n=1), says(n=2))).body) == {"sum": 3}


def test_a_total_names_the_pods_that_it_lacks() -> None:
    for two in (lambda call: answer(500), lambda call: replace(answer(200), body=b"{")):
        found = run(Total(add_up), world(says(n=1), two))
        assert json.loads(found.body) == {"sum": 1}
        assert dict(found.headers)[b"X-Trio2o-Unavailable-Pods"] == b"Pod2"
    where = world(says(n=1), says(n=2))
    where.pods.down = {ONE, TWO}  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        run(Total(add_up), where)


def test_a_pods_refusal_of_a_total_is_the_answer() -> None:
    assert run(Total(add_up), world(says(n=1), lambda call: answer(403, {"no": 1}))).status == 403


@pytest.mark.parametrize(("version", "who"), [("2.39", "older"), ("2.40", "newer")])
def test_a_version_decides_between_two_verbs(version: str, who: str) -> None:
    async def newer(call: Call, context: Context) -> Answer:
        return answer(200, "newer")

    async def older(call: Call, context: Context) -> Answer:
        return answer(200, "older")

    where = replace(world(says(), says()), version=Version.parse(version))
    assert json.loads(run(Since(Version(2, 40), newer, older), where).body) == who


def services(*rows: dict[str, Any]) -> Ask:
    def ask(call: Call) -> Answer:
        listing = call.path == b"/os-services" and call.method == "GET"
        seen = {"query": call.query.decode(), "path": call.path.decode()}
        return answer(200, {"services": list(rows)} if listing else seen)

    return ask


BACKEND = Named(SERVICE, "host", key="host", also=("cluster",))


def test_a_thing_is_named_by_one_of_two_members() -> None:
    one, two = services({"host": "a", "cluster": None}), services({"host": "b", "cluster": "a"})
    where = world(one, two, "/os-services/freeze")
    run(BACKEND, where, Call("PUT", b"/", body=b'{"cluster": "a"}'))
    run(BACKEND, where, Call("PUT", b"/", body=b'{"host": "a"}'))
    assert [name for name, method, _ in sent(where) if method == "PUT"] == ["Pod2", "Pod1"]


def test_a_name_in_a_query_is_found_though_a_pool_stands_behind_it() -> None:
    where = world(services({"host": "a@x"}), services({"host": "a@x"}), "/manageable_volumes")
    verb = evolve(BACKEND, in_query=True)
    found = run(verb, where, Call("GET", b"/", b"limit=1&host=a@x%23pool.Pod2"))
    assert json.loads(found.body)["query"] == "limit=1&host=a%40x%23pool"
    assert sent(where)[-1][0] == "Pod2"
    with pytest.raises(BadRequest, match=r"a@x#pool\.Pod1"):
        run(verb, where, Call("GET", b"/", b"host=a@x%23pool"))


def test_a_name_that_only_a_pod_that_is_down_may_have_is_not_unknown() -> None:
    where = world(services({"host": "a"}), services({"host": "b"}), "/os-services/freeze")
    where.pods.down = {TWO}  # type: ignore[attr-defined]
    run(BACKEND, where, Call("PUT", b"/", body=b'{"host": "a"}'))
    assert sent(where)[-1][0] == "Pod1"
    with pytest.raises(Unavailable):
        run(BACKEND, where, Call("PUT", b"/", body=b'{"host": "b"}'))


def test_a_total_has_the_status_of_its_parts() -> None:
    parts = lambda call: answer(202, {"n": 1})  # noqa: E731
    assert run(Total(add_up), world(parts, parts)).status == 202
