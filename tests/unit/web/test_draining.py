"""A site that is about to end: what comes is served, and is the last on its connection."""

from edge import Client, request
from twisted.internet.defer import Deferred

from trio2o.message import Answer, Call


def test_while_it_drains_each_answer_is_the_last_and_says_so() -> None:
    client = Client()
    client.say(request("/v1/things"))
    assert not client.closed
    client.site.draining = True
    client.say(request("/v1/things"))
    first, last = client.replies()
    assert b"connection" not in first.headers
    assert (last.status, last.headers[b"connection"]) == (200, b"close")
    assert client.closed


def test_a_call_under_way_when_it_begins_to_drain_is_the_last() -> None:
    client, waits = Client(), Deferred[Answer]()

    async def answer(call: Call) -> Answer:
        return await waits

    client.served.answer = answer
    client.say(request("/v1/things"))
    client.site.draining = True
    waits.callback(Answer(200))
    assert client.reply.headers[b"connection"] == b"close"
    assert client.closed


def test_a_site_is_in_use_until_its_connections_are_closed() -> None:
    client = Client()
    assert client.site.in_use
    client.site.close()
    assert client.closed
    client.leave()
    assert not client.site.in_use


def test_a_write_whose_client_left_keeps_its_site_in_use() -> None:
    client, waits = Client(), Deferred[Answer]()

    async def answer(call: Call) -> Answer:
        return await waits

    client.served.answer = answer
    client.say(request("/v1/things", "Content-Length: 0", method="POST"))
    client.leave()
    assert client.site.in_use
    waits.callback(Answer(202))
    assert not client.site.in_use


def test_what_no_operation_saw_is_told_with_where_it_came_from() -> None:
    client = Client()
    told: list[tuple[Call, Answer]] = []
    client.served.refused = lambda face, call, id, answer: told.append((call, answer))
    client.channel.peer = "203.0.113.7"
    client.say(request("/v1/things", method="DELETE"))
    client.say(b"nonsense\r\n\r\n")
    (wrong, first), (unread, second) = told
    assert (wrong.method, wrong.path, first.status) == ("DELETE", b"/v1/things", 405)
    assert (unread.method, second.status) == ("-", 400)
    assert wrong.peer == unread.peer == "203.0.113.7"
