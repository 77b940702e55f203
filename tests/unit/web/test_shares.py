"""One project's calls never take more than their share of the appliance."""

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import TooManyRequests
from trio2o.web import Shares
from trio2o.web._shares import AT_ONCE, LATELY, MOMENT


class Reactor(Clock):
    """Calls that are due are made in turns, as in life: what they ask for comes in the next."""

    def turn(self) -> None:
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        self.calls = [call for call in self.calls if call not in due]
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)


class World:
    def __init__(self, limit: int) -> None:
        self.clock = Reactor()
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


def test_without_a_limit_all_have_their_turn_and_nobody_is_nobody() -> None:
    world = World(0)
    turns = [world.take("a") for _ in range(1000)]
    for _ in range(1000 // AT_ONCE):
        world.clock.turn()
    assert world.clock.getDelayedCalls() == [] and all(
        turn is None or turn.called for turn in turns
    )
    world = World(1)
    assert [world.take("") for _ in range(1000)] == [None] * 1000


def test_of_many_calls_at_once_a_few_begin_in_each_turn_and_others_go_in_between() -> None:
    world = World(100)
    turns = [world.take("a") for _ in range(2 * AT_ONCE + 2)]
    late = [turn for turn in turns if turn]
    assert turns[:AT_ONCE] == [None] * AT_ONCE and not any(turn.called for turn in late)
    assert world.take("b") is None
    world.clock.turn()
    assert [turn.called for turn in late] == [True] * AT_ONCE + [False] * 2
    assert world.take("b") is None
    world.clock.turn()
    assert all(turn.called for turn in late)
    world.clock.rightNow += MOMENT
    assert world.take("a") is None


def test_who_comes_behind_those_that_wait_for_a_turn_waits_too() -> None:
    world = World(100)
    turns = [world.take("a") for _ in range(3 * AT_ONCE)]
    world.clock.rightNow += MOMENT
    last = world.take("a")
    assert last is not None and not last.called and not all(turn.called for turn in turns if turn)


def test_projects_that_ask_for_much_have_their_turns_alternately() -> None:
    world = World(100)
    first = [turn for turn in [world.take("a") for _ in range(20)] if turn]
    second = [turn for turn in [world.take("b") for _ in range(20)] if turn]
    world.clock.turn()
    assert [sum(turn.called for turn in late) for late in (first, second)] == [AT_ONCE / 2] * 2


def test_who_leaves_before_its_turn_takes_nothing() -> None:
    world = World(100)
    turns = [turn for turn in [world.take("a") for _ in range(AT_ONCE + 3)] if turn]
    turns[0].addErrback(lambda failure: failure.trap(CancelledError))
    turns[0].cancel()
    assert world.shares.under_way == AT_ONCE + 2
    world.clock.turn()
    assert all(turn.called for turn in turns)
    assert world.clock.getDelayedCalls() == []


def test_calls_that_waited_for_others_to_end_have_their_turns_too() -> None:
    world = World(2 * AT_ONCE)
    for _ in range(2 * AT_ONCE):
        world.take("a")
    world.clock.turn()
    world.clock.rightNow += MOMENT
    waiting = [world.take("a") for _ in range(2 * AT_ONCE)]
    for _ in waiting:
        world.shares.give("a")
    assert [turn.called for turn in waiting if turn] == [True] * AT_ONCE + [False] * AT_ONCE
    world.clock.turn()
    assert all(turn.called for turn in waiting if turn)


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
        else:
            world.clock.advance(0)
        assert all(count <= limit for count in begun.values())
        assert world.shares.under_way >= sum(begun.values())
    while world.clock.getDelayedCalls():
        world.clock.advance(1)
    assert world.shares.waiting == 0
    assert world.shares.under_way == sum(begun.values())


def test_whose_calls_are_the_only_ones_waits_for_nobody_until_another_comes() -> None:
    world = World(100)
    world.take("a")
    world.clock.advance(LATELY)
    assert [world.take("a") for _ in range(5 * AT_ONCE)] == [None] * 5 * AT_ONCE
    assert world.take("b") is None
    world.clock.advance(MOMENT)
    turns = [world.take("a") for _ in range(AT_ONCE + 1)]
    assert turns[:-1] == [None] * AT_ONCE and turns[-1] is not None
