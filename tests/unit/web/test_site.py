"""Calls and answers of a site: who may cancel, streams and slow clients, what ends abruptly."""

from collections.abc import Awaitable

import pytest
from edge import Client, Pieces, error, request
from twisted.internet.defer import CancelledError, Deferred

from trio2o.message import Answer, Call

THING = request("/v1/things")
POST = request("/v1/things", method="POST", body=b"{}")


class Slow:
    """A call that waits for the test, and knows how it ended."""

    def __init__(self, client: Client) -> None:
        self.goes_on: Deferred[Answer] = Deferred()
        self.ended = ""
        client.served.answer = self.answer

    async def answer(self, call: Call) -> Answer:
        try:
            found = await self.goes_on
        except CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_is_cancelled_when_its_client_leaves(method: str) -> None:
    client = Client()
    slow = Slow(client)
    client.say(request("/v1/things", method=method))
    assert (slow.ended, len(client.site.running)) == ("", 1)
    client.leave()
    assert slow.ended == "cancelled"
    assert client.site.running == set()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_runs_to_its_end_when_its_client_leaves(method: str) -> None:
    client = Client()
    slow = Slow(client)
    path = "/v1/things" if method == "POST" else "/v1/things/x"
    client.say(request(path, method=method))
    client.leave()
    assert (slow.ended, len(client.site.running)) == ("", 1)
    slow.goes_on.callback(Answer(202, body=b"made"))
    assert slow.ended == "done"
    assert client.site.running == set()
    assert client.link.value() == b""


def test_a_failure_of_what_runs_on_alone_is_no_unhandled_error() -> None:
    client = Client()
    slow = Slow(client)
    client.say(POST)
    client.leave()
    slow.goes_on.errback(ValueError("later"))
    assert client.site.running == set()


def test_a_streamed_answer_whose_client_left_is_given_back() -> None:
    client = Client()
    slow, body = Slow(client), Pieces(b"x")
    client.say(POST)
    client.leave()
    slow.goes_on.callback(Answer(200, body=body))
    assert [str(why) for why in body.aborted] == ["the client went away"]


def test_calls_are_counted_as_running_until_they_are_answered() -> None:
    client = Client()
    slow = Slow(client)
    client.say(POST)
    assert len(client.site.running) == 1
    slow.goes_on.callback(Answer(202, body=b"made"))
    assert client.site.running == set()
    assert (client.reply.status, client.reply.body) == (202, b"made")


# answers


def answering(answer: Answer, text: bytes = THING) -> Client:
    client = Client()

    async def found(call: Call) -> Answer:
        return answer

    client.served.answer = found
    client.say(text)
    return client


def test_an_answer_has_its_headers_in_order_with_repeats_and_a_length() -> None:
    headers = ((b"X-A", b"1"), (b"X-B", b"2"), (b"X-A", b"3"), (b"Content-Type", b"text/plain"))
    client = answering(Answer(203, headers, b"abc"))
    head = client.link.value().partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 203 ")
    assert [line for line in lines if line.startswith(b"X-A")] == [b"X-A: 1", b"X-A: 3"]
    assert client.reply.headers[b"content-length"] == b"3"
    assert client.reply.headers[b"content-type"] == b"text/plain"
    assert client.reply.body == b"abc"


def test_an_answer_gets_no_media_type_that_it_has_not() -> None:
    assert b"content-type" not in answering(Answer(200, body=b"abc")).reply.headers


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(status: int) -> None:
    client = answering(Answer(status, body=b"ignored"))
    assert client.link.value().endswith(b"\r\n\r\n")
    client.say(THING)
    assert [reply.status for reply in client.replies()] == [status, status]


def test_the_answer_to_head_tells_the_length_and_has_no_body() -> None:
    client = answering(Answer(200, body=b"abc"), request("/v1/things", method="HEAD"))
    (reply,) = client.replies("HEAD")
    assert (reply.headers[b"content-length"], reply.body) == (b"3", b"")


def test_a_stream_that_nobody_may_have_is_aborted_unread() -> None:
    body = Pieces(b"abc", length=3)
    client = answering(Answer(200, body=body), request("/v1/things", method="HEAD"))
    (reply,) = client.replies("HEAD")
    assert (reply.headers[b"content-length"], body.reads, len(body.aborted)) == (b"3", 0, 1)
    body = Pieces(length=0)
    answering(Answer(204, body=body))
    assert (body.reads, len(body.aborted)) == (0, 1)


def test_a_stream_of_known_length_passes_as_it_is() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", b"cd", length=4)))
    assert client.reply.headers[b"content-length"] == b"4"
    assert client.reply.body == b"abcd"
    assert not client.closed


def test_a_stream_of_unknown_length_comes_in_chunks() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", b"cde")))
    head, _, body = client.link.value().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    assert not client.closed


class Waits(Pieces):
    """A stream whose first piece the test hands out."""

    def __init__(self, *pieces: bytes, length: int) -> None:
        super().__init__(*pieces, length=length)
        self.first: Deferred[bytes] = Deferred()

    async def read(self) -> bytes:
        return await super().read() if self.first.called else await self.first


def test_a_stream_goes_no_faster_than_its_client_takes_it() -> None:
    body = Waits(b"b", b"c", length=3)
    client = answering(Answer(200, body=body))
    client.link.producer.pauseProducing()
    body.first.callback(b"a")
    assert client.link.value().endswith(b"\r\n\r\na")
    assert body.reads == 0
    client.link.producer.resumeProducing()
    assert (body.reads, client.reply.body) == (3, b"abc")


def test_a_stream_that_fails_after_its_head_aborts_the_connection() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", OSError("gone"), length=4)))
    assert client.link.disconnected
    assert client.link.value().endswith(b"\r\n\r\nab")


def test_a_chunked_stream_that_fails_has_no_last_chunk() -> None:
    client = answering(Answer(200, body=Pieces(b"ab", OSError("gone"))))
    assert client.link.disconnected
    assert client.link.value().endswith(b"2\r\nab\r\n")


def test_a_stream_is_aborted_when_its_client_leaves() -> None:
    body = Waits(length=4)
    client = answering(Answer(200, body=body))
    client.leave()
    assert [str(why) for why in body.aborted] == ["the client went away"]
    body.first.errback(OSError("aborted"))
    assert not client.link.disconnected


def test_an_answer_that_comes_after_its_client_left_is_given_back() -> None:
    client = Client()
    body = Pieces(b"ab")

    async def found(call: Call) -> Answer:
        client.leave()
        return Answer(200, body=body)

    client.served.answer = found
    client.say(THING)
    assert [str(why) for why in body.aborted] == ["the client went away"]
    assert client.link.value() == b""


# calls


def test_a_call_has_all_that_was_sent() -> None:
    client = Client()
    text = request(
        "/v1/things?a=1&b=%20", "X-A: 1", "x-b: \xe9", "X-A: 2", method="POST", body=b"{}"
    )
    client.say(text)
    (call,) = client.calls
    assert (call.method, call.path, call.query) == ("POST", b"/v1/things", b"a=1&b=%20")
    assert call.body == b"{}"
    sent = [(name.lower(), value) for name, value in call.headers]
    assert [value for name, value in sent if name == b"x-a"] == [b"1", b"2"]
    assert (b"x-b", b"\xe9") in sent


def test_a_form_is_a_body_like_any_other() -> None:
    kind = "Content-Type: application/x-www-form-urlencoded"
    client = Client()
    client.say(request("/v1/things", kind, method="POST", body=b"a=1&b=2"))
    assert client.calls[0].body == b"a=1&b=2"


def test_a_streamed_body_is_read_in_pieces() -> None:
    client = Client()
    found: list[bytes] = []

    def read(call: Call) -> Awaitable[Answer]:
        async def reading() -> Answer:
            assert call.body.length == 90  # type: ignore[union-attr]
            while piece := await call.body.read():  # type: ignore[union-attr]
                found.append(piece)
            return Answer(204)

        return reading()

    client.served.answer = read
    client.say(request("/v1/files/x", method="PUT", body=b"y" * 90))
    assert (client.reply.status, b"".join(found)) == (204, b"y" * 90)


def test_errors_are_not_shaped_by_the_clients_host() -> None:
    client = Client()
    client.say(b"GET /nothing/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert (client.reply.status, client.reply.json) == (404, error(404, "no such thing"))
    assert b"evil" not in client.link.value()
