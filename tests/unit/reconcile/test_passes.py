"""Reconcilers pass again and again, early when woken, and one pass at a time."""

from typing import Any

import pytest
from helpers import result_of
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

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


def test_two_who_ask_at_once_share_a_pass(world: Any) -> None:
    clock, loop, passes = world
    loop.waits = Deferred()
    both = [Deferred.fromCoroutine(passes.run("loop")) for _ in range(2)]
    clock.advance(300)
    loop.waits.callback(None)
    assert [result_of(one).looked for one in both] == [3, 3]
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
