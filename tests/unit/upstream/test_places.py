"""Places at a server are shared out fairly among projects."""

from collections import Counter

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.upstream import Busy, Places


class World:
    """`got` are the shares that have a place, in the order in which they got it."""

    def __init__(self, limit: int, most: int = 0) -> None:
        self.clock, self.places = Clock(), Places(limit, most)
        self.got: list[str] = []
        self.busy: list[str] = []

    def ask(self, share: str, seconds: float = 10) -> Deferred[None] | None:
        if self.places.take(share):
            self.got.append(share)
            return None
        turn = Deferred.fromCoroutine(self.places.wait(self.clock, seconds, share))
        turn.addCallbacks(lambda _: self.got.append(share), lambda _: self.busy.append(share))
        return turn


def test_projects_that_wait_take_turns_however_many_each_has_waiting() -> None:
    world = World(2)
    for share in "aaaaabbc":
        world.ask(share)
    for number in range(6):
        world.places.give(world.got[number])
    assert "".join(world.got) == "aa" + "abcaba"


def test_no_project_holds_all_places() -> None:
    world = World(4, most=2)
    for share in "aaab":
        world.ask(share)
    assert world.got == ["a", "a", "b"]
    assert (world.places.in_flight, world.places.waiting) == (3, 1)
    world.places.give("b")
    assert world.got == ["a", "a", "b"]
    world.places.give("a")
    assert world.got == ["a", "a", "b", "a"]


def test_our_own_calls_are_no_projects() -> None:
    world = World(4, most=1)
    for _ in range(4):
        world.ask("")
    assert len(world.got) == 4


def test_who_has_most_waiting_gives_way_where_no_more_may_wait() -> None:
    world = World(1)
    for share in "a" + "a" * 4:
        world.ask(share)
    world.ask("b")
    assert (world.busy, world.places.waiting) == (["a"], 4)
    world.ask("a")
    assert (world.busy, world.places.waiting) == (["a", "a"], 4)
    world.places.give("a")
    world.places.give("a")
    assert world.got == ["a", "a", "b"]


def test_who_waits_too_long_is_told_so_and_leaves_nothing() -> None:
    world = World(1)
    world.ask("a")
    with pytest.raises(Busy):
        waits = Deferred.fromCoroutine(world.places.wait(world.clock, 3, "b"))
        world.clock.advance(3.1)
        result_of(waits)
    world.places.give("a")
    assert (world.places.in_flight, world.places.waiting) == (0, 0)


def test_who_is_given_up_leaves_the_queue() -> None:
    world = World(1)
    world.ask("a")
    turn = world.ask("b")
    assert turn is not None
    turn.cancel()
    assert world.places.waiting == 0
    world.places.give("a")
    assert world.places.take("c")


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.booleans()), max_size=80),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_limits_hold_and_no_place_is_lost(
    steps: list[tuple[str, bool]], limit: int, most: int
) -> None:
    world = World(limit, most)
    held: Counter[str] = Counter()
    seen = 0
    for share, comes in steps:
        if comes:
            world.ask(share)
        elif held[share]:
            held[share] -= 1
            world.places.give(share)
        held.update(world.got[seen:])
        seen = len(world.got)
        assert world.places.in_flight == held.total() <= limit
        assert all(held[one] <= (most or limit) for one in "abc")
        assert world.places.waiting <= limit * 4
        free = world.places.in_flight < limit
        # a free place is never left to nobody while somebody may have it
        waiting = [one for one in world.places._queues if held[one] < (most or limit) or not one]
        assert not (free and waiting)
