"""One project's calls never take more than their share of the appliance."""

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import TooManyRequests
from trio2o.web import Shares


class World:
    def __init__(self, limit: int) -> None:
        self.clock = Clock()
        self.shares = Shares(self.clock, limit)

    def take(self, share: str) -> Deferred[None] | None:
        turn = self.shares.take(share)
        return None if turn is None else Deferred.fromCoroutine(turn)  # type: ignore[arg-type]


def test_calls_up_to_the_limit_begin_at_once() -> None:
    world = World(2)
    assert [world.take("a"), world.take("a"), world.take("b")] == [None] * 3
    assert (world.shares.under_way, world.shares.waiting) == (3, 0)


def test_who_is_beyond_waits_for_one_of_its_own_project() -> None:
    world = World(1)
    world.take("a"), world.take("b")
    turn = world.take("a")
    assert turn is not None
    world.shares.give("b")
    assert not turn.called
    world.shares.give("a")
    assert turn.called and result_of(turn) is None


def test_who_waits_longest_goes_first() -> None:
    world = World(1)
    world.take("a")
    first, second = world.take("a"), world.take("a")
    world.shares.give("a")
    assert first is not None and second is not None
    assert (first.called, second.called) == (True, False)


def test_after_a_second_it_is_429_and_told_to_come_back() -> None:
    world = World(1)
    world.take("a")
    turn = world.take("a")
    assert turn is not None
    world.clock.advance(0.9)
    assert not turn.called
    world.clock.advance(0.2)
    with pytest.raises(TooManyRequests) as raised:
        result_of(turn)
    assert (raised.value.status, raised.value.retry_after) == (429, 1)
    world.shares.give("a")
    assert (world.shares.under_way, world.shares.waiting) == (0, 0)


def test_only_so_many_wait() -> None:
    world = World(1)
    world.take("a")
    waiting = [world.take("a") for _ in range(4)]
    with pytest.raises(TooManyRequests):
        result_of(world.take("a"))  # type: ignore[arg-type]
    assert not any(turn.called for turn in waiting if turn)


def test_without_a_limit_nobody_waits_and_nobody_is_nobody() -> None:
    world = World(0)
    assert [world.take("a") for _ in range(1000)] == [None] * 1000
    world = World(1)
    assert [world.take("") for _ in range(1000)] == [None] * 1000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())), st.integers(1, 3))
def test_whatever_comes_and_goes_no_project_has_more_than_its_limit(
    steps: list[tuple[str, bool]], limit: int
) -> None:
    world, begun = World(limit), dict.fromkeys("abc", 0)

    def begin(share: str) -> None:
        begun[share] += 1

    for share, comes in steps:
        if comes:
            turn = world.take(share)
            if turn is None:
                begin(share)
            else:
                turn.addCallbacks(lambda _, share=share: begin(share), lambda _: None)
        elif begun[share]:
            begun[share] -= 1
            world.shares.give(share)
        assert all(count <= limit for count in begun.values())
        assert world.shares.under_way == sum(begun.values())
    world.clock.advance(2)
    assert world.shares.waiting == 0
