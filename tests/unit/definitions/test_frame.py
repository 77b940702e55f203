"""What must be the same in every pod becomes and stays so, whatever happens meanwhile."""

import contextlib
import itertools

import pytest
from flavor_world import PODS, Killed, World, flavor
from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st

from trio2o.domain.errors import Conflict, NotFound, PodTimeout, Unavailable


def test_a_new_one_is_in_every_pod_and_the_first_pods_answer_is_the_answer() -> None:
    world = World()
    assert world.create("a").status == 200
    assert world.everywhere("a") == [{}, {}, {}]
    assert world.keys() == ["a"]


def test_a_change_is_in_every_pod() -> None:
    world = World()
    world.create("a")
    assert world.specify("a", x="1").status == 200
    assert world.everywhere("a") == [{"x": "1"}] * 3


def test_a_deleted_one_is_gone_from_every_pod_and_forgotten() -> None:
    world = World()
    world.create("a")
    assert world.delete("a").status == 202
    assert world.everywhere("a") == [None] * 3
    assert result_of(world.definitions.places.known("a")) is None
    assert world.delete("a").status == 404


def test_the_first_pods_refusal_is_the_answer_and_nothing_is_recorded() -> None:
    world = World()
    world.nova(1).refuses = {"POST"}
    assert world.create("a").status == 409
    assert world.keys() == []
    assert world.calls() == ["POST "]


def test_another_pods_refusal_is_the_answer_and_undoes_it_everywhere() -> None:
    world = World()
    world.create("a")
    world.nova(3).refuses = {"POST"}
    assert world.create("b").status == 409
    assert world.specify("a", x="1").status == 409
    assert world.everywhere("a") == [{}] * 3
    assert world.everywhere("b") == [None] * 3
    assert world.keys() == ["a"]
    world.nova(3).refuses = set()
    world.run()
    assert world.problems() == {}


def test_an_id_that_is_somebody_elses_in_a_pod_is_a_conflict() -> None:
    world = World()
    world.nova(2).flavors["a"] = flavor("a", ram=128)
    with pytest.raises(Conflict, match="Flavor with ID a already exists"):
        world.create("a")
    assert [nova.flavors.get("a", {}).get("ram") for nova in world.novas.values()] == [
        None,
        128,
        None,
    ]
    world.run()  # nobody knows it, so it is taken up
    assert [nova.flavors["a"]["ram"] for nova in world.novas.values()] == [128] * 3


def test_what_another_worker_brought_to_a_pod_meanwhile_is_no_problem_there() -> None:
    world = World()
    create = world.nova(2).create
    world.nova(2).create = lambda wish: (create(wish), create(wish))[1]  # type: ignore[method-assign]
    assert world.create("a").status == 200
    assert world.everywhere("a") == [{}] * 3
    assert world.problems() == {}


def test_a_pod_that_is_down_gets_it_when_it_returns() -> None:
    world = World()
    world.create("a")
    world.nova(1).down = True
    assert world.create("b").status == 200
    assert world.specify("a", x="1").status == 200
    world.nova(1).down = False
    counted = world.run()
    assert (counted.drift, counted.mended, counted.failed) == (2, 2, 0)
    assert world.everywhere("a") == [{"x": "1"}] * 3
    assert world.everywhere("b") == [{}] * 3


def test_what_was_deleted_while_a_pod_was_down_does_not_come_back_from_it() -> None:
    world = World()
    world.create("a")
    world.nova(2).down = True
    world.delete("a")
    world.nova(2).down = False
    ((best, behind), *_) = result_of(world.definitions.places.readers())
    assert (best, behind) == (PODS[0], frozenset())
    world.nova(1).down = world.nova(3).down = True
    ((best, behind),) = result_of(world.definitions.places.readers())
    assert (best, behind) == (PODS[1], frozenset())  # it was settled first
    assert world.everywhere("a") == [None] * 3
    world.nova(1).down = world.nova(3).down = False
    world.run()
    assert world.keys() == []
    assert world.everywhere("a") == [None] * 3


def test_nothing_changes_while_no_pod_answers() -> None:
    world = World()
    world.create("a")
    for nova in world.novas.values():
        nova.down = True
    with pytest.raises(Unavailable):
        world.delete("a")
    with pytest.raises(Unavailable):
        world.create("b")
    assert world.keys() == ["a"]


def test_of_a_change_that_was_not_answered_the_next_pass_finds_out() -> None:
    world = World()
    world.create("a")
    world.nova(1).silent = True  # it does it, and says nothing
    with pytest.raises(PodTimeout):
        world.specify("a", x="1")
    assert world.woken
    assert world.everywhere("a") == [{"x": "1"}, {}, {}]
    world.nova(1).silent = False
    world.run()
    assert world.everywhere("a") == [{"x": "1"}] * 3


def test_what_a_pod_had_is_taken_up_and_carried_to_the_others() -> None:
    world = World()
    world.nova(2).flavors["own"] = flavor("own", extra_specs={"x": "1"}, projects=[])
    world.nova(1).flavors["1"] = flavor("1")
    world.nova(2).flavors["1"] = flavor("1")
    world.run()
    assert world.keys() == ["1", "own"]
    assert world.everywhere("own") == [{"x": "1"}] * 3
    assert world.everywhere("1") == [{}] * 3
    assert world.nova(2).calls == []


def test_what_two_pods_have_alike_can_be_changed_before_any_pass() -> None:
    world = World()
    for number in (1, 2):
        world.nova(number).flavors["1"] = flavor("1")
    assert world.specify("1", x="1").status == 200
    assert world.everywhere("1") == [{"x": "1"}] * 3


def test_another_of_the_id_or_of_the_name_is_reported_and_left_alone() -> None:
    world = World()
    world.nova(1).flavors = {"a": flavor("a"), "b": flavor("b")}
    world.nova(2).flavors = {"a": flavor("a", ram=1), "c": flavor("c", name="name-b")}
    for _ in range(2):
        counted = world.run()
        assert (counted.failed, world.keys()) == (2, ["a", "b"])
    assert set(world.problems()) == {"a in id-2", "b in id-2"}
    assert world.nova(2).calls == []
    places = world.definitions.places
    assert result_of(places.lacking("a")) == {"id-2"}
    assert result_of(places.lacking("unknown")) == frozenset()
    with pytest.raises(NotFound):
        result_of(places.carry("a", PODS[1]))
    assert result_of(places.carry("a", PODS[2])) == "a"
    # it is no reason to refuse a change, nor changed with it
    assert world.specify("a", x="1").status == 200
    assert world.everywhere("a") == [{"x": "1"}, {}, {"x": "1"}]


def test_the_operator_says_that_the_top_is_right() -> None:
    world = World()
    world.nova(1).flavors = {"a": flavor("a"), "b": flavor("b")}
    world.nova(2).flavors = {"a": flavor("a", ram=1), "c": flavor("c", name="name-b")}
    world.run()
    for key in "ab":
        result_of(world.definitions.choose(key, None))
    assert world.problems() == {}
    assert world.nova(2).flavors == world.nova(1).flavors
    assert world.run().drift == 0


def test_the_operator_says_that_a_pod_is_right() -> None:
    world = World()
    world.nova(1).flavors = {"a": flavor("a"), "b": flavor("b")}
    world.nova(2).flavors = {"a": flavor("a", ram=1), "c": flavor("c", name="name-b")}
    world.run()
    for key in "ab":
        result_of(world.definitions.choose(key, PODS[1]))
    world.run()
    assert world.problems() == {}
    assert world.keys() == ["a", "c"]
    assert world.nova(1).flavors == world.nova(2).flavors == world.nova(3).flavors
    assert world.nova(2).flavors["a"]["ram"] == 1


@pytest.mark.parametrize("mend", [True, False])
def test_what_changed_behind_our_back_is_put_right_or_only_reported(mend: bool) -> None:
    world = World(mend=mend)
    world.create("a")
    world.create("b")
    world.nova(2).flavors["a"]["extra_specs"] = {"x": "foreign"}
    del world.nova(3).flavors["b"]
    counted = world.run()
    assert (counted.drift, counted.mended, counted.failed) == ((2, 2, 0) if mend else (2, 0, 2))
    if mend:
        assert world.everywhere("a") == world.everywhere("b") == [{}] * 3
    else:
        assert world.everywhere("a")[1] == {"x": "foreign"}
        assert set(world.problems()) == {"a in id-2", "b in id-3"}
        assert result_of(world.definitions.places.lacking("a")) == {"id-2"}
        result_of(world.definitions.choose("a", PODS[1]))
        result_of(world.definitions.choose("b", None))
        assert world.everywhere("a") == [{"x": "foreign"}] * 3
        assert world.everywhere("b") == [{}] * 3
    assert (world.problems(), world.run().drift) == ({}, 0)


def test_a_pod_that_is_removed_is_waited_for_no_more() -> None:
    world = World()
    world.create("a")
    world.nova(3).down = True
    world.delete("a")
    assert result_of(world.definitions.places.known("a")) is not None
    del world.novas[PODS[2]]
    world.run()
    assert result_of(world.definitions.places.known("a")) is None


def test_a_private_one_with_access_and_a_description_is_the_same_everywhere() -> None:
    world = World(2)
    world.create("p", **{"os-flavor-access:is_public": False})
    world.call("POST", "p", "/action", {"addTenantAccess": {"tenant": "t"}})
    world.call("PUT", "p", body={"flavor": {"description": "words"}})
    assert world.nova(1).flavors == world.nova(2).flavors
    assert world.nova(2).flavors["p"]["projects"] == ["t"]
    assert world.nova(2).flavors["p"]["description"] == "words"
    world.call("POST", "p", "/action", {"removeTenantAccess": {"tenant": "t"}})
    assert world.nova(2).flavors["p"]["projects"] == []


CHANGES = {
    "create": lambda world: world.create("a", description="d", extra_specs={"x": "1"}),
    "specify": lambda world: world.specify("old", x="1"),
    "delete": lambda world: world.delete("old"),
    "choose": lambda world: result_of(world.definitions.choose("odd", PODS[2])),
    "overrule": lambda world: result_of(world.definitions.choose("odd", None)),
    "run": lambda world: world.run(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("late", [False, True])
def test_a_kill_at_any_call_leaves_nothing_that_passes_do_not_mend(change: str, late: bool) -> None:
    for call in itertools.count(1):
        world = World()
        world.create("old", extra_specs={"y": "2"})
        world.nova(1).flavors["odd"] = flavor("odd", extra_specs={"y": "2"})
        world.nova(3).flavors["odd"] = flavor("odd", ram=7, extra_specs={"z": "3"})
        if change != "run":
            world.run()
        world.kill_at, world.kill_late = call, late
        with contextlib.suppress(Killed):
            CHANGES[change](world)
        survived = not world.dead
        world.restart()
        world.run()
        world.run()
        stands, asked = world.keys(), change in ("choose", "overrule")
        assert set(world.problems()) <= {"odd in id-3"}
        for key in ("a", "old"):
            first, *others = world.everywhere(key)
            assert others == [first, first]
            assert (first is None) == (key not in stands)
        if asked and not world.problems():
            odd = [nova.flavors["odd"] for nova in world.novas.values()]
            assert odd.count(odd[0]) == 3
        assert world.run().mended == 0
        if survived:  # that was one call more than there are
            assert call > 5
            return


KEYS = st.sampled_from("ab")
PLACES = st.sampled_from(range(3))
WORDS = st.sampled_from(["1", "2"])
EVENTS = st.one_of(
    st.tuples(st.just("create"), KEYS, WORDS),
    st.tuples(st.just("specify"), KEYS, WORDS),
    st.tuples(st.just("delete"), KEYS, st.just("")),
    st.tuples(st.just("down"), PLACES, st.just("")),
    st.tuples(st.just("up"), PLACES, st.just("")),
    st.tuples(st.just("silent"), PLACES, st.booleans()),
    st.tuples(st.just("refuse"), PLACES, st.booleans()),
    st.tuples(st.just("foreign"), st.tuples(PLACES, KEYS), WORDS),
    st.tuples(st.just("loss"), st.tuples(PLACES, KEYS), st.just("")),
    st.tuples(st.just("kill"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("run"), st.just(""), st.just("")),
)


def happen(world: World, what: str, where: object, how: object) -> None:
    match what, where, how:
        case "create", str(key), str(text):
            world.create(key, ram=int(text), extra_specs={"x": text})
        case "specify", str(key), str(text):
            world.specify(key, x=text)
        case "delete", str(key), _:
            world.delete(key)
        case (("down" | "up"), int(number), _):
            world.nova(number + 1).down = what == "down"
        case "silent", int(number), bool(on):
            world.nova(number + 1).silent = on
        case "refuse", int(number), bool(on):
            world.nova(number + 1).refuses = {"POST"} if on else set()
        case "foreign", (int(number), str(key)), str(text):
            world.nova(number + 1).flavors[key] = flavor(key, extra_specs={"y": text})
        case "loss", (int(number), str(key)), _:
            world.nova(number + 1).flavors.pop(key, None)
        case "kill", int(count), bool(late):
            world.kill_at, world.kill_late = count, late
        case _:
            world.run()


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=14), st.booleans())
def test_whatever_happens_passes_make_all_pods_the_same_or_report_it(
    events: list[tuple[str, object, object]], mend: bool
) -> None:
    world = World(mend=mend)
    for event in events:
        try:
            with contextlib.suppress(PodTimeout, Unavailable, Conflict):
                happen(world, *event)
        except Killed:
            world.restart()
    world.restart()
    for nova in world.novas.values():
        nova.down = nova.silent = False
        nova.refuses = set()
    for _ in range(3):
        world.run()
    # every pod has what is recorded, and nothing else, but for what is reported
    reported = world.problems()
    if mend and "foreign" not in {what for what, *_ in events}:
        assert reported == {}  # nothing of ours is taken for somebody's
    stands = world.keys()
    for key in "ab":
        good = [n for p, n in world.novas.items() if f"{key} in {p.pod_id}" not in reported]
        assert all((key in nova.flavors) == (key in stands) for nova in good)
        assert all(nova.flavors.get(key) == good[0].flavors.get(key) for nova in good)
    # and a pass over that does nothing
    world.forget_calls()
    counted = world.run()
    assert world.calls() == []
    assert (counted.mended, counted.failed) == (0, len(reported))
    # what the operator then says makes all the same
    for key in stands:
        result_of(world.definitions.choose(key, None))
    assert world.problems() == {}
    assert world.nova(1).flavors == world.nova(2).flavors == world.nova(3).flavors
