"""Answers as servers give them: odd heads, ends and breaks, and what becomes of a connection."""

import pytest
import treq
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from origins import GET, OK, ORIGIN, POST, Asked, Link, World
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, DNSLookupError
from twisted.python.failure import Failure

from trio2o.message import Aborted, Answer
from trio2o.upstream import Broken, Busy, Resting, Unreachable

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = [
    OK,
    CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",
    CHUNKED + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
]


@pytest.fixture
def world() -> World:
    return World()


def answered(world: World, *pieces: bytes) -> tuple[Asked, Link]:
    asked = world.send()
    link = world.accept()
    link.say(*pieces)
    return asked, link


@given(st.sampled_from(WHOLE), st.lists(st.integers(1, 90), max_size=9))
def test_an_answer_is_the_same_however_its_bytes_are_cut(text: bytes, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    world = World()
    asked, link = answered(world, *(text[a:b] for a, b in zip(at, at[1:], strict=False)))
    assert (asked.answer.status, asked.body) == (200, b"hi")
    world.send(POST)
    assert world.knocks == 0 and b"POST" in link.value()


@given(st.sampled_from(WHOLE), st.data())
def test_an_answer_that_breaks_off_anywhere_is_never_a_whole_one(
    text: bytes, data: st.DataObject
) -> None:
    world = World()
    asked, link = answered(world, text[: data.draw(st.integers(0, len(text) - 1))])
    link.close()
    (found,) = asked.ended
    if isinstance(found, Failure):
        assert isinstance(found.value, Broken)
        assert world.pool.breaker(ORIGIN).failures == 1
    else:
        with pytest.raises(Aborted, match="the answer broke off"):
            assert asked.body
    assert world.knocks == 0


@given(st.binary(max_size=40))
def test_bytes_that_are_no_answer_are_never_one(text: bytes) -> None:
    world = World()
    asked, link = answered(world, *([text] if text else []), b"\r\n\r\n")
    link.close()
    world.turn()
    assert isinstance(asked.error, Broken)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2, 3\r\n",
        b"Content-Length: x\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: -2\r\n",
    ],
)
def test_an_answer_whose_length_could_be_read_in_two_ways_is_broken(
    world: World, head: bytes
) -> None:
    asked, link = answered(world, b"HTTP/1.1 200 OK\r\n" + head + b"\r\nhi")
    world.turn()
    assert isinstance(asked.error, Broken)
    assert not link.open


def test_an_answer_that_ends_with_its_connection_is_whole_and_the_connection_not_kept(
    world: World,
) -> None:
    asked, link = answered(world, b"HTTP/1.1 200 OK\r\n\r\nhi")
    link.close(ConnectionDone())
    assert asked.body == b"hi"
    world.send()
    assert world.knocks == 1


def test_an_answer_that_ends_with_a_connection_that_was_cut_is_not_whole(world: World) -> None:
    asked, link = answered(world, b"HTTP/1.1 200 OK\r\n\r\nhi")
    link.close()
    with pytest.raises(Aborted):
        assert asked.body


@pytest.mark.parametrize("word", [b"close", b"Close", b"x, close"])
def test_a_connection_that_its_server_will_close_is_not_kept(world: World, word: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: " + word + b"\r\nContent-Length: 2\r\n\r\nhi"
    asked, link = answered(world, head)
    assert asked.body == b"hi"
    world.turn()
    world.send()
    assert (world.knocks, link.open) == (1, False)


@pytest.mark.parametrize("named", [b"X-Hop", b"keep-alive, x-hop"])
def test_what_a_server_names_in_its_connection_header_ends_here(world: World, named: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\nX-Hop: 2\r\nConnection: " + named
    asked, _ = answered(world, head + b"\r\nContent-Length: 2\r\n\r\nhi")
    assert asked.answer.headers == ((b"X-Kept", b"1"),)


def test_what_hints_say_is_not_the_answers(world: World) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-kept\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nhi"
    asked, _ = answered(world, hints, answer)
    assert (asked.answer.headers, asked.body) == (((b"X-Kept", b"1"),), b"hi")


def test_hints_without_end_are_no_answer(world: World) -> None:
    asked, _ = answered(world, *[b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] * 2000)
    assert isinstance(asked.error, Broken)


HOPS = ["Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Proxy-Connection"]


@given(st.lists(st.sampled_from([*HOPS, "X-A", "Content-Type", "Etag", "Transfer"]), max_size=6))
def test_what_a_server_says_for_one_hop_ends_here_and_the_rest_passes(found: list[str]) -> None:
    headers = tuple((name.encode(), b"%d" % n) for n, name in enumerate(found))
    lines = b"".join(b"%s: %s\r\n" % item for item in headers)
    asked, _ = answered(World(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n")
    assert asked.answer.headers == tuple(i for i in headers if i[0].decode() not in HOPS)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_whole_at_once(world: World, status: int) -> None:
    asked, link = answered(world, b"HTTP/1.1 %d No\r\n\r\n" % status)
    assert (asked.answer.status, asked.body) == (status, b"")
    world.send()
    assert world.knocks == 0 and link.open


@pytest.mark.parametrize("at_once", [True, False])
def test_an_answer_that_came_unasked_is_given_to_nobody(world: World, at_once: bool) -> None:
    evil = OK.replace(b"hi", b"no")
    asked, link = answered(world, OK + evil if at_once else OK)
    assert asked.body == b"hi"
    if not at_once:
        link.say(evil)
    world.turn()
    second = world.send()
    assert (world.knocks, second.ended) == (1, [])
    world.accept().say(OK.replace(b"hi", b"me"))
    assert second.body == b"me"


def test_an_early_answer_leaves_no_half_of_a_call_to_the_next(world: World) -> None:
    rest: Deferred[bytes] = Deferred()

    class Body:
        length = 4
        aborted = False

        async def read(self) -> bytes:
            return await rest

        def abort(self, why: Exception) -> None:
            self.aborted = True

    body = Body()
    asked = world.send(replace(POST, body=body))
    link = world.accept()
    link.say(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
    assert asked.body == b"no"
    second = world.send()
    assert world.knocks == 1 and b"GET" not in link.value()
    world.accept().say(OK)
    assert second.body == b"hi"


# while a body is on its way


def body_of(asked: Asked) -> Deferred[bytes]:
    answer = asked.answer
    assert isinstance(answer, Answer) and not isinstance(answer.body, bytes)
    return Deferred.fromCoroutine(answer.body.read())


def test_a_reader_that_gives_up_closes_the_connection_and_frees_the_place() -> None:
    world = World(1)
    asked, link = answered(world, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    assert result_of(body_of(asked)) == b"ab"
    waiting = body_of(asked)
    asked.answer.body.abort(Aborted("the client went away"))  # type: ignore[union-attr]
    with pytest.raises(Aborted, match="the client went away"):
        result_of(waiting)
    second = world.send()
    assert world.knocks == 0
    world.turn()
    assert not link.open and not second.ended
    world.accept().say(OK)
    assert second.body == b"hi"


def test_an_answer_that_breaks_off_late_is_no_failure_of_the_head(world: World) -> None:
    world.pool.breaker(ORIGIN).failed()
    asked, link = answered(world, OK[:-1])
    link.close()
    with pytest.raises(Aborted):
        assert asked.body
    assert world.pool.breaker(ORIGIN).failures == 0


def test_a_slow_reader_holds_back_its_server_and_no_other(world: World) -> None:
    slow, link = answered(world, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
    link.say(b"x" * 100000)
    assert link.producerState == "paused"
    asked, _ = answered(world, OK)
    assert asked.body == b"hi"
    reading = body_of(slow)
    assert len(result_of(reading)) == 65536


# who may go


def test_an_origin_that_rests_is_told_apart_from_one_that_is_busy(world: World) -> None:
    for _ in range(5):
        world.pool.breaker(ORIGIN).failed()
    asked = world.send()
    assert isinstance(asked.error, Resting) and not isinstance(asked.error, Busy)
    assert world.knocks == 0


def test_a_probe_that_fails_makes_the_next_pause_longer(world: World) -> None:
    for _ in range(5):
        world.pool.breaker(ORIGIN).failed()
    world.reactor.advance(1.5)
    probe = world.send(probe=True, deadline=99.0)
    world.refuse()
    assert isinstance(probe.error, Unreachable) and not isinstance(probe.error, Resting)
    world.reactor.advance(0.5)
    assert isinstance(world.send(probe=True, deadline=99.0).error, Resting)
    world.reactor.advance(3.0)
    again = world.send(probe=True, deadline=99.0)
    world.accept().say(OK)
    assert again.body == b"hi"


@pytest.mark.parametrize("end", ["queue", "connect", "head"])
def test_a_probe_that_was_given_up_anywhere_lets_another_go(end: str) -> None:
    world = World(1)
    if end == "queue":
        world.send()
    for _ in range(5):
        world.pool.breaker(ORIGIN).failed()
    world.reactor.advance(1.5)
    probe = world.send(probe=True)
    if end == "head":
        world.accept()
    probe.running.cancel()
    assert isinstance(probe.error, CancelledError)
    world.turn()
    assert not isinstance(world.send(probe=True).error, Resting)


def test_a_name_that_is_not_known_is_unreachable(world: World) -> None:
    asked = world.send()
    world.refuse(DNSLookupError("no such host"))
    assert isinstance(asked.error, Unreachable)
    assert world.pool.breaker(ORIGIN).failures == 1


def test_a_target_that_cannot_be_sent_takes_no_place() -> None:
    world = World(1)
    asked = world.send(replace(GET, path=b"/a b"))
    assert isinstance(asked.error, ValueError)
    world.send()
    assert world.knocks == 1


# calls of our own


def test_our_own_calls_share_the_connections_that_are_kept(world: World) -> None:
    link = world.kept()
    sent = world.pool.request(b"POST", ORIGIN.url + b"/v3/auth/tokens")
    assert world.knocks == 0
    link.say(OK)
    assert result_of(treq.content(result_of(sent))) == b"hi"


def test_our_own_calls_are_not_sent_again_either(world: World) -> None:
    link = world.kept()
    sent = world.pool.request(b"GET", ORIGIN.url + b"/v3/auth/tokens")
    failed: list[Failure] = []
    sent.addErrback(failed.append)
    link.close()
    assert (len(failed), world.knocks) == (1, 0)
