"""A call for an id goes to the pod that owns it, and nowhere else."""

import json

import pytest
from helpers import result_of
from msgspec.structs import replace
from world import Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import BadRequest, NotFound, PodUnavailable
from trio2o.faces.resources import SERVER, VOLUME
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Forward, Operation, Ref

ID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
VOLUME_ID = "11111111-6a52-4a6a-8f4f-0b7a3f4b1a55"
ONE, TWO = pod(1), pod(2)


def world(**more: object) -> Context:
    pods = Pods(
        {
            ONE: lambda call: answer(200, {"server": {"id": ID, "by": "Pod1"}}),
            TWO: lambda call: answer(200, {"server": {"id": ID, "by": "Pod2"}}),
        }
    )
    routes = Routes(route(SERVER, ID, TWO), route(VOLUME, VOLUME_ID, ONE))
    below = f"/servers/{ID}".encode()
    return replace(context(pods, routes), params={"id": ID}, below=below, **more)


def forward(where: Context, call: Call, verb: Forward = Forward(SERVER)) -> Answer:  # noqa: B008
    return result_of(verb(call, where))


def sent(where: Context) -> list[tuple[str, Call]]:
    return where.pods.sent  # type: ignore[attr-defined]


def test_the_owner_answers() -> None:
    where = world()
    found = forward(where, Call("GET", b"/v2.1/servers/x", b"a=%20b&c"))
    assert json.loads(found.body)["server"]["by"] == "Pod2"
    ((name, call),) = sent(where)
    assert (name, call.method, call.path, call.query) == (
        "Pod2",
        "GET",
        f"/servers/{ID}".encode(),
        b"a=%20b&c",
    )


def test_a_body_goes_down_as_it_came() -> None:
    where = world()
    body = b'{"server" :{"name":"n", "unknown": [1, 2.50, null]}}'
    forward(where, Call("PUT", b"/", body=body))
    assert sent(where)[0][1].body == body


def test_what_belongs_to_one_hop_stays_behind() -> None:
    where = world()
    given = (
        (b"Connection", b"keep-alive, X-Mine"),
        (b"connection", b"X-Other"),
        (b"X-Mine", b"1"),
        (b"X-Other", b"1"),
        (b"Keep-Alive", b"5"),
        (b"TE", b"trailers"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"3"),
        (b"Cookie", b"c=1"),
        (b"Host", b"evil"),
        (b"Accept-Encoding", b"br"),
        (b"Accept", b"application/json"),
        (b"X-Auth-Token", b"t"),
        (b"X-Tenant-Own", b"kept"),
    )
    forward(where, Call("GET", b"/", headers=given))
    assert sent(where)[0][1].headers == (
        (b"Accept", b"application/json"),
        (b"X-Auth-Token", b"t"),
        (b"X-Tenant-Own", b"kept"),
        (b"X-Openstack-Request-Id", b"req-1"),
    )


def test_an_unknown_id_is_refused_by_a_pod_in_its_own_words() -> None:
    where = replace(world(), params={"id": "nothing"}, below=b"/servers/nothing")
    words = {"itemNotFound": {"message": "Instance nothing could not be found.", "code": 404}}
    where.pods.answers[ONE] = lambda call: answer(404, words)  # type: ignore[attr-defined]
    found = forward(where, Call("GET", b"/"))
    assert (found.status, json.loads(found.body)) == (404, words)
    assert [name for name, _ in sent(where)] == ["Pod1"]


def test_an_unknown_id_is_404_where_no_pod_can_be_asked() -> None:
    where = replace(world(), params={"id": "nothing"})
    where.pods.down = {ONE, TWO}  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        forward(where, Call("GET", b"/"))


def test_a_dead_owner_is_503_and_no_other_pod_is_asked() -> None:
    where = world()
    where.pods.down = {TWO}  # type: ignore[attr-defined]
    with pytest.raises(PodUnavailable):
        forward(where, Call("GET", b"/"))
    assert sent(where) == []


def test_what_the_owner_no_longer_has_leaves_a_tombstone() -> None:
    where = world()
    where.pods.answers[TWO] = lambda call: answer(404, {})  # type: ignore[attr-defined]
    assert forward(where, Call("GET", b"/")).status == 404
    where.pods.down = {TWO}  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        forward(where, Call("GET", b"/"))


@pytest.mark.parametrize(
    ("method", "below", "project"),
    [
        ("GET", f"/servers/{ID}/metadata/key", None),
        ("POST", f"/servers/{ID}/action", None),
        ("GET", f"/servers/{ID}", "another"),
    ],
)
def test_a_404_that_may_have_another_reason_leaves_none(
    method: str, below: str, project: str | None
) -> None:
    where = replace(world(), below=below.encode())
    if project:
        where = replace(where, caller=caller(project_id=project))
    where.pods.answers[TWO] = lambda call: answer(404, {})  # type: ignore[attr-defined]
    assert forward(where, Call(method, b"/")).status == 404
    assert not where.routes.kept["server", ID].deleted_at  # type: ignore[attr-defined]


def test_an_accepted_delete_of_a_server_has_not_happened_yet() -> None:
    where = world(operation=Operation("DELETE", "/v2.1/servers/{id}", Forward(SERVER)))
    where.pods.answers[TWO] = lambda call: Answer(204)  # type: ignore[attr-defined]
    assert forward(where, Call("DELETE", b"/")).status == 204
    assert not where.routes.kept["server", ID].deleted_at  # type: ignore[attr-defined]


def test_what_a_body_names_must_be_in_the_same_pod() -> None:
    where = world()
    verb = Forward(SERVER, refs=(Ref("volumeAttachment.volumeId", VOLUME),))
    body = json.dumps({"volumeAttachment": {"volumeId": VOLUME_ID}}).encode()
    with pytest.raises(BadRequest) as refusal:
        forward(where, Call("POST", b"/", body=body), verb)
    for word in (ID, VOLUME_ID, "az1", "az2", "Pod1", "Pod2"):
        assert word in refusal.value.message
    assert sent(where) == []
    where.routes.kept["volume", VOLUME_ID] = route(VOLUME, VOLUME_ID, TWO)  # type: ignore[attr-defined]
    assert forward(where, Call("POST", b"/", body=body), verb).ok


def test_a_malformed_body_is_400_before_anything_is_sent() -> None:
    where = world()
    verb = Forward(SERVER, refs=(Ref("a.b", VOLUME),))
    with pytest.raises(BadRequest):
        forward(where, Call("POST", b"/", body=b'{"a": '), verb)
    assert sent(where) == []


# another process moved or buried the route


def moved_to(where: Context, found: object) -> None:
    where.routes.elsewhere = found  # type: ignore[attr-defined]


@pytest.mark.parametrize("trouble", ["has nothing", "is down"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_another_process_moved_is_asked_for_where_it_is(method: str, trouble: str) -> None:
    where = world()
    moved_to(where, route(SERVER, ID, ONE))
    if trouble == "is down":
        where.pods.down.add(TWO)  # type: ignore[attr-defined]
    where.pods.answers[TWO] = lambda call: answer(404, {})  # type: ignore[attr-defined]
    found = forward(where, Call(method, b"/v2.1/servers/x"))
    assert json.loads(found.body)["server"]["by"] == "Pod1"
    assert [call.method for _, call in sent(where)][-1] == method
    assert where.routes.kept["server", ID].deleted_at == ""  # type: ignore[attr-defined]


def test_what_another_process_saw_deleted_is_gone_while_its_pod_is_down() -> None:
    where = world()
    where.pods.down.add(TWO)  # type: ignore[attr-defined]
    with pytest.raises(PodUnavailable):
        forward(where, Call("GET", b"/"))
    moved_to(where, route(SERVER, ID, TWO, deleted_at="2026-02-01"))
    with pytest.raises(NotFound):
        forward(where, Call("GET", b"/"))


def test_what_is_known_to_be_gone_is_gone_the_moment_its_pod_fails() -> None:
    where = world()
    where.routes.kept["server", ID] = route(SERVER, ID, TWO, deleted_at="2026-02-01")  # type: ignore[attr-defined]

    def refuse(call: Call) -> Answer:
        raise PodUnavailable("Pod2", "refused")

    where.pods.answers[TWO] = refuse  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        forward(where, Call("GET", b"/"))


def test_a_pods_404_is_the_answer_where_nothing_was_moved() -> None:
    where = world()
    where.pods.answers[TWO] = lambda call: answer(404, {"itemNotFound": {}})  # type: ignore[attr-defined]
    moved_to(where, route(SERVER, ID, TWO, deleted_at="2026-02-01"))
    assert forward(where, Call("GET", b"/")).status == 404
    assert len(sent(where)) == 1


def test_what_a_call_makes_is_recorded_where_its_answer_names_it() -> None:
    where = world()
    where.pods.answers[TWO] = lambda call: answer(202, {"made": {"id": "new"}})  # type: ignore[attr-defined]
    forward(where, Call("POST", b"/"), Forward(SERVER, makes=(Ref("made.id", VOLUME),)))
    made = where.routes.kept[(VOLUME.type, "new")]  # type: ignore[attr-defined]
    assert (made.pod_id, made.project_id) == (TWO.pod_id, where.caller.project_id)


def test_a_copy_in_another_pod_answers_where_the_known_one_is_not_the_callers() -> None:
    where = world()
    where.pods.answers[TWO] = lambda call: answer(404, {"itemNotFound": {}})  # type: ignore[attr-defined]
    verb = Forward(SERVER, copies=True)
    assert json.loads(forward(where, Call("GET", b"/"), verb).body)["server"]["by"] == "Pod1"
    assert not where.routes.kept[(SERVER.type, ID)].deleted_at  # type: ignore[attr-defined]
    where.pods.answers[ONE] = where.pods.answers[TWO]  # type: ignore[attr-defined]
    assert forward(where, Call("GET", b"/"), verb).status == 404
    assert where.routes.kept[(SERVER.type, ID)].deleted_at  # type: ignore[attr-defined]


def test_ids_in_a_text_with_commas_are_looked_at_one_by_one() -> None:
    where = world()
    verb = Forward(SERVER, refs=(Ref("group.add.,", VOLUME),))
    unknown = "22222222-6a52-4a6a-8f4f-0b7a3f4b1a55"
    fine = json.dumps({"group": {"add": unknown}}).encode()
    assert forward(where, Call("PUT", b"/", body=fine), verb).status == 200
    wrong = json.dumps({"group": {"add": f"{unknown}, {VOLUME_ID}"}}).encode()
    with pytest.raises(BadRequest, match=VOLUME_ID):
        forward(where, Call("PUT", b"/", body=wrong), verb)
    assert len(sent(where)) == 1
