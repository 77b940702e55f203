"""Clients that leave early, take nothing, or speak HTTP/1.0."""

from typing import Any

import pytest
from attrs import evolve
from edge import LIMITS, Client, Pieces, request
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from trio2o.domain.streams import PIECE
from trio2o.message import Aborted, Answer, Call

THING = request("/v1/things")
POST = request("/v1/things", method="POST", body=b'{"a": 1}')
CHUNKED = request("/v1/things", "Transfer-Encoding: chunked", method="POST") + b"2\r\n{}\r\n0\r\n"
UPLOAD = request("/v1/files/x", method="PUT", body=b"y" * 90)


# before the whole of a request came


@given(
    st.sampled_from([POST, CHUNKED + b"\r\n"]).flatmap(
        lambda text: st.integers(0, len(text) - 1).map(lambda end: text[:end])
    )
)
def test_a_request_that_breaks_off_anywhere_is_never_served(part: bytes) -> None:
    client = Client()
    client.say(part)
    client.leave()
    assert (client.calls, client.link.value(), client.site.running) == ([], b"", set())
    assert client.clock.getDelayedCalls() == []


@pytest.mark.parametrize("text", [POST[:-1], CHUNKED])
def test_a_body_that_stops_is_refused_in_time_and_what_came_is_not_served(text: bytes) -> None:
    client = Client()
    client.say(text)
    client.clock.advance(LIMITS.body_seconds)
    assert client.refused(408) == "The request was not received in time."


def test_a_body_that_broke_off_is_kept_nowhere() -> None:
    client = Client()
    client.say(POST[:-1])
    assert client.channel._pieces
    client.leave()
    assert not client.channel._pieces


def test_what_was_pipelined_behind_a_client_that_left_is_not_served() -> None:
    client = Client()
    first: Deferred[Answer] = Deferred()
    client.served.answer = lambda call: first
    client.say(POST + THING)
    client.leave()
    first.callback(Answer(202))
    assert [call.method for call in client.calls] == ["POST"]
    assert client.link.value() == b""


# while an upload is passed on


class Uploading:
    """A face that reads the body of a call when the test says so."""

    def __init__(self) -> None:
        self.client = Client()
        self.client.served.answer = self.answer
        self.begin: Deferred[None] = Deferred()
        self.found: list[Any] = []
        self.client.say(UPLOAD)

    async def answer(self, call: Call) -> Answer:
        await self.begin
        try:
            while piece := await call.body.read():  # type: ignore[union-attr]
                self.found.append(piece)
        except Exception as error:
            self.found.append(error)
        return Answer(204)


def test_an_upload_is_read_whole_while_its_client_waits() -> None:
    upload = Uploading()
    upload.begin.callback(None)
    assert b"".join(upload.found) == b"y" * 90
    assert upload.client.reply.status == 204


def test_an_upload_that_came_whole_is_passed_on_whole_though_its_client_left() -> None:
    upload = Uploading()
    upload.client.leave()
    upload.begin.callback(None)
    assert upload.found == [b"y" * 90]


def test_an_upload_that_broke_off_is_never_passed_on_as_a_whole() -> None:
    client, found = Client(), list[Any]()

    async def answer(call: Call) -> Answer:
        try:
            while piece := await call.body.read():  # type: ignore[union-attr]
                found.append(piece)
        except Aborted as error:
            found.append(error)
        return Answer(204)

    client.served.answer = answer
    client.say(UPLOAD[:-1])
    assert b"".join(found) == b"y" * 89
    client.leave()
    assert isinstance(found[-1], Aborted)
    assert (client.link.value(), client.site.running) == (b"", set())


def test_an_upload_goes_no_faster_than_it_is_passed_on() -> None:
    client = Client(evolve(LIMITS, body_bytes=0))
    waiting: Deferred[Answer] = Deferred()
    client.served.answer = lambda call: waiting
    client.say(request("/v1/files/x", "Content-Length: 500000", method="PUT"))
    assert client.link.producerState == "paused"
    (call,) = client.calls
    reading = Deferred.fromCoroutine(call.body.read())  # type: ignore[union-attr]
    assert client.link.producerState == "producing"
    client.say(b"x" * 70000)
    assert len(result_of(reading)) == 65536
    client.say(b"x" * 70000)
    assert client.link.producerState == "paused"


def test_an_upload_is_asked_for_once_it_is_wanted() -> None:
    client = Client()
    waiting: Deferred[Answer] = Deferred()
    client.served.answer = lambda call: waiting
    head = request("/v1/files/x", "Content-Length: 2", "Expect: 100-continue", method="PUT")
    client.say(head)
    assert client.link.value() == b""
    reading = Deferred.fromCoroutine(client.calls[0].body.read())  # type: ignore[union-attr]
    assert client.link.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.link.clear()
    client.say(b"hi")
    assert result_of(reading) == b"hi"
    waiting.callback(Answer(204))
    assert (client.reply.status, client.closed) == (204, False)


def test_an_upload_that_is_refused_is_not_asked_for_and_ends_its_connection() -> None:
    client = answering(
        Answer(401, body=b"no"),
        request("/v1/files/x", "Content-Length: 2", "Expect: 100-continue", method="PUT"),
    )
    assert (client.reply.status, client.reply.headers[b"connection"]) == (401, b"close")
    client.say(b"hi" + THING)
    assert client.closed and len(client.calls) == 1


def test_who_goes_on_sending_what_was_answered_is_closed_in_the_end() -> None:
    text = request("/v1/files/x", "Content-Length: 90", method="PUT")
    client = answering(Answer(401, body=b"no"), text)
    client.say(b"x")
    assert client.link.producerState == "producing" and not client.closed
    client.clock.advance(30.0)
    assert client.closed


# HTTP/1.0

OLD = b"GET /v1/things HTTP/1.0\r\n\r\n"


def answering(answer: Answer, text: bytes) -> Client:
    client = Client()

    async def found(call: Call) -> Answer:
        return answer

    client.served.answer = found
    client.say(text)
    return client


def test_a_stream_of_unknown_length_ends_with_its_connection_in_http_1_0() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", b"cd")), OLD)
    head, _, body = client.link.value().partition(b"\r\n\r\n")
    assert b"ransfer-" not in head and b"ontent-" not in head
    assert (body, client.closed, client.link.disconnected) == (b"abcd", True, False)


def test_a_stream_that_fails_in_http_1_0_does_not_end_as_a_whole_one() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", OSError("gone"))), OLD)
    assert client.link.value().endswith(b"\r\n\r\nab")
    assert client.link.disconnected


def test_http_1_0_may_keep_its_connection_no_longer_than_one_answer() -> None:
    text = b"GET /v1/things HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    client = Client()
    client.say(text + text)
    assert (client.reply.status, len(client.calls), client.closed) == (200, 1, True)


# who takes nothing


class Endless(Pieces):
    async def read(self) -> bytes:
        if self.aborted:
            raise Aborted("aborted")
        self.reads += 1
        return b"x" * PIECE


def full_at_once(client: Client) -> None:
    """Whatever is written fills the connection."""
    write = client.link.write

    def full(data: bytes) -> None:
        write(data)
        if client.link.producer is not None:
            client.link.producer.pauseProducing()

    client.link.write = full  # type: ignore[method-assign]


def test_no_more_than_a_piece_is_read_for_a_client_that_takes_nothing() -> None:
    client = Client()
    body, begin = Endless(), Deferred[None]()

    async def found(call: Call) -> Answer:
        await begin
        return Answer(200, body=body)

    client.served.answer = found
    full_at_once(client)
    client.say(THING)
    begin.callback(None)
    assert body.reads == 1
    client.link.producer.resumeProducing()
    assert body.reads == 2
    client.leave()
    assert len(body.aborted) == 1


class Handed(Endless):
    """A stream whose first piece the test hands out; `rest` are the pieces behind it."""

    def __init__(self, *rest: bytes | Exception, length: int | None = None) -> None:
        super().__init__(*rest, length=length)
        self.first: Deferred[bytes] = Deferred()

    async def read(self) -> bytes:
        return await Pieces.read(self) if self.first.called else await self.first


def slow(body: Handed) -> Client:
    """A client that takes nothing while a stream begins."""
    client = answering(Answer(200, body=body), THING)
    client.link.producer.pauseProducing()
    return client


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off_in_the_end() -> None:
    client = slow(body := Handed(b"y"))
    body.first.callback(b"x")
    client.clock.advance(LIMITS.idle_seconds - 1)
    assert not client.link.disconnected
    client.clock.advance(1)
    assert client.link.disconnected
    client.leave()
    assert len(body.aborted) == 1
    assert client.clock.getDelayedCalls() == []


def test_a_client_that_takes_a_little_now_and_then_is_served_to_the_end() -> None:
    client = slow(body := Handed(b"b", b"c", b"d", length=4))
    full_at_once(client)
    body.first.callback(b"a")
    for _ in range(4):
        client.clock.advance(LIMITS.idle_seconds - 1)
        assert body.pieces or client.link.value().endswith(b"d")
        client.link.producer.resumeProducing()
    assert (client.reply.body, client.link.disconnected) == (b"abcd", False)


def test_a_server_that_takes_its_time_is_no_slow_client() -> None:
    client = answering(Answer(200, body=(body := Handed(length=1))), THING)
    client.clock.advance(LIMITS.idle_seconds * 9)
    body.first.callback(b"x")
    assert (client.reply.body, client.link.disconnected) == (b"x", False)


def test_no_idle_limit_means_that_a_client_may_take_any_time() -> None:
    client = Client(evolve(LIMITS, idle_seconds=0.0))
    body = Handed(b"y", length=2)

    async def found(call: Call) -> Answer:
        return Answer(200, body=body)

    client.served.answer = found
    client.say(THING)
    client.link.producer.pauseProducing()
    body.first.callback(b"x")
    client.clock.advance(100000.0)
    client.link.producer.resumeProducing()
    assert client.reply.body == b"xy"


def test_a_stream_that_ended_before_a_slow_client_took_it_leaves_the_next_call_alone() -> None:
    client = slow(body := Handed(length=0))
    body.first.callback(b"")
    assert client.reply.status == 200
    client.clock.advance(LIMITS.idle_seconds - 1)
    client.say(THING.replace(b"things", b"nothing"))
    client.clock.advance(LIMITS.idle_seconds - 1)
    assert [reply.status for reply in client.replies()] == [200, 404]
    assert not client.link.disconnected


def test_a_stream_that_failed_while_its_client_was_slow_leaves_no_timer() -> None:
    client = slow(body := Handed(length=2))
    body.first.errback(OSError("gone"))
    assert client.link.disconnected
    client.leave()
    assert client.clock.getDelayedCalls() == []


def test_a_call_whose_stream_is_being_written_counts_as_running() -> None:
    client = slow(body := Handed(b"y", length=2))
    body.first.callback(b"x")
    assert len(client.site.running) == 1
    client.link.producer.resumeProducing()
    assert (client.reply.body, client.site.running) == (b"xy", set())


# tokens as they come


@given(st.binary(min_size=1, max_size=30).filter(lambda text: b"\r\n" not in text))
def test_a_token_of_any_bytes_reaches_the_pipeline_or_is_refused(text: bytes) -> None:
    client = Client()
    client.say(b"GET /v1/things HTTP/1.1\r\nHost: a\r\nX-Auth-Token: " + text + b"\r\n\r\n")
    for call in client.calls:
        (value,) = [v for name, v in call.headers if name.lower() == b"x-auth-token"]
        assert value == text.strip(b" \t")
    assert [reply.status for reply in client.replies()] in ([200], [400])


def test_two_tokens_are_refused() -> None:
    client = Client()
    client.say(request("/v1/things", "X-Auth-Token: one", "X-Auth-Token: two"))
    client.refused(400)
