"""Something new goes to the pod that it must go to, else to the project's; and is found again."""

import json
from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from msgspec.structs import replace
from world import PROJECT, Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import BadRequest, PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.values import DRAINING, MAINTENANCE, Binding, Caller, Pod, Zone
from trio2o.faces.network_resources import NETWORK
from trio2o.faces.resources import SERVER, VOLUME
from trio2o.message import Answer, Call
from trio2o.scheduling import Pin
from trio2o.store import bindings as binding_rows
from trio2o.verbs import Context, Needs, Place, Ref, edit_member, raw

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
    where.pods.answers[ONE] = lambda call: replace(answer(202), body=body)  # type: ignore[attr-defined]
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
    where.pods.note(Binding("b", PROJECT, second.pod_id, "az1", "2026"))
    place(where, availability_zone="az1")
    assert sent(where)[0] == "Pod2"
    assert recorded == []
    other = replace(world(first, second), caller=caller(project_id="f" * 32))
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
    where = replace(where, surface=evolve(where.surface, default_zone="az2"))
    place(where)
    assert sent(where)[0] == "Pod2"
    pinned = replace(where, routes=Routes(route(VOLUME, VOLUME_ID, ONE)))
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


# which pod goes first, and which next


def wide(number: int, *names: str, **fields: Any) -> Pod:
    """A pod with AZs, each of which it calls `c-` and `v-` and its name."""
    zones = tuple(Zone(name, f"c-{name}", f"v-{name}") for name in names)
    return pod(number, names[0], pod_az_name=zones[0].compute, zones=zones, **fields)


def needing(asked: list[str], full: tuple[Pod, ...] = (), **needs: Any) -> Place:
    """A verb whose needs are told by `full` pods having no room; who is asked is noted."""

    async def room(one: Pod, zone: Zone | None) -> bool | None:
        asked.append(one.pod_name)
        return one not in full

    async def found(body: Any, context: Context) -> Needs:
        return Needs(**({"room": room} | needs))

    return evolve(PLACE, needs=found)


def bound(where: Context, one: Pod, zone: str = "", since: str = "2026") -> None:
    where.pods.note(Binding(f"b-{since}", PROJECT, one.pod_id, zone or one.az_name, since))


def names(where: Context) -> list[str]:
    return [name for name, _ in where.pods.sent]  # type: ignore[attr-defined]


def test_a_pod_that_has_no_room_is_passed_over() -> None:
    asked: list[str] = []
    where = world()
    place(where, needing(asked, full=(ONE,)))
    assert (sent(where)[0], sorted(asked)) == ("Pod2", ["Pod1", "Pod2"])


def test_where_none_has_room_the_best_takes_it_and_it_ends_in_error_there() -> None:
    where = world()
    assert place(where, needing([], full=(ONE, TWO))).status == 202
    assert sent(where)[0] == "Pod1"


def test_a_pod_is_asked_for_room_in_its_own_az() -> None:
    asked: list[tuple[str, str]] = []

    async def room(one: Pod, zone: Zone | None) -> bool | None:
        asked.append((one.pod_name, zone.compute if zone else ""))
        return None

    verb = needing([], room=room)
    where = world(wide(1, "az1", "az2"), wide(2, "az2"))
    place(where, verb, availability_zone="az2")
    assert sorted(asked) == [("Pod1", "c-az2"), ("Pod2", "c-az2")]
    asked.clear()
    other = replace(world(*where.pods.all), caller=caller(project_id="f" * 32))
    place(other, verb)
    assert sorted(asked) == [("Pod1", ""), ("Pod2", "")]


def test_who_is_alone_is_not_asked_for_room() -> None:
    asked: list[str] = []
    place(world(), needing(asked), availability_zone="az2")
    place(world(routes=Routes(route(VOLUME, VOLUME_ID, TWO))), needing(asked), volume=VOLUME_ID)
    assert asked == []


def test_only_the_projects_own_pods_are_asked_while_they_have_room() -> None:
    asked: list[str] = []
    where = world()
    bound(where, TWO)
    place(where, needing(asked))
    assert (sent(where)[0], asked) == ("Pod2", ["Pod2"])


def test_a_project_whose_pod_is_full_is_bound_to_the_next(recorded: list[Binding]) -> None:
    first, second = pod(1, "az1"), pod(2, "az1")
    where = world(first, second)
    bound(where, first)
    asked: list[str] = []
    place(where, needing(asked, full=(first,)), availability_zone="az1")
    assert sent(where)[0] == "Pod2"
    assert [(one.pod_id, one.az_name) for one in recorded] == [(second.pod_id, "az1")]
    where.pods.sent.clear()  # type: ignore[attr-defined]
    place(where, needing(asked, full=(first,)), availability_zone="az1")
    assert (sent(where)[0], asked[-1]) == ("Pod2", "Pod2")
    assert len(recorded) == 1


def test_the_emptiest_goes_first_unless_the_project_is_bound() -> None:
    async def free(one: Pod) -> float | None:
        return {ONE: 0.2, TWO: 0.9}[one]

    where = world()
    place(where, needing([], free=free))
    assert sent(where)[0] == "Pod2"
    where = world()
    bound(where, ONE)
    place(where, needing([], free=free))
    assert sent(where)[0] == "Pod1"


def test_weight_decides_between_pods_that_are_alike() -> None:
    where = world(ONE, evolve(TWO, weight=2.0))
    place(where)
    assert sent(where)[0] == "Pod2"


def test_tags_are_followed_and_a_pin_without_them_is_400() -> None:
    tagged = evolve(TWO, tags=("gpu", "ssd"))
    verb = needing([], tags=frozenset(("gpu",)), by="flavor f")
    where = world(ONE, tagged)
    place(where, verb)
    assert sent(where)[0] == "Pod2"
    with pytest.raises(BadRequest, match=r"Flavor f asks for tagged gpu.*az1"):
        place(world(ONE, tagged), verb, availability_zone="az1")
    pinned = world(ONE, tagged, routes=Routes(route(VOLUME, VOLUME_ID, ONE)))
    with pytest.raises(BadRequest, match=rf"olume {VOLUME_ID}.*az1.*gpu.*flavor f"):
        place(pinned, verb, volume=VOLUME_ID)


def refusing(status: int) -> Any:
    return lambda call: answer(status, {"error": {}})


def test_the_next_pod_is_tried_where_the_first_refused_at_once(recorded: list[Binding]) -> None:
    first, second = pod(1, "az1"), pod(2, "az1")
    where = world(first, second)
    where.pods.answers[first] = refusing(503)  # type: ignore[attr-defined]
    assert place(where, availability_zone="az1").status == 202
    assert names(where) == ["Pod1", "Pod2"]
    assert [one.pod_id for one in recorded] == [first.pod_id, second.pod_id]
    assert where.routes.kept["server", ID].pod_id == second.pod_id  # type: ignore[attr-defined]


def test_a_pod_that_cannot_be_reached_is_left_for_the_next(recorded: list[Binding]) -> None:
    def gone(call: Call) -> Answer:
        raise PodUnavailable("Pod1", "refused")

    where = world()
    where.pods.answers[ONE] = gone  # type: ignore[attr-defined]
    assert place(where).status == 202
    assert names(where) == ["Pod1", "Pod2"]
    assert [one.az_name for one in recorded] == ["az1", "az2"]


@pytest.mark.parametrize("pinned", ["volume", "az"])
def test_what_is_pinned_is_never_tried_elsewhere(pinned: str) -> None:
    first, second = pod(1, "az1"), pod(2, "az1")
    where = world(first, second, routes=Routes(route(VOLUME, VOLUME_ID, first)))
    where.pods.answers[first] = refusing(503)  # type: ignore[attr-defined]
    wish = {"volume": VOLUME_ID} if pinned == "volume" else {"availability_zone": "az1.Pod1"}
    assert place(where, **wish).status == 503
    assert names(where) == ["Pod1"]


def test_a_pod_that_took_the_call_and_did_not_answer_is_the_last() -> None:
    def late(call: Call) -> Answer:
        raise PodTimeout("Pod1", "late")

    where = world()
    where.pods.answers[ONE] = late  # type: ignore[attr-defined]
    with pytest.raises(PodTimeout):
        place(where)
    assert names(where) == ["Pod1"]


@pytest.mark.parametrize("status", [400, 403, 409, 500, 502, 504])
def test_any_other_refusal_is_the_answer(status: int) -> None:
    where = world()
    where.pods.answers[ONE] = refusing(status)  # type: ignore[attr-defined]
    assert place(where).status == status
    assert names(where) == ["Pod1"]


def test_where_all_refuse_the_last_refusal_is_the_answer() -> None:
    where = world()
    where.pods.answers |= {ONE: refusing(503), TWO: refusing(503)}  # type: ignore[attr-defined]
    assert place(where).status == 503
    assert names(where) == ["Pod1", "Pod2"]


# pods with several AZs


def test_each_az_of_a_pod_is_told_by_the_pods_own_name_and_bound_by_itself(
    recorded: list[Binding],
) -> None:
    where = world(wide(1, "az1", "az2"), wide(2, "az2"))
    place(where, availability_zone="az2")
    assert sent(where) == ("Pod1", {"name": "n", "availability_zone": "c-az2"})
    where.pods.sent.clear()  # type: ignore[attr-defined]
    place(where, availability_zone="az2.Pod2")
    assert sent(where) == ("Pod2", {"name": "n", "availability_zone": "c-az2"})
    assert [(one.pod_id, one.az_name) for one in recorded] == [("id-1", "az2")]


def test_a_binding_counts_for_its_own_az_only() -> None:
    where = world(wide(1, "az1", "az2"), wide(2, "az2"))
    bound(where, where.pods.all[0], "az1", "2025")
    bound(where, where.pods.all[1], "az2", "2026")
    place(where, availability_zone="az2")
    assert sent(where)[0] == "Pod2"


def test_without_an_az_a_server_is_told_none_and_a_volume_the_one_that_its_project_uses() -> None:
    volumes = Place(VOLUME, zone="availability_zone", follows=True)
    where = world(wide(1, "az1", "az2"), wide(2, "az3"))
    bound(where, where.pods.all[0], "az2")
    place(where)
    assert sent(where) == ("Pod1", {"name": "n"})
    where.pods.sent.clear()  # type: ignore[attr-defined]
    body = json.dumps({"volume": {"size": 1}}).encode()
    result_of(volumes(Call("POST", b"/volumes", body=body), where))
    ((name, call),) = where.pods.sent  # type: ignore[attr-defined]
    assert (name, json.loads(call.body)) == (
        "Pod1",
        {"volume": {"size": 1, "availability_zone": "v-az2"}},
    )


def test_what_is_pinned_is_told_no_az_that_was_not_asked_for() -> None:
    volumes = Place(VOLUME, (Ref("volume.source", VOLUME),), "availability_zone", follows=True)
    first = wide(1, "az1", "az2")
    where = world(first, routes=Routes(route(VOLUME, VOLUME_ID, first)))
    bound(where, first, "az2")
    body = json.dumps({"volume": {"source": VOLUME_ID}}).encode()
    result_of(volumes(Call("POST", b"/volumes", body=body), where))
    assert where.pods.sent[0][1].body == body  # type: ignore[attr-defined]


def test_a_host_without_an_az_stays_without_one() -> None:
    where = world(wide(1, "az1", "az2"))
    place(where, availability_zone=":host")
    assert sent(where)[1]["availability_zone"] == ":host"


@pytest.mark.parametrize(("follows", "expected"), [(True, "Pod2"), (False, "Pod1")])
def test_what_follows_goes_to_the_projects_pod_if_the_project_has_none_in_the_default_az(
    follows: bool, expected: str
) -> None:
    where = world()
    where = replace(where, surface=evolve(where.surface, default_zone="az1"))
    bound(where, TWO)
    place(where, evolve(PLACE, follows=follows))
    assert sent(where)[0] == expected
    bound(where, ONE, since="2027")
    where.pods.sent.clear()  # type: ignore[attr-defined]
    place(where, evolve(PLACE, follows=follows))
    assert sent(where)[0] == "Pod1"


def test_the_default_az_of_a_pod_that_has_several_is_told() -> None:
    where = world(wide(1, "az1", "az2"))
    where = replace(where, surface=evolve(where.surface, default_zone="az2"))
    place(where)
    assert sent(where)[1] == {"name": "n", "availability_zone": "c-az2"}


def test_what_an_admin_makes_for_a_project_goes_to_that_projects_pod_and_binds_it(
    recorded: list[Binding],
) -> None:
    network = Place(NETWORK, zone="availability_zone_hints")
    where = world()
    held = Binding("b", "theirs", TWO.pod_id, "az2", "2026-01-01")
    where.pods.bound.append(held)  # type: ignore[attr-defined]

    def made_by(who: Caller, owner: str) -> str:
        body = json.dumps({"network": {"project_id": owner}}).encode()
        result_of(network(Call("POST", b"/", body=body), replace(where, caller=who)))
        return where.pods.sent[-1][0]  # type: ignore[attr-defined,no-any-return]

    admin = evolve(caller(), roles=("admin",))
    assert made_by(admin, "theirs") == "Pod2" and recorded == []
    assert made_by(admin, "new") == "Pod1"
    assert made_by(caller(), "theirs") == "Pod1"  # whom Neutron refuses
    assert [binding.tenant_id for binding in recorded] == ["new", PROJECT]
