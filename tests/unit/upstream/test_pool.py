"""Calls to servers behind us: limits, deadlines, one retry, breakers."""

import math
from typing import Any

import pytest
from msgspec.structs import replace
from origins import GET, OK, ORIGIN, POST, Asked, Link, World, names
from twisted.internet.defer import CancelledError
from twisted.internet.error import TimeoutError

from trio2o.message import Aborted, Call
from trio2o.upstream import Broken, Busy, Origin, Unreachable


@pytest.fixture
def world() -> World:
    return World()


def test_a_call_goes_out_as_it_is(world: World) -> None:
    headers = ((b"X-A", b"1"), (b"X-A", b"2"), (b"Accept-Encoding", b"br"))
    world.send(replace(GET, headers=headers))
    sent = world.accept().value()
    first, *lines = sent.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == b"GET /v2.1/servers?limit=1 HTTP/1.1"
    wanted = [b"Accept-Encoding: br", b"Host: 10.0.0.1:8774", b"X-A: 1", b"X-A: 2"]
    assert sorted(line for line in lines if not line.startswith(b"Connection")) == wanted


def test_a_body_goes_out_with_its_length(world: World) -> None:
    world.send(POST)
    sent = world.accept().value()
    assert b"\r\nContent-Length: 2\r\n" in sent
    assert sent.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_write_without_a_body_says_so(world: World, method: str) -> None:
    world.send(Call(method, b"/x"))
    assert b"\r\nContent-Length: 0\r\n" in world.accept().value()


def test_an_answer_has_all_that_came(world: World) -> None:
    asked = world.send()
    head = b"HTTP/1.1 203 Odd\r\nX-A: 1\r\nX-A: 2\r\nContent-Encoding: gzip\r\n"
    world.accept().say(head + b"Content-Length: 3\r\n\r\nabc")
    answer = asked.answer
    assert answer.status == 203
    assert [value for name, value in answer.headers if name == b"X-A"] == [b"1", b"2"]
    assert b"content-encoding" in names(answer.headers)
    assert asked.body == b"abc"


def test_what_a_server_says_of_itself_ends_here(world: World) -> None:
    asked = world.send()
    own = b"Server: x\r\nSet-Cookie: a\r\nDate: now\r\nAlt-Svc: h3\r\nX-Kept: 1\r\n"
    world.accept().say(b"HTTP/1.1 200 OK\r\n" + own + b"Content-Length: 0\r\n\r\n")
    assert names(asked.answer.headers) == [b"x-kept"]


def test_a_redirect_is_an_answer(world: World) -> None:
    asked = world.send()
    world.accept().say(
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
    )
    assert asked.answer.status == 302
    assert world.knocks == 0


def test_a_cookie_is_not_kept(world: World) -> None:
    asked = world.send()
    link = world.accept()
    link.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
    assert asked.body == b""
    link.clear()
    world.send()
    assert b"\r\nCookie" not in link.value() and link.value().startswith(b"GET")


def test_a_connection_is_kept_for_the_next_call_and_closed_when_idle(world: World) -> None:
    link = world.kept()
    asked = world.send(POST)
    assert world.knocks == 0
    link.say(OK)
    assert asked.body == b"hi"
    world.reactor.advance(4.1)
    world.turn()
    assert not link.open


def test_closing_the_pool_closes_what_is_kept(world: World) -> None:
    link = world.kept()
    world.pool.close()
    world.turn()
    assert not link.open


# limits


def test_no_more_calls_are_in_flight_than_there_are_places(world: World) -> None:
    world.send(), world.send(), world.send()
    assert world.knocks == 2


def test_who_waits_goes_on_in_order_when_a_place_is_free(world: World) -> None:
    first, _, third, fourth = (world.send(replace(GET, path=b"/%d" % n)) for n in range(4))
    link, other = world.accept(), world.accept()
    link.say(OK)
    assert first.answer.status == 200
    assert first.body == b"hi"
    assert b"GET /2?" in link.value() and b"/3" not in link.value() + other.value()
    link.say(OK)
    assert third.body == b"hi"
    assert b"GET /3?" in link.value() and not fourth.ended


def test_more_than_may_wait_are_told_so_at_once(world: World) -> None:
    waiting = [world.send() for _ in range(2 + 2 * 4)]
    late = world.send()
    assert isinstance(late.error, Busy)
    assert str(late.error) == "too many calls under way"
    assert all(not one.ended for one in waiting)


def test_being_busy_is_no_failure_of_the_origin(world: World) -> None:
    for _ in range(30):
        world.send()
    assert world.pool.breaker(ORIGIN).failures == 0


def test_each_origin_has_its_own_places(world: World) -> None:
    for _ in range(11):
        world.send()
    world.send(origin=Origin(b"http://10.0.0.2:8774"))
    assert world.knocks == 3


def test_who_leaves_the_queue_takes_no_place(world: World) -> None:
    first, _, third, fourth = (world.send(replace(GET, path=b"/%d" % n)) for n in range(4))
    third.running.cancel()
    assert isinstance(third.error, CancelledError)
    link = world.accept()
    link.say(OK)
    assert first.body == b"hi"
    assert b"GET /3?" in link.value() and not fourth.ended


@pytest.mark.parametrize("end", ["refuse", "break", "cancel", "late", "abort", "broken body"])
def test_a_place_is_given_back_however_a_call_ends(end: str) -> None:
    world = World(1)
    asked, waiting = world.send(deadline=9.0), world.send(replace(POST, path=b"/next"))
    assert world.knocks == 1
    if end == "refuse":
        world.refuse()
    elif end == "cancel":
        world.accept()
        asked.running.cancel()
    elif end == "late":
        world.accept()
        world.reactor.advance(9.0)
    else:
        link = world.accept()
        if end == "break":
            link.say(b"HTTP/1.1 200 OK\r\n")
            link.close()
        else:
            link.say(OK[:-1])
            if end == "abort":
                asked.answer.body.abort(Aborted("enough"))  # type: ignore[union-attr]
            else:
                link.close()
    world.turn()
    assert (world.knocks, waiting.ended) == (1, [])
    assert b"POST /next " in world.accept().value()


# deadlines


@pytest.mark.parametrize("call", [GET, POST])
def test_an_answer_that_does_not_come_in_time_is_broken_and_closed(
    world: World, call: Call
) -> None:
    asked = world.send(call, deadline=20.0)
    link = world.accept()
    world.reactor.advance(19.9)
    assert not asked.ended
    world.reactor.advance(0.1)
    assert isinstance(asked.error, Broken) and str(asked.error) == "no answer in time"
    world.turn()
    assert not link.open and world.knocks == 0


def test_a_connection_that_does_not_open_in_time_is_unreachable(world: World) -> None:
    asked = world.send()
    assert world.reactor.tcpClients[0][3] == 3.0
    world.refuse(TimeoutError())
    assert isinstance(asked.error, Unreachable)


def test_the_deadline_is_for_the_body_too(world: World) -> None:
    asked = world.send(deadline=20.0)
    link = world.accept()
    world.reactor.advance(15.0)
    link.say(OK[:-1])
    assert asked.answer.status == 200
    world.reactor.advance(5.0)
    with pytest.raises(Aborted, match="no whole answer in time"):
        assert asked.body
    world.turn()
    assert not link.open


def test_a_call_whose_time_is_over_is_not_sent(world: World) -> None:
    world.reactor.advance(30.0)
    asked = world.send(deadline=30.0)
    assert isinstance(asked.error, Unreachable) and str(asked.error) == "no time is left"
    assert world.knocks == 0


def test_a_call_without_a_deadline_may_take_days(world: World) -> None:
    asked = world.send(deadline=math.inf)
    link = world.accept()
    world.reactor.advance(86400.0 * 3)
    link.say(OK[:-1])
    world.reactor.advance(86400.0 * 3)
    link.say(OK[-1:])
    assert asked.body == b"hi"


def test_who_waits_for_a_place_is_given_up_at_the_deadline() -> None:
    world = World(1)
    world.send(deadline=math.inf)
    asked = world.send(deadline=20.0)
    world.accept()
    world.reactor.advance(20.0)
    assert isinstance(asked.error, Unreachable)


def test_a_finished_call_leaves_no_timer(world: World) -> None:
    world.kept()
    world.reactor.advance(4.0)
    world.turn()
    assert world.reactor.getDelayedCalls() == []


# one retry, of reads alone


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_is_sent_again_if_a_kept_connection_was_closed(world: World, method: str) -> None:
    link = world.kept()
    asked = world.send(replace(GET, method=method))
    link.close()
    fresh = world.accept()
    assert fresh.value().startswith(method.encode())
    fresh.say(OK if method == "GET" else OK.removesuffix(b"hi"))
    assert asked.answer.status == 200
    assert world.pool.breaker(ORIGIN).failures == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_may_change_something_is_never_sent_again(world: World, method: str) -> None:
    link = world.kept()
    asked = world.send(replace(GET, method=method))
    link.close()
    assert isinstance(asked.error, Broken)
    assert world.knocks == 0


def test_a_read_is_sent_again_just_once(world: World) -> None:
    link = world.kept()
    asked = world.send()
    link.close()
    world.accept().close()
    assert isinstance(asked.error, Broken)
    assert world.knocks == 0


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n"])
def test_a_read_that_broke_on_a_fresh_connection_is_not_sent_again(
    world: World, said: bytes
) -> None:
    asked = world.send()
    link = world.accept()
    link.say(said)
    link.close()
    assert isinstance(asked.error, Broken)
    assert world.knocks == 0


def test_no_connection_is_unreachable_and_not_tried_again(world: World) -> None:
    asked = world.send()
    world.refuse()
    assert isinstance(asked.error, Unreachable) and not isinstance(asked.error, Busy)
    assert world.knocks == 0


# breakers


def failing(world: World, asked: Asked, link: Link | None) -> None:
    if link is None:
        world.refuse()
    else:
        link.say(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        assert asked.body == b""


@pytest.mark.parametrize("accepted", [False, True])
def test_after_five_failures_nothing_is_sent_but_probes(world: World, accepted: bool) -> None:
    link: Any = None
    for _ in range(5):
        asked = world.send(POST)
        if accepted and link is None:
            link = world.accept()
        failing(world, asked, link)
    late = world.send()
    assert isinstance(late.error, Unreachable) and str(late.error) == "it did not answer lately"
    world.reactor.advance(1.5)
    assert isinstance(world.send().error, Unreachable)
    probe, second = world.send(probe=True), world.send(probe=True)
    assert isinstance(second.error, Unreachable)
    (link if accepted else world.accept()).say(OK)
    assert probe.body == b"hi"
    assert world.send().error is None


@pytest.mark.parametrize(
    ("status", "counts"),
    [(200, False), (404, False), (409, False), (429, False), (500, False), (501, False)]
    + [(502, True), (503, True), (504, True)],
)
def test_what_counts_as_a_failure_is_that_the_server_is_away(
    world: World, status: int, counts: bool
) -> None:
    world.pool.breaker(ORIGIN).failed()
    asked = world.send()
    world.accept().say(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    assert asked.answer.status == status
    assert world.pool.breaker(ORIGIN).failures == (2 if counts else 0)


@pytest.mark.parametrize("call", [GET, POST])
def test_a_call_that_its_caller_gave_up_says_nothing_of_the_origin(
    world: World, call: Call
) -> None:
    world.pool.breaker(ORIGIN).failed()
    asked = world.send(call)
    link = world.accept()
    asked.running.cancel()
    assert isinstance(asked.error, CancelledError)
    assert world.pool.breaker(ORIGIN).failures == 1
    world.turn()
    assert not link.open


def test_a_read_that_its_caller_gave_up_is_not_sent_again(world: World) -> None:
    asked = world.send()
    world.accept()
    asked.running.cancel()
    world.turn()
    assert world.knocks == 0


def test_a_call_given_up_before_its_connection_was_made_is_cancelled(world: World) -> None:
    asked = world.send()
    asked.running.cancel()
    world.turn()
    assert isinstance(asked.error, CancelledError)
    assert world.pool.breaker(ORIGIN).failures == 0


class Unheard:
    """A resolver that has not found an address yet."""

    def resolveHostName(self, *_: Any, **__: Any) -> None:  # noqa: N802
        pass


def test_calls_given_up_while_an_address_is_looked_for_say_nothing_of_the_origin() -> None:
    world = World(10)
    world.reactor.installNameResolver(Unheard())  # type: ignore[arg-type]
    for asked in [world.send() for _ in range(6)]:
        asked.running.cancel()
        assert isinstance(asked.error, CancelledError)
    assert world.pool.breaker(ORIGIN).failures == 0
    late = world.send(deadline=world.reactor.seconds() + 2)
    world.reactor.advance(2)
    assert isinstance(late.error, Unreachable) and str(late.error) == "no connection in time"


def test_each_origin_has_its_own_breaker(world: World) -> None:
    for _ in range(5):
        world.send()
        world.refuse()
    other = Origin(b"http://10.0.0.2:8774")
    assert world.pool.breaker(ORIGIN).is_open and not world.pool.breaker(other).is_open
    assert str(other) == "http://10.0.0.2:8774"
