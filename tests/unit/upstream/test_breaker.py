"""A breaker: an origin that failed again and again is left alone for a while."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from trio2o.upstream import Breaker
from trio2o.upstream._breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE


class World:
    def __init__(self, jitter: float = 0.5) -> None:
        self.clock = Clock()
        self.breaker = Breaker(self.clock.seconds, jitter=lambda: jitter)

    def fail(self, times: int = FAILURES) -> None:
        for _ in range(times):
            self.breaker.failed()

    def state(self) -> tuple[bool, bool]:
        """Whether it is open, and lets a plain call pass."""
        return self.breaker.is_open, self.breaker.allows(probe=False)


@pytest.fixture
def world() -> World:
    return World()


def test_five_failures_in_a_row_open_it(world: World) -> None:
    world.fail(4)
    assert world.state() == (False, True)
    world.fail(1)
    assert world.state() == (True, False)


def test_a_success_between_begins_the_row_anew(world: World) -> None:
    for _ in range(3):
        world.fail(4)
        world.breaker.succeeded()
    world.fail(4)
    assert world.state() == (False, True)


def test_while_closed_a_probe_is_a_call_like_any_other(world: World) -> None:
    assert [world.breaker.allows(probe=True) for _ in range(3)] == [True] * 3


def test_while_open_one_probe_may_go_after_the_pause(world: World) -> None:
    world.fail()
    assert not world.breaker.allows(probe=True)
    world.clock.advance(FIRST_PAUSE - 0.01)
    assert not world.breaker.allows(probe=True)
    world.clock.advance(0.01)
    assert not world.breaker.allows(probe=False)
    assert world.breaker.allows(probe=True)
    assert not world.breaker.allows(probe=True)
    assert world.state() == (True, False)


def test_a_probe_that_succeeds_closes_it(world: World) -> None:
    world.fail()
    world.clock.advance(FIRST_PAUSE)
    assert world.breaker.allows(probe=True)
    world.breaker.succeeded()
    assert world.state() == (False, True)
    world.fail(4)
    assert world.state() == (False, True)


def test_a_probe_that_was_given_up_lets_another_go_at_once(world: World) -> None:
    world.fail()
    world.clock.advance(FIRST_PAUSE)
    assert world.breaker.allows(probe=True)
    world.breaker.abandoned()
    assert world.state() == (True, False)
    assert world.breaker.allows(probe=True)


def test_calls_that_were_on_their_way_when_it_opened_make_the_pause_no_longer(world: World) -> None:
    world.fail(FAILURES + 20)
    world.clock.advance(FIRST_PAUSE)
    assert world.breaker.allows(probe=True)


def pauses(world: World, count: int) -> list[float]:
    """How long each pause is, by asking every eighth of a second."""
    found = []
    world.fail()
    for _ in range(count):
        begun = world.clock.seconds()
        while not world.breaker.allows(probe=True):
            world.clock.advance(0.125)
        found.append(world.clock.seconds() - begun)
        world.breaker.failed()
    return found


def test_pauses_double_up_to_a_minute() -> None:
    assert pauses(World(), 8) == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.5), (0.25, 0.75), (0.75, 1.25)])
def test_pauses_are_spread_from_a_half_to_one_and_a_half(jitter: float, factor: float) -> None:
    assert pauses(World(jitter), 4) == [n * factor for n in (1, 2, 4, 8)]


def test_after_it_closed_the_first_pause_is_short_again(world: World) -> None:
    pauses(world, 5)
    world.breaker.succeeded()
    assert pauses(world, 1) == [FIRST_PAUSE]


EVENTS = st.lists(st.sampled_from(["fail", "ok", "probe", "plain", "leave", "wait"]), max_size=60)


@given(EVENTS, st.floats(0, 0.999))
def test_an_open_breaker_lets_nothing_pass_but_one_probe_at_a_time(
    events: list[str], jitter: float
) -> None:
    world = World(jitter)
    breaker: Any = world.breaker
    probing = False
    failures = 0
    for event in events:
        if event == "fail":
            failures, probing = failures + 1, False
            breaker.failed()
        elif event == "ok":
            failures, probing = 0, False
            breaker.succeeded()
        elif event == "leave":
            probing = False
            breaker.abandoned()
        elif event == "wait":
            world.clock.advance(LONGEST_PAUSE * 1.5)
        elif event == "plain":
            assert breaker.allows(probe=False) is (failures < FAILURES)
        elif breaker.allows(probe=True) and failures >= FAILURES:
            assert not probing
            probing = True
        assert breaker.is_open is (failures >= FAILURES)
