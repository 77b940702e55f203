"""Reconcilers pass again and again, early when woken, and one pass at a time."""

from typing import Any

import pytest
from helpers import result_of
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import Unavailable
from trio2o.reconcile import Counted, Passes


class Loop:
    name = "loop"

    def __init__(self) -> None:
        self.runs = 0
        self.waits: Deferred[None] | None = None
        self.error: Exception | None = None

    async def run(self) -> Counted:
        self.runs += 1
        if self.waits is not None:
            await self.waits
        if self.error is not None:
            raise self.error
        return Counted(looked=3, drift=1, mended=1)


@pytest.fixture
def world() -> Any:
    clock, loop = Clock(), Loop()
    passes = Passes(clock, lambda: 1000.0 + clock.seconds(), 300.0)
    passes.add(loop)
    passes.start()
    return clock, loop, passes


def test_a_pass_comes_at_each_interval(world: Any) -> None:
    clock, loop, passes = world
    clock.advance(299)
    assert loop.runs == 0
    clock.advance(1)
    assert loop.runs == 1
    clock.advance(300)
    assert loop.runs == 2


def test_who_wakes_it_has_a_pass_soon_and_the_next_an_interval_later(world: Any) -> None:
    clock, loop, passes = world
    passes.wake("loop", 5.0)
    passes.wake("loop", 60.0)
    clock.advance(5)
    assert loop.runs == 1
    clock.advance(299)
    assert loop.runs == 1
    clock.advance(1)
    assert loop.runs == 2


def test_a_pass_on_demand_tells_what_it_found(world: Any) -> None:
    clock, loop, passes = world
    assert passes.report("loop")["last"] == 0.0
    clock.advance(10)
    assert result_of(passes.run("loop")) == Counted(3, 1, 1, 0)
    report = passes.report("loop")
    assert (report["looked"], report["drift"], report["mended"]) == (3, 1, 1)
    assert (report["last"], report["next"], report["error"]) == (1010.0, 1300.0, "")


def test_who_asks_during_a_pass_has_one_that_begins_later_and_shares_it(world: Any) -> None:
    clock, loop, passes = world
    first, second = Deferred[None](), Deferred[None]()
    loop.waits = first
    asked = [Deferred.fromCoroutine(passes.run("loop")) for _ in range(3)]
    clock.advance(300)
    loop.waits = second
    first.callback(None)
    assert result_of(asked[0]).looked == 3
    assert not asked[1].called and not asked[2].called
    second.callback(None)
    assert [result_of(one).looked for one in asked[1:]] == [3, 3]
    assert loop.runs == 2


def test_who_waits_for_a_pass_to_end_gets_none_after_a_stop(world: Any) -> None:
    _, loop, passes = world
    loop.waits = Deferred()
    asked = [Deferred.fromCoroutine(passes.run("loop")) for _ in range(2)]
    passes.stop()
    for one in asked:
        with pytest.raises(Unavailable):
            result_of(one)
    assert loop.runs == 1


def test_a_pass_that_fails_is_told_and_the_next_comes(world: Any) -> None:
    clock, loop, passes = world
    loop.error = RuntimeError("broken")
    with pytest.raises(RuntimeError):
        result_of(passes.run("loop"))
    assert passes.report("loop")["error"] == "broken"
    loop.error = None
    clock.advance(300)
    assert passes.report("loop")["error"] == ""


def test_after_a_stop_none_comes(world: Any) -> None:
    clock, loop, passes = world
    passes.stop()
    passes.wake("loop")
    clock.advance(1000)
    assert loop.runs == 0
    assert not clock.getDelayedCalls()
