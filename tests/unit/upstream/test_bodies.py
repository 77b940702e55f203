"""Bodies on their way: pulling is the back-pressure, and a break is never an end."""

from typing import Any

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from origins import OK, POST, Asked, Link, World
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from trio2o.domain.streams import PIECE, Inflow
from trio2o.message import Aborted, whole


class Arriving:
    """A body on a transport."""

    def __init__(self, length: int | None = None) -> None:
        self.given_up = 0
        self.link = StringTransport(lenient=True)
        self.stream = Inflow(length, self.link, self.give_up)

    def give_up(self) -> None:
        self.given_up += 1

    def come(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.stream.push(piece)

    def end(self, why: Exception | None = None) -> None:
        self.stream.end(why)

    @property
    def paused(self) -> bool:
        return self.link.producerState == "paused"

    def read(self) -> bytes:
        return result_of(self.stream.read())


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.booleans())
def test_what_came_is_what_is_read(pieces: list[bytes], ended_first: bool) -> None:
    body = Arriving()
    if ended_first:
        body.come(*pieces)
        body.end()
        assert result_of(whole(body.stream, 10**6)) == b"".join(pieces)
    else:
        reading = Deferred.fromCoroutine(whole(body.stream, 10**6))
        body.come(*pieces)
        body.end()
        assert result_of(reading) == b"".join(pieces)
    assert body.given_up == 0
    assert body.read() == body.read() == b""


@given(st.lists(st.integers(1, 3 * PIECE), min_size=1, max_size=4))
def test_no_piece_is_larger_than_64_kib(sizes: list[int]) -> None:
    body = Arriving()
    body.come(*(b"x" * size for size in sizes))
    body.end()
    found = []
    while piece := body.read():
        found.append(len(piece))
    assert sum(found) == sum(sizes) and max(found) <= PIECE


def test_the_connection_is_paused_while_nobody_reads() -> None:
    body = Arriving()
    body.come(b"x" * PIECE)
    assert not body.paused
    body.come(b"y")
    assert body.paused
    assert body.read() == b"x" * PIECE
    assert body.read() == b"y"
    reading = Deferred.fromCoroutine(body.stream.read())
    assert not body.paused
    body.come(b"z")
    assert result_of(reading) == b"z"


def test_a_body_that_breaks_off_is_no_body() -> None:
    body = Arriving(9)
    body.come(b"abc")
    body.end(ValueError("it broke off"))
    assert body.read() == b"abc"
    for _ in range(2):
        with pytest.raises(Aborted, match="it broke off"):
            body.read()


def test_who_waits_for_a_body_that_breaks_off_is_told() -> None:
    body = Arriving()
    reading = Deferred.fromCoroutine(body.stream.read())
    body.end(ValueError("it broke off"))
    with pytest.raises(Aborted, match="it broke off"):
        result_of(reading)


def test_an_aborted_body_is_given_up_once_and_read_no_more() -> None:
    body = Arriving()
    body.come(b"abc")
    body.stream.abort(ValueError("enough"))
    body.stream.abort(ValueError("again"))
    assert body.given_up == 1
    body.come(b"def")
    with pytest.raises(Aborted, match="enough"):
        body.read()
    body.end(ValueError("it broke off"))
    body.end()
    with pytest.raises(Aborted, match="enough"):
        body.read()


def test_aborting_wakes_who_waits() -> None:
    body = Arriving()
    reading = Deferred.fromCoroutine(body.stream.read())
    body.stream.abort(ValueError("late"))
    with pytest.raises(Aborted, match="late"):
        result_of(reading)


def test_aborting_a_body_that_ended_changes_nothing() -> None:
    body = Arriving()
    body.come(b"abc")
    body.end()
    body.stream.abort(ValueError("late"))
    assert (body.read(), body.read(), body.given_up) == (b"abc", b"", 0)


def test_a_body_larger_than_the_limit_is_aborted() -> None:
    body = Arriving()
    body.come(b"abc", b"def")
    with pytest.raises(Aborted, match="a body of more than 5 bytes"):
        result_of(whole(body.stream, 5))
    assert body.given_up == 1


# ours


class Source:
    """A stream of ours; a Deferred among its pieces is waited for."""

    def __init__(self, *pieces: Any, length: int | None = None) -> None:
        self.pieces, self.length = list(pieces), length
        self.reads = 0
        self.aborted: list[str] = []

    async def read(self) -> bytes:
        self.reads += 1
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        found: bytes = await piece if isinstance(piece, Deferred) else piece
        return found

    def abort(self, why: Exception) -> None:
        self.aborted.append(str(why))


def sending(source: Source) -> tuple[Asked, Link]:
    world = World()
    asked = world.send(replace(POST, body=source))
    return asked, world.accept()


def test_a_stream_is_read_as_the_connection_takes_it() -> None:
    first: Deferred[bytes] = Deferred()
    source = Source(first, b"b", b"c", length=3)
    asked, link = sending(source)
    link.producer.pauseProducing()
    first.callback(b"a")
    assert (source.reads, link.value()[-1:]) == (1, b"a")
    link.producer.resumeProducing()
    assert (source.reads, link.value()[-3:], link.producer) == (4, b"abc", None)
    link.say(OK)
    assert asked.body == b"hi"


def test_a_stream_whose_connection_went_away_is_aborted_and_read_no_more() -> None:
    first: Deferred[bytes] = Deferred()
    source = Source(first, b"b")
    asked, link = sending(source)
    link.producer.pauseProducing()
    first.callback(b"a")
    link.close()
    assert (source.reads, source.aborted) == (1, ["the server behind went away"])
    assert type(asked.error).__name__ == "Broken"


@pytest.mark.parametrize("length", [4, None])
def test_a_stream_goes_out_whole(length: int | None) -> None:
    world = World()
    asked = world.send(replace(POST, body=Source(b"ab", b"cd", length=length)))
    link = world.accept()
    head, _, body = link.value().partition(b"\r\n\r\n")
    if length is None:
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
    else:
        assert b"Content-Length: 4" in head and body == b"abcd"
    link.say(OK)
    assert asked.body == b"hi"


@pytest.mark.parametrize("pieces", [(b"ab", Aborted("gone")), (b"ab",)])
def test_a_stream_that_breaks_off_is_never_sent_as_a_whole(pieces: Any) -> None:
    world = World()
    asked = world.send(replace(POST, body=Source(*pieces, length=4)))
    link = world.accept()
    world.turn()
    assert not link.open
    assert type(asked.error).__name__ == "Broken"


def test_an_answer_that_is_complete_while_the_body_goes_out_is_heard() -> None:
    world = World()
    rest: Deferred[bytes] = Deferred()
    asked = world.send(replace(POST, body=Source(b"ab", rest, length=4)))
    link = world.accept()
    link.say(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
    assert (asked.answer.status, asked.body) == (413, b"no")
