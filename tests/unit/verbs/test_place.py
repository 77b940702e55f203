"""Something new goes to the pod that it must go to, else to the project's; and is found again."""

import json
from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from world import PROJECT, Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import BadRequest, Unavailable
from trio2o.domain.values import DRAINING, MAINTENANCE, Binding, Pod
from trio2o.faces.resources import SERVER, VOLUME
from trio2o.message import Answer, Call
from trio2o.scheduling import Pin
from trio2o.store import bindings as binding_rows
from trio2o.verbs import Context, Place, Ref, edit_member, raw

ID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
VOLUME_ID = "11111111-6a52-4a6a-8f4f-0b7a3f4b1a55"
ONE, TWO = pod(1, pod_az_name="east"), pod(2, pod_az_name="")
PLACE = Place(SERVER, refs=(Ref("server.volume", VOLUME),), zone="availability_zone")


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Binding]:
    """Bindings that were written."""
    written: list[Binding] = []

    def bind(connection: object, wanted: Binding) -> Binding:
        written.append(wanted)
        return wanted

    monkeypatch.setattr(binding_rows, "bind", bind)
    monkeypatch.setattr(binding_rows, "rebind", bind)
    return written


def world(*pods: Pod, routes: Routes | None = None) -> Context:
    def made(call: Call) -> Answer:
        return answer(202, {"server": {"id": ID, "tenant_id": PROJECT}})

    return context(Pods(dict.fromkeys(pods or (ONE, TWO), made)), routes)


def place(where: Context, verb: Place = PLACE, **server: Any) -> Answer:
    body = json.dumps({"server": {"name": "n", **server}}).encode()
    return result_of(verb(Call("POST", b"/v2.1/servers", body=body), where))


def sent(where: Context) -> tuple[str, Any]:
    ((name, call),) = where.pods.sent  # type: ignore[attr-defined]
    return name, json.loads(call.body)["server"]


def test_the_az_decides_and_the_pod_hears_its_own_name_of_it() -> None:
    where = world()
    assert place(where, availability_zone="az1").status == 202
    assert sent(where) == ("Pod1", {"name": "n", "availability_zone": "east"})


def test_a_pod_without_a_name_of_its_own_hears_none() -> None:
    where = world()
    place(where, availability_zone="az2")
    assert sent(where) == ("Pod2", {"name": "n"})


def test_host_and_node_behind_the_az_stay() -> None:
    where = world()
    place(where, availability_zone="az1:host:node")
    assert sent(where)[1]["availability_zone"] == "east:host:node"


def test_an_unknown_az_is_400_and_nothing_is_sent() -> None:
    where = world()
    with pytest.raises(BadRequest):
        place(where, availability_zone="az9")
    assert where.pods.sent == []  # type: ignore[attr-defined]


def test_what_was_made_is_routed() -> None:
    where = world()
    place(where, availability_zone="az2")
    made = where.routes.kept["server", ID]  # type: ignore[attr-defined]
    assert evolve(made, details="") == route(SERVER, ID, TWO)
    assert json.loads(made.details) == {
        "created": "2023-11-14T22:13:20Z",
        "tenant_id": PROJECT,
        "user_id": "user",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"server": 1}', b'{"server": {"id": 1}}'])
def test_a_pod_that_says_nothing_of_what_it_made_leaves_no_route(body: bytes) -> None:
    where = world(ONE)
    where.pods.answers[ONE] = lambda call: evolve(answer(202), body=body)  # type: ignore[attr-defined]
    assert place(where).status == 202
    assert where.routes.kept == {}  # type: ignore[attr-defined]


def test_the_binding_is_durable_before_anything_is_sent(recorded: list[Binding]) -> None:
    where = world()
    place(where, availability_zone="az2")
    assert where.store.order == ["wrote behind 0 calls"]  # type: ignore[attr-defined]
    (written,) = recorded
    assert (written.tenant_id, written.pod_id, written.az_name) == (PROJECT, TWO.pod_id, "az2")


def test_a_bound_project_goes_where_it_is_bound(recorded: list[Binding]) -> None:
    first, second = pod(1, "az1"), pod(2, "az1")
    where = world(first, second)
    where.pods.bindings = (Binding("b", PROJECT, second.pod_id, "az1", "2026"),)  # type: ignore[attr-defined]
    place(where, availability_zone="az1")
    assert sent(where)[0] == "Pod2"
    assert recorded == []
    other = evolve(world(first, second), caller=caller(project_id="f" * 32))
    place(other, availability_zone="az1")
    assert sent(other)[0] == "Pod1"


def test_what_is_named_pins_the_pod() -> None:
    where = world(routes=Routes(route(VOLUME, VOLUME_ID, TWO)))
    place(where, volume=VOLUME_ID)
    assert sent(where)[0] == "Pod2"


def test_what_is_named_elsewhere_than_the_az_is_400_that_names_both() -> None:
    where = world(routes=Routes(route(VOLUME, VOLUME_ID, TWO)))
    with pytest.raises(BadRequest) as refusal:
        place(where, volume=VOLUME_ID, availability_zone="az1")
    for word in (VOLUME_ID, "az1", "az2"):
        assert word in refusal.value.message


def test_what_was_deleted_pins_nothing() -> None:
    gone = route(VOLUME, VOLUME_ID, TWO, deleted_at="2026")
    where = world(routes=Routes(gone))
    place(where, volume=VOLUME_ID)
    assert sent(where)[0] == "Pod1"


@pytest.mark.parametrize("state", [DRAINING, MAINTENANCE])
def test_a_pod_that_is_closed_takes_nothing_new(state: str) -> None:
    closed = evolve(ONE, state=state)
    where = world(closed, TWO)
    place(where)
    assert sent(where)[0] == "Pod2"
    with pytest.raises(Unavailable):
        place(world(closed, TWO), availability_zone="az1")


def test_a_draining_pod_takes_what_belongs_to_what_it_has() -> None:
    routes = Routes(route(VOLUME, VOLUME_ID, ONE))
    where = world(evolve(ONE, state=DRAINING), TWO, routes=routes)
    place(where, volume=VOLUME_ID)
    assert sent(where)[0] == "Pod1"
    with pytest.raises(Unavailable):
        place(world(evolve(ONE, state=MAINTENANCE), TWO, routes=routes), volume=VOLUME_ID)


def test_no_pod_is_503() -> None:
    where = world()
    where.pods.down = {ONE, TWO}  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        place(where)


def test_the_default_az_is_taken_where_none_is_asked() -> None:
    where = world()
    where = evolve(where, surface=evolve(where.surface, default_zone="az2"))
    place(where)
    assert sent(where)[0] == "Pod2"
    pinned = evolve(where, routes=Routes(route(VOLUME, VOLUME_ID, ONE)))
    pinned.pods.sent.clear()  # type: ignore[attr-defined]
    place(pinned, volume=VOLUME_ID)
    assert sent(pinned)[0] == "Pod1"


def test_a_refusal_of_the_pod_is_the_answer_and_leaves_no_route() -> None:
    where = world(ONE)
    words = {"forbidden": {"message": "Quota exceeded", "code": 403}}
    where.pods.answers[ONE] = lambda call: answer(403, words)  # type: ignore[attr-defined]
    found = place(where)
    assert (found.status, json.loads(found.body)) == (403, words)
    assert where.routes.kept == {}  # type: ignore[attr-defined]


def test_all_that_is_made_at_once_is_routed() -> None:
    verb = Place(VOLUME, zone="availability_zone")
    where = world(ONE)
    rows = [{"id": ID, "os-vol-tenant-attr:tenant_id": "x"}, {"id": VOLUME_ID}, {"id": 5}, None]
    where.pods.answers[ONE] = lambda call: answer(201, {"volumes": rows})  # type: ignore[attr-defined]
    body = json.dumps({"volumes": [{"availability_zone": "az1"}, {"size": 1}]}).encode()
    assert result_of(verb(Call("POST", b"/", body=body), where)).status == 201
    ((_, call),) = where.pods.sent  # type: ignore[attr-defined]
    assert json.loads(call.body) == {"volumes": [{"availability_zone": "east"}, {"size": 1}]}
    kept = where.routes.kept  # type: ignore[attr-defined]
    assert {key: value.project_id for key, value in kept.items()} == {
        ("volume", ID): "x",
        ("volume", VOLUME_ID): PROJECT,
    }


def test_what_else_pins_is_followed_and_a_conflict_names_both() -> None:
    async def more(body: Any, context: Context) -> tuple[Pin, ...]:
        return (Pin("host h", TWO),)

    where = world()
    place(where, evolve(PLACE, more=more))
    assert sent(where)[0] == "Pod2"
    with pytest.raises(BadRequest, match=r"ost h.*az2.*az1"):
        place(world(), evolve(PLACE, more=more), availability_zone="az1")


def test_pods_that_lack_what_is_needed_are_passed_over_unless_none_is_left() -> None:
    async def lacking(body: Any, context: Context) -> frozenset[str]:
        return frozenset((ONE.pod_id,))

    where = world()
    place(where, evolve(PLACE, lacking=lacking))
    assert sent(where)[0] == "Pod2"
    where = world()
    place(where, evolve(PLACE, lacking=lacking), availability_zone="az1")
    assert sent(where)[0] == "Pod1"  # where it is refused for what it lacks


def test_members_of_an_object_are_changed_and_the_rest_stays_as_written() -> None:
    body = b'{"a": {"x": 1.50, "y": "z"}, "b":[1]}'
    changed = edit_member(body, "a", {"x": None, "n": raw("new")})
    assert json.loads(changed) == {"a": {"y": "z", "n": "new"}, "b": [1]}
    assert edit_member(b'{"a":{"x":1}}', "a", {"x": None}) == b'{"a":null}'


@pytest.mark.parametrize(("follows", "chosen"), [(True, "Pod2"), (False, "Pod1")])
def test_what_follows_goes_to_the_projects_pod_where_it_has_none_in_the_default_az(
    follows: bool, chosen: str
) -> None:
    where = world()
    where = evolve(where, surface=evolve(where.surface, default_zone="az1"))
    where.pods.bindings = (Binding("b", PROJECT, TWO.pod_id, "az2", "2026"),)  # type: ignore[attr-defined]
    place(where, evolve(PLACE, follows=follows))
    assert sent(where)[0] == chosen


def test_what_follows_stays_in_the_default_az_where_the_project_has_a_pod() -> None:
    where = world()
    where = evolve(where, surface=evolve(where.surface, default_zone="az1"))
    held = [Binding(f"b{p.number}", PROJECT, p.pod_id, p.az_name, "2026") for p in (TWO, ONE)]
    where.pods.bindings = tuple(held)  # type: ignore[attr-defined]
    place(where, evolve(PLACE, follows=True))
    assert sent(where)[0] == "Pod1"
