"""What every call passes: identity, rights, version, verb, errors."""

import json
import math
import re
from typing import Any

import pytest
from attrs import evolve
from edge import Asker, Face, Op, error
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import NotFound, Unauthorized
from trio2o.domain.values import AccessRule, Caller
from trio2o.domain.versions import Microversions, Range, Version
from trio2o.identity import ADMIN, KeystoneUnavailable, Policy
from trio2o.message import Answer, Call, header
from trio2o.web import Asked, Found, Pipeline
from trio2o.web._head import heard
from trio2o.web._pipeline import NOBODY, _below

ME = Caller("t", "me", "my-project", ("member",), 9e9)
SERVICE = Caller("s", "nova", "service", ("service",), 9e9)
LIST, SHOW = Op("GET", "/v1/things"), Op("GET", "/v1/things/{id}/{key}")
UNAUTHORIZED = "The request you have made requires authentication."
REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OURS = "req-0f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"


class Tokens:
    """Callers by token; an error is raised."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller | Exception] = {"me": ME, "service": SERVICE}
        self.asked: list[tuple[str, bool]] = []

    def known(self, token: str, *, allow_expired: bool = False) -> None:
        """None is in memory."""

    async def caller(self, token: str, *, allow_expired: bool = False) -> Caller:
        self.asked.append((token, allow_expired))
        found = self.callers.get(token, Unauthorized(UNAUTHORIZED))
        if isinstance(found, Exception):
            raise found
        return evolve(found, token=token)


class World:
    def __init__(self) -> None:
        self.clock, self.tokens, self.face = Clock(), Tokens(), Face()
        self.clock.advance(100.0)
        policy = Policy({"thing:admin": ADMIN})
        self.pipeline = Pipeline(self.clock, self.tokens, policy, "http://key/v3", 60.0)  # type: ignore[arg-type]
        self.performed: list[tuple[Op, Call, Asked]] = []
        self.face.handler = self.perform
        self.result: Any = Answer(200, body=b"yes")

    async def perform(self, row: Op, call: Call, asked: Asked) -> Answer:
        self.performed.append((row, call, asked))
        if isinstance(self.result, BaseException):
            raise self.result
        if isinstance(self.result, Deferred):
            return await self.result
        return self.result

    def ask(
        self,
        *rows: Op,
        method: str = "GET",
        path: str = "/v1/things",
        body: Any = b"",
        segments: tuple[str, ...] = (),
        project: str = "",
        **headers: str,
    ) -> Answer:
        named = {"X_Auth_Token": "me"} | headers
        sent = tuple((k.replace("_", "-").encode(), v.encode()) for k, v in named.items() if v)
        call = Call(method, path.encode(), b"", sent, body)
        return result_of(
            self.pipeline.serve(self.face, Found(rows, segments, project), call, Asker())
        )  # type: ignore[arg-type]

    def asked(self, *rows: Op, **how: Any) -> Asked:
        assert self.ask(*rows, **how).status == 200
        return self.performed[-1][2]


@pytest.fixture
def world() -> World:
    return World()


def told(answer: Answer, name: str) -> str | None:
    found = header(answer.headers, name.encode())
    return None if found is None else found.decode()


def said(answer: Answer) -> tuple[int, Any]:
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body)


# identity

SPOOFED = [
    "x-roles",
    "x-role",
    "x-user",
    "x-user-id",
    "x-user-name",
    "x-user-domain-id",
    "x-user-domain-name",
    "x-project-id",
    "x-project-name",
    "x-project-domain-id",
    "x-domain-id",
    "x-domain-name",
    "x-tenant",
    "x-tenant-id",
    "x-tenant-name",
    "x-is-admin-project",
    "x-identity-status",
    "x-service-roles",
    "x-service-user-id",
    "x-service-project-id",
    "x-service-identity-status",
    "x-service-catalog",
    "x-service-token-x",
    "openstack-system-scope",
    "x-auth-plugin",
]
KEPT = [
    "x-auth-token",
    "x-service-token",
    "x-openstack-request-id",
    "openstack-api-version",
    "x-usage",
    "x-rolesque",
    "accept",
    "x-openstack-nova-api-version",
    "x-image-meta-name",
    "content-type",
    "x-userinfo",
]


@pytest.mark.parametrize("name", SPOOFED)
def test_a_header_that_tells_who_calls_never_passes(world: World, name: str) -> None:
    for spelled in (name, name.upper(), name.title()):
        world.ask(LIST, **{spelled.replace("-", "_"): "admin"})
        _, call, _ = world.performed[-1]
        assert [n for n, _ in call.headers if n != b"X-Auth-Token"] == []


@given(
    st.lists(
        st.tuples(st.sampled_from(SPOOFED + KEPT), st.booleans(), st.binary(max_size=3)),
        max_size=12,
    )
)
def test_what_is_heard_is_all_but_what_could_be_spoofed(found: Any) -> None:
    headers = [((n.upper() if up else n).encode(), value) for n, up, value in found]
    left, said = heard(tuple(headers))
    assert list(left) == [item for item in headers if item[0].decode().lower() in KEPT]
    assert heard(left) == (left, said)
    for name in {name.lower() for name, _ in left}:
        assert said[name] == b", ".join(value for n, value in left if n.lower() == name)


def test_a_call_without_a_token_is_401_and_tells_where_to_get_one(world: World) -> None:
    answer = world.ask(LIST, X_Auth_Token="")
    assert said(answer) == (401, error(401, UNAUTHORIZED))
    assert told(answer, "WWW-Authenticate") == 'Keystone uri="http://key/v3"'
    assert world.tokens.asked == world.performed == []


def test_a_token_that_is_not_good_is_401(world: World) -> None:
    answer = world.ask(LIST, X_Auth_Token="stolen")
    assert said(answer) == (401, error(401, UNAUTHORIZED))
    assert told(answer, "WWW-Authenticate") == 'Keystone uri="http://key/v3"'
    assert world.performed == []


def test_keystone_being_away_is_503_and_never_401(world: World) -> None:
    world.tokens.callers["me"] = KeystoneUnavailable("refused")
    answer = world.ask(LIST)
    words = "The identity service is unavailable at the moment."
    assert said(answer) == (503, error(503, words))
    assert told(answer, "Retry-After") == "10"
    assert told(answer, "WWW-Authenticate") is None


def test_an_open_operation_asks_for_no_token(world: World) -> None:
    asked = world.asked(Op("GET", "/", open=True), X_Auth_Token="", path="/")
    assert asked.caller is NOBODY
    assert world.tokens.asked == []


def test_a_path_that_is_open_in_part_asks_for_a_token(world: World) -> None:
    assert world.ask(Op("GET", "/", open=True), Op("GET", "/"), X_Auth_Token="").status == 401


def test_an_unknown_path_is_401_without_a_token_and_404_with_one(world: World) -> None:
    assert world.ask(X_Auth_Token="").status == 401
    assert said(world.ask()) == (404, error(404, "The resource could not be found."))


def with_rules(world: World, *rules: AccessRule) -> None:
    world.tokens.callers["me"] = evolve(ME, access_rules=rules)


@pytest.mark.parametrize("service", ["thing", "thingv1"])
def test_an_access_rule_lets_its_own_calls_pass(world: World, service: str) -> None:
    with_rules(world, AccessRule(service, "GET", "/v1/things/*"))
    assert world.ask(LIST, path="/v1/things/x").status == 200
    for how in ({"path": "/v1/things"}, {"path": "/v1/things/x", "method": "PUT"}):
        assert said(world.ask(LIST, **how)) == (401, error(401, UNAUTHORIZED))  # type: ignore[arg-type]


def test_access_rules_that_allow_nothing_allow_nothing(world: World) -> None:
    with_rules(world)
    assert world.ask(LIST).status == 401
    with_rules(world, AccessRule("other", "GET", "/v1/things"))
    assert world.ask(LIST).status == 401


def test_a_service_passes_access_rules_and_an_expired_token(world: World) -> None:
    with_rules(world)
    assert world.ask(LIST, X_Service_Token="service").status == 200
    assert world.tokens.asked == [("service", False), ("me", True)]


def test_a_service_token_of_no_service_changes_nothing(world: World) -> None:
    with_rules(world)
    world.tokens.callers["user"] = ME
    assert world.ask(LIST, X_Service_Token="user").status == 401
    assert world.tokens.asked == [("user", False), ("me", False)]


def test_a_service_token_that_is_not_good_is_401(world: World) -> None:
    assert world.ask(LIST, X_Service_Token="bad").status == 401
    assert world.tokens.asked == [("bad", False)]


def test_a_policy_is_checked_for_the_caller(world: World) -> None:
    row = Op("GET", "/v1/things", policy="thing:admin")
    words = "Policy doesn't allow thing:admin to be performed."
    assert said(world.ask(row)) == (403, error(403, words))
    world.tokens.callers["me"] = evolve(ME, roles=("admin",))
    assert world.ask(row).status == 200


def test_a_project_in_the_path_is_the_callers_own(world: World) -> None:
    answer = world.ask(LIST, path="/v1/other/things", project="other")
    assert said(answer) == (400, error(400, "other is not my-project"))
    asked = world.asked(LIST, path="/v1/my-project/things/x", project="my-project")
    assert (asked.with_project, asked.below) == (True, b"/things/x")


# what the verb is told


def test_a_verb_is_told_the_segments_by_their_names(world: World) -> None:
    asked = world.asked(SHOW, path="/v1/things/7/k", segments=("7", "k"))
    assert asked.params == {"id": "7", "key": "k"}
    assert (asked.below, asked.with_project) == (b"/things/7/k", False)
    assert (asked.caller, asked.version) == (evolve(ME, token="me"), None)


def test_a_deadline_is_absolute_and_a_stream_has_none(world: World) -> None:
    assert world.asked(LIST).deadline == 160.0
    assert world.asked(Op("GET", "/v1/things", stream=True)).deadline == math.inf


@pytest.mark.parametrize(
    ("path", "project", "below"),
    [
        (b"/", False, b"/"),
        (b"/v1", False, b"/"),
        (b"/v1/", False, b"/"),
        (b"/v1/things", False, b"/things"),
        (b"/v1/things/a%20b/", False, b"/things/a%20b/"),
        (b"/v1/p", True, b"/"),
        (b"/v1/p/", True, b"/"),
        (b"/v1/p/things/x", True, b"/things/x"),
    ],
)
def test_below_is_the_raw_path_behind_version_and_project(
    path: bytes, project: bool, below: bytes
) -> None:
    assert _below(path, project) == below


def test_a_clients_request_id_is_kept_and_told(world: World) -> None:
    answer = world.ask(LIST, X_Openstack_Request_Id=OURS)
    assert told(answer, "X-Openstack-Request-Id") == OURS
    assert world.performed[0][2].request_id == OURS


@pytest.mark.parametrize("sent", ["", "req-1", OURS + "0", " " + OURS, "req-" + "g" * 36, OURS[4:]])
def test_what_is_no_request_id_is_replaced(world: World, sent: str) -> None:
    answer = world.ask(LIST, X_Openstack_Request_Id=sent)
    id = told(answer, "X-Openstack-Request-Id")
    assert id and id != sent and REQUEST_ID.fullmatch(id)
    assert world.performed[0][2].request_id == id


def test_a_pods_own_request_id_stays_in_its_answer(world: World) -> None:
    world.result = Answer(200, ((b"x-openstack-request-id", b"req-pod"),))
    answer = world.ask(LIST, X_Openstack_Request_Id=OURS)
    found = [value for name, value in answer.headers if name.lower() == b"x-openstack-request-id"]
    assert found == [b"req-pod"]


# versions

VERSIONED = Microversions("thing", Range(Version(2, 1), Version(2, 90)), "X-Thing-Version")
SERVED = Range(Version(2, 1), Version(2, 60))


@pytest.fixture
def versioned(world: World) -> World:
    world.face.microversions, world.face.range = VERSIONED, SERVED
    return world


@pytest.mark.parametrize(
    ("sent", "version"), [("", "2.1"), ("thing 2.7", "2.7"), ("thing latest", "2.60")]
)
def test_a_version_is_told_to_the_verb_and_the_client(
    versioned: World, sent: str, version: str
) -> None:
    answer = versioned.ask(LIST, OpenStack_API_Version=sent)
    assert str(versioned.performed[0][2].version) == version
    assert told(answer, "OpenStack-API-Version") == f"thing {version}"
    assert told(answer, "X-Thing-Version") == version
    varied = [value for name, value in answer.headers if name == b"Vary"]
    assert varied == [b"OpenStack-API-Version", b"X-Thing-Version"]


def test_what_a_pod_told_of_its_version_stays(versioned: World) -> None:
    versioned.result = Answer(200, ((b"Openstack-Api-Version", b"thing 2.5"), (b"vary", b"x")))
    answer = versioned.ask(LIST)
    names = [name.lower() for name, _ in answer.headers]
    assert told(answer, "OpenStack-API-Version") == "thing 2.5"
    assert names.count(b"openstack-api-version") == names.count(b"vary") == 1


def test_a_version_that_is_not_served_is_406_and_told_all_the_same(versioned: World) -> None:
    answer = versioned.ask(LIST, OpenStack_API_Version="thing 2.61")
    words = "Version 2.61 is not supported by the API. Minimum is 2.1 and maximum is 2.60."
    assert said(answer) == (406, error(406, words))
    assert told(answer, "OpenStack-API-Version") == "thing 2.61"
    assert versioned.performed == []


def test_a_version_that_is_none_is_400_and_none_is_told(versioned: World) -> None:
    answer = versioned.ask(LIST, OpenStack_API_Version="thing two")
    assert answer.status == 400
    assert told(answer, "OpenStack-API-Version") is None


def test_errors_tell_the_version_too(versioned: World) -> None:
    versioned.result = NotFound("no")
    answer = versioned.ask(LIST, OpenStack_API_Version="thing 2.3")
    assert (answer.status, told(answer, "OpenStack-API-Version")) == (404, "thing 2.3")


def test_a_document_of_versions_has_none_itself(versioned: World) -> None:
    versioned.face.unversioned = frozenset(["/"])
    answer = versioned.ask(Op("GET", "/"), path="/", OpenStack_API_Version="thing 99.9")
    assert answer.status == 200
    assert told(answer, "OpenStack-API-Version") is told(answer, "Vary") is None
