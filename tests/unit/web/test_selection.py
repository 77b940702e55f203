"""Which row a call is for, what media it may have, and how a verb's errors are answered."""

import contextlib
import json

import pytest
from edge import Op, Pieces, error
from hypothesis import given
from hypothesis import strategies as st
from test_pipeline import LIST, OURS, World, said, told
from twisted.internet.defer import CancelledError

from trio2o.domain.errors import (
    BadRequest,
    Conflict,
    Fault,
    Gone,
    NotFound,
    PodTimeout,
    PodUnavailable,
    Unavailable,
)
from trio2o.domain.versions import Range, Version
from trio2o.message import Call
from trio2o.web._pipeline import UNEXPECTED, select

ACTION = "/v1/things/{id}/action"
START = Op("POST", ACTION, action="start")
STOP = Op("POST", ACTION, action="stop", versions=Range(Version(2, 5), Version(2, 9)))
STOP_LATER = Op("POST", ACTION, action="stop", versions=Range(Version(2, 10), Version(2, 99)))
ACTIONS = (START, STOP, STOP_LATER)
MALFORMED = "Malformed request body"
UNKNOWN = "The resource could not be found."


@pytest.fixture
def world() -> World:
    return World()


def posted(body: object) -> Call:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call("POST", b"/v1/things/x/action", body=text)


@pytest.mark.parametrize(
    ("body", "version", "row"),
    [
        ({"start": None}, None, START),
        ({"stop": {"a": 1}}, Version(2, 5), STOP),
        ({"stop": None}, Version(2, 10), STOP_LATER),
        ({"stop": None}, None, STOP),
        ({"unknown": None}, Version(2, 5), START),
    ],
)
def test_an_action_is_chosen_by_its_name_and_then_by_its_version(
    body: object, version: Version | None, row: Op
) -> None:
    assert select(ACTIONS, posted(body), version) is row


def test_an_action_that_the_version_has_not_is_404() -> None:
    with pytest.raises(NotFound, match=UNKNOWN):
        select(ACTIONS, posted({"stop": None}), Version(2, 1))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"1", b"{}", b'{"start": 1, "stop": 2}', b'{"a": 1} x']
)
def test_an_action_has_one_name_in_an_object(body: bytes) -> None:
    with pytest.raises(BadRequest, match=MALFORMED):
        select(ACTIONS, posted(body), None)


@given(st.binary(max_size=12))
def test_no_body_of_an_action_is_an_unexpected_error(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert select(ACTIONS, posted(body), None) in ACTIONS


def test_a_streamed_body_names_no_action() -> None:
    with pytest.raises(BadRequest, match=MALFORMED):
        select(ACTIONS, Call("POST", b"/", body=Pieces(b'{"start": null}')), None)


def test_rows_of_one_path_are_told_apart_by_version() -> None:
    old = Op("GET", "/v1/a", versions=Range(Version(2, 1), Version(2, 4)))
    new = Op("GET", "/v1/a", versions=Range(Version(2, 5), Version(2, 9)))
    call = Call("GET", b"/v1/a")
    assert select((old, new), call, Version(2, 4)) is old
    assert select((old, new), call, Version(2, 5)) is new
    assert select((old, new), call, None) is old
    for version in (Version(2, 0), Version(2, 10)):
        with pytest.raises(NotFound):
            select((old, new), call, version)


def test_no_rows_are_404() -> None:
    with pytest.raises(NotFound, match=UNKNOWN):
        select((), Call("GET", b"/"), None)


# media types

CREATE = Op("POST", "/v1/things")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("", 200),
        ("application/json", 200),
        ("Application/JSON ; charset=utf-8", 200),
        ("application/json-patch+json", 200),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("multipart/form-data; boundary=application/json", 415),
    ],
)
def test_a_body_is_json(world: World, kind: str, status: int) -> None:
    answer = world.ask(CREATE, method="POST", body=b"{}", Content_Type=kind)
    assert answer.status == status
    if status == 415:
        assert said(answer) == (415, error(415, "Unsupported Content-Type"))
        assert world.performed == []


def test_a_media_type_without_a_body_says_nothing(world: World) -> None:
    assert world.ask(CREATE, method="POST", Content_Type="text/plain").status == 200


def test_a_face_may_take_any_media_type(world: World) -> None:
    world.face.takes_any_media_type = True
    kind = "application/octet-stream"
    assert world.ask(CREATE, method="POST", body=b"x", Content_Type=kind).status == 200


# errors


@pytest.mark.parametrize(
    "fault", [NotFound("a"), Conflict("b"), Gone("c"), BadRequest("d"), Fault("e")]
)
def test_a_verbs_fault_is_its_answer(world: World, fault: Fault) -> None:
    world.result = fault
    answer = world.ask(LIST, X_Openstack_Request_Id=OURS)
    assert said(answer) == (fault.status, error(fault.status, fault.message))
    assert told(answer, "X-Openstack-Request-Id") == OURS
    assert told(answer, "Retry-After") is None


def test_what_may_work_later_says_when(world: World) -> None:
    world.result = Unavailable("busy", retry_after=7)
    answer = world.ask(LIST)
    assert said(answer) == (503, error(503, "busy"))
    assert told(answer, "Retry-After") == "7"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (PodUnavailable("Pod1", "refused"), 503, "Pod Pod1 is unavailable at the moment."),
        (PodTimeout("Pod1", "broke off"), 504, "Pod Pod1 did not answer."),
    ],
)
def test_a_pods_trouble_names_the_pod_and_not_the_reason(
    world: World, fault: Fault, status: int, words: str
) -> None:
    world.result = fault
    assert said(world.ask(LIST)) == (status, error(status, words))


def test_an_error_nobody_thought_of_is_500_and_tells_nothing(world: World) -> None:
    world.result = ValueError("secret")
    answer = world.ask(LIST, X_Openstack_Request_Id=OURS)
    assert said(answer) == (500, error(500, UNEXPECTED))
    assert told(answer, "X-Openstack-Request-Id") == OURS


def test_a_cancelled_call_is_no_error(world: World) -> None:
    world.result = CancelledError()
    with pytest.raises(CancelledError):
        world.ask(LIST)
