"""Whose project asks for much is read in turns: others wait for a few of its calls, not for all."""

import pytest
import test_pipeline
from attrs import evolve
from edge import Client, Served, request
from test_pipeline import ME
from test_shares import Reactor

from trio2o.message import Answer, Call
from trio2o.web import Shares
from trio2o.web._channel import BEHIND
from trio2o.web._shares import AT_ONCE

NEXT = request("/v1/things")
PROXY = "10.0.0.9"


class World:
    """Connections of project "loud", which had many calls just now, and of project "quiet"."""

    def __init__(self) -> None:
        self.clock = Reactor()
        self.shares = Shares(self.clock)
        self.loud, self.quiet = self.client("loud"), self.client("quiet")
        self.quiet.say(NEXT)
        self.loud.say(NEXT)
        while self.shares.turn("loud") is None:
            pass

    def client(self, share: str) -> Client:
        served = Served()
        served.share, served.shares = share, self.shares
        client = Client(pipeline=served)
        client.served.shares = self.shares
        return client

    def turns(self) -> None:
        while self.clock.getDelayedCalls():
            self.clock.turn()


def test_a_call_of_who_asks_for_much_is_not_read_before_its_turn() -> None:
    world = World()
    world.loud.say(NEXT)
    assert len(world.loud.calls) == 1
    world.turns()
    assert len(world.loud.calls) == 2
    assert [reply.status for reply in world.loud.replies()] == [200, 200]


def test_others_are_read_meanwhile() -> None:
    world = World()
    world.loud.say(NEXT)
    world.quiet.say(NEXT)
    assert (len(world.loud.calls), len(world.quiet.calls)) == (1, 2)


def test_what_comes_in_pieces_or_behind_has_one_turn_each() -> None:
    world = World()
    world.loud.say(NEXT[:9], NEXT[9:20], NEXT[20:] + NEXT)
    assert len(world.loud.calls) == 1
    world.turns()
    assert len(world.loud.calls) == 3


def test_a_turn_is_for_one_call() -> None:
    world = World()
    world.loud.say(NEXT * 3 * AT_ONCE)
    for turn in (1, 2, 3):
        world.clock.turn()
        assert len(world.loud.calls) == turn * AT_ONCE  # one of them before all turns
    world.turns()
    assert len(world.loud.calls) == 1 + 3 * AT_ONCE


def test_who_leaves_before_its_turn_is_never_read() -> None:
    world = World()
    world.loud.say(NEXT)
    world.loud.leave()
    world.turns()
    assert len(world.loud.calls) == 1


def test_a_call_that_waits_for_its_turn_is_answered_by_who_stops() -> None:
    world = World()
    world.loud.say(NEXT)
    world.loud.site.draining = True
    closed = world.loud.site.close()
    assert not world.loud.closed and not closed.called
    world.turns()
    assert world.loud.replies()[-1].headers[b"connection"] == b"close" and world.loud.closed


def test_what_is_sent_before_its_turn_is_bounded() -> None:
    world = World()
    world.loud.say(NEXT, *[b"x" * 1024] * (BEHIND // 1024))
    assert world.loud.link.producerState == "paused"
    world.turns()
    assert world.loud.link.producerState == "producing"


def test_a_connection_that_another_project_takes_over_waits_as_that_one() -> None:
    world = World()
    world.loud.served.share = "quiet"
    world.loud.say(NEXT)
    world.turns()
    world.loud.say(NEXT)
    assert len(world.loud.calls) == 3


def test_who_is_not_known_waits_for_nobody() -> None:
    world = World()
    stranger = world.client("")
    stranger.say(NEXT, NEXT)
    assert len(stranger.calls) == 2


def test_a_call_under_way_ends_before_the_next_has_its_turn() -> None:
    world, late = World(), []

    async def slowly(call: Call) -> Answer:
        late.append(call)
        return Answer(200, (), b"")

    world.loud.served.answer = slowly
    world.loud.say(NEXT, NEXT)
    world.turns()
    assert len(late) == 2 and len(world.loud.replies()) == 3


@pytest.mark.parametrize(("peer", "waits"), [("10.0.0.1", True), (PROXY, False)])
def test_behind_a_proxy_nobody_waits_for_who_was_there_before(peer: str, waits: bool) -> None:
    """A connection of its own is one tenant's, a proxy's is everybody's: the turn is each call's,
    once it is known whose it is."""
    world = test_pipeline.World()
    world.tokens.callers["other"] = evolve(ME, project_id="other-project")
    pipeline, turns = world.pipeline, Reactor()
    pipeline.shares, pipeline.proxies = Shares(turns), frozenset((PROXY,))
    mixed = Client(pipeline=pipeline, face=world.face)
    mixed.channel.peer = peer
    loud, quiet = (request("/v1/things", f"X-Auth-Token: {name}") for name in ("me", "other"))
    mixed.say(quiet, loud)
    while pipeline.shares.turn(ME.project_id) is None:
        pass
    mixed.say(quiet)
    assert len(mixed.replies()) == (2 if waits else 3)
    mixed.say(loud)
    assert len(mixed.replies()) == (2 if waits else 3)  # the loud one's own calls wait all the same
    while turns.getDelayedCalls():
        turns.turn()
    assert [reply.status for reply in mixed.replies()] == [200] * 4
