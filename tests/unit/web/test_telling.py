"""What is told of a call when it ends: who, what, where, how long, how much."""

from typing import Any

import pytest
from attrs import evolve
from edge import Asker, Op, Pieces
from helpers import result_of
from test_pipeline import ME, World
from twisted.internet.defer import CancelledError, Deferred

from trio2o.message import Aborted, Answer, Call
from trio2o.telemetry import LEFT, Ended, Trace
from trio2o.web import Asked, Found

LIST, SHOW = Op("GET", "/v1/things"), Op("GET", "/v1/things/{id}")
ACTION = Op("POST", "/v1/things/{id}/action", action="reboot")
JSON = {"Content_Type": "application/json"}


class Told(World):
    def __init__(self) -> None:
        super().__init__()
        self.all: list[Ended] = []
        self.pipeline._ended = self.all.append

    @property
    def one(self) -> Ended:
        (only,) = self.all
        return only


@pytest.fixture
def world() -> Told:
    return Told()


def test_a_call_is_told_with_its_caller_its_row_and_its_pod(world: Told) -> None:
    async def asks_a_pod(row: Op, call: Call, asked: Asked) -> Answer:
        asked.trace.asks("Pod1", 1.0)
        asked.trace.heard(1.25)
        return Answer(200, body=b"12345")

    world.face.handler = asks_a_pod
    world.ask(SHOW, path="/v1/things/7", segments=("7",))
    told = world.one
    assert told.trace.row is SHOW and told.trace.chosen
    assert told.trace.caller == evolve(ME, token="me")
    assert (told.trace.method, told.trace.path, told.trace.ids) == ("GET", b"/v1/things/7", ("7",))
    assert (told.status, told.size) == (200, 5)
    assert (told.trace.pod, told.trace.pod_seconds) == ("Pod1", 0.25)


def test_the_request_id_is_that_of_the_call(world: Told) -> None:
    sent = "req-0f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
    world.result = Answer(200, ((b"X-Openstack-Request-Id", b"req-of-the-pod"),))
    world.ask(LIST, X_Openstack_Request_Id=sent)
    assert world.one.trace.request_id == sent


def test_a_call_without_a_token_is_told_too(world: Told) -> None:
    world.ask(LIST, X_Auth_Token="")
    told = world.one
    assert (told.status, told.trace.caller, told.trace.chosen) == (401, None, False)
    assert told.trace.row is LIST


def test_an_unknown_path_has_no_row(world: Told) -> None:
    world.ask(path="/nowhere")
    assert (world.one.status, world.one.trace.row) == (404, None)


def test_the_time_of_pods_that_are_asked_at_once_is_counted_once() -> None:
    trace = Trace()
    for pod, now in (("Pod1", 1.0), ("Pod2", 2.0)):
        trace.asks(pod, now)
    for now in (3.0, 5.0):
        trace.heard(now)
    assert (trace.pods, trace.pod, trace.pod_seconds) == (("Pod1", "Pod2"), "", 4.0)
    trace.asks("Pod1", 7.0)
    trace.heard(7.5)
    assert (trace.pods, trace.pod_seconds) == (("Pod1", "Pod2"), 4.5)


def test_an_error_of_ours_is_told_as_500(world: Told) -> None:
    world.result = RuntimeError("oh")
    world.ask(LIST)
    assert world.one.status == 500


def test_an_action_that_no_row_knows_is_not_told_as_another(world: Told) -> None:
    for body, chosen in ((b'{"reboot": 1}', True), (b'{"fly": 1}', False)):
        world.ask(ACTION, method="POST", path="/v1/things/7/action", body=body, **JSON)
        assert world.all.pop().trace.chosen is chosen


def test_seconds_run_until_the_answer(world: Told) -> None:
    waits: Deferred[Answer] = Deferred()
    world.result = waits
    call = Call("GET", b"/v1/things", headers=((b"X-Auth-Token", b"me"),))
    started = Deferred.fromCoroutine(
        world.pipeline.serve(world.face, Found((LIST,)), call, Asker())
    )  # type: ignore[arg-type]
    world.clock.advance(2.5)
    assert world.all == []
    waits.callback(Answer(204))
    result_of(started)
    assert world.one.seconds == 2.5


def test_a_read_whose_client_left_is_told_as_left(world: Told) -> None:
    world.result = Deferred()
    call = Call("GET", b"/v1/things", headers=((b"X-Auth-Token", b"me"),))
    started = Deferred.fromCoroutine(
        world.pipeline.serve(world.face, Found((LIST,)), call, Asker())
    )  # type: ignore[arg-type]
    started.cancel()
    with pytest.raises(CancelledError):
        result_of(started)
    assert world.one.status == LEFT


def test_a_head_has_no_bytes(world: Told) -> None:
    world.ask(LIST, method="HEAD")
    assert world.one.size == 0


def test_a_stream_is_told_when_it_was_read_to_its_end(world: Told) -> None:
    world.result = Answer(200, body=Pieces(b"abc", b"de", length=5))
    body: Any = world.ask(LIST).body
    assert body.length == 5
    assert [result_of(body.read()) for _ in range(2)] == [b"abc", b"de"]
    assert world.all == []
    world.clock.advance(3)
    assert result_of(body.read()) == b"" and result_of(body.read()) == b""
    assert (world.one.size, world.one.seconds) == (5, 3)


def test_a_stream_that_breaks_or_is_given_up_is_told_once_with_what_was_read(world: Told) -> None:
    world.result = Answer(200, body=Pieces(b"abc", Aborted("oh")))
    body: Any = world.ask(LIST).body
    result_of(body.read())
    with pytest.raises(Aborted):
        result_of(body.read())
    body.abort(Aborted("left"))
    assert world.one.size == 3


def from_peer(world: Told, peer: str, *headers: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    """The headers with which a call from this address reaches the verb."""
    sent = ((b"X-Auth-Token", b"me"), *headers)
    call = Call("GET", b"/v1/things", b"", sent, b"", peer=peer)
    result_of(world.pipeline.serve(world.face, Found((LIST,)), call, Asker()))  # type: ignore[arg-type]
    return dict(world.performed[-1][1].headers)


FORWARDED = ((b"X-Forwarded-For", b"203.0.113.9, 203.0.113.7"), (b"Forwarded", b"for=x"))


def test_what_a_stranger_says_was_forwarded_is_not_believed(world: Told) -> None:
    world.pipeline.proxies = frozenset(("198.51.100.1",))
    assert set(from_peer(world, "198.51.100.2", *FORWARDED)) == {b"X-Auth-Token"}
    assert world.one.trace.peer == "198.51.100.2"


def test_a_proxy_that_is_configured_tells_whom_it_speaks_for(world: Told) -> None:
    world.pipeline.proxies = frozenset(("198.51.100.1",))
    assert set(from_peer(world, "198.51.100.1", *FORWARDED)) > {b"X-Forwarded-For"}
    assert world.one.trace.peer == "203.0.113.7"
    assert from_peer(world, "198.51.100.1") and world.all[-1].trace.peer == "198.51.100.1"
