"""Sizes and times while a request arrives; many requests on one connection."""

from typing import Any

import pytest
from attrs import evolve
from edge import LIMITS, Client, error, request
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from trio2o.message import Aborted, Answer, Call

NEXT = request("/v1/things")
TOO_LARGE = "The body of a request may have 100 bytes."
TOO_SLOW = "The request was not received in time."


def heard(*pieces: bytes, **limits: Any) -> Client:
    client = Client(evolve(LIMITS, **limits))
    client.say(*pieces)
    return client


def announced(size: int, *lines: str, method: str = "POST") -> bytes:
    return request("/v1/things", f"Content-Length: {size}", *lines, method=method)


CHUNKED = request("/v1/things", "Transfer-Encoding: chunked", method="POST")


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes() -> None:
    assert heard(announced(101)).refused(413) == TOO_LARGE
    assert heard(announced(10**30)).refused(413) == TOO_LARGE


def test_a_body_of_just_the_limit_is_taken() -> None:
    client = heard(announced(100) + b"x" * 100)
    assert client.reply.status == 200
    assert client.calls[0].body == b"x" * 100


def test_a_body_larger_than_the_limit_is_refused_while_it_arrives() -> None:
    client = heard(CHUNKED, b"64\r\n", b"x" * 100)
    assert client.replies() == []
    client.say(b"\r\n1\r\n")
    assert client.refused(413) == TOO_LARGE
    assert heard(CHUNKED, b"fffffff\r\n", b"x" * 101).refused(413) == TOO_LARGE


def test_the_end_of_a_refused_body_is_not_served() -> None:
    assert heard(CHUNKED + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n" + NEXT).refused(413)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 50))
def test_a_chunked_body_is_taken_if_and_only_if_it_fits(sizes: list[int], cut: int) -> None:
    text = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)
    text += b"0\r\n\r\n"
    client = heard(*(text[at : at + cut] for at in range(0, len(text), cut)))
    if sum(sizes) <= 100:
        assert (client.reply.status, client.calls[0].body) == (200, b"x" * sum(sizes))
    else:
        client.refused(413)


def test_no_limit_means_any_size() -> None:
    client = heard(announced(5000) + b"x" * 5000, body_bytes=0, whole_bytes=9000)
    assert client.calls[0].body == b"x" * 5000


def test_what_is_read_into_memory_is_bounded_where_streams_are_not() -> None:
    assert heard(announced(101) + b"x" * 101, body_bytes=0).refused(413) == TOO_LARGE
    text = request("/v1/files/x", "Content-Length: 5000", method="PUT") + b"x" * 5000
    client = heard(text, body_bytes=0)
    assert client.calls[0].body.length == 5000  # type: ignore[union-attr]


def test_a_large_body_that_will_be_taken_is_asked_for() -> None:
    client = heard(announced(3, "Expect: 100-continue"))
    assert client.link.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.link.clear()
    client.say(b"abc")
    assert (client.reply.status, client.calls[0].body) == (200, b"abc")


def test_a_large_body_that_will_not_be_taken_is_not_asked_for() -> None:
    assert heard(announced(101, "Expect: 100-continue")).refused(413) == TOO_LARGE


@pytest.mark.parametrize("size", ["1" * 30, "9" * 900])
def test_a_length_beyond_all_measure_is_refused(size: str) -> None:
    assert heard(request("/v1/things", f"Content-Length: {size}", method="POST")).refused(413)


@pytest.mark.parametrize("size", [b"65", b"10000000000000000", b"F" * 900])
@pytest.mark.parametrize("before", [b"", b"3\r\nabc\r\n"])
def test_a_chunk_that_cannot_fit_is_refused_before_it_comes(size: bytes, before: bytes) -> None:
    head = request("/v1/things", "Transfer-Encoding: chunked", method="POST")
    assert heard(head + before + size + b"\r\n").refused(413) == TOO_LARGE


@pytest.mark.parametrize(("line", "status"), [(b"10000000000000000\r\n", 413), (b"zz\r\n", 400)])
def test_an_upload_whose_first_chunk_cannot_be_is_refused_and_not_served(
    line: bytes, status: int
) -> None:
    head = request("/v1/files/x", "Transfer-Encoding: chunked", method="PUT")
    assert heard(head + line, body_bytes=0).refused(status)


def test_an_upload_whose_later_chunk_cannot_be_breaks_off() -> None:
    head = request("/v1/files/x", "Transfer-Encoding: chunked", method="PUT")
    client, seen = Client(evolve(LIMITS, body_bytes=0)), list[Any]()

    async def reads(call: Call) -> Answer:
        body: Any = call.body
        while True:
            try:
                seen.append(await body.read())
            except Aborted as why:
                seen.append(why)
                raise

    client.served.answer = reads
    client.say(head + b"1\r\nx\r\n", b"10000000000000000\r\n")
    assert client.reply.status == 413 and client.closed
    assert seen[0] == b"x" and isinstance(seen[1], Aborted)


# times


def test_a_head_that_drips_is_given_up_at_an_absolute_moment() -> None:
    client = heard(b"GET /v1/things HTTP/1.1\r\nHost: a\r\n")
    for _ in range(4):
        client.clock.advance(1.0)
        client.say(b"X: y\r\n")
    client.clock.advance(0.9)
    assert client.replies() == []
    client.clock.advance(0.1)
    assert client.refused(408) == TOO_SLOW


def test_the_time_for_a_head_runs_from_its_first_byte() -> None:
    client = Client()
    client.clock.advance(29.0)
    client.say(b"G")
    client.clock.advance(4.9)
    client.say(NEXT[1:])
    assert client.reply.status == 200
    client.clock.advance(20.0)
    assert len(client.replies()) == 1


@pytest.mark.parametrize("head", [announced(100), CHUNKED])
def test_a_body_that_drips_is_given_up_at_an_absolute_moment(head: bytes) -> None:
    client = heard(head)
    for _ in range(9):
        client.clock.advance(1.0)
        client.say(b"1\r\nx\r\n" if head == CHUNKED else b"x")
    client.clock.advance(0.9)
    assert client.replies() == []
    client.clock.advance(0.1)
    assert client.refused(408) == TOO_SLOW


def test_the_time_for_a_body_runs_from_the_end_of_its_head() -> None:
    client = Client()
    head = announced(2)
    client.say(head[:5])
    client.clock.advance(4.5)
    client.say(head[5:])
    client.clock.advance(9.5)
    client.say(b"{}")
    assert (client.reply.status, client.calls[0].body) == (200, b"{}")


def test_a_body_may_take_any_time_where_none_is_set() -> None:
    client = heard(announced(60), body_seconds=0.0)
    for _ in range(60):
        client.clock.advance(20.0)
        client.say(b"x")
    assert client.calls[0].body == b"x" * 60


def test_a_body_without_a_deadline_that_stops_is_closed_as_idle() -> None:
    client = heard(announced(60) + b"x", body_seconds=0.0)
    client.clock.advance(29.9)
    assert not client.closed
    client.clock.advance(0.1)
    assert client.closed and client.calls == []


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word() -> None:
    client = Client()
    client.clock.advance(29.9)
    assert not client.closed
    client.clock.advance(0.1)
    assert client.closed
    assert client.link.value() == b""


def test_a_kept_connection_on_which_nothing_comes_is_closed() -> None:
    client = heard(NEXT)
    client.clock.advance(20.0)
    client.say(NEXT)
    client.clock.advance(29.9)
    assert not client.closed
    client.clock.advance(0.1)
    assert client.closed
    assert [reply.status for reply in client.replies()] == [200, 200]


def test_no_idle_limit_means_that_connections_stay() -> None:
    client = Client(evolve(LIMITS, idle_seconds=0.0))
    client.clock.advance(0.0)
    assert not client.closed
    client.clock.advance(100000.0)
    client.say(NEXT)
    assert client.reply.status == 200


def test_an_answer_may_take_longer_than_an_idle_connection() -> None:
    client = Client()
    answer: Deferred[Answer] = Deferred()
    client.served.answer = lambda call: answer
    client.say(NEXT)
    client.clock.advance(1000.0)
    assert not client.closed
    answer.callback(Answer(200, body=b"late"))
    assert client.reply.body == b"late"


def test_a_client_that_does_not_take_its_refusal_is_cut_off() -> None:
    client = heard(request("/v1/things", method="BREW"))
    client.clock.pump([10.0] * 5)
    assert client.link.disconnected


def test_a_client_that_goes_on_sending_after_its_refusal_is_cut_off_all_the_same() -> None:
    client = heard(request("/v1/things", method="BREW"))
    for _ in range(9):
        client.clock.advance(5.0)
        client.channel.dataReceived(NEXT)
    assert client.refused(501)
    assert client.link.disconnected


def test_a_refused_connection_that_ends_leaves_no_timer() -> None:
    client = heard(b"GET")
    client.leave()
    assert client.clock.getDelayedCalls() == []
    client = heard(request("/v1/things", method="BREW"))
    client.leave()
    assert client.clock.getDelayedCalls() == []


# many requests on one connection


class Waiting:
    """Answers when the test says so, in the order of the calls."""

    def __init__(self, client: Client) -> None:
        self.turns: list[Deferred[Answer]] = []
        client.served.answer = self.answer

    def answer(self, call: Call) -> Deferred[Answer]:
        self.turns.append(Deferred())
        return self.turns[-1]


def test_pipelined_requests_are_answered_one_by_one_in_order() -> None:
    client = Client()
    waiting = Waiting(client)
    client.say(b"".join(request(f"/v1/things/{n}") for n in range(3)))
    for n in range(3):
        assert [call.path for call in client.calls] == [b"/v1/things/%d" % i for i in range(n + 1)]
        assert len(client.replies()) == n
        waiting.turns[n].callback(Answer(200, body=b"%d" % n))
    assert [reply.body for reply in client.replies()] == [b"0", b"1", b"2"]
    assert not client.closed


def test_more_than_a_little_behind_a_waiting_request_is_not_read() -> None:
    client = Client()
    waiting = Waiting(client)
    client.say(NEXT, b"x" * 0x3F00)
    assert client.link.producerState == "producing"
    client.say(b"x" * 0x200)
    assert client.link.producerState == "paused"
    waiting.turns[0].callback(Answer(200))
    assert client.link.producerState == "producing"


def test_a_bad_request_behind_a_good_one_waits_for_its_answer() -> None:
    client = Client()
    waiting = Waiting(client)
    client.say(NEXT + request("/v1/../x") + NEXT)
    assert client.replies() == []
    waiting.turns[0].callback(Answer(200, body=b"first"))
    first, second = client.replies()
    assert (first.status, first.body) == (200, b"first")
    assert (second.status, second.json) == (400, error(400, "Malformed request URL"))
    assert client.closed
    assert len(client.calls) == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_a_pipelined_head_that_stops_is_given_up(at_once: bool) -> None:
    client = Client()
    waiting = None if at_once else Waiting(client)
    client.say(NEXT + b"GET /v1/things")
    if waiting:
        waiting.turns[0].callback(Answer(200))
    client.clock.advance(5.0)
    assert [reply.status for reply in client.replies()] == [200, 408]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_pipelined_body_has_the_time_of_a_body(at_once: bool) -> None:
    client = Client()
    waiting = None if at_once else Waiting(client)
    client.say(NEXT + announced(3))
    if waiting:
        waiting.turns[0].callback(Answer(200))
    client.say(b"a")
    client.clock.advance(8.0)
    client.say(b"bc")
    assert [call.body for call in client.calls] == [b"", b"abc"]


def test_an_empty_line_behind_a_request_does_not_start_the_next() -> None:
    client = heard(announced(2) + b"{}", b"\r\n")
    client.clock.advance(6.0)
    client.say(NEXT)
    assert [reply.status for reply in client.replies()] == [200, 200]


def test_a_connection_is_kept_after_an_error_of_the_face() -> None:
    client = heard(request("/nothing"), NEXT)
    first, second = client.replies()
    assert (first.status, first.json) == (404, error(404, "no such thing"))
    assert (second.status, second.body) == (200, b"yes")
    assert not client.closed


@pytest.mark.parametrize("path", ["/v1", "/v1/things/x/y", "/v2/things", "/v1/Things"])
def test_an_unknown_path_is_the_apis_own_404(path: str) -> None:
    client = heard(request(path))
    assert (client.reply.status, client.reply.json) == (404, error(404, "no such thing"))


def test_a_slash_at_the_end_changes_nothing() -> None:
    client = heard(request("/v1/things/"))
    assert (client.reply.status, client.calls[0].path) == (200, b"/v1/things/")


def test_a_project_in_the_path_is_told_apart_from_the_segments() -> None:
    client = heard(request("/v1/0af-1/things/x"), request("/v1/things/x"))
    assert client.served.below == [(["x"], "0af-1"), (["x"], "")]


def test_a_wrong_method_is_405_in_the_apis_shape_and_tells_the_right_ones() -> None:
    client = heard(request("/v1/things", method="PATCH"))
    message = "The method is not allowed for this resource."
    assert (client.reply.status, client.reply.json) == (405, error(405, message))
    assert client.reply.headers[b"allow"] == b"GET, HEAD, POST"
    assert client.calls == []


@pytest.mark.parametrize(
    "text", [request("/v1/things", method="PATCH"), announced(200) + b"x" * 200]
)
def test_every_answer_of_ours_has_a_request_id(text: bytes) -> None:
    client = heard(text, body_bytes=0)
    assert client.reply.headers[b"x-openstack-request-id"].startswith(b"req-")


def test_a_connection_ends_when_its_client_says_so() -> None:
    client = heard(request("/v1/things", "Connection: close") + NEXT)
    assert (client.reply.status, client.reply.headers[b"connection"]) == (200, b"close")
    assert client.closed
    assert len(client.calls) == 1
