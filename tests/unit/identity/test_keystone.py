"""Calls to Keystone as ourselves: our own tokens, and what counts as unavailable."""

from typing import Any

import pytest
from helpers import result_of
from stub_keystone import START, Response, World, moment, token
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError

from trio2o.identity import KeystoneUnavailable
from trio2o.identity._keystone import epoch


@pytest.fixture
def world() -> World:
    return World()


def own(world: World, project: str = "") -> str:
    return result_of(world.keystone.own_token(project))


def why(awaitable: Any) -> str:
    with pytest.raises(KeystoneUnavailable) as caught:
        result_of(awaitable)
    assert caught.value.message == "The identity service is unavailable at the moment."
    return caught.value.why


def test_our_own_token_is_asked_for_with_password_and_project(world: World) -> None:
    assert own(world) == "own-1"
    (call,) = world.agent.calls
    assert (call.method, call.path) == ("POST", "/auth/tokens")
    assert "x-auth-token" not in call.headers
    user = {"name": "trio2o", "password": "secret", "domain": {"name": "Default"}}
    assert call.body == {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "service", "domain": {"name": "Default"}}},
        }
    }


def test_our_own_token_is_kept_for_each_project(world: World) -> None:
    assert [own(world), own(world, "p1"), own(world), own(world, "p1")] == [
        "own-1",
        "own-2",
        "own-1",
        "own-2",
    ]
    assert world.agent.calls[1].body["auth"]["scope"] == {"project": {"id": "p1"}}


def test_our_own_token_is_renewed_two_minutes_before_it_ends(world: World) -> None:
    own(world)
    world.clock.advance(3600 - 121)
    assert own(world) == "own-1"
    world.clock.advance(1)
    assert own(world) == "own-2"


def test_who_asks_at_once_shares_one_request(world: World) -> None:
    waiting: Deferred[Any] = Deferred()
    world.agent.say = lambda call: waiting
    asked = [Deferred.fromCoroutine(world.keystone.own_token()) for _ in range(3)]
    assert world.agent.count("POST") == 1
    waiting.callback(Response(201, token(), X_Subject_Token="shared"))
    assert [result_of(one) for one in asked] == ["shared"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
def test_our_own_credential_being_refused_is_keystones_trouble(world: World, status: int) -> None:
    world.agent.say = lambda call: Response(status, {"error": {}})
    assert why(world.keystone.own_token()) == f"our own credential was refused ({status})"


def test_a_refused_credential_is_tried_again_by_the_next_who_asks(world: World) -> None:
    world.agent.say = lambda call: Response(401)
    why(world.keystone.own_token())
    world.agent.say = lambda call: None
    assert own(world) == "own-1"


def test_a_token_that_is_refused_is_replaced_once(world: World) -> None:
    world.agent.say = lambda call: (
        Response(200, {"x": 1}) if call.headers.get("x-auth-token") == "own-2" else None
    )
    own(world)
    world.agent.refused.add("own-1")
    reply = result_of(world.keystone.call("GET", "/things"))
    assert (reply.status, reply.body) == (200, {"x": 1})
    assert [c.headers.get("x-auth-token") for c in world.agent.calls] == [
        None,
        "own-1",
        None,
        "own-2",
    ]
    assert own(world) == "own-2"


def test_a_token_that_is_refused_again_is_not_replaced_for_ever(world: World) -> None:
    world.agent.say = lambda call: Response(401) if call.method == "GET" else None
    assert result_of(world.keystone.call("GET", "/things")).status == 401
    assert [call.method for call in world.agent.calls] == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_server_is_unavailable(world: World, status: int) -> None:
    world.agent.say = lambda call: Response(status)
    assert why(world.keystone.own_token()) == "POST /auth/tokens: KeystoneUnavailable"


def test_no_connection_is_unavailable(world: World) -> None:
    world.agent.say = lambda call: ConnectionRefusedError()
    assert why(world.keystone.own_token()) == "POST /auth/tokens: ConnectionRefusedError"


def test_no_answer_in_time_is_unavailable_and_cancelled(world: World) -> None:
    cancelled: list[bool] = []
    world.agent.say = lambda call: Deferred(lambda _: cancelled.append(True))
    asked = Deferred.fromCoroutine(world.keystone.own_token())
    world.clock.advance(14.9)
    assert not asked.called
    world.clock.advance(0.1)
    assert why(asked) == "POST /auth/tokens: TimeoutError"
    assert cancelled == [True]


def test_no_end_of_an_answer_in_time_is_unavailable(world: World) -> None:
    endless = Response(201, token())
    endless.deliverBody = lambda protocol: protocol.dataReceived(b"{")  # type: ignore[method-assign]
    world.agent.say = lambda call: endless
    asked = Deferred.fromCoroutine(world.keystone.own_token())
    world.clock.advance(15.0)
    assert why(asked) == "POST /auth/tokens: TimeoutError"


def test_an_answer_that_is_no_json_is_unavailable(world: World) -> None:
    world.agent.say = lambda call: Response(201, b"<html>")
    assert why(world.keystone.own_token()) == "POST /auth/tokens: DecodeError"


@pytest.mark.parametrize("body", [None, {}, [], {"token": {}}, {"token": {"expires_at": "soon"}}])
def test_a_token_document_of_another_shape_is_unavailable(world: World, body: Any) -> None:
    world.agent.say = lambda call: Response(201, body, X_Subject_Token="x")
    with pytest.raises(KeystoneUnavailable):
        own(world)


def test_a_token_without_its_header_is_unavailable(world: World) -> None:
    world.agent.say = lambda call: Response(201, token())
    with pytest.raises(KeystoneUnavailable):
        own(world)


def test_an_error_need_not_be_json(world: World) -> None:
    world.agent.say = lambda call: Response(404, b"<html>") if call.method == "GET" else None
    reply = result_of(world.keystone.call("GET", "/things"))
    assert (reply.status, reply.body) == (404, None)


def test_a_redirect_is_not_followed(world: World) -> None:
    elsewhere = Response(302, None, Location="http://evil.example/v3")
    world.agent.say = lambda call: elsewhere if call.method == "GET" else None
    assert result_of(world.keystone.call("GET", "/things")).status == 302
    assert len(world.agent.calls) == 2


def test_one_key_of_a_document_is_had(world: World) -> None:
    world.agent.say = lambda call: Response(200, {"x": [1]}) if call.method == "GET" else None
    assert result_of(world.keystone.get("/xs", "x")) == [1]


@pytest.mark.parametrize(
    "said", [Response(403), Response(200, []), Response(200, {}), Response(204), Response(404)]
)
def test_a_document_that_is_not_there_is_unavailable(world: World, said: Response) -> None:
    world.agent.say = lambda call: said if call.method == "GET" else None
    assert why(world.keystone.get("/xs", "x")) == f"GET /xs: {said.code}"


def test_the_auth_url_has_no_slash_at_its_end(world: World) -> None:
    assert world.keystone.auth_url == "http://keystone:5000/v3"


def test_moments_are_read_as_utc() -> None:
    assert epoch(moment(0)) == START
    assert epoch("1970-01-01T00:01:00Z") == 60.0
    assert epoch("1970-01-01T00:01:00.500000Z") == 60.5
